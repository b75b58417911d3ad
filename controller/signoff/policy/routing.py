"""From published policies to a route.

1. A policy covers a request when one of its ``models`` matches the model's name and a namespace in which it shall run (by globs).
   Where the request itself lies does not matter, so that nobody routes it by choosing a place for it; and each namespace of the target must
   be covered, so that no policy speaks for another's namespace.
2. Within a policy the first matching rule wins; in this version a rule has no condition, so the first rule matches.
3. Several policies cover a request: the strictest wins. Stricter is the lower tier, then the larger quorum, then four eyes, then the
   higher assurance; the policy's name breaks what is left, so that two processes route alike. At most 32 can be considered. The strictest
   must include what each of the others asks for, the same roles by the same groups; else there is no route.
4. A namespace that no policy covers: there is no route, and nothing can be promoted.
5. A frozen route holds while the policies in force would not route more strictly.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase
from typing import Annotated, Final, Self

from pydantic import Field, StringConstraints, model_validator

from signoff.errors import SignoffError
from signoff.record.canonical import Json, dumps, refuse_ambiguous
from signoff.record.freeze import ConsideredPolicy, Requirement, RoleName, Route, Tier
from signoff.record.request import Spec
from signoff.record.values import Closed, Digest, parse

Glob = Annotated[str, StringConstraints(pattern=r"^[a-z0-9*?]([a-z0-9._/*?-]{0,198}[a-z0-9*?])?$")]

MAX_POLICY: Final = 64 * 1024
MAX_CONSIDERED: Final = 32
_TIERS: Final[tuple[Tier, ...]] = ("tier-1", "tier-2", "tier-3")
_ASSURANCES: Final = ("api-server", "session", "fresh-login", "passkey")


class NoRoute(SignoffError):
    """No published policy covers the request."""


class Coverage(Closed):
    """Which models a policy covers, in which namespaces of the target: a name and a namespace must match."""

    names: Annotated[tuple[Glob, ...], Field(min_length=1, max_length=64)]
    namespaces: Annotated[tuple[Glob, ...], Field(min_length=1, max_length=64)]


class Rule(Closed):
    """A named rule and the tier that it leads to."""

    name: RoleName
    tier: Tier


class PolicySpec(Closed):
    """``PromotionPolicy.spec``."""

    models: Annotated[tuple[Coverage, ...], Field(min_length=1, max_length=64)]
    rules: Annotated[tuple[Rule, ...], Field(min_length=1, max_length=64)]
    tiers: Annotated[dict[Tier, Requirement], Field(min_length=1)]

    @model_validator(mode="after")
    def _tiers_can_be_met(self) -> Self:
        if len({rule.name for rule in self.rules}) != len(self.rules):
            raise ValueError("two rules bear one name; a name says which rule led to a tier")
        for rule in self.rules:
            if rule.tier not in self.tiers:
                raise ValueError(f"rule {rule.name} leads to {rule.tier}, which tiers does not describe")
        for tier, requirement in self.tiers.items():
            _refuse_unmeetable(tier, requirement)
        return self

    def covers(self, model: str, namespace: str) -> bool:
        """Whether this policy speaks of this model in this namespace (rule 1)."""
        return any(_any_matches(one.names, model) and _any_matches(one.namespaces, namespace) for one in self.models)


@dataclass(frozen=True)
class Published:
    """A policy that counts: its name, its text, and the digest of the statement that published it."""

    name: str
    spec: PolicySpec
    statement: Digest


def read_policy(spec: Json, where: str = "spec") -> PolicySpec:
    """Return a policy's spec, checked; `RecordError` names the first field that is wrong."""
    refuse_ambiguous(spec, where)
    return parse(PolicySpec, dumps(spec), where)


