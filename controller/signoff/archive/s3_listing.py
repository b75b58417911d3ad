"""What a bucket holds, by its versions: delete markers hide nothing here, and later versions replace nothing.

1. Of each key the oldest version is the record. Whatever was put above it, versions and delete markers, is counted.
2. A folder is listed at a time, and sorted here: SeaweedFS 4.48 cuts a listing across folders in the order of its own
   files ("a/" before "a.b"), and so drops keys from one. Among names of one length and kind the two orders agree, and
   the layout's folders hold no others. A store whose pages go backwards is refused.
3. Times of storage are whole seconds in S3. Of versions of one second the order in the listing decides: newest first.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from signoff.archive.s3_requests import Page, Requests, Version
from signoff.archive.store import Damaged

PAGE: Final = 1000
"""Versions in one page: as many as S3 gives."""

_MOST: Final = 20


@dataclass(slots=True)
class Entry:
    """A key, whole as in the bucket, or a folder (it ends in "/").

    `record` is the oldest version, None if there are delete markers alone; `hidden` where one is the current version.
    """

    key: str
    record: Version | None = None
    versions: int = 0
    markers: int = 0
    hidden: bool = False

    @property
    def is_folder(self) -> bool:
        """Whether it stands for what lies below it."""
        return self.versions == self.markers == 0

    def add(self, other: "Entry") -> None:
        """Add what a later page says of the same key."""
        if other.record is not None and (self.record is None or other.record.stored_at <= self.record.stored_at):
            self.record = other.record
        self.versions += other.versions
        self.markers += other.markers
        self.hidden = self.hidden or other.hidden


def entries(requests: Requests, prefix: str, page: int = PAGE) -> Iterator[Entry]:
    """The keys and folders that begin with `prefix` and lie in its folder, each once, in ascending order."""
    held: Entry | None = None
    for listed in requests.pages(prefix, page):
        for entry in _sorted(listed):
            if held is None or entry.key > held.key:
                if held is not None:
                    yield held
                held = entry
            elif entry.key == held.key:
                held.add(entry)
            else:
                what = f"the store lists {held.key!r} before {entry.key!r}"
                raise Damaged(what, prefix, "use a store that lists in the order of keys: this one may leave keys out")
    if held is not None:
        yield held


def entry_of(requests: Requests, key: str, page: int = PAGE) -> Entry | None:
    """What lies under exactly this key. Raises `Damaged` where so much lies there, or beside it, that it cannot be told."""
    found: Entry | None = None
    for number, listed in enumerate(requests.pages(key, page)):
        if number == _MOST:
            raise Damaged(f"more than {_MOST} pages of versions", key, "find out who wrote them")
        for entry in _sorted(listed):
            if entry.key == key and found is None:
                found = entry
            elif entry.key == key and found is not None:
                found.add(entry)
    return found


def store_time(requests: Requests, prefix: str) -> datetime:
    """The store's clock, to the second."""
    return next(requests.pages(prefix, 1)).time


def _sorted(page: Page) -> list[Entry]:
    found = {folder: Entry(folder) for folder in page.folders}
    for version in page.versions:
        found.setdefault(version.key, Entry(version.key)).add(Entry(version.key, version, versions=1))
    for marker in page.markers:
        found.setdefault(marker.key, Entry(marker.key)).add(Entry(marker.key, markers=1, hidden=marker.latest))
    return sorted(found.values(), key=lambda entry: entry.key)
