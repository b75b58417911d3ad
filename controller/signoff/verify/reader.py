"""Reading the archive through the verifier: nothing is believed because of where it lies.

1. An outcome is read under its id and verified with the policies that it names, each read by digest.
2. A pointer says where to look and nothing more; one without an event promotes nothing.
3. The incumbent is the promotion of a model for this environment and cluster that the store took last and nobody revoked, as the events say
   and not as the pointers do. An event in that history that does not verify makes the answer unknown: the archive was altered. One whose
   key was not valid when it was stored admits nothing by this trust file, and is passed over: a stolen key, disowned, must not end a
   model's history.
4. The archive is read for each question; only what follows from the bytes that were read is kept (`kept`).
5. What is looked through is bounded; beyond the bound the answer is "could not tell", but for what was found within it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import datetime
from threading import Lock
from typing import Final

from signoff.archive import layout
from signoff.archive.store import Damaged, Missing, Store
from signoff.decision.corrections import Corrected, counts, in_order, revocation
from signoff.decision.seals import CouldNotTell, Filed, KeyNotValid, signed_by
from signoff.errors import SignoffError
from signoff.policy.facts import History
from signoff.record.bundle import MAX_BUNDLE, read_bundle
from signoff.record.freeze import MAX_PAYLOAD, Freeze, LastApproved, LiveIncumbent, last_approved, read_freeze
from signoff.record.request import Target
from signoff.record.trust import Trust
from signoff.record.values import Digest, RequestId, sha256
from signoff.verify.case import Outcome
from signoff.verify.kept import Kept
from signoff.verify.verifier import Admission, Failed, Verified, admission, policies_named

MAX_POINTERS: Final = 200
MAX_PINS: Final = 20
MAX_HISTORY: Final = 10_000
MAX_CORRECTIONS: Final = 100
_KEPT_POLICIES: Final = 1_000


@dataclass(frozen=True)
class Found:
    """What the archive holds of a digest: events that are believed, and in words what is not believed and why.

    ``partial`` says in words why there may be more events than these; it is empty where these are all. ``elsewhere`` says that whoever
    asked for a place found none that admits there.
    """

    admissions: tuple[Admission, ...]
    refused: tuple[str, ...]
    partial: str = ""
    elsewhere: bool = False

    @property
    def is_positive(self) -> bool:
        """Whether this may admit something where it was asked for."""
        return not self.elsewhere and any(event.promotes for event in self.admissions)


class Reader:
    """Reads outcomes from a store and verifies them under a trust file. Safe to use from many threads."""

    def __init__(self, store: Store, trust: Trust) -> None:
        self.store = store
        self.trust = trust
        self._policies: dict[Digest, Filed] = {}
        self._lock = Lock()
        self._kept = Kept(trust)

    def outcome(self, request: RequestId) -> Verified:
        """Return the verified outcome of a request; `Missing` where there is none, `Failed` and `CouldNotTell` as `verify`."""
        stored = self.store.read(layout.event(request), limit=MAX_BUNDLE)
        outcome = Outcome(Filed(stored.data, stored.stored_at), request)
        return self._kept.verified(outcome, self.policies_of, self._policies_at)

    def policies_of(self, outcome: Outcome) -> dict[Digest, Filed]:
        """Return the statements of the policies that an unverified outcome names, as far as the archive holds them.

        None for one that no trusted key signed: what anybody can write must not have 200 policies read.
        """
        try:
            signed_by(outcome.bundle, self.trust, "event")
            named = policies_named(outcome)
        except SignoffError:
            return {}  # the verifier says what is wrong with the bundle
        return self._policies_at(named)

    def _policies_at(self, named: tuple[Digest, ...]) -> dict[Digest, Filed]:
        found: dict[Digest, Filed] = {}
        for digest in named[:MAX_POINTERS]:
            try:
                found[digest] = self.policy(digest)
            except Missing:
                continue  # the verifier says which is not at hand
        return found

    def policy(self, digest: Digest) -> Filed:
        """Return the statement that published a policy, by its digest. It is content-addressed, and kept if it is what it is named."""
        with self._lock:
            kept = self._policies.get(digest)
        if kept is not None:
            return kept
        stored = self.store.read(layout.statement("policy", digest), limit=MAX_BUNDLE)
        filed = Filed(stored.data, stored.stored_at)
        if not self._is_signed_as(digest, filed):
            return filed  # whoever asked says what is wrong with it; mended, it is read again
        with self._lock:
            if len(self._policies) >= _KEPT_POLICIES:
                self._policies.clear()
            self._policies[digest] = filed
        return filed

    def _is_signed_as(self, digest: Digest, filed: Filed) -> bool:
        try:
            bundle = read_bundle(filed.bundle, "policy")
            signed_by(bundle, self.trust, "policy")
        except SignoffError:
            return False
        return bundle.digest == digest

    def freeze(self, request: RequestId, digest: Digest) -> tuple[Freeze, bytes]:
        """Return a freeze and its exact bytes, of its request's id and digest; `Damaged` where the bytes are others."""
        stored = self.store.read(layout.freeze(request, digest), limit=MAX_PAYLOAD)
        if sha256(stored.data) != digest:
            raise Damaged("the bytes are not those of the freeze", stored.key, "the archive was altered: call whoever guards it")
        return read_freeze(stored.data, stored.key), stored.data

    def corrections(self, verified: Verified) -> tuple[Corrected, ...]:
        """Return the corrections of a believed outcome that count, as the store took them; `CouldNotTell` where one may have been altered.
        """
        found: list[Corrected] = []
        for number, key in enumerate(self.store.list(layout.corrections_prefix(verified.digest), limit=MAX_CORRECTIONS + 1)):
            if number == MAX_CORRECTIONS:
                raise CouldNotTell(
                    f"more than {MAX_CORRECTIONS} corrections of one event", where=key, mend="call whoever guards the archive"
                )
            stored = self.store.read(key, limit=MAX_BUNDLE)
            target = verified.freeze.request.spec.target
            one = counts(Filed(stored.data, stored.stored_at), self.trust, target, verified.id, key)
            if one is not None:
                found.append(one)
        return in_order(found)

    def revoked(self, verified: Verified) -> Corrected | None:
        """Return the correction that revoked a believed outcome, or None where it stands; raises as `corrections`."""
        return revocation(self.corrections(verified))

    def find(self, digest: Digest, environment: str, enough: Callable[[Admission], bool] = lambda _: False) -> Found:
        """Return what the archive holds of an image or artefact in an environment (rules 2 and 5), up to the first event that is enough."""
        admissions: list[Admission] = []
        refused: list[str] = []
        unsure: CouldNotTell | None = None
        partial = ""
        for count, key in enumerate(self.store.list(layout.subject_prefix(digest, environment), limit=MAX_POINTERS + 1)):
            if count == MAX_POINTERS:
                partial = f"more than {MAX_POINTERS} pointers lead to it, and no further ones were followed"
                break
            request = RequestId(layout.pointed_id(key))
            try:
                verified = self.outcome(request)
                found = admission(verified, self.corrections(verified))
            except Missing:
                refused.append(f"the archive points to the request {request[:12]}…, which has no event")
                continue
            except (Failed, Damaged) as error:
                refused.append(f"the event {request[:12]}… is not believed: {error}")
                continue
            except CouldNotTell as error:
                unsure = error
                continue
            admissions.append(found)
            if enough(found):
                partial = "no further events were looked at once one was enough"
                break
        if unsure is not None and not admissions:
            raise unsure
        return Found(tuple(admissions), tuple(refused), partial or (str(unsure) if unsure is not None else ""))

    def incumbent(self, model: str, environment: str, cluster: str) -> LiveIncumbent | None:
        """Return what is live for a model in an environment and cluster, or None where the archive knows no promotion of it (rule 3)."""
        promotions: list[Verified] = []
        for request in self._pointed(layout.models_prefix(model, environment), MAX_HISTORY):
            try:
                verified = self.outcome(request)
            except Missing:
                continue
            except Failed as error:
                if isinstance(error.__cause__, KeyNotValid):
                    continue
                raise
            if _promotes_here(verified, model, environment, cluster):
                promotions.append(verified)
        # Corrections are asked of the latest alone, and of those before it for as long as what came later was revoked.
        for latest in sorted(promotions, key=_stored, reverse=True):
            if self.revoked(latest) is None:
                promoted = latest.freeze.request.spec.model
                return LiveIncumbent(id=latest.id, event=latest.digest, version=promoted.version, digest=promoted.digest)
        return None

    def last_approved(self, live: LiveIncumbent | None) -> LastApproved | None:
        """Return what desks tell of a live version: what its own freeze showed, out of its event; None where nothing is live."""
        if live is None:
            return None
        verified = self._behind(live)
        return last_approved(verified.freeze, sha256(verified.payload))

    def decided_in_full(self, verified: Verified) -> Verified | None:
        """Return the outcome that answers for an emergency: the first that the store took after it, for its image and its whole target, and
        that is no emergency itself, whichever its verdict; None while it is owed.
        """
        spec, first = verified.freeze.request.spec, None
        for request in self.history(spec.model.name, spec.target.environment):
            try:
                other = self.outcome(request)
            except (Missing, Failed):
                continue
            if _answers_for(other, verified) and (first is None or _later(first, other)):
                first = other
        return first

    def history_for(self, target: Target, live: LiveIncumbent | None, as_of: datetime | None = None) -> History:
        """Return what rules are told of a live version: the event that promoted it is read and verified, and says its tier.

        What went live in an emergency, or for less than the whole target, or was revoked, is passed over for what was live before it:
        nobody is routed more laxly for having hurried, or for having been let into another place. What does not count under this trust file
        ends the history. ``as_of`` (aware): as the archive stood then, whatever was revoked or decided in full since; None: as it stands.
        """
        owed, shown = False, live.shown if live is not None else None
        for number in range(MAX_HISTORY):
            if live is None:
                return History(owed=owed, live=shown, passed_over=number > 0)
            try:
                verified = self._behind(live)
            except Failed as error:
                if isinstance(error.__cause__, KeyNotValid):
                    return History(owed=owed, live=shown, passed_over=True)
                raise
            if number == 0 and verified.is_emergency:
                full = self.decided_in_full(verified)
                owed = full is None or _since(full.stored_at, as_of)
            whole = not verified.is_emergency and _covers(verified.freeze.request.spec.target, target)
            revoked = self.revoked(verified) if whole else None
            if whole and (revoked is None or _since(revoked.stored_at, as_of)):
                return History(live.version, verified.freeze.route.tier, owed, shown, passed_over=number > 0)
            live = verified.freeze.live
        raise CouldNotTell(f"more than {MAX_HISTORY} versions, one after the other", where="incumbent")

    def _behind(self, live: LiveIncumbent) -> Verified:
        """Return the event that made a version live, verified; `Damaged` where another lies there."""
        verified = self.outcome(live.id)
        if verified.digest != live.event:
            raise Damaged(f"is not the event {live.event} that made {live.version} live", layout.event(live.id), "call whoever guards it")
        return verified

    def promoted_as(self, repository: str, version: str, environment: str) -> str | None:
        """Return the image, with its digest, that was promoted from a repository as this version: what to pin in place of a tag."""
        for number, request in enumerate(self._pointed(layout.repository_prefix(repository, environment), MAX_POINTERS)):
            if number == MAX_PINS:
                return None  # a hint must not cost what a verdict may
            try:
                verified = self.outcome(request)
            except (Missing, Failed):
                continue
            model = verified.freeze.request.spec.model
            if verified.promotes and model.version == version and model.repository == repository:
                return model.image
        return None

    def history(self, model: str, environment: str) -> Iterator[RequestId]:
        """Return the ids of the requests that the archive knows of a model in an environment."""
        return self._pointed(layout.models_prefix(model, environment), MAX_HISTORY)

    def _pointed(self, prefix: str, limit: int) -> Iterator[RequestId]:
        for count, key in enumerate(self.store.list(prefix, limit=limit + 1)):
            if count == limit:
                raise CouldNotTell(f"more than {limit} pointers", where=prefix, mend="nothing of this is trusted until they are fewer")
            yield RequestId(layout.pointed_id(key))


