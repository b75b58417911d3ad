"""The hands of an audit: the processes that look at an archive's objects, or do other work on each of its keys.

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
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache
from itertools import chain, islice
from typing import Final, TypeAlias, TypeVar

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


Found = TypeVar("Found")
Work: TypeAlias = Callable[[Place, Sequence[str]], list[Found]]


class Lost(SignoffError):
    """A process of the audit ended before its work did."""


def all_looked(reader: Reader, place: Place, jobs: int, judged: Callable[[str], bool]) -> Iterator[Looked]:
    """Yield what each object comes to, in the order of keys; `Unavailable` and `Lost` end it. ``judged``: rule 5."""
    for key, looked in of_each(place, jobs, reader.store.list(""), lambda key: Look(reader, key).looked(), _look, judged):
        yield Looked(key, ()) if looked is None else looked


def of_each(
    place: Place,
    jobs: int,
    keys: Iterator[str],
    here: Callable[[str], Found],
    work: Work[Found],
    spared: Callable[[str], bool] = lambda _: False,
) -> Iterator[tuple[str, Found | None]]:
    """Yield each key with what is made of it: of few by ``here`` (rule 4), of many by ``work`` in other processes (rules 2 and 3); None for
    those that are spared. ``work`` is given the place and some keys, must be known by its name in a module, and returns one thing for each
    key, in their order.
    """
    first = list(islice(keys, FEW))
    if jobs == 1 or len(first) < FEW:
        yield from ((key, None if spared(key) else here(key)) for key in chain(first, keys))
        return
    try:
        with _pool_of(jobs) as pool:
            yield from _in_order(pool, place, jobs * AHEAD, chain(first, keys), work, spared)
    except BrokenProcessPool:
        raise Lost(
            "a process that verified a part of the archive ended before it was done, so nothing is told about the whole",
            where=place.archive,
            mend="give the machine more memory, or try again with --jobs 1",
        ) from None


@contextmanager
def _pool_of(jobs: int) -> Iterator[ProcessPoolExecutor]:
    """Open so many processes, and end them; what they were not asked for yet is not done any more."""
    # A process that is forked would share the locks and the connections of this one.
    context = multiprocessing.get_context("spawn")
    pool = ProcessPoolExecutor(jobs, mp_context=context, initializer=_begin)
    try:
        yield pool
    finally:
        pool.shutdown(wait=True, cancel_futures=True)


def _in_order(
    pool: ProcessPoolExecutor, place: Place, ahead: int, keys: Iterator[str], work: Work[Found], spared: Callable[[str], bool]
) -> Iterator[tuple[str, Found | None]]:
    waiting: deque[tuple[tuple[str, ...], list[str], Future[list[Found]]]] = deque()
    while True:
        while len(waiting) < ahead and (some := tuple(islice(keys, AT_ONCE))):
            due = [key for key in some if not spared(key)]
            waiting.append((some, due, pool.submit(work, place, due)))
        if not waiting:
            return
        some, due, working = waiting.popleft()
        found = dict(zip(due, working.result(), strict=True))
        yield from ((key, found.get(key)) for key in some)


def _begin() -> None:
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C reaches every process: the first one tells it


@cache
def reader_of(place: Place) -> Reader:
    """Return this process's own reader of an archive, opened once."""
    return reach.reader(place.archive, place.trust)


def _look(place: Place, keys: Sequence[str]) -> list[Looked]:
    return [Look(reader_of(place), key).looked() for key in keys]
