from __future__ import annotations

import dataclasses

import pytest

from signoff.verify import verifier


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--switch-off", help="a verifier's rule, by name: the tests named after it must then fail")


@pytest.fixture(autouse=True)
def _switched_off(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    name = request.config.getoption("--switch-off", default=None)
    if name is None:
        return
    known = {rule.name for rule in (*verifier.RULES, *verifier.PLACE_RULES)}
    assert name in known, f"no rule is named {name}"

    def says_nothing(*_: object) -> None:
        return None

    for table in ("RULES", "PLACE_RULES"):
        rules = getattr(verifier, table)
        changed = tuple(dataclasses.replace(rule, check=says_nothing) if rule.name == name else rule for rule in rules)
        monkeypatch.setattr(verifier, table, changed)
