"""Argo CD's health script, run by a real Lua 5.1 (the language level of Argo CD's own interpreter)."""

from __future__ import annotations

from typing import Any

import pytest
import yaml
from jsonschema import Draft202012Validator
from lupa import lua51

from tests.chart.rendering import CHART, ROOT

SETTINGS = yaml.safe_load((ROOT / "examples/gitops/argocd/argocd-cm.yaml").read_text())
KEY = "resource.customizations.health.signoff.dev_ModelPromotion"
CASES = yaml.safe_load((ROOT / "tests/chart/cases/argocd-health.yaml").read_text())
DEFINITION = yaml.safe_load((CHART / "crds/modelpromotions.yaml").read_text())
STATUS = DEFINITION["spec"]["versions"][0]["schema"]["openAPIV3Schema"]["properties"]["status"]
HEALTH = {"Healthy", "Progressing", "Degraded", "Suspended", "Missing", "Unknown"}


def health(obj: dict[str, Any]) -> dict[str, str]:
    lua = lua51.LuaRuntime(register_eval=False, register_builtins=False)
    lua.globals().obj = lua.table_from(obj, recursive=True)
    return dict(lua.execute(SETTINGS["data"][KEY]))


@pytest.mark.parametrize("case", CASES, ids=lambda case: case["name"])
def test_health(case: dict[str, Any]) -> None:
    obj: dict[str, Any] = {"metadata": {"generation": case.get("generation", 1)}}
    if case["status"] is not None:
        obj["status"] = case["status"]
    shown = health(obj)
    assert shown["status"] == case["health"]
    assert case["says"] in shown["message"]


@pytest.mark.parametrize("case", [each for each in CASES if each["status"]], ids=lambda case: case["name"])
def test_each_case_is_a_status_that_the_definition_allows(case: dict[str, Any]) -> None:
    Draft202012Validator({**STATUS, "additionalProperties": False}).validate(case["status"])
    named = {each["type"] for each in case["status"].get("conditions", [])}
    assert named <= {"Frozen", "Decided", "Promoted", "Ready", "Stalled", "Reconciling"}


def test_each_health_that_the_readme_tells_of_has_a_case() -> None:
    assert {case["health"] for case in CASES} == HEALTH - {"Missing", "Unknown"}
