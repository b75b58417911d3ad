"""The rules of a single outcome, in the order in which `verifier` lists them. Each raises with what is wrong, or says nothing."""

from __future__ import annotations

from collections.abc import Mapping

from signoff.decision.checks import ENDED
from signoff.decision.delegations import grantor_of
from signoff.decision.frozen import believe_on, believe_submissions
from signoff.decision.seals import CouldNotTell, Filed, KeyNotValid, NotBelieved, believe_seal, require_key, signed_by
from signoff.policy.conditions import NoAnswer
from signoff.policy.facts import OWED, PASSED_OVER
from signoff.policy.quorum import Vote, tally
from signoff.policy.routing import check_for, check_input, includes, is_short, laxity
from signoff.policy.schema import PolicySpec
from signoff.record.canonical import Json, b64decode
from signoff.record.freeze import EMERGENCY, ConsideredPolicy, is_claimed
from signoff.record.promotion import (
    PROMOTION_TYPE,
    REJECTION_TYPE,
    explanation_artefact,
    model_version,
    sort_key,
    subjects,
)
from signoff.record.request import request_id
from signoff.record.trust import Answer
from signoff.record.values import sha256
from signoff.verify.case import Case, required

_REQUEST = "event.predicate.approvalRequest"


def form(case: Case) -> None:
    """Rule 1."""
    required(case.outcome.strict_bundle)


def signature(case: Case) -> None:
    """Rule 2."""
    signed_by(case.bundle, case.trust, "event")


def key(case: Case) -> None:
    """Rule 3."""
    named = case.trust.key(case.bundle.key_id)
    if named is None:
        raise NotBelieved("signed under a key that the trust file does not name", where="event")
    require_key(named, "event", case.freeze.cluster, case.target, case.outcome.filed.stored_at, "event")


def predicate_type(case: Case) -> None:
    """Rule 4."""
    if case.statement.predicateType not in {PROMOTION_TYPE, REJECTION_TYPE}:
        raise NotBelieved(f"a {case.statement.predicateType[:200]} is no outcome of a promotion", where="event.predicateType")


def schema(case: Case) -> None:
    """Rule 5."""
    required(case.outcome.strict_statement)
    required(case.outcome.strict_freeze)


def payload(case: Case) -> None:
    """Rule 6."""
    if sha256(case.payload) != case.statement.predicate.approvalRequest.digest:
        raise NotBelieved("the payload does not hash to the digest beside it", where=_REQUEST)
    if case.statement.subject != subjects(case.freeze, case.payload):
        raise NotBelieved("the subjects are not those of the payload", where="event.subject")
    spec = case.freeze.request.spec
    shown = (case.freeze.datasets, case.freeze.explanation.mediaType, case.freeze.explanation.digest)
    asked = (spec.datasets, spec.explanation.mediaType, spec.explanation.digest)
    if shown != asked or not is_claimed(case.freeze.comparison, spec):
        raise NotBelieved("the payload shows other than its request asks for", where=f"{_REQUEST}.content")


def projections(case: Case) -> None:
    """Rule 7."""
    told = case.statement.predicate
    pairs = {
        "modelVersion": (told.modelVersion, model_version(case.freeze)),
        "challengerComparison": (told.challengerComparison, case.freeze.comparison),
        "explanationArtefact": (told.explanationArtefact, explanation_artefact(case.freeze)),
        "datasetReference": (told.datasetReference, case.freeze.datasets),
    }
    for field, (said, decided_on) in pairs.items():
        if said != decided_on:
            raise NotBelieved("says other than the payload that was decided on", where=f"event.predicate.{field}")
    for index, entry in enumerate(told.approver):
        where = f"event.predicate.approver[{index}]"
        if entry.decided != case.seals[index].decided(where):
            raise NotBelieved("says other than its seal", where=where)
    keys = [sort_key(entry.decided) for entry in told.approver]
    if keys != sorted(keys):
        raise NotBelieved("the seals are not in their order", where="event.predicate.approver")


def identity(case: Case) -> None:
    """Rule 8."""
    value = case.outcome.payload_value
    request = value.get("request") if isinstance(value, Mapping) else None
    if not isinstance(request, Mapping):
        raise NotBelieved("holds no request", where=f"{_REQUEST}.content")
    hashed = request_id(_five(request))
    if not hashed == case.freeze.id == case.statement.predicate.approvalRequest.id:
        raise NotBelieved(f"the request hashes to the id {hashed}, which the event does not bear", where=f"{_REQUEST}.id")
    if case.outcome.slot is not None and case.outcome.slot != hashed:
        raise NotBelieved(f"lies under the id {case.outcome.slot}, but is the outcome of {hashed}", where="event")


def submission(case: Case) -> None:
    """Rule 9."""
    believe_submissions(case.freeze, case.trust, case.outcome.filed.stored_at, f"{_REQUEST}.content")


def seals(case: Case) -> None:
    """Rule 10."""
    verdict = "Approve" if case.statement.predicateType == PROMOTION_TYPE else "Reject"
    digest = sha256(case.payload)
    for index, inside in enumerate(case.seals):
        where = f"event.predicate.approver[{index}].seal"
        seal = believe_seal(required(inside.opened), inside.filed, case.trust, case.target, where).seal
        believe_on(seal, inside.filed, case.trust, case.freeze, digest, where)
        if seal.decided.verdict != verdict:
            raise NotBelieved(f"says {seal.decided.verdict}, not {verdict}", where=where)


def policies(case: Case) -> None:
    """Rule 11."""
    for considered in case.freeze.route.considered:
        published = case.published(considered)
        if published.name != considered.name:
            raise NotBelieved(f"{considered.statement} is the policy {published.name}, not {considered.name}", where="event.route")


