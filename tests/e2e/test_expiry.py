"""Expiry, minimum tiers and wrong clocks at the bank: what was consented to ends, and what goes on then."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from office import Office

from controlplane.bank import BEN, CARLA, PETRA, Bank
from tests.e2e.test_corrections import corrected

pytestmark = pytest.mark.cluster
HOUR = 3600
Clock = Callable[[float], None]


def promoted(bank: Bank, **spec: Any) -> Office:
    office = Office(bank)
    office.frozen(lambda asked: asked.update(validFor="1h", **spec))
    office.decide(CARLA)
    office.until(lambda: office.condition("Promoted").get("status") == "True")
    return office


def deployment(office: Office, name: str = "", **env: str) -> dict[str, Any]:
    container = {"name": "model", "image": office.image, "env": [{"name": key, "value": value} for key, value in env.items()]}
    labels = {"app": name or office.model}
    template = {"metadata": {"labels": labels}, "spec": {"containers": [container]}}
    spec = {"replicas": 1, "selector": {"matchLabels": labels}, "template": template}
    return {"apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": labels["app"], "namespace": "credit"}, "spec": spec}


def pods(bank: Bank, office: Office, phase: str = "Running") -> list[str]:
    found = bank.kubectl(BEN, "get", "pods", "-n", "credit", "-l", f"app={office.model}", "-o", "json").stdout
    items = json.loads(found)["items"]
    return [one["metadata"]["name"] for one in items if one["status"]["phase"] == phase and "deletionTimestamp" not in one["metadata"]]


def replaced(bank: Bank, office: Office) -> bool:
    """Delete the Deployment's Pod, and say whether another comes."""
    [pod] = pods(bank, office)
    bank.kubectl(BEN, "delete", "pod", pod, "-n", "credit", "--wait=true", "--grace-period=0", "--force")
    for _ in range(60):
        left = [one for one in pods(bank, office) if one != pod]
        if left:
            return True
        found = bank.kubectl(BEN, "get", "replicaset", "-n", "credit", "-l", f"app={office.model}", "-o", "json").stdout
        conditions = [one for item in json.loads(found)["items"] for one in item["status"].get("conditions", ())]
        if any(one["type"] == "ReplicaFailure" and "promotion expired" in one["message"] for one in conditions):
            return False
        time.sleep(0.25)
    raise AssertionError("neither came a Pod, nor was one refused")


def test_what_ran_before_goes_on_and_no_new_rollout_is_admitted(bank: Bank, clock: Clock) -> None:
    office = promoted(bank, onExpiry="deny-new-rollouts")
    warned = office.apply(BEN, deployment(office))
    assert "its promotion expires at" in warned, "it is warned of before it is over"
    assert "from then on no new rollout is admitted" in warned
    office.until(lambda: len(pods(bank, office)) == 1)
    clock(HOUR + 5)
    assert replaced(bank, office), "a Pod of what ran before is started again"
    refused = office.apply(BEN, office.pod(), check=False)
    assert "the promotion expired at" in refused
    assert "only what ran before is started again" in refused
    fresh = office.apply(BEN, deployment(office, f"{office.model}-new"), check=False)
    assert "the promotion expired at" in fresh


def test_bypass_04_an_owner_that_is_only_named_starts_nothing_after_the_expiry(bank: Bank, clock: Clock) -> None:
    office = promoted(bank, onExpiry="deny-new-rollouts")
    office.apply(BEN, deployment(office))
    office.until(lambda: len(pods(bank, office)) == 1)
    found = json.loads(bank.kubectl(BEN, "get", "replicaset", "-n", "credit", "-l", f"app={office.model}", "-o", "json").stdout)
    [owner] = found["items"]
    reference = {"apiVersion": "apps/v1", "kind": "ReplicaSet", "name": owner["metadata"]["name"], "uid": owner["metadata"]["uid"]}
    other = Office(bank)
    clock(HOUR + 5)

    def claimed(**changes: Any) -> str:
        pod = office.pod()
        pod["metadata"]["ownerReferences"] = [{**reference, "controller": True, **changes}]
        return office.apply(BEN, pod, "--dry-run=server", check=False)

    assert "the promotion expired" in claimed(uid="00000000-0000-0000-0000-000000000000")
    assert "the promotion expired" in claimed(name="another")
    assert "the promotion expired" in claimed(kind="StatefulSet")
    assert "the promotion expired" in claimed(controller=False)
    assert "created" in claimed(), "the real one, with the very images"
    pod = office.pod(other.image)
    pod["metadata"]["ownerReferences"] = [{**reference, "controller": True}]
    assert "no promotion event" in office.apply(BEN, pod, "--dry-run=server", check=False), "the owner has no such image"


