"""The stores that the behaviour suite is put through.

A further store joins by a `Place` of its own in `PLACES`: an address, and a way to take the archive out of reach.
"""

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Protocol

import pytest

from signoff.archive.open import initialise, open_store
from signoff.archive.store import Store

CHILD = Path(__file__).with_name("child.py")


class Place(Protocol):
    url: str

    def take_away(self) -> None: ...


class Folder:
    def __init__(self, tmp_path: Path) -> None:
        self.path = tmp_path / "archive"
        self.url = self.path.as_uri()
        initialise(self.url)

    def take_away(self) -> None:
        self.path.rename(self.path.with_name("elsewhere"))


PLACES: dict[str, Callable[[Path], Place]] = {"file": Folder}


@pytest.fixture(params=sorted(PLACES))
def place(request: pytest.FixtureRequest, tmp_path: Path) -> Place:
    return PLACES[request.param](tmp_path)


@pytest.fixture
def store(place: Place) -> Store:
    return open_store(place.url)


@pytest.fixture
def folder(tmp_path: Path) -> Folder:
    """The place of a file store, for what concerns it alone."""
    return Folder(tmp_path)


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
