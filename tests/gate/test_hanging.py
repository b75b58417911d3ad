"""A store that hangs rather than fails: nobody waits for it longer than the deadline, and the grace stands in for it."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor

import pytest

from signoff.archive.store import Unavailable
from signoff.gate.lookup import Key
from signoff.gate.memory import GRACE, READ_DEADLINE, Memory
from signoff.gate.readers import Readers
from signoff.gate.verdict import Unknown
from signoff.record.values import Digest, sha256
from signoff.verify.reader import Found
from tests.gate.test_memory import KEY, NEGATIVE, POSITIVE, within

DEADLINE = 0.3
SOON = 0.15


class Hanging:
    """An archive whose reads block while it hangs; its clock stands unless it is moved, so that all waiting is real."""

    def __init__(self, *, threads: int = 4, waiting: int = 8, deadline: float = DEADLINE) -> None:
        self.answer: Found | Exception = POSITIVE
        self.now = 0.0
        self.goes_on = threading.Event()
        self.goes_on.set()
        self.begun: list[Key] = []
        self.memory = Memory(self.read, lambda: self.now, Readers(threads, waiting), deadline)

    def read(self, key: Key) -> Found:
        self.begun.append(key)
        assert self.goes_on.wait(30)
        if isinstance(self.answer, Exception):
            raise self.answer
        return self.answer


@pytest.fixture
def archive() -> Iterator[Hanging]:
    hanging = Hanging()
    yield hanging
    hanging.goes_on.set()


def timed(work: Callable[[], object]) -> tuple[object, float]:
    began = time.monotonic()
    return work(), time.monotonic() - began


def other(number: int) -> Key:
    return KEY._replace(digest=Digest(f"sha256:{number:064x}"))


def test_the_deadline_is_three_seconds() -> None:
    assert READ_DEADLINE == 3.0


def test_a_read_that_hangs_is_unknown_after_the_deadline(archive: Hanging) -> None:
    archive.goes_on.clear()
    told, took = timed(lambda: archive.memory.ask(KEY))
    assert told == Unknown("the archive did not answer within 0.3 s")
    assert DEADLINE <= took < DEADLINE + 2


def test_a_read_that_hangs_is_what_was_verified_within_the_grace_and_then_unknown(archive: Hanging) -> None:
    assert archive.memory.ask(KEY) is POSITIVE
    archive.goes_on.clear()
    archive.now = GRACE - 1
    told, took = timed(lambda: archive.memory.ask(KEY))
    assert told is POSITIVE
    assert took >= DEADLINE
    archive.now = GRACE
    assert isinstance(archive.memory.ask(KEY), Unknown)


def test_what_was_negative_is_unknown_while_the_archive_hangs(archive: Hanging) -> None:
    archive.answer = NEGATIVE
    assert archive.memory.ask(KEY) is NEGATIVE
    archive.goes_on.clear()
    archive.now = 5
    assert isinstance(archive.memory.ask(KEY), Unknown)


def test_a_read_that_hangs_is_one_however_many_ask_and_later_ones_wait_for_the_rest_of_its_time_alone(archive: Hanging) -> None:
    archive.memory.ask(KEY)
    archive.goes_on.clear()
    archive.now = 100
    with ThreadPoolExecutor(16) as pool:
        assert {pool.submit(archive.memory.ask, KEY).result(10) for _ in range(16)} == {POSITIVE}
    archive.now = 100 + DEADLINE
    told, took = timed(lambda: archive.memory.ask(KEY))
    assert told is POSITIVE
    assert took < SOON
    assert archive.begun == [KEY, KEY]
    assert archive.memory.reading == 1


def test_an_answer_that_comes_late_is_remembered_as_of_when_it_was_asked(archive: Hanging) -> None:
    archive.goes_on.clear()
    assert isinstance(archive.memory.ask(KEY), Unknown)
    archive.now = 4.0
    archive.goes_on.set()
    within(5, lambda: archive.memory.reading == 0)
    assert archive.memory.fresh([KEY]) == {KEY: POSITIVE}
    archive.now = 10.0
    assert archive.memory.fresh([KEY]) == {}


def test_a_late_answer_that_is_not_believed_ends_the_grace(archive: Hanging) -> None:
    archive.memory.ask(KEY)
    archive.now = 20
    archive.goes_on.clear()
    assert archive.memory.ask(KEY) is POSITIVE
    archive.answer = NEGATIVE
    archive.goes_on.set()
    within(5, lambda: archive.memory.reading == 0)
    archive.answer = Unavailable("away")
    archive.now = 40
    assert isinstance(archive.memory.ask(KEY), Unknown)


def test_while_every_thread_hangs_others_get_the_grace_after_the_deadline_and_beyond_the_room_at_once() -> None:
    archive = Hanging(threads=2, waiting=2)
    archive.memory.ask(KEY)
    archive.now = 20
    archive.goes_on.clear()
    readings = [archive.memory.begin(other(number)) for number in range(2)]
    within(5, lambda: len(archive.begun) == 3)
    readings += [archive.memory.begin(other(number)) for number in (2, 3)]
    told, took = timed(lambda: archive.memory.ask(KEY))
    assert (told, took < SOON) == (POSITIVE, True)
    assert archive.memory.ask(other(9)) == Unknown("more is asked of the archive than it answers")
    assert not any(one.told.done() for one in readings)
    archive.goes_on.set()
    assert {one.told.result(5) for one in readings} == {POSITIVE}
    within(5, lambda: archive.memory.reading == 0)
    assert archive.memory.ask(other(9)) is POSITIVE


def test_work_that_waits_for_a_thread_is_waited_for_no_longer_than_the_deadline() -> None:
    archive = Hanging(threads=1, waiting=8)
    archive.goes_on.clear()
    archive.memory.begin(other(0))
    told, took = timed(lambda: archive.memory.ask(other(1)))
    assert isinstance(told, Unknown)
    assert DEADLINE <= took < DEADLINE + 2
    archive.goes_on.set()


def test_threads_are_bounded_and_used_again() -> None:
    readers, seen, gate = Readers(3, 100), set(), threading.Event()

    def work() -> None:
        gate.wait(5)
        seen.add(threading.get_ident())

    assert all(readers.begin(work) for _ in range(50))
    gate.set()
    within(5, lambda: len(seen) == 3)
    before = threading.active_count()
    for _ in range(20):
        time.sleep(0.005)
        readers.begin(work)
    assert threading.active_count() <= before


def test_what_is_restored_is_never_fresh_and_ends_with_its_own_grace(archive: Hanging) -> None:
    archive.memory.restore(KEY, POSITIVE, age=0)
    assert archive.memory.fresh([KEY]) == {}
    assert archive.memory.ask(KEY) is POSITIVE
    assert archive.begun == [KEY]
    older = KEY._replace(digest=sha256(b"older"))
    archive.memory.restore(older, POSITIVE, age=GRACE - 10)
    archive.answer = Unavailable("away")
    archive.now = 9
    assert archive.memory.ask(older) is POSITIVE
    archive.now = 10
    assert isinstance(archive.memory.ask(older), Unknown)


def test_what_is_restored_does_not_replace_what_is_known(archive: Hanging) -> None:
    archive.answer = NEGATIVE
    archive.memory.ask(KEY)
    archive.memory.restore(KEY, POSITIVE, age=0)
    archive.answer = Unavailable("away")
    archive.now = 5
    assert isinstance(archive.memory.ask(KEY), Unknown)
    archive.memory.restore(other(1), NEGATIVE, age=0)
    assert archive.memory.positive == 0


def test_the_memory_says_what_it_did(archive: Hanging) -> None:
    memory = archive.memory
    assert (memory.last_reached, memory.oldest_in_grace) == (None, None)
    memory.ask(KEY)
    memory.ask(KEY)
    archive.answer = NEGATIVE
    memory.ask(other(1))
    assert (memory.fresh_answers, memory.reads, memory.positive, memory.negative, memory.last_reached) == (1, 2, 1, 1, 0.0)
    archive.answer = Unavailable("away")
    archive.now = 50
    memory.ask(KEY)
    assert (memory.grace_answers, memory.oldest_in_grace, memory.last_reached) == (1, 0.0, 0.0)
    archive.answer = POSITIVE
    archive.now = 60
    memory.ask(KEY)
    assert (memory.oldest_in_grace, memory.last_reached, memory.reading) == (None, 60.0, 0)
