"""What the gate remembers of the archive.

1. A positive answer is fresh for 10 s, a negative one for 2 s; after that the archive is asked and everything is verified again.
2. While the archive is out of reach a positive answer is good for the grace, 15 minutes from when it was last verified; after that, and for
   what was never verified, the answer is unknown, which denies.
   An archive that answers and whose answer cannot be believed is not out of reach: what was remembered is forgotten.
3. Many who ask for one answer at once wait for one read.
4. Nobody waits longer than 3 s from when that read was asked for: an archive that hangs, and more reads than threads or room for them, are
   an archive out of reach. What comes later is remembered as of when it was asked.
5. The memory is bounded; the answer that was asked for longest ago goes first. Negative answers have a bound of their own, so that nobody
   drives what was verified out of memory by asking for what was not.
6. What was revoked in this process admits nothing from that moment on, whatever was remembered of it or is being read (`revoke`).
7. What an earlier process verified and this one verified again (`restore`) is within the grace and never fresh: where the archive is in
   reach it is asked first.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Iterable
from concurrent.futures import Future
from dataclasses import dataclass, replace
from functools import partial
from threading import Lock
from typing import Final, TypeAlias

from signoff.archive.store import Unavailable
from signoff.errors import SignoffError
from signoff.gate.lookup import Key
from signoff.gate.readers import Readers
from signoff.gate.verdict import Unknown
from signoff.record.values import Digest
from signoff.verify.reader import Found

FRESH_POSITIVE: Final = 10.0
FRESH_NEGATIVE: Final = 2.0
GRACE: Final = 15 * 60.0
READ_DEADLINE: Final = 3.0
MAX_ANSWERS: Final = 10_000
MAX_NEGATIVE: Final = 1_000
MAX_REVOKED: Final = 10_000
READS_AT_ONCE: Final = 16
READS_WAITING: Final = 256

Told: TypeAlias = "Found | Unknown"


@dataclass(frozen=True)
class _Answer:
    found: Found
    verified_at: float


@dataclass(frozen=True)
class Reading:
    """A read under way: what it comes to, and when it was first asked for."""

    told: Future[Told]
    asked_at: float


class Memory:
    """Verified answers. ``read`` asks the archive, ``clock`` counts seconds and never goes back. Safe to use from many threads."""

    def __init__(
        self,
        read: Callable[[Key], Found],
        clock: Callable[[], float],
        readers: Readers | None = None,
        deadline: float = READ_DEADLINE,
    ) -> None:
        self._read = read
        self._clock = clock
        self._readers = readers or Readers(READS_AT_ONCE, READS_WAITING)
        self._deadline = deadline
        self._answers: OrderedDict[Key, _Answer] = OrderedDict()
        self._negative: OrderedDict[Key, _Answer] = OrderedDict()
        self._reading: dict[Key, Reading] = {}
        self._revoked: OrderedDict[Digest, str] = OrderedDict()
        self._lock = Lock()
        self._reached: float | None = None
        self._fresh_answers = self._reads = self._grace_answers = 0
        self._oldest_in_grace: float | None = None

    def fresh(self, keys: Iterable[Key]) -> dict[Key, Found]:
        """Return those of the answers that are fresh, without asking the archive."""
        now = self._clock()
        result: dict[Key, Found] = {}
        with self._lock:
            for key in keys:
                found = self._fresh(key, now)
                if found is not None:
                    result[key] = found
        return result

    def begin(self, key: Key) -> Reading:
        """Have the archive asked, unless it is being asked already or an answer is fresh. Returns at once."""
        now = self._clock()
        with self._lock:
            found = self._fresh(key, now)
            reading = self._reading.get(key)
            if found is None and reading is not None:
                return reading
            reading = Reading(Future(), now)
            if found is None:
                self._reading[key] = reading
        if found is not None:
            reading.told.set_result(found)
        elif not self._readers.begin(partial(self._finish, key, reading)):
            with self._lock:
                del self._reading[key]
            reading.told.set_result(self.meanwhile(key, "more is asked of the archive than it answers"))
        return reading

    def left(self, reading: Reading) -> float:
        """Return for how many seconds more this read is waited for (rule 4)."""
        return max(0.0, reading.asked_at + self._deadline - self._clock())

    def meanwhile(self, key: Key, why: str = "") -> Told:
        """Return what is said while the archive says nothing: what was verified within the grace, else unknown."""
        now = self._clock()
        with self._lock:
            answer = self._answers.get(key)
            if answer is not None and now - answer.verified_at < GRACE:
                self._grace_answers += 1
                oldest = self._oldest_in_grace
                self._oldest_in_grace = answer.verified_at if oldest is None else min(oldest, answer.verified_at)
                return answer.found
        return Unknown(why or f"the archive did not answer within {self._deadline:g} s")

    def ask(self, key: Key) -> Told:
        """Return the answer, from the archive where none is fresh. Blocks for as long as it may be waited for."""
        reading = self.begin(key)
        try:
            return reading.told.result(self.left(reading))
        except TimeoutError:
            return self.meanwhile(key)

    def restore(self, key: Key, found: Found, age: float) -> None:
        """Remember what was verified ``age`` seconds ago by an earlier process (rule 7), unless more is known by now."""
        verified_at = self._clock() - max(age, FRESH_POSITIVE)
        with self._lock:
            if key not in self._answers and key not in self._negative and found.is_positive:
                self._remember(key, _Answer(self._as_revoked(found), verified_at))

    def revoke(self, event: Digest, words: str) -> tuple[Key, ...]:
        """Forget what rests on an event that was revoked, and let it admit nothing from now on (rule 6); returns what was forgotten.

        ``words`` say by whom, when and why. After so many others the archive's answer is fresh enough to say it.
        """
        with self._lock:
            self._revoked[event] = words
            while len(self._revoked) > MAX_REVOKED:
                self._revoked.popitem(last=False)
            told = [key for key, answer in self._answers.items() if any(one.event == event for one in answer.found.admissions)]
            for key in told:
                del self._answers[key]
        return tuple(told)

    def _as_revoked(self, found: Found) -> Found:
        if not any(one.event in self._revoked for one in found.admissions):
            return found
        marked = (replace(one, revoked=one.revoked or self._revoked.get(one.event, "")) for one in found.admissions)
        return replace(found, admissions=tuple(marked))

    def _finish(self, key: Key, reading: Reading) -> None:
        try:
            told = self._from_archive(key)
        except BaseException as fault:  # noqa: BLE001 - a fault of ours is for whoever waits; this thread goes on
            with self._lock:
                del self._reading[key]
            reading.told.set_exception(fault)
            return
        with self._lock:
            del self._reading[key]
        reading.told.set_result(told)

    def _from_archive(self, key: Key) -> Told:
        asked_at = self._clock()
        with self._lock:
            self._reads += 1
        try:
            found = self._read(key)
        except Unavailable as error:
            return self.meanwhile(key, str(error))
        except SignoffError as error:
            self._forget(key, asked_at)
            return Unknown(str(error))
        self._forget(key, asked_at)
        with self._lock:
            found = self._as_revoked(found)
            self._remember(key, _Answer(found, asked_at))
        return found

    def _remember(self, key: Key, answer: _Answer) -> None:
        answers, most = (self._answers, MAX_ANSWERS) if answer.found.is_positive else (self._negative, MAX_NEGATIVE)
        answers[key] = answer
        while len(answers) > most:
            answers.popitem(last=False)

    def _fresh(self, key: Key, now: float) -> Found | None:
        for answers, freshness in ((self._answers, FRESH_POSITIVE), (self._negative, FRESH_NEGATIVE)):
            answer = answers.get(key)
            if answer is not None and now - answer.verified_at < freshness:
                answers.move_to_end(key)
                self._fresh_answers += 1
                return answer.found
        return None

    def _forget(self, key: Key, asked_at: float) -> None:
        """Forget an answer, as the archive answered what was asked then."""
        with self._lock:
            self._answers.pop(key, None)
            self._negative.pop(key, None)
            self._reached = asked_at
            self._oldest_in_grace = None

    @property
    def fresh_answers(self) -> int:
        """How many answers were given without asking the archive."""
        return self._fresh_answers

    @property
    def reads(self) -> int:
        """How many reads were begun."""
        return self._reads

    @property
    def reading(self) -> int:
        """How many reads are under way or wait for a thread."""
        return len(self._reading)

    @property
    def grace_answers(self) -> int:
        """How many answers were given under the grace."""
        return self._grace_answers

    @property
    def positive(self) -> int:
        """How many positive answers are remembered."""
        return len(self._answers)

    @property
    def negative(self) -> int:
        """How many negative answers are remembered."""
        return len(self._negative)

    @property
    def last_reached(self) -> float | None:
        """When the archive was asked last and answered, by the clock; None where it never did."""
        return self._reached

    @property
    def oldest_in_grace(self) -> float | None:
        """When the oldest answer was verified that was given under the grace since the archive last answered, by the clock."""
        return self._oldest_in_grace
