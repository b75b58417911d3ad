"""PromotionDelegations at admission: whoever applies one lets somebody else decide in their name.

1. It is created once and not changed; deleting it takes it back, which is asked at each press. What was granted stays in the archive.
2. The grantor is whoever sends the request, and a person; the grantee is named by issuer and subject, of an issuer of people, and is
   somebody else.
3. It holds for at most a year and a day, and not only in the past.
4. The grant (who, whom, which models and tiers, from when until when, and what the API server says of the grantor) is signed and in the
   archive before the review is answered. Nobody else writes ``grant``.
"""

from __future__ import annotations

from datetime import timedelta
from typing import Final

from signoff.archive.store import ArchiveError
from signoff.decision.principals import Resolved
from signoff.decision.seals import delegation_bundle
from signoff.record.bundle import read_bundle, read_statement
from signoff.record.canonical import Json, dumps, text_at
from signoff.record.freeze import Identity
from signoff.record.promotion import as_json
from signoff.record.seal import DELEGATION_TYPE, MAX_GROUPS, Delegation, DelegationScope, DelegationStatement
from signoff.record.values import format_time, parse, parse_time
from signoff.webhook.once import Once
from signoff.webhook.review import Reply, Review
from signoff.webhook.witness import Refused, Witness

LONGEST: Final = timedelta(days=366)
MAX_GRANT: Final = 32 * 1024
_ONCE: Final = Once("delegation", "grant", "grant", "a grant is made once and not changed; delete it to take it back, and make another")


class DelegationSpec(DelegationScope):
    """``PromotionDelegation.spec``."""

    to: Identity


def seal(witness: Witness, review: Review) -> Reply:
    """Answer the mutating review."""
    if review.operation == "UPDATE":
        return _ONCE.update(review)
    _ONCE.refuse_written(review)
    delegation = _delegation(witness, review)
    if review.dry_run:
        return Reply()
    bundle = delegation_bundle(delegation, witness.signer)
    if len(bundle) > MAX_GRANT:
        what = f"the grant, with the groups of {delegation.grantor.name}, has more than {MAX_GRANT} bytes"
        raise Refused(what, mend="write it shorter, or ask whoever runs signoff")
    digest = read_bundle(bundle, "delegation").digest
    try:
        _ONCE.archive(witness, digest, bundle)
    except ArchiveError as error:
        raise Refused(f"nothing was granted, for the archive does not answer ({error})", mend="it is safe to try again") from error
    value: Json = {"statement": digest, **_shown(delegation)}
    return Reply(patch=({"op": "add", "path": "/grant", "value": value},))


def check(witness: Witness, review: Review) -> Reply:
    """Answer the validating review: the grant is in the archive, of this text, by whoever sent the request."""
    if review.operation == "UPDATE":
        return _ONCE.check_update(review)
    wanted = _delegation(witness, review)
    if review.dry_run and "grant" not in review.obj:
        return Reply()
    bundle = _ONCE.signed(witness, review, "apply it again")
    granted = read_statement(DelegationStatement, bundle.payload, DELEGATION_TYPE, "grant").predicate
    if granted.model_copy(update={"time": wanted.time}) != wanted:
        raise Refused("is another grant, or by somebody else", where="grant", mend="leave it out")
    if any(text_at(review.obj, "grant", name) != said for name, said in _shown(granted).items()):
        raise Refused("says other than what was signed", where="grant", mend="leave it out")
    return Reply()


def _delegation(witness: Witness, review: Review) -> Delegation:
    who = witness.who(review)
    spec = parse(DelegationSpec, dumps(review.obj.get("spec")), "spec")
    _require_people(witness, who, spec)
    now, begins, ends = witness.now(), parse_time(spec.validFrom), parse_time(spec.validUntil)
    for wrong, what in (
        (ends <= begins, "ends before it begins"),
        (ends <= now, "has ended already"),
        (ends - begins > LONGEST, "holds for more than a year and a day"),
    ):
        if wrong:
            raise Refused(what, where="spec.validUntil", mend="write from when until when, such as the weeks of a holiday")
    groups = sorted(set(who.groups))
    if len(groups) > MAX_GROUPS:
        raise Refused(
            f"{who.principal.name} is in {len(groups)} groups, and a grant can hold {MAX_GROUPS}", mend="ask whoever runs signoff"
        )
    value: Json = {
        "cluster": witness.cluster_name,
        "name": text_at(review.obj, "metadata", "name"),
        "grantor": as_json(who.principal),
        "username": who.username,
        "groups": groups,
        "grantee": as_json(spec.to),
        **{name: said for name, said in as_json(spec).items() if name in DelegationScope.model_fields},
        "method": who.method,
        "time": format_time(now),
    }
    return parse(Delegation, dumps(value), "delegation")


def _require_people(witness: Witness, who: Resolved, spec: DelegationSpec) -> None:
    if who.kind != "person":
        raise Refused(f"{who.principal.name} is a service, and only a person lets somebody decide in their name")
    people = sorted({one.issuer for one in witness.issuers if one.kind == "person"})
    if spec.to.issuer not in people:
        raise Refused(
            f"{spec.to.issuer} vouches for nobody who decides here", where="spec.to.issuer", mend=f"write one of: {', '.join(people)}"
        )
    if spec.to.is_same(who.principal):
        raise Refused("is yourself", where="spec.to", mend="name who shall decide in your name")


def _shown(delegation: Delegation) -> dict[str, str]:
    grantor = delegation.grantor
    return {"issuer": grantor.issuer, "subject": grantor.subject, "name": grantor.name, "time": delegation.time}
