"""The bytes: how a value becomes JSON that is signed, and how foreign JSON is read.

1. What we write is JCS (RFC 8785): one byte string for one value.
2. What we read is strict (RFC 7493, I-JSON): UTF-8, no lone surrogates, no duplicate keys, no NaN or Infinity and no number that reads as
   one, bounded depth, size and number of values.
3. Both go the fast way of `plain` where it answers. Whatever it is silent about is decided here, and so is everything that is refused.
4. A request holds no null, no float and no integer beyond 2⁵³ − 1: these are the values that two parsers read in two ways,
   and the request's id is a hash over them.
"""

from __future__ import annotations

import base64
import binascii
import json
import math
import re
from collections.abc import Mapping, Sequence
from typing import Final, TypeAlias

import rfc8785

from signoff.record import plain
from signoff.record.plain import Json
from signoff.record.values import MAX_VALUES, RecordError, place, require_few_values

__all__ = [
    "Json",
    "b64decode",
    "b64encode",
    "dumps",
    "dumps_unambiguous",
    "loads",
    "loads_canonical",
    "loads_unambiguous",
    "refuse_ambiguous",
    "text_at",
]

MAX_DEPTH: Final = 32
MAX_INTEGER: Final = 2**53 - 1

_SURROGATE: Final = re.compile("[\ud800-\udfff]")


def dumps(value: Json) -> bytes:
    """Return the JCS bytes of ``value`` (RFC 8785); `RecordError` where it has none."""
    return plain.spelled(value) or slow_dumps(value)


def dumps_unambiguous(value: Json, where: str) -> bytes:
    """Return the JCS bytes of a value that holds nothing ambiguous: `refuse_ambiguous` and `dumps` in one."""
    data = plain.spelled(value)
    if data is None:
        refuse_ambiguous(value, where)
        data = slow_dumps(value)
    return data


def slow_dumps(value: Json) -> bytes:
    """Return what `dumps` does, by the way that decides (rule 3)."""
    try:
        return rfc8785.dumps(value)
    except (rfc8785.CanonicalizationError, UnicodeError, RecursionError) as error:
        raise RecordError(f"this value has no canonical JSON: {error}") from error


def loads(data: bytes, where: str, *, limit: int, most: int = MAX_VALUES) -> Json:
    """Return the value of strict JSON of at most ``limit`` bytes and ``most`` values; `RecordError` says what is wrong with it."""
    _refuse_larger(data, where, limit, most)
    value = plain.compact_value_of(data, MAX_DEPTH)
    return slow_loads(data, where) if value is None else value


def loads_unambiguous(data: bytes, where: str, *, limit: int) -> Json:
    """Return the value of strict JSON that holds nothing ambiguous: `loads` and `refuse_ambiguous` in one."""
    _refuse_larger(data, where, limit)
    value = plain.value_of(data)
    if value is None:
        value = slow_loads(data, where)
        refuse_ambiguous(value, where)
    return value


def loads_canonical(data: bytes, where: str, *, limit: int) -> Json:
    """Return the value of JCS bytes that hold nothing ambiguous; `RecordError` where they are none, or not in their one spelling."""
    _refuse_larger(data, where, limit)
    value = plain.value_of(data)
    if value is None:
        value = slow_loads(data, where)
        refuse_ambiguous(value, where)
        if slow_dumps(value) != data:
            raise RecordError("not in canonical form (JCS, RFC 8785)", where=where)
    return value


def _refuse_larger(data: bytes, where: str, limit: int, most: int = MAX_VALUES) -> None:
    if len(data) > limit:
        raise RecordError(f"{len(data)} bytes are more than the {limit} allowed", where=where, mend="send less")
    require_few_values(data, where, most)


def slow_loads(data: bytes, where: str) -> Json:
    """Return what `loads` does, by the way that decides (rule 3)."""
    try:
        text = data.decode("utf-8")
        value: Json = json.loads(text, object_pairs_hook=_unique, parse_constant=_no_constant, parse_float=_finite)
    except UnicodeDecodeError as error:
        raise RecordError(f"not UTF-8 at byte {error.start}", where=where) from None
    except RecursionError:
        raise RecordError("nested too deep", where=where) from None
    except ValueError as error:
        raise RecordError(f"not strict JSON: {error}", where=where) from None
    _refuse_malformed(value, where)
    return value


