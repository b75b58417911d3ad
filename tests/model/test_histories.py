"""Histories by the hundred: the same ones every time in `make test`, random ones in `make histories`."""

from __future__ import annotations

import pytest
from hypothesis import HealthCheck, Phase, settings
from hypothesis.stateful import run_state_machine_as_test

from tests.model.doing import COUNTS
from tests.model.machine import Histories

FIXED = 150


@pytest.mark.timeout(0)  # ten thousand take hours, and a machine under load takes its time over a hundred
def test_every_history_keeps_the_promises(pytestconfig: pytest.Config) -> None:
    wanted = pytestconfig.getoption("--histories", default=None)
    mutant = pytestconfig.getoption("--mutant", default=None)
    how = settings(
        max_examples=int(wanted) if wanted else FIXED,
        stateful_step_count=30,
        derandomize=not wanted,
        database=None,
        deadline=None,
        print_blob=bool(wanted),
        phases=(Phase.generate,) if mutant else (Phase.explicit, Phase.generate, Phase.shrink),
        suppress_health_check=list(HealthCheck),
    )
    COUNTS.clear()
    run_state_machine_as_test(Histories, settings=how)
    print(COUNTS)
