"""The drawings of a report. Each says in words what it shows, and nothing is told by colour alone."""

from __future__ import annotations

from collections.abc import Sequence
from decimal import Decimal
from typing import Any, Final

import numpy as np
from markupsafe import Markup
from matplotlib.axes import Axes

from signoff.checks import performance
from signoff.checks.drawing import CANDIDATE, INCUMBENT, INK, MARK, QUIET, REFERENCE, SHEET, drawing
from signoff.checks.errors import NotMeasured
from signoff.checks.measure import Result
from signoff.checks.predictions import Floats
from signoff.checks.segments import Segment

Style = dict[str, Any]  # the library's own words for lines and marks

MARKS: Final = (0.1, 0.25)
MOST_BARS: Final = 30
_BINS: Final = 25
_LONGEST: Final = 28
_SOLID: Final[Style] = {"color": CANDIDATE, "linewidth": 2.0}
_DASHED: Final[Style] = {"color": INCUMBENT, "linewidth": 1.8, "linestyle": (0, (5, 2))}


def roc(result: Result) -> Markup | None:
    """Return the ROC curves of both models; None where every label is the same."""
    try:
        ours = performance.roc(result.cases.labels, result.cases.scores)
        theirs = None if result.incumbent is None else performance.roc(result.cases.labels, result.incumbent)
    except NotMeasured:
        return None

    def draw(axes: Axes) -> None:
        _diagonal(axes, 1.0)
        if theirs is not None:
            axes.plot(theirs.x, theirs.y, label=f"incumbent, AUC {result.figures['auc.incumbent']}", **_DASHED)
        axes.plot(ours.x, ours.y, label=f"candidate, AUC {result.figures['auc']}", **_SOLID)
        axes.set(xlabel="false positive rate", ylabel="true positive rate", xlim=(-0.01, 1.01), ylim=(-0.01, 1.02))
        axes.legend(loc="lower right")

    told = f"The candidate's curve has an area of {result.figures['auc']}"
    told += "." if theirs is None else f", the incumbent's of {result.figures['auc.incumbent']}."
    return drawing("roc", "ROC curves", f"{told} The diagonal is what chance would give.", draw, 4.2)


def calibration(result: Result) -> Markup:
    """Return observed over predicted rates of both models."""
    ours = performance.calibration(result.cases.labels, result.cases.scores)
    theirs = None if result.incumbent is None else performance.calibration(result.cases.labels, result.incumbent)
    curves = [ours] if theirs is None else [ours, theirs]
    top = min(1.0, 1.08 * max(float(max(curve.x.max(), curve.y.max())) for curve in curves) + 0.005)

    def draw(axes: Axes) -> None:
        _diagonal(axes, top)
        if theirs is not None:
            axes.plot(theirs.x, theirs.y, marker="s", markersize=5, label="incumbent", **_DASHED)
        axes.plot(ours.x, ours.y, marker="o", markersize=5.5, label="candidate", **_SOLID)
        axes.set(xlabel="mean predicted probability", ylabel="observed rate", xlim=(0, top), ylim=(0, top))
        axes.legend(loc="upper left")

    pairs = ", ".join(f"{x:.3f} to {y:.3f}" for x, y in zip(ours.x, ours.y, strict=True))
    description = f"Predicted to observed rate of the candidate, in {len(ours.x)} bins: {pairs}. On the diagonal they are the same."
    return drawing("calibration", "Calibration curves", description, draw, 4.2)


def scores(result: Result) -> Markup:
    """Return the distributions of scores: the candidate's, the incumbent's, the reference's."""
    everything = [result.cases.scores, *(one for one in (result.incumbent, result.reference) if one is not None)]
    top = max(float(one.max()) for one in everything) or 1.0
    edges = np.linspace(0, top, _BINS + 1)

    def draw(axes: Axes) -> None:
        axes.stairs(_shares(result.cases.scores, edges), edges, fill=True, color=CANDIDATE, alpha=0.25)
        axes.stairs(_shares(result.cases.scores, edges), edges, label="candidate", **_SOLID)
        if result.incumbent is not None:
            axes.stairs(_shares(result.incumbent, edges), edges, label="incumbent", **_DASHED)
        if result.reference is not None:
            style: Style = {"color": REFERENCE, "linewidth": 1.8, "linestyle": (0, (1.2, 1.2))}
            axes.stairs(_shares(result.reference, edges), edges, label="reference population", **style)
        axes.set(xlabel="score", ylabel="share of rows, %", xlim=(0, top), ylim=(0, None))
        axes.legend(loc="upper right")

    told = "; ".join(
        f"{who}: median {np.median(one):.3f}, middle half from {np.percentile(one, 25):.3f} to {np.percentile(one, 75):.3f}"
        for who, one in (("candidate", result.cases.scores), ("incumbent", result.incumbent), ("reference", result.reference))
        if one is not None
    )
    return drawing("scores", "Distributions of scores", f"Shares of rows by score. {told}.", draw)


