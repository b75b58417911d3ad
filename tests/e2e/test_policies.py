"""Policies with conditions at the bank: what the history and the claims of a request make of its route, and whom it then takes."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator
from copy import deepcopy
from pathlib import Path
from typing import Any

import pytest
from office import Office
from scraping import scrape

from controlplane.bank import BEN, CARLA, DAVID, PAULA, Bank

pytestmark = pytest.mark.cluster

CHANGE = "change"


def tier(quorum: int) -> dict[str, Any]:
    role = {"name": "approver", "groups": ["model-approvers"], "count": 1}
    return {"quorum": quorum, "roles": [role], "fourEyes": True, "assurance": "api-server"}


def conditional(office: Office, **changes: Any) -> dict[str, Any]:
    """A policy for one test's model: its first version and every major change go to a committee of two."""
    spec = {
        "models": [{"names": [office.model], "namespaces": ["credit"], "class": "credit decision"}],
        "rules": [{"name": "first-version", "tier": "tier-1", "when": "!incumbent.exists"}, {"name": "further-version", "tier": "tier-2"}],
        "raise": [{"name": "major-change", "tier": "tier-1", "when": f'claims.materiality["{CHANGE}"] != "minor"'}],
        "tiers": {"tier-1": tier(2), "tier-2": tier(1)},
        **changes,
    }
    name = f"committee-{office.number}"
    return {"apiVersion": "signoff.dev/v1alpha1", "kind": "PromotionPolicy", "metadata": {"name": name}, "spec": spec}


def publish(bank: Bank, policy: dict[str, Any], *, check: bool = True) -> str:
    done = bank.kubectl(PAULA, "apply", "-f", "-", stdin=json.dumps(policy), check=check)
    return done.stdout + done.stderr


@pytest.fixture
def committee(bank: Bank, office: Office) -> Iterator[Office]:
    """The office, under its policy; those who approve may approve tier 1 as well."""
    policy, binding = conditional(office), f"tier-1-{office.number}"
    asked = ("-n", "credit", "rolebinding", binding)
    bank.control_plane.kubectl("create", *asked, "--clusterrole=signoff-approve-tier-1", "--group=model-approvers")
    publish(bank, policy)
    yield office
    # Before their policy goes: what waits would be frozen anew under another, in the midst of other tests.
    waiting = [f"{office.model}-{version}" for version in ("1.0.0", "2.0.0")]
    bank.control_plane.kubectl("-n", "credit", "delete", "modelpromotion", "--ignore-not-found", *waiting)
    bank.kubectl(PAULA, "delete", "promotionpolicy", policy["metadata"]["name"])
    bank.control_plane.kubectl("delete", *asked)


def a_minor_change(spec: dict[str, Any]) -> None:
    spec["materiality"] = {CHANGE: "minor"}


def next_version(office: Office) -> None:
    """From here on the office asks for version 2.0.0, against the live 1.0.0."""
    before, office.name = office.digest, f"{office.model}-2.0.0"
    office.digest = "sha256:" + hashlib.sha256(f"{office.model} 2".encode()).hexdigest()
    office.image = f"registry.bank.example/models/{office.model}@{office.digest}"
    made = office.promotion

    def promotion(change: Any = lambda _: None) -> dict[str, Any]:
        manifest = made()
        spec = manifest["spec"]
        spec["model"] |= {"version": "2.0.0", "incumbent": {"version": "1.0.0", "digest": before}}
        spec["comparison"]["candidate"]["version"] = "2.0.0"
        spec["comparison"]["incumbent"] = {**spec["model"]["incumbent"], "metrics": deepcopy(spec["comparison"]["candidate"]["metrics"])}
        change(spec)
        return manifest

    office.promotion = promotion  # type: ignore[method-assign]


def promoted_by_two(office: Office) -> None:
    status = office.frozen(a_minor_change)
    assert (status["tier"], status["rule"]) == ("tier-1", "first-version")
    office.decide(CARLA)
    office.until(lambda: "1 more of 2" in office.status()["message"])
    assert not office.event_path().exists()
    office.decide(DAVID)
    office.until(lambda: office.condition("Promoted").get("status") == "True")


def test_a_first_version_takes_a_committee_and_a_further_one_an_approver(committee: Office, bank: Bank) -> None:
    promoted_by_two(committee)
    next_version(committee)
    status = committee.frozen(a_minor_change)
    assert (status["tier"], status["rule"], status["policy"]) == ("tier-2", "further-version", f"committee-{committee.number}")
    payload = json.loads((bank.archive_folder / "freezes" / status["id"] / status["freeze"].removeprefix("sha256:")).read_text())
    assert payload["route"]["inputs"]["incumbent"] == "1.0.0 (tier-1)"
    committee.decide(CARLA)
    committee.until(lambda: committee.condition("Promoted").get("status") == "True")


def test_who_approves_in_tier_1_says_that_the_explanation_was_opened(committee: Office, bank: Bank) -> None:
    committee.frozen(a_minor_change)
    for said in ({"explanationOpened": False}, {"explanationOpened": None}):
        refused = committee.decide(CARLA, check=False, **said)
        assert "spec.explanationOpened" in refused
    assert not committee.archived(f"seals/{committee.status()['freeze'].removeprefix('sha256:')}")
    committee.decide(CARLA)
    committee.decide(DAVID)
    committee.until(lambda: committee.condition("Promoted").get("status") == "True")
    told = bank.signoff("why", committee.model, "-o", "json").stdout
    assert [one["explanationOpened"] for one in json.loads(told)["outcomes"][0]["decisions"]] == [True, True]


