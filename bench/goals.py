"""The goals, each a figure of one run against a bound. Pure: rows in, judgements out.

1. A goal is judged by rows of one run; where rows are missing it is not measured, and never met.
2. Ratios are of medians over rounds. What a webhook adds is its p50 less that of no webhook, through the API server.
3. Where a goal holds for several numbers of clients or stores, the worst of them counts.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Final, Literal

from bench.rows import Row, Run

Answer = Literal["met", "missed", "not measured"]


@dataclass(frozen=True)
class Goal:
    """What is wanted: the figure must be at most, or at least, the bound."""

    name: str
    figure: Callable[[Run], float | None]
    bound: float
    unit: str = ""
    at_least: bool = False

    @property
    def wanted(self) -> str:
        """The bound in words."""
        return f"{'at least' if self.at_least else 'at most'} {self.bound:,g}{self.unit}"


@dataclass(frozen=True)
class Judgement:
    """How a goal stands, by which run."""

    goal: Goal
    figure: float | None
    run: Run | None

    @property
    def answer(self) -> Answer:
        """Whether the goal is met (rule 1)."""
        if self.figure is None:
            return "not measured"
        good = self.figure >= self.goal.bound if self.goal.at_least else self.figure <= self.goal.bound
        return "met" if good else "missed"


def judge(runs: Iterable[Run]) -> list[Judgement]:
    """Return how each goal stands by the latest run that measured it."""
    latest_first = sorted(runs, key=lambda run: run.date, reverse=True)
    return [_judged(goal, latest_first) for goal in GOALS]


def _judged(goal: Goal, runs: Sequence[Run]) -> Judgement:
    for run in runs:
        figure = goal.figure(run)
        if figure is not None:
            return Judgement(goal, figure, run)
    return Judgement(goal, None, None)


def _added(run: Run) -> float | None:
    found = []
    for clients in _clients(run):
        none, noop, gate = (_p50(run, name, "api", clients) for name in ("no webhook", "no-op, FastAPI", "gate, warm"))
        if none is None or noop is None or gate is None:
            return None
        if noop <= none or gate <= none:
            return None  # noise hides what they add: there is nothing to compare
        found.append((gate - none) / (noop - none))
    return _worst(found)


def _throughput(run: Run) -> float | None:
    clients = max(_clients(run), default=0)
    gate, noop = (_figure(run, name, "api", clients, "per_second") for name in ("gate, warm", "no-op, FastAPI"))
    return gate / noop if gate is not None and noop else None


def _ratio(subject: str, to: str, way: str) -> Callable[[Run], float | None]:
    def figure(run: Run) -> float | None:
        pairs = [(_p50(run, subject, way, clients), _p50(run, to, way, clients)) for clients in _clients(run)]
        return _worst([one / other if one is not None and other else None for one, other in pairs])

    return figure


def _growth(subject: str, store: str) -> Callable[[Run], float | None]:
    """What the largest archive in a store costs beside the smallest, with one client directly at the gate."""

    def figure(run: Run) -> float | None:
        own = [row for row in run.rows if (row.subject, row.way, row.clients) == (subject, "direct", 1)]
        by_size = {_size(row, store): row.figures["p50_ms"] for row in own if _size(row, store) and "p50_ms" in row.figures}
        return by_size[max(by_size)] / by_size[min(by_size)] if len(by_size) > 1 else None

    return figure


def _largest(group: str, subject: str, name: str) -> Callable[[Run], float | None]:
    def figure(run: Run) -> float | None:
        found = [row.figures[name] for row in run.rows if row.group == group and row.subject.startswith(subject) and name in row.figures]
        return max(found, default=None)

    return figure


def _paced(subject: str, name: str) -> Callable[[Run], float | None]:
    def figure(run: Run) -> float | None:
        found = [row.figures[name] for row in run.rows if (row.group, row.subject, row.way) == ("portal", subject, "paced")]
        return max(found, default=None)

    return figure


def _beside_bare(run: Run) -> float | None:
    subjects = ("the frozen desk, to whom takes no gzip", "bare server, as many bytes as the desk")
    own, bare = (_paced(name, "p50_ms")(run) for name in subjects)
    return own / bare if own is not None and bare else None


def _per_core(run: Run) -> float | None:
    row = run.find("verify", "signoff verify")
    return row.figures["per_core"] if row else None


def _clients(run: Run) -> list[int]:
    return sorted({row.clients for row in run.rows if row.group == "gate"})


def _figure(run: Run, subject: str, way: str, clients: int, name: str) -> float | None:
    """Return a figure of a subject; where it was measured over several archives, that of the first."""
    row = run.find("gate", subject, way=way, clients=clients)
    return row.figures.get(name) if row else None


def _p50(run: Run, subject: str, way: str, clients: int) -> float | None:
    return _figure(run, subject, way, clients, "p50_ms")


def _size(row: Row, store: str) -> int:
    lies_in, _, events = row.archive.partition(" ")
    return int(events) if lies_in == store and events.isdecimal() else 0


def _worst(found: Sequence[float | None]) -> float | None:
    known = [one for one in found if one is not None]
    return max(known, default=None)


_BESIDE_FETCH: Final = "created to frozen, beside the fetch"

GOALS: Final = (
    Goal("What the warm gate adds, beside what the no-op webhook on FastAPI adds (p50, any number of clients)", _added, 1.3, " ×"),
    Goal("Requests a second through the warm gate, beside that no-op webhook (most clients)", _throughput, 0.8, " ×", at_least=True),
    Goal("A warm denial beside a warm admission, through the API server", _ratio("gate, warm, denied", "gate, warm", "api"), 1.1, " ×"),
    Goal("A warm denial beside a warm admission, directly", _ratio("gate, warm, denied", "gate, warm", "direct"), 1.1, " ×"),
    Goal("A cold denial beside a cold admission, directly", _ratio("gate, cold, denied", "gate, cold", "direct"), 1.1, " ×"),
    Goal("20 containers beside one, through the API server", _ratio("gate, warm, 20 containers", "gate, warm", "api"), 1.5, " ×"),
    Goal("20 containers beside one, directly", _ratio("gate, warm, 20 containers", "gate, warm", "direct"), 1.5, " ×"),
    Goal("The warm gate over the largest folder, beside the smallest", _growth("gate, warm", "file"), 1.2, " ×"),
    Goal("The cold gate over the largest folder, beside the smallest", _growth("gate, cold", "file"), 1.2, " ×"),
    Goal("The warm gate over the largest archive in S3, beside the smallest", _growth("gate, warm", "s3"), 1.2, " ×"),
    Goal("The cold gate over the largest archive in S3, beside the smallest", _growth("gate, cold", "s3"), 1.2, " ×"),
    Goal("Memory of the gate under load (largest RSS)", _largest("gate", "gate", "rss_mb"), 150, " MB"),
    Goal("Memory of the webhook when it is ready", _largest("start", "webhook", "rss_mb"), 150, " MB"),
    Goal("Start to ready (p50)", _largest("start", "webhook", "p50_ms"), 2000, " ms"),
    Goal("Approval to event, the slowest", _largest("approval", "click to event", "max_ms"), 1000, " ms"),
    Goal("The desk's page in the portal, 50 readers, paced (p50)", _paced("the desk's page", "p50_ms"), 20, " ms"),
    Goal("The frozen desk's first byte, 50 readers, paced (p50)", _paced("the frozen desk", "first_p50_ms"), 20, " ms"),
    Goal("The frozen desk to its last byte, 50 readers, paced (p50)", _paced("the frozen desk", "p50_ms"), 20, " ms"),
    Goal("The frozen desk, not compressed, beside a bare server's file of its size (p50)", _beside_bare, 2, " ×"),
    Goal("A large desk frozen, beside its fetch, the slowest", _largest("portal", _BESIDE_FETCH, "max_ms"), 1000, " ms"),
    Goal("A click in the portal to its event, the slowest", _largest("portal", "click to event", "max_ms"), 1000, " ms"),
    Goal("A page of a history of 10,000 events, the slowest", _largest("portal", "history, first page", "max_ms"), 1000, " ms"),
    Goal("signoff verify, events a second and core", _per_core, 5000, "", at_least=True),
)
