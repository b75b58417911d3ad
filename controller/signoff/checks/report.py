"""The report of a check: one page that says what was compared, what came out, and what could not be measured. It gives no verdict.

1. It stands alone: no script, no request, one file. The same result and the same words give the same bytes.
2. Whatever came from a file is escaped by the template, and legible.
3. The figures are those of the check, to the letter; only changes of figures that the check does not hold are computed here, from them.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Final

from jinja2 import Environment

from signoff.checks import plots
from signoff.checks.errors import BadTable
from signoff.checks.measure import Result
from signoff.checks.segments import LEAST_ROWS
from signoff.desk.markup import environment
from signoff.record.values import Digest, Timestamp

MAX_REPORT: Final = 512 * 1024
_MINUS: Final = "\u2212"
_ROWS: Final = (
    ("auc", "Area under the ROC curve", "auc"),
    ("ks", "Kolmogorov–Smirnov distance of the classes", "ks"),
    ("brier", "Brier score", "brier"),
    ("calibration.error", "Expected calibration error", "calibration.error"),
    ("calibration.slope", "Calibration slope", "calibration.slope"),
)


@dataclass(frozen=True)
class Side:
    """A model version or a dataset that the check names, and the file that stands for it."""

    role: str
    name: str
    digest: Digest
    file: str = ""
    file_digest: Digest | None = None
    rows: int | None = None


@dataclass(frozen=True)
class Told:
    """What the report says beside the figures."""

    title: str
    time: Timestamp
    tool: str
    sides: Sequence[Side]


def report_of(told: Told, result: Result) -> bytes:
    """Return the report as HTML in UTF-8; `BadTable` where it would be larger than 512 KiB."""
    page = _TEMPLATE.render(
        told=told,
        compared=result.incumbent is not None,
        figures=[_row(result, *one) for one in _ROWS],
        drift=_drift(result),
        schema=_schema(result),
        features=sorted(result.features, key=lambda one: -one[1]),
        segments=result.segments,
        rows=len(result.cases.labels),
        positives=int(result.cases.labels.sum()),
        left_out=sorted(result.figures.left_out.items()),
        least=LEAST_ROWS,
        most_bars=plots.MOST_BARS,
        drawings={
            "roc": plots.roc(result),
            "calibration": plots.calibration(result),
            "scores": plots.scores(result),
            "features": plots.features(result.features),
            "segments": plots.segments(result.segments),
        },
    )
    data = page.encode("utf-8", "replace")
    if len(data) > MAX_REPORT:
        what = f"would have {len(data):,} bytes, more than {MAX_REPORT:,}"
        raise BadTable(what, "report", "leave columns out, or name fewer --segment")
    return data


def signed(value: Decimal | None) -> str:
    """Return a change with its sign, or a dash where there is none."""
    if value is None:
        return "–"
    return f"{'+' if value > 0 else _MINUS if value < 0 else ''}{abs(value):f}"


def _row(result: Result, name: str, words: str, figure: str) -> tuple[str, str, str, str, str]:
    candidate, incumbent = result.figures[figure], result.figures[f"{figure}.incumbent"]
    change = None if candidate is None or incumbent is None else candidate - incumbent
    return (name, words, _shown(candidate), _shown(incumbent), signed(change))


def _drift(result: Result) -> list[tuple[str, str, str]]:
    against = "the reference’s scores" if result.reference is not None else "the incumbent’s scores on the same rows"
    return [
        ("psi.score", f"PSI of the scores, against {against}", _shown(result.figures["psi.score"])),
        ("drift.ks.score", f"Kolmogorov–Smirnov distance of the scores, against {against}", _shown(result.figures["drift.ks.score"])),
        ("psi.max", "Largest PSI of a feature", _shown(result.figures["psi.max"])),
    ]


def _schema(result: Result) -> list[tuple[str, str, int, str]]:
    kinds = (
        ("added", "New, not in the reference", result.schema.added),
        ("removed", "In the reference, missing now", result.schema.removed),
        ("retyped", "Of another kind than in the reference", result.schema.retyped),
    )
    return [(f"schema.{name}", words, len(found), _listed(found)) for name, words, found in kinds]


def _listed(names: Sequence[str], most: int = 40) -> str:
    more = f" and {len(names) - most} more" if len(names) > most else ""
    return (", ".join(names[:most]) + more) or "–"


def _shown(value: Decimal | None) -> str:
    return "–" if value is None else f"{value:f}".replace("-", _MINUS)


def _environment() -> Environment:
    made = environment("signoff.checks")
    made.filters["figure"] = _shown
    made.filters["signed"] = signed
    return made


_TEMPLATE: Final = _environment().get_template("report.html.j2")
