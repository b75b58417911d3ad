"""Whether somebody may decide on a freeze: a person, in a role of the frozen route, who did not ask."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import yaml
from builders import ISSUER, shown_value

from signoff.decision.eligibility import NotAllowed, Standing, standing
from signoff.decision.principals import Resolved
from signoff.record.canonical import dumps
from signoff.record.freeze import Freeze, Principal
from signoff.record.values import parse, sha256

CASES = yaml.safe_load((Path(__file__).parent / "cases" / "eligibility.yaml").read_text(encoding="utf-8"))
ROLES = [
    {"name": "approver", "count": 1, "groups": ["model-approvers", "model-leads"]},
    {"name": "risk", "count": 1, "groups": ["model-risk"]},
]


def each(section: str) -> pytest.MarkDecorator:
    return pytest.mark.parametrize("case", [pytest.param(case, id=case["name"]) for case in CASES[section]])


def answer(case: dict[str, Any]) -> Standing:
    value = json.loads(dumps(shown_value()))
    value["route"]["requirement"] |= {"quorum": 2, "roles": ROLES, "fourEyes": case.get("four_eyes", True)}
    value["renditions"] = [{"mediaType": "text/html", "size": 1, "digest": sha256(b"x")}]
    subject, name, groups = case["who"]
    principal = Principal(issuer=case.get("issuer", ISSUER), subject=subject, name=name)
    who = Resolved(principal, case.get("kind", "person"), "client-certificate", subject, tuple(groups))
    also = [Principal(issuer=ISSUER, subject=case["also"], name="x")] if "also" in case else []
    return standing(parse(Freeze, dumps(value), "freeze"), who, also)


@each("allowed")
def test_who_may_decide_and_in_which_roles(case: dict[str, Any]) -> None:
    assert answer(case) == Standing(tuple(case["roles"]), tuple(case["by"]))


@each("refused")
def test_bypass_14_who_may_not_decide(case: dict[str, Any]) -> None:
    with pytest.raises(NotAllowed) as refused:
        answer(case)
    assert case["why"] in refused.value.what
    assert refused.value.mend


def test_a_refusal_names_the_groups_that_are_asked_for() -> None:
    with pytest.raises(NotAllowed, match=r"approver \(model-approvers, model-leads\), risk \(model-risk\)"):
        answer({"who": ["carla", "Carla", []]})
