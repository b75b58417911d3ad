"""The JSON Schemas are those of the code, take what was written, and refuse an unknown field wherever it stands."""

from __future__ import annotations

import json
import subprocess
import sys
from copy import deepcopy
from pathlib import Path
from typing import Any

import pytest
from jsonschema import Draft202012Validator
from vectors import golden, golden_json, statement

from signoff.record.promotion import as_json
from signoff.record.request import read_spec
from signoff.record.schemas import BASE, schema_text, schemas

FOLDER = Path(__file__).parents[2] / "docs" / "schemas"
NAMES = sorted(schemas())


def predicate(name: str) -> Any:
    return json.loads(statement(name))["predicate"]


SPECS = [row["spec"] for row in golden_json("ids.json")]
DOCUMENTS: list[tuple[str, Any]] = [
    ("promotion", predicate("promotion")),
    ("promotion", predicate("rejection")),
    ("freeze", golden_json("freeze.json")),
    *(("seal", predicate(name)) for name in ("seal.carla", "seal.david", "seal.rejecting")),
    ("submission", predicate("submission")),
    ("policy", predicate("policy")),
    ("delegation", predicate("delegation")),
    ("passkey", predicate("passkey")),
    ("check", predicate("check")),
    ("correction", predicate("correction")),
    ("trust", golden_json("trust.json")),
    *(("modelpromotion-spec", spec) for spec in SPECS),
]
# Free maps: their keys are names, not fields.
MAPS = {("materiality",), ("request", "spec", "materiality"), ("route", "inputs")}


def objects(value: object, at: tuple[str | int, ...] = ()) -> list[tuple[str | int, ...]]:
    steps = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    inside = [path for step, child in steps for path in objects(child, (*at, step))]
    return [at, *inside] if isinstance(value, dict) else inside


EVERY_OBJECT = [
    pytest.param(name, path, id=".".join(map(str, (name, *path))))
    for name, document in {name: document for name, document in reversed(DOCUMENTS) if name != "modelpromotion-spec"}.items()
    for path in objects(document)
    if path not in MAPS
]
EVERY_OBJECT += [
    pytest.param("modelpromotion-spec", path, id=".".join(map(str, ("spec", *path)))) for path in objects(SPECS[0]) if path not in MAPS
]


def validator(name: str) -> Draft202012Validator:
    return Draft202012Validator(schemas()[name])


def first(name: str) -> Any:
    return deepcopy(next(document for kind, document in DOCUMENTS if kind == name))


@pytest.mark.parametrize("name", NAMES)
def test_the_schemas_in_the_documentation_are_those_of_the_code(name: str) -> None:
    assert (FOLDER / f"{name}.v1.json").read_text(encoding="utf-8") == schema_text(schemas()[name])


def test_the_documentation_has_no_other_schemas() -> None:
    assert sorted(path.name for path in FOLDER.iterdir()) == [f"{name}.v1.json" for name in NAMES]


def test_the_command_writes_them(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "signoff.cli.schemas"]
    assert subprocess.run([*command, str(tmp_path)], capture_output=True, check=False, timeout=60).returncode == 0
    assert {path.name: path.read_bytes() for path in tmp_path.iterdir()} == {path.name: path.read_bytes() for path in FOLDER.iterdir()}
    wrong = subprocess.run(command, capture_output=True, text=True, check=False, timeout=60)
    assert (wrong.returncode, "usage" in wrong.stderr) == (2, True)


@pytest.mark.parametrize("name", NAMES)
def test_a_schema_is_one_and_names_itself(name: str) -> None:
    schema = schemas()[name]
    Draft202012Validator.check_schema(schema)
    assert schema["$schema"] == "https://json-schema.org/draft/2020-12/schema"
    assert schema["$id"] == f"{BASE}/{name}/v1.json"
    assert schema["title"]


@pytest.mark.parametrize(("name", "document"), DOCUMENTS, ids=[name for name, _ in DOCUMENTS])
def test_what_was_written_is_valid(name: str, document: Any) -> None:
    assert [error.message for error in validator(name).iter_errors(document)] == []


@pytest.mark.parametrize(("name", "path"), EVERY_OBJECT)
def test_an_unknown_field_anywhere_is_not_valid(name: str, path: tuple[str | int, ...]) -> None:
    document = first(name)
    found = document
    for step in path:
        found = found[step]
    found["note"] = "x"
    assert any("'note' was unexpected" in error.message for error in validator(name).iter_errors(document))


@pytest.mark.parametrize("name", NAMES)
def test_a_field_left_out_or_null_is_not_valid(name: str) -> None:
    for field in schemas()[name]["required"]:
        without, null = first(name), first(name)
        del without[field]
        null[field] = None
        assert not validator(name).is_valid(without), field
        assert not validator(name).is_valid(null), field


@pytest.mark.parametrize(
    ("path", "value"),
    [
        (("model", "version"), 2.4),
        (("comparison", "candidate", "metrics", 0, "value"), 0.8),
        (("validFor",), None),
        (("attempt",), "2"),
        (("supersedes",), "AB"),
        (("explanation", "mediaType"), "application/pdf"),
        (("datasets",), []),
        (("materiality",), {"two\nlines": "x"}),
    ],
    ids=str,
)
def test_a_spec_with_a_wrong_value_is_not_valid(path: tuple[str | int, ...], value: object) -> None:
    document = first("modelpromotion-spec")
    found = document
    for step in path[:-1]:
        found = found[step]
    found[path[-1]] = value
    assert not validator("modelpromotion-spec").is_valid(document)


def test_the_golden_spec_is_one_for_the_code_too() -> None:
    assert as_json(read_spec(golden_json("freeze.json")["request"]["spec"])) == golden_json("freeze.json")["request"]["spec"]
    assert golden("freeze.json").startswith(b"{")
