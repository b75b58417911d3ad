"""`signoff policy`: what policies make of requests, before anybody asks for one. Needs neither cluster nor archive, but for `agree`."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Final, get_args

import click

from signoff.cli import agree, options, output, reach
from signoff.cli.policy_files import of_kind, one_document, policy_in, refuse_twice
from signoff.decision.checks import measured
from signoff.evidence.account import asks
from signoff.policy.cases import Case, as_expected, read_table, run_case
from signoff.policy.facts import History, Measured, facts_of
from signoff.policy.routing import Judged, Step, judge_strictly, route
from signoff.policy.schema import Published
from signoff.record.canonical import Json
from signoff.record.check import opened, require_checks
from signoff.record.freeze import Tier
from signoff.record.promotion import as_json
from signoff.record.request import KIND, Spec, read_spec
from signoff.record.trust import MAX_TRUST, read_trust

_ALL: Final = """  signoff policy test policy.yaml cases.yaml
  signoff policy explain policy.yaml --promotion promotion.yaml --live 2.3.0 tier-2
  signoff policy agree credit-models"""
_TEST: Final = """
signoff policy test policy.yaml cases.yaml
signoff policy test policy.yaml cases.yaml -o json
"""
_EXPLAIN: Final = """
signoff policy explain policy.yaml --promotion promotion.yaml
signoff policy explain credit.yaml retail.yaml --promotion promotion.yaml --live 2.3.0 tier-2
"""


@click.group("policy", context_settings=options.SETTINGS, epilog=f"\b\nExamples:\n{_ALL}")
def command() -> None:
    """Try out policies: run a table of cases, or see rule by rule where a request would be routed. And agree to one that was published.

    Nothing is published by trying: a policy counts when a publisher has applied it and, where the trust file asks for four eyes, a second
    one has agreed.
    """


@options.command("test", examples=_TEST)
@click.argument("policy", type=click.Path(path_type=Path))
@click.argument("cases", type=click.Path(path_type=Path))
@options.output()
def test(policy: Path, cases: Path, form: str) -> int:
    """Run the table CASES against POLICY, a manifest: which tier and rule each case leads to, and which rules no case has reached.

    Exit code: 0 all cases come out as they say, 1 one does not, 2 a file could not be read.
    """
    tried, table = policy_in(policy), read_table(one_document(cases), str(cases))
    told = [(case, run_case(table, case, tried)) for case in table.cases]
    unreached = sorted(_names(tried) - {judged.rule for _, judged in told if judged is not None})
    failed = [case for case, judged in told if not as_expected(case, judged)]
    if form == "json":
        listed: list[Json] = [{"name": case.name, "expected": as_expected(case, judged), **_outcome(judged)} for case, judged in told]
        output.as_machine({"cases": listed, "failed": len(failed), "unreached": list[Json](unreached)})
        return 1 if failed else 0
    width = max(len(case.name) for case in table.cases)
    for case, judged in told:
        _tell_case(case, judged, width)
    output.tell()
    output.tell(f"{output.count(len(told), 'case')}: {len(told) - len(failed)} as expected, {len(failed)} not")
    if unreached:
        output.paragraph(", ".join(unreached), first="no case leads to: ")
    return 1 if failed else 0


@options.command("explain", examples=_EXPLAIN)
@click.argument("policies", type=click.Path(path_type=Path), nargs=-1, required=True)
@click.option("--promotion", type=click.Path(path_type=Path), required=True, metavar="FILE", help="A manifest of a ModelPromotion.")
@click.option(
    "--live",
    type=(str, click.Choice(get_args(Tier))),
    metavar="VERSION TIER",
    help="What is live, and the tier in which it was decided; default: nothing is.",
)
@click.option(
    "--trust",
    type=click.Path(path_type=Path),
    metavar="FILE",
    help="The trust file, by which the promotion's checks are believed; default: none of them is.",
)
@options.output()
def explain(policies: Sequence[Path], promotion: Path, live: tuple[str, Tier] | None, trust: Path | None, form: str) -> int:
    """Show rule by rule what POLICIES, manifests, make of a promotion, and which of them routes it.

    Exit code: 0 there is a route, 2 there is none, or a file could not be read.
    """
    spec = _promotion(promotion)
    history = _history(live, spec)
    checks = _checks(spec, trust, history)
    tried = [policy_in(path) for path in policies]
    refuse_twice(tried, "POLICIES")
    seen = facts_of(spec, history, checks)
    judged = [judge_strictly(one, seen) for one in tried if one.spec.speaks_of(spec.model.name, spec.target.namespaces)]
    if form == "text":
        for one in tried:
            _tell_policy(one, next((found for found in judged if found.policy is one), None))
    found = route(spec, tried, history, checks)
    if form == "json":
        output.as_machine({"route": as_json(found), "policies": [{"name": one.policy.name, **_outcome(one)} for one in judged]})
        return 0
    inputs = [f"{name}: {value}" for name, value in sorted(found.inputs.items())]
    pairs = [
        ("routed by", f"{found.policy}, rule {found.rule}: {found.tier}"),
        ("asks for", asks(found.requirement)),
        ("saw", "; ".join(inputs)),
    ]
    output.facts(pairs, label=12)
    return 0


command.add_command(test)
command.add_command(explain)
command.add_command(agree.command)


def _tell_case(case: Case, judged: Judged | None, width: int) -> None:
    fine = as_expected(case, judged)
    came = "not covered" if judged is None else f"{judged.tier} by {judged.rule}"
    line = f"{output.word('ok  ', 'green') if fine else output.word('FAIL', 'red')}  {output.plain(case.name):<{width}}  {came}"
    output.tell(line)
    if fine:
        return
    wanted = "not covered" if case.tier == "none" else case.tier + (f" by {case.rule}" if case.rule else "")
    output.paragraph(wanted, first="      expected: ")
    for step in judged.steps if judged is not None else ():
        _tell_step(step)


def _tell_policy(policy: Published, judged: Judged | None) -> None:
    output.tell(output.plain(policy.name))
    if judged is None:
        output.tell("      does not cover this promotion")
    else:
        for step in judged.steps:
            _tell_step(step)
        output.tell(f"      leads to {judged.tier} by {judged.rule}")
    output.tell()


def _tell_step(step: Step) -> None:
    kind = "raise" if step.raising else "rule"
    output.paragraph(f"{step.answer}", first=f"      {kind:<5} {step.rule.name} ({step.rule.tier}): ")
    if step.answer != "not asked" and step.rule.when is not None:
        output.paragraph(step.rule.when, first="            when ")
    if step.why:
        output.paragraph(step.why, first="            because ")


def _outcome(judged: Judged | None) -> dict[str, Json]:
    if judged is None:
        return {"covered": False}
    steps: list[Json] = [
        {
            "rule": step.rule.name,
            "tier": step.rule.tier,
            "list": "raise" if step.raising else "rules",
            "answer": step.answer,
            "why": step.why,
        }
        for step in judged.steps
    ]
    return {"covered": True, "tier": judged.tier, "rule": judged.rule, "steps": steps}


def _names(policy: Published) -> set[str]:
    return {rule.name for rule in (*policy.spec.rules, *policy.spec.raising)}


def _promotion(path: Path) -> Spec:
    return read_spec(of_kind(path, KIND).get("spec"), f"{path}: spec")


def _history(live: tuple[str, Tier] | None, spec: Spec) -> History:
    if live is None:
        return History()
    named = spec.model.incumbent
    return History(*live, live=named)


def _checks(spec: Spec, trust: Path | None, history: History) -> tuple[Measured, ...]:
    require_checks(spec)
    if trust is not None:
        return measured(spec, read_trust(reach.file_bytes(trust, MAX_TRUST), str(trust)), datetime.now(UTC), history.live)
    flaw = "nobody has looked at its signature; name the trust file (--trust)"
    return tuple(Measured(one.bundle.digest, one.bundle.key_id, {}, flaw=flaw) for one in opened(spec))
