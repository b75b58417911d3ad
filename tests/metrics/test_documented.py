"""The table in docs/operations.md is what the processes expose: no more, no less, of these types, with these labels."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
import yaml
from scraping import Scrape, scrape_when_up

from controlplane.ports import free_ports
from tests.webhook.test_metrics import Measured

OPERATIONS = Path(__file__).parents[2] / "docs" / "operations.md"
ROW = re.compile(r"^\| `(signoff_\w+)` \| (webhook|operator|engine|all) \| (counter|gauge|histogram) \| ([^|]*)\| [^|]{10,} \| [^|]+ \|$")

Families = dict[str, tuple[str, frozenset[str]]]


def documented(process: str) -> Families:
    section = OPERATIONS.read_text(encoding="utf-8").partition("\n## Metrics\n")[2].partition("\n## ")[0]
    rows = [line for line in section.splitlines() if line.startswith("| `")]
    found = [ROW.match(line) for line in rows]
    assert all(found), [line for line, match in zip(rows, found, strict=True) if not match]
    return {
        match[1]: (match[3], frozenset(re.findall(r"`(\w+)`", match[4])))
        for match in found
        if match is not None and match[2] in {process, "all"}
    }


def exposed(found: Scrape) -> Families:
    return {name: (kind, frozenset(found.labels_of(name))) for name, kind in found.types.items() if name.startswith("signoff_")}


@contextmanager
def webhook(folder: Path) -> Iterator[int]:
    running = Measured(folder)
    running.start()
    try:
        yield running.metrics_port
    finally:
        running.end()


@contextmanager
def watching(folder: Path, name: str) -> Iterator[int]:
    prepared = Measured(folder)  # for its archive, trust file and keys
    prepared.counting.__exit__()
    (port,) = free_ports(1)
    value = {key: yaml.safe_load(prepared.config.read_text())[key] for key in ("cluster", "archive", "trust", "kubeconfig")}
    value |= {**({"eventKey": str(folder / "event.pem")} if name == "operator" else {}), "metrics": {"host": "127.0.0.1", "port": port}}
    (folder / f"{name}.yaml").write_text(yaml.safe_dump(value))
    command = [sys.executable, "-m", "signoff", "run", name, "--config", str(folder / f"{name}.yaml")]
    with subprocess.Popen(command, stdin=subprocess.DEVNULL, stderr=(folder / f"{name}.log").open("wb")) as process:
        try:
            yield port
        finally:
            os.kill(process.pid, signal.SIGKILL)


@pytest.mark.parametrize("name", ["webhook", "operator", "engine"])
def test_what_is_exposed_is_documented_and_what_is_documented_is_exposed(name: str, tmp_path: Path) -> None:
    with webhook(tmp_path) if name == "webhook" else watching(tmp_path, name) as port:
        found = scrape_when_up(port)
    assert exposed(found) == documented(name)
    assert "process_resident_memory_bytes" in found.types
