"""A bank with a portal, and a browser."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from office import Office
from playwright.sync_api import Browser, BrowserContext, sync_playwright

from controlplane import ControlPlane
from controlplane.bank import BEN, PAULA, Bank
from controlplane.idp import EmbeddedProvider
from controlplane.oidc import Provider
from controlplane.signing_in import ARGUMENTS, CHROMIUM
from tests.portal.house import House


@pytest.fixture(scope="session")
def provider(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Provider]:
    with EmbeddedProvider(tmp_path_factory.mktemp("provider")) as provider:
        yield provider


@pytest.fixture(scope="session")
def bank(tmp_path_factory: pytest.TempPathFactory, provider: Provider) -> Iterator[Bank]:
    work = tmp_path_factory.mktemp("portal")
    with ControlPlane(work / "control-plane") as plane, Bank(plane, work / "bank", portal=provider) as bank:
        bank.kubectl(PAULA, "apply", "-f", "examples/credit-scoring/policy.yaml")
        bank.kubectl(BEN, "apply", "-f", "examples/credit-scoring/explanation-configmap.yaml")
        yield bank


@pytest.fixture
def house(tmp_path: Path, provider: Provider) -> House:
    return House(tmp_path, provider)


@pytest.fixture
def office(bank: Bank) -> Office:
    return Office(bank)


@pytest.fixture(scope="module")  # no longer: while it is there, an event loop runs in this thread, and nothing else can have one
def chromium() -> Iterator[Browser]:
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=list(ARGUMENTS))
        yield browser
        browser.close()


@pytest.fixture
def browser(chromium: Browser) -> Iterator[BrowserContext]:
    context = chromium.new_context(ignore_https_errors=True)
    yield context
    context.close()
