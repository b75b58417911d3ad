"""What the tests do to an archive from a process of its own: `python child.py COMMAND URL …`."""

import json
import os
import resource
import signal
import sys
from contextlib import suppress
from hashlib import sha256
from itertools import count
from pathlib import Path

from signoff.archive.open import initialise, open_store
from signoff.archive.store import ArchiveError, Exists

STEPS = ("open", "close", "mkdir", "write", "fchmod", "fsync", "link", "unlink")


def expected(key: str, size: int = 200_000) -> bytes:
    """The bytes that belong under `key` in these tests."""
    return (sha256(key.encode()).digest() * (size // 32 + 1))[:size]


def race(url: str, writer: str, keys: str) -> None:
    """Once told to go, create the keys; print those that were won."""
    store = open_store(url)
    print("ready", flush=True)
    sys.stdin.readline()
    won = []
    for number in range(int(keys)):
        with suppress(Exists):
            store.create(f"race/{number:02}", writer.encode())
            won.append(number)
    print(json.dumps(won))


def pour(url: str, first: str) -> None:
    """Create objects without end; print each key once it is there."""
    store = open_store(url)
    for number in count(int(first)):
        key = f"pour/{number % 7}/{number:06}"
        store.create(key, expected(key))
        print(key, flush=True)


def crash(url: str, key: str, step: str) -> None:
    """Create one object, and die by SIGKILL before the given step; print "done" if there is no such step."""
    store = open_store(url)
    left = int(step)

    def before(name: str) -> None:
        real = getattr(os, name)

        def stepped(*arguments: object, **keywords: object) -> object:
            nonlocal left
            if left == 0:
                os.kill(os.getpid(), signal.SIGKILL)
            left -= 1
            if name == "write":
                return real(arguments[0], arguments[1][:3000])  # type: ignore[index]
            return real(*arguments, **keywords)

        setattr(os, name, stepped)

    for name in STEPS:
        before(name)
    store.create(key, expected(key, 10_000))
    print("done")


def attempt(url: str, key: str, size: str, circumstance: str) -> None:
    """Create one object in some circumstance; print what came of it."""
    if circumstance == "new":
        initialise(url)
    store = open_store(url)
    if circumstance == "nobody" and os.getuid() == 0:
        os.setgroups([])
        os.setgid(65534)
        os.setuid(65534)
    if circumstance == "small files":
        resource.setrlimit(resource.RLIMIT_FSIZE, (1000, 1000))
    said = {"error": "", "text": "", "prove": ""}
    try:
        store.create(key, expected(key, int(size)))
    except ArchiveError as error:
        said |= {"error": type(error).__name__, "text": str(error)}
    try:
        store.prove()
    except ArchiveError as error:
        said["prove"] = type(error).__name__
    print(json.dumps(said | {"keys": list(store.list("")), "left": _left(url)}))


def _left(url: str) -> list[str]:
    return [left.name for left in Path(f"{url.removeprefix('file://')}/.incoming").glob("*")]


if __name__ == "__main__":
    {"race": race, "pour": pour, "crash": crash, "attempt": attempt}[sys.argv[1]](*sys.argv[2:])
