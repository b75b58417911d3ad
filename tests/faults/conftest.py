"""One bank for all tests of faults: its archive in a real object store, and a wire on each connection of its processes.

`SIGNOFF_FAULTS=all` asks for every kill point; without it a fixed sample is taken.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))

from stand import Stand

from controlplane import ControlPlane

ALL = os.environ.get("SIGNOFF_FAULTS") == "all"


@pytest.fixture(scope="session")
def stand(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stand]:
    work = tmp_path_factory.mktemp("faults")
    with ControlPlane(work / "control-plane") as plane, Stand(plane, work / "bank") as stand:
        yield stand


@pytest.fixture(scope="session")
def every_point() -> bool:
    return ALL


@pytest.fixture(autouse=True)
def all_run(stand: Stand) -> Iterator[None]:
    """After each test nobody sits on the wires, and every process runs."""
    yield
    stand.calm()
