"""What the processes say of themselves, in Prometheus' words. The edges alone measure: no pure room imports any of this.

1. Names as https://prometheus.io/docs/practices/naming/ asks: ``signoff_``, base units, ``_total`` for what only grows. A moment is told as
   a timestamp, from which the reader subtracts; the age of what the process itself remembers, in seconds.
2. A label takes one of a few values that are known beforehand. No namespace, name, digest or person is one.
3. What is measured is always measured; it is shown only where a listener is configured for it.
"""

from __future__ import annotations

from importlib.metadata import version

from prometheus_client import CollectorRegistry, Gauge, disable_created_metrics
from prometheus_client.process_collector import ProcessCollector

BUCKETS = (0.00025, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0)
"""Seconds: a warm review takes a part of a millisecond, and no API server waits longer than ten seconds."""


def new_registry() -> CollectorRegistry:
    """Return a registry with what every process says of itself: its version, memory, processor time and open files."""
    disable_created_metrics()  # type: ignore[no-untyped-call] # a moment beside each series, which nobody asks for and which doubles their number
    registry = CollectorRegistry()
    ProcessCollector(registry=registry)
    Gauge("signoff_build_info", "The version that runs; always 1.", ["version"], registry=registry).labels(version("signoff")).set(1)
    return registry
