"""The fast way and the way that decides never disagree: what either takes or refuses, and to which value and bytes."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from test_canonical import ANY, PLAIN, TEXT
from vectors import bundle, golden

from signoff.record import plain
from signoff.record.canonical import (
    MAX_DEPTH,
    MAX_INTEGER,
    dumps,
    loads,
    loads_canonical,
    loads_unambiguous,
    refuse_ambiguous,
    slow_dumps,
    slow_loads,
)
from signoff.record.plain import Json
from signoff.record.values import RecordError

LIMIT = 1_000_000
CASES = Path(__file__).parent / "cases"

# Characters on either side of each border at which spellings part: controls, quotes, surrogates' neighbours, and the end of the BMP.
BORDERS = st.text(st.sampled_from('<u03c\x00\x08\t\n\x0c\r\x1f "\\/\x7f\x80\u2028\ud7ff\ue000\ufeff\uffff\U00010000\U0010ffff'), max_size=3)
KEYED = st.dictionaries(BORDERS, st.integers(-(2**54), 2**54) | st.floats() | BORDERS | st.none(), max_size=5)
BROKEN = st.text(st.characters(), max_size=4).map(lambda text: json.dumps({text: text}))
VALUES = ANY | PLAIN | KEYED | st.lists(KEYED, max_size=2)


def as_go_writes(value: Json) -> str:
    """As encoding/json does by default: what would mean something in HTML is escaped."""
    text = json.dumps(value, ensure_ascii=False, separators=(",", ":"))
    return text.replace("<", "\\u003c").replace(">", "\\u003e").replace("&", "\\u0026")


SPELLINGS: list[Callable[[Json], bytes]] = [
    lambda value: json.dumps(value).encode(),
    lambda value: json.dumps(value, ensure_ascii=False, separators=(",", ":"), sort_keys=True).encode("utf-8", "surrogatepass"),
    lambda value: json.dumps(value, ensure_ascii=False, separators=(",", ":")).encode("utf-8", "surrogatepass"),
    lambda value: as_go_writes(value).encode("utf-8", "surrogatepass") + b"\n",
]
TEXTS = st.builds(lambda spell, value: spell(value), st.sampled_from(SPELLINGS), VALUES)
TWICE = st.builds('{{"{0}":{1},"{0}":{2}}}'.format, st.sampled_from("ab"), st.integers(), st.integers()).map(str.encode)


def with_a_byte(data: bytes, at: int, byte: int) -> bytes:
    at %= len(data) + 1
    return data[:at] + bytes([byte]) + data[at:]


ALTERED = st.builds(with_a_byte, TEXTS, st.integers(0), st.integers(0, 255))
BYTES = st.binary(max_size=60) | TEXTS | TWICE | ALTERED | BROKEN.map(str.encode)


def answer(read: Callable[[], object]) -> object:
    """What came of it: the value with its types (``True`` is no ``1``, ``1.0`` is no ``1``), or that it was refused and why."""
    try:
        return ("taken", repr(read()))
    except RecordError as error:
        return ("refused", str(error))


def unambiguous(data: bytes) -> Json:
    value = slow_loads(data, "here")
    refuse_ambiguous(value, "here")
    return value


def canonical(data: bytes) -> Json:
    value = unambiguous(data)
    if slow_dumps(value) != data:
        raise RecordError("not in canonical form (JCS, RFC 8785)", where="here")
    return value


@given(BYTES)
@example(b'{"a":1,"a":1}')
@example(b"-0")
@example(b"1e400")
@example(b"100000000000000000000")
@example(b"9007199254740993")
@example(b'{"\xef\xbf\xbf":1,"\xf0\x90\x80\x80":2}')
@example(b'{"\xf0\x90\x80\x80":2,"\xef\xbf\xbf":1}')
@example(b'"\\ud800"')
@example(rb'{"\u003c":1,"<":2}')
@example(rb'{"\u003c":1,"\\u003c":2}')
@example(rb'"\\u003c"')
@example(rb'"\\\u003c\u003c"')
@example(b"[null]\n\n")
@example(b"[1.50]")
@example(b"[" * 32 + b"]" * 32)
@example(b"[" * 32 + b"0" + b"]" * 32)
@example(b"[" * 31 + b"0" + b"]" * 31)
@example(b'{"a":' * 32 + b"{}" + b"}" * 32)
@example(b"[" * 33 + b"]" * 33)
@example(b"[" * 300 + b"]" * 300)
def test_reading_is_the_same_either_way(data: bytes) -> None:
    assert answer(lambda: loads(data, "here", limit=LIMIT)) == answer(lambda: slow_loads(data, "here"))
    assert answer(lambda: loads_unambiguous(data, "here", limit=LIMIT)) == answer(lambda: unambiguous(data))
    assert answer(lambda: loads_canonical(data, "here", limit=LIMIT)) == answer(lambda: canonical(data))


@given(VALUES)
@example({"\uffff": 1, "\U00010000": 2})
@example({"a": [2**53 - 1, -(2**53) + 1]})
@example([2**53])
@example([1.0, -0.0, 1e21])
@example([True, 1, "\ud800"])
def test_writing_is_the_same_either_way(value: Json) -> None:
    assert answer(lambda: dumps(value)) == answer(lambda: slow_dumps(value))


@given(BYTES)
def test_what_the_fast_way_takes_is_canonical_and_unambiguous(data: bytes) -> None:
    value = plain.value_of(data)
    if value is not None:
        assert canonical(data) == value


@pytest.mark.parametrize("size", [MAX_INTEGER, -MAX_INTEGER, 0], ids=str)
def test_plain_values_go_the_fast_way(size: int) -> None:
    value: Json = {"a": [size, True, "ü"], "b": {"c": "\uffff"}}
    data = slow_dumps(value)
    assert plain.spelled(value) == data
    assert plain.value_of(data) == value


@pytest.mark.parametrize("name", ["promotion", "rejection", "seal.carla", "submission", "policy", "delegation", "check"])
def test_what_we_write_goes_the_fast_way(name: str) -> None:
    assert plain.value_of(bundle(name)) is not None
    assert plain.value_of(golden("freeze.json")) is not None


@pytest.mark.parametrize(
    "value",
    [None, [None], 1.5, [0.5], 2**53, -(2**53), "\ud800", {"\ud800": 1}, "\U00010000", {"\U0001f3e6": 1}, {1: 2}, (1, 2), {"a": {1}}, b"x"],
    ids=repr,
)
def test_what_is_not_plain_is_left_to_the_way_that_decides(value: Json) -> None:
    assert plain.spelled(value) is None


def nested(levels: int) -> Json:
    value: Json = []
    for _ in range(levels - 1):
        value = [value]
    return value


def test_depth_is_bounded_before_anything_is_written() -> None:
    assert plain.spelled(nested(plain.DEPTH)) == b"[" * plain.DEPTH + b"]" * plain.DEPTH
    assert plain.spelled(nested(plain.DEPTH + 1)) is None
    assert plain.spelled(nested(50_000)) is None


@given(st.dictionaries(TEXT, TEXT, max_size=4))
def test_an_object_that_is_read_fast_has_each_key_once(value: dict[str, str]) -> None:
    if not value:
        return
    data = slow_dumps(value)
    key = next(iter(json.loads(data)))
    doubled = b"{" + json.dumps(key, ensure_ascii=False).encode() + b":0," + data[1:]
    assert plain.value_of(doubled) is None


@pytest.mark.parametrize("size", [0, 70_000], ids=["small", "large"])
@pytest.mark.parametrize(("levels", "taken"), [(5, True), (6, False), (260, False), (3000, False)])
def test_what_lies_too_deep_is_left_to_the_way_that_decides(size: int, levels: int, taken: bool) -> None:
    data = b'["' + b"x" * size + b'",' + b"[" * (levels - 1) + b"]" * levels
    assert (plain.compact_value_of(data, 5) is not None) is taken


@pytest.mark.parametrize("name", ["pod", "deployment"])
def test_what_the_api_server_asks_goes_the_fast_way(name: str) -> None:
    data = (CASES / f"review.{name}.json").read_bytes()
    assert data.endswith(b"}\n")
    assert plain.compact_value_of(data, MAX_DEPTH) == slow_loads(data, "here")
    # Commands and annotations hold these often: Go escapes them.
    assert b"\\u0026\\u0026" in data
