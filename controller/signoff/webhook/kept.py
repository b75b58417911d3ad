"""The folder in which the gate keeps, over a restart, what it verified: read once, at start.

1. The folder is ours alone (mode 0700, owned by this process's user, no link), or it is refused. So is each file (0600, plain, one name).
2. A file holds one answer: what was asked, when it was verified, and the evidence (`evidence`). Its name follows from what was asked, and
   its first line is the sha256 of the rest, which finds accidents and not liars.
3. A file that is altered, cut off, foreign, too large, from the future or older than the grace is removed, and all but the last is logged.
4. A file is written whole or not at all: under another name first, then renamed.
5. Number and size are bounded: the answer that was written longest ago goes first.
6. The trust file is kept beside, under its digest, which the configuration names.
"""

from __future__ import annotations

import logging
import os
import stat
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import Annotated, Final, Literal

from pydantic import Field

from signoff.errors import SignoffError
from signoff.gate.lookup import Key
from signoff.gate.memory import GRACE
from signoff.record.canonical import Json, b64decode, b64encode, dumps, loads
from signoff.record.freeze import Tier
from signoff.record.trust import MAX_TRUST
from signoff.record.values import Closed, Digest, DigestField, Label, RecordError, TimeField, format_time, hex_of, parse, parse_time, sha256
from signoff.webhook.evidence import Evidence, Listing

LOG: Final = logging.getLogger("signoff.webhook")

MAX_FILE: Final = 1024 * 1024
MAX_FILES: Final = 2_000
MAX_TOTAL: Final = 64 * 1024 * 1024
_MAX_NAMES: Final = 10 * MAX_FILES
_SUFFIX: Final = ".answer"
_UNFINISHED: Final = ".unfinished"


class _Asked(Closed):
    digest: DigestField
    environment: Label
    namespace: Label
    together: bool
    minimumTier: Tier | None = None


class _Listing(Closed):
    keys: Annotated[tuple[str, ...], Field(max_length=1_000)]
    whole: bool


class _Answer(Closed):
    format: Literal["signoff.dev/kept-answer/v1"]
    asked: _Asked
    verifiedAt: TimeField
    objects: dict[str, str | None]
    listings: dict[str, _Listing]


@dataclass(frozen=True)
class Answer:
    """One kept answer: what was asked, when it was verified (aware, whole seconds), and what it rested on."""

    key: Key
    verified_at: datetime
    evidence: Evidence


