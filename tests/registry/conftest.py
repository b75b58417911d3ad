from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))
sys.path.insert(0, str(Path(__file__).parent.parent / "cli"))

from archive_fixture import Site
from asking import Asking
from mlflow_server import MlflowServer
from relay import Relay
from shelf import Shelf, fill
from world import World


@pytest.fixture(scope="session")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[MlflowServer]:
    started = MlflowServer(tmp_path_factory.mktemp("mlflow"))
    started.start()
    try:
        import mlflow  # noqa: F401 - which takes as long as the server takes to start

        started.wait()
        yield started
    finally:
        started.stop()


@pytest.fixture(scope="session")
def shelf(server: MlflowServer) -> Shelf:
    return fill(server.url, server.folder)


@pytest.fixture
def relay(server: MlflowServer) -> Iterator[Relay]:
    between = Relay(server.url)
    yield between
    between.close()


@pytest.fixture
def site(world: World, capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Site:
    for name in list(os.environ):
        if name.startswith(("SIGNOFF_", "MLFLOW_TRACKING", "MLFLOW_REGISTRY")) and name != "SIGNOFF_PORTS":
            monkeypatch.delenv(name)
    return Site(world, capfd)


@pytest.fixture
def asking(site: Site, server: MlflowServer, shelf: Shelf, tmp_path: Path) -> Asking:
    return Asking(site, server.url, tmp_path)