def refuse_ambiguous(value: Json, where: str) -> None:
    """Raise `RecordError` where ``value`` holds what a request may not: null, a float, a large integer, a broken string."""
    _refuse_ambiguous(value, where, ())


# The path is put into words only where something is wrong: for all of a large value it would be far larger than the value.
_Steps: TypeAlias = "tuple[str | int, ...]"


def _refuse_ambiguous(item: Json, where: str, steps: _Steps) -> None:
    if len(steps) > MAX_DEPTH:
        raise RecordError(f"nested deeper than {MAX_DEPTH}", where=place(where, steps)[:200])
    if isinstance(item, Mapping):
        for key, child in item.items():
            _refuse_scalar(key, where, (*steps, key))
            _refuse_ambiguous(child, where, (*steps, key))
    elif isinstance(item, Sequence) and not isinstance(item, str):
        for index, child in enumerate(item):
            _refuse_ambiguous(child, where, (*steps, index))
    else:
        _refuse_scalar(item, where, steps)


def _refuse_scalar(item: Json, where: str, steps: _Steps) -> None:
    if item is None:
        raise RecordError("null says nothing", where=place(where, steps), mend="leave the field out")
    if isinstance(item, float):
        raise RecordError(f"{item!r} is a float", where=place(where, steps), mend='write figures as decimal strings, such as "0.8471"')
    if isinstance(item, int) and abs(item) > MAX_INTEGER:
        raise RecordError("this integer is beyond 2^53 - 1", where=place(where, steps), mend="write it as a string")
    if isinstance(item, str) and _SURROGATE.search(item):
        raise RecordError("a lone surrogate is no character", where=place(where, steps))


def text_at(value: Json, *path: str) -> str:
    """Return the text at a path of an object, or "" where there is none."""
    for step in path:
        value = value.get(step) if isinstance(value, Mapping) else None
    return value if isinstance(value, str) else ""


def b64encode(data: bytes) -> str:
    """Return ``data`` in standard base64 with padding (RFC 4648, section 4)."""
    return base64.b64encode(data).decode("ascii")


def b64decode(text: str, where: str) -> bytes:
    """Return the bytes of standard base64; `RecordError` unless ``text`` is the one spelling of them (RFC 4648, section 3.5)."""
    try:
        data = binascii.a2b_base64(text, strict_mode=True)
    except (binascii.Error, ValueError):
        raise RecordError("not base64", where=where) from None
    # All but the last four characters have one spelling, for no other character than the alphabet's was taken.
    if len(text) != (len(data) + 2) // 3 * 4 or b64encode(data[(len(data) - 1) // 3 * 3 :]) != text[-4:]:
        raise RecordError("not the one base64 spelling of its bytes", where=where)
    return data


def _unique(pairs: list[tuple[str, Json]]) -> dict[str, Json]:
    result = dict(pairs)
    if len(result) != len(pairs):
        seen: set[str] = set()
        for key, _ in pairs:
            if key in seen:
                raise ValueError(f"the key {key[:80]!r} stands twice")
            seen.add(key)
    return result


def _no_constant(name: str) -> Json:
    raise ValueError(f"{name} is no JSON number")


def _finite(text: str) -> float:
    number = float(text)
    if math.isinf(number):
        raise ValueError(f"{text[:40]} is beyond every number that JSON readers agree on")
    return number


def _refuse_malformed(value: Json, where: str) -> None:
    pending: list[tuple[Json, int]] = [(value, 1)]
    while pending:
        item, depth = pending.pop()
        if depth > MAX_DEPTH:
            raise RecordError(f"nested deeper than {MAX_DEPTH}", where=where)
        if isinstance(item, str):
            if _SURROGATE.search(item):
                raise RecordError("not strict JSON: a lone surrogate is no character", where=where)
        elif isinstance(item, Mapping):
            pending.extend((key, depth) for key in item)
            pending.extend((child, depth + 1) for child in item.values())
        elif isinstance(item, list):
            pending.extend((child, depth + 1) for child in item)
