"""What the webhook says of itself.

1. Everything is measured from outside: a review by whoever answers it, a verification by whoever asks for it.
2. A review's verdict is the gate's, whatever the mode makes of it: in ``warn`` and ``audit`` a refused workload is admitted all the same.
3. What the memory counts by itself is read when it is asked for, and costs a review nothing.
4. Label values are resolved beforehand: a warm review pays for two or three additions.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from typing import Final, ParamSpec

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from signoff.archive.store import Unavailable
from signoff.errors import SignoffError
from signoff.gate.labels import MODES, Mode
from signoff.gate.memory import Memory
from signoff.metrics import BUCKETS, new_registry
from signoff.metrics.archive import ArchiveMetrics
from signoff.verify.reader import Found
from signoff.webhook.bodies import Busy, TooLarge, TooSlow
from signoff.webhook.cluster import ClusterError, NotFound
from signoff.webhook.review import Reply

VERDICTS: Final = ("admitted", "refused", "could-not-tell", "failed")
DOOR_OUTCOMES: Final = ("allowed", "refused", "unavailable", "failed")
VERIFIED: Final = ("promoted", "not-promoted", "not-believed", "unavailable", "could-not-tell", "failed")
REASONS: Final[dict[type[Exception], str]] = {TooLarge: "too-large", TooSlow: "too-slow", Busy: "busy"}
_UNREAD: Final = (*REASONS.values(), "no-review", "broken-off")

Asked = ParamSpec("Asked")
Told = Callable[[Reply | Exception, float], None]
"""Takes what a review led to, and the seconds that it took."""


class WebhookMetrics:
    """The webhook's metrics, in a registry of their own."""

    def __init__(self) -> None:
        self.registry: Final = new_registry()
        self.archive: Final = ArchiveMetrics(self.registry)
        self.verifications: Final = Verifications(self.registry)
        self._gate = _gate(self.registry)
        self._door = _door(self.registry)
        unread = Counter("signoff_webhook_bodies_refused", "Bodies that were no review.", ["reason"], registry=self.registry)
        self._unread = {reason: unread.labels(reason) for reason in _UNREAD}
        self._draining = Gauge("signoff_webhook_draining", "1 while it ends.", registry=self.registry)

    def gate(self, mode: Mode) -> Told:
        """Return whom to tell of a review that the gate answered."""
        return self._gate[mode]

    def door(self, path: str) -> Told:
        """Return whom to tell of a review that the door answered at this path."""
        return self._door[path]

    def unread(self, error: Exception) -> None:
        """Count a body that no review was read from."""
        reason = "no-review" if isinstance(error, SignoffError) else "broken-off"
        self._unread[REASONS.get(type(error), reason)].inc()

    def drains(self) -> None:
        """Say that the process ends."""
        self._draining.set(1)

    def watch(self, memory: Memory, clock: Callable[[], float]) -> None:
        """Say what a memory holds, and how old it is by the memory's clock."""
        self.registry.register(_Remembered(memory, clock))


def _gate(registry: CollectorRegistry) -> dict[str, Told]:
    total = Counter("signoff_gate_reviews", "Reviews that the gate answered.", ["mode", "verdict"], registry=registry)
    seconds = Histogram("signoff_gate_review_seconds", "From the body read to the answer.", ["mode"], buckets=BUCKETS, registry=registry)

    def teller(mode: Mode) -> Told:
        counts = {verdict: total.labels(mode, verdict) for verdict in VERDICTS}
        observe = seconds.labels(mode).observe

        def told(result: Reply | Exception, took: float) -> None:
            observe(took)
            counts[_verdict(result)].inc()

        return told

    return {mode: teller(mode) for mode in MODES}


def _verdict(result: Reply | Exception) -> str:
    if isinstance(result, Reply):
        return result.audit.get("verdict", "admitted" if result.denial is None else "could-not-tell")
    return "could-not-tell" if isinstance(result, SignoffError) else "failed"


def _door(registry: CollectorRegistry) -> dict[str, Told]:
    total = Counter("signoff_door_reviews", "Reviews that the door answered.", ["step", "kind", "outcome"], registry=registry)
    about = "From the body read to the answer."
    seconds = Histogram("signoff_door_review_seconds", about, ["step", "kind"], buckets=BUCKETS, registry=registry)

    def teller(step: str, kind: str) -> Told:
        counts = {outcome: total.labels(step, kind, outcome) for outcome in DOOR_OUTCOMES}
        observe = seconds.labels(step, kind).observe

        def told(result: Reply | Exception, took: float) -> None:
            observe(took)
            counts[_outcome(result)].inc()

        return told

    kinds = ("promotions", "decisions", "policies", "delegations", "passkeys", "corrections")
    return {f"/{step}/{kind}": teller(step, kind) for step in ("seal", "check") for kind in kinds}


def _outcome(result: Reply | Exception) -> str:
    if isinstance(result, Reply):
        return "allowed" if result.denial is None else "refused"
    if not isinstance(result, SignoffError):
        return "failed"
    reasons = (result, result.__cause__)
    away = any(isinstance(one, Unavailable | ClusterError) and not isinstance(one, NotFound) for one in reasons)
    return "unavailable" if away else "refused"


class Verifications:
    """Look-ups in the archive, counted and timed by whoever reads. Safe to use from many threads."""

    def __init__(self, registry: CollectorRegistry) -> None:
        total = Counter("signoff_verifications", "Digests looked up in the archive and verified.", ["outcome"], registry=registry)
        self._total = {outcome: total.labels(outcome) for outcome in VERIFIED}
        self._seconds = Histogram("signoff_verification_seconds", "How long they took.", buckets=BUCKETS, registry=registry)

    def measured(self, read: Callable[Asked, Found]) -> Callable[Asked, Found]:
        """Return `read`, counted and timed."""

        def verified(*args: Asked.args, **kwargs: Asked.kwargs) -> Found:
            began = time.perf_counter()
            outcome = "failed"
            try:
                found = read(*args, **kwargs)
                outcome = _found(found)
            except SignoffError as error:
                outcome = "unavailable" if isinstance(error, Unavailable) else "could-not-tell"
                raise
            finally:
                self._seconds.observe(time.perf_counter() - began)
                self._total[outcome].inc()
            return found

        return verified


def _found(found: Found) -> str:
    if found.is_positive:
        return "promoted"
    return "not-believed" if found.refused else "not-promoted"


class _Remembered(Collector):
    """What a memory says of itself, read when it is asked for."""

    def __init__(self, memory: Memory, clock: Callable[[], float]) -> None:
        self._memory = memory
        self._clock = clock

    def collect(self) -> Iterator[Metric]:
        memory = self._memory
        answers = CounterMetricFamily("signoff_gate_answers", "Answers about digests, by where they came from.", labels=["source"])
        answers.add_metric(["fresh"], memory.fresh_answers)
        answers.add_metric(["read"], memory.reads)
        answers.add_metric(["grace"], memory.grace_answers)
        yield answers
        held = GaugeMetricFamily("signoff_gate_remembered_answers", "Answers in memory.", labels=["kind"])
        held.add_metric(["positive"], memory.positive)
        held.add_metric(["negative"], memory.negative)
        yield held
        oldest = memory.oldest_in_grace
        age = 0.0 if oldest is None else self._clock() - oldest
        yield GaugeMetricFamily("signoff_gate_grace_age_seconds", "Age of the oldest answer that was given under the grace.", age)
