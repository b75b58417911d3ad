"""One person's decision, from the desk to the receipt.

1. The desk is read from the archive, under the freeze that the promotion's status names, and must be of this very request.
2. The bytes shown are the text rendition that the freeze names by digest, and that digest goes into the decision.
3. A decision's name follows from promotion, freeze and person, so that a second press meets the first.
4. "approved" is said only once the event is in the archive and verifies.
"""

from __future__ import annotations

import hashlib
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final, Literal

from signoff.api import API_VERSION
from signoff.archive import layout
from signoff.archive.store import ArchiveError, Missing, Unavailable
from signoff.archive.write import read_blob
from signoff.cli.kube import Cluster, Object, Taken
from signoff.decision.seals import Filed, read_seal
from signoff.desk.explanation import MAX_EXPLANATION
from signoff.desk.freezing import refuse_other_desk
from signoff.desk.render import MAX_RENDITION
from signoff.errors import SignoffError
from signoff.operator.commit import Collected, collect
from signoff.record.bundle import MAX_BUNDLE
from signoff.record.canonical import Json, b64decode, b64encode, text_at
from signoff.record.freeze import Freeze
from signoff.record.promotion import SealedDecision, is_freeze_of
from signoff.record.request import read_spec, request_id, request_value
from signoff.record.values import Digest, RequestId, parse_digest
from signoff.verify.reader import Reader
from signoff.verify.verifier import Verified

Verdict = Literal["Approve", "Reject"]
_POLL: Final = 0.5
_SAFE: Final = "nothing was decided; it is safe to press again"


class Undecided(SignoffError):
    """Nothing was decided."""


@dataclass(frozen=True)
class Desk:
    """What is to be decided on: the request, its freeze, and the text rendition by digest and bytes."""

    namespace: str
    name: str
    id: RequestId
    digest: Digest
    freeze: Freeze
    rendition: Digest
    text: bytes


@dataclass(frozen=True)
class Sealed:
    """A decision that admission sealed, as the archive has it; ``again`` says that it was made earlier already."""

    decision: SealedDecision
    again: bool


def identity(promotion: Object, namespace: str, name: str) -> RequestId:
    """Return a promotion's id, hashed from its spec."""
    spec = promotion.get("spec")
    read_spec(spec)
    return request_id(request_value(namespace, name, spec))


def outcome(reader: Reader, request: RequestId) -> Verified | None:
    """Return the verified outcome of a request, or None where there is none yet."""
    try:
        return reader.outcome(request)
    except Missing:
        return None


def desk(reader: Reader, promotion: Object, namespace: str, name: str) -> Desk:
    """Return the frozen desk that the promotion's status names (rules 1 and 2)."""
    request = identity(promotion, namespace, name)
    named = text_at(promotion, "status", "freeze")
    if not named:
        message = text_at(promotion, "status", "message") or "the operator has not looked at it yet"
        raise Undecided(f"the desk is not frozen: {message}", where=f"{namespace}/{name}", mend="try again once it is")
    digest = parse_digest(named, "status.freeze")
    try:
        freeze, payload = reader.freeze(request, digest)
        # Made again here, so that no stored text reaches a terminal that this version would not have written.
        explanation = read_blob(reader.store, freeze.explanation.digest, limit=MAX_EXPLANATION)
        refuse_other_desk(freeze, payload, explanation, reader.last_approved(freeze.live))
        rendition = next((one.digest for one in freeze.renditions if one.mediaType == "text/plain"), None)
        if rendition is None:
            raise Undecided("the desk has no text to show here", where=digest, mend="look at the page")
        text = read_blob(reader.store, rendition, limit=MAX_RENDITION)
    except Missing as error:
        raise Undecided("the archive does not hold what the status names", where=error.where, mend="nothing was decided") from None
    value = request_value(namespace, name, promotion.get("spec"))
    if not is_freeze_of(freeze, value):
        raise Undecided("the freeze is of another request", where=digest, mend="nothing was decided; call whoever runs signoff")
    return Desk(namespace, name, request, digest, freeze, rendition, text)


