"""Strict JSON in, one spelling out."""

from __future__ import annotations

import base64
import json
import math
import re
import tracemalloc

import pytest
from hypothesis import given
from hypothesis import strategies as st

from signoff.record.canonical import MAX_DEPTH, MAX_INTEGER, b64decode, b64encode, dumps, dumps_unambiguous, loads, refuse_ambiguous
from signoff.record.values import RecordError

TEXT = st.text(st.characters(exclude_categories=["Cs"]), max_size=20)
PLAIN = st.recursive(
    st.booleans() | st.integers(-MAX_INTEGER, MAX_INTEGER) | TEXT,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(TEXT, inner, max_size=4),
    max_leaves=20,
)
ANY = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(st.characters(), max_size=10),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(st.characters(), max_size=10), inner, max_size=4),
    max_leaves=20,
)


def read(data: bytes) -> object:
    return loads(data, "here", limit=1_000_000)


@pytest.mark.parametrize(
    ("data", "why"),
    [
        pytest.param(b'{"a":1,"a":1}', "'a' stands twice", id="a key twice"),
        pytest.param(b'{"a":1,"\\u0061":2}', "'a' stands twice", id="a key twice, once escaped"),
        pytest.param(b'[{"x":{"b":1,"c":2,"b":3}}]', "'b' stands twice", id="a key twice, deep inside"),
        pytest.param(b"NaN", "NaN is no JSON number", id="NaN"),
        pytest.param(b"[Infinity]", "Infinity is no JSON number", id="Infinity"),
        pytest.param(b'{"a":-Infinity}', "-Infinity is no JSON number", id="minus Infinity"),
        pytest.param(b"1e999", "1e999 is beyond every number", id="a number that reads as Infinity"),
        pytest.param(b"[-1e400]", "-1e400 is beyond every number", id="a number that reads as minus Infinity"),
        pytest.param(b"9" * 5000, "not strict JSON", id="an integer of 5000 digits"),
        pytest.param(b'"\\ud800"', "lone surrogate", id="a lone surrogate"),
        pytest.param(b'{"\\udfff":1}', "lone surrogate", id="a lone surrogate in a key"),
        pytest.param(b'["\\udc00\\ud800"]', "lone surrogate", id="surrogates in the wrong order"),
        pytest.param(b'"\xed\xa0\x80"', "not UTF-8 at byte 1", id="a surrogate in UTF-8"),
        pytest.param(b'"\xff"', "not UTF-8 at byte 1", id="not UTF-8"),
        pytest.param(b"\xef\xbb\xbf{}", "not strict JSON", id="a byte order mark"),
        pytest.param('"a"'.encode("utf-16"), "not UTF-8", id="UTF-16"),
        pytest.param(b"", "not strict JSON", id="nothing"),
        pytest.param(b"{} {}", "not strict JSON", id="two values"),
        pytest.param(b"{'a':1}", "not strict JSON", id="other quotes"),
        pytest.param(b'{"a":1,}', "not strict JSON", id="a comma too many"),
        pytest.param(b"{} // said", "not strict JSON", id="a comment"),
        pytest.param(b'"a\nb"', "not strict JSON", id="a raw line end in a string"),
        pytest.param(b"01", "not strict JSON", id="a leading zero"),
        pytest.param(b"[" * 100_000, "nested too deep", id="brackets without end"),
        pytest.param(b"[" * 33 + b"]" * 33, "nested deeper than 32", id="one level too deep"),
        pytest.param(b'{"a":' * 32 + b"1" + b"}" * 32, "nested deeper than 32", id="objects one level too deep"),
    ],
)
def test_json_that_is_not_strict_is_refused(data: bytes, why: str) -> None:
    with pytest.raises(RecordError, match=why) as refused:
        read(data)
    assert refused.value.where == "here"


@pytest.mark.parametrize(
    ("data", "value"),
    [
        (b' {"a" : [1, "\\ud83c\\udfe6"]} ', {"a": [1, "🏦"]}),
        (b'{"a":{"b":1},"c":{"b":1}}', {"a": {"b": 1}, "c": {"b": 1}}),
        (b"[" * 32 + b"]" * 32, None),
        (b"1.5", 1.5),
        (b"1e308", 1e308),
    ],
    ids=["white space and a pair of surrogates", "one key in two objects", "as deep as allowed", "a float", "a large float"],
)
def test_strict_json_is_read(data: bytes, value: object) -> None:
    assert read(data) == value if value is not None else read(data) is not None


def test_as_many_bytes_as_are_allowed_are_read_and_not_one_more() -> None:
    assert loads(b'"abc"', "here", limit=5) == "abc"
    with pytest.raises(RecordError, match="5 bytes are more than the 4 allowed"):
        loads(b'"abc"', "here", limit=4)


