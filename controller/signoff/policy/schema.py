"""What a PromotionPolicy says: which models it covers, which rules lead to which tier, and what each tier asks for.

1. ``models`` is what the policy covers, by globs, and the class that the risk function gives each: for each namespace the first entry that
   fits says it. A target whose namespaces lead to several classes is judged in each, and the strictest counts.
2. ``rules`` are looked at in order, and the first whose condition holds gives the tier. They see verified facts alone (`conditions`).
3. ``raise`` are rules that see the requester's claims as well. Each that holds makes the tier stricter, or changes nothing.
4. A rule without a condition always holds. Among ``raise`` each has one.
5. Where no rule holds, or a condition cannot be told, the tier is the strictest that the policy describes. The names under which the
   record says so, ``unmatched`` and ``failed``, are no rule's.
6. A rule may be for an emergency: it holds only for a promotion of at most 24 hours, and a full approval is owed from then on.
7. A rule may name a checker, and so rest on a signed check by one of that checker's keys (``checkers``). A rule that leads to tier 3 names
   one and has a condition: what no person decides rests on something measured. Tier 3 is decided by the policy engine, which its one role
   names by the group of the engine's ServiceAccount; it is never what a policy falls back to.
8. Reading a policy evaluates nothing and compiles nothing: what was published stays readable, whatever reads conditions by then.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase
from typing import Annotated, Final, Self

from pydantic import AfterValidator, ConfigDict, Field, StringConstraints, model_validator

from signoff.record.canonical import Json, dumps, refuse_ambiguous
from signoff.record.freeze import ACCOUNTS, Requirement, RoleName, Tier
from signoff.record.values import Closed, Digest, DigestField, Glob, Line, parse, readable

MAX_POLICY: Final = 64 * 1024
MAX_CONDITION: Final = 2_000
EMERGENCY_HOURS: Final = 24
TIERS: Final[tuple[Tier, ...]] = ("tier-1", "tier-2", "tier-3")
UNMATCHED: Final = "unmatched"
FAILED: Final = "failed"

Condition = Annotated[str, StringConstraints(min_length=1, max_length=MAX_CONDITION), AfterValidator(readable)]


class Coverage(Closed):
    """Which models a policy covers, in which namespaces of the target (a name and a namespace must match), and their class."""

    model_config = ConfigDict(serialize_by_alias=True)

    names: Annotated[tuple[Glob, ...], Field(min_length=1, max_length=64)]
    namespaces: Annotated[tuple[Glob, ...], Field(min_length=1, max_length=64)]
    model_class: Annotated[Line | None, Field(alias="class")] = None

    def covers(self, model: str, namespace: str) -> bool:
        """Whether this entry speaks of this model in this namespace."""
        return _any_matches(self.names, model) and _any_matches(self.namespaces, namespace)


class Rule(Closed):
    """A named rule: the tier that it leads to, the checker whose check it rests on, when (CEL; absent: always), and whether it is for an
    emergency.
    """

    name: RoleName
    tier: Tier
    check: RoleName | None = None
    when: Condition | None = None
    emergency: bool | None = None


class Checker(Closed):
    """Whose signed checks count: by keys of these ids, as the trust file names them; and, where ``reference`` is given, only those whose
    reference data are among these, by digest.
    """

    keys: Annotated[tuple[DigestField, ...], Field(min_length=1, max_length=16)]
    reference: Annotated[tuple[DigestField, ...], Field(min_length=1, max_length=64)] | None = None


class PolicySpec(Closed):
    """``PromotionPolicy.spec``."""

    model_config = ConfigDict(serialize_by_alias=True)

    models: Annotated[tuple[Coverage, ...], Field(min_length=1, max_length=64)]
    rules: Annotated[tuple[Rule, ...], Field(min_length=1, max_length=64)]
    raising: Annotated[tuple[Rule, ...], Field(alias="raise", max_length=64)] = ()
    tiers: Annotated[dict[Tier, Requirement], Field(min_length=1)]
    checkers: Annotated[dict[RoleName, Checker], Field(min_length=1, max_length=16)] | None = None

    @model_validator(mode="after")
    def _rules_are_told_apart(self) -> Self:
        names = [rule.name for rule in (*self.rules, *self.raising)]
        if len(set(names)) != len(names):
            raise ValueError("two rules bear one name; a name says which rule led to a tier")
        if reserved := {UNMATCHED, FAILED} & set(names):
            raise ValueError(f"a rule is named {min(reserved)}, which is what the record says where no rule is")
        if unconditional := [rule.name for rule in self.raising if rule.when is None]:
            raise ValueError(f"rule {unconditional[0]} under raise has no condition (when), and would always hold")
        if hasty := [rule.name for rule in self.raising if rule.emergency]:
            raise ValueError(f"rule {hasty[0]} under raise is for an emergency, and what makes a route stricter is none")
        return self

    @model_validator(mode="after")
    def _tiers_can_be_met(self) -> Self:
        for rule in (*self.rules, *self.raising):
            if rule.tier not in self.tiers:
                raise ValueError(f"rule {rule.name} leads to {rule.tier}, which tiers does not describe")
        for tier, requirement in self.tiers.items():
            _refuse_unmeetable(tier, requirement)
        if set(self.tiers) == {"tier-3"}:
            raise ValueError("tiers describes tier-3 alone; describe tier-2 or tier-1 for what the engine may not decide")
        return self

    @model_validator(mode="after")
    def _checks_are_named(self) -> Self:
        keys = [key for checker in (self.checkers or {}).values() for key in checker.keys]
        if len(set(keys)) != len(keys):
            raise ValueError("a key stands twice under checkers; whose check it signed must be plain")
        for rule in (*self.rules, *self.raising):
            if rule.check is not None and rule.check not in (self.checkers or {}):
                raise ValueError(f"rule {rule.name} rests on a check by {rule.check}, whom checkers does not name")
            if rule.check is not None and rule.when is None:
                raise ValueError(f"rule {rule.name} names a check and asks nothing of it; give it a condition (when)")
        for rule in self.rules:
            if rule.tier == "tier-3" and rule.check is None:
                raise ValueError(f"rule {rule.name} leads to tier-3 without a signed check to rest on; name its checker (check)")
            if rule.tier == "tier-3" and rule.emergency:
                raise ValueError(f"rule {rule.name} is for an emergency and leads to tier-3; an emergency is decided by people")
        if lax := [rule.name for rule in self.raising if rule.tier == "tier-3"]:
            raise ValueError(f"rule {lax[0]} under raise leads to tier-3, which is stricter than nothing")
        return self

    @property
    def strictest(self) -> Tier:
        """The strictest tier that the policy describes (rule 5)."""
        return min(self.tiers, key=TIERS.index)

    @property
    def asks_facts(self) -> bool:
        """Whether any rule is asked of facts: it has a condition, or is for an emergency."""
        return any(rule.when is not None or rule.emergency for rule in (*self.rules, *self.raising))

    def is_emergency(self, rule: str) -> bool:
        """Whether the rule of this name is for an emergency (rule 6)."""
        return any(one.emergency for one in self.rules if one.name == rule)

    def keys_of(self, rule: Rule) -> tuple[Digest, ...]:
        """Return the keys by one of which the check that a rule rests on is signed (rule 7); none where it rests on none."""
        checker = (self.checkers or {}).get(rule.check or "")
        return checker.keys if checker is not None else ()

    def references_of(self, rule: Rule) -> tuple[Digest, ...]:
        """Return the reference data of which the check that a rule rests on must be; none where any will do."""
        checker = (self.checkers or {}).get(rule.check or "")
        return (checker.reference or ()) if checker is not None else ()

    def rule(self, name: str) -> Rule | None:
        """Return the rule of this name."""
        return next((one for one in (*self.rules, *self.raising) if one.name == name), None)

    def covers(self, model: str, namespace: str) -> bool:
        """Whether this policy speaks of this model in this namespace (rule 1)."""
        return any(one.covers(model, namespace) for one in self.models)

    def speaks_of(self, model: str, namespaces: Sequence[str]) -> bool:
        """Whether this policy speaks of this model in any of these namespaces."""
        return any(self.covers(model, namespace) for namespace in namespaces)

    def classes_of(self, model: str, namespaces: Sequence[str]) -> tuple[str, ...]:
        """Return the classes of a model that shall run in these namespaces, each once (rule 1); "" where an entry gives none."""
        fitting = (next((one for one in self.models if one.covers(model, namespace)), None) for namespace in namespaces)
        return tuple(sorted({one.model_class or "" for one in fitting if one is not None}))

    def leads_to(self, rule: str) -> Tier | None:
        """Return the tier that a rule of this name stands for in the record; None where there is no such rule (rule 5)."""
        if rule in {UNMATCHED, FAILED}:
            return self.strictest
        found = self.rule(rule)
        return None if found is None else found.tier


@dataclass(frozen=True)
class Published:
    """A policy that counts: its name, its text, and the digest of the statement that published it; and that of a second publisher's, who
    agreed to it, where there is one.
    """

    name: str
    spec: PolicySpec
    statement: Digest
    second: Digest | None = None


def read_policy(spec: Json, where: str = "spec") -> PolicySpec:
    """Return a policy's spec, checked; `RecordError` names the first field that is wrong. Its conditions are not looked at (rule 8)."""
    refuse_ambiguous(spec, where)
    return parse(PolicySpec, dumps(spec), where)


