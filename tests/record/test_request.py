"""A spec is read strictly, and each error says where and what to do."""

from __future__ import annotations

import json
from base64 import b64encode
from copy import deepcopy
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st
from vectors import golden_json

from signoff.record.request import MAX_INLINE_EXPLANATION, MAX_SPEC, Spec, platform_manifests, read_spec
from signoff.record.values import RecordError, sha256

FULL: dict[str, Any] = next(row["spec"] for row in golden_json("ids.json") if row["name"] == "every field")
CASES = yaml.safe_load((Path(__file__).parent / "cases" / "specs.yaml").read_text(encoding="utf-8"))
ABSENT = "(absent)"


def put(value: Any, path: str, new: Any) -> None:
    *folders, last = [int(step) if step.isdigit() else step for step in path.split(".")]
    for step in folders:
        value = value[step]
    if new == ABSENT:
        del value[last]
    else:
        value[last] = new


@pytest.mark.parametrize(
    "case", [pytest.param(case, id=f"{case['path']} {case.get('name', case['to'])!s:.40}") for case in CASES["refused"]]
)
def test_a_spec_with_one_field_wrong_is_refused(case: dict[str, Any]) -> None:
    spec = deepcopy(FULL)
    put(spec, case["path"], case["to"])
    with pytest.raises(RecordError) as refused:
        read_spec(spec)
    assert refused.value.where == case.get("where", "spec." + case["path"])
    assert case["why"] in refused.value.what
    assert str(refused.value).isprintable()


@pytest.mark.parametrize("case", [pytest.param(case, id=f"{case['path']} {case.get('name', case['to'])!s:.40}") for case in CASES["read"]])
def test_a_spec_with_one_field_otherwise_is_read(case: dict[str, Any]) -> None:
    spec = deepcopy(FULL)
    put(spec, case["path"], case["to"])
    assert isinstance(read_spec(spec), Spec)


def everywhere(value: object, at: tuple[str | int, ...] = ()) -> list[tuple[str | int, ...]]:
    steps = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    inside = [path for step, child in steps for path in everywhere(child, (*at, step))]
    return [at, *inside] if isinstance(value, dict) else inside


@pytest.mark.parametrize("path", [path for path in everywhere(FULL) if path != ("materiality",)], ids=lambda path: ".".join(map(str, path)))
def test_an_unknown_field_anywhere_is_refused(path: tuple[str | int, ...]) -> None:
    spec = deepcopy(FULL)
    found = spec
    for step in path:
        found = found[step]
    found["note"] = "x"
    with pytest.raises(RecordError, match="this field is unknown") as refused:
        read_spec(spec)
    assert refused.value.where.endswith(".note")


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=6),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=6) | st.sampled_from(sorted(FULL)), inner, max_size=5),
    max_leaves=12,
)


def refusal(spec: object) -> RecordError | None:
    try:
        read_spec(spec)
    except RecordError as error:
        return error
    return None


@given(JSON, st.sampled_from(sorted(FULL)))
def test_arbitrary_json_raises_nothing_but_record_error(value: object, field: str) -> None:
    for spec in (value, {**FULL, field: value}):
        refused = refusal(spec)
        assert refused is None or (str(refused).isprintable() and refused.where.startswith("spec"))


def test_bypass_12_a_large_spec_is_refused_in_few_words() -> None:
    with pytest.raises(RecordError, match="bytes are more than"):
        read_spec({**FULL, "reason": "x" * MAX_SPEC})
    with pytest.raises(RecordError) as refused:
        read_spec({**FULL, "n" * 50_000: "x", "m" * 1000: "y"})
    assert len(str(refused.value)) < 400


def index(*manifests: Any, **more: Any) -> bytes:
    return json.dumps({"schemaVersion": 2, "manifests": list(manifests), **more}).encode()


ONE = {"digest": sha256(b"one"), "platform": {"os": "linux", "architecture": "amd64"}}


@pytest.mark.parametrize(
    ("data", "why"),
    [
        (b"no index", "not strict JSON"),
        (b"[]", "is no OCI image index"),
        (b"{}", "is no OCI image index"),
        (index(), "is no OCI image index"),
        (index(*[ONE] * 65), "is no OCI image index"),
        (index("x"), "holds what is no manifest"),
        (index({"platform": {}}), "without a sha256 digest"),
        (index({"digest": "sha512:" + "0" * 128}), "without a sha256 digest"),
        (index({"digest": sha256(b"x") + "\n"}), "without a sha256 digest"),
        (index({"digest": sha256(b"x"), "platform": []}), "without a sha256 digest"),
        (index(ONE)[:-1] + b',"manifests":[]}', "stands twice"),
    ],
    ids=lambda value: value.decode()[:40] if isinstance(value, bytes) else None,
)
def test_an_image_index_that_is_none_is_refused(data: bytes, why: str) -> None:
    with pytest.raises(ValueError, match=why):
        platform_manifests(b64encode(data).decode(), sha256(data))


def test_an_image_index_must_hash_to_the_images_digest() -> None:
    with pytest.raises(ValueError, match="give the index's exact bytes"):
        platform_manifests(b64encode(index(ONE)).decode(), sha256(b"another"))


def test_the_platforms_of_an_index_are_named_by_what_can_be_shown() -> None:
    odd = {"digest": sha256(b"odd"), "platform": {"os": "linux\u202e", "architecture": "arm64", "variant": 8}}
    data = index(ONE, odd, {"digest": sha256(b"bare")})
    named = platform_manifests(b64encode(data).decode(), sha256(data))
    assert [platform for platform, _ in named] == ["linux/amd64", "arm64", "unknown"]


def test_an_inline_explanation_is_measured_in_bytes() -> None:
    for text, taken in (("ü" * (MAX_INLINE_EXPLANATION // 2), True), ("ü" * (MAX_INLINE_EXPLANATION // 2) + "x", False)):
        spec = {**FULL, "explanation": {**FULL["explanation"], "source": {"inline": text}}}
        if taken:
            read_spec(spec)
        else:
            with pytest.raises(RecordError, match="at most 32 KiB"):
                read_spec(spec)
