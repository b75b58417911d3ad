"""One bank for all tests of faults: its archive in a real object store, and a wire on each connection of its processes.

`SIGNOFF_FAULTS=all` (`make faults`) asks for every kill point and every fault; without it a fixed sample is taken, which is quick.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))
pytest.register_assert_rewrite("request", "stand")

from stand import Stand  # noqa: E402

from controlplane import ControlPlane  # noqa: E402

ALL = os.environ.get("SIGNOFF_FAULTS") == "all"

SAMPLE = {
    "test_killed.py": ("the operator-", "the webhook-", "the webhook, at a revocation-", "the operator, as it comes up-after"),
    "test_archive_faults.py": (
        "not_seen[cut after",
        "not_seen[503]",
        "event_cannot_be_written[says 412",
        "seal_cannot_be_written[cut after",
    ),
    "test_cluster_faults.py": ("[the answer to a written status is lost]", "[another report]", "[reviews fail]", "end[410"),
    "test_two_at_once.py": ("test_",),
    "test_committee.py": ("test_",),
}
"""What a plain run takes: of each file the tests whose ids hold one of these."""


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Leave out what is not in the sample, where not all is asked for."""
    here = Path(__file__).parent
    left = [one for one in items if not ALL and one.path.parent == here and not any(part in one.name for part in SAMPLE[one.path.name])]
    config.hook.pytest_deselected(items=left)
    items[:] = [one for one in items if one not in left]


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
