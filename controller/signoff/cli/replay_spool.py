"""What was replayed, kept until it is told: a summary comes first, and nobody knows it before the last event.

1. It lies in a database without a name, which SQLite keeps in a temporary file and takes away when it is closed: memory stays bounded for
   any number of events.
2. It is told in an order of its own: by model, environment and the time at which the store took it; what could not be read comes first.
3. Of what is admitted today and would be routed more strictly, each digest can be asked for: that is how running Pods are found.
"""

from __future__ import annotations

import sqlite3
from collections import Counter
from collections.abc import Iterator
from typing import Final, Literal

from signoff.cli.replayed import Passed, Replayed

Which = Literal["all", "differing", "due"]

_TABLES: Final = """
CREATE TABLE replayed (
  number INTEGER PRIMARY KEY, model TEXT, environment TEXT, stored TEXT, id TEXT, image TEXT, differs INTEGER, due INTEGER, record TEXT
);
CREATE TABLE digests (digest TEXT, number INTEGER, PRIMARY KEY (digest, number)) WITHOUT ROWID;
CREATE TABLE places (namespace TEXT PRIMARY KEY) WITHOUT ROWID;
CREATE TABLE running (number INTEGER, pod TEXT, PRIMARY KEY (number, pod)) WITHOUT ROWID;
"""
_WHERE: Final[dict[Which, str]] = {"all": "1", "differing": "differs", "due": "due"}


class Spool:
    """Keeps what was replayed, and counts it. ``verdicts`` and ``passed`` are the counts, ``due`` those admitted today and stricter."""

    def __init__(self) -> None:
        self._rows = sqlite3.connect("")
        self._rows.executescript(_TABLES)
        self.verdicts: Counter[str] = Counter()
        self.passed: Counter[str] = Counter()
        self.due = 0

    def close(self) -> None:
        """Take the temporary file away."""
        self._rows.close()

    def add(self, found: Replayed | Passed) -> None:
        """Keep what became of one event."""
        if isinstance(found, str):
            self.passed[found] += 1
            return
        self.verdicts[found.verdict] += 1
        told = found.promotion
        # Where it cannot be told whether it is admitted it may be: it is among those that are due.
        due = found.verdict == "stricter" and told is not None and told.admitted is not False
        self.due += due
        place = (
            (told.model, told.environment, told.storedAt or "", found.id, told.image) if told is not None else ("", "", "", found.id, "")
        )
        row = (*place, found.verdict != "same", due, found.model_dump_json(exclude_none=True))
        number = self._rows.execute(
            "INSERT INTO replayed (model, environment, stored, id, image, differs, due, record) VALUES (?, ?, ?, ?, ?, ?, ?, ?)", row
        ).lastrowid
        if due and told is not None:
            self._rows.executemany("INSERT OR IGNORE INTO digests VALUES (?, ?)", ((digest, number) for digest in told.digests))
            self._rows.executemany("INSERT OR IGNORE INTO places VALUES (?)", ((namespace,) for namespace in told.namespaces))

    def told(self, which: Which = "all") -> Iterator[tuple[Replayed, tuple[str, ...]]]:
        """Yield what was replayed, each with the Pods that run it now, in the order of rule 2."""
        found = self._rows.execute(f"SELECT number, record FROM replayed WHERE {_WHERE[which]} ORDER BY model, environment, stored, id")  # noqa: S608 - of ours
        for number, record in found:
            pods = self._rows.execute("SELECT pod FROM running WHERE number = ? ORDER BY pod", (number,))
            yield Replayed.model_validate_json(record), tuple(pod for (pod,) in pods)

    @property
    def total(self) -> int:
        """How many promotions were replayed."""
        return self.verdicts.total()

    @property
    def namespaces(self) -> Iterator[str]:
        """The namespaces for which anything was promoted that is due."""
        return (namespace for (namespace,) in self._rows.execute("SELECT namespace FROM places ORDER BY namespace"))

    def running(self, pod: str, digests: frozenset[str]) -> None:
        """Take note of a Pod (namespace/name) that names these digests, if any of them is due."""
        for digest in digests:
            self._rows.execute("INSERT OR IGNORE INTO running SELECT number, ? FROM digests WHERE digest = ?", (pod, digest))

    @property
    def pods(self) -> int:
        """How many Pods run what is due."""
        return int(self._rows.execute("SELECT COUNT(DISTINCT pod) FROM running").fetchone()[0])

    @property
    def images(self) -> int:
        """How many images are due."""
        return int(self._rows.execute("SELECT COUNT(DISTINCT image) FROM replayed WHERE due").fetchone()[0])
