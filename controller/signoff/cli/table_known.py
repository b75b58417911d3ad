"""What a table holds already, beside what the archive lists: both in ascending order, so that neither has to fit into memory."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable, Iterator
from contextlib import closing
from dataclasses import dataclass, field
from types import TracebackType
from typing import Final, Self

from signoff.errors import SignoffError

_SHOWN: Final = 5
_SET_UP: Final = """
PRAGMA journal_mode = OFF; PRAGMA synchronous = OFF; PRAGMA cache_size = -32768;
CREATE TABLE known (key TEXT PRIMARY KEY) WITHOUT ROWID;
"""


class Twice(SignoffError):
    """An object's rows stand in the table twice."""


@dataclass
class Gone:
    """Objects whose rows stand in the table, and which the archive no longer lists: how many, and the first few keys."""

    count: int = 0
    keys: list[str] = field(default_factory=list)

    def add(self, key: str) -> None:
        """Count one more."""
        self.count += 1
        if len(self.keys) < _SHOWN:
            self.keys.append(key)


class Known:
    """Keys of objects, in a database of this process's own, on disk and gone with it."""

    def __init__(self) -> None:
        self._database = sqlite3.connect("")  # SQLite: an empty name is a private file that is deleted when it is closed
        self._database.executescript(_SET_UP)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self._database.close()

    def add(self, keys: Iterable[str], where: str) -> None:
        """Add the keys of a part of the table; `Twice` where another part has one of them."""
        for key in keys:
            try:
                self._database.execute("INSERT INTO known VALUES (?)", (key,))
            except sqlite3.IntegrityError:
                mend = "remove that file, if it is a copy, and run this again"
                raise Twice(f"holds rows of {key}, which another part holds too", where=where, mend=mend) from None

    def unknown(self, listed: Iterable[str], gone: Gone) -> Iterator[str]:
        """Yield those of the keys that are not known; they come in ascending order. ``gone`` is told the known ones that do not come."""
        with closing(self._database.execute("SELECT key FROM known ORDER BY key")) as rows:
            next_known = next(rows, None)
            for key in listed:
                while next_known is not None and next_known[0] < key:
                    gone.add(next_known[0])
                    next_known = next(rows, None)
                if next_known is not None and next_known[0] == key:
                    next_known = next(rows, None)
                else:
                    yield key
            while next_known is not None:
                gone.add(next_known[0])
                next_known = next(rows, None)