def route(case: Case) -> None:
    """Rule 12."""
    frozen = case.freeze.route
    chosen = [one for one in frozen.considered if one.name == frozen.policy]
    if len(chosen) != 1 or (chosen[0].rule, chosen[0].tier) != (frozen.rule, frozen.tier):
        raise NotBelieved("the route's policy, rule and tier are not those of a policy considered", where="event.route")
    asked: list[tuple[tuple[int, int, bool, int], str]] = []
    for considered in frozen.considered:
        policy = case.published(considered).spec
        if policy.leads_to(considered.rule) != considered.tier:
            raise NotBelieved(f"the policy {considered.name} has no rule {considered.rule} for {considered.tier}", where="event.route")
        if frozen.tier == "tier-3":  # where people decided, the check that would have spared them settles nothing
            _rests_on_check(case, considered, policy)
        if not includes(frozen.requirement, policy.tiers[considered.tier]):
            raise NotBelieved(f"the policy {considered.name} asks for people whom the route does not", where="event.route")
        if considered.name == frozen.policy and policy.tiers[frozen.tier] != frozen.requirement:
            raise NotBelieved(f"the policy {frozen.policy} asks for something else in {frozen.tier}", where="event.route.requirement")
        asked.append((laxity(considered.tier, policy.tiers[considered.tier]), considered.name))
    hasty = any(case.published(one).spec.is_emergency(one.rule) for one in frozen.considered)
    if hasty != (EMERGENCY in frozen.inputs):
        raise NotBelieved("does not say of itself whether it is an emergency, as its policies do", where="event.route.inputs")
    if hasty and not is_short(case.freeze.request.spec.hours):
        raise NotBelieved("an emergency is promoted for at most 24 hours", where="event.route.inputs")
    if min(asked)[1] != frozen.policy:
        raise NotBelieved("a stricter policy was considered than the one that was followed", where="event.route")


def _rests_on_check(case: Case, considered: ConsideredPolicy, policy: PolicySpec) -> None:
    """Raise unless the rule that led to tier 3 has its check, one that counts, and the inputs name it (rule 12)."""
    rule = policy.rule(considered.rule)
    if rule is None or rule.check is None:
        raise NotBelieved(f"the rule {considered.rule} of {considered.name} rests on no check, and leads to tier-3", where="event.route")
    if any(one.key in policy.keys_of(rule) and one.flaw == ENDED for one in case.checks):
        raise KeyNotValid("the key of the check that tier 3 rests on was not valid when this was stored", where="event.route")
    try:
        check = check_for(policy, rule, case.checks)
    except NoAnswer as error:
        raise NotBelieved(error.what, where="event.route") from None
    if {OWED, PASSED_OVER} & case.freeze.route.inputs.keys():
        raise NotBelieved("rests on a check against what does not count as live for this target", where="event.route.inputs")
    if case.freeze.route.inputs.get(check_input(considered.rule, considered.name)) != check.digest:
        raise NotBelieved(f"does not name the check that {considered.rule} of {considered.name} rests on", where="event.route.inputs")


def quorum(case: Case) -> None:
    """Rule 13."""
    _require_kind(case)
    told = case.statement.predicate.approver
    people = {sort_key(entry.decided) for entry in told}
    if len(people) != len(told):
        raise NotBelieved("one person's decision stands twice", where="event.predicate.approver")
    groups = {role.name: set(role.groups) for role in case.freeze.route.requirement.roles}
    for entry in told:
        if any(not groups.get(role, set()) & set(entry.decided.groups) for role in entry.decided.roles):
            raise NotBelieved(f"{entry.decided.principal.name} bears a role without its group", where="event.predicate.approver")
    result = tally(case.freeze, [Vote(entry.decided.principal, entry.decided.roles, grantor_of(entry.decided)) for entry in told])
    if len(result.counted) != len(told):
        raise NotBelieved("holds the decision of somebody who asked for it, or who holds no role", where="event.predicate.approver")
    if case.statement.predicateType == PROMOTION_TYPE and not result.reached:
        raise NotBelieved(f"too few decided: {', '.join(result.missing)}", where="event.predicate.approver")


def _require_kind(case: Case) -> None:
    """Raise unless a policy engine decided in tier 3, and none in any other."""
    wanted = case.freeze.route.tier == "tier-3"
    if wanted and case.statement.predicateType == REJECTION_TYPE:
        raise NotBelieved("the policy engine rejects nothing", where="event.predicateType")
    for entry in case.statement.predicate.approver:
        who = entry.decided.principal
        if wanted and entry.decided.delegation:
            raise NotBelieved(f"{who.subject} decides in nobody's name in tier 3", where="event.predicate.approver")
        answer = case.trust.engine(who.issuer, who.subject, case.outcome.filed.stored_at)
        if answer is Answer.UNKNOWN:
            raise CouldNotTell(f"when {who.subject} decided as a policy engine is not known", mend="verify it in the archive")
        if wanted and answer is Answer.NO and case.trust.was_engine(who.issuer, who.subject):
            raise KeyNotValid(f"{who.subject} was no policy engine when this was stored", where="event.predicate.approver")
        if (answer is Answer.YES) != wanted:
            named = "is no policy engine in the trust file, and tier-3 is decided by one" if wanted else "is a policy engine, and no person"
            raise NotBelieved(f"{who.subject} {named}", where="event.predicate.approver")


def _five(request: Mapping[str, Json]) -> dict[str, Json]:
    return {name: request.get(name) for name in ("group", "kind", "namespace", "name", "spec")}


def _filed(case: Case, bundle: str, where: str) -> Filed:
    return Filed(b64decode(bundle, where), case.outcome.filed.stored_at)
