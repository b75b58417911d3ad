"""Reading what a process says of itself, as Prometheus does: over HTTP, in the text format."""

from __future__ import annotations

import http.client
import re
import time
from dataclasses import dataclass

_SAMPLE = re.compile(r"^(\w+)(?:\{(.*)\})? (\S+)$")
_LABEL = re.compile(r'(\w+)="([^"]*)"')
_OF_HISTOGRAMS = ("_bucket", "_sum", "_count")

Labels = frozenset[tuple[str, str]]


@dataclass(frozen=True)
class Scrape:
    """The families with their type, and each sample's value by its name and labels."""

    types: dict[str, str]
    samples: dict[tuple[str, Labels], float]

    def value(self, name: str, **labels: str) -> float:
        return self.samples[name, frozenset(labels.items())]

    def labels_of(self, family: str) -> set[str]:
        """The names of a family's labels, without a histogram's own."""
        names = {family} if self.types[family] != "histogram" else {family + ending for ending in _OF_HISTOGRAMS}
        return {label for name, labels in self.samples if name in names for label, _ in labels} - {"le"}


def read_samples(text: str) -> Scrape:
    types = dict(line.split()[2:4] for line in text.splitlines() if line.startswith("# TYPE "))
    found = (_SAMPLE.match(line) for line in text.splitlines() if not line.startswith("#"))
    samples = {(one[1], frozenset(_LABEL.findall(one[2] or ""))): float(one[3]) for one in found if one}
    return Scrape(types, samples)


def get(port: int, path: str = "/metrics", method: str = "GET") -> tuple[int, str]:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=10)
    try:
        connection.request(method, path)
        response = connection.getresponse()
        return response.status, response.read().decode()
    finally:
        connection.close()


def scrape(port: int) -> Scrape:
    status, text = get(port)
    assert status == 200, text
    return read_samples(text)


def scrape_when_up(port: int, seconds: float = 60) -> Scrape:
    deadline = time.monotonic() + seconds
    while True:
        try:
            return scrape(port)
        except OSError:
            assert time.monotonic() < deadline, f"port {port} does not answer"
            time.sleep(0.1)
