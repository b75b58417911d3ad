"""The centre takes time, chance and files from whoever calls it. The contracts of .importlinter hold its imports, this its calls."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOMS = Path(__file__).parent.parent / "controller" / "signoff"
PURE = ("record", "policy", "desk", "decision", "verify", "gate", "checks", "replay", "evidence")
STOPWATCHES = {"monotonic", "monotonic_ns", "perf_counter"}
CLOCKS = {"now", "utcnow", "today", "fromtimestamp", "utcfromtimestamp", "time_ns", *STOPWATCHES}
FILES = {"open", "input", "print", "read_text", "read_bytes", "write_text", "write_bytes"}
CHANCE = {"uuid1", "uuid4", "token_hex", "token_bytes", "urandom", "randint", "getrandbits"}
SURROUNDINGS = {"environ", "getenv", "getcwd"}


def impurities(source: str, forbidden: set[str]) -> Iterator[str]:
    """Yield line and name of each use of a forbidden function: called or handed on, by attribute or by a name imported."""
    tree = ast.parse(source)
    for node in ast.walk(tree):
        if isinstance(node, ast.Attribute) and node.attr in forbidden and not _is_own(node):
            yield f"{node.lineno}: {ast.unparse(node)}"
        elif isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id in forbidden:
            yield f"{node.lineno}: {node.func.id}()"
        elif isinstance(node, ast.ImportFrom):
            yield from (f"{node.lineno}: import {one.name}" for one in node.names if one.name in forbidden)


def _is_own(node: ast.Attribute) -> bool:
    """A time that was passed in is read as a field (``around.now``); a clock is read from a module or a class."""
    return isinstance(node.value, ast.Name) and node.value.id not in {"datetime", "date", "time", "dt"} and node.attr in {"now", "today"}


def files(rooms: tuple[str, ...]) -> list[Path]:
    found = [path for room in rooms for path in sorted((ROOMS / room).rglob("*.py"))]
    assert len(found) >= len(rooms), "the rooms have moved: mend this test"
    return found


@pytest.mark.parametrize("path", files(PURE), ids=lambda path: str(path.relative_to(ROOMS)))
def test_no_clock_is_read(path: Path) -> None:
    assert not list(impurities(path.read_text(encoding="utf-8"), CLOCKS))


@pytest.mark.parametrize("path", files(("archive",)), ids=lambda path: str(path.relative_to(ROOMS)))
def test_the_archive_reads_no_wall_clock(path: Path) -> None:
    """When something was stored is the store's word; how long a store over a network may take needs a stopwatch."""
    assert not list(impurities(path.read_text(encoding="utf-8"), CLOCKS - STOPWATCHES))


@pytest.mark.parametrize("path", files(PURE), ids=lambda path: str(path.relative_to(ROOMS)))
def test_no_file_no_chance_no_surroundings(path: Path) -> None:
    assert not list(impurities(path.read_text(encoding="utf-8"), FILES | CHANCE | SURROUNDINGS))


@pytest.mark.parametrize(
    "source",
    [
        "import datetime\nx = datetime.datetime.now()",
        "from datetime import datetime\nx = datetime.now()",
        "from datetime import date\nx = date.today()",
        "import time\nclock = time.monotonic",
        "from time import monotonic",
        "import os\nx = os.environ['HOME']",
        "from os import getenv",
        "x = open('f')",
        "from uuid import uuid4",
        "p.read_bytes()",
    ],
)
def test_the_test_notices(source: str) -> None:
    assert list(impurities(source, CLOCKS | FILES | CHANCE | SURROUNDINGS))


def test_what_was_passed_in_is_no_clock() -> None:
    assert not list(impurities("if question.now >= event.valid_until: pass\nx = around.now.date()", CLOCKS))
