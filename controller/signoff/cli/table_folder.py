"""The folder of a table: whose it is, and what it holds already.

1. What is exported is what the parts hold. Each run looks at each part anew: its name is the sha256 of its bytes, and its metadata name
   this archive and this trust file. Nothing rests on the manifest alone.
2. The manifest lists the parts, so that one that was taken away is noticed: its rows are written again. Where the manifest is gone or is
   none, it is made again from the parts. Engines pass over it, for its name begins with ``_``.
3. A part that is not as it was written, and whatever an engine would read as a part and is none, is refused and never mended by itself.
4. One run at a time.
"""

from __future__ import annotations

import fcntl
import json
import os
import re
import shutil
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

import pyarrow as pa

from signoff.cli.table_known import Known
from signoff.cli.table_parts import FORMAT, UNFINISHED, Identity, cannot_write, digest_of, flush, keys_in, said_by
from signoff.errors import SignoffError

MANIFEST: Final = "_signoff.json"
_LOCK: Final = "_lock"
_MONTH: Final = re.compile(r"month=([0-9]{4}-[0-9]{2}|unknown)")
_PART: Final = re.compile(r"([0-9a-f]{64})[.]parquet")
_AGAIN: Final = "remove it and run this again: its rows are written anew from the archive"


class NotThisTable(SignoffError):
    """The folder is no table of this archive under this trust file."""


@dataclass
class Folder:
    """A folder that was looked at. ``parts`` are its parts with the number of their rows; ``remarks`` say in words what was mended."""

    path: Path
    identity: Identity
    parts: dict[str, int] = field(default_factory=dict)
    remarks: list[str] = field(default_factory=list)

    def look(self, known: Known, step: Callable[[int], None] = lambda _: None) -> None:
        """Look at what is there, and tell ``known`` the keys of what is exported; raises `NotThisTable` and what `Known.add` does. ``step``
        is told how many parts were looked at.
        """
        listed = self._manifest()
        if listed is None:
            self.require_own()
        for number, name in enumerate(self._found(), 1):
            step(number)
            path = self.path / name
            self.parts[name] = self._rows_of_own(path)
            known.add(keys_in(path), str(path))
        shutil.rmtree(self.path / UNFINISHED, ignore_errors=True)  # of a run that was killed
        lost = sorted(set(listed or ()) - set(self.parts))
        self.remarks += [f"the part {name} is gone; what it held is written again" for name in lost]

    def keep(self, parts: Mapping[str, int] | None = None) -> None:
        """Write the manifest, with further parts."""
        self.parts |= parts or {}
        own = self.identity
        value = {"format": FORMAT, "archive": own.archive, "trust": own.trust, "parts": dict(sorted(self.parts.items()))}
        unfinished = self.path / f"{MANIFEST}.unfinished"
        try:
            unfinished.write_text(json.dumps(value, indent=1) + "\n", encoding="utf-8")
            flush(unfinished)
            unfinished.replace(self.path / MANIFEST)
            flush(self.path)
        except OSError as error:
            raise cannot_write(self.path, error) from None

    def _manifest(self) -> list[str] | None:
        """Return the parts that the manifest lists; None where there is no manifest that can be read."""
        path = self.path / MANIFEST
        try:
            value = json.loads(path.read_bytes())
            said = {f"signoff.{name}": str(value[name]) for name in ("format", "archive", "trust")}
            listed = list(value["parts"])
        except FileNotFoundError:
            return None
        except (ValueError, TypeError, KeyError):
            self.remarks.append(f"{MANIFEST} could not be read, and was made again from the parts")
            return None
        self._require_identity(said, path)
        return listed

    def _require_identity(self, said: Mapping[str, str], path: Path) -> None:
        wanted = self.identity.metadata
        if said.get("signoff.format") != FORMAT:
            raise NotThisTable("is no table that this version knows", where=str(path), mend="name another folder with --out")
        for name, what in (("signoff.archive", "archive"), ("signoff.trust", "trust file")):
            if said.get(name) != wanted[name]:
                raise NotThisTable(
                    f"is the export of the {what} {said.get(name)}, not of {wanted[name]}",
                    where=str(path),
                    mend="name another folder with --out: a table is of one archive under one trust file",
                )

    def require_own(self) -> None:
        """Raise where the folder holds something else than a table that lost its manifest."""
        own = {_LOCK, UNFINISHED, MANIFEST, f"{MANIFEST}.unfinished"}
        for name in sorted(one.name for one in self.path.iterdir()):
            if name not in own and not _MONTH.fullmatch(name):
                what = f"is no table of signoff's: it holds {name}, and no {MANIFEST}"
                raise NotThisTable(what, where=str(self.path), mend="name a new or empty folder with --out")

    def _found(self) -> Iterator[str]:
        """Yield the parts, month after month. What engines pass over is passed over (its name begins with . or _)."""
        for month in sorted(self.path.glob("month=*")):
            if not _MONTH.fullmatch(month.name) or not month.is_dir():
                raise NotThisTable("is no month of a table", where=str(month), mend="move it out of the folder")
            for path in sorted(one for one in month.iterdir() if one.name[0] not in "._"):
                if not _PART.fullmatch(path.name):
                    what = "is no part of this table, and would be read as one"
                    raise NotThisTable(what, where=str(path), mend="move it out of the folder")
                yield f"{month.name}/{path.name}"

    def _rows_of_own(self, path: Path) -> int:
        """Return how many rows a part has, if it is as it was written and of this table (rule 1)."""
        try:
            if f"{digest_of(path)}.parquet" != path.name:
                raise NotThisTable("is not as it was written: its bytes do not hash to its name", where=str(path), mend=_AGAIN)
            said, rows = said_by(path)
        except OSError as error:
            raise NotThisTable(f"cannot be read: {error.strerror or error}", where=str(path), mend="give the right to read it") from None
        except pa.ArrowException:
            raise NotThisTable("is no Parquet file", where=str(path), mend=_AGAIN) from None
        self._require_identity(said, path)
        return rows


@contextmanager
def opened(path: Path, identity: Identity) -> Iterator[Folder]:
    """Open the folder of a table, made if it is not there, for this run alone (rule 4); `NotThisTable` and `CannotWrite` say why not."""
    folder = Folder(path, identity)
    try:
        path.mkdir(parents=True, exist_ok=True)
        if not (path / MANIFEST).exists():
            folder.require_own()  # before anything is put there
        descriptor = os.open(path / _LOCK, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
    except OSError as error:
        raise cannot_write(path, error) from None
    try:
        _lock(descriptor, path)
        yield folder
    finally:
        os.close(descriptor)


def _lock(descriptor: int, path: Path) -> None:
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        raise SignoffError("another run writes this table", where=str(path), mend="wait for it to end, and run this again") from None
