"""The same figures for parts of the data.

1. A segment is the rows that share a word of a column; a row without one is in none.
2. Fewer than 50 rows say too little: such a segment is told and not measured.
3. ``NAME in COLUMN=VALUE`` must lead to one segment: a column's name holds no ``=``.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Final

import numpy as np

from signoff.checks import performance
from signoff.checks.errors import BadTable
from signoff.checks.figures import Figures, change, rounded
from signoff.checks.predictions import Cases, Floats
from signoff.checks.tables import Table, Words
from signoff.record.values import readable

LEAST_ROWS: Final = 50
MAX_VALUES: Final = 50
MAX_VALUE: Final = 64


@dataclass(frozen=True)
class Segment:
    """A segment that was measured; a figure that the data did not give is None."""

    name: str
    rows: int
    auc: Decimal | None
    incumbent: Decimal | None
    change: Decimal | None
    error: Decimal | None


def measure_segments(columns: Sequence[str], table: Table, cases: Cases, incumbent: Floats | None, figures: Figures) -> tuple[Segment, ...]:
    """Keep the figures of each segment of each column, and the worst of them; return the segments."""
    found: list[Segment] = []
    for name in columns:
        column = _column(table, name)
        for index in sorted(range(len(column.words)), key=column.words.__getitem__):
            segment = f"{name}={column.words[index]}"
            chosen = np.flatnonzero(column.codes == index)
            if len(chosen) < LEAST_ROWS:
                figures.left_out[f"all in {segment}"] = f"it has {len(chosen)} rows, fewer than {LEAST_ROWS}"
                continue
            part = Cases(cases.where, (), cases.labels[chosen], cases.scores[chosen])
            found.append(_measured(segment, part, None if incumbent is None else incumbent[chosen], figures))
        missing = int(np.count_nonzero(column.codes < 0))
        if missing:
            figures.left_out[f"all in {name}="] = f"{missing:,} rows have no value there"
    if columns:
        _worst(found, incumbent is not None, figures)
    return tuple(found)


def _measured(name: str, cases: Cases, incumbent: Floats | None, figures: Figures) -> Segment:
    labels, scores = cases.labels, cases.scores
    area = figures.measure(f"auc in {name}", lambda: performance.auc(labels, scores))
    before = changed = None
    if incumbent is not None and area is not None:
        before = rounded(performance.auc(labels, incumbent))
        changed = figures.keep(f"auc.change in {name}", change(area, before))
    error = figures.measure(f"calibration.error in {name}", lambda: performance.calibration_error(labels, scores))
    figures.count(f"rows in {name}", len(labels))
    return Segment(name, len(labels), area, before, changed, error)


def _worst(found: Sequence[Segment], compared: bool, figures: Figures) -> None:
    changes = [one.change for one in found if one.change is not None]
    errors = [one.error for one in found if one.error is not None]
    if changes:
        figures.keep("segments.auc.change.worst", min(changes))
    elif compared:
        figures.left_out["segments.auc.change.worst"] = "no segment gives a change of AUC"
    if errors:
        figures.keep("segments.calibration.error.worst", max(errors))
    else:
        figures.left_out["segments.calibration.error.worst"] = "no segment was measured"


def _column(table: Table, name: str) -> Words:
    where = f"{table.where}: column {name!r}"
    column = table.columns[name]
    if not isinstance(column, Words):
        raise TypeError("segments are read as words")
    if len(column.words) > MAX_VALUES:
        mend = f"put its values into at most {MAX_VALUES} groups, in a column of their own"
        raise BadTable(f"has {len(column.words):,} different values, and each would be a segment", where, mend)
    if "=" in name:
        raise BadTable("a segment's column holds no =", where, "rename it")
    for word in column.words:
        if len(word) > MAX_VALUE or "\n" in word or "\t" in word:
            raise BadTable(f"{word[:40]!r} is no name of a segment", where, f"write one line of at most {MAX_VALUE} characters")
        try:
            readable(word)
        except ValueError as error:
            raise BadTable(f"in {word[:40]!r}, {error}", where, "correct it") from None
    return column
