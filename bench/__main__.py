"""Measure, and write the page.

`run` measures, prints tables, and puts the results into a file of their own under bench/results; `report` writes docs/benchmarks.md from
all results there. Parts may be measured at different times: each figure bears the date of its run.
"""

from __future__ import annotations

import argparse
import shlex
import sys
import tempfile
import time
from datetime import UTC, datetime
from pathlib import Path

from bench.errors import BenchError
from bench.events import ROOT
from bench.machine import machine, versions
from bench.page import page, report
from bench.plan import RESULTS, Plan, add_options, plan_of
from bench.rows import Run, read_runs, write_run
from bench.run import Measuring
from controlplane import ControlPlaneError
from signoff.errors import SignoffError

PAGE = ROOT / "docs" / "benchmarks.md"


def main(arguments: list[str] | None = None) -> int:
    """Run the command line; returns the exit code."""
    parser = argparse.ArgumentParser(prog="python -m bench", description=__doc__)
    commands = parser.add_subparsers(dest="command", required=True)
    run = commands.add_parser("run", help="measure")
    add_options(run)
    written = commands.add_parser("report", help="write docs/benchmarks.md from the results")
    written.add_argument("--results", type=Path, default=RESULTS, help="where results are (default: bench/results)")
    written.add_argument("--page", type=Path, default=PAGE, help="where the page is written (default: docs/benchmarks.md)")
    chosen = parser.parse_args(arguments)
    try:
        if chosen.command == "run":
            return _run(plan_of(chosen), arguments if arguments is not None else sys.argv[1:])
        return _report(chosen.results, chosen.page)
    except (BenchError, ControlPlaneError, SignoffError) as error:
        sys.stderr.write(f"{error}\n")
        return 1


def _run(plan: Plan, arguments: list[str]) -> int:
    began, date = time.monotonic(), datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
    where, what = machine(), versions()
    with tempfile.TemporaryDirectory(prefix="signoff-bench-", ignore_cleanup_errors=True) as work:
        measuring = Measuring(plan, Path(work), lambda text: _tell(f"{time.monotonic() - began:4.0f} s  {text}"))
        failed: Exception | None = None
        try:
            measuring.measure()
        except (BenchError, ControlPlaneError, SignoffError) as error:
            failed = error  # what was measured until then is told all the same
    seconds = time.monotonic() - began
    run = Run(date, shlex.join(["python", "-m", "bench", *arguments]), where, what, tuple(measuring.rows), seconds)
    sys.stdout.write(report(run))
    if plan.out is not None and run.rows:
        _tell(f"{seconds:4.0f} s  results in {write_run(run, plan.out)}; write the page with: python -m bench report")
    if failed is not None:
        raise failed
    return 0


def _report(results: Path, path: Path) -> int:
    runs = read_runs(results)
    path.write_text(page(runs))
    _tell(f"{path} is written from {len(runs)} {'run' if len(runs) == 1 else 'runs'}")
    return 0


def _tell(text: str) -> None:
    sys.stderr.write(f"{text}\n")
    sys.stderr.flush()


if __name__ == "__main__":
    sys.exit(main())
