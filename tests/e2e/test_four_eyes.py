"""Four eyes of publishers at a bank of its own, whose trust file asks for them: two must agree before a policy is in force."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from office import Office

from controlplane import ControlPlane
from controlplane.bank import BEN, CARLA, PAULA, PIA, Bank

from .conftest import reports

pytestmark = pytest.mark.cluster

AGREES = "signoff.dev/agrees"


@pytest.fixture(scope="module")
def careful(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Bank]:
    work = tmp_path_factory.mktemp("careful")
    with (
        ControlPlane(work / "control-plane") as plane,
        reports(plane) as source,
        Bank(plane, work / "bank", operator=source, four_eyes=True) as bank,
    ):
        bank.kubectl(BEN, "apply", "-f", "examples/credit-scoring/explanation-configmap.yaml")
        yield bank


def rules(office: Office, quorum: int) -> dict[str, Any]:
    role = {"name": "approver", "groups": ["model-approvers"], "count": 1}
    spec = {
        "models": [{"names": [office.model], "namespaces": ["credit"]}],
        "rules": [{"name": "everything", "tier": "tier-2"}],
        "tiers": {"tier-2": {"quorum": quorum, "roles": [role], "fourEyes": True, "assurance": "api-server"}},
    }
    metadata = {"name": f"of-two-{office.number}"}
    return {"apiVersion": "signoff.dev/v1alpha1", "kind": "PromotionPolicy", "metadata": metadata, "spec": spec}


def publication(bank: Bank, name: str) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(bank.kubectl(PIA, "get", "promotionpolicy", name, "-o", "json").stdout)["publication"]
    return found


def test_bypass_14_no_publisher_puts_a_policy_in_force_alone(careful: Bank, tmp_path: Path) -> None:
    office = Office(careful)
    policy = rules(office, 1)
    name = policy["metadata"]["name"]

    office.apply(PAULA, policy)
    office.apply(BEN, office.promotion())
    office.until(lambda: "awaits the agreement of a second publisher" in office.status().get("message", ""))
    assert office.condition("Stalled").get("status") == "True"

    digest = publication(careful, name)["statement"]
    for who, value, why in (
        (PAULA, digest, "cannot be the second who agrees to it"),
        (PIA, "sha256:" + "0" * 64, "is not the statement that is published now"),
        (CARLA, digest, "forbidden"),
    ):
        said = careful.kubectl(who, "annotate", "promotionpolicy", name, f"{AGREES}={value}", check=False)
        assert why in said.stderr
    assert "cannot be the second" in careful.signoff("policy", "agree", name, "--yes", who=PAULA).stderr
    office.apply(PIA, policy)  # the same text once more is no agreement
    assert "second" not in publication(careful, name)

    done = careful.signoff("policy", "agree", name, who=PIA, stdin=f"{name}\n")
    assert done.returncode == 0, done.stderr
    assert f"published by  {PAULA}" in done.stdout
    assert f"agreed  {name} is in force" in done.stdout
    assert publication(careful, name)["second"]["subject"] == PIA

    office.until(lambda: office.condition("Frozen").get("status") == "True")
    office.decide(CARLA)
    office.until(lambda: office.condition("Promoted").get("status") == "True")
    office.until(lambda: "created" in office.apply(BEN, office.pod(), check=False), within=5)
    told = careful.signoff("why", office.image)
    assert f"published by {PAULA}" in told.stdout
    assert f"agreed to by {PIA}" in told.stdout
    evidence = tmp_path / "evidence"
    assert careful.signoff("desk", str(office.status()["id"]), "--out", str(evidence)).returncode == 0
    assert (evidence / "policies" / f"{name}.sigstore.json").read_bytes() != (
        evidence / "policies" / "agreed" / f"{name}.sigstore.json"
    ).read_bytes()
    whole = careful.signoff("verify")
    assert whole.returncode == 0, whole.stdout


def test_a_changed_policy_is_in_force_once_a_second_publisher_agreed(careful: Bank) -> None:
    office = Office(careful)
    policy = rules(office, 2)
    name = policy["metadata"]["name"]
    office.apply(PAULA, policy)
    assert careful.signoff("policy", "agree", name, "--yes", who=PIA).returncode == 0
    before = publication(careful, name)
    frozen = office.frozen()

    office.apply(PAULA, rules(office, 1))  # laxer, by one publisher alone
    waiting = publication(careful, name)
    assert "second" not in waiting
    assert waiting["inForce"] == {"statement": before["statement"], "second": before["second"]["statement"]}
    office.decide(CARLA)
    office.until(lambda: "1 more of 2" in office.status().get("message", ""))
    assert office.status()["freeze"] == frozen["freeze"]
    assert not office.event_path().exists()

    assert careful.signoff("policy", "agree", name, "--yes", who=PIA).returncode == 0
    assert "inForce" not in publication(careful, name)
    office.until(lambda: office.status().get("freeze") not in {None, frozen["freeze"]})
    office.decide(CARLA)
    office.until(lambda: office.condition("Promoted").get("status") == "True")
