"""Views in a real browser, of events that were decided by the real functions, in a folder and as a server shows them."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from browsing import Listener, launched
from playwright.sync_api import Browser

sys.path.insert(0, str(Path(__file__).parents[1] / "cli"))


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with launched() as chromium:
        yield chromium


@pytest.fixture
def listener() -> Iterator[Listener]:
    listening = Listener()
    yield listening
    listening.close()