def _any_matches(globs: Sequence[str], text: str) -> bool:
    return any(fnmatchcase(text, glob) for glob in globs)


def _refuse_unmeetable(tier: Tier, requirement: Requirement) -> None:
    if tier == "tier-3":
        _require_engine_alone(requirement)
    if tier == "tier-3" and requirement.assurance != "api-server":
        raise ValueError("tier-3 is decided by the policy engine, which signs in nowhere; use api-server")
    if not requirement.fourEyes:
        raise ValueError(f"{tier} must ask for four eyes: whoever asks for a promotion cannot approve it")
    names = [role.name for role in requirement.roles]
    if len(set(names)) != len(names):
        raise ValueError(f"{tier} names a role twice")
    if sum(role.count for role in requirement.roles) > requirement.quorum:
        raise ValueError(f"{tier} asks for more people in its roles than its quorum; raise the quorum")
    if tier != "tier-3" and any(group.startswith("system:") for role in requirement.roles for group in role.groups):
        raise ValueError(f"{tier} names a system: group; name a group of people")


def _require_engine_alone(requirement: Requirement) -> None:
    groups = [group for role in requirement.roles for group in role.groups]
    if requirement.quorum != 1 or len(requirement.roles) != 1 or len(groups) != 1:
        raise ValueError("tier-3 is decided by the policy engine alone: quorum 1, one role, one group")
    if not re.fullmatch(f"{ACCOUNTS}[a-z0-9]([-a-z0-9]{{0,61}}[a-z0-9])?", groups[0]):
        raise ValueError(f"tier-3 names the group of the engine's ServiceAccount: {ACCOUNTS}NAMESPACE")