class Kept:
    """The folder. For one process, and one of its threads at a time; raises `SignoffError` where it is not ours alone (rule 1)."""

    def __init__(self, path: Path) -> None:
        with suppress(FileExistsError), _diagnosed(path):
            path.mkdir(mode=0o700)
        with _diagnosed(path):
            self._folder = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW)
        found = os.fstat(self._folder)
        if found.st_uid != os.geteuid() or stat.S_IMODE(found.st_mode) & 0o077:
            os.close(self._folder)
            raise SignoffError(
                "others may reach what the gate keeps here", where=str(path), mend="let the process make the folder, or chmod 0700 it"
            )
        self._sizes: dict[str, int] = {}

    def answers(self, now: datetime) -> list[Answer]:
        """Return what was kept within the grace, the latest first, and remove the rest (rule 3). To be called once, before `write`."""
        found: list[tuple[Answer, str, int]] = []
        for name in self._names():
            data = self._data(name, MAX_FILE)
            try:
                answer = _read(name, data)
            except SignoffError as error:
                LOG.warning("kept answer %s is removed: %s", name[:80], error)
                self._remove(name)
                continue
            if answer.verified_at > now:
                LOG.warning("kept answer %s is removed: it says that it was verified in the future", name[:80])
                self._remove(name)
            elif now - answer.verified_at >= timedelta(seconds=GRACE):
                self._remove(name)
            else:
                found.append((answer, name, len(data or b"")))
        found.sort(key=lambda one: one[0].verified_at)
        self._sizes = {name: size for _, name, size in found}
        self._trim()
        return [answer for answer, name, _ in reversed(found) if name in self._sizes]

    def write(self, answer: Answer) -> None:
        """Keep an answer in place of the one for the same question; `SignoffError` where that cannot be done."""
        data = _written(answer)
        name = _name(answer.key)
        if len(data) > MAX_FILE:
            self._remove(name)
            return
        self._put(name, data)
        self._sizes.pop(name, None)
        self._sizes[name] = len(data)
        self._trim()

    def holds(self, key: Key) -> bool:
        """Whether an answer is kept."""
        return _name(key) in self._sizes

    def remove(self, key: Key) -> None:
        """Keep an answer no longer."""
        self._remove(_name(key))

    def trust(self, digest: Digest) -> bytes | None:
        """Return the kept trust file with this digest, or None (rule 6)."""
        data = self._data(_trust_name(digest), MAX_TRUST)
        return data if data is not None and sha256(data) == digest else None

    def keep_trust(self, data: bytes) -> None:
        """Keep a trust file."""
        self._put(_trust_name(sha256(data)), data)

    def _names(self) -> Iterator[str]:
        with os.scandir(self._folder) as entries:
            names = [entry.name for entry, _ in zip(entries, range(_MAX_NAMES), strict=False)]
        for name in names:
            if name.endswith(_UNFINISHED):
                self._remove(name)
            elif name.endswith(_SUFFIX):
                yield name

    def _data(self, name: str, limit: int) -> bytes | None:
        """Return a file's bytes, or None where it is none of ours (rule 1) or too large."""
        try:
            # Not waited for: a pipe in place of a file would hold up the start.
            file = os.open(name, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK, dir_fd=self._folder)
        except OSError:
            return None
        with os.fdopen(file, "rb") as opened:
            found = os.fstat(file)
            ours = stat.S_ISREG(found.st_mode) and found.st_uid == os.geteuid() and not found.st_mode & 0o077 and found.st_nlink == 1
            if not ours or found.st_size > limit:
                return None
            data = opened.read(limit + 1)
        return data if len(data) <= limit else None

    def _put(self, name: str, data: bytes) -> None:
        unfinished = name + _UNFINISHED
        with _diagnosed(Path(name)):
            self._remove(unfinished)
            file = os.open(unfinished, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW, 0o600, dir_fd=self._folder)
            try:
                with os.fdopen(file, "wb") as opened:
                    opened.write(data)
                os.rename(unfinished, name, src_dir_fd=self._folder, dst_dir_fd=self._folder)
            except OSError:
                self._remove(unfinished)
                raise

    def _trim(self) -> None:
        total = sum(self._sizes.values())
        while total > MAX_TOTAL or len(self._sizes) > MAX_FILES:
            oldest = next(iter(self._sizes))
            total -= self._sizes[oldest]
            self._remove(oldest)

    def _remove(self, name: str) -> None:
        self._sizes.pop(name, None)
        try:
            os.unlink(name, dir_fd=self._folder)
        except FileNotFoundError:
            return
        except OSError as error:
            LOG.warning("kept file %s cannot be removed: %s", name[:80], error.strerror)


def _name(key: Key) -> str:
    return hex_of(sha256(dumps(_asked(key)))) + _SUFFIX


def _asked(key: Key) -> dict[str, Json]:
    asked: dict[str, Json] = {
        "digest": key.digest,
        "environment": key.environment,
        "namespace": key.namespace,
        "together": key.together,
    }
    return asked if key.minimum_tier is None else {**asked, "minimumTier": key.minimum_tier}


def _trust_name(digest: Digest) -> str:
    return f"trust-{hex_of(digest)}.json"


def _written(answer: Answer) -> bytes:
    evidence = answer.evidence
    value: dict[str, Json] = {
        "format": "signoff.dev/kept-answer/v1",
        "asked": _asked(answer.key),
        "verifiedAt": format_time(answer.verified_at),
        "objects": {name: None if data is None else b64encode(data) for name, data in evidence.objects.items()},
        "listings": {prefix: {"keys": listing.keys, "whole": listing.whole} for prefix, listing in evidence.listings.items()},
    }
    content = dumps(value)
    return f"{sha256(content)}\n".encode() + content


def _read(name: str, data: bytes | None) -> Answer:
    if data is None:
        raise RecordError("it is no plain file of ours, or too large")
    digest, _, content = data.partition(b"\n")
    if digest != sha256(content).encode():
        raise RecordError("its bytes are not those that were written")
    loads(content, "kept answer", limit=MAX_FILE)
    value = parse(_Answer, content, "kept answer")
    asked = value.asked
    key = Key(asked.digest, asked.environment, asked.namespace, asked.together, asked.minimumTier)
    if name != _name(key):
        raise RecordError("it answers another question than its name says")
    evidence = Evidence()
    for stored, text in value.objects.items():
        evidence.note(stored, None if text is None else b64decode(text, "kept answer"))
    evidence.listings = {prefix: Listing(list(one.keys), one.whole) for prefix, one in value.listings.items()}
    return Answer(key, parse_time(value.verifiedAt), evidence)


@contextmanager
def _diagnosed(path: Path) -> Iterator[None]:
    try:
        yield
    except FileExistsError:
        raise
    except OSError as error:
        mend = "name a folder that this process may make, or has made, and that is no link"
        raise SignoffError(f"the gate cannot keep its answers: {error.strerror}", where=str(path), mend=mend) from None
