"""How figures are shown: tables for the terminal, and docs/benchmarks.md. Pure: runs in, text out."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Final

from bench.goals import Judgement, judge
from bench.rows import Row, Run, merged

TITLES: Final = {
    "gate": "The gate",
    "approval": "Approval to event",
    "start": "Start and memory",
    "portal": "The portal",
    "verify": "Verifying an archive",
    "store": "Objects in a store",
    "archive": "Making archives",
}
_NOTES: Final = {
    "gate": "Pods with `dryRun=All`. `api`: through the API server, over one HTTP/2 connection as client-go does. `direct`: the review "
    "that the API server would send, over HTTP/1.1, a connection for each client, as the API server does. CPU is of the webhook's "
    "process, for one request. *Cold*: a digest that the process was never asked about, each time another. Over the other archives: one "
    "container, up to eight clients.",
    "approval": "One at a time, by a person with a client certificate. The seal is in the archive before the answer; the event follows.",
    "start": "The webhook as deployed, door and gate.",
    "portal": "A desk with ten challengers of 200 figures and an explanation of 5 MB, from a warm process over TLS, to 50 readers with a "
    "connection each. *paced*: each asks once in two seconds, timed from when it was due. *at once*: each asks again as soon as it was "
    "answered, so that all of them wait for two cores, which they share with the readers: a throughput. Beside it a server that does "
    "nothing but serve such a file from memory. First: the first byte; else the last. *Decoding* is what a reader's gunzip of it takes, "
    "which a browser does as it comes. Frozen and clicked: one at a time, through API server, door, archive and operator.",
    "verify": "Everything in the archive: events, freezes, seals, blobs, pointers. Per core: by CPU time, without the start of the "
    "process. The bare cost is that of the events' own signatures and nothing else, in the same run. The table has a row for each event, "
    "seal and policy.",
    "store": "10 KiB, one after another, as the archive's own code creates and reads it: S3 with its conditional write and listing of "
    "versions.",
    "archive": "Each event is signed for real, and what is made verifies. Files are written without being flushed.",
}
_COLUMNS: Final = {
    "requests": ("requests", "{:,.0f}"),
    "errors": ("wrong", "{:,.0f}"),
    "p50_ms": ("p50 ms", "{:,.2f}"),
    "p90_ms": ("p90 ms", "{:,.2f}"),
    "p95_ms": ("p95 ms", "{:,.2f}"),
    "p99_ms": ("p99 ms", "{:,.2f}"),
    "max_ms": ("max ms", "{:,.2f}"),
    "first_p50_ms": ("first p50 ms", "{:,.2f}"),
    "first_p95_ms": ("first p95 ms", "{:,.2f}"),
    "wire_mb": ("MB sent", "{:,.2f}"),
    "decoding_ms": ("decoding ms", "{:,.0f}"),
    "per_second": ("per second", "{:,.0f}"),
    "cpu_ms": ("CPU ms", "{:,.2f}"),
    "rss_mb": ("RSS MB", "{:,.0f}"),
    "peak_mb": ("peak MB", "{:,.0f}"),
    "reads": ("archive operations", "{:,.2f}"),
    "verifications": ("verifications", "{:,.2f}"),
    "events": ("events", "{:,.0f}"),
    "seconds": ("seconds", "{:,.1f}"),
    "cpu_seconds": ("CPU s", "{:,.2f}"),
    "start_seconds": ("of it start, CPU s", "{:,.2f}"),
    "per_core": ("per second and core", "{:,.0f}"),
    "rows": ("rows", "{:,.0f}"),
    "rows_per_core": ("rows per second and core", "{:,.0f}"),
    "us_each": ("µs each", "{:,.0f}"),
    "per_event": ("an event", "{:,.1f}"),
    "bytes_each": ("bytes on disk an event", "{:,.0f}"),
    "inodes_each": ("inodes an event", "{:,.1f}"),
}
_NAMES: Final = ("", "archive", "way", "clients")

INTRODUCTION: Final = """# Benchmarks

```sh
make bench                                     # all of it; writes this page
make bench ARGS="--only gate --events 100"     # a part of it; the other parts keep their figures and dates
make bench ARGS=--quick                        # does it run? seconds, and no figures worth keeping
```

