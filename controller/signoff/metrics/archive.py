"""A store that counts and times what is asked of the store beneath it.

1. It changes nothing: the same results, the same errors, as early or as late.
2. The archive was reached where it gave any answer of its own, ``Missing`` and ``Exists`` among them.
3. What hangs is seen while it hangs, as an operation in progress.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import datetime
from typing import Final, TypeVar

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram

from signoff.archive.store import Damaged, Exists, Missing, Proof, Refused, Store, Stored, Unavailable
from signoff.archive.times import times_of
from signoff.metrics import BUCKETS

OPERATIONS: Final = ("create", "read", "list", "check", "prove")
OUTCOMES: Final[dict[type[Exception], str]] = {
    Missing: "missing",
    Exists: "exists",
    Unavailable: "unavailable",
    Refused: "refused",
    Damaged: "damaged",
}
_REACHED: Final = frozenset({"done", "missing", "exists"})

Result = TypeVar("Result")


class ArchiveMetrics:
    """What the archive was asked and how it answered."""

    def __init__(self, registry: CollectorRegistry) -> None:
        labels = ["operation"]
        total = Counter("signoff_archive_operations", "Operations on the archive.", [*labels, "outcome"], registry=registry)
        seconds = Histogram("signoff_archive_operation_seconds", "How long they took.", labels, buckets=BUCKETS, registry=registry)
        running = Gauge("signoff_archive_operations_in_progress", "Those begun and not ended.", labels, registry=registry)
        outcomes = ("done", *OUTCOMES.values(), "failed")
        self._total = {(one, outcome): total.labels(one, outcome) for one in OPERATIONS for outcome in outcomes}
        self._seconds = {one: seconds.labels(one) for one in OPERATIONS}
        self._running = {one: running.labels(one) for one in OPERATIONS}
        self._reached = Gauge(
            "signoff_archive_last_reached_timestamp_seconds", "When the archive last answered (Unix time).", registry=registry
        )

    @contextmanager
    def timed(self, operation: str) -> Iterator[None]:
        """Count and time what is done inside."""
        began = time.perf_counter()
        outcome = "failed"
        self._running[operation].inc()
        try:
            yield
            outcome = "done"
        except GeneratorExit:
            outcome = "done"  # of a listing no more was wanted
            raise
        except Exception as error:
            outcome = OUTCOMES.get(type(error), "failed")
            raise
        finally:
            self._running[operation].dec()
            self._seconds[operation].observe(time.perf_counter() - began)
            self._total[operation, outcome].inc()
            if outcome in _REACHED:
                self._reached.set_to_current_time()


class MeteredStore:
    """A store, measured."""

    def __init__(self, store: Store, metrics: ArchiveMetrics) -> None:
        self._store = store
        self._metrics = metrics

    def create(self, key: str, data: bytes) -> Stored:
        """As `Store.create`."""
        return self._timed("create", lambda: self._store.create(key, data))

    def read(self, key: str, *, limit: int) -> Stored:
        """As `Store.read`."""
        return self._timed("read", lambda: self._store.read(key, limit=limit))

    def list(self, prefix: str, *, after: str = "", limit: int | None = None) -> Iterator[str]:
        """As `Store.list`; its time is that of the whole listing, with what its reader does meanwhile."""
        keys = self._store.list(prefix, after=after, limit=limit)
        return self._listed(keys)

    def times(self, prefix: str) -> Iterator[tuple[str, datetime]]:
        """As `TellsTimes.times`; counted as a listing."""
        return self._listed(times_of(self._store, prefix))

    def check(self) -> None:
        """As `Store.check`."""
        self._timed("check", self._store.check)

    def prove(self) -> Proof:
        """As `Store.prove`."""
        return self._timed("prove", self._store.prove)

    def _timed(self, operation: str, ask: Callable[[], Result]) -> Result:
        with self._metrics.timed(operation):
            return ask()

    def _listed(self, keys: Iterator[Result]) -> Iterator[Result]:
        with self._metrics.timed("list"):
            yield from keys
