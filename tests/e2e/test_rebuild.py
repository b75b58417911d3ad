"""The cluster is lost, and another has its archive; and two clusters share one archive, each for a target of its own."""

from __future__ import annotations

import time
from collections.abc import Iterator
from copy import deepcopy
from typing import Any

import pytest
import yaml
from builders import example
from office import Office

from controlplane import ControlPlane
from controlplane.bank import BEN, CARLA, DAVID, PAULA, RITA, Bank
from signoff.archive import layout
from tests.e2e.test_corrections import correction

pytestmark = pytest.mark.cluster


def policy(name: str, model: str, people: int) -> str:
    text: dict[str, Any] = deepcopy(example("policy.yaml"))
    text["metadata"]["name"] = name
    text["spec"]["models"] = [{"names": [model], "namespaces": ["credit"]}]
    tier = text["spec"]["tiers"]["tier-2"]
    tier["quorum"] = people
    tier["roles"][0]["count"] = people
    return yaml.safe_dump(text)


class Before:
    """What was done in the cluster that was lost."""

    def __init__(self, bank: Bank) -> None:
        self.promoted, self.revoked, self.pending = (Office(bank, family) for family in ("kept-model", "revoked-model", "pending-model"))
        for office in (self.promoted, self.revoked, self.pending):
            bank.kubectl(PAULA, "apply", "-f", "-", stdin=policy(office.model, office.model, 2 if office is self.pending else 1))
        for office in (self.promoted, self.revoked):
            office.promoted(CARLA)
        self.manifests = {office.name: office.promotion() for office in (self.promoted, self.revoked, self.pending)}
        self.correction = correction(self.revoked)
        self.revoked.apply(RITA, self.correction, verb="create")
        self.pending.frozen()
        self.pending.decide(CARLA)
        self.pending.until(lambda: len(self.pending.status().get("seals", ())) == 1)
        self.freeze = self.pending.status()["freeze"]
        self.sealed_at = self.pending.status()["seals"][0]["time"]
        self.events = {office.name: office.status()["event"] for office in (self.promoted, self.revoked)}


@pytest.fixture(scope="module")
def before(bank: Bank) -> Before:
    return Before(bank)


@pytest.fixture(scope="module")
def heir(bank: Bank, before: Before, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Bank]:
    """A cluster made anew: nothing but the archive, the keys and the trust file's digest is left of the old one."""
    assert before.freeze
    work = tmp_path_factory.mktemp("heir")
    with ControlPlane(work / "control-plane") as plane, Bank(plane, work / "bank", engine=False, shares=bank) as heir:
        yield heir


def anew(heir: Bank, office: Office) -> Office:
    """The same model's office, in the new cluster."""
    other = Office(heir)
    other.model, other.name, other.digest, other.image = office.model, office.name, office.digest, office.image
    return other


def told(office: Office) -> str:
    return office.apply(BEN, office.pod(), "--dry-run=server", check=False)


def test_the_gate_of_a_new_cluster_starts_from_the_archive_alone(heir: Bank, before: Before) -> None:
    assert "created" in told(anew(heir, before.promoted)), "no manifest has been applied here"
    assert "revoked by rita@bank.example" in told(anew(heir, before.revoked))
    assert "no promotion event" in told(anew(heir, before.pending))


def test_manifests_synced_again_are_recognised_without_a_click(heir: Bank, before: Before) -> None:
    heir.kubectl(BEN, "apply", "-f", "examples/credit-scoring/explanation-configmap.yaml")
    for office in (before.promoted, before.revoked):
        other = anew(heir, office)
        other.apply(BEN, before.manifests[office.name])
        other.until(lambda other=other: "event" in other.status())
        assert other.status()["event"] == before.events[office.name]
    assert anew(heir, before.promoted).condition("Promoted")["status"] == "True"
    assert anew(heir, before.revoked).condition("Ready")["reason"] == "Revoked"


def test_an_old_correction_that_is_synced_again_says_nothing_new(heir: Bank, before: Before) -> None:
    folder = heir.archive_folder / layout.corrections_prefix(before.events[before.revoked.name])
    stored = {path.name: path.read_bytes() for path in folder.iterdir()}
    done = heir.control_plane.kubectl("create", "-f", "-", input=yaml.safe_dump(before.correction))
    assert "rita@bank.example revoked this at" in done.stderr
    assert {path.name: path.read_bytes() for path in folder.iterdir()} == stored


