"""PromotionPolicies at admission: applying one is publishing it.

1. The spec is checked against its closed schema; what could never be met is refused.
2. Who applies it must be a policy publisher in the trust file.
3. The statement (exact text, publisher, time) is in the archive before the review is answered, and ``publication`` names it by digest.
   Nobody else writes ``publication``. A changed spec is a new publication.
"""

from __future__ import annotations

from signoff.archive import layout
from signoff.archive.store import Exists
from signoff.decision.principals import Resolved
from signoff.decision.seals import policy_bundle, signed_by
from signoff.policy.conditions import check_conditions
from signoff.policy.schema import MAX_POLICY, read_policy
from signoff.record.bundle import read_bundle, read_statement
from signoff.record.canonical import Json, b64encode, dumps
from signoff.record.promotion import as_json
from signoff.record.seal import POLICY_TYPE, PolicyStatement, PublishedPolicy
from signoff.record.trust import Answer
from signoff.record.values import Digest, format_time, parse, parse_digest
from signoff.webhook.review import Reply, Review
from signoff.webhook.witness import Refused, Witness, field, kept, unchanged


def seal(witness: Witness, review: Review) -> Reply:
    """Answer the mutating review."""
    if review.operation == "UPDATE" and unchanged(review, "spec"):
        return kept(review, "publication")
    if "publication" in review.obj and not (review.old is not None and unchanged(review, "publication")):
        raise Refused("only admission writes this field", where="publication", mend="leave it out")
    content = dumps(review.obj.get("spec"))
    if len(content) > MAX_POLICY:
        raise Refused(f"{len(content)} bytes are more than {MAX_POLICY}", where="spec", mend="split the policy")
    check_conditions(read_policy(review.obj.get("spec")))
    who = _publisher(witness, review)
    if review.dry_run:
        return Reply()
    policy = _publication(witness, review, who, content)
    bundle = policy_bundle(policy, content, witness.signer)
    digest = read_bundle(bundle, "policy").digest
    _archive(witness, digest, bundle)
    value: Json = {"statement": digest, **_shown(policy)}
    return Reply(patch=({"op": "add", "path": "/publication", "value": value},))


def check(witness: Witness, review: Review) -> Reply:
    """Answer the validating review: the publication is in the archive, of this text, by whoever sent the request.

    Taking a policy away can make a route laxer, so that only a publisher may delete one.
    """
    if review.operation == "DELETE":
        _publisher(witness, review)
        return Reply()
    if review.operation == "UPDATE" and unchanged(review, "spec"):
        if not unchanged(review, "publication"):
            raise Refused("only admission writes this field", where="publication", mend="leave it as it is")
        return Reply()
    who = _publisher(witness, review)
    statement = field(review.obj, "publication", "statement")
    if review.dry_run and (not statement or review.old is not None):
        return Reply()
    if not statement:
        raise Refused("admission has not published this policy", where="publication", mend="apply it again")
    bundle = read_bundle(witness.reader.policy(parse_digest(statement, "publication.statement")).bundle, "publication")
    signed_by(bundle, witness.reader.trust, "publication")
    published = read_statement(PolicyStatement, bundle.payload, POLICY_TYPE, "publication").predicate
    name_and_text = (field(review.obj, "metadata", "name"), b64encode(dumps(review.obj.get("spec"))))
    if (published.name, published.content) != name_and_text or not published.publisher.is_same(who.principal):
        raise Refused("is of another policy or by somebody else", where="publication", mend="leave it out")
    if any(field(review.obj, "publication", name) != said for name, said in _shown(published).items()):
        raise Refused("says other than what was published", where="publication", mend="leave it out")
    return Reply()


def _publisher(witness: Witness, review: Review) -> Resolved:
    who = witness.who(review)
    if witness.reader.trust.publisher(who.principal.issuer, who.principal.subject, witness.now()) is not Answer.YES:
        raise Refused(
            f"{who.principal.subject} ({who.principal.issuer}) is no policy publisher",
            mend="a policy publisher whom the trust file names must apply or delete the policy",
        )
    return who


def _publication(witness: Witness, review: Review, who: Resolved, content: bytes) -> PublishedPolicy:
    value: Json = {
        "name": field(review.obj, "metadata", "name"),
        "content": b64encode(content),
        "cluster": witness.cluster_name,
        "publisher": as_json(who.principal),
        "method": who.method,
        "time": format_time(witness.now()),
    }
    return parse(PublishedPolicy, dumps(value), "policy")


def _shown(policy: PublishedPolicy) -> dict[str, str]:
    publisher = policy.publisher
    return {"issuer": publisher.issuer, "subject": publisher.subject, "name": publisher.name, "time": policy.time}


def _archive(witness: Witness, digest: Digest, bundle: bytes) -> None:
    try:
        witness.store.create(layout.statement("policy", digest), bundle)
    except Exists:
        # Within one second the same person published the same text: the statement is the same, only its signature differs.
        witness.reader.policy(digest)
