"""What a store promises, whatever it is made of.

1. A key is written at most once. `create` makes it or raises `Exists`; nothing overwrites, nothing deletes.
2. What `create` returned, and what it called `Exists`, is durable.
3. An object is seen whole or not at all, and a reader says how much it is ready to take.
4. The store says when it stored an object; no writer's clock is asked.
5. A store out of reach is `Unavailable`, never `Missing` and never an empty list.
6. What cannot have come about by these rules (a second version, a link in place of an object) is `Damaged`:
   a finding, never an answer.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from typing import Final, Protocol

from signoff.errors import SignoffError

LONGEST_KEY: Final = 900
"""Characters of the longest key: below the 1024 bytes of S3, with room for a bucket's own prefix."""

LONGEST_SEGMENT: Final = 255
"""Characters of the longest segment of a key: NAME_MAX of the file systems in use."""

_SEGMENT = re.compile(r"[a-z0-9][a-z0-9._-]*")


class ArchiveError(SignoffError):
    """The archive did not do what was asked of it."""


class Missing(ArchiveError):
    """The archive was reached, and holds nothing under this key."""


class Exists(ArchiveError):
    """The key is taken, by whatever bytes; they are durable."""


class Unavailable(ArchiveError):
    """The archive is out of reach: nothing is known about its content; safe to try again."""


class Refused(ArchiveError):
    """The archive was reached and will not do it: read-only, no permission, full."""


class Damaged(ArchiveError):
    """The archive holds what its rules cannot have brought about: a finding for a person, never an answer."""


class BadKey(ArchiveError):
    """No object can have this key."""


class BadAddress(ArchiveError):
    """The configured address names no store that this version knows."""


class TooLarge(ArchiveError):
    """The object is larger than the reader was ready to take."""


@dataclass(frozen=True, slots=True)
class Stored:
    """An object as the store has it; `stored_at` is aware, in UTC, and the store's own word."""

    key: str
    data: bytes
    stored_at: datetime


@dataclass(frozen=True, slots=True)
class Proof:
    """What a store could prove of this process's rights, beyond that it may create.

    `delete_refused` is true where the store itself refused this process a delete; `remark` is a line for the log
    that says what was proven and what could not be.
    """

    delete_refused: bool
    remark: str


class Store(Protocol):
    """A store that keeps the six rules above. Safe to use from many threads and many processes at once."""

    def create(self, key: str, data: bytes) -> Stored:
        """Store `data` under `key`, durably, unless the key is taken.

        Raises `Exists` (whatever bytes are there), `BadKey`, `Refused`, `Unavailable`, `Damaged`. After
        `Unavailable` the object may or may not be there: the same call again tells.
        """

    def read(self, key: str, *, limit: int) -> Stored:
        """The object under `key`, if it has at most `limit` bytes.

        Raises `Missing`, `TooLarge`, `BadKey`, `Refused`, `Unavailable`, `Damaged`.
        """

    def list(self, prefix: str, *, after: str = "", limit: int | None = None) -> Iterator[str]:
        """The keys that begin with `prefix`, in ascending order, those greater than `after`, at most `limit`.

        The prefix is one of characters, not of folders; "" lists all. A key created meanwhile may or may not be
        among them. A malformed prefix raises `BadKey` at once; `Unavailable`, `Refused` and `Damaged` come while
        iterating.
        """

    def check(self) -> None:
        """Return if the archive is in reach and is one; raises `Unavailable`, `Refused` or `Damaged`."""

    def prove(self) -> Proof:
        """Prove at start-up, with this process's own rights, that it may create and may not delete.

        Raises `Refused` if it may not create, and where the store can refuse a delete and did not.
        """


def require_key(key: str) -> None:
    """Return if `key` is one: segments of `[a-z0-9._-]` that begin with a letter or digit, joined by "/".

    Names that begin with a dot are thereby left to the stores themselves, and "." and ".." are no segments.
    Raises `BadKey`.
    """
    if len(key) > LONGEST_KEY:
        raise BadKey(
            f"the key has {len(key)} characters",
            f"{key[:80]!r}…",
            f"use at most {LONGEST_KEY}",
        )
    for segment in key.split("/"):
        if not is_segment(segment):
            raise BadKey(
                f"{segment[:80]!r} cannot be a segment of a key",
                repr(key),
                f"use 1 to {LONGEST_SEGMENT} of a-z 0-9 . _ -, beginning with a letter or digit",
            )


def is_segment(name: str) -> bool:
    """Whether `name` can stand between the slashes of a key."""
    return len(name) <= LONGEST_SEGMENT and _SEGMENT.fullmatch(name) is not None


def require_prefix(prefix: str) -> None:
    """Return if some key may begin with `prefix`; raises `BadKey`."""
    if prefix:
        require_key(prefix + "0" if prefix.endswith("/") else prefix)