def features(measured: Sequence[tuple[str, Decimal]]) -> Markup | None:
    """Return the PSI of features as bars, the largest first and at most 30 of them; None where there are none."""
    shown = sorted(measured, key=lambda one: -one[1])[:MOST_BARS]
    if not shown:
        return None
    widest = max(0.3, 1.12 * float(shown[0][1]))

    def draw(axes: Axes) -> None:
        axes.barh(range(len(shown)), [float(value) for _, value in shown], color=CANDIDATE, height=0.62)
        for mark, side in zip(MARKS, ("right", "left"), strict=True):
            axes.axvline(mark, color=MARK, linewidth=1.2, linestyle=(0, (4, 2)))
            axes.text(mark, 1.0, f"{mark:g}", color=INK, ha=side, va="bottom", transform=axes.get_xaxis_transform())
        for index, (_, value) in enumerate(shown):
            ground = {"facecolor": SHEET, "edgecolor": "none", "pad": 1}
            axes.text(float(value) + widest * 0.015, index, f"{value:.3f}", color=INK, va="center", fontsize=9.5, bbox=ground)
        axes.set(xlabel="PSI", xlim=(0, widest), ylim=(len(shown) - 0.4, -0.6))
        axes.set_yticks(range(len(shown)), [_short(name) for name, _ in shown])
        axes.grid(visible=False, axis="y")

    told = "; ".join(f"{name} {value:.3f}" for name, value in shown)
    return drawing("features", "PSI by feature", f"Marks stand at 0.1 and 0.25. {told}.", draw, 0.9 + 0.3 * len(shown))


def segments(measured: Sequence[Segment]) -> Markup | None:
    """Return the AUC of segments as points, the candidate's and the incumbent's; None where there is none."""
    shown = [(one, one.auc) for one in measured if one.auc is not None][:MOST_BARS]
    if not shown:
        return None

    def draw(axes: Axes) -> None:
        for index, (one, area) in enumerate(shown):
            if one.incumbent is not None:
                axes.plot([float(one.incumbent), float(area)], [index, index], color=QUIET, linewidth=1.2)
        old = [(float(one.incumbent), index) for index, (one, _) in enumerate(shown) if one.incumbent is not None]
        if old:
            style: Style = {"marker": "s", "linestyle": "none", "markerfacecolor": "none", "markeredgewidth": 1.6, "markersize": 6.5}
            axes.plot([x for x, _ in old], [y for _, y in old], color=INCUMBENT, label="incumbent", **style)
        axes.plot([float(area) for _, area in shown], range(len(shown)), "o", color=CANDIDATE, markersize=7, label="candidate")
        axes.set(xlabel="AUC", ylim=(len(shown) - 0.4, -0.6))
        axes.margins(x=0.08)
        axes.set_yticks(range(len(shown)), [_short(one.name) for one, _ in shown])
        axes.legend(loc="lower center", bbox_to_anchor=(0.5, 1.0), ncols=2)

    told = "; ".join(
        f"{one.name} {area:.3f}" + (f", incumbent {one.incumbent:.3f}" if one.incumbent is not None else "") for one, area in shown
    )
    return drawing("segments", "AUC by segment", f"{told}.", draw, 1.2 + 0.34 * len(shown))


def _shares(values: Floats, edges: Floats) -> Floats:
    return np.asarray(100 * np.histogram(values, edges)[0] / len(values), dtype=np.float64)


def _diagonal(axes: Axes, top: float) -> None:
    axes.plot([0, top], [0, top], color=QUIET, linewidth=1, linestyle=(0, (2, 3)))


def _short(name: str) -> str:
    return name if len(name) <= _LONGEST else f"{name[: _LONGEST - 1]}…"
