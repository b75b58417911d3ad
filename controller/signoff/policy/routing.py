"""From published policies to a route.

1. A policy covers a request when one of its ``models`` matches the model's name and a namespace in which it shall run (by globs).
   Where the request itself lies does not matter, so that nobody routes it by choosing a place for it; and each namespace of the target must
   be covered, so that no policy speaks for another's namespace.
2. Within a policy the first rule whose condition holds gives the tier. Where none holds, or one cannot be told, it is the strictest tier
   that the policy describes. An emergency rule holds for a promotion of at most 24 hours alone, and
   not while what is live owes a full approval itself.
   A rule for tier 3 that cannot be told does not hold: whatever comes after it is no laxer, and the inputs say why it was passed over.
   Nor does it while what is live is not what counts as history, or owes a full approval: a check against it would bear out what people
   have not decided on for this place.
3. After that each rule under ``raise`` that holds, or cannot be told, makes the tier stricter or changes nothing; the strictest of them
   stands, the first among equals.
4. Several policies cover a request: the strictest wins. Stricter is the lower tier, then the larger quorum, then four eyes, then the
   higher assurance; the policy's name breaks what is left, so that two processes route alike. At most 32 can be considered. The strictest
   must include what each of the others asks for, the same roles by the same groups; else there is no route. People stand in for the
   policy engine: every other tier includes tier 3.
5. A namespace that no policy covers: there is no route, and nothing can be promoted.
6. A frozen route holds while the policies in force would not route more strictly.
7. A rule that rests on a check sees the one check of its checker's that the request brings along; where there is none, or several, or it
   does not count, or its reference data are none that the policy names, that cannot be told. The inputs say of each check that it counts,
   or why not.
8. ``inputs`` holds what the rules saw and the payload does not say elsewhere. It is the same wherever it is derived: no evaluator's
   words stand in it.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Final, Literal

from signoff.errors import SignoffError
from signoff.policy.conditions import NoAnswer, holds
from signoff.policy.facts import INCUMBENT, OWED, PASSED_OVER, Facts, History, Measured, facts_of, history_of
from signoff.policy.schema import EMERGENCY_HOURS, FAILED, TIERS, UNMATCHED, PolicySpec, Published, Rule
from signoff.record.check import COUNTS, standing_input
from signoff.record.freeze import EMERGENCY, ConsideredPolicy, Freeze, Requirement, Route, Tier
from signoff.record.request import Spec

MAX_CONSIDERED: Final = 32
_FIGURE: Final = re.compile(r"""\bcheck\s*\[\s*["']([^"']{1,64})["']\s*\]""")
_ASSURANCES: Final = ("api-server", "session", "fresh-login", "passkey")

Answer = Literal["holds", "does not hold", "cannot be told", "not asked"]


_NOT_COUNTED: Final = "what is live went live in an emergency, or for less than this target, and nothing is measured against it"


class NoRoute(SignoffError):
    """No published policy covers the request."""


@dataclass(frozen=True)
class Step:
    """One rule as it was looked at: of ``rules`` or of ``raise``, and what came of it; ``why`` where it could not be told, and ``check`` is
    the one that it rests on. ``passed_over`` says in words of ours why tier 3 was not for this request; it goes into the record.
    """

    rule: Rule
    raising: bool
    answer: Answer
    why: str = ""
    check: Measured | None = None
    passed_over: str = ""


@dataclass(frozen=True)
class Judged:
    """What one policy makes of a request (rules 2 and 3). ``before`` is the rule that had led to the tier before it was raised."""

    policy: Published
    rule: str
    tier: Tier
    before: str
    steps: tuple[Step, ...]
    model_class: str = ""

    @property
    def step(self) -> Step | None:
        """The rule that led to the tier, as it was looked at; None where no rule did."""
        return next((step for step in self.steps if step.rule.name == self.rule), None)

    @property
    def requirement(self) -> Requirement:
        """What the tier asks for."""
        return self.policy.spec.tiers[self.tier]


def judge(policy: Published, seen: Facts) -> Judged:
    """Return what a policy makes of these facts, rule by rule."""
    steps = list(_matching(policy.spec, seen))
    last = steps[-1]
    if last.answer == "holds":
        rule, tier = last.rule.name, last.rule.tier
    else:
        rule, tier = FAILED if last.answer == "cannot be told" else UNMATCHED, policy.spec.strictest
    before = f"{rule} ({tier})"
    steps += [Step(one, raising=False, answer="not asked") for one in policy.spec.rules[len(steps) :]]
    for one in policy.spec.raising:
        step = _asked(policy.spec, one, seen, raising=True)
        steps.append(step)
        if step.answer != "does not hold" and TIERS.index(one.tier) < TIERS.index(tier):
            rule, tier = one.name, one.tier
    return Judged(policy, rule, tier, before, tuple(steps), seen.model_class)


def judge_strictly(policy: Published, seen: Facts) -> Judged:
    """Return what a policy makes of these facts, in the strictest of the classes that it gives the model in the target's namespaces."""
    each = [judge(policy, replace(seen, model_class=one)) for one in policy.spec.classes_of(seen.model, seen.namespaces)]
    return min(each, key=lambda one: (laxity(one.tier, one.requirement), not policy.spec.is_emergency(one.rule), one.model_class))


