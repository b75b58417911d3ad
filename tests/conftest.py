"""Fixtures of all tests. Plain modules beside this file (`builders`, `world`) are imported by their names."""

from __future__ import annotations

import os
import signal
import sys
from pathlib import Path

import pytest
from hypothesis import settings
from xdist.scheduler import LoadScopeScheduling

ROOT = Path(__file__).parent.parent
for folder in (ROOT, ROOT / "tests"):
    if str(folder) not in sys.path:
        sys.path.insert(0, str(folder))

# Of several workers each has ports of its own: what one found free another would take before it is used.
if worker := os.environ.get("PYTEST_XDIST_WORKER"):
    os.environ["SIGNOFF_PORTS"] = f"{int(worker.removeprefix('gw')) + 1}/{os.environ['PYTEST_XDIST_WORKER_COUNT']}"

# A shell has what it starts in the background ignore the keyboard's interrupt, and whatever that starts in turn.
signal.signal(signal.SIGINT, signal.default_int_handler)

# How long one example takes says how busy the machine is: what must be quick has a bound of its own.
settings.register_profile("busy", deadline=None)
settings.load_profile("busy")

from world import World  # noqa: E402


class FolderByFolder(LoadScopeScheduling):
    """Keeps the tests of a folder with one worker: they share its control plane, its bank, its store."""

    def _split_scope(self, nodeid: str) -> str:
        folder = "/".join(nodeid.partition("::")[0].split("/")[:2])
        return "tests/e2e" if folder == "tests/faults" else folder  # the two heaviest: side by side they slow each other down to the bounds


def pytest_xdist_make_scheduler(config: pytest.Config, log: object) -> FolderByFolder:
    return FolderByFolder(config, log)


@pytest.fixture
def world(tmp_path: Path) -> World:
    return World(tmp_path / "archive")
