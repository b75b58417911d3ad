"""What the gate remembers of the archive.

1. A positive answer is fresh for 10 s, a negative one for 2 s; after that the archive is asked and everything is verified again.
2. While the archive is out of reach a positive answer is good for the grace, 15 minutes from when it was last verified; after that, and for
   what was never verified, the answer is unknown, which denies.
   An archive that answers and whose answer cannot be believed is not out of reach: what was remembered is forgotten.
3. Many who ask for one answer at once wait for one read.
4. The memory is bounded; the answer that was asked for longest ago goes first. Negative answers have a bound of their own, so that nobody
   drives what was verified out of memory by asking for what was not.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Iterable
from concurrent.futures import Future
from dataclasses import dataclass
from threading import Lock
from typing import Final

from signoff.archive.store import Unavailable
from signoff.errors import SignoffError
from signoff.gate.verdict import Unknown
from signoff.record.values import Digest
from signoff.verify.reader import Found

FRESH_POSITIVE: Final = 10.0
FRESH_NEGATIVE: Final = 2.0
GRACE: Final = 15 * 60.0
MAX_ANSWERS: Final = 10_000
MAX_NEGATIVE: Final = 1_000

Key = tuple[Digest, str]


@dataclass(frozen=True)
class _Answer:
    found: Found
    verified_at: float


class Memory:
    """Verified answers by digest and environment. ``read`` asks the archive, ``clock`` counts seconds and never goes back."""

    def __init__(self, read: Callable[[Digest, str], Found], clock: Callable[[], float]) -> None:
        self._read = read
        self._clock = clock
        self._answers: OrderedDict[Key, _Answer] = OrderedDict()
        self._negative: OrderedDict[Key, _Answer] = OrderedDict()
        self._reading: dict[Key, Future[Found | Unknown]] = {}
        self._lock = Lock()

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

    def ask(self, key: Key) -> Found | Unknown:
        """Return the answer, from the archive where none is fresh. Blocks while it reads."""
        with self._lock:
            found = self._fresh(key, self._clock())
            if found is not None:
                return found
            waiting = self._reading.get(key)
            if waiting is None:
                own: Future[Found | Unknown] = Future()
                self._reading[key] = own
        if waiting is not None:
            return waiting.result()
        result: Found | Unknown = Unknown("the gate failed")
        try:
            result = self._from_archive(key)
        finally:
            with self._lock:
                del self._reading[key]
            own.set_result(result)
        return result

    def _from_archive(self, key: Key) -> Found | Unknown:
        asked_at = self._clock()
        try:
            found = self._read(*key)
        except Unavailable as error:
            return self._within_grace(key) or Unknown(str(error))
        except SignoffError as error:
            self._forget(key)
            return Unknown(str(error))
        self._forget(key)
        answers, most = (self._answers, MAX_ANSWERS) if _is_positive(found) else (self._negative, MAX_NEGATIVE)
        with self._lock:
            answers[key] = _Answer(found, asked_at)
            while len(answers) > most:
                answers.popitem(last=False)
        return found

    def _fresh(self, key: Key, now: float) -> Found | None:
        for answers, freshness in ((self._answers, FRESH_POSITIVE), (self._negative, FRESH_NEGATIVE)):
            answer = answers.get(key)
            if answer is not None and now - answer.verified_at < freshness:
                answers.move_to_end(key)
                return answer.found
        return None

    def _forget(self, key: Key) -> None:
        with self._lock:
            self._answers.pop(key, None)
            self._negative.pop(key, None)

    def _within_grace(self, key: Key) -> Found | None:
        with self._lock:
            answer = self._answers.get(key)
        if answer is None or self._clock() - answer.verified_at >= GRACE:
            return None
        return answer.found


def _is_positive(found: Found) -> bool:
    return any(event.promotes for event in found.admissions)
