from __future__ import annotations

import pytest


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--histories", help="how many random histories; without it, the same few every time")
    parser.addoption("--mutant", help="a mutation by name: the histories must notice it")


@pytest.fixture(autouse=True)
def _mutated(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    name = request.config.getoption("--mutant", default=None)
    if name is not None:
        from tests.model.mutations import MUTATIONS

        MUTATIONS[name](monkeypatch)
