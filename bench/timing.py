"""Durations as figures."""

from __future__ import annotations

import math
from collections.abc import Sequence


def percentile(values: Sequence[float], share: float) -> float:
    """Return the least value that at least so many in a hundred do not exceed (nearest rank): as the load generator counts."""
    ordered = sorted(values)
    return ordered[max(math.ceil(share / 100 * len(ordered)), 1) - 1]


def spread(seconds: Sequence[float]) -> dict[str, float]:
    """Return how many durations there are, and their middle, ninth tenth and greatest in milliseconds."""
    return {
        "requests": float(len(seconds)),
        "p50_ms": percentile(seconds, 50) * 1000,
        "p90_ms": percentile(seconds, 90) * 1000,
        "max_ms": max(seconds) * 1000,
    }
