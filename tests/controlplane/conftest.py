"""The identity providers, started for those who ask for them, and ended with their module: nobody else's tests run beside an idle Java."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from controlplane.idp import EmbeddedProvider
from controlplane.keycloak import Keycloak
from controlplane.keycloak_java import SKIP, WAY_VARIABLE, is_skipped
from controlplane.oidc import Provider

CALLBACK = "https://127.0.0.1:9/callback"  # nobody listens there


@pytest.fixture(scope="module")
def embedded(tmp_path_factory: pytest.TempPathFactory) -> Iterator[EmbeddedProvider]:
    with EmbeddedProvider(tmp_path_factory.mktemp("idp")) as provider:
        provider.allow(CALLBACK)
        yield provider


@pytest.fixture(scope="module")
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
