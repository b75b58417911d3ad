"""What the gate remembers: for how long, through an outage, under many threads. The clock is passed in."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from world import SPEC, World

from signoff.archive import layout
from signoff.archive.store import Damaged, Missing, Refused, TooLarge, Unavailable
from signoff.decision.seals import CouldNotTell
from signoff.gate import memory as memory_module
from signoff.gate.lookup import Key, look_up
from signoff.gate.memory import FRESH_NEGATIVE, FRESH_POSITIVE, GRACE, READ_DEADLINE, Memory
from signoff.gate.verdict import Unknown
from signoff.record.values import Digest, RequestId, sha256
from signoff.verify.reader import Found
from signoff.verify.verifier import Admission

EVENT = Admission(
    id=RequestId("0" * 64), event=sha256(b"event"), promotes=True, model="m", version="1", image="r.example/m@sha256:0",
    images=frozenset(), artifacts=frozenset(), environment="production", clusters=frozenset(), namespaces=frozenset(), valid_until=None,
)  # fmt: skip
NOW = datetime(2026, 3, 4, tzinfo=UTC)
POSITIVE, NEGATIVE = Found((EVENT,), ()), Found((), ())
ELSEWHERE, IN_PART = replace(POSITIVE, elsewhere=True), replace(NEGATIVE, partial="there are more")
KEY = Key(sha256(b"image"), "production", "credit", together=False)


class Archive:
    """An archive whose answer is set by hand, with the clock beside it, and a count of how often it was asked."""

    def __init__(self, answer: Found | Exception = POSITIVE) -> None:
        self.answer: Found | BaseException = answer
        self.now = 1000.0
        self.asked: list[Key] = []
        self.takes = 0.0
        self.memory = Memory(self.read, lambda: self.now)

    def read(self, key: Key) -> Found:
        self.asked.append(key)
        self.now += self.takes
        if isinstance(self.answer, BaseException):
            raise self.answer
        return self.answer

    def ask(self, key: Key = KEY) -> Found | Unknown:
        return self.memory.ask(key)

    def later(self, seconds: float) -> Archive:
        self.now += seconds
        return self


def test_the_times_are_those_that_are_promised() -> None:
    assert (FRESH_POSITIVE, FRESH_NEGATIVE, GRACE, READ_DEADLINE) == (10.0, 2.0, 900.0, 3.0)


@pytest.mark.parametrize(
    ("answer", "fresh"),
    [(POSITIVE, 10.0), (NEGATIVE, 2.0), (ELSEWHERE, 2.0), (IN_PART, 2.0)],
    ids=["positive", "negative", "promoted-elsewhere", "read-in-part"],
)
def test_an_answer_is_fresh_for_so_long_and_no_longer(answer: Found, fresh: float) -> None:
    archive = Archive(answer)
    assert archive.ask() is answer
    archive.later(fresh - 0.01)
    assert archive.ask() is answer
    assert archive.memory.fresh([KEY]) == {KEY: answer}
    assert len(archive.asked) == 1
    archive.later(0.01)
    assert archive.memory.fresh([KEY]) == {}
    assert archive.ask() is answer
    assert len(archive.asked) == 2


def test_bypass_11_what_is_no_longer_so_is_seen_after_ten_seconds() -> None:
    archive = Archive()
    archive.ask()
    archive.answer = Found((replace(EVENT, revoked="revoked by somebody"),), ())
    assert archive.later(9.99).ask() is POSITIVE
    assert archive.later(0.01).ask() is archive.answer


def test_a_promotion_is_seen_after_two_seconds() -> None:
    archive = Archive(NEGATIVE)
    archive.ask()
    archive.answer = POSITIVE
    assert archive.later(2.0).ask() is POSITIVE


def test_freshness_counts_from_before_the_archive_was_asked() -> None:
    archive = Archive()
    archive.takes = 9.0
    archive.ask()
    assert archive.memory.fresh([KEY]) == {KEY: POSITIVE}
    assert archive.later(1.0).memory.fresh([KEY]) == {}


def test_an_answer_is_of_what_was_asked() -> None:
    archive = Archive()
    archive.ask()
    archive.answer = NEGATIVE
    others = [
        KEY._replace(environment="staging"),
        KEY._replace(digest=sha256(b"another")),
        KEY._replace(namespace="cards"),
        KEY._replace(together=True),
    ]
    for key in others:
        assert archive.ask(key) is NEGATIVE
    assert archive.asked == [KEY, *others]


def test_fresh_asks_the_archive_nothing() -> None:
    archive = Archive()
    assert archive.memory.fresh([KEY]) == {}
    assert archive.asked == []


def test_out_of_reach_a_positive_answer_is_good_for_the_grace() -> None:
    archive = Archive()
    archive.ask()
    archive.answer = Unavailable("the archive is out of reach")
    assert archive.later(899.99).ask() is POSITIVE
    assert archive.later(0.01).ask() == Unknown("the archive is out of reach")


def test_the_grace_is_not_prolonged_by_asking() -> None:
    archive = Archive()
    archive.ask()
    archive.answer = Unavailable("out of reach")
    answers = [archive.later(100).ask() for _ in range(10)]
    assert [isinstance(answer, Unknown) for answer in answers] == [False] * 8 + [True] * 2
    assert len(archive.asked) == 11


def test_the_grace_begins_anew_when_the_archive_answers_again() -> None:
    archive = Archive()
    archive.ask()
    archive.later(800).ask()
    archive.answer = Unavailable("out of reach")
    assert archive.later(899).ask() is POSITIVE


def test_bypass_10_out_of_reach_a_negative_answer_is_unknown() -> None:
    archive = Archive(NEGATIVE)
    archive.ask()
    archive.answer = Unavailable("out of reach")
    assert archive.later(2.0).ask() == Unknown("out of reach")


def test_bypass_10_out_of_reach_what_was_never_verified_is_unknown() -> None:
    assert Archive(Unavailable("out of reach")).ask() == Unknown("out of reach")


ANSWERED = [
    Damaged("altered"), Missing("gone"), Refused("no permission"), TooLarge("too large"), CouldNotTell("more than 200 pointers"),
]  # fmt: skip


@pytest.mark.parametrize("error", ANSWERED, ids=lambda error: type(error).__name__)
def test_bypass_11_an_archive_that_answers_otherwise_has_no_grace(error: Exception) -> None:
    archive = Archive()
    archive.ask()
    archive.answer = error
    assert archive.later(10).ask() == Unknown(str(error))
    archive.answer = Unavailable("out of reach")
    assert isinstance(archive.later(1).ask(), Unknown)  # nor does an outage bring back what was not believed
    archive.answer = POSITIVE
    assert archive.ask() is POSITIVE


def test_an_unknown_answer_is_not_remembered() -> None:
    archive = Archive(Unavailable("out of reach"))
    archive.ask()
    archive.answer = POSITIVE
    assert archive.ask() is POSITIVE


def within(seconds: float, condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "it did not come to pass in time"
        time.sleep(0.002)


class Slow:
    """An archive that answers when it is told to."""

    def __init__(self, answer: Found | BaseException) -> None:
        self.answer, self.go, self.count = answer, threading.Event(), 0
        self.memory = Memory(self.read, lambda: 0.0)

    def read(self, _key: Key) -> Found:
        self.count += 1
        assert self.go.wait(20)
        if isinstance(self.answer, BaseException):
            raise self.answer
        return self.answer


MANY = 32


def test_many_who_ask_at_once_wait_for_one_read() -> None:
    archive = Slow(POSITIVE)
    with ThreadPoolExecutor(MANY) as pool:
        asking = [pool.submit(archive.memory.ask, KEY) for _ in range(MANY)]
        within(10, lambda: sum(one.running() for one in asking) == MANY and archive.count > 0)
        archive.go.set()
        assert all(one.result(10) is POSITIVE for one in asking)
    assert archive.count == 1


def test_two_digests_are_read_side_by_side() -> None:
    archive = Slow(POSITIVE)
    with ThreadPoolExecutor(2) as pool:
        asking = [pool.submit(archive.memory.ask, KEY._replace(digest=sha256(name))) for name in (b"a", b"b")]
        within(10, lambda: archive.count == 2)
        archive.go.set()
        assert all(one.result(10) is POSITIVE for one in asking)


def test_bypass_10_a_fault_of_ours_reaches_all_who_wait_and_wedges_nobody() -> None:
    archive = Slow(RuntimeError("a fault"))
    with ThreadPoolExecutor(MANY) as pool:
        asking = [pool.submit(archive.memory.ask, KEY) for _ in range(MANY)]
        within(10, lambda: sum(one.running() for one in asking) == MANY and archive.count > 0)
        archive.go.set()
        assert all(isinstance(one.exception(10), RuntimeError) for one in asking)
    archive.answer = POSITIVE
    assert archive.memory.ask(KEY) is POSITIVE


def key(number: int) -> Key:
    return KEY._replace(digest=Digest(f"sha256:{number:064x}"))


def test_bypass_12_the_memory_is_bounded_and_the_longest_unasked_goes_first(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(memory_module, "MAX_ANSWERS", 3)
    archive = Archive()
    for number in (1, 2, 3):
        archive.ask(key(number))
    archive.ask(key(1))
    archive.memory.fresh([key(2)])
    archive.ask(key(4))
    assert set(archive.memory.fresh(map(key, range(6)))) == {key(1), key(2), key(4)}
    archive.ask(key(5))
    assert len(archive.memory.fresh(map(key, range(6)))) == 3


def test_the_bound_is_ten_thousand_answers() -> None:
    archive = Archive()
    for number in range(10_050):
        archive.ask(key(number))
    fresh = archive.memory.fresh(map(key, range(10_050)))
    assert len(fresh) == memory_module.MAX_ANSWERS == 10_000
    assert key(49) not in fresh
    assert key(50) in fresh


STEPS = st.lists(
    st.tuples(st.floats(0, 1000), st.sampled_from([POSITIVE, NEGATIVE, Unavailable("x"), Damaged("x")])), min_size=1, max_size=12
)


@settings(max_examples=200)
@given(STEPS)
def test_no_positive_answer_is_older_than_the_grace_nor_than_what_the_archive_said_since(steps: list[tuple[float, Any]]) -> None:
    archive = Archive()
    last_said: tuple[float, Any] | None = None
    for seconds, answer in steps:
        archive.later(seconds).answer = answer
        before = len(archive.asked)
        told = archive.ask()
        if len(archive.asked) > before and not isinstance(answer, Unavailable):
            last_said = (archive.now, answer)
        if told is POSITIVE:
            assert last_said is not None
            assert last_said[1] is POSITIVE
            assert archive.now - last_said[0] < GRACE
        if isinstance(told, Unknown):
            assert len(archive.asked) > before


def path_of(folder: Path, name: str) -> Path:
    return next(path for path in folder.rglob(name.rpartition("/")[2]) if path.is_file())


def test_bypass_11_an_archive_that_was_altered_is_read_again_after_ten_seconds(world: World) -> None:
    frozen = world.freeze()
    bundle = world.bundle(frozen.payload, [world.seal(frozen.payload, frozen.freeze)])
    digest = Digest(SPEC["model"]["image"].partition("@")[2])
    event = layout.event(frozen.freeze.id)
    world.store.create(event, bundle)
    world.store.create(layout.subject_pointer(digest, "production", frozen.freeze.id), b"")
    clock = [0.0]
    memory = Memory(lambda key: look_up(world.reader, key, "demo", NOW), lambda: clock[0])
    asked = KEY._replace(digest=digest)
    first = memory.ask(asked)
    assert isinstance(first, Found)
    assert first.admissions

    value = json.loads(bundle)
    value["dsseEnvelope"]["signatures"][0]["sig"] = "AAAA"
    lying = path_of(world.folder, event)
    lying.chmod(0o644)
    lying.write_bytes(json.dumps(value).encode())
    clock[0] = 9.9
    assert memory.ask(asked) is first
    clock[0] = 10.0
    second = memory.ask(asked)
    assert isinstance(second, Found)
    assert second.admissions == ()
    assert "rule 2 (signature)" in second.refused[0]


def test_what_is_revoked_here_is_forgotten_at_once_and_admits_nothing_more() -> None:
    archive = Archive()
    archive.ask()
    assert archive.memory.revoke(EVENT.event, "revoked by rita") == (KEY,)
    assert archive.memory.fresh([KEY]) == {}
    told = archive.ask()
    assert isinstance(told, Found)
    assert [one.revoked for one in told.admissions] == ["revoked by rita"], "the archive's answer may be older than the revocation"
    assert len(archive.asked) == 2
    archive.answer = Unavailable("away")
    assert isinstance(archive.later(FRESH_POSITIVE).ask(), Found)
    assert archive.memory.revoke(EVENT.event, "revoked by rita") == (KEY,)
    assert isinstance(archive.ask(), Unknown), "nor does the grace bring it back"


def test_what_rests_on_other_events_is_not_forgotten() -> None:
    archive = Archive()
    archive.ask()
    assert archive.memory.revoke(sha256(b"another event"), "revoked by rita") == ()
    assert archive.memory.fresh([KEY]) == {KEY: POSITIVE}
