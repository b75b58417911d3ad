"""The parts of a table: Parquet files, each whole or not there.

1. A part is written under another name, flushed, and then renamed: whoever reads the folder never sees half of one.
2. Its name is the sha256 of its bytes, so that each part says itself whether it is as it was written.
3. All rows of one object lie in one part, in that of the month of its time of storage. So what is exported is told by the parts alone, and
   no part depends on another.
4. Its metadata name the format, the archive and the trust file.
5. Rows are held up to a bound, then written as a row group of the month that holds most of them.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Final

import pyarrow as pa
import pyarrow.parquet as pq

from signoff.cli.table_columns import COLUMNS, Row
from signoff.errors import SignoffError

FORMAT: Final = "signoff.dev/table/v1"
UNFINISHED: Final = "_unfinished"
UNKNOWN_MONTH: Final = "unknown"
_ROWS_HELD: Final = 20_000
_BYTES_HELD: Final = 32 * 1024 * 1024
_MONTHS_OPEN: Final = 400
_AT_ONCE: Final = 10_000
_KINDS: Final = {"string": pa.string(), "bigint": pa.int64(), "boolean": pa.bool_(), "timestamp": pa.timestamp("us")}
SCHEMA: Final = pa.schema([pa.field(column.name, _KINDS[column.kind]) for column in COLUMNS])


class CannotWrite(SignoffError):
    """The folder of the table did not take something."""


@dataclass(frozen=True)
class Identity:
    """Whose table it is: the archive's address and the digest of the trust file."""

    archive: str
    trust: str

    @property
    def metadata(self) -> dict[str, str]:
        """What each part says of that (rule 4)."""
        return {"signoff.format": FORMAT, "signoff.archive": self.archive, "signoff.trust": self.trust}


@dataclass
class _Open:
    """A part that is being written."""

    path: Path
    writer: pq.ParquetWriter
    rows: list[Row] = field(default_factory=list)
    size: int = 0


class Parts:
    """The parts that a run writes into a folder. `add` rows, then `finish` what was added; both raise `CannotWrite`."""

    def __init__(self, folder: Path, identity: Identity) -> None:
        self._folder = folder
        self._schema = SCHEMA.with_metadata(identity.metadata)
        self._open: dict[str, _Open] = {}
        self._done: dict[str, int] = {}
        self._made = 0
        self.rows = 0
        self._rows_held = 0
        self._bytes_held = 0

    @property
    def is_wide(self) -> bool:
        """Whether so many months are open that they should be finished."""
        return len(self._open) >= _MONTHS_OPEN

    def add(self, rows: Sequence[Row]) -> None:
        """Add all rows of one object (rules 3 and 5)."""
        try:
            part = self._part(month_of(rows[0]))
            size = sum(len(cell) for row in rows for cell in row.values() if isinstance(cell, str))
            part.rows += rows
            part.size += size
            self.rows += len(rows)
            self._rows_held += len(rows)
            self._bytes_held += size
            while self._bytes_held > _BYTES_HELD or self._rows_held > _ROWS_HELD:
                self._write(max(self._open.values(), key=lambda one: (one.size, len(one.rows))))
        except OSError as error:
            raise self._cannot(error) from None

    def finish(self) -> dict[str, int]:
        """Give each part that is open its name, and return their paths below the folder with the number of rows (rules 1 and 2)."""
        try:
            for month, part in sorted(self._open.items()):
                self._write(part)
                part.writer.close()
                written = said_by(part.path)[1]
                name = _named(self._folder, month, part.path)
                del self._open[month]  # at once: after an interrupt this is called again
                self._done[name] = written
                flush((self._folder / name).parent)
        except OSError as error:
            raise self._cannot(error) from None
        done, self._done = self._done, {}
        self.rows = 0
        return done

    def abandon(self) -> None:
        """Close and remove what is open, without giving it a name."""
        for part in self._open.values():
            with suppress(OSError, pa.ArrowException):
                part.writer.close()
            part.path.unlink(missing_ok=True)
        self._open.clear()
        with suppress(OSError):
            (self._folder / UNFINISHED).rmdir()

    def _part(self, month: str) -> _Open:
        known = self._open.get(month)
        if known is None:
            (self._folder / UNFINISHED).mkdir(exist_ok=True)
            self._made += 1
            path = self._folder / UNFINISHED / f"{self._made}.parquet"
            known = self._open[month] = _Open(path, pq.ParquetWriter(path, self._schema, compression="zstd"))
        return known

    def _write(self, part: _Open) -> None:
        if part.rows:
            # An interrupt may come when the rows are written already: they are no longer held by then, so that nothing writes them again.
            rows, size = part.rows, part.size
            part.rows, part.size = [], 0
            self._rows_held -= len(rows)
            self._bytes_held -= size
            part.writer.write_table(pa.Table.from_pylist(rows, self._schema))

    def _cannot(self, error: OSError) -> CannotWrite:
        return cannot_write(self._folder, error)


def cannot_write(folder: Path, error: OSError) -> CannotWrite:
    """Return what to say where the folder did not take something."""
    mend = "give it room and the right to write, or name another folder with --out; run again, it goes on where it was"
    return CannotWrite(f"cannot be written: {error.strerror or error}", where=str(folder), mend=mend)


def month_of(row: Row) -> str:
    """Return the month in which a row's object was stored, as ``2026-11``, in UTC."""
    stored = row.get("stored_at")
    return f"{stored:%Y-%m}" if isinstance(stored, datetime) else UNKNOWN_MONTH


def keys_in(path: Path) -> Iterator[str]:
    """Yield the keys of the objects whose rows a part holds, each once."""
    with pq.ParquetFile(path) as file:
        for batch in file.iter_batches(_AT_ONCE, columns=["archive_key", "number"]):
            for key, number in zip(batch.column("archive_key"), batch.column("number"), strict=True):
                if number.as_py() == 0:
                    yield key.as_py()


def said_by(path: Path) -> tuple[Mapping[str, str], int]:
    """Return a part's metadata, and how many rows it has; raises what the library does where it is no Parquet."""
    with pq.ParquetFile(path) as file:
        said = file.metadata.metadata or {}
        return {key.decode(): value.decode() for key, value in said.items() if key.startswith(b"signoff.")}, file.metadata.num_rows


def digest_of(path: Path) -> str:
    """Return the sha256 of a file's bytes, in hex."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def flush(path: Path) -> None:
    """Have a file or folder on its disk."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _named(folder: Path, month: str, unfinished: Path) -> str:
    flush(unfinished)
    name = f"month={month}/{digest_of(unfinished)}.parquet"
    home = (folder / name).parent
    if not home.exists():
        home.mkdir()
        flush(folder)
    unfinished.replace(folder / name)
    return name
