"""The measuring: three tables in, figures under the names that policies use out, in one order always.

1. Names are fixed: ``auc``, ``auc.incumbent``, ``psi.FEATURE``, ``auc in COLUMN=VALUE`` and so on (docs/checks.md has all of them).
2. No column can pass for another figure: none is called ``max`` or ``score`` beside the figures of these names, none holds `` in ``.
3. A change is the difference of the two figures as they are said, so that what is read adds up.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Final

from signoff.checks import drift, performance
from signoff.checks.drift import Schema
from signoff.checks.errors import BadTable
from signoff.checks.figures import Figures, change
from signoff.checks.predictions import Cases, Floats, Names, cases_of, matched, scores_of
from signoff.checks.segments import Segment, measure_segments
from signoff.checks.tables import Table, read_table

_TAKEN: Final = frozenset({"max", "score"})
_PAIRS: Final = (("auc", performance.auc), ("ks", performance.ks), ("brier", performance.brier))


@dataclass(frozen=True)
class File:
    """A file: its name, for people, and its bytes."""

    name: str
    data: bytes


@dataclass(frozen=True)
class Result:
    """Everything that was measured, and the cases that it was measured on."""

    figures: Figures
    cases: Cases
    incumbent: Floats | None
    reference: Floats | None
    reference_rows: int
    schema: Schema
    features: tuple[tuple[str, Decimal], ...]
    segments: tuple[Segment, ...]


def measure(candidate: File, incumbent: File | None, reference: File, names: Names, segments: Sequence[str]) -> Result:
    """Return what the files say; `BadTable` names the first thing in them that is wrong."""
    _require_names(names, segments)
    words = {names.id, *segments}
    table = read_table(candidate.data, candidate.name, words=words, needed=[*names.all, *segments])
    cases = cases_of(table, names)
    before = None
    if incumbent is not None:
        beside = read_table(incumbent.data, incumbent.name, words=[names.id], needed=names.all, only=True)
        before = matched(cases_of(beside, names), cases)
    population = read_table(reference.data, reference.name, words=words, needed=[])
    expected = scores_of(population, names.score)
    columns = drift.schema(population, table, names.all)
    _require_features(columns, table.where)

    figures = Figures()
    _performance(figures, cases, before)
    _score_drift(figures, cases, before if expected is None else expected, names.score)
    features = _feature_drift(figures, columns, population, table)
    for kind, changed in (("added", columns.added), ("removed", columns.removed), ("retyped", columns.retyped)):
        figures.count(f"schema.{kind}", len(changed))
    figures.count("rows", table.rows)
    parts = measure_segments(segments, table, cases, before, figures)
    return Result(figures, cases, before, expected, population.rows, columns, features, parts)


def _performance(figures: Figures, cases: Cases, incumbent: Floats | None) -> None:
    labels, scores = cases.labels, cases.scores
    for name, figure in _PAIRS:
        figures.measure(name, lambda figure=figure: figure(labels, scores))  # type: ignore[misc]
        if incumbent is not None:
            figures.measure(f"{name}.incumbent", lambda figure=figure: figure(labels, incumbent))  # type: ignore[misc]
        if name == "auc" and incumbent is not None:
            figures.measure("auc.change", lambda: float(change(figures["auc"], figures["auc.incumbent"])))
    figures.measure("calibration.error", lambda: performance.calibration_error(labels, scores))
    figures.measure("calibration.slope", lambda: performance.calibration_slope(labels, scores))


def _score_drift(figures: Figures, cases: Cases, expected: Floats | None, column: str) -> None:
    if expected is None:
        why = f"there is nothing to compare with: no incumbent, and no column {column!r} in the reference"
        figures.left_out |= {"psi.score": why, "drift.ks.score": why}
        return
    figures.measure("psi.score", lambda: drift.number_psi(expected, cases.scores))
    figures.measure("drift.ks.score", lambda: drift.ks(expected, cases.scores))


def _feature_drift(figures: Figures, columns: Schema, reference: Table, current: Table) -> tuple[tuple[str, Decimal], ...]:
    found: list[tuple[str, Decimal]] = []
    for name in columns.shared:
        before, now = reference.columns[name], current.columns[name]
        value = figures.measure(f"psi.{name}", lambda before=before, now=now: drift.feature_psi(before, now))  # type: ignore[misc]
        if value is not None:
            found.append((name, value))
    if found:
        figures.keep("psi.max", max(value for _, value in found))
    else:
        figures.left_out["psi.max"] = "no feature of the reference could be compared"
    return tuple(found)


def _require_names(names: Names, segments: Sequence[str]) -> None:
    if len({*names.all, *segments}) < 3 + len(segments):
        raise BadTable("one column is named twice", "--id, --label, --score, --segment", "name different columns")


def _require_features(columns: Schema, where: str) -> None:
    for name in columns.shared:
        if name in _TAKEN:
            raise BadTable(f"psi.{name} is the name of another figure", f"{where}: column {name!r}", "rename it, here and in the reference")
        if " in " in name:
            mend = "rename it, here and in the reference"
            raise BadTable("a figure with “ in ” in its name is one of a segment", f"{where}: column {name!r}", mend)
