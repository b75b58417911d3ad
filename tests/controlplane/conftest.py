"""The identity providers, each started once for the folder."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from controlplane.idp import EmbeddedProvider
from controlplane.keycloak import Keycloak
from controlplane.keycloak_java import SKIP, WAY_VARIABLE, is_skipped
from controlplane.oidc import Provider

CALLBACK = "https://127.0.0.1:9/callback"  # nobody listens there


@pytest.fixture(scope="session")
def embedded(tmp_path_factory: pytest.TempPathFactory) -> Iterator[EmbeddedProvider]:
    with EmbeddedProvider(tmp_path_factory.mktemp("idp")) as provider:
        provider.allow(CALLBACK)
        yield provider


@pytest.fixture(scope="session")
def keycloak(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Keycloak]:
    if is_skipped():
        pytest.skip(f"{WAY_VARIABLE}={SKIP}")
    folder: Path = tmp_path_factory.mktemp("keycloak")
    with Keycloak(folder) as provider:
        provider.allow(CALLBACK)
        yield provider


@pytest.fixture(params=["embedded", pytest.param("keycloak", marks=pytest.mark.keycloak)])
def provider(request: pytest.FixtureRequest) -> Provider:
    found: Provider = request.getfixturevalue(request.param)
    return found