def _promotes_here(verified: Verified, model: str, environment: str, cluster: str) -> bool:
    spec = verified.freeze.request.spec
    named = (spec.model.name, spec.target.environment)
    return verified.promotes and named == (model, environment) and cluster in spec.target.clusters


def _answers_for(other: Verified, hurried: Verified) -> bool:
    asked, full = hurried.freeze.request.spec, other.freeze.request.spec
    same = (asked.model.digest, asked.model.artifacts) == (full.model.digest, full.model.artifacts)
    by_people = other.freeze.route.tier != "tier-3"  # what was hurried past people is not made up for by a machine
    return not other.is_emergency and by_people and same and _covers(full.target, asked.target) and _later(other, hurried)


def _covers(target: Target, other: Target) -> bool:
    """Whether whatever may run in ``other`` may run in ``target``; both are of one environment."""
    return set(other.clusters) <= set(target.clusters) and set(other.namespaces) <= set(target.namespaces)


def _since(stored_at: datetime | None, as_of: datetime | None) -> bool:
    """Whether the store took something only after a time that is asked about."""
    return stored_at is not None and as_of is not None and stored_at > as_of


def _later(verified: Verified, than: Verified) -> bool:
    return _stored(verified) > _stored(than)


def _stored(verified: Verified) -> tuple[float, RequestId]:
    """Return what outcomes are put in order by; the store says when it took each that is read from it."""
    return verified.stored_at.timestamp() if verified.stored_at is not None else 0.0, verified.id
