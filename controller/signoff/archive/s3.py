"""The archive in a bucket of S3: `s3://`, for production, where nobody may delete.

1. The bucket keeps versions and locks each one in COMPLIANCE mode, by its default: nobody deletes it or shortens its
   time, the administrator included. A writer sets no retention of its own.
2. A write is conditional (`If-None-Match: *`), and believed only once the listing shows it as the oldest version of its
   key: the condition looks at the current version alone, which a delete marker can hide. That a key is taken is
   believed once the listing shows what is there.
3. The oldest version is the record. Delete markers and later versions are findings, never answers.
4. Time of storage is the store's, to the whole second.
5. A bucket, or a prefix in one, without its marker `archive.json` is no archive: `Unavailable` when it is opened.
6. A write whose answer was lost is asked again: `Exists` may then mean the caller's own object. Read it, and compare.
"""

from collections.abc import Iterator
from contextlib import suppress
from datetime import datetime
from itertools import islice
from typing import Final

from botocore.client import BaseClient

from signoff.archive.file import MARKER, MARKER_BYTES
from signoff.archive.findings import StoreFinding
from signoff.archive.s3_listing import PAGE, Entry, entries, entry_of
from signoff.archive.s3_proof import prove_rights, require_locked
from signoff.archive.s3_requests import Patience, Requests, Taken, Version
from signoff.archive.store import (
    BadKey,
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

_PATIENCE: Final = Patience()
_KEEP: Final = "keep them as evidence, and find out who wrote them; readers get the oldest version"


class S3Store:
    """A `Store` in `bucket` below `prefix` ("" or ending in "/"). It has no way to delete or to write over."""

    def __init__(self, bucket: str, prefix: str, client: BaseClient, patience: Patience = _PATIENCE, page: int = PAGE) -> None:
        self._prefix = prefix
        self._address = f"s3://{bucket}/{prefix}".rstrip("/")
        self._requests = Requests(bucket, client, patience)
        self._page = page

    def create(self, key: str, data: bytes) -> Stored:
        """As `Store.create`."""
        require_key(key)
        try:
            version = self._requests.put(self._prefix + key, data)
        except Taken:
            if self._record(key) is None:
                what = "the store says that the key is taken, and lists nothing there"
                raise Unavailable(what, key, "try again; if it stays, look at the store") from None
            raise Exists("the key is taken", key, "read it, and compare") from None
        record = self._record(key)
        if record is None:
            raise Unavailable("the store does not list what it took", key, "try again; if it stays, look at the store")
        if record.id != version:
            raise Exists("the key was taken, and a delete marker hid it", key, "read it, and compare; and find out who deletes")
        return Stored(key, data, record.stored_at)

    def read(self, key: str, *, limit: int) -> Stored:
        """As `Store.read`: the oldest version, its length and, where the store gives it, its SHA-256 compared."""
        require_key(key)
        record = self._record(key)
        if record is None:
            raise Missing("not in the archive", key)
        if record.size > limit:
            raise TooLarge(f"the object has {record.size} bytes, the reader takes {limit}", key)
        return Stored(key, self._requests.get(record), record.stored_at)

    def list(self, prefix: str, *, after: str = "", limit: int | None = None) -> Iterator[str]:
        """As `Store.list`; a key whose current version is a delete marker is listed. The folder of `after` is read again."""
        require_prefix(prefix)
        require_prefix(after)
        found = (self._own(entry) for entry in self._walk(self._prefix + prefix, self._prefix + after) if entry.record is not None)
        return islice(filter(_is_key, found), limit)

    def times(self, prefix: str) -> Iterator[tuple[str, datetime]]:
        """As `TellsTimes.times`, by the listing that gives the keys."""
        require_prefix(prefix)
        for entry in self._walk(self._prefix + prefix, self._prefix):
            if entry.record is not None and _is_key(key := self._own(entry)):
                yield key, entry.record.stored_at

    def findings(self, prefix: str) -> Iterator[StoreFinding]:
        """As `TellsFindings.findings`: delete markers, later versions, and keys that the archive cannot have."""
        require_prefix(prefix)
        for entry in self._walk(self._prefix + prefix, self._prefix):
            key = self._own(entry)
            if not _is_key(key):
                yield StoreFinding(key, "no object of an archive can have this key", "find out who wrote it")
            elif what := _above(entry):
                yield StoreFinding(key, what, _KEEP)

    def check(self) -> None:
        """As `Store.check`: the marker is there and is of this version's format."""
        try:
            found = self.read(MARKER, limit=4096)
        except Missing:
            what = f"no archive is there: it has no {MARKER}"
            raise Unavailable(what, self._address, "correct the address, or make an archive with `signoff init`") from None
        if found.data != MARKER_BYTES:
            mend = "use the version of signoff that wrote this archive"
            raise Damaged("the marker is not the one of signoff archive/v1", f"{self._address}/{MARKER}", mend)

    def prove(self) -> Proof:
        """As `Store.prove`: writes nothing where the store keeps its word."""
        self.check()
        entry = entry_of(self._requests, self._prefix + MARKER, self._page)
        if entry is None:
            raise Unavailable("the marker is gone", self._address, "look at the store")
        return prove_rights(self._requests, entry, MARKER_BYTES, self._address)

    def initialise(self) -> None:
        """Write the marker below an empty prefix; done already is no error.

        Raises `Refused` where other things lie there, or where the marker does not come to be locked by default.
        """
        if self._record(MARKER) is None:
            other = next((self._own(entry) for entry in self._walk(self._prefix, self._prefix)), None)
            if other is not None and self._record(MARKER) is None:
                raise Refused(f"other things are there, such as {other}", self._address, "choose an empty prefix for the archive")
            with suppress(Taken):
                self._requests.put(self._prefix + MARKER, MARKER_BYTES)
        self.check()
        record = self._record(MARKER)
        if record is not None:
            require_locked(self._requests, record, self._address)

    def _record(self, key: str) -> Version | None:
        entry = entry_of(self._requests, self._prefix + key, self._page)
        return entry.record if entry else None

    def _own(self, entry: Entry) -> str:
        return entry.key.removeprefix(self._prefix)

    def _walk(self, prefix: str, after: str) -> Iterator[Entry]:
        """What begins with `prefix`, at any depth, in the order of keys, from the first that is greater than `after`."""
        for entry in entries(self._requests, prefix, self._page):
            if entry.is_folder and is_segment(entry.key[:-1].rpartition("/")[2]):
                if entry.key > after or after.startswith(entry.key):
                    yield from self._walk(entry.key, after)
            elif entry.key > after and entry.key != f"{self._prefix}.proof/":
                yield entry


def _is_key(key: str) -> bool:
    try:
        require_key(key)
    except BadKey:
        return False
    return True


def _above(entry: Entry) -> str:
    """In words, what lies above the record; empty where nothing does."""
    later = max(entry.versions - 1, 0)
    counted = [(later, "later version"), (entry.markers, "delete marker")]
    said = " and ".join(f"{number} {what}{'s' if number > 1 else ''}" for number, what in counted if number)
    if not said:
        return ""
    return f"above the record: {said}" if entry.record else f"no record, and {said}"
