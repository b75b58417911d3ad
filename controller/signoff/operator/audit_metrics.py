"""What the audit of what runs says of itself. The figures are those of its last look that came to its end; before that they are 0."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from prometheus_client import CollectorRegistry, Counter, Gauge

from signoff.gate.labels import MODES
from signoff.running.judging import ANSWERS, Answer

GATES: Final = (*MODES, "none")
OUTCOMES: Final = ("done", "failed")


class AuditMetrics:
    """The audit's part of the operator's metrics."""

    def __init__(self, registry: CollectorRegistry) -> None:
        objects = Gauge("signoff_audit_objects", "What runs, by gate and verdict.", ["gate", "verdict"], registry=registry)
        self._objects = {(gate, answer): objects.labels(gate, answer.replace(" ", "-")) for gate in GATES for answer in ANSWERS}
        self._last = Gauge("signoff_audit_last_run_timestamp_seconds", "When the last look came to its end.", registry=registry)
        runs = Counter("signoff_audit_runs", "Looks at what runs.", ["outcome"], registry=registry)
        self._runs = {outcome: runs.labels(outcome) for outcome in OUTCOMES}

    def done(self, counts: Mapping[tuple[str, Answer], int]) -> None:
        """Say what a look came to, by gate and answer."""
        for key, gauge in self._objects.items():
            gauge.set(counts.get(key, 0))
        self._last.set_to_current_time()
        self._runs["done"].inc()

    def failed(self) -> None:
        """Say that a look did not come to its end."""
        self._runs["failed"].inc()
