"""The words of the record: digests, ids, times, names, and the closed model that all schemas build on.

1. A digest is ``sha256:`` and 64 lower-case hex digits. An id is 64 lower-case hex digits.
2. A time is RFC 3339 in UTC with whole seconds and a ``Z``: one spelling for one moment.
3. A figure is a decimal string, never a float: what was shown is what is signed.
4. Text that people read holds no control or bidirectional characters: what is signed is what is seen.
5. Every model is closed (an unknown field is an error), frozen and strict (nothing is coerced).
6. JSON holds at most 250,000 values, told by its commas and opening brackets, wherever they stand, before it is parsed: 4 MiB of empty
   lists would take 200 MB. Only a review may hold more (`webhook.review`).
"""

from __future__ import annotations

import hashlib
import re
import unicodedata
from collections.abc import Iterable
from datetime import UTC, datetime
from typing import Annotated, Final, Literal, NewType, TypeVar

from pydantic import AfterValidator, BaseModel, ConfigDict, StringConstraints, ValidationError

from signoff.errors import SignoffError

Digest = NewType("Digest", str)
RequestId = NewType("RequestId", str)
Timestamp = NewType("Timestamp", str)

MAX_VALUES: Final = 250_000

_HEX64: Final = "[0-9a-f]{64}"
_DIGEST: Final = re.compile(f"sha256:{_HEX64}")
_ID: Final = re.compile(_HEX64)
_PLAIN_STEP: Final = re.compile(r"[!-~]{1,64}", re.ASCII)
_TIMESTAMP: Final = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}Z")
# Bidirectional overrides and isolates can make a line read other than it is stored (Unicode UAX #9).
_DECEPTIVE: Final = frozenset("\u061c\u200e\u200f\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069\ufeff")


class RecordError(SignoffError):
    """Bytes that are no record of ours: which field, what is wrong with it, what to do."""


def readable(text: str) -> str:
    """Return ``text``; ValueError where a reader would not see what it holds (rule 4)."""
    if text.isprintable():  # which leaves out more than is refused here: every character that is control, format, surrogate or separator
        return text
    for character in text:
        if character in "\n\t":
            continue
        if character in _DECEPTIVE or unicodedata.category(character) in {"Cc", "Cs", "Zl", "Zp"}:
            raise ValueError(f"the character U+{ord(character):04X} is not allowed in text that people read")
    return text


def _moment(text: str) -> str:
    parse_time(text)
    return text


DigestField = Annotated[Digest, StringConstraints(pattern=f"^sha256:{_HEX64}$")]
IdField = Annotated[RequestId, StringConstraints(pattern=f"^{_HEX64}$")]
TimeField = Annotated[Timestamp, StringConstraints(pattern=f"^{_TIMESTAMP.pattern}$"), AfterValidator(_moment)]
Label = Annotated[str, StringConstraints(pattern=r"^[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?$")]
ObjectName = Annotated[str, StringConstraints(pattern=r"^[a-z0-9]([-.a-z0-9]{0,251}[a-z0-9])?$")]
ModelName = Annotated[str, StringConstraints(pattern=r"^[a-z0-9]([a-z0-9._/-]{0,198}[a-z0-9])?$")]
Glob = Annotated[str, StringConstraints(pattern=r"^[a-z0-9*?]([a-z0-9._/*?-]{0,198}[a-z0-9*?])?$")]
Version = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9][A-Za-z0-9._+-]{0,127}$")]
# At most 64 characters and two digits of exponent: a double holds it, neither as infinite nor as nothing (IEEE 754), so that rules see what
# people do.
Decimal = Annotated[str, StringConstraints(pattern=r"^-?(0|[1-9][0-9]*)([.][0-9]+)?([eE][+-]?[0-9]{1,2})?$", max_length=64)]
Line = Annotated[str, StringConstraints(min_length=1, max_length=256, pattern=r"^[^\n\t]*$"), AfterValidator(readable)]
Text = Annotated[str, StringConstraints(min_length=1, max_length=4096), AfterValidator(readable)]
Base64 = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9+/]+={0,2}$")]
MediaType = Annotated[str, StringConstraints(pattern=r"^[a-z]+/[a-z0-9][a-z0-9.+-]{0,100}$")]


