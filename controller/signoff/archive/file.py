"""The archive as a folder of one file system: `file://`, for trying signoff out and for a single replica.

1. An object is the plain file at its key below the root, mode 0444; `disk` says how it comes to be there.
2. A root without its marker, `archive.json`, is not the archive but, say, the empty folder below an absent mount:
   `Unavailable`, for every call.
3. Time of storage is the file's modification time, which the kernel set when the bytes were written. It rests on the
   machine's clock and on nobody with write access to the folder having changed it since: a weaker word than that
   of a store with a clock and rights of its own.
4. A file system cannot let a user create and keep that same user from deleting. `prove` says so.
"""

import os
import stat
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from datetime import UTC, datetime, timedelta
from itertools import groupby, islice
from pathlib import Path
from typing import Final

from signoff.archive import disk
from signoff.archive.store import (
    Damaged,
    Exists,
    Missing,
    Proof,
    Refused,
    Stored,
    TooLarge,
    Unavailable,
    is_segment,
    require_key,
    require_prefix,
)

MARKER: Final = "archive.json"
"""The key of the marker, an object like others."""

MARKER_BYTES: Final = b'{"format":"signoff archive/v1"}\n'

_NOBODYS: Final = {disk.INCOMING, "lost+found"}
"""Names that a folder may hold and still be empty."""

_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)


