"""The queue: each promotion by one worker at a time, looked at again when asked, and never forgotten because of an error."""

from __future__ import annotations

import asyncio
import logging
import threading
import time
from collections.abc import Callable, Coroutine
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import pytest

from signoff.operator import run
from signoff.operator.cluster import ClusterError
from signoff.operator.metrics import OperatorMetrics
from signoff.operator.reconcile import LATER, SOON
from signoff.operator.run import Key, Queue
from signoff.operator.status import State, status_of

A, B, C = ("credit", "a"), ("credit", "b"), ("batch", "a")
NEVER = 10_000.0

Look = Callable[[Key], float | None]


class Watched(Queue):
    """The queue over a look of the test's own; it notes each look, when it began, and how many ran at once."""

    def __init__(self, look: Look, resync: float = NEVER) -> None:
        super().__init__(operator=None, resync=resync)  # type: ignore[arg-type]
        self._own = look
        self._guard = threading.Lock()
        self._running_now: dict[Key, int] = {}
        self.looks: list[Key] = []
        self.times: list[float] = []
        self.most: dict[Key, int] = {}

    def _look(self, key: Key) -> float | None:
        with self._guard:
            self.looks.append(key)
            self.times.append(time.monotonic())
            self._running_now[key] = self._running_now.get(key, 0) + 1
            self.most[key] = max(self.most.get(key, 0), self._running_now[key])
        try:
            return self._own(key)
        finally:
            with self._guard:
                self._running_now[key] -= 1

    async def until(self, done: Callable[[], bool], within: float = 10) -> None:
        deadline = time.monotonic() + within
        while not done():
            assert time.monotonic() < deadline, self.looks
            await asyncio.sleep(0.005)


def running(queue: Watched, story: Callable[[], Coroutine[Any, Any, None]], workers: int = 4) -> None:
    async def main() -> None:
        tasks = [asyncio.create_task(queue.work()) for _ in range(workers)]
        await story()
        assert not any(task.done() for task in tasks), "a worker ended"
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    asyncio.run(main())


def test_each_promotion_that_is_reported_is_looked_at_once() -> None:
    queue = Watched(lambda _: None)

    async def story() -> None:
        for key in (A, B, C, A, A):
            queue.look_at(key)
        await queue.until(lambda: len(queue.looks) >= 3)
        await asyncio.sleep(0.1)

    running(queue, story)
    assert sorted(queue.looks) == sorted([A, B, C])


def test_reports_during_a_look_ask_for_one_more_afterwards() -> None:
    going, go_on = threading.Event(), threading.Event()

    def look(_: Key) -> None:
        going.set()
        assert go_on.wait(10)

    queue = Watched(look)

    async def story() -> None:
        queue.look_at(A)
        await queue.until(going.is_set)
        for _ in range(5):
            queue.look_at(A)
        queue.look_at(B)
        await queue.until(lambda: B in queue.looks)
        assert queue.looks == [A, B], "while one is looked at, others are too"
        go_on.set()
        await queue.until(lambda: len(queue.looks) == 3)
        await asyncio.sleep(0.1)

    running(queue, story)
    assert queue.looks == [A, B, A]
    assert queue.most == {A: 1, B: 1}


def test_no_promotion_is_looked_at_by_two_workers_at_once() -> None:
    queue = Watched(lambda _: time.sleep(0.001))

    async def story() -> None:
        for number in range(400):
            queue.look_at((A, B, C)[number % 3])
            if number % 5 == 0:
                await asyncio.sleep(0.001)
        await queue.until(lambda: not (queue._running or queue._queued or queue._again))

    running(queue, story, workers=8)
    assert set(queue.most.values()) == {1}
    assert len(queue.looks) > 20


