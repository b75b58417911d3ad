"""What a process costs, by the kernel's own count in /proc (proc(5)), and by its own /metrics where it has them."""

from __future__ import annotations

import os
import re
import urllib.error
import urllib.request
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

_TICKS: Final = os.sysconf("SC_CLK_TCK")
_SAMPLE: Final = re.compile(r"^(?P<name>[a-zA-Z_:][a-zA-Z0-9_:]*)(\{(?P<labels>[^}]*)\})? (?P<value>\S+)", re.MULTILINE)
COUNTERS: Final[Mapping[str, tuple[str, str]]] = {
    "reads": ("signoff_archive_operations_total", ""),
    "verifications": ("signoff_verifications_total", ""),
}
"""What is counted per request: the metric's name, and what its labels must hold."""


@dataclass(frozen=True)
class Spent:
    """What a process has used since it began. ``counters`` are absent where it has no metrics of that name."""

    cpu_seconds: float
    rss_mb: float
    peak_mb: float
    counters: Mapping[str, float]


def spent(pid: int, metrics: str | None = None) -> Spent:
    """Return what a process has used until now; ``metrics`` is the address of its metrics."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    status = Path(f"/proc/{pid}/status").read_text()
    cpu = (int(fields[11]) + int(fields[12])) / _TICKS
    return Spent(cpu, _megabytes(status, "VmRSS"), _megabytes(status, "VmHWM"), counters(scrape(metrics)) if metrics else {})


def scrape(url: str) -> str:
    """Return what a process says of itself; nothing where it does not answer."""
    try:
        with urllib.request.urlopen(url, timeout=2) as answer:  # noqa: S310 - an address of our own
            return str(answer.read().decode())
    except (OSError, urllib.error.URLError):
        return ""


def counters(text: str) -> dict[str, float]:
    """Return the counters that we ask for, summed over their labels, of a page in Prometheus' text format."""
    found: dict[str, float] = {}
    for sample in _SAMPLE.finditer(text):
        for name, (metric, labelled) in COUNTERS.items():
            if sample["name"] == metric and labelled in (sample["labels"] or ""):
                found[name] = found.get(name, 0.0) + float(sample["value"])
    return found


def _megabytes(status: str, field: str) -> float:
    found = re.search(rf"^{field}:\s+(\d+) kB$", status, re.MULTILINE)
    return int(found[1]) * 1024 / 1e6 if found else 0.0  # what proc(5) calls kB is 1,024 bytes
