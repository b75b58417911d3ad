"""The hands of an audit: the processes that look at an archive's objects.

1. Each process opens the store and reads the trust file for itself.
2. What they come to is told in the order of keys, whichever process was faster; a bounded number of keys is on the way.
3. A process that dies is an error of the whole audit: what it would have looked at was not looked at.
4. What is small is looked at by this process: to start others takes longer.
5. What was judged with an event needs no look of its own. The caller keeps what was, and is asked; a look too many changes nothing told.
"""

from __future__ import annotations

import multiprocessing
import signal
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache
from itertools import chain, islice
from typing import Final

from signoff.cli import reach
from signoff.cli.audit_objects import Look, Looked
from signoff.errors import SignoffError
from signoff.verify.reader import Reader

FEW: Final = 1_000
AT_ONCE: Final = 40
AHEAD: Final = 4


@dataclass(frozen=True)
class Place:
    """An archive and its active trust file, as the command line names them."""

    archive: str
    trust: str


class Lost(SignoffError):
    """A process of the audit ended before its work did."""


def all_looked(reader: Reader, place: Place, jobs: int, judged: Callable[[str], bool]) -> Iterator[Looked]:
    """Yield what each object comes to, in the order of keys; `Unavailable` and `Lost` end it. ``judged``: rule 5."""
    keys = reader.store.list("")
    first = list(islice(keys, FEW))
    if jobs == 1 or len(first) < FEW:
        yield from (Looked(key, ()) if judged(key) else Look(reader, key).looked() for key in chain(first, keys))
    else:
        yield from _by_many(place, jobs, chain(first, keys), judged)


def _by_many(place: Place, jobs: int, keys: Iterator[str], judged: Callable[[str], bool]) -> Iterator[Looked]:
    try:
        with pool_of(jobs) as pool:
            yield from _in_order(pool, place, jobs * AHEAD, keys, judged)
    except BrokenProcessPool:
        raise Lost(
            "a process that verified a part of the archive ended before it was done, so nothing is told about the whole",
            where=place.archive,
            mend="give the machine more memory, or try again with --jobs 1",
        ) from None


@contextmanager
def pool_of(jobs: int) -> Iterator[ProcessPoolExecutor]:
    """Open so many processes, and end them; what they were not asked for yet is not done any more."""
    # A process that is forked would share the locks and the connections of this one.
    context = multiprocessing.get_context("spawn")
    pool = ProcessPoolExecutor(jobs, mp_context=context, initializer=_begin)
    try:
        yield pool
    finally:
        pool.shutdown(wait=True, cancel_futures=True)


def _in_order(pool: ProcessPoolExecutor, place: Place, ahead: int, keys: Iterator[str], judged: Callable[[str], bool]) -> Iterator[Looked]:
    waiting: deque[tuple[tuple[str, ...], frozenset[str], Future[list[Looked]]]] = deque()
    while True:
        while len(waiting) < ahead and (some := tuple(islice(keys, AT_ONCE))):
            spared = frozenset(filter(judged, some))
            waiting.append((some, spared, pool.submit(_look, place, [key for key in some if key not in spared])))
        if not waiting:
            return
        some, spared, looking = waiting.popleft()
        looked = {one.key: one for one in looking.result()}
        yield from (Looked(key, ()) if key in spared else looked[key] for key in some)


def _begin() -> None:
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C reaches every process: the first one tells it


@cache
def reader_of(place: Place) -> Reader:
    """Return this process's own reader of an archive, opened once."""
    return reach.reader(place.archive, place.trust)


def _look(place: Place, keys: Iterable[str]) -> list[Looked]:
    return [Look(reader_of(place), key).looked() for key in keys]
