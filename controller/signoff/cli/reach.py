"""Reaching the archive: its store, and a reader under the active trust file, which is named by digest and believed for nothing else."""

from __future__ import annotations

from pathlib import Path

from signoff.archive.open import open_store
from signoff.archive.store import Store
from signoff.errors import SignoffError
from signoff.record.trust import MAX_TRUST, Trust, read_trust
from signoff.record.values import parse_digest, sha256
from signoff.start import active_trust
from signoff.verify.reader import Reader


def reader(archive: str, trust: str) -> Reader:
    """Return a reader of the archive; `SignoffError` says what is out of reach or missing."""
    store = open_store(archive)
    return Reader(store, trust_in(store, trust))


def trust_in(store: Store, digest: str) -> Trust:
    """Return the trust file with this digest, from the archive."""
    return active_trust(store, parse_digest(digest, "--trust"))


def trust_file(path: Path, digest: str | None) -> Trust:
    """Return a trust file from a file; where its digest is given it must have it."""
    data = file_bytes(path, MAX_TRUST)
    if digest is not None and sha256(data) != parse_digest(digest, "--trust"):
        what = f"hashes to {sha256(data)}, but --trust names {digest}"
        raise SignoffError(what, where=str(path), mend="give the file that --trust names")
    return read_trust(data, str(path))


def file_bytes(path: Path, limit: int) -> bytes:
    """Return a file's bytes, at most ``limit`` of them; `SignoffError` says why not."""
    try:
        with path.open("rb") as file:
            data = file.read(limit + 1)
    except OSError as error:
        raise SignoffError(f"cannot be read: {error.strerror}", where=str(path), mend="correct the path") from None
    if len(data) > limit:
        raise SignoffError(f"has more than {limit:,} bytes", where=str(path), mend="give the file that was meant")
    return data
