"""A bundle that lies as we write it is taken apart by its form alone; that never disagrees with JSON and schema."""

from __future__ import annotations

import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from vectors import STATEMENTS, bundle

from signoff.record.bundle import _as_written, _held_to_form
from signoff.record.values import RecordError

BUNDLES = st.sampled_from([bundle(name) for name in ("submission", "seal.carla")])
CHARACTERS = st.sampled_from([*b'"\\{}[]:,=A+/-_ \n\x00z0', 0x80, 0xFF])


@pytest.mark.parametrize("name", STATEMENTS)
def test_what_we_write_is_taken_apart_by_its_form(name: str) -> None:
    data = bundle(name)
    assert _as_written(data) == _held_to_form(data, "here")
    assert _as_written(json.dumps(json.loads(data)).encode()) is None  # white space: the schema decides
    assert _as_written(data + b" ") is None
    assert _as_written(b"") is None


def agrees(data: bytes) -> None:
    fast = _as_written(data)
    try:
        slow = _held_to_form(data, "here")
    except RecordError:
        slow = None
    assert fast is None or fast == slow


@given(BUNDLES, st.integers(0), CHARACTERS)
def test_a_byte_put_in_place_of_another_is_told_alike(data: bytes, at: int, byte: int) -> None:
    at %= len(data)
    agrees(data[:at] + bytes([byte]) + data[at + 1 :])


@given(BUNDLES, st.integers(0), st.binary(max_size=3) | CHARACTERS.map(lambda byte: bytes([byte])))
def test_bytes_put_in_or_left_out_are_told_alike(data: bytes, at: int, more: bytes) -> None:
    at %= len(data) + 1
    agrees(data[:at] + more + data[at:])
    agrees(data[:at] + data[at + 1 + len(more) :])


@settings(max_examples=200)
@given(BUNDLES, st.sampled_from(["payload", "sig", "hint"]), st.text(st.sampled_from('AQg+/=-_\\"é \n0:'), max_size=9))
def test_another_value_in_its_place_is_told_alike(data: bytes, field: str, text: str) -> None:
    before, _, rest = data.partition(f'"{field}":"'.encode())
    agrees(before + f'"{field}":"{text}'.encode() + rest[rest.index(b'"') :])
    agrees(before + f'"{field}":"'.encode() + text.encode() + rest)