@pytest.mark.parametrize("claims", [{CHANGE: "major"}, {}], ids=["claimed", "not claimed"])
def test_a_claim_makes_the_route_stricter_and_leaving_it_out_does_too(committee: Office, claims: dict[str, str]) -> None:
    promoted_by_two(committee)
    next_version(committee)

    def change(spec: dict[str, Any]) -> None:
        spec.pop("materiality", None)
        spec |= {"materiality": claims} if claims else {}

    status = committee.frozen(change)
    assert (status["tier"], status["rule"]) == ("tier-1", "major-change")
    committee.decide(CARLA)
    committee.until(lambda: "1 more of 2" in committee.status()["message"])
    assert not committee.event_path().exists()


def test_a_policy_that_becomes_stricter_ends_the_old_desk(committee: Office, bank: Bank) -> None:
    promoted_by_two(committee)
    next_version(committee)
    old = committee.frozen(a_minor_change)
    decision = committee.decision()
    publish(bank, conditional(committee, rules=[{"name": "everything", "tier": "tier-1"}]))
    said = committee.apply(CARLA, decision, verb="create", check=False)
    assert "the policies in force now ask for more than when the desk was frozen" in " ".join(said.split())
    committee.until(lambda: committee.status().get("freeze") not in {None, old["freeze"]})
    assert (committee.status()["tier"], committee.status()["rule"]) == ("tier-1", "everything")
    committee.decide(CARLA)
    committee.decide(DAVID)
    committee.until(lambda: committee.condition("Promoted").get("status") == "True")
    assert committee.status()["id"] == old["id"]


def test_a_condition_that_does_not_compile_is_refused_at_kubectl(office: Office, bank: Bank) -> None:
    broken = conditional(office, rules=[{"name": "by-class", "tier": "tier-2", "when": "model.clas == 'credit decision'"}])
    said = publish(bank, broken, check=False)
    assert "spec.rules[0].when: line 1, column 6: undeclared reference to 'model.clas'" in said
    assert bank.control_plane.kubectl("get", "promotionpolicy", broken["metadata"]["name"], check=False).returncode != 0


def test_an_emergency_goes_live_for_a_day_and_owes_a_full_approval(office: Office, bank: Bank, operator_metrics: int) -> None:
    rules = [{"name": "outage", "tier": "tier-2", "emergency": True}, {"name": "otherwise", "tier": "tier-2"}]
    policy = conditional(office, rules=rules)
    policy["spec"].pop("raise")
    publish(bank, policy)
    try:
        status = office.frozen(lambda spec: spec.update(validFor="24h"))
        assert status["rule"] == "outage"
        office.decide(CARLA)
        office.until(lambda: office.condition("Promoted").get("status") == "True")
        office.until(lambda: office.condition("Ready").get("reason") == "PromotedInEmergency")
        assert "a full approval is owed" in office.status()["message"]
        office.until(lambda: "created" in office.apply(BEN, office.pod(), check=False), within=5)
        assert scrape(operator_metrics).value("signoff_emergencies_owed") >= 1
        told = bank.signoff("why", office.image)
        assert "EMERGENCY" in told.stdout
    finally:
        bank.kubectl(PAULA, "delete", "promotionpolicy", policy["metadata"]["name"])


def test_bypass_14_an_emergency_is_no_way_around_the_committee(committee: Office, bank: Bank) -> None:
    """What went live in a hurry is no history: the next version is still the first that anybody decides on in full."""
    rules = conditional(committee)["spec"]["rules"]
    publish(bank, conditional(committee, rules=[{"name": "outage", "tier": "tier-2", "emergency": True}, *rules]))

    def hurried(spec: dict[str, Any]) -> None:
        a_minor_change(spec)
        spec["validFor"] = "24h"

    assert committee.frozen(hurried)["rule"] == "outage"
    committee.decide(CARLA)
    committee.until(lambda: committee.condition("Promoted").get("status") == "True")
    next_version(committee)
    status = committee.frozen(a_minor_change)
    assert (status["tier"], status["rule"]) == ("tier-1", "first-version")
    committee.decide(CARLA)
    committee.until(lambda: "1 more of 2" in committee.status()["message"])


def test_what_a_changed_policy_would_have_asked_is_told_with_the_pods_that_run(office: Office, bank: Bank, tmp_path: Path) -> None:
    office.promoted(CARLA)
    office.until(lambda: "created" in office.apply(BEN, office.pod(), "--dry-run=server", check=False), within=15)
    running = office.pod()
    office.apply(BEN, running, verb="create")
    policy = tmp_path / "strict.json"
    policy.write_text(json.dumps(conditional(office, rules=[{"name": "always", "tier": "tier-1"}])))
    told = bank.signoff("reclassify", "--policy", str(policy), office.model, "--running", "-o", "json", who=BEN)
    assert told.returncode == 1, told.stderr
    one, summary = map(json.loads, told.stdout.splitlines())
    assert (one["verdict"], one["promotion"]["then"]["tier"], one["now"]["tier"]) == ("stricter", "tier-2", "tier-1")
    assert one["running"] == [f"credit/{running['metadata']['name']}"]
    assert summary["running"] == {"pods": 1, "untold": []}
    history = bank.signoff("history", office.model)
    assert (history.returncode, "is live for production in demo, the first there" in " ".join(history.stdout.split())) == (0, True)
