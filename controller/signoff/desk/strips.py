"""Drawings beside figures: where each stands among the others, on one line. People look before they read.

1. A strip is drawn from the figures as they are frozen and from nothing else, in decimal arithmetic: the same bytes everywhere and always.
2. It holds no text that could be too long, too large or misread: names and figures stand in the table beside it, which remains the truth.
3. The scale goes from the smallest to the largest figure, and over a hundredth of the largest magnitude at least: what is all but equal
   looks so. Scales of different rows have nothing in common, unless they are given.
4. Who is who is told by form, and by colour only besides: a disc, a square, strokes. The disc is drawn last and fits into the square, so
   that equal figures hide nobody.
5. It judges nothing. Which end is better is said where a metric's name alone says so in any house.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from decimal import Context, Decimal
from typing import Final, TypeAlias

from signoff.desk.content import Form, Mark, Strip

Placed: TypeAlias = tuple[Form, str]

# Given everywhere, so that nothing depends on the process's own; wide enough for whatever exponents figures have (`record.values.Decimal`).
_CONTEXT: Final = Context(prec=60, Emax=10_000, Emin=-10_000)
_MARGIN, _WIDTH = 50, 900
"""Where the scale begins, and how long it is, in thousandths of the strip's width."""

_HIGHER: Final = re.compile(
    "accuracy|auc|auc-pr|auprc|auroc|average-precision|balanced-accuracy|f1|f1-score|gini|ks|mcc|ndcg|pr-auc|precision|r2|recall|roc-auc"
    "|sensitivity|specificity"
)
_LOWER: Final = re.compile(
    "brier|brier-score|calibration-error|cross-entropy|ece|error-rate|log-loss|logloss|mae|mape|mse|perplexity|psi|psi-max|psi-score|rmse"
    "|wer"
)


@dataclass(frozen=True)
class Scale:
    """What a strip spans, and the lines across it."""

    lowest: Decimal
    highest: Decimal
    lines: tuple[Decimal, ...] = ()

    def at(self, value: Decimal) -> str:
        """Return where a figure stands, as a percentage of the strip's width; what is beyond the scale stands at its end."""
        span = _CONTEXT.subtract(self.highest, self.lowest)
        share = _CONTEXT.divide(_CONTEXT.subtract(value, self.lowest), span) if span else Decimal("0.5")
        thousandths = _MARGIN + int(_CONTEXT.to_integral_value(_CONTEXT.multiply(min(max(share, Decimal(0)), Decimal(1)), Decimal(_WIDTH))))
        return f"{thousandths // 10}.{thousandths % 10}%"


def scale_of(values: Sequence[str], lines: Sequence[str] = ()) -> Scale:
    """Return the scale over figures and the lines among them (rule 3)."""
    across = tuple(map(Decimal, lines))
    numbers = (*map(Decimal, values), *across)
    lowest, highest = min(numbers), max(numbers)
    least = _CONTEXT.divide(max(map(_CONTEXT.abs, numbers)), Decimal(100))
    missing = _CONTEXT.subtract(least, _CONTEXT.subtract(highest, lowest))
    if missing > 0:
        half = _CONTEXT.divide(missing, Decimal(2))
        lowest, highest = _CONTEXT.subtract(lowest, half), _CONTEXT.add(highest, half)
    return Scale(lowest, highest, across)


def strip_of(name: str, placed: Sequence[Placed], scale: Scale | None = None) -> Strip | None:
    """Return the strip of one row, whose figures are drawn in this order; None where there is nothing to compare with (rule 3)."""
    if not placed or (scale is None and len(placed) == 1):
        return None
    scale = scale if scale is not None else scale_of([value for _, value in placed])
    return Strip(
        title=_title(name, placed),
        marks=tuple(Mark(form, scale.at(Decimal(value))) for form, value in placed),
        lines=tuple(map(scale.at, scale.lines)),
    )


def better(metric: str) -> str:
    """Return which end is better, in words; nothing where the name does not say (rule 5)."""
    name = metric.casefold().replace("_", "-").replace(".", "-").replace(" ", "-")
    return "higher is better" if _HIGHER.fullmatch(name) else "lower is better" if _LOWER.fullmatch(name) else ""


def _title(name: str, placed: Sequence[Placed]) -> str:
    """Return what a strip shows, for whoever does not see it: how the first stands to the others."""
    subject = next((value for form, value in placed if form == "candidate"), None)
    others = [(form, value) for form, value in placed if form != "candidate"]
    if subject is None:
        lowest, highest = (pick((value for _, value in others), key=Decimal) for pick in (min, max))
        return f"{name}, drawn: {len(others)} figures from {lowest} to {highest}"
    if not others:
        return f"{name}, drawn: {subject}"
    told = [f"{_than(subject, value)} the incumbent’s {value}" for form, value in others if form == "incumbent"]
    if challengers := [value for form, value in others if form == "challenger"]:
        below = sum(Decimal(value) < Decimal(subject) for value in challengers)
        equal = sum(Decimal(value) == Decimal(subject) for value in challengers)
        told.append(f"above {below} of {len(challengers)} challengers" + (f", equal to {equal}" if equal else ""))
    return f"{name}, drawn: the candidate’s {subject} is {', and '.join(told)}"


def _than(subject: str, other: str) -> str:
    return {1: "above", 0: "equal to", -1: "below"}[int(Decimal(subject).compare(Decimal(other)))]