def test_deny_all_refuses_what_is_started_again_too(bank: Bank, clock: Clock) -> None:
    office = promoted(bank)
    office.apply(BEN, deployment(office))
    office.until(lambda: len(pods(bank, office)) == 1)
    clock(HOUR + 5)
    assert not replaced(bank, office)


@pytest.mark.parametrize("skew", [-300, 300])
def test_a_clock_that_is_five_minutes_wrong_moves_the_expiry_by_five_minutes(bank: Bank, clock: Clock, skew: int) -> None:
    """The gate's own clock decides: one that is ahead refuses early, one that is behind admits for as much longer."""
    office = promoted(bank)
    clock(HOUR - 200 + skew)
    told = office.apply(BEN, office.pod(), "--dry-run=server", check=False)
    assert ("created" in told) is (skew < 0)


@pytest.mark.parametrize("skew", [-300, 300])
def test_a_clock_that_is_five_minutes_wrong_changes_nothing_of_how_fresh_an_answer_is(bank: Bank, clock: Clock, skew: int) -> None:
    """What counts seconds does not ask what time it is: an answer is kept, and forgotten, as ever."""
    office = promoted(bank)

    def told() -> str:
        return office.apply(BEN, office.pod(), "--dry-run=server", check=False)

    office.until(lambda: "created" in told(), within=5)
    clock(skew)
    assert "created" in told()
    clock(0)
    assert "created" in corrected(office)
    clock(skew)
    assert "revoked by rita" in told()


def test_a_clock_that_is_behind_does_not_sign_before_its_key_begins(bank: Bank, clock: Clock) -> None:
    """And one that is ahead signs what is believed: keys are judged by when the store took it."""
    clock(-10 * 24 * HOUR)
    office = Office(bank)
    assert "this webhook's key is not valid now" in office.apply(BEN, office.promotion(), check=False)
    clock(300)
    office.promoted(CARLA)
    assert bank.signoff("verify", str(office.status()["id"])).returncode == 0


def test_an_expired_promotion_says_so_in_its_status_and_before_that_it_is_soon(bank: Bank, clock: Clock) -> None:
    office = promoted(bank)
    office.until(lambda: office.condition("Ready").get("reason") == "ExpiresSoon")
    assert office.condition("Ready")["status"] == "True"
    clock(HOUR + 5)
    bank.kubectl(BEN, "annotate", "modelpromotion", office.name, "-n", "credit", "looked=again")
    office.until(lambda: office.condition("Ready").get("reason") == "Expired")
    assert office.condition("Stalled")["status"] == "True"
    assert "renew it by a new request" in office.status()["message"]


LABELS_REMEMBERED = 2.5


@pytest.fixture
def strict(bank: Bank) -> Iterator[Callable[[str], None]]:
    def minimum(tier: str) -> None:
        bank.kubectl(PETRA, "label", "namespace", "credit", f"signoff.dev/minimum-tier={tier}", "--overwrite")

    yield minimum
    bank.kubectl(PETRA, "label", "namespace", "credit", "signoff.dev/minimum-tier-")
    # What the gate remembers it remembers for a place: no test that follows begins in the one and goes on in the other.
    time.sleep(LABELS_REMEMBERED)


def test_a_namespace_takes_its_minimum_tier_or_a_stricter_one(bank: Bank, strict: Callable[[str], None]) -> None:
    office = Office(bank)
    office.promoted(CARLA)

    def told() -> str:
        return office.apply(BEN, office.pod(), "--dry-run=server", check=False)

    strict("tier-2")
    assert "created" in told()
    strict("tier-1")
    office.until(lambda: "promoted in tier-2, and the namespace takes tier-1 or stricter" in told(), within=4)
    strict("tier-3")
    office.until(lambda: "created" in told(), within=4)
    refused = bank.kubectl(PETRA, "label", "namespace", "credit", "signoff.dev/minimum-tier=gold", "--overwrite", check=False)
    assert "signoff.dev/minimum-tier is tier-1, tier-2 or tier-3" in refused.stderr


def test_who_edits_the_namespace_does_not_lower_its_minimum_tier(bank: Bank, strict: Callable[[str], None]) -> None:
    strict("tier-1")
    plane = bank.control_plane
    plane.kubectl("create", "clusterrolebinding", "team-namespaces", "--clusterrole=bank-platform", "--group=credit-team")
    try:
        told = bank.kubectl(BEN, "label", "namespace", "credit", "signoff.dev/minimum-tier-", check=False)
    finally:
        plane.kubectl("delete", "clusterrolebinding", "team-namespaces")
    assert told.returncode != 0
    assert "signoff" in told.stderr
