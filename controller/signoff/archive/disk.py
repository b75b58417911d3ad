"""Write-once objects in a folder, on descriptors: what the file store is built from.

1. No symbolic link is followed below the root: every folder and file is opened by name in an open folder.
2. An object is written under another name in `.incoming`, flushed and made read-only, and only then linked to its
   own name. The link is the creation: the kernel lets one writer win.
3. Before anybody is told that an object is there, the winner or the one who came late, each folder from the object's
   up to the root is flushed: the folder may have been made, or the link set, by a writer that died before it could.
4. What a killed writer leaves in `.incoming` is never an object. It is swept when it is older than an hour, by the
   clock of the file system itself.
"""

import errno
import os
import re
import secrets
import stat
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from typing import Final, NamedTuple

from signoff.archive.store import ArchiveError, Damaged, Refused, Unavailable

INCOMING: Final = ".incoming"
"""Where objects are written before they have their name; no key can begin so."""

_HOUR_NS: Final = 3600 * 10**9
_FOLDER: Final = os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC
_NEW_FILE: Final = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
_PLAIN_FILE: Final = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
_STAGED: Final = re.compile(r"[0-9a-f]{32}")

_AGAIN: Final = "and do it again"
_DIAGNOSES: Final[dict[int, tuple[type[ArchiveError], str, str]]] = {
    errno.ENOSPC: (Refused, "the archive's file system is full", f"give it room, {_AGAIN}"),
    errno.EDQUOT: (Refused, "the archive's quota is used up", f"raise the quota, {_AGAIN}"),
    errno.EFBIG: (Refused, "the object is larger than this process may write", f"raise its limit on file size, {_AGAIN}"),
    errno.EROFS: (Refused, "the archive is mounted read-only", f"mount it for writing, {_AGAIN}"),
    errno.EACCES: (Refused, "this process has no permission in the archive", f"give its user the right, {_AGAIN}"),
    errno.EPERM: (Refused, "the file system does not permit it", f"look at owner, mode and attributes, {_AGAIN}"),
    errno.EXDEV: (Refused, "the archive spans file systems", "keep the whole archive on one file system"),
    errno.ELOOP: (Damaged, "a symbolic link in the archive", "find out who put it there; links are never followed"),
    errno.ENOTDIR: (Damaged, "something else in place of a folder", "find out who put it there"),
    errno.ENXIO: (Damaged, "something else in place of an object", "find out who put it there"),
}


class Staged(NamedTuple):
    """A file in `.incoming`: complete, flushed, read-only, without its final name."""

    name: str
    mtime_ns: int


class Content(NamedTuple):
    """A plain file's size and, unless it was larger than asked for, its bytes."""

    size: int
    data: bytes | None
    mtime_ns: int


@contextmanager
def diagnosed(where: str) -> Iterator[None]:
    """Turn the operating system's errors into the archive's; what is not known to be final is `Unavailable`."""
    try:
        yield
    except OSError as error:
        said = error.strerror or str(error)
        kind, what, mend = _DIAGNOSES.get(error.errno or 0, (Unavailable, "the archive's file system failed", "try again"))
        raise kind(f"{what} ({said})", where, mend) from error


@contextmanager
def opened(name: str | Path, at: int | None = None) -> Iterator[int]:
    """The folder `name`, in the open folder `at` and then no link, as a descriptor."""
    flags = _FOLDER if at is None else _FOLDER | os.O_NOFOLLOW
    descriptor = os.open(name, flags, dir_fd=at)
    try:
        yield descriptor
    finally:
        os.close(descriptor)


@contextmanager
def reached(root: int, folders: list[str]) -> Iterator[int]:
    """The folder at the end of this way down from `root`; `FileNotFoundError` if there is none."""
    at = root
    try:
        for name in folders:
            # One folder is held at a time: what is open stays where it is, whatever happens to the way that led there.
            above, at = at, os.open(name, _FOLDER | os.O_NOFOLLOW, dir_fd=at)
            if above != root:
                os.close(above)
        yield at
    finally:
        if at != root:
            os.close(at)


