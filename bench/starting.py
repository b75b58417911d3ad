"""From the start of the webhook's process until it is ready, and what it then holds in memory. Door and gate, as it is deployed."""

from __future__ import annotations

import sys
from urllib.parse import urlsplit

from bench.rows import Row
from bench.servers import Server
from bench.timing import spread
from controlplane.bank import Bank
from controlplane.processes import Component


def measure(bank: Bank, count: int) -> list[Row]:
    """Return how long starts of the bank's webhook take. Its own one is ended beforehand, and not started again."""
    bank.end("webhook")
    command = [sys.executable, "-m", "signoff", "run", "webhook", "--config", str(bank.work / "webhook.yaml")]
    component = Component("webhook", command, bank.work / "webhook.log", bank.rights("writer"))
    server = Server(component, urlsplit(bank.gate_url).port or 0, "/gate/enforce", bank.control_plane.serving_ca_path)
    try:
        starts = [server.restart() for _ in range(count)]
        used = server.spent()
    finally:
        component.stop()
    return [Row("start", "webhook, start to ready", {**spread(starts), "rss_mb": used.rss_mb, "peak_mb": used.peak_mb})]