def _matching(policy: PolicySpec, seen: Facts) -> Iterable[Step]:
    for rule in policy.rules:
        step = _asked(policy, rule, seen, raising=False)
        yield step
        if step.answer != "does not hold":
            return


def is_short(hours: int) -> bool:
    """Whether a promotion for so many hours may be one in an emergency; 0 is without end."""
    return 0 < hours <= EMERGENCY_HOURS


def check_for(policy: PolicySpec, rule: Rule, checks: Iterable[Measured]) -> Measured:
    """Return the check that a rule rests on, of those that a request brings along; `NoAnswer` says why it has none that counts (rule 7)."""
    found = [one for one in checks if one.key in policy.keys_of(rule)]
    if len(found) != 1:
        raise NoAnswer(f"{'several checks' if found else 'no check'} by the checker {rule.check}")
    if found[0].flaw:
        raise NoAnswer(f"the check by {rule.check} does not count: {found[0].flaw}")
    wanted = policy.references_of(rule)
    if wanted and not (found[0].references and set(found[0].references) <= set(wanted)):
        raise NoAnswer(f"the check by {rule.check} used other reference data than the policy names")
    return found[0]


def _asked(policy: PolicySpec, rule: Rule, seen: Facts, *, raising: bool) -> Step:
    if rule.emergency and not is_short(seen.hours):
        return Step(rule, raising, "does not hold", f"an emergency is promoted for at most {EMERGENCY_HOURS} hours (spec.validFor)")
    if rule.emergency and seen.history.owed:
        return Step(rule, raising, "does not hold", "what is live went live in an emergency, and owes a full approval first")
    if rule.tier == "tier-3" and seen.history.passed_over:
        return Step(rule, raising, "does not hold", _NOT_COUNTED, passed_over=_NOT_COUNTED)
    check: Measured | None = None
    try:
        if rule.check is not None:
            check = check_for(policy, rule, seen.checks)
    except NoAnswer as error:
        return _unanswered(rule, raising, error.what, None, error.what)
    figures = {name: float(value) for name, value in check.figures.items()} if check is not None else None
    try:
        answer = rule.when is None or holds(rule.when, seen.by_name, claims=raising, check=figures)
    except NoAnswer as error:
        return _unanswered(rule, raising, error.what, check, "its condition cannot be told")
    if answer or rule.tier != "tier-3":
        return Step(rule, raising, "holds" if answer else "does not hold", check=check)
    return Step(rule, raising, "does not hold", check=check, passed_over=_measured(rule, check))


def _unanswered(rule: Rule, raising: bool, why: str, check: Measured | None, passed_over: str) -> Step:
    if rule.tier == "tier-3":
        return Step(rule, raising, "does not hold", why, check, passed_over)
    return Step(rule, raising, "cannot be told", why, check)


def _measured(rule: Rule, check: Measured | None) -> str:
    """Return in words that a condition does not hold, with the figures that it names."""
    names = dict.fromkeys(_FIGURE.findall(rule.when or ""))
    figures = ", ".join(f"{name} is {check.figures[name]}" for name in names if check is not None and name in check.figures)
    return f"its condition does not hold{': ' if figures else ''}{figures}"


def route(spec: Spec, policies: Sequence[Published], history: History, checks: Sequence[Measured] = ()) -> Route:
    """Return who must decide on a request, by the published policies; `NoRoute` where they do not cover it (rule 5). ``checks`` are those
    that it brings along, believed or with what is wrong with them.
    """
    seen = facts_of(spec, history, checks)
    judged = [judge_strictly(one, seen) for one in covering(spec, policies)]
    strictest = _strictest(judged)
    return Route(
        tier=strictest.tier,
        policy=strictest.policy.name,
        rule=strictest.rule,
        requirement=strictest.requirement,
        considered=tuple(
            ConsideredPolicy(name=one.policy.name, statement=one.policy.statement, second=one.policy.second, rule=one.rule, tier=one.tier)
            for one in judged
        ),
        inputs=_inputs(spec, judged, history, checks),
    )


def derived_again(freeze: Freeze, policies: Sequence[Published], checks: Sequence[Measured]) -> bool:
    """Whether the frozen route follows from the policies that it names and from what the payload holds, and from nothing else."""
    try:
        return route(freeze.request.spec, policies, history_of(freeze), checks) == freeze.route
    except NoRoute:
        return False


