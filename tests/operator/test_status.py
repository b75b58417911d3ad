"""The status, held against kstatus itself: what Flux and other appliers wait for."""

from __future__ import annotations

import hashlib
import itertools
import json
import os
import re
import shutil
import subprocess
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any, get_args

import jsonschema
import pytest
import yaml
from world import CARLA, World

from signoff.operator.status import Phase, State, status_of

MODULE = Path(__file__).parents[2] / "controlplane" / "go" / "kstatus"
CASES: list[dict[str, Any]] = yaml.safe_load((Path(__file__).parent / "states.yaml").read_text())
THEN, NOW = "2026-03-02T09:14:07Z", "2026-03-02T10:02:51Z"

Judge = Callable[[dict[str, Any]], str]


def built() -> Path:
    """The Go program that asks kstatus, built once for its sources in the user's cache."""
    sources = b"".join((MODULE / name).read_bytes() for name in ("go.mod", "go.sum", "main.go"))
    cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "signoff" / "tools"
    program = cache / f"kstatus-{hashlib.sha256(sources).hexdigest()[:16]}"
    if program.exists():
        return program
    go = shutil.which("go")
    if go is None:
        pytest.fail("go is not installed, so the status cannot be compared with kstatus; install Go 1.26")
    cache.mkdir(parents=True, exist_ok=True)
    fresh = cache / f"{program.name}.{os.getpid()}"
    build = [go, "build", "-trimpath", "-buildvcs=false", "-mod=readonly", "-o", str(fresh), "."]
    made = subprocess.run(build, cwd=MODULE, capture_output=True, text=True, timeout=280, check=False)
    if made.returncode != 0:
        pytest.fail(f"controlplane/go/kstatus does not build: {made.stderr}")
    fresh.replace(program)
    return program


