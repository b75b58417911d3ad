"""PromotionCorrections at admission: where an event is revoked or annotated.

1. A correction is created once and not changed; deleting the object changes nothing in the archive.
2. It names an event of the archive, believed, of a target that this cluster may speak for. A rejection admits nothing and is not revoked.
3. Whoever sends it may ``revoke`` (``annotate``) the event's tier in its namespace and in each of the target's (SubjectAccessReview).
4. It is signed and in the archive before the review is answered, and from then on the gate of this process refuses what was revoked.
5. A correction that lies in the archive already is given back, whoever sends it: nothing new is said by that. What is revoked is not
   revoked again, and an event bears so many remarks and no more.
"""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress
from typing import Final

from signoff.archive import layout
from signoff.archive.store import Exists, Missing, Unavailable
from signoff.decision.corrections import Corrected, correction_bundle, counts, revocation
from signoff.decision.meanings import NOT_KNOWN
from signoff.decision.seals import Filed
from signoff.record.bundle import MAX_BUNDLE
from signoff.record.canonical import Json, b64decode, b64encode, dumps, text_at
from signoff.record.correction import Correction, CorrectionSpec, correction_id
from signoff.record.promotion import as_json
from signoff.record.values import RequestId, format_time, parse
from signoff.verify.verifier import Verified
from signoff.webhook.review import Reply, Review
from signoff.webhook.witness import SAFE, Refused, Witness, kept, or_nothing, unchanged

MAX_ANNOTATIONS: Final = 50
_ONCE: Final = "a correction is made once and not changed; make another where more is to be said"
_VERBS: Final = {"Revoke": "revoke", "Annotate": "annotate"}
_DONE: Final = {"Revoke": "revoked", "Annotate": "annotated"}


def seal(witness: Witness, review: Review) -> Reply:
    """Answer the mutating review."""
    with or_nothing("nothing was corrected"):
        return _seal_or_refuse(witness, review)


def _seal_or_refuse(witness: Witness, review: Review) -> Reply:
    if review.operation == "UPDATE":
        if not unchanged(review, "spec"):
            raise Refused(_ONCE, where="spec")
        return kept(review, "seal")
    if "seal" in review.obj:
        raise Refused("only admission makes seals", where="seal", mend="leave it out")
    spec, own = _spec(review), _id(review)
    verified = _event(witness, spec)
    stored = _stored(witness, verified, own)
    if stored is None:
        _require_allowed(witness, review, spec, verified)
        _require_room(spec, witness.reader.corrections(verified))
    if review.dry_run:
        return Reply(warnings=("dry run: the correction would be accepted; nothing was signed",))
    again = stored is not None
    bundle, found = stored if stored is not None else _sealed(witness, review, spec, verified, own)
    if found.revokes:
        witness.revoked(verified.digest, str(found))
    said = found.correction
    value: Json = {"bundle": b64encode(bundle), "name": said.principal.name, "time": said.time, "statement": found.digest}
    told = f"{said.principal.name} {_DONE[said.verdict]} this at {said.time} already; that correction stands"
    return Reply(patch=({"op": "add", "path": "/seal", "value": value},), warnings=(told,) if again else ())


def check(witness: Witness, review: Review) -> Reply:
    """Answer the validating review: the seal on the final object is the archived correction of this very name and text."""
    if review.operation == "UPDATE":
        if not (unchanged(review, "spec") and unchanged(review, "seal")):
            raise Refused(_ONCE, where="spec")
        return Reply()
    if review.dry_run and "seal" not in review.obj:
        return Reply()
    bundle = text_at(review.obj, "seal", "bundle")
    if not bundle:
        raise Refused("the correction bears no seal", where="seal", mend="create it again; nothing was corrected")
    spec = _spec(review)
    stored = _stored(witness, _event(witness, spec), _id(review))
    if stored is None or stored[0] != b64decode(bundle, "seal.bundle"):
        raise Refused("the seal is not that of this correction in the archive", where="seal", mend="leave it out")
    said = stored[1].correction
    if (text_at(review.obj, "seal", "name"), text_at(review.obj, "seal", "time")) != (said.principal.name, said.time):
        raise Refused("says other than what was signed", where="seal", mend="leave it out")
    return Reply()