A real API server over a real etcd, and SeaweedFS as object store, all on one machine with whoever asks. Subjects take turns within a
run, and medians over the rounds are told; figures of different runs are not compared with each other. What is measured and how stands at
the head of each file in [`bench/`](../bench/); why so, in [ADR 0017](adr/0017-benchmarks.md). This page is written from the results in
`bench/results/`, and not by hand.
"""

OTHERS: Final = """## Others, for scale

From publications, **not from this run** and not on this machine: Connaisseur (Go, answering from a cached signature alone) adds about
1.5 ms to an admission, Kyverno 5 to 8 ms, policy-controller 13 to 48 ms.
"""


def page(runs: Sequence[Run]) -> str:
    """Return docs/benchmarks.md."""
    parts = [
        INTRODUCTION,
        "## Goals",
        _table(*_goals(judge(runs))),
        *_groups(merged(runs), level="##"),
        OTHERS,
        "## Runs",
        *(_runs(runs) if runs else ["Nothing was measured yet."]),
    ]
    return "\n\n".join(part.strip() for part in parts) + "\n"


def report(run: Run) -> str:
    """Return what a run came to, for the terminal."""
    rows = [(row, run) for row in run.rows]
    return "\n\n".join([*_groups(rows, level="#"), "# Goals", _table(*_goals(judge([run])))]) + "\n"


def _groups(rows: Sequence[tuple[Row, Run]], level: str) -> Iterable[str]:
    for group, title in TITLES.items():
        own = [(row, run) for row, run in rows if row.group == group]
        if own:
            yield f"{level} {title}"
            yield _NOTES[group]
            yield _table(*_figures(own))


def _figures(rows: Sequence[tuple[Row, Run]]) -> tuple[list[str], list[list[str]]]:
    ordered = sorted(rows, key=lambda one: (one[0].way, one[0].clients)) if rows[0][0].group == "gate" else list(rows)
    named = [number for number in range(len(_NAMES)) if any(_name(row, number) for row, _ in ordered)]
    columns = [name for name in _COLUMNS if any(name in row.figures for row, _ in ordered)]
    header = [*(_NAMES[number] for number in named), *(_COLUMNS[name][0] for name in columns), "run"]
    lines = [
        [*(_name(row, number) for number in named), *(_shown(row, name) for name in columns), run.date.partition("T")[0]]
        for row, run in ordered
    ]
    return header, lines


def _name(row: Row, number: int) -> str:
    return (row.subject, row.archive, row.way, str(row.clients or ""))[number]


def _shown(row: Row, name: str) -> str:
    return _COLUMNS[name][1].format(row.figures[name]) if name in row.figures else "-"


def _goals(judged: Sequence[Judgement]) -> tuple[list[str], list[list[str]]]:
    lines = [
        [
            one.goal.name,
            one.goal.wanted,
            f"{one.figure:,.2f}{one.goal.unit}" if one.figure is not None else "-",
            one.answer if one.answer == "met" else f"**{one.answer}**",
            one.run.date.partition("T")[0] if one.run else "-",
        ]
        for one in judged
    ]
    return ["goal", "wanted", "figure", "", "run"], lines


def _runs(runs: Sequence[Run]) -> Iterable[str]:
    for run in sorted(runs, key=lambda one: one.date, reverse=True):
        told = {**run.machine, **run.versions}
        lines = [f"### {run.date}", f"`{run.command}`, in {run.seconds / 60:.0f} min"]
        yield "\n\n".join([*lines, "; ".join(f"{name}: {value}" for name, value in told.items())])


def _table(header: Sequence[str], lines: Sequence[Sequence[str]]) -> str:
    """Return a Markdown table whose columns line up."""
    widths = [max(len(line[number]) for line in (header, *lines)) for number in range(len(header))]
    rows = [header, ["-" * max(width, 3) for width in widths], *lines]
    return "\n".join("| " + " | ".join(cell.ljust(max(width, 3)) for cell, width in zip(row, widths, strict=True)) + " |" for row in rows)
