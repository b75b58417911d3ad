from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.webhook.listening import Listening, promote


@pytest.fixture(scope="session")
def listening(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Listening]:
    """The listeners over an archive that holds the event of the example's promotion."""
    with Listening(tmp_path_factory.mktemp("webhook")) as listening:
        promote(listening.world)
        yield listening
