"""A table of cases for a policy: facts as somebody writes them, and what the policy should make of them.

1. A case says the facts by the names that conditions use. ``model.name``, ``target.environment`` and ``target.namespaces`` are always said,
   in the case or among the defaults; what else is left out is as in a request without it: nothing live, no end, nothing claimed.
   ``null`` says that a fact of the defaults is not there.
2. ``model.class`` and ``incumbent.exists`` follow from the policy and from the other facts, and are not said.
3. ``checks`` says, by the checker's name in the policy, the figures of a check that counts; a checker who is not named has none.
4. ``tier: none`` expects that the policy does not cover the case.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Annotated, Final, Literal, Self

from pydantic import ConfigDict, Field, model_validator

from signoff.policy.facts import Facts, History, Measured
from signoff.policy.routing import Judged, judge_strictly
from signoff.policy.schema import Published
from signoff.record.canonical import Json, dumps
from signoff.record.freeze import RoleName, Tier
from signoff.record.values import Closed, Decimal, Label, Line, ModelName, RecordError, Version, parse, sha256

MAX_CASES: Final = 1_000

Figure = Decimal | int | Annotated[float, Field(allow_inf_nan=False)]


class Said(Closed):
    """Facts as a table says them (rule 1)."""

    model_config = ConfigDict(validate_by_alias=True, validate_by_name=False)

    model: Annotated[ModelName | None, Field(alias="model.name")] = None
    version: Annotated[Version | None, Field(alias="model.version")] = None
    environment: Annotated[Label | None, Field(alias="target.environment")] = None
    clusters: Annotated[tuple[Label, ...] | None, Field(alias="target.clusters")] = None
    namespaces: Annotated[tuple[Label, ...] | None, Field(alias="target.namespaces", min_length=1)] = None
    hours: Annotated[int | None, Field(alias="validity.hours", ge=0)] = None
    live: Annotated[Version | None, Field(alias="incumbent.version")] = None
    live_tier: Annotated[Tier | None, Field(alias="incumbent.tier")] = None
    materiality: Annotated[dict[Line, Line] | None, Field(alias="claims.materiality")] = None
    candidate: Annotated[dict[Line, Figure] | None, Field(alias="claims.candidate")] = None
    incumbent: Annotated[dict[Line, Figure] | None, Field(alias="claims.incumbent")] = None
    checks: dict[RoleName, dict[Line, Figure]] | None = None


class Case(Closed):
    """One line of the table."""

    name: Line
    facts: Said = Said()
    tier: Tier | Literal["none"]
    rule: Line | None = None


class Table(Closed):
    """A table of cases; ``defaults`` hold for each that does not say otherwise."""

    defaults: Said = Said()
    cases: Annotated[tuple[Case, ...], Field(min_length=1, max_length=MAX_CASES)]

    @model_validator(mode="after")
    def _named_apart(self) -> Self:
        names = [case.name for case in self.cases]
        if twice := {name for name in names if names.count(name) > 1}:
            raise ValueError(f"two cases bear the name {min(twice)!r}")
        return self


def read_table(value: Json, where: str) -> Table:
    """Return a table of cases; `RecordError` names the first field that is wrong."""
    return parse(Table, dumps(value), where)


def facts_of_case(table: Table, case: Case, policy: Published) -> Facts | None:
    """Return the facts of a case as the policy sees them, or None where it does not cover it; `RecordError` where too little is said."""
    said = _merged(table.defaults, case.facts)
    if said.model is None or said.environment is None or said.namespaces is None:
        raise RecordError(
            "does not say model.name, target.environment and target.namespaces",
            where=f"case {case.name!r}",
            mend="say them under facts, or for all cases under defaults",
        )
    if (said.live is None) != (said.live_tier is None):
        raise RecordError("says only one of incumbent.version and incumbent.tier", where=f"case {case.name!r}", mend="say both or neither")
    if not all(policy.spec.covers(said.model, namespace) for namespace in said.namespaces):
        return None
    return Facts(
        model=said.model,
        version=said.version or "",
        environment=said.environment,
        clusters=said.clusters or (),
        namespaces=said.namespaces,
        hours=said.hours or 0,
        history=History(said.live or "", said.live_tier),
        materiality=said.materiality or {},
        candidate=_figures(said.candidate),
        incumbent=_figures(said.incumbent),
        checks=tuple(_checks(said.checks or {}, policy, case)),
    )


def run_case(table: Table, case: Case, policy: Published) -> Judged | None:
    """Return what the policy makes of a case; None where it does not cover it."""
    facts = facts_of_case(table, case, policy)
    return None if facts is None else judge_strictly(policy, facts)


def as_expected(case: Case, judged: Judged | None) -> bool:
    """Whether a case came out as it says."""
    if judged is None:
        return case.tier == "none"
    return judged.tier == case.tier and case.rule in {None, judged.rule}


def _checks(said: Mapping[str, Mapping[str, Figure]], policy: Published, case: Case) -> Iterator[Measured]:
    for checker, figures in said.items():
        named = (policy.spec.checkers or {}).get(checker)
        if named is None:
            known = ", ".join(policy.spec.checkers or {}) or "none"
            raise RecordError(
                f"says a check by {checker}, whom the policy does not name (it names {known})",
                where=f"case {case.name!r}",
                mend="say it by a name that stands under the policy's checkers",
            )
        digest = sha256(f"{case.name}\n{checker}".encode())
        yield Measured(digest, named.keys[0], {name: str(figure) for name, figure in figures.items()}, (named.reference or ())[:1])


def _merged(defaults: Said, facts: Said) -> Said:
    return defaults.model_copy(update={name: getattr(facts, name) for name in facts.model_fields_set})


def _figures(said: Mapping[str, Figure] | None) -> dict[str, float]:
    return {name: float(figure) for name, figure in (said or {}).items()}