def _spec(review: Review) -> CorrectionSpec:
    return parse(CorrectionSpec, dumps(review.obj.get("spec")), "spec")


def _id(review: Review) -> RequestId:
    name = text_at(review.obj, "metadata", "name")
    if not name:
        raise Refused("a correction is created under a name", where="metadata.name", mend="name it; generateName does not do")
    return correction_id(review.namespace, name, review.obj.get("spec"))


def _event(witness: Witness, spec: CorrectionSpec) -> Verified:
    try:
        verified = witness.reader.outcome(spec.request)
    except Missing:
        raise Refused(
            f"the request {spec.request[:12]}… has no event", where="spec.request", mend="see: signoff why; what has none admits nothing"
        ) from None
    if verified.digest != spec.event:
        raise Refused(
            f"is not the event of the request {spec.request[:12]}…, which is {verified.digest}",
            where="spec.event",
            mend="an event is corrected, and a correction is not; see: signoff why",
        )
    if spec.verdict == "Revoke" and not verified.promotes:
        raise Refused("the request was rejected, and admits nothing", where="spec.verdict", mend="annotate it instead")
    return verified


def _stored(witness: Witness, verified: Verified, own: RequestId) -> tuple[bytes, Corrected] | None:
    key = layout.correction(verified.digest, own)
    try:
        stored = witness.store.read(key, limit=MAX_BUNDLE)
    except Missing:
        return None
    trust, target = witness.reader.trust, verified.freeze.request.spec.target
    found = counts(Filed(stored.data, stored.stored_at), trust, target, verified.id, key)
    if found is None:
        raise Refused(
            "a correction of this name and text was signed under a key that does not count",
            where="metadata.name",
            mend="choose another name",
        )
    return stored.data, found


def _require_allowed(witness: Witness, review: Review, spec: CorrectionSpec, verified: Verified) -> None:
    """Raise unless this cluster and whoever asks may correct the event (rules 2 and 3)."""
    target, tier, verb = verified.freeze.request.spec.target, verified.freeze.route.tier, _VERBS[spec.verdict]
    witness.require_voice(target)
    who = witness.who(review)
    for namespace in sorted({review.namespace, *target.namespaces}):
        if not witness.cluster.may_correct(review.user, namespace, tier, verb):
            raise Refused(
                f"Kubernetes does not let {who.principal.name} {verb} {tier} in namespace {namespace}",
                mend=f"bind a role with verb {verb} on materialitytiers/{tier} there",
            )


def _require_room(spec: CorrectionSpec, corrections: Sequence[Corrected]) -> None:
    revoked = revocation(corrections)
    if spec.verdict == "Revoke" and revoked is not None:
        raise Refused(f"is {revoked}", where="spec.event", mend="a revocation stands; promote anew by a new request")
    if spec.verdict == "Annotate" and sum(not one.revokes for one in corrections) >= MAX_ANNOTATIONS:
        raise Refused(f"bears {MAX_ANNOTATIONS} remarks already", where="spec.event", mend="say it where it is read")


def _sealed(witness: Witness, review: Review, spec: CorrectionSpec, verified: Verified, own: RequestId) -> tuple[bytes, Corrected]:
    """Sign the correction, archive it, and return what lies there: ours, or what the same press brought a moment before."""
    who = witness.who(review)
    value: Json = {
        **as_json(spec),
        "id": own,
        "cluster": witness.cluster_name,
        "correction": {"namespace": review.namespace, "name": text_at(review.obj, "metadata", "name")},
        "principal": as_json(who.principal),
        "method": who.method,
        "time": format_time(witness.now()),
    }
    key = layout.correction(verified.digest, own)
    bundle = correction_bundle(parse(Correction, dumps(value), "correction"), witness.signer)
    try:
        with suppress(Exists):
            witness.store.create(key, bundle)
        stored = _stored(witness, verified, own)
    except Unavailable as error:
        # Its answer may be all that was lost: what lies in the archive then stands.
        raise Refused(f"{NOT_KNOWN} corrected, for the archive does not answer ({error})", mend=SAFE) from error
    if stored is None:
        raise Refused("the archive does not hold what was written to it", where=key, mend="call whoever guards the archive")
    return stored
