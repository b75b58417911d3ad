"""The listeners of `tests/webhook`, over an archive of their own."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.webhook.listening import Listening, promote


@pytest.fixture(scope="module")
def listening(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Listening]:
    with Listening(tmp_path_factory.mktemp("hostile")) as listening:
        promote(listening.world)
        yield listening
