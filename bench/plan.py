"""What is measured, and how often. The whole plan takes about 20 minutes on two cores; `--quick` seconds, and its figures mean nothing."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final

from bench.events import ROOT

GROUPS: Final = ("gate", "approval", "start", "verify", "store", "portal")
RESULTS: Final = ROOT / "bench" / "results"
LEAST_EVENTS: Final = 40
"""Twenty containers with a digest each, and some that were never asked for."""


@dataclass(frozen=True)
class Plan:
    """The whole of what is to be measured. Over the first archive everything is measured; at the others, what their size may change.

    ``cold`` bounds the cold requests of a round: each needs a digest of its own.
    """

    groups: tuple[str, ...] = GROUPS
    file_events: tuple[int, ...] = (100, 100_000)
    s3_events: tuple[int, ...] = (100, 10_000)
    clients: tuple[int, ...] = (1, 8, 32)
    rounds: int = 3
    seconds: float = 2.0
    warmups: int = 20
    cold: int = 2000
    approvals: int = 10
    starts: int = 5
    verify_events: int = 2000
    objects: int = 200
    readers: int = 50
    reading_seconds: float = 6.0
    desks: int = 5
    figures: int = 200
    explanation: int = 5_000_000
    history: int = 10_000
    archives: Path | None = None
    out: Path | None = RESULTS


QUICK: Final = Plan(
    file_events=(LEAST_EVENTS,),
    s3_events=(),
    clients=(1,),
    rounds=1,
    seconds=0.05,
    warmups=3,
    cold=10,
    approvals=1,
    starts=1,
    verify_events=5,
    objects=5,
    readers=3,
    reading_seconds=1.0,
    desks=1,
    figures=5,
    explanation=50_000,
    history=60,
    out=None,
)


def plan_of(arguments: argparse.Namespace) -> Plan:
    """Return the plan that the command line asks for."""
    plan = QUICK if arguments.quick else Plan()
    given = {name: value for name, value in vars(arguments).items() if name in Plan.__dataclass_fields__ and value is not None}
    return replace(plan, **given)


def add_options(parser: argparse.ArgumentParser) -> None:
    """Add the plan's options to a command line."""
    parser.add_argument("--quick", action="store_true", help="everything once, in seconds: to see that it runs; writes no results")
    parser.add_argument("--only", dest="groups", type=_groups, metavar="GROUP,…", help=f"of {', '.join(GROUPS)} (default: all)")
    parser.add_argument("--events", dest="file_events", type=_sizes, metavar="N,…", help="sizes of file archives (default: 100,100000)")
    parser.add_argument(
        "--s3-events", dest="s3_events", type=_sizes, metavar="N,…", help="sizes of archives in S3 (default: 100,10000; none: 0)"
    )
    parser.add_argument("--clients", type=_numbers, metavar="N,…", help="clients at a time (default: 1,8,32)")
    parser.add_argument("--rounds", type=int, help="rounds of each subject (default: 3)")
    parser.add_argument("--seconds", type=float, help="length of a round (default: 2)")
    parser.add_argument("--approvals", type=int, help="approvals that are timed, in each store (default: 10)")
    parser.add_argument("--starts", type=int, help="starts that are timed (default: 5)")
    parser.add_argument("--verify-events", type=int, help="events of the archive that is verified (default: 2000)")
    parser.add_argument("--objects", type=int, help="objects that are created and read in each store (default: 200)")
    parser.add_argument("--readers", type=int, help="readers of a desk at a time (default: 50)")
    parser.add_argument("--history", type=int, help="events of the history that is looked at in the portal (default: 10000)")
    parser.add_argument("--archives", type=Path, help="keep the file archives in this folder, and use again those that are there")
    parser.add_argument("--out", type=Path, help="where results are written (default: bench/results)")


def _groups(text: str) -> tuple[str, ...]:
    chosen = tuple(text.split(","))
    if unknown := set(chosen) - set(GROUPS):
        raise argparse.ArgumentTypeError(f"no group {min(unknown)}; there are {', '.join(GROUPS)}")
    return tuple(group for group in GROUPS if group in chosen)


def _numbers(text: str) -> tuple[int, ...]:
    try:
        return tuple(int(part) for part in text.split(","))
    except ValueError:
        raise argparse.ArgumentTypeError(f"{text!r}: write numbers with commas between them") from None


def _sizes(text: str) -> Sequence[int]:
    sizes = tuple(size for size in _numbers(text) if size)
    if any(size < LEAST_EVENTS for size in sizes):
        raise argparse.ArgumentTypeError(f"an archive needs at least {LEAST_EVENTS} events to be measured")
    return sizes