def decide(
    cluster: Cluster,
    reader: Reader,
    shown: Desk,
    verdict: Verdict,
    meaning: str,
    comment: str | None,
    delegation: str | None = None,
    token: str | None = None,
) -> Sealed:
    """Create the decision and return its seal, out of the archive; `Denied` in admission's words (rule 3). ``token`` is the ID token of a
    login for it.
    """
    name = decision_name(shown, cluster.username())
    spec: dict[str, Json] = {
        "promotion": shown.name,
        "freeze": shown.digest,
        "rendition": shown.rendition,
        "verdict": verdict,
        "meaning": meaning,
        **({"comment": comment} if comment is not None else {}),
        # What was printed holds the explanation, and tier 1 asks that whoever approves says so.
        **({"explanationOpened": True} if verdict == "Approve" and shown.freeze.route.tier == "tier-1" else {}),
        **({"delegation": delegation} if delegation is not None else {}),
        **({"consent": {"idToken": token}} if token is not None else {}),
    }
    manifest: Object = {
        "apiVersion": API_VERSION,
        "kind": "PromotionDecision",
        "metadata": {"name": name, "namespace": shown.namespace},
        "spec": spec,
    }
    again = False
    try:
        made = cluster.decide(shown.namespace, manifest)
    except Taken:
        made, again = cluster.decision(shown.namespace, name), True
    sealed = _seal(reader, shown, made, name)
    decided = sealed.seal.decided
    if decided.verdict != verdict or sealed.seal.freeze != shown.digest:
        raise Undecided(
            f"you decided {decided.verdict} on this desk at {decided.time}, and a decision is not taken back",
            where=f"promotiondecision {name}",
            mend="make a new request (spec.attempt) where another decision is wanted",
        )
    return Sealed(sealed, again)


def decision_name(shown: Desk, username: str) -> str:
    """Return the name of this person's decision on this freeze."""
    digest = hashlib.sha256("\x00".join((shown.namespace, shown.name, shown.digest, username)).encode()).hexdigest()
    return f"{shown.name[:200].rstrip('.-')}-{digest[:16]}"


def _seal(reader: Reader, shown: Desk, made: Object, name: str) -> SealedDecision:
    """Return the seal that a decision bears, if the archive holds the same."""
    where = f"promotiondecision {name}"
    bundle = text_at(made, "seal", "bundle")
    if not bundle:
        mend = "ask whoever runs signoff whether its webhooks are installed"
        raise Undecided("admission did not seal it, so it decides nothing", where, mend)
    data = b64decode(bundle, f"{where}.seal.bundle")
    try:
        for key in reader.store.list(layout.seals_prefix(shown.digest)):
            stored = reader.store.read(key, limit=MAX_BUNDLE)
            if stored.data == data:
                return read_seal(Filed(stored.data, stored.stored_at), reader.trust, shown.freeze.request.spec.target, where)
    except ArchiveError as error:
        raise SignoffError(f"admission sealed it, and the archive does not answer: {error}", where, "press again, it is safe") from None
    raise Undecided("its seal is not in this archive, so it decides nothing", where, "check that --archive is the archive of the cluster")


def awaited(reader: Reader, shown: Desk) -> Collected:
    """Return how far the decisions in the archive go."""
    carried = [
        (key, b64encode(reader.store.read(key, limit=MAX_BUNDLE).data)) for key in reader.store.list(layout.seals_prefix(shown.digest))
    ]
    return collect(reader, shown.freeze, shown.digest, carried)


def wait(reader: Reader, shown: Desk, timeout: float, step: Callable[[str], None]) -> Verified | Collected | None:
    """Return the outcome once it is there, what is awaited where decisions are missing, or None after ``timeout`` seconds (rule 4)."""
    started = time.monotonic()
    while True:
        try:
            found = outcome(reader, shown.id)
            if found is not None:
                return found
            collected = awaited(reader, shown)
            if not collected.rejections and not collected.quorum.reached:
                return collected
        except Unavailable:
            pass  # the seal is in the archive already, and the event comes when it comes
        elapsed = time.monotonic() - started
        if elapsed >= timeout:
            return None
        step(f"{elapsed:.0f} s")
        time.sleep(_POLL)


def safe(error: ArchiveError) -> Undecided:
    """Return what an archive that fails before the decision means for whoever wanted to decide."""
    return Undecided(error.what, error.where, _SAFE)
