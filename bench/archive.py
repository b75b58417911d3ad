"""Archives of any size: made by `signoff init`, filled with events that are signed for real (`events`), by all cores.

1. What is written verifies: `signoff verify` finds nothing in it.
2. Into a folder objects are written straight, without being flushed, and equal bytes of one event (its pointers) share one file: what
   reads cannot tell, and a million events need the fewer inodes.
3. Into a bucket they are put by a request like the archive's own (`putting`), many events at a time, and not listed again as `create`
   does after each; of one event the pointers go before the event.
4. Of a lean archive only what a gate reads is written: the events, and the pointers from digests to them. `signoff verify` finds in it
   that the rest is missing.
"""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable, Mapping
from concurrent.futures import ProcessPoolExecutor, ThreadPoolExecutor
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from functools import cache, partial
from multiprocessing import get_context
from pathlib import Path
from typing import Final
from urllib.parse import unquote, urlsplit

import yaml

from bench.errors import BenchError
from bench.events import CLUSTER, ENVIRONMENT, HISTORY, ISSUER, DeskSize, Objects, Template, image_of, objects, person, template_of
from bench.putting import Putter
from signoff.archive import layout
from signoff.archive.open import open_store
from signoff.archive.s3_address import parse_s3
from signoff.archive.write import create_or_same
from signoff.record.keys import PemSigner
from signoff.record.values import format_time

CHUNK: Final = 250
THREADS: Final = 16
_READ_BY_GATES: Final = (layout.EVENTS_PREFIX, "subjects/")


@dataclass(frozen=True)
class Archive:
    """An archive: where it lies, how it is trusted, and and what it promotes where. ``rights`` are the environment of a writer."""

    url: str
    keys: str
    trust: str
    label: str
    namespace: str
    events: int
    rights: Mapping[str, str]

    @property
    def store(self) -> str:
        """``file`` or ``s3``."""
        return self.url.partition(":")[0]

    @property
    def name(self) -> str:
        """What it is called beside figures: ``file 100``."""
        return f"{self.store} {self.events}"

    @property
    def settings(self) -> dict[str, str]:
        """The environment in which ``signoff`` finds it."""
        return {"SIGNOFF_ARCHIVE": self.url, "SIGNOFF_TRUST": self.trust, "SIGNOFF_CLUSTER": CLUSTER, **self.rights}

    def image(self, number: int) -> str:
        """The image that the event of this number promotes."""
        return image_of(self.label, number)


def initialise(url: str, keys: Path, label: str, namespace: str, rights: Mapping[str, str] | None = None) -> Archive:
    """Make an empty archive by ``signoff init``; ``rights`` are an administrator's environment variables, where it is a bucket."""
    arguments = ["--keys", str(keys), "--cluster", CLUSTER, "--environment", ENVIRONMENT, "--publisher", ISSUER, person("paula").subject]
    command = [sys.executable, "-m", "signoff", "init", url, *arguments, "-o", "json"]
    made = subprocess.run(command, env=os.environ | dict(rights or {}), capture_output=True, text=True, check=False)
    if made.returncode:
        raise BenchError(f"signoff init {url} failed: {made.stderr.strip()}")
    return Archive(url, str(keys), str(yaml.safe_load(made.stdout)["trust"]), label, namespace, 0, dict(rights or {}))


def fill(
    archive: Archive,
    events: int,
    desk: DeskSize,
    told: Callable[[int], None] = lambda _: None,
    *,
    lean: bool = False,
    history: int = HISTORY,
) -> Archive:
    """Fill an archive with so many events, and return it; ``told`` hears how many there are. ``lean`` as in rule 4; ``history``: how many
    make up a model's.
    """
    grant(archive.rights)
    template, shared = template_of(archive.label, archive.namespace, desk, _key(archive, "seal"), format_time(datetime.now(UTC)), history)
    store = open_store(archive.url)
    for key, data in shared.items():
        create_or_same(store, key, data)
    ranges = [range(first, min(first + CHUNK, events)) for first in range(0, events, CHUNK)]
    done = 0
    with ProcessPoolExecutor(mp_context=get_context("forkserver"), initializer=grant, initargs=(archive.rights,)) as workers:
        for count in workers.map(partial(_write, archive, template, lean), ranges):
            done += count
            told(done)
    return replace(archive, events=events)


def grant(rights: Mapping[str, str]) -> None:
    """Hold these rights in this process from now on."""
    os.environ.update(rights)


def _key(archive: Archive, use: str) -> PemSigner:
    path = Path(archive.keys) / f"{use}.key"
    return PemSigner(path.read_bytes(), str(path))


def _write(archive: Archive, template: Template, lean: bool, numbers: range) -> int:
    """Write the events of these numbers; in a process of its own."""
    seal_key, event_key = _key(archive, "seal"), _key(archive, "event")
    made = (objects(template, number, seal_key, event_key) for number in numbers)
    if lean:
        made = ({key: data for key, data in one.items() if key.startswith(_READ_BY_GATES)} for one in made)
    if archive.store == "file":
        root = Path(unquote(urlsplit(archive.url).path))
        for one in made:
            write_files(root, one)
    else:
        with ThreadPoolExecutor(THREADS) as threads:
            list(threads.map(partial(_put_into, _bucket(archive.url)), made))
    return len(numbers)


@cache
def _bucket(url: str) -> Putter:
    """The way to a bucket; made once in each process."""
    return Putter(parse_s3(urlsplit(url)))


def _put_into(bucket: Putter, made: Objects) -> None:
    for key, data in made.items():
        bucket.put(key, data)


def write_files(root: Path, made: Objects) -> None:
    """Write objects into a folder's layout, without flushing; equal bytes are one file (rule 2)."""
    written: dict[bytes, Path] = {}
    for key, data in made.items():
        path = root / key
        same = written.setdefault(data, path)
        try:
            _write_file(path, data, same)
        except FileNotFoundError:
            path.parent.mkdir(parents=True, exist_ok=True)
            _write_file(path, data, same)


def _write_file(path: Path, data: bytes, same: Path) -> None:
    if same is not path:
        path.hardlink_to(same)
        return
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o444)
    try:
        os.write(descriptor, data)
    finally:
        os.close(descriptor)
