"""Who reads: the readers' program run once, and what came of it.

1. A figure of wrong answers is no figure: more than one answer in a hundred that is not 200 ends the run; so do other bytes than expected.
2. What the server has used is read between warming up and measuring, and again afterwards: it is of the measured requests alone.
"""

from __future__ import annotations

import json
import subprocess
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from bench.errors import BenchError
from bench.processes import Spent
from bench.programs import program

_NAMES: Final = ("requests", "per_second", "p50_ms", "p95_ms", "first_p50_ms", "first_p95_ms", "decoding_ms")


@dataclass(frozen=True)
class Sought:
    """What is read: where, as whom (a cookie), in which encoding; ``digest``: of the bytes that it must be, None where it may be any."""

    url: str
    ca: Path
    cookie: str = ""
    encoding: str = ""
    digest: str | None = None


def read(sought: Sought, readers: int, every: float, seconds: float, spent: Callable[[], Spent]) -> dict[str, float]:
    """Have so many read it, each once ``every`` so many seconds (0: again at once), and return the round's figures."""
    command = [str(program("readers")), "-url", sought.url, "-ca", str(sought.ca), "-cookie", sought.cookie, "-encoding", sought.encoding]
    command += ["-readers", str(readers), "-every", f"{every}s", "-for", f"{seconds}s"]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        try:
            if process.stdout is None or process.stdout.readline() != "warm\n":
                raise BenchError(f"the readers failed: {process.communicate(timeout=10)[1].strip()}")
            before = spent()
            out, said = process.communicate("\n", timeout=seconds + 120)
            after = spent()
        finally:
            process.kill()
    if process.returncode:
        raise BenchError(f"the readers failed: {said.strip()}")
    measured: dict[str, Any] = json.loads(out)
    figures = _figures(measured, sought)
    cpu = (after.cpu_seconds - before.cpu_seconds) * 1000 / measured["requests"]
    return {**figures, "cpu_ms": cpu, "rss_mb": after.rss_mb, "peak_mb": after.peak_mb}


def _figures(measured: dict[str, Any], sought: Sought) -> dict[str, float]:
    answers = measured["answers"]
    wrong = sum(answers.values()) - answers.get("200", 0)
    if not measured["requests"] or wrong * 100 > sum(answers.values()):
        raise BenchError(f"{sought.url} should answer 200, but answers were {answers}")
    if sought.digest not in {None, measured["digest"]}:
        raise BenchError(f"{sought.url} should be {sought.digest}, and is {measured['digest']}")
    return {**{name: float(measured[name]) for name in _NAMES}, "errors": float(wrong), "wire_mb": measured["wire_bytes"] / 1e6}