def test_a_pending_freeze_is_used_again_and_who_presses_again_gets_the_stored_seal(heir: Bank, before: Before) -> None:
    heir.kubectl(BEN, "apply", "-f", "examples/credit-scoring/explanation-configmap.yaml")
    heir.kubectl(PAULA, "apply", "-f", "-", stdin=policy(before.pending.model, before.pending.model, 2))
    office = anew(heir, before.pending)
    office.apply(BEN, before.manifests[office.name])
    office.until(lambda: office.condition("Frozen").get("status") == "True")
    assert office.status()["freeze"] == before.freeze, "spec and policy are the same, and so is the desk"
    pressed = office.decide(CARLA)
    assert f"you decided this at {before.sealed_at} already; that seal stands" in pressed
    assert "created" in office.decide(DAVID)
    office.until(lambda: office.condition("Promoted").get("status") == "True")
    times = {one["principal"]: one["time"] for one in office.status()["seals"]}
    assert times[CARLA] == before.sealed_at
    assert times[DAVID] >= before.sealed_at
    office.until(lambda: "created" in told(office), within=5)


@pytest.fixture(scope="module")
def dev(bank: Bank, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Bank]:
    """The development cluster: the same archive, keys of its own, which may speak for development alone."""
    work, old = tmp_path_factory.mktemp("dev"), bank.trust
    with (
        ControlPlane(work / "control-plane") as plane,
        Bank(plane, work / "bank", shares=bank, cluster="dev", environment="development") as dev,
    ):
        dev.kubectl(BEN, "apply", "-f", "examples/credit-scoring/explanation-configmap.yaml")
        bank.follow(dev.trust)
        yield dev
    bank.follow(old)


def for_dev(spec: dict[str, Any]) -> None:
    spec["target"] = {"environment": "development", "clusters": ["dev"], "namespaces": ["credit"]}


def test_bypass_17_of_two_clusters_that_share_an_archive_each_promotes_for_its_own_target(
    bank: Bank, dev: Bank
) -> None:
    here, there = Office(bank, "shared-model"), Office(dev)
    there.model, there.name, there.digest, there.image = here.model, here.name, here.digest, here.image
    for one in (bank, dev):
        one.kubectl(PAULA, "apply", "-f", "-", stdin=policy(here.model, here.model, 1))
    there.frozen(for_dev)
    there.decide(CARLA)
    there.until(lambda: there.condition("Promoted").get("status") == "True")
    there.until(lambda: "created" in told(there), within=5)
    assert "no promotion event for this digest for production in demo/credit" in told(here)
    assert bank.signoff("why", here.image).stdout.count("promoted") >= 1, "one archive knows of both"
    # The other way round: the same manifest is another cluster's there, and what is promoted in production is none of development's.
    here.promoted(CARLA)
    here.until(lambda: "created" in told(here), within=5)
    assert here.status()["event"] != there.status()["event"]


def test_bypass_17_the_development_cluster_neither_asks_nor_decides_nor_revokes_for_production(bank: Bank, dev: Bank) -> None:
    there = Office(dev, "reaching-model")
    dev.kubectl(PAULA, "apply", "-f", "-", stdin=policy(there.model, there.model, 1))

    def reaching(spec: dict[str, Any]) -> None:
        spec["target"] = {"environment": "production", "clusters": ["dev", "demo"], "namespaces": ["credit"]}

    refused = there.apply(BEN, there.promotion(reaching), check=False)
    assert "cluster dev may not speak for production in dev, demo" in refused
    here = Office(bank, "reached-model")
    bank.kubectl(PAULA, "apply", "-f", "-", stdin=policy(here.model, here.model, 1))
    here.promoted(CARLA)
    made = correction(here)
    refused = Office(dev).apply(RITA, made, check=False, verb="create")
    assert "cluster dev may not speak for production in demo" in refused
    time.sleep(0.1)
    assert "created" in told(here)


def test_what_the_development_cluster_writes_is_no_finding_of_the_audit(bank: Bank, dev: Bank) -> None:
    assert dev.trust == bank.trust
    told = bank.signoff("verify")
    assert "No findings" in told.stdout, told.stdout
