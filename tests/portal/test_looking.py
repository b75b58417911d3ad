"""Whether the portal says that it is ready: what it works with, as of the last look, and without anybody waiting for it."""

from __future__ import annotations

import time
from collections.abc import Callable
from threading import Event

import httpx
import pytest

from signoff.archive.store import Unavailable
from signoff.portal.cluster import ClusterAway
from signoff.portal.looking import FRESH, LONGEST, Looking
from tests.portal.house import House


class Clock:
    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


def until(holds: Callable[[], object]) -> None:
    deadline = time.monotonic() + 10
    while not holds():
        assert time.monotonic() < deadline
        time.sleep(0.005)


def test_what_was_never_looked_at_is_not_ready_and_one_look_later_it_is(house: House) -> None:
    visitor = house.visitor()
    first = visitor.get("/readyz")
    assert (first.status_code, first.text) == (503, "archive: not asked yet\nAPI server: not asked yet\n")
    until(lambda: visitor.get("/readyz").status_code == 200)
    assert visitor.get("/readyz").text == "ok\n"
    assert visitor.get("/healthz").status_code == 200


@pytest.mark.parametrize("part", ["archive", "API server"])
def test_what_does_not_answer_is_told_by_its_name_and_nothing_more(house: House, part: str, monkeypatch: pytest.MonkeyPatch) -> None:
    clock = Clock()
    house.clock = clock
    visitor = house.visitor()

    def seen() -> httpx.Response:
        return visitor.get("/readyz")

    until(lambda: seen().status_code == 200)
    elsewhere = house.world.folder.with_name("elsewhere")
    if part == "archive":
        house.world.folder.rename(elsewhere)
    else:
        house.rooms.fails = ClusterAway("10.0.0.1 did not answer", where="https://10.0.0.1")
    assert seen().status_code == 200, "as of the last look"
    clock.now += FRESH
    until(lambda: seen().status_code == 503)
    assert seen().text == f"{part}: does not answer\n"
    assert visitor.get("/healthz").status_code == 200, "it lives, and says in plain words what is out of reach"
    if part == "archive":
        elsewhere.rename(house.world.folder)
    house.rooms.fails = None
    clock.now += FRESH
    until(lambda: seen().status_code == 200)


def test_nobody_waits_for_a_look_and_one_that_does_not_end_is_no_answer() -> None:
    clock, begun, ends = Clock(), Event(), Event()
    asked: list[float] = []

    def hangs() -> None:
        asked.append(clock.now)
        begun.set()
        ends.wait(20)

    looking = Looking({"archive": hangs}, clock)
    began = time.monotonic()
    assert looking.away() == ("archive: not asked yet",)
    assert begun.wait(10)
    clock.now += LONGEST
    assert looking.away() == ("no answer for 15 s",)
    assert looking.away() == ("no answer for 15 s",)
    assert time.monotonic() - began < 5
    assert len(asked) == 1, "however often somebody asks, it is asked once at a time"
    ends.set()
    until(lambda: looking.away() == ())


def test_however_often_it_is_asked_the_parts_are_asked_once_in_a_while() -> None:
    clock, asked = Clock(), list[float]()
    looking = Looking({"archive": lambda: asked.append(clock.now)}, clock)
    for _ in range(200):
        looking.away()
    until(lambda: looking.away() == ())
    assert len(asked) == 1
    clock.now += FRESH
    until(lambda: (looking.away(), len(asked) == 2)[1])


def test_an_error_of_any_kind_is_no_answer() -> None:
    def fails() -> None:
        raise ZeroDivisionError

    def away() -> None:
        raise Unavailable("no answer", "file:///secret")

    looking = Looking({"archive": away, "API server": fails}, time.monotonic)
    until(lambda: looking.away() == ("archive: does not answer", "API server: could not be asked"))
