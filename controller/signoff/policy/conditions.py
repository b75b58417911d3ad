"""Conditions of rules: CEL over facts, type-checked beforehand and evaluated within a budget.

1. A condition is an expression of type bool in CEL (https://cel.dev, language definition), over the variables of one of two tables:
   ``FACTS``, which are verified, and ``CLAIMS``, which are the requester's word; a rule that rests on a check sees ``CHECK`` too. A name
   that it does not see does not compile.
2. What does not compile is told with its line and column.
3. An evaluation that asks for what is not there, fails, or goes beyond the evaluator's budget of iterations has no answer. Whoever
   asked makes the stricter of it.
4. No condition sees a clock, or anything else that another process would not see: the same facts give the same answer everywhere.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from functools import lru_cache
from typing import TYPE_CHECKING, Any, Final, Literal

from signoff.errors import SignoffError
from signoff.policy.facts import Fact
from signoff.policy.schema import PolicySpec
from signoff.record.values import RecordError

if TYPE_CHECKING:
    from cel_expr_python import cel

Kind = Literal["text", "yes or no", "whole number", "list of text", "text by name", "figure by name"]

FACTS: Final[Mapping[str, Kind]] = {
    "model.name": "text",
    "model.version": "text",
    "model.class": "text",
    "target.environment": "text",
    "target.clusters": "list of text",
    "target.namespaces": "list of text",
    "validity.hours": "whole number",
    "incumbent.exists": "yes or no",
    "incumbent.version": "text",
    "incumbent.tier": "text",
}
"""What `rules` see: what the promotion binds itself to, what the policy lists, what the archive holds."""

CLAIMS: Final[Mapping[str, Kind]] = {
    "claims.materiality": "text by name",
    "claims.candidate": "figure by name",
    "claims.incumbent": "figure by name",
}
"""What `raise` sees besides: the requester's word."""

CHECK: Final[Mapping[str, Kind]] = {"check": "figure by name"}
"""What a rule that rests on a check sees besides: what that check measured."""

_POSITION: Final = re.compile(r"ERROR: <input>:(?P<line>\d+):(?P<column>\d+): (?P<what>[^\n]*)")
_KEPT: Final = 1024


class NoAnswer(SignoffError):
    """A condition that could not be told (rule 3)."""


def check_conditions(policy: PolicySpec, where: str = "spec") -> None:
    """Raise `RecordError` with field, line and column for the first condition that does not compile (rules 1 and 2)."""
    for field, rules, claims in (("rules", policy.rules, False), ("raise", policy.raising, True)):
        for index, rule in enumerate(rules):
            if rule.when is not None:
                try:
                    _compiled(rule.when, claims=claims, checked=rule.check is not None)
                except NoAnswer as error:
                    names = ", ".join(_declared(claims=claims, checked=rule.check is not None))
                    mend = f"correct the condition of rule {rule.name}; it may use {names}"
                    raise RecordError(error.what, where=f"{where}.{field}[{index}].when", mend=mend) from None


def holds(condition: str, facts: Mapping[str, Fact], *, claims: bool, check: Mapping[str, float] | None = None) -> bool:
    """Whether a condition holds; `NoAnswer` says why that cannot be told (rule 3). ``claims``: whether it may ask for those; ``check`` are
    the figures of the check that its rule rests on, None where it rests on none.
    """
    expression = _compiled(condition, claims=claims, checked=check is not None)
    seen = {**facts, "check": check or {}}
    try:
        answer = expression.eval(data={name: seen[name] for name in _declared(claims=claims, checked=check is not None)}).value()
    except RuntimeError as error:
        raise NoAnswer(_told(error)) from None
    if not isinstance(answer, bool):
        raise NoAnswer(_told(answer))
    return answer


def _declared(*, claims: bool, checked: bool) -> dict[str, Kind]:
    return {**FACTS, **(CLAIMS if claims else {}), **(CHECK if checked else {})}


@lru_cache(maxsize=4)
def _environment(*, claims: bool, checked: bool) -> cel.Env:
    from cel_expr_python import cel  # noqa: PLC0415 - the gate evaluates nothing, and need not hold the evaluator

    types: dict[Kind, Any] = {
        "text": cel.Type.STRING,
        "yes or no": cel.Type.BOOL,
        "whole number": cel.Type.INT,
        "list of text": cel.Type.List(cel.Type.STRING),
        "text by name": cel.Type.Map(cel.Type.STRING, cel.Type.STRING),
        "figure by name": cel.Type.Map(cel.Type.STRING, cel.Type.DOUBLE),
    }
    return cel.NewEnv(variables={name: types[kind] for name, kind in _declared(claims=claims, checked=checked).items()})


@lru_cache(maxsize=_KEPT)
def _compiled(condition: str, *, claims: bool, checked: bool) -> cel.Expression:
    try:
        expression = _environment(claims=claims, checked=checked).compile(condition)
    except RuntimeError as error:
        raise NoAnswer(_positioned(str(error))) from None
    kind = expression.return_type().name()
    if kind != "BOOL":
        raise NoAnswer(f"a condition is true or false, and this is of type {kind}")
    return expression


def _positioned(message: str) -> str:
    found = _POSITION.search(message)
    what = found["what"].removesuffix(" (in container '')") if found else ""
    return f"line {found['line']}, column {found['column']}: {what}" if found else _told(message)


def _told(error: object) -> str:
    return " ".join(str(error).split())[:300]