@given(st.binary(max_size=200) | ANY.map(lambda value: json.dumps(value).encode()))
def test_no_bytes_raise_anything_but_record_error(data: bytes) -> None:
    try:
        value = read(data)
    except RecordError:
        return
    json.dumps(value, ensure_ascii=False, allow_nan=False).encode()  # what was read is JSON that everybody can write


@given(PLAIN)
def test_what_is_written_is_read_as_the_same_and_has_one_spelling(value: object) -> None:
    data = dumps(value)
    assert loads(data, "here", limit=len(data)) == value
    assert dumps(read(json.dumps(value, indent=3).encode())) == data


@given(ANY)
def test_writing_raises_nothing_but_record_error(value: object) -> None:
    try:
        data = dumps(value)
    except RecordError:
        return
    json.loads(data)


def broken(value: object) -> bool:
    """Whether a value holds what a request may not; said once more, without a thought for depth or messages."""
    if isinstance(value, dict):
        return any(broken(key) or broken(child) for key, child in value.items())
    if isinstance(value, list):
        return any(broken(child) for child in value)
    if isinstance(value, str):
        return any(0xD800 <= ord(character) <= 0xDFFF for character in value)
    if isinstance(value, bool):
        return False
    return value is None or isinstance(value, float) or abs(value) >= 2**53


@given(ANY)
def test_refuse_ambiguous_refuses_what_two_parsers_read_in_two_ways(value: object) -> None:
    if not broken(value):
        refuse_ambiguous(value, "spec")
        assert dumps_unambiguous(value, "spec") == dumps(value)
        return
    with pytest.raises(RecordError) as refused:
        refuse_ambiguous(value, "spec")
    with pytest.raises(RecordError, match=re.escape(str(refused.value))):
        dumps_unambiguous(value, "spec")
    assert refused.value.where.startswith("spec")
    assert str(refused.value).isprintable()


@pytest.mark.parametrize(
    ("value", "where", "why"),
    [
        ({"a": [1, {"b": None}]}, "spec.a[1].b", "null says nothing"),
        ({"a": 0.5}, "spec.a", "0.5 is a float"),
        ({"a": math.inf}, "spec.a", "inf is a float"),
        ([2**53], "spec[0]", "beyond"),
        ([-(2**53)], "spec[0]", "beyond"),
        ({"x\ny": None}, r"spec.'x\ny'", "null"),
        ({"k" * 1000: None}, "spec.'" + "k" * 64 + "'", "null"),
        ({"\ud800": 1}, r"spec.'\ud800'", "lone surrogate"),
    ],
    ids=["null", "float", "infinity", "large", "small", "a key with a line end", "a long key", "a broken key"],
)
def test_refuse_ambiguous_says_where(value: object, where: str, why: str) -> None:
    with pytest.raises(RecordError, match=why) as refused:
        refuse_ambiguous(value, "spec")
    assert refused.value.where == where


def nested(levels: int) -> object:
    value: object = "x"
    for _ in range(levels):
        value = [value]
    return value


def test_refuse_ambiguous_goes_as_deep_as_allowed_and_no_deeper() -> None:
    refuse_ambiguous(nested(MAX_DEPTH), "spec")
    for levels in (MAX_DEPTH + 1, 50_000):
        with pytest.raises(RecordError, match="nested deeper than 32"):
            refuse_ambiguous(nested(levels), "spec")


def test_bypass_12_a_long_key_over_many_values_costs_no_more_than_it_is_long() -> None:
    value = {"k" * 200_000: ["x"] * 50_000}  # as one path for each value these would be 10 GB
    tracemalloc.start()
    refuse_ambiguous(value, "spec")
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < 1_000_000


@given(st.binary(max_size=100))
def test_base64_has_one_spelling(data: bytes) -> None:
    text = b64encode(data)
    assert b64decode(text, "here") == data
    for other in {text.rstrip("="), text + "=", text + "\n", " " + text, text.replace("+", "-").replace("/", "_")} - {text}:
        with pytest.raises(RecordError, match="base64"):
            b64decode(other, "here")


@given(st.text(st.sampled_from("AQgwx+/=-_é \n"), max_size=12))
def test_base64_that_is_read_is_the_spelling_of_its_bytes(text: str) -> None:
    try:
        data = b64decode(text, "here")
    except RecordError:
        return
    assert base64.b64encode(data).decode() == text


@pytest.mark.parametrize("text", ["QQ==", "QUI=", ""])
def test_base64_is_read(text: str) -> None:
    assert b64encode(b64decode(text, "here")) == text


@pytest.mark.parametrize("text", ["QR==", "QUJ=", "QQ", "Q", "QQ=", "====", "Q=Q="], ids=repr)
def test_base64_with_stray_bits_or_padding_is_refused(text: str) -> None:
    with pytest.raises(RecordError, match="base64"):
        b64decode(text, "here")
