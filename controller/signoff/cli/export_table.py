"""`signoff export-table`: the archive as a table for engines of SQL, one row a statement, in Parquet by months.

1. A run adds what the table does not hold yet. What it wrote is kept whatever ends it, and the next run goes on from there.
2. What the table holds is never written again: neither changed nor taken away. What comes later, a correction say, is a row of its own.
3. Memory is bounded: rows go out in groups, and finished parts every so often.
"""

from __future__ import annotations

import os
import time
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Final

import click

from signoff.archive.store import ArchiveError
from signoff.cli import options, output, reach
from signoff.cli.audit_hands import Lost, Place
from signoff.cli.progress import Progress, progress
from signoff.cli.table_columns import Row
from signoff.cli.table_hands import all_rows
from signoff.cli.table_known import Gone, Known
from signoff.cli.table_rows import keys
from signoff.errors import SignoffError
from signoff.record.canonical import Json
from signoff.verify.reader import Reader

if TYPE_CHECKING:
    from signoff.cli.table_folder import Folder
    from signoff.cli.table_parts import Parts

_EXAMPLES: Final = """
signoff export-table --out /srv/audit/statements
signoff export-table --out /srv/audit/statements -o json     again, every night: it adds what is new
"""
ROWS_AT_ONCE: Final = 100_000
"""After so many rows the parts that are open are finished: what is written until then outlives a kill."""


@dataclass
class Written:
    """What a run added: rows by type, and how many of them do not verify or could not be told; and what is gone from the archive."""

    types: Counter[str] = field(default_factory=Counter)
    unverified: int = 0
    unsure: int = 0
    parts: int = 0
    gone: Gone = field(default_factory=Gone)

    def add(self, rows: tuple[Row, ...]) -> None:
        """Count the rows of one object."""
        for row in rows:
            self.types[str(row["type"])] += 1
            self.unverified += row["verifies"] == "no"
            self.unsure += row["verifies"] == "could not tell"


@dataclass(frozen=True)
class Hands:
    """An archive as the command line names it, and how many processes read it."""

    place: Place
    jobs: int


@options.command("export-table", examples=_EXAMPLES)
@click.option("--out", type=click.Path(path_type=Path), metavar="DIR", required=True, help="The table's folder: a new one, or to add to.")
@click.option("--jobs", type=click.IntRange(1, 256), metavar="N", help="Read by N processes.  [default: as many as there are cores]")
@options.archive()
@options.trust()
@options.output()
def command(out: Path, jobs: int | None, archive: str, trust: str, form: str) -> int:
    """Write the archive as a table, in Parquet: a row for each promotion, rejection, correction, seal, policy,
    delegation, passkey and check.

    What does not verify is a row that says so. A run that was interrupted goes on where it was, a later one adds what is new.

    Exit code: 0 written, 1 written, and something new does not verify or something exported before is gone from the archive, 2 it could
    not be done.
    """
    _require_libraries()
    from signoff.cli.table_folder import opened  # noqa: PLC0415 - the library may be missing, and takes a while to import
    from signoff.cli.table_parts import Identity  # noqa: PLC0415

    reader = reach.reader(archive, trust)
    with opened(out, Identity(_address(archive), trust)) as folder, Known() as known, progress("exporting", elsewhere=False) as shown:
        folder.look(known, lambda part: shown.step(f"looking at what is there, part {part:,}"))
        written = export(reader, Hands(Place(archive, trust), jobs or len(os.sched_getaffinity(0))), folder, known, shown)
    if form == "json":
        output.as_machine(_machine(folder, written))
    else:
        _tell(folder, written)
    return 1 if written.unverified or written.gone.count else 0


def export(reader: Reader, hands: Hands, folder: Folder, known: Known, shown: Progress) -> Written:
    """Add to a folder what it does not hold yet (rule 1)."""
    from signoff.cli.table_parts import Parts  # noqa: PLC0415

    written, parts, begun = Written(), Parts(folder.path, folder.identity), time.monotonic()
    try:
        for number, found in enumerate(all_rows(reader, hands.place, hands.jobs, known.unknown(keys(reader.store), written.gone)), 1):
            parts.add(found)
            written.add(found)
            rate = number / max(time.monotonic() - begun, 0.001)
            shown.step(f"{number:,} objects, {written.types.total():,} rows; {rate:,.0f} objects a second")
            if parts.rows >= ROWS_AT_ONCE or parts.is_wide:
                _finish(folder, parts, written)
        _finish(folder, parts, written)
    except (ArchiveError, Lost, KeyboardInterrupt):
        _finish(folder, parts, written)  # whole objects, all of them
        raise
    finally:
        parts.abandon()
    return written


def _finish(folder: Folder, parts: Parts, written: Written) -> None:
    done = parts.finish()
    folder.keep(done)
    written.parts += len(done)


def _require_libraries() -> None:
    try:
        import pyarrow.parquet  # noqa: F401, PLC0415
    except ModuleNotFoundError as error:
        if (error.name or "").partition(".")[0] != "pyarrow":
            raise
        raise SignoffError("needs pyarrow, which is not installed", "signoff export-table", "pip install 'signoff[table]'") from None


def _address(archive: str) -> str:
    """Return an archive's address as a table names it: the place, without how it is reached."""
    return archive.partition("?")[0].rstrip("/")


def _machine(folder: Folder, written: Written) -> Json:
    return {
        "out": str(folder.path),
        "rows": dict(sorted(written.types.items())),
        "parts": written.parts,
        "unverified": written.unverified,
        "couldNotTell": written.unsure,
        "gone": {"count": written.gone.count, "keys": list(written.gone.keys)},
        "remarks": list(folder.remarks),
        "table": {"rows": sum(folder.parts.values()), "parts": len(folder.parts)},
    }


def _tell(folder: Folder, written: Written) -> None:
    for remark in folder.remarks:
        output.paragraph(remark, first="note: ")
    told = ", ".join(f"{kind} {number:,}" for kind, number in sorted(written.types.items()))
    added = f"{output.count(written.types.total(), 'row')} added ({told})" if told else "Nothing new"
    whole = f"{output.count(sum(folder.parts.values()), 'row')} in {output.count(len(folder.parts), 'part')}"
    output.paragraph(f"{added}; the table in {folder.path} has {whole}.")
    if written.unverified:
        output.paragraph(f"{written.unverified:,} of the new do not verify; each row says why, and signoff verify what to do.")
    if written.unsure:
        output.paragraph(f"Of {written.unsure:,} of the new it could not be told.")
    if written.gone.count:
        gone = output.count(written.gone.count, "object")
        output.paragraph(f"In the table and no longer in the archive: {gone}. Find out who removed what:")
        for key in written.gone.keys:
            output.tell(f"  {key}")