def test_an_exception_ends_no_worker_and_is_tried_again(monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture) -> None:
    monkeypatch.setattr(run, "SOON", 0.005)
    failures = iter([RuntimeError("one"), KeyError("two"), ClusterError("three"), RecursionError()])

    def look(_: Key) -> None:
        for failure in failures:
            raise failure

    queue = Watched(look)

    async def story() -> None:
        queue.look_at(A)
        await queue.until(lambda: len(queue.looks) == 5)
        queue.look_at(B)
        await queue.until(lambda: B in queue.looks)

    with caplog.at_level(logging.ERROR, "signoff.operator"):
        running(queue, story, workers=1)
    assert queue.looks == [A] * 5 + [B]
    assert [record.getMessage() for record in caplog.records] == ["looking at credit/a failed; it is tried again"] * 4


def gaps(queue: Watched) -> list[float]:
    return [after - before for before, after in zip(queue.times, queue.times[1:], strict=False)]


def looks_with(pauses: list[float | None]) -> Watched:
    """A queue that was asked to look once, and again after each success, until these were its answers."""
    answers = iter(pauses)
    queue = Watched(lambda _: next(answers))

    async def story() -> None:
        for number, pause in enumerate(pauses):
            if number == 0 or pauses[number - 1] is None:
                queue.look_at(A)
            if pause is None:
                await queue.until(lambda number=number: len(queue.looks) > number)
        await queue.until(lambda: len(queue.looks) == len(pauses))

    running(queue, story)
    return queue


def test_pauses_grow_and_begin_anew_after_success() -> None:
    found = gaps(looks_with([0.02] * 4 + [None, 0.02, None]))
    assert all(gap >= least for gap, least in zip(found, (0.04, 0.08, 0.16, 0.32), strict=False))
    assert found[5] < 0.5, "0.04 s, and not the 0.64 s of a sixth failure"


