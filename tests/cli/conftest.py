from __future__ import annotations

import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))

from archive_fixture import Site
from world import World


@pytest.fixture
def site(world: World, capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Site:
    for name in ("SIGNOFF_ARCHIVE", "SIGNOFF_TRUST", "SIGNOFF_CLUSTER", "KUBECONFIG"):
        monkeypatch.delenv(name, raising=False)
    return Site(world, capfd)
