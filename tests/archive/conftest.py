"""The stores that the behaviour suite is put through.

A further store joins by a `Place` of its own in `PLACES`: an address, and a way to take the archive out of reach.
"""

import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Protocol

import pytest

sys.path.insert(0, str(Path(__file__).parent))

import buckets as s3
from between import Between

from controlplane.seaweed import ObjectStore
from signoff.archive.open import initialise, open_store
from signoff.archive.store import Store

CHILD = Path(__file__).with_name("child.py")


class Place(Protocol):
    url: str

    def open(self) -> Store: ...

    def take_away(self) -> None: ...


class Folder:
    def __init__(self, tmp_path: Path) -> None:
        self.path = tmp_path / "archive"
        self.url = self.path.as_uri()
        initialise(self.url)

    def open(self) -> Store:
        return open_store(self.url)

    def take_away(self) -> None:
        self.path.rename(self.path.with_name("elsewhere"))


PLACES = {"file": "folder", "s3": "in_s3"}
"""Each store's fixture."""


@pytest.fixture(params=sorted(PLACES))
def place(request: pytest.FixtureRequest) -> Place:
    found: Place = request.getfixturevalue(PLACES[request.param])
    return found


@pytest.fixture
def store(place: Place) -> Store:
    return place.open()


@pytest.fixture
def folder(tmp_path: Path) -> Folder:
    """The place of a file store, for what concerns it alone."""
    return Folder(tmp_path)


@pytest.fixture(scope="session")
def buckets(tmp_path_factory: pytest.TempPathFactory) -> Iterator[s3.Buckets]:
    """A real object store, for the whole session."""
    with ObjectStore(tmp_path_factory.mktemp("seaweed")) as store:
        yield s3.Buckets(store)


@pytest.fixture
def in_s3(buckets: s3.Buckets, monkeypatch: pytest.MonkeyPatch) -> s3.Place:
    """The place of an S3 store, for what concerns it alone; this process holds the writer's keys."""
    for name in ("AWS_PROFILE", "AWS_SESSION_TOKEN", "AWS_ENDPOINT_URL", "AWS_REGION", "AWS_DEFAULT_REGION", "AWS_CA_BUNDLE"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", "/nonexistent")
    monkeypatch.setenv("AWS_CONFIG_FILE", "/nonexistent")
    return s3.Place(buckets, monkeypatch)


@pytest.fixture(scope="session")
def proxy(buckets: s3.Buckets) -> Iterator[Between]:
    with Between(buckets.store.port) as proxy:
        yield proxy


@pytest.fixture
def between(proxy: Between) -> Iterator[Between]:
    """A proxy in front of the real store."""
    proxy.forget()
    yield proxy
    proxy.forget()


@pytest.fixture
def child() -> Callable[..., subprocess.Popen[str]]:
    """Start child.py with these arguments, after a command that it is given to."""

    def start(*arguments: object, under: list[str] | None = None) -> subprocess.Popen[str]:
        return subprocess.Popen(
            [*(under or []), sys.executable, str(CHILD), *map(str, arguments)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )

    return start