def covering(spec: Spec, policies: Sequence[Published]) -> list[Published]:
    """Return the policies that cover a request, by name; `NoRoute` where they are none or too many (rules 4 and 5)."""
    name, namespaces = spec.model.name, spec.target.namespaces
    for namespace in namespaces:
        if not any(one.spec.covers(name, namespace) for one in policies):
            raise NoRoute(
                f"no published policy covers the model {name} in namespace {namespace}",
                where="spec.target.namespaces",
                mend="ask a policy publisher for a PromotionPolicy that names it",
            )
    found = sorted((one for one in policies if one.spec.speaks_of(name, namespaces)), key=lambda one: one.name)
    if len(found) > MAX_CONSIDERED:
        raise NoRoute(
            f"{len(found)} published policies cover the model {name}, and at most {MAX_CONSIDERED} can be considered",
            where="spec.model.name",
            mend="ask the policy publishers to merge them",
        )
    return found


def _strictest(judged: Sequence[Judged]) -> Judged:
    strictest = min(judged, key=lambda one: (laxity(one.tier, one.requirement), one.policy.name))
    for one in judged:
        if not includes(strictest.requirement, one.requirement):
            raise NoRoute(
                f"the policies {strictest.policy.name} and {one.policy.name} ask for different people, and neither speaks for the other",
                where="spec.target.namespaces",
                mend="make one request for each namespace, or ask the policy publishers to agree",
            )
    return strictest


def _inputs(spec: Spec, judged: Sequence[Judged], history: History, checks: Sequence[Measured]) -> dict[str, str]:
    target = spec.target
    inputs = {"environment": target.environment, "model": spec.model.name, "namespaces": ", ".join(target.namespaces)[:256]}
    if any(one.policy.spec.asks_facts for one in judged):
        inputs |= {INCUMBENT: str(history), "valid for": spec.validFor or "no end"}
    if any(one.policy.spec.is_emergency(one.rule) for one in judged):
        # Whichever policy is followed: without the emergency one of them might have asked for more.
        inputs[EMERGENCY] = f"for {spec.hours} hours; a full approval is owed"
    for check in checks:
        inputs[standing_input(check.digest)] = check.flaw or COUNTS
    if history.passed_over and INCUMBENT in inputs:
        inputs[PASSED_OVER] = "what is live went live in an emergency, or for less than this target"
    if history.owed and INCUMBENT in inputs:
        inputs[OWED] = "what is live went live in an emergency, and nobody has decided on it in full"
    for one in judged:
        if one.step is not None and one.step.rule.when is not None:
            inputs[f"condition of {one.rule}, {one.policy.name}"[:256]] = " ".join(one.step.rule.when.split())[:256]
        if one.step is not None and one.step.check is not None:
            inputs[check_input(one.rule, one.policy.name)] = one.step.check.digest
        inputs |= {f"not by {step.rule.name}, {one.policy.name}"[:256]: step.passed_over[:256] for step in one.steps if step.passed_over}
        if one.model_class:
            inputs[f"class by {one.policy.name}"[:256]] = one.model_class
        if f"{one.rule} ({one.tier})" != one.before:
            inputs[f"raised by {one.policy.name}"[:256]] = f"{one.before} to {one.tier} by {one.rule}"
    return inputs


def check_input(rule: str, policy: str) -> str:
    """Return the input of a route that names the check, by digest, on which a policy's rule rested."""
    return f"check of {rule}, {policy}"[:256]


def includes(asked: Requirement, other: Requirement) -> bool:
    """Whether whoever satisfies ``asked`` has satisfied ``other`` too: as many people in the same roles by the same groups, or more. People
    stand in for the engine (rule 4).
    """
    if other.is_engines and not asked.is_engines:
        return True
    roles = {(role.name, frozenset(role.groups)): role.count for role in asked.roles}
    return (
        asked.quorum >= other.quorum
        and (asked.fourEyes or not other.fourEyes)
        and _ASSURANCES.index(asked.assurance) >= _ASSURANCES.index(other.assurance)
        and all(roles.get((role.name, frozenset(role.groups)), 0) >= role.count for role in other.roles)
    )


def is_stricter(now: Route, frozen: Route) -> bool:
    """Whether ``now`` asks for more than ``frozen`` does, or for other people (rule 6)."""
    hurried = EMERGENCY in now.inputs and EMERGENCY not in frozen.inputs
    return hurried or TIERS.index(now.tier) < TIERS.index(frozen.tier) or not includes(frozen.requirement, now.requirement)


def asks_the_same(now: Route, frozen: Route) -> bool:
    """Whether both routes lead to the same tier and requirement by the same policy and rule and over the same facts, however often it was
    published since.
    """
    return all(getattr(now, name) == getattr(frozen, name) for name in ("tier", "policy", "rule", "requirement", "inputs"))


def laxity(tier: Tier, requirement: Requirement) -> tuple[int, int, bool, int]:
    """Return what policies are ordered by: the strictest comes first (rule 4)."""
    return TIERS.index(tier), -requirement.quorum, not requirement.fourEyes, -_ASSURANCES.index(requirement.assurance)
