"""Known values: worked by hand where a hand can, and beside the library where not."""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np
import pytest
from sklearn.metrics import brier_score_loss, roc_auc_score

from signoff.checks import drift, performance
from signoff.checks.errors import BadTable, NotMeasured
from signoff.checks.figures import MAX_FIGURES, Figures, change, rounded
from signoff.checks.tables import Numbers, Words

LABELS = np.array([0, 0, 1, 1])
SCORES = np.array([0.1, 0.4, 0.35, 0.8])


def words(*values: str) -> Words:
    known = sorted(set(values) - {""})
    return Words(np.array([known.index(value) if value else -1 for value in values]), tuple(known))


def numbers(*values: float) -> Numbers:
    return Numbers(np.array(values, dtype=np.float64))


HAND: dict[str, tuple[Callable[[np.ndarray, np.ndarray], float], float]] = {
    "three of four pairs are in order": (performance.auc, 0.75),
    "half of the ones are caught before the first zero": (performance.ks, 0.5),
    "mean of 0.01, 0.16, 0.4225, 0.04": (performance.brier, 0.158125),
    "each row is a bin of its own": (performance.calibration_error, (0.1 + 0.4 + 0.65 + 0.2) / 4),
}


@pytest.mark.parametrize("case", HAND)
def test_figures_by_hand(case: str) -> None:
    figure, expected = HAND[case]
    assert figure(LABELS, SCORES) == pytest.approx(expected)


def world(rows: int = 4000, slope: float = 1.0, seed: int = 1) -> tuple[np.ndarray, np.ndarray]:
    """Return labels and scores whose log-odds are ``1 / slope`` times the true ones."""
    chance = np.random.default_rng(seed)
    odds = chance.normal(-1, 1.5, rows)
    labels = (chance.random(rows) < 1 / (1 + np.exp(-odds))).astype(int)
    return labels, 1 / (1 + np.exp(-odds / slope))


def test_figures_are_those_of_the_library() -> None:
    labels, scores = world()
    assert performance.auc(labels, scores) == roc_auc_score(labels, scores)
    assert performance.brier(labels, scores) == brier_score_loss(labels, scores)


@pytest.mark.parametrize("slope", [0.5, 1.0, 2.0])
def test_the_slope_finds_what_was_bent(slope: float) -> None:
    assert performance.calibration_slope(*world(40_000, slope)) == pytest.approx(slope, rel=0.05)


def test_the_error_weighs_bins_by_their_rows() -> None:
    scores = np.array([0.2] * 90 + [0.6] * 10)
    labels = np.array([0] * 90 + [1] * 10)
    assert performance.calibration_error(labels, scores) == pytest.approx(0.9 * 0.2 + 0.1 * 0.4)


NONE: dict[str, tuple[Callable[[np.ndarray, np.ndarray], float], list[int], list[float], str]] = {
    "auc of one class": (performance.auc, [1, 1], [0.2, 0.4], "every label is 1"),
    "ks of one class": (performance.ks, [0, 0], [0.2, 0.4], "every label is 0"),
    "slope of one class": (performance.calibration_slope, [0, 0], [0.2, 0.4], "every label is 0"),
    "slope of one score": (performance.calibration_slope, [0, 1], [0.4, 0.4], "every score is the same"),
    "slope without bound": (performance.calibration_slope, [0, 0, 1], [0.1, 0.2, 0.2], "separate the classes"),
    "slope without bound, downwards": (performance.calibration_slope, [1, 0, 0], [0.1, 0.2, 0.2], "separate the classes"),
}


@pytest.mark.parametrize("case", NONE)
def test_what_gives_no_figure_says_why(case: str) -> None:
    figure, labels, scores, why = NONE[case]
    with pytest.raises(NotMeasured, match=why):
        figure(np.array(labels), np.array(scores))


@pytest.mark.parametrize("label", [0, 1])
def test_one_class_still_has_a_brier_score(label: int) -> None:
    assert performance.brier(np.array([label, label]), np.array([0.0, 1.0])) == 0.5
    assert performance.calibration_error(np.array([label, label]), np.array([0.0, 1.0])) == 0.5


def test_scores_of_0_and_1_have_a_slope() -> None:
    assert math.isfinite(performance.calibration_slope(np.array([0, 1, 0, 1, 1]), np.array([0.0, 0.0, 1.0, 1.0, 0.4])))


