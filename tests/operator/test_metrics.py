"""What the operator says of itself: which commits are pending and for how long, and what came of what it tried."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from prometheus_client import generate_latest
from scraping import Scrape, read_samples
from world import World

from signoff.archive.store import Unavailable
from signoff.desk.freezing import Stale
from signoff.errors import SignoffError
from signoff.operator.metrics import OperatorMetrics
from signoff.operator.status import State
from signoff.record.promotion import PROMOTION_TYPE, REJECTION_TYPE, OutcomeType
from tests.operator.deciding import seal, write

KEY = ("credit", "credit-scoring-2.4.0")
OTHER = ("credit", "other")


class Clock:
    now = 1000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def metrics(clock: Clock) -> OperatorMetrics:
    return OperatorMetrics(clock)


def read(metrics: OperatorMetrics) -> Scrape:
    return read_samples(generate_latest(metrics.registry).decode())


def pending(metrics: OperatorMetrics) -> tuple[float, float]:
    found = read(metrics)
    return found.value("signoff_pending_commits"), found.value("signoff_pending_commit_age_seconds")


def commits(metrics: OperatorMetrics) -> dict[str, float]:
    found = read(metrics).samples.items()
    return {dict(labels)["outcome"]: value for (name, labels), value in found if name == "signoff_commits_total" and value}


def decide(world: World, metrics: OperatorMetrics, kind: OutcomeType, **changes: Any) -> None:
    frozen = world.freeze()
    sealed = seal(world, frozen, verdict="Approve" if kind == PROMOTION_TYPE else "Reject")
    with metrics.committing(KEY) as ended:
        ended(write(world, frozen, kind, sealed, **changes).promotes)


def test_a_commit_is_pending_from_the_first_try_until_the_event_stands(
    world: World, metrics: OperatorMetrics, clock: Clock, tmp_path: Path
) -> None:
    folder = next(path for path in tmp_path.iterdir() if (path / "archive.json").exists())
    assert pending(metrics) == (0, 0)
    frozen = world.freeze()
    sealed = seal(world, frozen)
    for _ in range(2):
        folder.rename(tmp_path / "away")
        with pytest.raises(Unavailable), metrics.committing(KEY) as ended:
            ended(write(world, frozen, PROMOTION_TYPE, sealed).promotes)
        metrics.known.saw(KEY, State("progressing", "OutOfReach", "tried again"))
        (tmp_path / "away").rename(folder)
        clock.now += 60
    assert pending(metrics) == (1, 120)
    with metrics.committing(KEY) as ended:
        ended(write(world, frozen, PROMOTION_TYPE, sealed).promotes)
    assert pending(metrics) == (0, 0)
    assert commits(metrics) == {"unavailable": 2, "promoted": 1}


def test_a_rejection_is_counted_as_one(world: World, metrics: OperatorMetrics) -> None:
    decide(world, metrics, REJECTION_TYPE)
    assert commits(metrics) == {"rejected": 1}


@pytest.mark.parametrize(
    ("error", "outcome", "stays"),
    [(Stale("x"), "stale", 0), (Unavailable("x"), "unavailable", 1), (SignoffError("x"), "refused", 1), (ValueError("x"), "failed", 1)],
)
def test_what_became_of_a_commit(metrics: OperatorMetrics, error: Exception, outcome: str, stays: int) -> None:
    with pytest.raises(type(error)), metrics.committing(KEY):
        raise error
    assert commits(metrics) == {outcome: 1}
    assert pending(metrics)[0] == stays


@pytest.mark.parametrize(
    ("state", "stays"),
    [
        (State("progressing", "OutOfReach", "m"), 1),
        (State("stalled", "CannotCommit", "m"), 1),
        (State("waiting", "AwaitingDecision", "m"), 0),
        (State("promoted", "Promoted", "m"), 0),
        (State("rejected", "Rejected", "m"), 0),
        (None, 0),
    ],
)
def test_until_when_a_commit_is_pending(metrics: OperatorMetrics, state: State | None, stays: int) -> None:
    metrics.known.due(KEY)
    metrics.known.saw(KEY, state)
    assert pending(metrics)[0] == stays


def test_the_age_is_that_of_the_oldest(metrics: OperatorMetrics, clock: Clock) -> None:
    metrics.known.due(KEY)
    clock.now += 5
    metrics.known.due(OTHER)
    clock.now += 2
    assert pending(metrics) == (2, 7)


def test_promotions_are_counted_by_the_phase_of_their_last_look_until_they_are_gone(metrics: OperatorMetrics) -> None:
    def phases() -> dict[str, float]:
        found = read(metrics).samples.items()
        return {dict(labels)["phase"]: value for (name, labels), value in found if name == "signoff_promotions" and value}

    metrics.known.saw(KEY, State("waiting", "AwaitingDecision", "m"))
    metrics.known.saw(OTHER, State("waiting", "AwaitingDecision", "m"))
    assert phases() == {"waiting": 2}
    metrics.known.saw(KEY, State("promoted", "Promoted", "m"))
    assert phases() == {"waiting": 1, "promoted": 1}
    metrics.known.saw(OTHER, None)
    assert phases() == {"promoted": 1}


def test_freezes_and_fetches_are_counted_by_what_became_of_them(metrics: OperatorMetrics) -> None:
    with metrics.freezing(), metrics.fetching("inline"):
        pass
    with pytest.raises(Unavailable), metrics.freezing(), metrics.fetching("url"):
        raise Unavailable("x")
    found = read(metrics)
    assert found.value("signoff_freezes_total", outcome="done") == 1
    assert found.value("signoff_freezes_total", outcome="unavailable") == 1
    assert found.value("signoff_explanation_fetches_total", source="inline", outcome="done") == 1
    assert found.value("signoff_explanation_fetches_total", source="url", outcome="unavailable") == 1
    assert found.value("signoff_explanation_fetch_seconds_count", source="url") == 1


def test_what_expires_soon_and_what_runs_on_is_told_until_it_is_over(metrics: OperatorMetrics) -> None:
    metrics.known.saw(KEY, State("promoted", "ExpiresSoon", "", soon=True))
    metrics.known.saw(OTHER, State("revoked", "Revoked", "", running=("credit/a", "credit/b")))
    told = read(metrics)
    assert (told.value("signoff_promotions_expiring"), told.value("signoff_pods_running_on")) == (1, 2)
    assert told.value("signoff_promotions", phase="revoked") == 1
    metrics.known.saw(KEY, State("expired", "Expired", "", running=("credit/c",)))
    metrics.known.saw(OTHER, None)
    told = read(metrics)
    assert (told.value("signoff_promotions_expiring"), told.value("signoff_pods_running_on")) == (0, 1)
    assert told.value("signoff_promotions", phase="expired") == 1
