"""PromotionPolicies at admission: applying one is publishing it, and a second publisher may agree to what was published.

1. The spec is checked against its closed schema; what could never be met is refused.
2. Who applies it must be a policy publisher in the trust file.
3. The statement (exact text, publisher, time) is in the archive before the review is answered, and ``publication`` names it by digest.
   Nobody else writes ``publication``. A changed spec is a new publication, without anybody's agreement.
4. Another publisher agrees by setting the annotation ``signoff.dev/agrees`` to the digest of the statement that they read, and by nothing
   else: not by applying the same text, not while the text changes. Their own statement over the very same text is in the archive before the
   review is answered, and ``publication.second`` names it. Who has agreed stays so, whatever becomes of the annotation.
5. Where the trust file asks for four eyes, a changed text leaves what two had agreed to in force (``publication.inForce``) until two have
   agreed to the new one.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Final

from signoff.archive import layout
from signoff.archive.store import ArchiveError, Exists
from signoff.decision.principals import Resolved
from signoff.decision.seals import policy_bundle, signed_by
from signoff.policy.conditions import check_conditions
from signoff.policy.schema import MAX_POLICY, read_policy
from signoff.record.bundle import read_bundle, read_statement
from signoff.record.canonical import Json, b64encode, dumps, text_at
from signoff.record.promotion import as_json
from signoff.record.seal import POLICY_TYPE, PolicyStatement, PublishedPolicy
from signoff.record.trust import Answer
from signoff.record.values import Digest, format_time, parse, parse_digest
from signoff.webhook.review import Reply, Review
from signoff.webhook.witness import Refused, Witness, kept, unchanged

AGREES: Final = "signoff.dev/agrees"
_WHERE: Final = f"metadata.annotations.{AGREES}"
_ONLY_ADMISSION: Final = "only admission writes this field"


def seal(witness: Witness, review: Review) -> Reply:
    """Answer the mutating review."""
    if review.operation == "UPDATE" and unchanged(review, "spec"):
        reply = kept(review, "publication")
        return _agree(witness, review, reply) if _asks_to_agree(review) else reply
    _refuse_agreeing_unread(review)
    if "publication" in review.obj and not (review.old is not None and unchanged(review, "publication")):
        raise Refused(_ONLY_ADMISSION, where="publication", mend="leave it out")
    content = dumps(review.obj.get("spec"))
    if len(content) > MAX_POLICY:
        raise Refused(f"{len(content)} bytes are more than {MAX_POLICY}", where="spec", mend="split the policy")
    check_conditions(read_policy(review.obj.get("spec")))
    who = _publisher(witness, review)
    if review.dry_run:
        return Reply()
    before = _in_force(witness, review)
    value: Json = {**_signed(witness, review, who, content), **({"inForce": before} if before is not None else {})}
    return Reply(patch=({"op": "add", "path": "/publication", "value": value},))


def check(witness: Witness, review: Review) -> Reply:
    """Answer the validating review: the publication is in the archive, of this text, by whoever sent the request; and so is an agreement.

    Taking a policy away can make a route laxer, so that only a publisher may delete one.
    """
    if review.operation == "DELETE":
        _publisher(witness, review)
        return Reply()
    if review.operation == "UPDATE" and unchanged(review, "spec"):
        _check_agreement(witness, review)
        return Reply()
    _refuse_agreeing_unread(review)
    who = _publisher(witness, review)
    statement = text_at(review.obj, "publication", "statement")
    if review.dry_run and (not statement or review.old is not None):
        return Reply()
    if not statement:
        raise Refused("admission has not published this policy", where="publication", mend="apply it again")
    _require_statement(witness, review, _member(review.obj, "publication"), who, "publication")
    publication = _member(review.obj, "publication")
    if "second" in publication:
        raise Refused("nobody has read this text yet, and so nobody agrees", where="publication.second", mend="leave it out")
    if publication.get("inForce") != _in_force(witness, review):
        raise Refused("is not what was in force", where="publication.inForce", mend="leave it out")
    return Reply()


def _asks_to_agree(review: Review) -> bool:
    """Whether the request sets the annotation by which a publisher agrees."""
    asked = text_at(review.obj, "metadata", "annotations", AGREES)
    return bool(asked) and asked != text_at(review.old or {}, "metadata", "annotations", AGREES)


def _refuse_agreeing_unread(review: Review) -> None:
    if _asks_to_agree(review):
        raise Refused(
            "nobody agrees to a text before it was published",
            where=_WHERE,
            mend="leave it out; agree after it was published: kubectl signoff policy agree NAME",
        )


def _agree(witness: Witness, review: Review, as_it_is: Reply) -> Reply:
    """Sign the second publisher's statement, over the very text that was published (rule 4); ``as_it_is`` leaves the publication alone."""
    who, content = _second_publisher(witness, review)
    publication = _member(review.old or {}, "publication")
    if "second" in publication:
        earlier = _member(publication, "second")
        same = (earlier.get("issuer"), earlier.get("subject")) == (who.principal.issuer, who.principal.subject)
        told = f"{earlier.get('name')} agreed to this text at {earlier.get('time')}, and your agreement is not needed"
        return replace(as_it_is, warnings=() if same else (told,))
    if review.dry_run:
        return as_it_is
    try:
        second = _signed(witness, review, who, content)
    except ArchiveError as error:
        raise Refused(f"nobody has agreed, for the archive does not answer ({error})", mend="it is safe to try again") from error
    value: Json = {**_without(publication, "inForce"), "second": second}
    return Reply(patch=({"op": "add", "path": "/publication", "value": value},))


