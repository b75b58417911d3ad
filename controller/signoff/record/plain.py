"""Plain JSON: the values on whose spelling a fast serializer and RFC 8785 agree. What is here says yes quickly, or says nothing.

1. A value is plain if it is made of objects and arrays, at most `DEPTH` in each other, and of strings, booleans and integers of at most
   2⁵³ − 1, and holds no null, no float, no lone surrogate and no character beyond U+FFFF. All that we write is plain, but for the last.
2. Of a plain value the serializer's bytes are its JCS bytes: the two differ in floats, and in the order of keys with characters beyond
   U+FFFF (RFC 8785, section 3.2.3, sorts by UTF-16 code units, and the serializer by UTF-8 bytes).
3. Bytes that read as a plain value whose bytes they are hold no key twice, no number in a second spelling, no white space.
4. JSON as Go writes it (the API server's reviews): bytes that are those of the value that they are read as, with keys in the order in
   which they stand, hold no key twice, no number in a second spelling, no white space. What Go escapes and the serializer does not (``<``,
   ``>``, ``&``; encoding/json, HTMLEscape) is escaped, and the newline behind it put aside, before they are compared.
5. Here nothing is refused. ``None`` says that `canonical` must decide by its own way, which stays the authority.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Final, TypeAlias

import orjson

Json: TypeAlias = "Mapping[str, Json] | Sequence[Json] | str | int | float | bool | None"

DEPTH: Final = 16

_SPELLING: Final = orjson.OPT_SORT_KEYS | orjson.OPT_STRICT_INTEGER
_KINDS: Final = frozenset({dict, list, str, int, bool})
_ESCAPED: Final = ((b"<", b"\\u003c"), (b">", b"\\u003e"), (b"&", b"\\u0026"))
# Deep and large at once, indentation would take a thousand times the memory of what is indented.
_INDENTED: Final = 64 * 1024
# In UTF-8 a character beyond U+FFFF begins with one of the bytes that are left out here.
_WITHIN_FFFF: Final = bytes(range(0xF0))


def spelled(value: Json) -> bytes | None:
    """Return the JCS bytes of a plain value; None where it is not plain."""
    if not _is_of_plain_kinds(value):
        return None
    try:
        data = orjson.dumps(value, option=_SPELLING)
    except orjson.JSONEncodeError:  # an integer too large, a lone surrogate, a key that is no string
        return None
    return None if not data.isascii() and data.translate(None, _WITHIN_FFFF) else data


def value_of(data: bytes) -> Json:
    """Return the value whose JCS bytes ``data`` are, if it is plain; else None, which no plain value is."""
    try:
        value: Json = orjson.loads(data)
    except orjson.JSONDecodeError:
        return None
    return value if spelled(value) == data else None


def compact_value_of(data: bytes, depth: int) -> Json:
    """Return the value of strict JSON without white space, no value in ``depth`` others or more, if it is that (rule 4); else None."""
    try:
        value: Json = orjson.loads(data)
        spelling = orjson.dumps(value)
    except (orjson.JSONDecodeError, orjson.JSONEncodeError):
        return None
    text = data.removesuffix(b"\n")
    if spelling != text and _as_go_writes(spelling) != text:
        return None
    return value if _is_within(value, depth, len(text)) else None


def _as_go_writes(spelling: bytes) -> bytes:
    # These stand within strings alone.
    for character, escape in _ESCAPED:
        spelling = spelling.replace(character, escape)
    return spelling


def _is_within(value: Json, depth: int, size: int) -> bool:
    if size <= _INDENTED:
        # Each value stands on a line of its own, behind two spaces for each that it lies in; no string holds a newline.
        return b"\n" + b"  " * depth not in orjson.dumps(value, option=orjson.OPT_INDENT_2)
    inside = [value]
    for _ in range(depth):
        holders = [one for one in inside if type(one) is dict or type(one) is list]
        if not holders:
            return True
        inside = [child for one in holders for child in (one.values() if type(one) is dict else one)]
    return not inside


def _is_of_plain_kinds(value: Json) -> bool:
    """Whether a value is made of the kinds of rule 1 and no deeper: looked at by levels, which costs the least."""
    inside = [value]
    for _ in range(DEPTH + 1):
        if not _KINDS.issuperset(map(type, inside)):
            return False
        deeper = [one for one in inside if type(one) is dict or type(one) is list]
        if not deeper:
            return True
        inside = [child for one in deeper for child in (one.values() if type(one) is dict else one)]
    return False
