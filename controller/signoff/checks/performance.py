"""How well probabilities rank and how true they are. Each function takes labels (0 or 1) and probabilities, and raises `NotMeasured`
where they give no figure.

Sources: AUC and the ROC curve, Fawcett, An introduction to ROC analysis (2006); Brier, Verification of forecasts expressed in terms of
probability (1950); calibration slope, Cox, Two further applications of a model for binary regression (1958); expected calibration error,
Naeini, Cooper and Hauskrecht (2015), here in bins of equal frequency.
"""

from __future__ import annotations

import warnings
from dataclasses import dataclass
from typing import Final

import numpy as np
from sklearn.calibration import calibration_curve
from sklearn.exceptions import ConvergenceWarning
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import brier_score_loss, roc_auc_score, roc_curve

from signoff.checks.errors import NotMeasured
from signoff.checks.predictions import Floats, Labels

BINS: Final = 10
_CLOSEST: Final = 1e-6  # log-odds of 0 and 1 are infinite


@dataclass(frozen=True)
class Curve:
    """Points of a curve, by x and y."""

    x: Floats
    y: Floats


def auc(labels: Labels, scores: Floats) -> float:
    """Return the area under the ROC curve."""
    _require_both(labels)
    return float(roc_auc_score(labels, scores))


def ks(labels: Labels, scores: Floats) -> float:
    """Return the largest distance of true and false positive rate over all thresholds (Kolmogorov–Smirnov of the two classes)."""
    _require_both(labels)
    false, true, _ = roc_curve(labels, scores, drop_intermediate=False)
    return float(np.max(true - false))


def brier(labels: Labels, scores: Floats) -> float:
    """Return the mean squared distance of probability and label."""
    return float(brier_score_loss(labels, scores, pos_label=1))


def calibration_error(labels: Labels, scores: Floats) -> float:
    """Return the mean distance of predicted and observed rate over bins of equal frequency, weighted by their rows."""
    points = calibration(labels, scores)
    edges = np.percentile(scores, np.linspace(0, 100, BINS + 1))
    rows = np.bincount(np.searchsorted(edges[1:-1], scores), minlength=BINS)
    return float(np.average(np.abs(points.y - points.x), weights=rows[rows > 0]))


def calibration_slope(labels: Labels, scores: Floats) -> float:
    """Return the slope of a logistic regression of the label on the log-odds of the probability, without a penalty; 1 is right."""
    _require_both(labels)
    if float(np.ptp(scores)) == 0:
        raise NotMeasured("every score is the same")
    ones, zeros = scores[labels == 1], scores[labels == 0]
    if ones.min() >= zeros.max() or ones.max() <= zeros.min():
        raise NotMeasured("the scores separate the classes, and the slope has no bound")
    near = np.clip(scores, _CLOSEST, 1 - _CLOSEST)
    odds = np.log(near / (1 - near)).reshape(-1, 1)
    with warnings.catch_warnings():
        warnings.simplefilter("error", ConvergenceWarning)
        try:
            fitted = LogisticRegression(C=np.inf, solver="newton-cholesky", max_iter=200, tol=1e-8).fit(odds, labels)
        except ConvergenceWarning:
            raise NotMeasured("the regression does not converge") from None
    return float(fitted.coef_[0][0])


def roc(labels: Labels, scores: Floats, points: int = 300) -> Curve:
    """Return the ROC curve, at most about ``points`` of its corners; for drawing, not for figures."""
    _require_both(labels)
    false, true, _ = roc_curve(labels, scores)
    chosen = np.unique(np.linspace(0, len(false) - 1, min(points, len(false))).round().astype(np.int64))
    return Curve(false[chosen], true[chosen])


def calibration(labels: Labels, scores: Floats) -> Curve:
    """Return observed over predicted rate in bins of equal frequency, the empty ones left out."""
    observed, predicted = calibration_curve(labels, scores, n_bins=BINS, strategy="quantile")
    return Curve(predicted, observed)


def _require_both(labels: Labels) -> None:
    if len(np.unique(labels)) < 2:
        raise NotMeasured(f"every label is {int(labels[0])}")
