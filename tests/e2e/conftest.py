"""One bank for all end-to-end tests: a control plane of its own, signoff installed, its processes running."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from office import Office

from controlplane import ControlPlane
from controlplane.bank import BEN, PAULA, Bank


@pytest.fixture(scope="session")
def bank(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Bank]:
    work = tmp_path_factory.mktemp("bank")
    with ControlPlane(work / "control-plane") as plane, Bank(plane, work / "bank") as bank:
        bank.kubectl(PAULA, "apply", "-f", "examples/credit-scoring/policy.yaml")
        bank.kubectl(BEN, "apply", "-f", "examples/credit-scoring/explanation-configmap.yaml")
        yield bank


@pytest.fixture
def office(bank: Bank) -> Office:
    return Office(bank)