def route(spec: Spec, policies: Sequence[Published]) -> Route:
    """Return who must decide on a request, by the published policies; `NoRoute` where they do not cover it (rule 4)."""
    name, namespaces = spec.model.name, spec.target.namespaces
    for namespace in namespaces:
        if not any(one.spec.covers(name, namespace) for one in policies):
            raise NoRoute(
                f"no published policy covers the model {name} in namespace {namespace}",
                where="spec.target.namespaces",
                mend="ask a policy publisher for a PromotionPolicy that names it",
            )
    covering = sorted(
        (one for one in policies if any(one.spec.covers(name, namespace) for namespace in namespaces)), key=lambda one: one.name
    )
    if len(covering) > MAX_CONSIDERED:
        raise NoRoute(
            f"{len(covering)} published policies cover the model {name}, and at most {MAX_CONSIDERED} can be considered",
            where="spec.model.name",
            mend="ask the policy publishers to merge them",
        )
    strictest = _strictest(covering)
    return Route(
        tier=strictest.spec.rules[0].tier,
        policy=strictest.name,
        rule=strictest.spec.rules[0].name,
        requirement=_requirement(strictest),
        considered=tuple(
            ConsideredPolicy(name=one.name, statement=one.statement, rule=one.spec.rules[0].name, tier=one.spec.rules[0].tier)
            for one in covering
        ),
        inputs={"environment": spec.target.environment, "model": name, "namespaces": ", ".join(namespaces)[:256]},
    )


def _strictest(covering: Sequence[Published]) -> Published:
    strictest = min(covering, key=lambda one: (laxity(one.spec.rules[0].tier, _requirement(one)), one.name))
    for one in covering:
        if not includes(_requirement(strictest), _requirement(one)):
            raise NoRoute(
                f"the policies {strictest.name} and {one.name} ask for different people, and neither speaks for the other",
                where="spec.target.namespaces",
                mend="make one request for each namespace, or ask the policy publishers to agree",
            )
    return strictest


def includes(asked: Requirement, other: Requirement) -> bool:
    """Whether whoever satisfies ``asked`` has satisfied ``other`` too: as many people in the same roles by the same groups, or more."""
    roles = {(role.name, frozenset(role.groups)): role.count for role in asked.roles}
    return (
        asked.quorum >= other.quorum
        and (asked.fourEyes or not other.fourEyes)
        and _ASSURANCES.index(asked.assurance) >= _ASSURANCES.index(other.assurance)
        and all(roles.get((role.name, frozenset(role.groups)), 0) >= role.count for role in other.roles)
    )


def is_stricter(now: Route, frozen: Route) -> bool:
    """Whether ``now`` asks for more than ``frozen`` does, or for other people (rule 5)."""
    return _TIERS.index(now.tier) < _TIERS.index(frozen.tier) or not includes(frozen.requirement, now.requirement)


def asks_the_same(now: Route, frozen: Route) -> bool:
    """Whether both routes lead to the same tier and requirement by the same policy and rule, however often it was published since."""
    return (now.tier, now.policy, now.rule, now.requirement) == (frozen.tier, frozen.policy, frozen.rule, frozen.requirement)


def _requirement(policy: Published) -> Requirement:
    return policy.spec.tiers[policy.spec.rules[0].tier]


def laxity(tier: Tier, requirement: Requirement) -> tuple[int, int, bool, int]:
    """Return what policies are ordered by: the strictest comes first (rule 3)."""
    return _TIERS.index(tier), -requirement.quorum, not requirement.fourEyes, -_ASSURANCES.index(requirement.assurance)


def _any_matches(globs: Sequence[str], text: str) -> bool:
    return any(fnmatchcase(text, glob) for glob in globs)


def _refuse_unmeetable(tier: Tier, requirement: Requirement) -> None:
    if tier == "tier-3":
        raise ValueError("tier-3 is decided by the policy engine, which this version does not have; use tier-2")
    if requirement.assurance != "api-server":
        raise ValueError(f"{tier} asks for {requirement.assurance}, which this version cannot prove; use api-server")
    if not requirement.fourEyes:
        raise ValueError(f"{tier} must ask for four eyes: whoever asks for a promotion cannot approve it")
    names = [role.name for role in requirement.roles]
    if len(set(names)) != len(names):
        raise ValueError(f"{tier} names a role twice")
    if sum(role.count for role in requirement.roles) > requirement.quorum:
        raise ValueError(f"{tier} asks for more people in its roles than its quorum; raise the quorum")
    if any(re.match(r"system:", group) for role in requirement.roles for group in role.groups):
        raise ValueError(f"{tier} names a system: group; name a group of people")
