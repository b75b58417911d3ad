"""Who asks: the load generator run once, and what its answers say.

1. A figure of wrong answers is no figure: more than one answer in a hundred that is not the expected one ends the run.
2. What whoever is asked has used is read between warming up and measuring, and again afterwards: it is of the measured requests alone.
"""

from __future__ import annotations

import json
import subprocess
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from bench.errors import BenchError
from bench.processes import Spent
from bench.programs import program
from bench.servers import Server


@dataclass(frozen=True)
class Target:
    """Where requests are sent, whom to trust, and as whom; ``review`` where answers are AdmissionReviews (and HTTP/1.1 is spoken)."""

    url: str
    ca: Path
    certificate: Path | None = None
    key: Path | None = None
    review: bool = False


@dataclass(frozen=True)
class Round:
    """One run of the generator: for how long, by how many clients; ``once`` sends each body once."""

    clients: int
    seconds: float
    warmups: int
    once: bool = False


def ask(
    target: Target, bodies: Sequence[str], warm: Sequence[str], around: Round, expected: str, server: Server | None, work: Path
) -> dict[str, float]:
    """Send the bodies, and return the round's figures; `BenchError` where the answers are others than expected (rule 1)."""
    files = {"bodies": bodies, "warm": warm}
    for name, lines in files.items():
        (work / f"{name}.jsonl").write_text("".join(f"{line}\n" for line in lines))
    command = [str(program("load")), "-url", target.url, "-ca", str(target.ca)]
    command += [part for name in files for part in (f"-{name}", str(work / f"{name}.jsonl"))]
    command += ["-clients", str(around.clients), "-seconds", str(around.seconds), "-warmups", str(around.warmups)]
    if target.certificate is not None:
        command += ["-certificate", str(target.certificate), "-key", str(target.key)]
    command += ["-review", "-http1"] if target.review else []
    command += ["-once"] if around.once else []
    measured, before = _run(command, server, around.seconds + 120)
    figures = _figures(measured, expected, target.url)
    return figures | _costs(before, server.spent(), measured["requests"]) if server and before else figures


def _run(command: Sequence[str], server: Server | None, patience: float) -> tuple[dict[str, Any], Spent | None]:
    """Run the generator; returns what it measured, and what the server had used when it began to."""
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        try:
            if process.stdout is None or process.stdout.readline() != "warm\n":
                raise BenchError(f"the load generator failed: {process.communicate(timeout=10)[1].strip()}")
            before = server.spent() if server else None
            out, said = process.communicate("\n", timeout=patience)
        finally:
            process.kill()
    if process.returncode:
        raise BenchError(f"the load generator failed: {said.strip()}")
    return json.loads(out), before


def _figures(measured: Mapping[str, Any], expected: str, url: str) -> dict[str, float]:
    answers = measured["answers"]
    if not measured["requests"]:
        raise BenchError(f"{url} answered nothing: {measured}")
    wrong = sum(answers.values()) - answers.get(expected, 0)
    if wrong * 100 > sum(answers.values()):
        raise BenchError(f"{url} should answer {expected}, but answers were {answers}, such as: {measured['sample']}")
    names = ("requests", "per_second", "p50_ms", "p90_ms", "p99_ms")
    return {**{name: float(measured[name]) for name in names}, "errors": float(wrong)}


def _costs(before: Spent, after: Spent, requests: float) -> dict[str, float]:
    counted = {name: (value - before.counters.get(name, 0.0)) / requests for name, value in after.counters.items()}
    cpu = (after.cpu_seconds - before.cpu_seconds) * 1000 / requests
    return {"cpu_ms": cpu, "rss_mb": after.rss_mb, "peak_mb": after.peak_mb, **counted}
