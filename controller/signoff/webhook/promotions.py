"""ModelPromotions at admission.

1. The spec and the checks in it are held to their closed schemas; a check under a trusted key's name bears its signature. The spec does not
   change once it was submitted.
2. On CREATE admission writes ``submission``: who submits, when, signed over the request's id. Nobody else writes it, and nobody changes it.
3. A cluster witnesses only requests whose ``target.clusters`` names it.
4. A namespace holds a bounded number of requests for this cluster without an outcome; one more is refused, on a dry run too. A request
   whose outcome the archive holds already takes no room: after a disaster everything is applied again at once. Of requests that come at the
   same moment none sees the others, so that they may exceed the bound by as many as are on their way.
5. The twin checks what the final object says: the submission is ours, of this spec, by whoever sent the request.
"""

from __future__ import annotations

from collections.abc import Mapping

from signoff.archive.store import ArchiveError
from signoff.decision.checks import refuse_forged
from signoff.decision.seals import Filed, read_submission, submission_bundle
from signoff.record.canonical import Json, b64decode, b64encode, text_at
from signoff.record.check import require_checks
from signoff.record.request import Spec, read_spec, request_id, request_value
from signoff.record.seal import PromotionName, Submission
from signoff.record.values import RequestId, format_time
from signoff.webhook.cluster import ClusterError
from signoff.webhook.review import Reply, Review
from signoff.webhook.witness import Refused, Witness, kept, unchanged

_CHANGED = (
    "spec: a request does not change once it was submitted, for what is approved is what was asked; "
    "delete this one and apply a new one (the same text again is the same request; spec.attempt makes another)"
)


def seal(witness: Witness, review: Review) -> Reply:
    """Answer the mutating review (rules 1 to 4)."""
    if review.operation == "UPDATE":
        return _update(review)
    if "submission" in review.obj:
        raise Refused("only admission writes this field", where="submission", mend="leave it out")
    spec = read_spec(review.obj.get("spec"))
    require_checks(spec)
    refuse_forged(spec, witness.reader.trust)
    if witness.cluster_name not in spec.target.clusters:
        return Reply()
    _require_room(witness, review)
    if review.dry_run:
        return Reply()
    who = witness.who(review)
    witness.require_voice(spec.target)
    name = _name(review)
    submission = Submission(
        id=_id(review),
        promotion=PromotionName(namespace=review.namespace, name=name),
        cluster=witness.cluster_name,
        principal=who.principal,
        method=who.method,
        time=format_time(witness.now()),
    )
    value: Json = {
        "issuer": who.principal.issuer,
        "subject": who.principal.subject,
        "name": who.principal.name,
        "time": submission.time,
        "bundle": b64encode(submission_bundle(submission, witness.signer)),
    }
    return Reply(patch=({"op": "add", "path": "/submission", "value": value},))


def check(witness: Witness, review: Review) -> Reply:
    """Answer the validating review (rule 5)."""
    if review.operation == "UPDATE":
        if not unchanged(review, "spec"):
            return Reply(denial=_CHANGED)
        if not unchanged(review, "submission"):
            raise Refused("only admission writes this field", where="submission", mend="leave it as it is")
        return Reply()
    spec = read_spec(review.obj.get("spec"))
    if witness.cluster_name not in spec.target.clusters:
        if "submission" in review.obj:
            raise Refused("this cluster is no target of the request, and does not witness it", where="submission", mend="leave it out")
        return Reply()
    if review.dry_run and "submission" not in review.obj:
        return Reply()
    submission = submission_of(witness, review.obj, spec)
    if submission.id != _id(review) or submission.promotion != PromotionName(namespace=review.namespace, name=_name(review)):
        raise Refused("is the submission of another request", where="submission", mend="leave it out")
    if not submission.principal.is_same(witness.who(review).principal):
        raise Refused("names somebody else than who sent the request", where="submission", mend="leave it out")
    return Reply()


def submission_of(witness: Witness, obj: Mapping[str, Json], spec: Spec) -> Submission:
    """Return what admission signed about an object's submission; raises where there is none that counts."""
    bundle = text_at(obj, "submission", "bundle")
    if not bundle:
        raise Refused("admission has not witnessed who submitted this", where="submission", mend="delete the resource and apply it again")
    submission = read_submission(Filed(b64decode(bundle, "submission.bundle"), witness.now()), witness.reader.trust, spec.target)
    shown = (text_at(obj, "submission", "issuer"), text_at(obj, "submission", "subject"), text_at(obj, "submission", "time"))
    if shown != (submission.principal.issuer, submission.principal.subject, submission.time):
        raise Refused("says other than what admission signed", where="submission", mend="delete the resource and apply it again")
    return submission


def _update(review: Review) -> Reply:
    if not unchanged(review, "spec"):
        return Reply(denial=_CHANGED)
    return kept(review, "submission")


def _require_room(witness: Witness, review: Review) -> None:
    most = witness.pending_per_namespace
    try:
        full = witness.cluster.pending(review.namespace, most) >= most and not witness.has_outcome(_id(review))
    except (ArchiveError, ClusterError) as error:
        raise Refused(f"how many requests wait here could not be told ({error})", mend="nothing was submitted; try again") from error
    if full:
        raise Refused(
            f"{most} requests in namespace {review.namespace} wait for a decision already, and that is the most",
            mend="decide some or delete what nobody needs; or ask the platform team for more (pendingPerNamespace)",
        )


def _name(review: Review) -> str:
    name = text_at(review.obj, "metadata", "name")
    if not name:
        raise Refused("the request has no name of its own", where="metadata.name", mend="name it (generateName has no fixed id)")
    return name


def _id(review: Review) -> RequestId:
    return request_id(request_value(review.namespace, _name(review), review.obj.get("spec")))