def _second_publisher(witness: Witness, review: Review) -> tuple[Resolved, bytes]:
    """Return who agrees, and the published text that they agree to; `Refused` says why they cannot."""
    who = _publisher(witness, review)
    publication = _member(review.old or {}, "publication")
    statement = text_at(publication, "statement")
    if text_at(review.obj, "metadata", "annotations", AGREES) != statement:
        raise Refused(
            f"is not the statement that is published now ({statement or 'none is'})",
            where=_WHERE,
            mend="read the policy again, then agree: kubectl signoff policy agree NAME",
        )
    first = _require_statement(witness, review, publication, None, "publication")
    if first.publisher.is_same(who.principal):
        raise Refused(
            f"{who.principal.subject} published this text, and cannot be the second who agrees to it", mend="have another publisher agree"
        )
    return who, dumps(review.obj.get("spec"))


def _check_agreement(witness: Witness, review: Review) -> None:
    """Look at an update that leaves the text as it is: the publication stays, but for the agreement that this very request brings."""
    if not _asks_to_agree(review):
        if not unchanged(review, "publication"):
            raise Refused(_ONLY_ADMISSION, where="publication", mend="leave it as it is")
        return
    who, _ = _second_publisher(witness, review)
    publication, before = _member(review.obj, "publication"), _member(review.old or {}, "publication")
    if unchanged(review, "publication"):
        if "second" not in publication and not review.dry_run:
            raise Refused("admission has not signed this agreement", where=_WHERE, mend="agree again")
        return
    if "second" in before or _without(publication, "second") != _without(before, "inForce"):
        raise Refused(_ONLY_ADMISSION, where="publication", mend="leave it as it is")
    _require_statement(witness, review, _member(publication, "second"), who, "publication.second")


def _require_statement(witness: Witness, review: Review, said: Mapping[str, Json], who: Resolved | None, where: str) -> PublishedPolicy:
    """Return what the statement that ``said`` names says, if it is of this very policy, shown as it is, and by ``who`` (None: anybody)."""
    digest = parse_digest(text_at(said, "statement"), f"{where}.statement")
    bundle = read_bundle(witness.reader.policy(digest).bundle, where)
    signed_by(bundle, witness.reader.trust, where)
    published = read_statement(PolicyStatement, bundle.payload, POLICY_TYPE, where).predicate
    name_and_text = (text_at(review.obj, "metadata", "name"), b64encode(dumps(review.obj.get("spec"))))
    if bundle.digest != digest or (published.name, published.content) != name_and_text:
        raise Refused("is of another policy, or of another text", where=where, mend="a policy publisher must apply the policy again")
    if who is not None and not published.publisher.is_same(who.principal):
        raise Refused("is by somebody else", where=where, mend="leave it out")
    if any(text_at(said, name) != shown for name, shown in _shown(published).items()):
        raise Refused("says other than what was published", where=where, mend="leave it out")
    return published


def _in_force(witness: Witness, review: Review) -> Json:
    """Return the statements of what stays in force until a changed text is agreed to (rule 5); None where nothing does."""
    if not witness.reader.trust.policies.fourEyes:
        return None
    before = _member(review.old or {}, "publication")
    if "second" not in before:
        return before.get("inForce")
    return {"statement": text_at(before, "statement"), "second": text_at(before, "second", "statement")}


def _member(value: Mapping[str, Json], name: str) -> Mapping[str, Json]:
    found = value.get(name)
    return found if isinstance(found, Mapping) else {}


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
        "name": text_at(review.obj, "metadata", "name"),
        "content": b64encode(content),
        "cluster": witness.cluster_name,
        "publisher": as_json(who.principal),
        "method": who.method,
        "time": format_time(witness.now()),
    }
    return parse(PublishedPolicy, dumps(value), "policy")


def _without(value: Mapping[str, Json], name: str) -> dict[str, Json]:
    return {one: item for one, item in value.items() if one != name}


def _signed(witness: Witness, review: Review, who: Resolved, content: bytes) -> dict[str, Json]:
    """Return what the resource shows of a publisher's statement over this text, which is signed and in the archive by then."""
    policy = _publication(witness, review, who, content)
    bundle = policy_bundle(policy, content, witness.signer)
    digest = read_bundle(bundle, "policy").digest
    _archive(witness, digest, bundle)
    return {"statement": digest, **_shown(policy)}


def _shown(policy: PublishedPolicy) -> dict[str, str]:
    publisher = policy.publisher
    return {"issuer": publisher.issuer, "subject": publisher.subject, "name": publisher.name, "time": policy.time}


def _archive(witness: Witness, digest: Digest, bundle: bytes) -> None:
    try:
        witness.store.create(layout.statement("policy", digest), bundle)
    except Exists:
        # Within one second the same person published the same text: the statement is the same, only its signature differs.
        witness.reader.policy(digest)
