"""What the operator says of itself.

1. A promotion counts under the phase of its last look, until it is gone.
2. A commit is pending from when the decisions suffice until the outcome stands, this process having seen both. One that became stale is
   pending no more: it needs a new request. One that would not verify stays: somebody must act.
3. The ages begin with this process: after a restart they count from its first look.
"""

from __future__ import annotations

import time
from collections import Counter as Tally
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from threading import Lock
from typing import Final, get_args

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram
from prometheus_client.core import GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from signoff.archive.store import Unavailable
from signoff.desk.freezing import Stale
from signoff.errors import SignoffError
from signoff.metrics import BUCKETS, new_registry
from signoff.metrics.archive import ArchiveMetrics
from signoff.operator.audit_metrics import AuditMetrics
from signoff.operator.status import Phase, State

SLOW: Final = (*BUCKETS, 30.0, 60.0)
COMMITS: Final = ("promoted", "rejected", "stale", "unavailable", "refused", "failed")
STEPS: Final = ("done", "unavailable", "refused", "failed")
SOURCES: Final = ("inline", "configMap", "url")
Key = tuple[str, str]


class OperatorMetrics:
    """The operator's metrics, in a registry of their own."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self.registry: Final = new_registry()
        self.archive: Final = ArchiveMetrics(self.registry)
        self.known: Final = Known(clock)
        self.registry.register(self.known)
        commits = Counter("signoff_commits", "Attempts to write an outcome.", ["outcome"], registry=self.registry)
        self._commits = {outcome: commits.labels(outcome) for outcome in COMMITS}
        freezes = Counter("signoff_freezes", "Desks frozen, and attempts to.", ["outcome"], registry=self.registry)
        self._freezes = {outcome: freezes.labels(outcome) for outcome in STEPS}
        self._fetches = _Fetches(self.registry)
        self._looks = Histogram("signoff_reconcile_seconds", "How long one look at a promotion took.", buckets=SLOW, registry=self.registry)
        self.audit: Final = AuditMetrics(self.registry)
        self._queue = Gauge("signoff_reconcile_queue", "Promotions that wait for a look.", registry=self.registry)
        self._reached = Gauge(
            "signoff_apiserver_last_reached_timestamp_seconds", "When the API server last answered (Unix time).", registry=self.registry
        )

    def queue(self, depth: Callable[[], int]) -> None:
        """Say how many promotions wait for a look."""
        self._queue.set_function(depth)

    def reached(self) -> None:
        """Say that the API server answered."""
        self._reached.set_to_current_time()

    @contextmanager
    def looking(self) -> Iterator[None]:
        """Time one look at a promotion."""
        with self._looks.time():
            yield

    @contextmanager
    def freezing(self) -> Iterator[None]:
        """Count a freeze."""
        try:
            yield
        except Exception as error:
            self._freezes[_step(error)].inc()
            raise
        self._freezes["done"].inc()

    @contextmanager
    def fetching(self, source: str) -> Iterator[None]:
        """Count and time the fetching of an explanation."""
        with self._fetches.fetching(source):
            yield

    @contextmanager
    def committing(self, key: Key) -> Iterator[Callable[[bool], None]]:
        """Count a commit, pending until it is done (rule 2); what is returned is told whether the outcome promotes."""
        self.known.due(key)
        promotes = False

        def ended(outcome_promotes: bool) -> None:
            nonlocal promotes
            promotes = outcome_promotes

        try:
            yield ended
        except Exception as error:
            self._commits["stale" if isinstance(error, Stale) else _step(error)].inc()
            if isinstance(error, Stale):
                self.known.not_due(key)
            raise
        self.known.not_due(key)
        self._commits["promoted" if promotes else "rejected"].inc()


def _step(error: Exception) -> str:
    if isinstance(error, Unavailable):
        return "unavailable"
    return "refused" if isinstance(error, SignoffError) else "failed"


class _Fetches:
    def __init__(self, registry: CollectorRegistry) -> None:
        labels = ["source"]
        total = Counter("signoff_explanation_fetches", "Explanations fetched, and attempts to.", [*labels, "outcome"], registry=registry)
        seconds = Histogram("signoff_explanation_fetch_seconds", "How long they took.", labels, buckets=SLOW, registry=registry)
        self._total = {(source, outcome): total.labels(source, outcome) for source in SOURCES for outcome in STEPS}
        self._seconds = {source: seconds.labels(source) for source in SOURCES}

    @contextmanager
    def fetching(self, source: str) -> Iterator[None]:
        began = time.perf_counter()
        outcome = "done"
        try:
            yield
        except Exception as error:
            outcome = _step(error)
            raise
        finally:
            self._seconds[source].observe(time.perf_counter() - began)
            self._total[source, outcome].inc()


class Known(Collector):
    """The promotions that this process knows (rules 1 to 3). Safe to use from many threads."""

    def __init__(self, clock: Callable[[], float]) -> None:
        self._clock = clock
        self._phases: dict[Key, Phase] = {}
        self._owed: set[Key] = set()
        self._soon: set[Key] = set()
        self._running: dict[Key, int] = {}
        self._due: dict[Key, float] = {}
        self._lock = Lock()

    def saw(self, key: Key, state: State | None) -> None:
        """Remember what a look came to; None: the promotion is gone."""
        with self._lock:
            if state is None:
                self._phases.pop(key, None)
            else:
                self._phases[key] = state.phase
            (self._owed.add if state is not None and state.owed else self._owed.discard)(key)
            (self._soon.add if state is not None and state.soon else self._soon.discard)(key)
            self._running[key] = len(state.running) if state is not None else 0
            if not self._running[key]:
                del self._running[key]
            if state is None or state.phase not in {"progressing", "stalled"}:
                self._due.pop(key, None)

    def due(self, key: Key) -> None:
        """Remember since when the decisions suffice."""
        with self._lock:
            self._due.setdefault(key, self._clock())

    def not_due(self, key: Key) -> None:
        """Forget that an outcome is due."""
        with self._lock:
            self._due.pop(key, None)

    def collect(self) -> Iterator[Metric]:
        """Yield what is known now."""
        with self._lock:
            phases, due, owed = Tally(self._phases.values()), tuple(self._due.values()), len(self._owed)
            soon, running = len(self._soon), sum(self._running.values())
        promotions = GaugeMetricFamily("signoff_promotions", "Promotions known, by phase.", labels=["phase"])
        for phase in get_args(Phase):
            promotions.add_metric([phase], phases[phase])
        yield promotions
        yield GaugeMetricFamily("signoff_emergencies_owed", "Promoted in an emergency, and not decided in full since.", owed)
        yield GaugeMetricFamily("signoff_promotions_expiring", "Promotions that expire within a week.", soon)
        yield GaugeMetricFamily("signoff_pods_running_on", "Pods that go on with what is revoked or expired.", running)
        yield GaugeMetricFamily("signoff_pending_commits", "Promotions decided on whose outcome is not written.", len(due))
        age = self._clock() - min(due) if due else 0.0
        yield GaugeMetricFamily("signoff_pending_commit_age_seconds", "Age of the oldest of them.", age)
