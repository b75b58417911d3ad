"""How far a population has moved from the reference: PSI, Kolmogorov–Smirnov, and what became of the columns.

PSI is the sum over bins of ``(p - q) ln(p / q)``, with the shares ``p`` of the population and ``q`` of the reference: Jeffreys' divergence
of the two (Jeffreys 1946), in scoring since Siddiqi, Credit Risk Scorecards (2006).

1. Numbers are binned by the deciles of the reference. A value on which two deciles fall is a bin of its own: a feature of zeros and
   ones would have no other.
2. Words are a bin each. Missing values are a bin as well, so that a feature that falls silent shows.
3. A share of 0 counts as 0.0001: a bin that one of the two lacks is far away, not infinitely far.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray
from scipy.stats import ks_2samp

from signoff.checks.errors import NotMeasured
from signoff.checks.predictions import Floats
from signoff.checks.tables import Column, Numbers, Table, Words

MAX_WORDS: Final = 100
_DECILES: Final = np.arange(1, 10) / 10
_LEAST: Final = 0.0001


@dataclass(frozen=True)
class Schema:
    """The features of two tables: those that one lacks, and those whose kind differs."""

    shared: tuple[str, ...]
    added: tuple[str, ...]
    removed: tuple[str, ...]
    retyped: tuple[str, ...]


def schema(reference: Table, current: Table, aside: Collection[str]) -> Schema:
    """Return what became of the reference's columns, those ``aside`` left out. A column without a value is of any kind."""
    before = [name for name in reference.columns if name not in aside]
    now = [name for name in current.columns if name not in aside]
    shared = tuple(name for name in before if name in current.columns)
    return Schema(
        shared=shared,
        added=tuple(name for name in now if name not in reference.columns),
        removed=tuple(name for name in before if name not in current.columns),
        retyped=tuple(name for name in shared if len({reference.columns[name].kind, current.columns[name].kind} - {"empty"}) > 1),
    )


def feature_psi(reference: Column, current: Column) -> float:
    """Return the PSI of a feature; `NotMeasured` where there is nothing to compare."""
    kinds = {reference.kind, current.kind} - {"empty"}
    if not kinds:
        raise NotMeasured("no row has a value")
    if len(kinds) > 1:
        raise NotMeasured(f"it was {reference.kind} in the reference and is {current.kind} now")
    if kinds == {"number"}:
        return number_psi(_numbers(reference), _numbers(current))
    return _words_psi(_words(reference), _words(current))


def number_psi(reference: Floats, current: Floats) -> float:
    """Return the PSI of numbers, NaN being missing (rule 1)."""
    finite = reference[np.isfinite(reference)]
    edges = _edges(finite) if len(finite) else np.empty(0)
    return psi(_binned(reference, edges), _binned(current, edges))


def psi(reference: NDArray[np.int64], current: NDArray[np.int64]) -> float:
    """Return the PSI of counts by bin (rule 3)."""
    used = (reference > 0) | (current > 0)
    expected = np.maximum(reference[used] / reference.sum(), _LEAST)
    actual = np.maximum(current[used] / current.sum(), _LEAST)
    return float(np.sum((actual - expected) * np.log(actual / expected)))


def ks(reference: Floats, current: Floats) -> float:
    """Return the largest distance of the two empirical distribution functions."""
    return float(ks_2samp(reference, current, method="asymp").statistic)


def _edges(values: Floats) -> Floats:
    deciles, falls = np.unique(np.quantile(values, _DECILES, method="inverted_cdf"), return_counts=True)
    below = np.nextafter(deciles[falls > 1], -np.inf)  # the bin (below, decile] holds this one value
    return np.unique(np.concatenate([deciles, below]))


def _binned(values: Floats, edges: Floats) -> NDArray[np.int64]:
    missing = np.isnan(values)
    bins = np.searchsorted(edges, values[~missing], side="left")
    return np.append(np.bincount(bins, minlength=len(edges) + 1), np.count_nonzero(missing))


def _words_psi(reference: Words, current: Words) -> float:
    known = sorted({*reference.words, *current.words})
    if len(known) > MAX_WORDS:
        raise NotMeasured(f"it has {len(known):,} different values, more than {MAX_WORDS}")
    place = {word: index for index, word in enumerate(known)}
    return psi(_counted(reference, place), _counted(current, place))


def _counted(column: Words, place: dict[str, int]) -> NDArray[np.int64]:
    counts = np.zeros(len(place) + 1, dtype=np.int64)
    rows = np.bincount(column.codes + 1, minlength=len(column.words) + 1)
    counts[-1] = rows[0]
    for index, word in enumerate(column.words):
        counts[place[word]] = rows[index + 1]
    return counts


def _numbers(column: Column) -> Floats:
    return column.values if isinstance(column, Numbers) else np.full(len(column.codes), np.nan)


def _words(column: Column) -> Words:
    return column if isinstance(column, Words) else Words(np.full(len(column.values), -1, dtype=np.int64), ())