class FileStore:
    """A `Store` over the folder `root` (absolute; it may itself be a link, nothing below it may)."""

    def __init__(self, root: Path) -> None:
        self._path = root
        self._address = root.as_uri()

    def create(self, key: str, data: bytes) -> Stored:
        """As `Store.create`."""
        require_key(key)
        with disk.diagnosed(key), self._root() as root:
            try:
                mtime_ns = disk.put(root, key, data)
            except FileExistsError as error:
                raise Exists("the key is taken", key, "read it, and compare") from error
            return Stored(key, data, _time(mtime_ns))

    def read(self, key: str, *, limit: int) -> Stored:
        """As `Store.read`."""
        require_key(key)
        *folders, name = key.split("/")
        with disk.diagnosed(key), self._root() as root:
            try:
                with disk.reached(root, folders) as folder:
                    found = disk.content(folder, name, limit)
            except FileNotFoundError as error:
                # The archive may have gone since it was opened, and must not pass for one that lacks the key.
                self._require_marker(root)
                raise Missing("not in the archive", key) from error
        if found.data is None:
            raise TooLarge(f"the object has {found.size} bytes, the reader takes {limit}", key)
        return Stored(key, found.data, _time(found.mtime_ns))

    def list(self, prefix: str, *, after: str = "", limit: int | None = None) -> Iterator[str]:
        """As `Store.list`; one folder's names are held at a time. Whatever is no folder is listed, links included:
        the reader of the key gets `Damaged`, and the finding is not hidden.
        """
        require_prefix(prefix)
        require_prefix(after)
        return islice(self._keys(prefix, after), limit)

    def times(self, prefix: str) -> Iterator[tuple[str, datetime]]:
        """As `TellsTimes.times`; what went while it was listed is left out."""
        for name, keys in groupby(self.list(prefix), lambda key: key[: key.rfind("/") + 1]):
            with disk.diagnosed(f"{self._address}/{name}"), self._root() as root, disk.reached(root, name.split("/")[:-1]) as folder:
                for key in keys:
                    with suppress(FileNotFoundError):
                        yield key, _time(os.stat(key[len(name) :], dir_fd=folder, follow_symlinks=False).st_mtime_ns)

    def check(self) -> None:
        """As `Store.check`: the marker is there and is of this version's format."""
        found = self.read(MARKER, limit=4096)
        if found.data != MARKER_BYTES:
            raise Damaged(
                "the marker is not the one of signoff archive/v1",
                f"{self._address}/{MARKER}",
                "use the version of signoff that wrote this archive, or restore the marker",
            )

    def prove(self) -> Proof:
        """As `Store.prove`: writes a file, and looks at the rights in each folder at the top."""
        self.check()
        with disk.diagnosed(self._address), self._root() as root:
            disk.sweep(root)
            folders = [".", *(name for name in _names(root) if name.endswith("/"))]
            for name in folders:
                if not os.access(name, os.W_OK | os.X_OK, dir_fd=root, effective_ids=True):
                    raise Refused(
                        "this process may not create here",
                        f"{self._address}/{name}",
                        "give its user write permission in the whole archive",
                    )
        return Proof(
            delete_refused=False,
            remark=f"{self._address}: may create; a file system cannot refuse delete to the user who creates, "
            "so this archive rests on that user, and on root, deleting nothing",
        )

    def initialise(self) -> None:
        """Make the folder an archive; done already is no error.

        Raises `Refused` if the folder holds something else, or may not be written.
        """
        with disk.diagnosed(self._address):
            disk.make_way(self._path)
            with disk.opened(self._path) as root, os.scandir(root) as entries:
                names = {entry.name for entry in entries}
                if MARKER not in names and (others := names - _NOBODYS):
                    raise Refused(
                        f"the folder holds other things, such as {min(others)}",
                        self._address,
                        "choose an empty folder for the archive",
                    )
                with suppress(FileExistsError):
                    disk.put(root, MARKER, MARKER_BYTES)
        self.check()

    def sweep(self) -> int:
        """Remove what killed writers left more than an hour ago; returns how many files. `create` does it as well."""
        with disk.diagnosed(self._address), self._root() as root:
            return disk.sweep(root)

    @contextmanager
    def _root(self) -> Iterator[int]:
        with ExitStack() as held:
            try:
                root = held.enter_context(disk.opened(self._path))
            except (FileNotFoundError, NotADirectoryError) as error:
                raise Unavailable(
                    "there is no such folder",
                    self._address,
                    "mount or restore it, or make an archive with `signoff init`",
                ) from error
            self._require_marker(root)
            yield root

    def _require_marker(self, root: int) -> None:
        try:
            found = os.stat(MARKER, dir_fd=root, follow_symlinks=False)
        except FileNotFoundError as error:
            raise Unavailable(
                f"the folder is not an archive: it has no {MARKER}",
                self._address,
                "mount the archive there, or make one with `signoff init`",
            ) from error
        if not stat.S_ISREG(found.st_mode):
            raise Damaged("the marker is not a plain file", f"{self._address}/{MARKER}", "find out who put it there")

    def _keys(self, prefix: str, after: str) -> Iterator[str]:
        # A folder sorts as its name with "/", which is where its keys belong: "a-b" < "a.b" < "a/b" < "a0".
        # Hence a stack with the least on top yields keys in order and holds one folder's names at a time.
        with disk.diagnosed(f"{self._address}/{prefix}"), self._root() as root:
            top = prefix[: prefix.rfind("/") + 1]
            pending = [top]
            while pending:
                item = pending.pop()
                if item and not item.endswith("/"):
                    yield item
                    continue
                inside = (item + name for name in self._inside(root, item, may_be_absent=item == top))
                pending.extend(sorted((each for each in inside if _wanted(each, prefix, after)), reverse=True))

    def _inside(self, root: int, folder: str, *, may_be_absent: bool) -> Iterator[str]:
        try:
            with disk.reached(root, folder.split("/")[:-1]) as descriptor:
                yield from _names(descriptor)
        except FileNotFoundError:
            self._require_marker(root)
            if not may_be_absent:
                raise


def _names(folder: int) -> Iterator[str]:
    """The names in an open folder that can be segments of keys, those of folders with "/" behind."""
    with os.scandir(folder) as entries:
        for entry in entries:
            if is_segment(entry.name):
                yield f"{entry.name}/" if entry.is_dir(follow_symlinks=False) else entry.name


def _wanted(item: str, prefix: str, after: str) -> bool:
    """Whether a key is to be listed, or a folder may hold such keys."""
    return item.startswith(prefix) and (item > after or (item.endswith("/") and after.startswith(item)))


def _time(mtime_ns: int) -> datetime:
    return _EPOCH + timedelta(microseconds=mtime_ns // 1000)
