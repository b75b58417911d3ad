"""Predictions: for each case its label and a probability; and those of two models, side by side.

1. A case has an id of its own; its label is 0 or 1, and its score a probability from 0 to 1. None of them is missing.
2. Two models are compared on the same cases with the same labels, or not at all. The order of rows says nothing.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from signoff.checks.errors import BadTable
from signoff.checks.tables import Table, Words

Floats = NDArray[np.float64]
Labels = NDArray[np.int64]
_SHOWN = 60


@dataclass(frozen=True)
class Names:
    """How the three columns are named that every file of predictions has."""

    id: str = "id"
    label: str = "label"
    score: str = "score"

    @property
    def all(self) -> tuple[str, str, str]:
        """The three names."""
        return (self.id, self.label, self.score)


@dataclass(frozen=True)
class Cases:
    """The cases of a file: ids, labels, scores, in its order."""

    where: str
    ids: tuple[str, ...]
    labels: Labels
    scores: Floats


def cases_of(table: Table, names: Names) -> Cases:
    """Return the cases of a table whose ids were read as words; `BadTable` names the first row that is none (rule 1)."""
    ids = table.columns[names.id]
    if not isinstance(ids, Words):
        raise TypeError("ids are read as words")
    _require(ids.codes >= 0, table, names.id, "is empty", "give each case an id")
    if len(ids.words) < table.rows:
        _, first = np.unique(ids.codes, return_index=True)
        again = np.ones(table.rows, dtype=bool)
        again[first] = False
        row = int(np.argmax(again))
        told = f"{ids.words[int(ids.codes[row])][:_SHOWN]!r} stands twice"
        raise BadTable(told, _place(table, names.id, row), "give each case one row")
    labels, scores = table.numbers(names.label), table.numbers(names.score)
    _require((labels == 0) | (labels == 1), table, names.label, "is neither 0 nor 1", "write 1 where it came to pass, else 0")
    _require(
        (scores >= 0) & (scores <= 1), table, names.score, "is no probability from 0 to 1", "write the predicted probability of label 1"
    )
    return Cases(table.where, ids.words, labels.astype(np.int64), scores)


def scores_of(table: Table, name: str) -> Floats | None:
    """Return the scores of a reference population, None where it has none."""
    if name not in table.columns:
        return None
    scores = table.numbers(name)
    _require((scores >= 0) & (scores <= 1), table, name, "is no probability from 0 to 1", "correct it, or leave the column out")
    return scores


def matched(incumbent: Cases, candidate: Cases) -> Floats:
    """Return the incumbent's scores in the candidate's order; `BadTable` unless both speak of the same cases (rule 2)."""
    rows = {one: row for row, one in enumerate(incumbent.ids)}
    missing = [one for one in candidate.ids if one not in rows]
    more = len(incumbent.ids) - (len(candidate.ids) - len(missing))
    if missing or more:
        known = set(candidate.ids)
        other = missing[0] if missing else next(one for one in incumbent.ids if one not in known)
        told = f"{len(missing):,} cases of {candidate.where} are missing and {more:,} others are there, such as {other[:_SHOWN]!r}"
        raise BadTable(told, incumbent.where, "score the same cases with both models")
    order = np.array([rows[one] for one in candidate.ids], dtype=np.int64)
    differing = np.flatnonzero(incumbent.labels[order] != candidate.labels)
    if len(differing):
        other = candidate.ids[int(differing[0])]
        told = f"{len(differing):,} labels differ from those of {candidate.where}, such as that of {other[:_SHOWN]!r}"
        raise BadTable(told, incumbent.where, "give both files the same outcomes")
    return incumbent.scores[order]


def _require(fine: NDArray[np.bool_], table: Table, column: str, what: str, mend: str) -> None:
    if not bool(fine.all()):
        row = int(np.argmin(fine))
        values = table.columns[column]
        shown = "" if isinstance(values, Words) else f"{float(values.values[row]):g} "
        raise BadTable(f"{shown}{what}", _place(table, column, row), mend)


def _place(table: Table, column: str, row: int) -> str:
    return f"{table.where}: column {column!r}, row {row + 1}"
