"""The archive of a history: the real file store in memory-backed storage, by the simulated clock, with faults and with an enemy.

1. Every operation is the real store's. Only the time of storage is the history's own: it is set on the file, from which the store reads it.
2. A fault strikes at the n-th operation of what is being done: the process dies before or after it took effect, the answer to it is lost,
   the archive goes down, or somebody else acts first.
3. What was written through the store is kept beside it as the ledger: what the archive must hold. Whoever watches is told of each write
   before its writer is.
4. The enemy writes to the files and not through the store; what it touched is known, and can be restored from the ledger.
"""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TypeVar

from signoff.archive.file import MARKER, FileStore
from signoff.archive.store import Proof, Stored, Unavailable

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
BEGIN = datetime(2026, 3, 2, 9, 0, tzinfo=UTC)
SHARED_MEMORY = Path("/dev/shm")  # noqa: S108 - a folder of the test's own is made in it
STRUCK = ("dies before", "dies after", "answer lost", "goes down", "meanwhile")

Answer = TypeVar("Answer")


class Died(BaseException):
    """The process is gone: nothing catches this, and whatever it held in memory is lost."""


class Clock:
    """The history's time. It never stands still over a write, so that two writes have an order."""

    def __init__(self) -> None:
        self.time = BEGIN

    def now(self) -> datetime:
        return self.time

    def monotonic(self) -> float:
        return (self.time - BEGIN).total_seconds()

    def go_on(self, seconds: float) -> None:
        self.time += timedelta(seconds=seconds)

    def tick(self) -> datetime:
        self.time += timedelta(microseconds=1)
        return self.time


@dataclass(frozen=True)
class Entry:
    """A write that took effect. ``number`` counts them."""

    key: str
    data: bytes
    stored_at: datetime
    number: int


@dataclass
class Strike:
    """A fault that waits for its operation; ``struck`` says whether it came."""

    manner: str
    left: int
    meanwhile: Callable[[], None] | None = None
    struck: bool = False


@dataclass
class Faults:
    """What strikes, and when: at most one fault in what is being done, and an archive that may be down."""

    down: bool = False
    _armed: Strike | None = None

    def arm(self, manner: str, left: int, meanwhile: Callable[[], None] | None = None) -> Strike:
        strike = Strike(manner, left, meanwhile)
        self._armed = strike if manner else None
        return strike

    def disarm(self) -> None:
        self._armed = None

    def strikes(self) -> str:
        """Return the manner of the fault that strikes at this operation, "" for none."""
        strike = self._armed
        if strike is None:
            return ""
        if strike.left:
            strike.left -= 1
            return ""
        self.disarm()
        strike.struck = True
        if strike.meanwhile is not None and strike.manner == "meanwhile":
            strike.meanwhile()
        return strike.manner


@dataclass
class Archive:
    """The folder, the ledger, and the enemy's hands."""

    clock: Clock
    watch: Callable[[Entry], None] = lambda _: None
    faults: Faults = field(default_factory=Faults)
    ledger: dict[str, Entry] = field(default_factory=dict)
    touched: set[str] = field(default_factory=set)
    written: int = 0

    def __post_init__(self) -> None:
        parent = SHARED_MEMORY if os.access(SHARED_MEMORY, os.W_OK) else None
        self.home = Path(tempfile.mkdtemp(prefix="signoff-history-", dir=parent))
        self.files = FileStore(self.home / "archive")
        self.files.initialise()

    def remove(self) -> None:
        shutil.rmtree(self.home)

    def path(self, key: str) -> Path:
        return self.home / "archive" / key

    def bytes_at(self, key: str) -> bytes | None:
        """Return what lies in the file, without any rule of the store."""
        try:
            return self.path(key).read_bytes()
        except FileNotFoundError:
            return None

    def put(self, key: str, data: bytes) -> Stored:
        """Create through the real store, at the clock's next moment."""
        self.files.create(key, data)
        stored = Stored(key, data, self._set_time(key, self.clock.tick()))
        self.written += 1
        entry = Entry(key, data, stored.stored_at, self.written)
        self.watch(entry)
        self.ledger[key] = entry
        return stored

    def is_honest(self, key: str) -> bool:
        """Whether the archive holds under this key what was written through the store."""
        entry = self.ledger.get(key)
        return entry is not None and (key not in self.touched or self.bytes_at(key) == entry.data)

    def keys(self, prefix: str) -> list[str]:
        return sorted(key for key in self.ledger if key.startswith(prefix))

    # --- the enemy ------------------------------------------------------------------------------------------------------

    def overwrite(self, key: str, data: bytes) -> None:
        """Put other bytes where something lies or nothing does. The enemy keeps the time of storage where there was one."""
        path = self.path(key)
        path.parent.mkdir(parents=True, exist_ok=True)
        path.unlink(missing_ok=True)
        path.write_bytes(data)
        entry = self.ledger.get(key)
        self._set_time(key, entry.stored_at if entry else self.clock.tick())
        self.touched.add(key)

    def delete(self, key: str) -> None:
        self.path(key).unlink()
        self.touched.add(key)

    def restore(self) -> None:
        """Bring back from a copy what the enemy touched; what it brought along goes."""
        for key in sorted(self.touched):
            entry = self.ledger.get(key)
            if entry is None:
                self.path(key).unlink(missing_ok=True)
            elif self.bytes_at(key) != entry.data:
                self.overwrite(key, entry.data)
        self.touched.clear()

    def _set_time(self, key: str, moment: datetime) -> datetime:
        nanoseconds = (moment - EPOCH) // timedelta(microseconds=1) * 1000
        os.utime(self.path(key), ns=(nanoseconds, nanoseconds), follow_symlinks=False)
        return moment


class Reached:
    """A process's way to the archive: a `Store` that faults strike."""

    def __init__(self, archive: Archive) -> None:
        self._archive = archive

    def create(self, key: str, data: bytes) -> Stored:
        return self._operate(key, lambda: self._archive.put(key, data))

    def read(self, key: str, *, limit: int) -> Stored:
        return self._operate(key, lambda: self._archive.files.read(key, limit=limit))

    def list(self, prefix: str, *, after: str = "", limit: int | None = None) -> Iterator[str]:
        keys = self._archive.files.list(prefix, after=after, limit=limit)  # a bad prefix is told at once, as the store promises
        return self._listed(prefix, keys)

    def _listed(self, prefix: str, keys: Iterator[str]) -> Iterator[str]:
        yield from self._operate(prefix, lambda: [key for key in keys if key != MARKER])

    def check(self) -> None:
        self._operate(MARKER, self._archive.files.check)

    def prove(self) -> Proof:
        return self._operate(MARKER, self._archive.files.prove)

    def _operate(self, key: str, deed: Callable[[], Answer]) -> Answer:
        faults = self._archive.faults
        manner = faults.strikes()
        if manner == "goes down":
            faults.down = True
        if faults.down:
            raise Unavailable("the archive is down", key, "try again")
        if manner == "dies before":
            raise Died
        if manner == "dies after":
            try:
                deed()
            finally:
                raise Died  # also where the operation failed: the process did not live to see it
        if manner == "answer lost":
            deed()
            raise Unavailable("the answer was lost", key, "try again")
        return deed()
