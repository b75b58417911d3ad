"""Times of the record and of the store, for people and for machines."""

from __future__ import annotations

from datetime import datetime


def moment(time: datetime | None) -> str:
    """Return a time for people, in UTC, to the second."""
    return "at an unknown time" if time is None else f"{time:%Y-%m-%d %H:%M:%S} UTC"


def stamp(time: datetime | None) -> str | None:
    """Return a time for machines, RFC 3339 in UTC, to the microsecond; None where it is unknown."""
    return None if time is None else f"{time:%Y-%m-%dT%H:%M:%S.%f}Z"