def test_pauses_grow_to_a_limit(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(run, "_LONGEST_PAUSE", 0.05)
    assert gaps(looks_with([0.02] * 6 + [None]))[5] < 0.5, "0.05 s, and not 0.64 s"


def test_what_waits_for_people_is_looked_at_again_at_the_resync() -> None:
    queue = Watched(lambda key: LATER if key == A else None, resync=0.05)

    async def story() -> None:
        queue.look_at(A)
        queue.look_at(B)
        await queue.until(lambda: queue.looks.count(A) == 4)

    running(queue, story)
    assert queue.looks.count(B) == 1, "what has ended is left alone"


def test_a_report_is_not_made_to_wait_for_a_pause() -> None:
    queue = Watched(lambda _: LATER)

    async def story() -> None:
        queue.look_at(A)
        await queue.until(lambda: A in queue._timers)
        resync = queue._timers[A]
        queue.look_at(A)
        assert resync.cancelled()
        await queue.until(lambda: len(queue.looks) == 2 and A in queue._timers, within=2)
        assert len(queue._timers) == 1

    running(queue, story)


def test_a_changed_policy_is_a_report_on_all_that_have_not_ended() -> None:
    begun, go_on = threading.Event(), threading.Event()

    def look(key: Key) -> float | None:
        if key == C and not begun.is_set():
            begun.set()
            assert go_on.wait(10)
        return None if key == B else LATER

    queue = Watched(look)

    async def story() -> None:
        for key in (A, B, C):
            queue.look_at(key)
        await queue.until(lambda: A in queue._timers and B in queue.looks and begun.is_set())
        queue.look_at_all()
        go_on.set()
        await queue.until(lambda: queue.looks.count(A) == queue.looks.count(C) == 2)
        await asyncio.sleep(0.05)

    running(queue, story)
    assert queue.looks.count(B) == 1


# --- one look -------------------------------------------------------------------------------------------------------------


class ApiServer:
    """Answers what a look asks, and notes what is written."""

    def __init__(self, promotion: dict[str, Any] | None, *, writes: bool = True) -> None:
        self.found = promotion
        self.writes = writes
        self.statuses: list[Any] = []
        self.told: list[tuple[str, str]] = []

    def promotion(self, *_: str) -> Any:
        return self.found

    def set_status(self, _: Any, status: Any) -> None:
        if not self.writes:
            raise ClusterError("the API server answered 409 Conflict")
        self.statuses.append(status)

    def tell(self, _: Any, kind: str, reason: str, note: str) -> None:
        assert note
        self.told.append((kind, reason))


class Around:
    """What a look takes from the operator."""

    def __init__(self, cluster: ApiServer) -> None:
        self.cluster = cluster
        self.metrics = OperatorMetrics()

    def now(self) -> datetime:
        return datetime(2026, 3, 2, 9, 14, 7, tzinfo=UTC)


WAITING = State("waiting", "AwaitingDecision", "awaiting", retry=LATER)


def look(monkeypatch: pytest.MonkeyPatch, cluster: ApiServer, state: State) -> float | None:
    monkeypatch.setattr(run, "reconcile", lambda *_: state)
    return Queue(Around(cluster), NEVER)._look(A)  # type: ignore[arg-type]


def promotion(status: dict[str, Any] | None = None) -> dict[str, Any]:
    metadata = {"namespace": "credit", "name": "a", "generation": 3}
    return {"metadata": metadata, **({} if status is None else {"status": status})}


def test_what_is_gone_is_left_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    cluster = ApiServer(None)
    assert look(monkeypatch, cluster, WAITING) is None
    assert cluster.statuses == []


def test_a_status_is_written_when_it_says_something_new_and_people_are_told_of_new_reasons(monkeypatch: pytest.MonkeyPatch) -> None:
    cluster = ApiServer(promotion({"observedGeneration": -1}))
    assert look(monkeypatch, cluster, WAITING) == LATER
    [status] = cluster.statuses
    assert status == status_of(WAITING, 3, {}, "2026-03-02T09:14:07Z")
    assert cluster.told == [("Normal", "AwaitingDecision")]
    again = ApiServer(promotion(status))
    assert look(monkeypatch, again, WAITING) == LATER
    assert (again.statuses, again.told) == ([], [])
    reworded = ApiServer(promotion(status))
    look(monkeypatch, reworded, State("waiting", "AwaitingDecision", "awaiting two", retry=LATER))
    assert (len(reworded.statuses), reworded.told) == (1, [])
    refused = ApiServer(promotion(status))
    look(monkeypatch, refused, State("rejected", "Rejected", "rejected"))
    assert refused.told == [("Warning", "Rejected")]


def test_a_status_that_could_not_be_written_is_soon_tried_again(monkeypatch: pytest.MonkeyPatch) -> None:
    cluster = ApiServer(promotion(), writes=False)
    assert look(monkeypatch, cluster, WAITING) == SOON
    assert cluster.told == []


def test_a_correction_is_a_report_on_its_promotion_until_that_is_gone(monkeypatch: pytest.MonkeyPatch) -> None:
    cluster = ApiServer(promotion())
    queue = Queue(Around(cluster), NEVER)  # type: ignore[arg-type]
    looked: list[Key] = []
    monkeypatch.setattr(queue, "look_at", looked.append)
    for state in (replace(WAITING, id="first"), replace(WAITING, id="1" * 64)):
        monkeypatch.setattr(run, "reconcile", lambda *_, state=state: state)
        queue._look(A)
    queue.look_at_request("1" * 64)
    assert looked == [A]
    queue.look_at_request("first")
    queue.look_at_request("2" * 64)
    cluster.found = None
    queue._look(A)
    queue.look_at_request("1" * 64)
    assert looked == [A], "what is gone is forgotten, and so is the request that it was before"


def test_what_is_deleted_is_looked_at_once_more_and_so_forgotten(monkeypatch: pytest.MonkeyPatch) -> None:
    looked: list[Key] = []
    monkeypatch.setattr(Queue, "look_at", lambda _, key: looked.append(key))
    handlers = run.registry(Around(ApiServer(None)), NEVER)  # type: ignore[arg-type]
    told: dict[str, Any] = {one.id.rpartition(".")[2]: one.fn for one in handlers._watching.get_all_handlers()}
    asyncio.run(told["promotion"](namespace="credit", name="a", event={"type": "DELETED", "object": {}}))
    assert looked == [A]
