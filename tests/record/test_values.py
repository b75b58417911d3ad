"""Times and readable text, against their rules said once more in the slow way."""

from __future__ import annotations

import re
import unicodedata
from datetime import UTC, datetime

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from signoff.record.values import format_time, parse_time, readable

DECEPTIVE = set("\u061c\u200e\u200f\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069\ufeff")
PART = st.sampled_from(["00", "01", "02", "12", "13", "23", "24", "28", "29", "30", "31", "32", "59", "60", "61", "99", "7", "٠١"])
TIMES = st.builds(
    "{}-{}-{}{}{}:{}:{}{}".format,
    st.sampled_from(["0000", "0001", "2000", "2023", "2024", "2100", "9999", "10000", "999"]),
    *[PART, PART, st.sampled_from("Tt "), PART, PART, PART, st.sampled_from(["Z", "z", "", "+00:00", ".0Z", "Z\n"])],
)


def is_readable(text: str) -> bool:
    try:
        readable(text)
    except ValueError:
        return False
    return True


def test_readable_refuses_by_category_and_nothing_else() -> None:
    for number in range(0x110000):
        character = chr(number)
        hidden = character in DECEPTIVE or unicodedata.category(character) in {"Cc", "Cs", "Zl", "Zp"}
        assert is_readable(f"a{character}b") == (character in "\n\t" or not hidden), f"U+{number:04X}"


@given(st.datetimes(min_value=datetime(1, 1, 1), max_value=datetime(9999, 12, 31, 23, 59, 59)))  # noqa: DTZ001 - UTC is put to it
def test_a_time_is_read_as_it_is_written(moment: datetime) -> None:
    moment = moment.replace(microsecond=0, tzinfo=UTC)
    written = f"{moment.year:04}-{moment:%m-%dT%H:%M:%S}Z"
    assert parse_time(written) == moment
    assert parse_time(written).tzinfo is UTC
    assert moment.year < 1000 or format_time(moment) == written


@given(TIMES)
@example("2026-01-01T24:00:00Z")
@example("2024-02-29T00:00:00Z")
@example("2023-02-29T00:00:00Z")
@example("2016-12-31T23:59:60Z")
def test_what_names_no_moment_is_refused(text: str) -> None:
    moment = named(text)
    if moment is not None:
        assert parse_time(text) == moment
        return
    with pytest.raises(ValueError, match=r"."):
        parse_time(text)


def named(text: str) -> datetime | None:
    if not re.fullmatch(r"[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}Z", text):
        return None
    try:
        return datetime.strptime(text, "%Y-%m-%dT%H:%M:%SZ").replace(tzinfo=UTC)
    except ValueError:
        return None
