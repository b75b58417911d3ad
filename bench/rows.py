"""What came out: rows of figures, and how runs of different times are kept together.

1. A row is named by what was measured (`Row.key`); two of one name in one run are a slip, and refused.
2. A run says when, by which command, on which machine and with which versions. Each row bears its run.
3. Of several runs the latest row of a name is shown, under its own run's date. What is compared comes from one run (`goals`).
4. A figure over rounds is the median of the rounds' figures; requests and errors are summed.
"""

from __future__ import annotations

import json
import statistics
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

from bench.errors import BenchError

Key = tuple[str, str, str, str, int]
SUMMED = frozenset({"requests", "errors"})


@dataclass(frozen=True)
class Row:
    """One line of figures. ``archive`` is such as ``file 100``, ``way`` such as ``api`` or ``direct``; both may be empty."""

    group: str
    subject: str
    figures: Mapping[str, float]
    archive: str = ""
    way: str = ""
    clients: int = 0

    @property
    def key(self) -> Key:
        """What was measured."""
        return (self.group, self.subject, self.archive, self.way, self.clients)


@dataclass(frozen=True)
class Run:
    """One run: when (UTC), by which command, where, with what, and its rows."""

    date: str
    command: str
    machine: Mapping[str, str]
    versions: Mapping[str, str]
    rows: tuple[Row, ...]
    seconds: float = 0.0

    def __post_init__(self) -> None:
        keys = [row.key for row in self.rows]
        twice = sorted({key for key in keys if keys.count(key) > 1})
        if twice:
            raise BenchError(f"measured twice in one run: {twice[0]}")

    def find(self, group: str, subject: str, *, archive: str | None = None, way: str = "", clients: int = 0) -> Row | None:
        """Return the row of this name; of any archive where none is named."""
        for row in self.rows:
            same = (row.group, row.subject, row.way, row.clients) == (group, subject, way, clients)
            if same and archive in (None, row.archive):
                return row
        return None


def medians(rounds: Sequence[Mapping[str, float]]) -> dict[str, float]:
    """Return the figures of all rounds as one (rule 4); a figure that a round lacks is left out."""
    names = [name for name in rounds[0] if all(name in one for one in rounds)]
    return {name: (sum if name in SUMMED else statistics.median)([one[name] for one in rounds]) for name in names}


def merged(runs: Iterable[Run]) -> list[tuple[Row, Run]]:
    """Return the latest row of each name with its run, in the order in which names first occurred (rule 3)."""
    latest: dict[Key, tuple[Row, Run]] = {}
    for run in sorted(runs, key=lambda one: one.date):
        for row in run.rows:
            latest[row.key] = (row, run)
    return list(latest.values())


def write_run(run: Run, folder: Path) -> Path:
    """Write a run to a file of its own in the folder, named after its date."""
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / f"{run.date.replace(':', '')}.json"
    path.write_text(json.dumps(asdict(run), indent=1) + "\n")
    return path


def read_runs(folder: Path) -> list[Run]:
    """Return the runs whose files lie in the folder, the oldest first."""
    return [read_run(path.read_text()) for path in sorted(folder.glob("*.json"))]


def read_run(text: str) -> Run:
    """Return a run as `write_run` wrote it."""
    value = json.loads(text)
    return Run(**{**value, "rows": tuple(Row(**row) for row in value["rows"])})
