"""YAML that somebody wrote: what comes out is JSON, or a refusal in one line."""

from __future__ import annotations

import json
import re
import time
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from signoff.manifests import MAX_BYTES, MAX_DOCUMENTS, MAX_NODES_EACH, BadManifest, documents, one_mapping
from signoff.record.canonical import dumps

ROOT = Path(__file__).parent.parent
CASES: dict[str, list[dict[str, Any]]] = yaml.safe_load((Path(__file__).parent / "manifests.yaml").read_text(encoding="utf-8"))


def spelled_out(text: str) -> bytes:
    """``<5*x>`` stands for xxxxx."""
    return re.sub(r"<([0-9]+)\*([^>]+)>", lambda match: match[2] * int(match[1]), text).encode()


def refusal(data: bytes) -> str:
    with pytest.raises(BadManifest) as refused:
        list(documents(data, "file.yaml"))
    said = str(refused.value)
    assert said.startswith("file.yaml: ")
    assert "\n" not in said
    assert len(said) < 700
    return said


@pytest.mark.parametrize("case", CASES["read"], ids=lambda case: case["name"])
def test_read(case: dict[str, Any]) -> None:
    found = list(documents(spelled_out(case["text"]), "file.yaml"))
    assert json.dumps(found, sort_keys=True) == json.dumps(case["json"], sort_keys=True)


@pytest.mark.parametrize("case", CASES["refused"], ids=lambda case: case["name"])
def test_refused(case: dict[str, Any]) -> None:
    began = time.process_time()
    assert case["says"] in refusal(spelled_out(case["text"]))
    assert time.process_time() - began < 5


def test_bytes_that_are_no_text_are_refused_with_their_place() -> None:
    assert "not UTF-8 at byte 3" in refusal(b"a: \xff")
    assert "not UTF-8 at byte 0" in refusal("a: 1".encode("utf-16"))
    assert refusal(b"a: \x00")


def laughs(levels: int, *, width: int = 10, last: str = "") -> bytes:
    """Each level holds the one before ten times: 10^levels values, in some hundred bytes."""
    lines = [f"l0: &l0 [{', '.join(['x'] * width)}]"]
    lines += [f"l{level}: &l{level} [{', '.join([f'*l{level - 1}'] * width)}]" for level in range(1, levels)]
    return "\n".join([*lines, last]).encode()


@pytest.mark.parametrize("last", ["", "? *l29\n: 1", "? {a: *l29}\n: 1", "a: !!omap [b: *l29]", "a: {b: *l29, b: *l29}", "a: {1: *l29}"])
def test_bypass_12_a_billion_laughs_are_refused_within_a_second_or_two(last: str) -> None:
    began = time.process_time()
    refusal(laughs(30, last=last))
    assert time.process_time() - began < 5


def test_bypass_12_depth_is_bounded_through_aliases_too() -> None:
    assert list(documents(laughs(60, width=1), "file.yaml"))
    assert "deeper than 64" in refusal(laughs(70, width=1))


def test_aliases_that_unfold_to_little_are_read() -> None:
    [found] = documents(laughs(4), "file.yaml")
    assert isinstance(found, dict)
    assert len(dumps(found)) > 40_000


def test_bypass_12_size_and_number_of_documents_are_bounded() -> None:
    assert f"more than {MAX_BYTES}" in refusal(b"#" * (MAX_BYTES + 1))
    assert list(documents(b"#" * 1_000_000, "file.yaml")) == []
    assert len(list(documents(b"---\na\n" * MAX_DOCUMENTS, "file.yaml"))) == MAX_DOCUMENTS
    assert f"more than {MAX_DOCUMENTS} documents" in refusal(b"---\na\n" * (MAX_DOCUMENTS + 1))
    assert f"more than {MAX_DOCUMENTS} documents" in refusal(b"---\n" * (MAX_DOCUMENTS + 1))


def test_the_documents_before_a_bad_one_are_given_out_and_then_it_is_told() -> None:
    reading = documents(b"a: 1\n---\nb: [\n", "file.yaml")
    assert next(reading) == {"a": 1}
    with pytest.raises(BadManifest):
        next(reading)


@pytest.mark.parametrize("data", [b"", b"# nothing", b"- a", b"text", b"a: 1\n---\nb: 2", b"a: 1\n---\n- b"])
def test_one_mapping_is_one_object(data: bytes) -> None:
    with pytest.raises(BadManifest, match="expected one document, an object"):
        one_mapping(data, "file.yaml")


def test_an_empty_document_beside_the_one_does_no_harm() -> None:
    assert one_mapping(b"---\n---\na: 1\n---\n", "file.yaml") == {"a": 1}


# As a fuzzer's dictionary: what YAML gives a meaning to. "_" stands for a space.
MEANINGFUL = """
    a b:_ -_ ?_ { } [ ] ,_ :_ &x_ *x !!int_ !!map_ !!set_ !!binary_ !!omap_ !!seq_ !!timestamp_ !!float_ !!bool_ !!null_ !!str_
    !!python/name:os_ !a_ 1 0x 0b 1:2 .inf ' \" \\ud800 | > # << = ~ 2026-01-01
"""
BREAKS = ["\n", "\n  ", "---\n", "...\n", "%YAML 1.2\n", "\x85", "\u2028", "\ufeff", "\t"]
PIECES = st.sampled_from([*(piece.replace("_", " ") for piece in MEANINGFUL.split()), *BREAKS])


@settings(max_examples=1500, deadline=None)
@given(data=st.lists(PIECES, max_size=14).map("".join).map(str.encode) | st.text(max_size=40).map(str.encode) | st.binary(max_size=40))
def test_any_bytes_are_json_or_refused(data: bytes) -> None:
    try:
        found = list(documents(data, "file.yaml"))
    except BadManifest:
        return
    assert json.loads(json.dumps(found, allow_nan=False, ensure_ascii=False).encode("utf-8")) == found


JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**53), 2**53) | st.text(st.characters(codec="utf-8")),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(st.characters(codec="utf-8"), max_size=8), inner, max_size=4),
)


@settings(max_examples=400, deadline=None)
@given(value=JSON.filter(lambda value: value is not None))
def test_json_is_read_as_json(value: Any) -> None:
    # With its other characters escaped, for YAML takes fewer of them raw than JSON does.
    assert list(documents(json.dumps(value).encode(), "file.yaml")) == [value]


@pytest.mark.parametrize("path", sorted(ROOT.glob("examples/**/*.yaml")) + sorted(ROOT.glob("crds/*.yaml")), ids=lambda path: path.name)
def test_what_we_ship_is_read_as_everybody_reads_it(path: Path) -> None:
    assert list(documents(path.read_bytes(), path.name)) == [one for one in yaml.safe_load_all(path.read_bytes()) if one is not None]


def test_bypass_12_a_number_to_the_base_of_60_costs_no_more_than_its_text() -> None:
    began = time.process_time()
    [found] = documents(b"a: 1" + b":1" * 500_000, "file.yaml")
    assert isinstance(found, dict)
    assert found["a"] == "1" + ":1" * 500_000
    assert time.process_time() - began < 5


def test_bypass_12_nodes_are_counted_as_they_come() -> None:
    began = time.process_time()
    assert f"more than {MAX_NODES_EACH} nodes in a document" in refusal(b"[" + b"a," * (MAX_BYTES // 2 - 2) + b"a]")
    assert time.process_time() - began < 30
