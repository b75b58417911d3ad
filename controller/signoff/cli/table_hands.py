"""The hands of an export: the processes that make the rows of an archive's objects, as `audit_hands` has them for an audit.

1. Rows come in the order of their objects' keys, whichever process was faster, and a bounded number is on the way.
2. A process that dies ends the run. What came before it is kept; the next run goes on from there.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import partial

from signoff.cli.audit_hands import Lost, Place, of_each, reader_of
from signoff.cli.table_columns import Row
from signoff.cli.table_rows import rows
from signoff.verify.reader import Reader

Rows = tuple[Row, ...]


def all_rows(reader: Reader, place: Place, jobs: int, keys: Iterator[str]) -> Iterator[Rows]:
    """Yield the rows of each object, in the order of keys; raises what `rows` does, and `Lost`. Of few objects no process is started."""
    try:
        for _, found in of_each(place, jobs, keys, partial(rows, reader), _look):
            if found is not None:
                yield found
    except Lost:
        raise Lost(
            "a process that read a part of the archive ended before it was done",
            where=place.archive,
            mend="run this again, it goes on where it was; if it stays, give the machine more memory or use --jobs 1",
        ) from None


def _look(place: Place, keys: Sequence[str]) -> list[Rows]:
    return [rows(reader_of(place), key) for key in keys]