def put(root: int, key: str, data: bytes) -> int:
    """Create the object `key`, durably, and return its mtime in ns; `FileExistsError` if it is there, durably."""
    *folders, name = key.split("/")
    with _incoming(root) as incoming, staged(incoming, data) as file, _made(root, folders) as way:
        try:
            os.link(file.name, name, src_dir_fd=incoming, dst_dir_fd=way[-1], follow_symlinks=False)
        except FileExistsError:
            _flush(way)
            raise
        _flush(way)
        _sweep(incoming, file.mtime_ns)
        return file.mtime_ns


def content(folder: int, name: str, limit: int) -> Content:
    """The plain file `name`, its bytes if there are at most `limit`; `FileNotFoundError` if there is none."""
    descriptor = os.open(name, _PLAIN_FILE, dir_fd=folder)
    try:
        found = os.fstat(descriptor)
        if not stat.S_ISREG(found.st_mode):
            raise OSError(errno.ENXIO, "not a plain file", name)
        data = _all(descriptor, found.st_size) if found.st_size <= limit else None
        return Content(found.st_size, data, found.st_mtime_ns)
    finally:
        os.close(descriptor)


def sweep(root: int) -> int:
    """Remove what killed writers left more than an hour ago; returns how many files."""
    with _incoming(root) as incoming, staged(incoming, b"") as clock:
        return _sweep(incoming, clock.mtime_ns)


@contextmanager
def staged(incoming: int, data: bytes) -> Iterator[Staged]:
    """A new file in `incoming` that holds `data`, complete, flushed and read-only; its name goes at the end."""
    name = secrets.token_hex(16)
    descriptor = os.open(name, _NEW_FILE, 0o600, dir_fd=incoming)
    try:
        try:
            _write(descriptor, data)
            os.fchmod(descriptor, 0o444)
            os.fsync(descriptor)
            mtime_ns = os.fstat(descriptor).st_mtime_ns
        finally:
            os.close(descriptor)
        yield Staged(name, mtime_ns)
    finally:
        # What stays is swept later; a failure here must not hide whether the object was created.
        with suppress(OSError):
            os.unlink(name, dir_fd=incoming)


def make_way(path: Path) -> None:
    """Make the folder `path` and those above it, where absent, durably."""
    for folder in reversed([path, *path.parents]):
        with suppress(FileExistsError):
            folder.mkdir()
            with opened(folder.parent) as parent:
                os.fsync(parent)


@contextmanager
def _incoming(root: int) -> Iterator[int]:
    with _made(root, [INCOMING]) as way:
        yield way[-1]


@contextmanager
def _made(root: int, folders: list[str]) -> Iterator[list[int]]:
    """The folders on this way down, each open, the root first; those that are absent are made, not yet flushed."""
    with ExitStack() as held:
        way = [root]
        for name in folders:
            with suppress(FileExistsError):
                os.mkdir(name, dir_fd=way[-1])
            way.append(held.enter_context(opened(name, way[-1])))
        yield way


def _flush(way: list[int]) -> None:
    for folder in reversed(way):
        os.fsync(folder)


def _sweep(incoming: int, now_ns: int) -> int:
    removed = 0
    with suppress(OSError), os.scandir(incoming) as entries:
        for entry in entries:
            if not _STAGED.fullmatch(entry.name):
                continue
            with suppress(OSError):
                if now_ns - entry.stat(follow_symlinks=False).st_mtime_ns > _HOUR_NS:
                    os.unlink(entry.name, dir_fd=incoming)
                    removed += 1
    return removed


def _write(descriptor: int, data: bytes) -> None:
    rest = memoryview(data)
    while rest:
        rest = rest[os.write(descriptor, rest) :]


def _all(descriptor: int, size: int) -> bytes:
    parts = []
    while size and (part := os.read(descriptor, size)):
        parts.append(part)
        size -= len(part)
    return b"".join(parts)
