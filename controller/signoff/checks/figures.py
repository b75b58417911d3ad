"""Figures under their names, as the check says them, and what was left out.

A figure is a decimal string in plain notation, rounded to six places; a count is an integer. No figure is infinite or not a number.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from decimal import Decimal
from typing import Final

from signoff.checks.errors import BadTable, NotMeasured
from signoff.record.check import Measurement

MAX_FIGURES: Final = 200
_PLACES: Final = Decimal("0.000001")


class Figures:
    """Collects figures in order; each name once."""

    def __init__(self) -> None:
        self._known: dict[str, Decimal] = {}
        self.left_out: dict[str, str] = {}

    def measure(self, name: str, figure: Callable[[], float]) -> Decimal | None:
        """Keep a figure and return it, rounded; None where the data do not give it, which is kept with its reason."""
        try:
            return self.keep(name, figure())
        except NotMeasured as why:
            self.left_out[name] = why.what
            return None

    def keep(self, name: str, value: float | Decimal) -> Decimal:
        """Keep a figure and return it, rounded."""
        if not math.isfinite(value):
            raise NotMeasured("it is no finite number")
        if name in self._known:
            raise BadTable(f"two figures would be named {name!r}", "figures", "rename a column")
        self._known[name] = rounded(value)
        if len(self._known) > MAX_FIGURES:
            mend = "leave columns out of the reference, or name fewer --segment"
            raise BadTable(f"these files give more than the {MAX_FIGURES} figures that a check may hold", "figures", mend)
        return self._known[name]

    def count(self, name: str, value: int) -> None:
        """Keep a count."""
        self.keep(name, value)
        self._known[name] = Decimal(value)

    def __getitem__(self, name: str) -> Decimal | None:
        return self._known.get(name)

    def measurements(self) -> tuple[Measurement, ...]:
        """Return the figures as the check says them."""
        return tuple(Measurement(name=name, value=f"{value:f}") for name, value in self._known.items())


def rounded(value: float | Decimal) -> Decimal:
    """Return a figure rounded to six places, with all of them written; a zero has no sign."""
    return Decimal(value).quantize(_PLACES) + Decimal(0)


def change(candidate: Decimal | None, incumbent: Decimal | None) -> Decimal:
    """Return by how much the candidate's figure is greater, of the figures as they are said; `NotMeasured` where one is missing."""
    if candidate is None or incumbent is None:
        raise NotMeasured("one of the two figures is missing")
    return candidate - incumbent
