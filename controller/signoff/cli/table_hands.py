"""The hands of an export: the processes that make the rows of an archive's objects, as `audit_hands` has them for an audit.

1. Rows come in the order of their objects' keys, whichever process was faster, and a bounded number is on the way.
2. A process that dies ends the run. What came before it is kept; the next run goes on from there.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Iterator
from concurrent.futures import Future
from concurrent.futures.process import BrokenProcessPool
from itertools import chain, islice

from signoff.cli import audit_hands
from signoff.cli.audit_hands import Lost, Place, pool_of, reader_of
from signoff.cli.table_columns import Row
from signoff.cli.table_rows import rows
from signoff.verify.reader import Reader

Rows = tuple[Row, ...]


def all_rows(reader: Reader, place: Place, jobs: int, keys: Iterator[str]) -> Iterator[Rows]:
    """Yield the rows of each object, in the order of keys; raises what `rows` does, and `Lost`. Of few objects no process is started."""
    first = list(islice(keys, audit_hands.FEW))
    if jobs == 1 or len(first) < audit_hands.FEW:
        yield from (rows(reader, key) for key in chain(first, keys))
        return
    try:
        yield from _by_many(place, jobs, chain(first, keys))
    except BrokenProcessPool:
        raise Lost(
            "a process that read a part of the archive ended before it was done",
            where=place.archive,
            mend="run this again, it goes on where it was; if it stays, give the machine more memory or use --jobs 1",
        ) from None


def _by_many(place: Place, jobs: int, keys: Iterator[str]) -> Iterator[Rows]:
    waiting: deque[Future[list[Rows]]] = deque()
    with pool_of(jobs) as pool:
        while True:
            while len(waiting) < jobs * audit_hands.AHEAD and (some := tuple(islice(keys, audit_hands.AT_ONCE))):
                waiting.append(pool.submit(_look, place, some))
            if not waiting:
                return
            yield from waiting.popleft().result()


def _look(place: Place, keys: Iterable[str]) -> list[Rows]:
    return [rows(reader_of(place), key) for key in keys]