@pytest.fixture(scope="module")
def kstatus() -> Iterator[Judge]:
    with subprocess.Popen([built()], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        questions, answers = process.stdin, process.stdout

        def judge(obj: dict[str, Any]) -> str:
            questions.write(json.dumps(obj) + "\n")
            questions.flush()
            return str(json.loads(answers.readline())["status"])

        yield judge
        questions.close()


def promotion(status: dict[str, Any] | None, generation: int = 1) -> dict[str, Any]:
    metadata = {"name": "credit-scoring-2.4.0", "namespace": "credit", "generation": generation}
    obj: dict[str, Any] = {"apiVersion": "signoff.dev/v1alpha1", "kind": "ModelPromotion", "metadata": metadata, "spec": {}}
    return obj if status is None else obj | {"status": status}


@pytest.fixture
def state(world: World) -> State:
    """A state with all there can be: a freeze, a decision, an event."""
    frozen = world.freeze()
    sealed = world.seal(frozen.payload, frozen.freeze, by=CARLA)
    decided = (sealed.seal.decided,)
    return State("promoted", "Promoted", "promoted", frozen.freeze.id, frozen.freeze, frozen.digest, decided, event=frozen.digest)


def of_case(state: State, case: dict[str, Any]) -> State:
    changed = replace(state, phase=case["phase"], reason="Because", message=case["name"])
    return changed if case["frozen"] else replace(changed, freeze=None, freeze_digest=None, decisions=(), event=None)


def conditions(status: dict[str, Any]) -> dict[str, dict[str, Any]]:
    found = {one["type"]: one for one in status["conditions"]}
    assert len(found) == len(status["conditions"])
    return found


def test_the_table_has_every_phase() -> None:
    assert {case["phase"] for case in CASES} == set(get_args(Phase))


@pytest.mark.parametrize("case", CASES, ids=lambda case: case["name"])
def test_kstatus_reads_the_state(state: State, case: dict[str, Any], kstatus: Judge) -> None:
    status = status_of(of_case(state, case), 7, {}, NOW)
    found = conditions(status)
    assert {name for name, one in found.items() if one["status"] == "True"} == set(case["holds"])
    assert set(found) == {"Frozen", "Decided", "Promoted", "Ready", "Stalled", "Reconciling"}
    assert kstatus(promotion(status, generation=7)) == case["kstatus"]
    assert kstatus(promotion(status, generation=8)) == "InProgress", "of an older generation"


def test_before_the_operator_has_looked_it_is_in_progress(kstatus: Judge) -> None:
    crd = yaml.safe_load((MODULE.parents[2] / "crds" / "modelpromotions.yaml").read_text())
    [version] = crd["spec"]["versions"]
    default = version["schema"]["openAPIV3Schema"]["properties"]["status"]
    assert kstatus(promotion(None)) == "Current", "kstatus takes what has no status for done, hence the default"
    assert kstatus(promotion(default["default"])) == "InProgress"


@pytest.mark.parametrize("case", CASES, ids=lambda case: case["name"])
def test_the_status_is_what_the_resource_definition_says(state: State, case: dict[str, Any]) -> None:
    crd = yaml.safe_load((MODULE.parents[2] / "crds" / "modelpromotions.yaml").read_text())
    schema = crd["spec"]["versions"][0]["schema"]["openAPIV3Schema"]["properties"]["status"]
    closed = _closed(schema)
    jsonschema.validate(status_of(of_case(state, case), 7, {}, NOW), closed)
    with pytest.raises(jsonschema.ValidationError):
        jsonschema.validate(status_of(of_case(state, case), 7, {}, NOW) | {"surprise": 1}, closed)


def _closed(schema: dict[str, Any]) -> dict[str, Any]:
    """The schema as the API server takes it: a field that it does not name is pruned, here an error."""
    inner = {name: _closed(each) for name, each in schema.get("properties", {}).items()}
    result = {**schema, **({"properties": inner, "additionalProperties": False} if inner else {})}
    return result | ({"items": _closed(schema["items"])} if "items" in schema else {})


@pytest.mark.parametrize(("before", "after"), list(itertools.permutations(CASES, 2)), ids=lambda case: case["name"])
def test_a_transition_is_timed_where_the_condition_turned(state: State, before: dict[str, Any], after: dict[str, Any]) -> None:
    old = status_of(of_case(state, before), 1, {}, THEN)
    new = conditions(status_of(of_case(state, after), 1, old, NOW))
    assert {one["lastTransitionTime"] for one in old["conditions"]} == {THEN}
    for name, one in conditions(old).items():
        assert new[name]["lastTransitionTime"] == (THEN if new[name]["status"] == one["status"] else NOW), name


def test_a_status_of_strangers_is_replaced(state: State) -> None:
    fresh = status_of(state, 1, {}, NOW)
    strange: list[Any] = [
        {"conditions": None},
        {"conditions": "x"},
        {"conditions": [1, None, {}, {"type": 1, "status": "True"}, {"type": "Ready"}]},
        {"conditions": [{"type": "Ready", "status": "True", "lastTransitionTime": 7}]},
        {"phase": "Promoted", "conditions": {"Ready": "True"}},
    ]
    for old in strange:
        assert status_of(state, 1, old, NOW) == fresh


def test_the_same_state_gives_the_same_status_so_that_nothing_is_written(state: State) -> None:
    first = status_of(state, 1, {}, THEN)
    again = status_of(state, 1, json.loads(json.dumps(first)), NOW)
    assert again == first


def test_what_people_read_and_where_it_rests(state: State) -> None:
    status = status_of(replace(state, message="m" * 5000), 1, {}, NOW)
    assert status["freeze"] == status["event"] == state.freeze_digest
    assert re.fullmatch("sha256:[0-9a-f]{64}", status["desk"]["html"])
    assert status["seals"] == [
        {
            "principal": "carla@bank.example",
            "issuer": "https://login.bank.example",
            "subject": "carla@bank.example",
            "verdict": "Approve",
            "time": "2026-03-02T10:02:51Z",
        }
    ]
    assert len(status["message"]) == 1000
    assert all(len(one["message"]) <= 1000 for one in status["conditions"])
    assert all(re.fullmatch("[A-Z][A-Za-z]*", one["reason"]) for one in status["conditions"])