def test_psi_of_two_bins_by_hand() -> None:
    """(0.25 - 0.5) ln(0.25 / 0.5) + (0.75 - 0.5) ln(0.75 / 0.5)."""
    expected = 0.25 * math.log(2) + 0.25 * math.log(1.5)
    assert drift.feature_psi(words("a", "b"), words("a", "b", "b", "b")) == pytest.approx(expected)
    assert drift.feature_psi(numbers(0, 1), numbers(0, 1, 1, 1)) == pytest.approx(expected)


def test_a_share_of_nothing_counts_as_a_ten_thousandth() -> None:
    expected = (1 - 0.5) * math.log(1 / 0.5) + (0.0001 - 0.5) * math.log(0.0001 / 0.5)
    assert drift.feature_psi(words("a", "b"), words("a")) == pytest.approx(expected)


def test_deciles_of_the_reference_are_the_bins() -> None:
    reference = numbers(*range(1, 101))
    assert drift.feature_psi(reference, reference) == 0
    half = drift.feature_psi(reference, numbers(*range(1, 51)))
    assert half == pytest.approx(5 * 0.1 * math.log(2) + 5 * (0.0001 - 0.1) * math.log(0.0001 / 0.1))


MOVED = {
    "a flag that is mostly set": (numbers(*[1] * 95, *[0] * 5), numbers(*[1] * 50, *[0] * 50)),
    "a flag that is mostly not set": (numbers(*[0] * 95, *[1] * 5), numbers(*[0] * 50, *[1] * 50)),
    "a constant that fell": (numbers(*[5] * 100), numbers(*[3] * 100)),
    "a constant that rose": (numbers(*[5] * 100), numbers(*[7] * 100)),
    "a cap that most have": (numbers(*[100] * 95, 1, 2, 3, 4, 5), numbers(*[100] * 50, *range(50))),
    "falling silent": (numbers(*range(100)), numbers(*[math.nan] * 100)),
    "falling silent in words": (words(*"ab" * 50), words(*[""] * 100)),
    "beginning to speak": (numbers(*[math.nan] * 100), numbers(*range(100))),
    "words that begin": (numbers(*[math.nan] * 100), words(*"ab" * 50)),
    "infinite": (numbers(*range(100)), numbers(*[math.inf] * 50, *range(50))),
}


@pytest.mark.parametrize("case", MOVED)
def test_what_moved_shows(case: str) -> None:
    reference, current = MOVED[case]
    assert drift.feature_psi(reference, current) > 0.5
    if reference.kind != "empty":
        assert drift.feature_psi(reference, reference) == 0


UNCOMPARED = {
    "retyped": (numbers(1, 2), words("1", "x"), "it was number in the reference and is text now"),
    "no value": (numbers(math.nan), numbers(math.nan), "no row has a value"),
    "too many words": (words(*map(str, range(101))), words("1"), "101 different values"),
}


@pytest.mark.parametrize("case", UNCOMPARED)
def test_a_feature_that_cannot_be_compared_says_why(case: str) -> None:
    reference, current, why = UNCOMPARED[case]
    with pytest.raises(NotMeasured, match=why):
        drift.feature_psi(reference, current)


def test_ks_of_two_populations_by_hand() -> None:
    assert drift.ks(np.array([0.1, 0.2, 0.3, 0.4]), np.array([0.3, 0.4, 0.5, 0.6])) == 0.5


ROUNDED = {0.1: "0.100000", 1e-7: "0.000000", -1e-9: "0.000000", 0.1234565000001: "0.123457", -0.02: "-0.020000", 1e9: "1000000000.000000"}


@pytest.mark.parametrize("value", ROUNDED)
def test_a_figure_has_six_places_and_no_exponent(value: float) -> None:
    assert f"{rounded(value):f}" == ROUNDED[value]


def test_a_change_adds_up_as_it_is_read() -> None:
    assert change(rounded(0.1234564), rounded(0.0000006)) == rounded(0.123455)
    with pytest.raises(NotMeasured):
        change(None, rounded(1))


@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf])
def test_no_figure_is_infinite_or_no_number(value: float) -> None:
    figures = Figures()
    assert figures.measure("auc", lambda: value) is None
    assert (figures.measurements(), figures.left_out) == ((), {"auc": "it is no finite number"})


def test_a_name_is_used_once_and_200_are_enough() -> None:
    figures = Figures()
    figures.keep("auc", 1)
    with pytest.raises(BadTable, match="two figures would be named 'auc'"):
        figures.keep("auc", 1)
    for index in range(MAX_FIGURES - 1):
        figures.count(f"rows in a={index}", index)
    with pytest.raises(BadTable, match="more than the 200 figures"):
        figures.keep("one more", 1)
