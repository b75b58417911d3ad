"""Whether a bucket keeps its word: proven with the administrator's rights, and at each start with a process's own.

`prove_bucket`, once, before there is an archive:

1. The bucket locks by default, in COMPLIANCE mode.
2. Of 16 conditional writes of one key at the same time exactly one wins, and one version is there.
3. The winner's lock is read back by its version's id: the mode, and the time that was asked for.
4. Even the administrator may not delete the winner by its version's id while the lock lasts; it is there afterwards.

`prove_rights`, at each start:

5. This process may write: the marker written again is refused because it is there, and for no other reason.
6. The marker is locked in COMPLIANCE mode, by the store's word.
7. This process may not delete: it asks to delete the marker by its version's id while the lock lasts, and is refused.

No delete goes out without a version's id, and none at a version whose lock is not known to last. What rule 2 writes is
locked for seconds and then removed.
"""

import secrets
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from datetime import datetime, timedelta
from typing import Final

from signoff.archive.s3_listing import Entry, entry_of, store_time
from signoff.archive.s3_requests import Requests, Taken, Version
from signoff.archive.store import ArchiveError, Proof, Refused, Unavailable

PROOF: Final = ".proof/"
"""Where canaries live for seconds; no key can begin so."""

_WRITERS: Final = 16
_LOCKED: Final = timedelta(seconds=6)
_MARGIN: Final = timedelta(seconds=2)
_MADE: Final = "make a bucket with Object Lock and versions, whose default retention is in COMPLIANCE mode"
_LIES: Final = "keep the archive in a store that keeps its word"


def prove_bucket(requests: Requests, prefix: str, address: str) -> None:
    """Return if the bucket keeps its word, by rules 1 to 4; it takes some seconds, and needs the right to lock and delete.

    Raises `Refused`, naming the check that failed, and `Unavailable`.
    """
    require_default(requests, address)
    key = f"{prefix}{PROOF}{secrets.token_hex(8)}"
    until = _second(store_time(requests, key)) + _LOCKED
    try:
        _race(requests, key, until, address)
        version = _one_version(requests, key, address)
        _read_back(requests, version, until, address)
        _hold(requests, version, until, address)
    finally:
        _remove(requests, key, until)


def prove_rights(requests: Requests, marker: Entry, data: bytes, address: str) -> Proof:
    """What this process's own rights are, by rules 5 to 7. Raises `Refused` and `Unavailable`."""
    remarks = [f"{address}: may create"]
    _rewrite(requests, marker, data, address)
    if marker.hidden or marker.versions > 1:
        remarks.append(f"a finding: {marker.key} has delete markers or later versions")
    record = marker.record
    lock = requests.lock(record) if record else None
    if record is None or lock is None or lock.mode != "COMPLIANCE":
        raise Refused("the marker is not seen to be locked in COMPLIANCE mode", address, f"{_MADE}; and grant s3:GetObjectRetention")
    try:
        require_default(requests, address)
    except Refused as error:
        if not error.what.startswith("the store refuses it"):
            raise
        remarks.append("the bucket's default lock may not be read by this process")
    if lock.until < store_time(requests, record.key) + timedelta(minutes=1):
        return Proof(delete_refused=False, remark="; ".join([*remarks, "delete was not tried, for the lock of its marker has ended"]))
    _require_refused(requests, record, address)
    remarks.append(f"may not delete; its marker is locked in COMPLIANCE mode until {lock.until:%Y-%m-%d}")
    return Proof(delete_refused=True, remark="; ".join(remarks))


def require_default(requests: Requests, address: str) -> int:
    """The days of the bucket's default lock. Raises `Refused` unless there is one, in COMPLIANCE mode (rule 1)."""
    default = requests.default()
    if default is None or default.mode != "COMPLIANCE" or default.days < 1:
        found = "none" if default is None else f"{default.mode}, {default.days} days"
        raise Refused(f"the bucket's default retention is not in COMPLIANCE mode ({found})", address, _MADE)
    return default.days


def require_locked(requests: Requests, record: Version, address: str) -> None:
    """Return if this object, written without a lock of its own, got the bucket's default. Raises `Refused`."""
    days = require_default(requests, address)
    lock = requests.lock(record)
    if lock is None or lock.mode != "COMPLIANCE" or lock.until < record.stored_at + timedelta(days=days - 1):
        raise Refused("the store did not lock an object by the bucket's default", record.key, _LIES)


def _race(requests: Requests, key: str, until: datetime, address: str) -> None:
    def write(number: int) -> bool:
        try:
            requests.put(key, str(number).encode(), until=until)
        except Taken:
            return False
        return True

    with ThreadPoolExecutor(_WRITERS) as pool:
        won = sum(pool.map(write, range(_WRITERS)))
    if won == 0:
        raise Unavailable("the answer to the write that won was lost", address, "try again")
    if won != 1:
        raise Refused(f"of {_WRITERS} conditional writes of one key at the same time {won} won, not 1", address, _LIES)


def _one_version(requests: Requests, key: str, address: str) -> Version:
    entry = entry_of(requests, key)
    if entry is None or entry.record is None or entry.versions != 1:
        raise Refused(f"after one write won, {entry.versions if entry else 0} versions are listed, not 1", address, _LIES)
    return entry.record


def _read_back(requests: Requests, version: Version, until: datetime, address: str) -> None:
    lock = requests.lock(version)
    if lock is None or lock.mode != "COMPLIANCE" or abs(lock.until - until) > _MARGIN:
        found = "none" if lock is None else f"{lock.mode} until {lock.until:%H:%M:%S}"
        raise Refused(f"a lock in COMPLIANCE mode until {until:%H:%M:%S} was asked for, and read back is {found}", address, _LIES)


def _hold(requests: Requests, version: Version, until: datetime, address: str) -> None:
    before = store_time(requests, version.key)
    if before + _MARGIN > until:
        raise Unavailable("the store is too slow to be proven: the lock ended before the delete was tried", address, "try again")
    _require_refused(requests, version, address)


def _require_refused(requests: Requests, version: Version, address: str) -> None:
    """Ask to delete a version whose lock lasts, and see that it is refused and still there."""
    try:
        requests.delete(version.key, version.id)
    except Refused:
        entry = entry_of(requests, version.key)
        if entry is not None and entry.record is not None and entry.record.id == version.id:
            return
    raise Refused("the store let this process delete a version that is locked in COMPLIANCE mode", address, _LIES)


def _rewrite(requests: Requests, marker: Entry, data: bytes, address: str) -> None:
    try:
        requests.put(marker.key, data)
    except Taken:
        return
    if not marker.hidden:
        raise Refused("the store wrote over a key that was taken, against the condition", address, _LIES)


def _remove(requests: Requests, key: str, until: datetime) -> None:
    """Remove the canaries once their lock has ended; what cannot be removed stays, under a key that nobody reads."""
    with suppress(ArchiveError):
        left = entry_of(requests, key)
        if left is None:
            return
        while (now := store_time(requests, key)) <= until:
            time.sleep(min((until - now).total_seconds() + 1, 1))
        for _ in range(_WRITERS):
            if left is None or left.record is None:
                return
            requests.delete(key, left.record.id)
            left = entry_of(requests, key)


def _second(moment: datetime) -> datetime:
    return moment.replace(microsecond=0)
