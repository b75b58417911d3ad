from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent.parent / "cli"))

from archive_fixture import Site
from world import World

from tests.archive.between import Between
from tests.kms.service import KeyService, hold_access_keys, serving


@pytest.fixture(scope="session")
def running() -> Iterator[KeyService]:
    with serving() as service:
        yield service


@pytest.fixture
def service(running: KeyService, monkeypatch: pytest.MonkeyPatch) -> KeyService:
    """The key service; this process holds access keys for it."""
    hold_access_keys(monkeypatch)
    return running


@pytest.fixture
def between(service: KeyService) -> Iterator[Between]:
    """A proxy in front of the key service."""
    with Between(service.port) as proxy:
        yield proxy


@pytest.fixture
def site(world: World, capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Site:
    for name in ("SIGNOFF_ARCHIVE", "SIGNOFF_TRUST", "SIGNOFF_CLUSTER", "KUBECONFIG"):
        monkeypatch.delenv(name, raising=False)
    return Site(world, capfd)