class Closed(BaseModel):
    """A value of the record: frozen, strict, and an unknown field is an error."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True, allow_inf_nan=False)


Model = TypeVar("Model", bound=BaseModel)


def sha256(data: bytes) -> Digest:
    """Return the digest of ``data`` as ``sha256:<hex>`` (FIPS 180-4)."""
    return Digest("sha256:" + hashlib.sha256(data).hexdigest())


def hex_of(digest: Digest) -> str:
    """Return the 64 hex digits of a digest, as in-toto writes them (``{"sha256": "<hex>"}``)."""
    return digest.removeprefix("sha256:")


def parse_digest(text: str, where: str = "") -> Digest:
    """Return ``text`` as a digest, or raise `RecordError` with what a digest looks like."""
    if not _DIGEST.fullmatch(text):
        raise RecordError(f"{text[:80]!r} is not a digest", where=where, mend="write sha256: and 64 lower-case hex digits")
    return Digest(text)


def parse_id(text: str, where: str = "") -> RequestId:
    """Return ``text`` as a request's id, or raise `RecordError`."""
    if not _ID.fullmatch(text):
        raise RecordError(f"{text[:80]!r} is not a request's id", where=where, mend="an id is 64 lower-case hex digits")
    return RequestId(text)


def parse_time(text: str) -> datetime:
    """Return the moment that ``text`` names, aware and in UTC; ValueError where it names none (RFC 3339, section 5.6)."""
    if not _TIMESTAMP.fullmatch(text):
        raise ValueError("a time is written 2026-01-31T12:00:00Z, in UTC and whole seconds")
    if text[11:13] > "23":  # which some versions of the parser below take for the next day
        raise ValueError(f"{text} is no time: hours are 00 to 23")
    return datetime.fromisoformat(text)


def format_time(moment: datetime) -> Timestamp:
    """Return the one spelling of ``moment``, cut to whole seconds; it must be aware."""
    if moment.tzinfo is None:
        raise ValueError("a moment without a time zone names no time")
    return Timestamp(moment.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ"))


def parse(model: type[Model], data: bytes, where: str, *, unknown_fields: Literal["forbid", "ignore"] = "forbid") -> Model:
    """Return ``data``, JSON, as a ``model``; raise `RecordError` with the path of the first field that is wrong."""
    require_few_values(data, where)
    try:
        return model.model_validate_json(data, extra=unknown_fields)
    except ValidationError as error:
        raise _explained(error, where) from None


def require_few_values(data: bytes, where: str, most: int = MAX_VALUES) -> None:
    """Raise `RecordError` where ``data``, JSON, may hold more than ``most`` values (rule 6)."""
    # Each value but the first has a byte of its own that announces it: fewer bytes need not be counted.
    if len(data) > most and sum(map(data.count, (b",", b"[", b"{"))) > most:
        raise RecordError(f"more than the {most} values allowed", where=where, mend="send less")


def place(where: str, steps: Iterable[str | int]) -> str:
    """Return a field's path in one short, printable line, whatever the keys were that somebody sent."""
    path = where
    for step in steps:
        if isinstance(step, int):
            path += f"[{step}]"
        else:
            path += f".{step}" if _PLAIN_STEP.fullmatch(step) else f".{step[:64]!a}"
    return path.lstrip(".")


def _explained(error: ValidationError, where: str) -> RecordError:
    first = error.errors(include_url=False, include_input=False)[0]
    more = f" (and {error.error_count() - 1} more)" if error.error_count() > 1 else ""
    what = {
        "extra_forbidden": "this field is unknown",
        "missing": "this field is missing",
    }.get(first["type"], first["msg"].removeprefix("Value error, "))
    mend = {
        "extra_forbidden": "remove it: the schema is closed, and what is not decision state does not go in",
        "missing": "fill it in",
    }.get(first["type"], "correct it")
    return RecordError(what + more, where=place(where, first["loc"]), mend=mend)
