"""A pack: a zip file whose bytes follow from what is in it, written whole or not at all.

1. Entries stand in the order in which they are added, uncompressed, each with the time that its caller names: the same files give the same
   bytes, on any machine and by any version of a compressor (APPNOTE.TXT 6.3.10, 4.4.4 to 4.4.6).
2. Each path is relative and made of safe segments, and stands once: whoever unpacks it writes below their own folder, and over nothing.
3. The last entry lists the sha256 of every other one, as ``sha256sum --check`` reads it.
4. It is written beside its place and linked there when it is whole; what was there before is never replaced.
5. What is kept in memory is one file at a time, and a line for each.
"""

from __future__ import annotations

import os
import re
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import Final
from uuid import uuid4

from signoff.errors import SignoffError
from signoff.record.values import hex_of, sha256
from signoff.replay.readme import CHECKSUMS

_SEGMENT: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,254}")
_FILE: Final = 0o100644 << 16
_UNIX: Final = 3
_EARLIEST: Final = datetime(1980, 1, 1, tzinfo=UTC)
_LATEST: Final = datetime(2107, 12, 31, 23, 59, 58, tzinfo=UTC)


class Pack:
    """A pack that is being written."""

    def __init__(self, archive: zipfile.ZipFile) -> None:
        self._archive = archive
        self._sums: dict[str, str] = {}

    def add(self, path: str, data: bytes, time: datetime) -> None:
        """Add a file with its time (aware); `SignoffError` where the path is not safe or stands already (rule 2)."""
        if not all(_SEGMENT.fullmatch(segment) for segment in path.split("/")):
            raise SignoffError("is no path that a pack may hold; nothing was written", where=path[:200])
        if path in self._sums:
            raise SignoffError("would stand twice in the pack; nothing was written", where=path)
        self._sums[path] = hex_of(sha256(data))
        self._write(path, data, time)

    def close(self, time: datetime) -> None:
        """Add the list of checksums (rule 3)."""
        lines = "".join(f"{digest}  {path}\n" for path, digest in self._sums.items())
        self._write(CHECKSUMS, lines.encode(), time)

    def _write(self, path: str, data: bytes, time: datetime) -> None:
        moment = min(max(time.astimezone(UTC), _EARLIEST), _LATEST)
        info = zipfile.ZipInfo(path, moment.timetuple()[:6])
        info.create_system, info.external_attr, info.compress_type = _UNIX, _FILE, zipfile.ZIP_STORED
        self._archive.writestr(info, data)


@contextmanager
def packed(out: Path) -> Iterator[Pack]:
    """Give a pack to fill, and put it into its place at the end (rule 4); `SignoffError` where something is there, or it cannot be."""
    if os.path.lexists(out):
        raise _taken(out)
    beside = out.absolute().with_name(f".{out.name}.{uuid4().hex[:8]}")
    try:
        with beside.open("xb") as file:
            with zipfile.ZipFile(file, "w", allowZip64=True) as archive:
                yield Pack(archive)
            file.flush()
            os.fsync(file.fileno())
        os.link(beside, out)  # unlike a rename it replaces nothing
    except FileExistsError:
        raise _taken(out) from None
    except OSError as error:
        what = f"cannot be written: {error.strerror}; nothing was written"
        raise SignoffError(what, where=str(out), mend="name another place with --out") from None
    finally:
        with suppress(OSError):
            beside.unlink()


def _taken(out: Path) -> SignoffError:
    return SignoffError("is there already, and is not replaced", where=str(out), mend="name a new file with --out")
