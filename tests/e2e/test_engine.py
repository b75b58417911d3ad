"""Tier 3 on a real API server: a signed check, the engine through the same door as people, and what escalates to people instead."""

from __future__ import annotations

import json
import time
from collections.abc import Mapping
from copy import deepcopy
from pathlib import Path
from typing import Any

import pytest
from builders import example
from checking import DRIFTED, QUIET, bring, brought, bundle_of, check_of, weekly
from office import Office

from controlplane.bank import BEN, CARLA, PAULA, Bank
from signoff.record.keys import PemSigner, generate_pem
from signoff.record.values import sha256

pytestmark = pytest.mark.cluster


@pytest.fixture(scope="module", autouse=True)
def weekly_policy(bank: Bank) -> None:
    """The policy of models that are refreshed each week."""
    policy = deepcopy(example("policy.yaml"))
    policy["metadata"]["name"] = "weekly-models"
    policy["spec"] = weekly(policy["spec"], bank.checker_id)
    policy["spec"]["models"] = [{"names": ["weekly-*"], "namespaces": ["credit"]}]
    Office(bank).apply(PAULA, policy)


@pytest.fixture
def office(bank: Bank) -> Office:
    return Office(bank, "weekly-model")


def checker(bank: Bank) -> PemSigner:
    return PemSigner(bank.checker_key.read_bytes())


def asking(office: Office, figures: Mapping[str, str] = QUIET, signer: PemSigner | None = None) -> dict[str, Any]:
    key = signer or checker(office.bank)
    return office.promotion(lambda spec: bring(spec, key, figures))


def promoted(office: Office) -> bool:
    return office.condition("Promoted").get("status") == "True"


def test_what_a_check_bears_out_is_promoted_by_its_policy_and_admitted(office: Office) -> None:
    began = time.monotonic()
    office.apply(BEN, asking(office))
    office.until(lambda: promoted(office))
    took = time.monotonic() - began
    assert took < 10, f"it took {took:.1f} s"
    assert office.status()["tier"] == "tier-3"
    office.apply(BEN, office.pod())
    why = office.bank.signoff("why", office.model)
    assert "signoff-system:signoff-engine" in why.stdout, why.stderr
    assert "weekly-refresh" in why.stdout
    assert "psi.max=0.031" in why.stdout
    assert "No person has looked at this" in why.stdout
    verified = office.bank.signoff("verify", office.status()["id"])
    assert verified.returncode == 0, verified.stdout
    audited = office.bank.signoff("verify")
    assert audited.returncode == 0, audited.stdout


def test_a_drift_goes_to_people_and_the_desk_says_why(office: Office, tmp_path: Path) -> None:
    office.apply(BEN, asking(office, DRIFTED))
    office.until(lambda: office.condition("Frozen").get("status") == "True")
    assert (office.status()["tier"], office.status()["rule"]) == ("tier-2", "named-individual")
    out = tmp_path / "desk"
    assert office.bank.signoff("desk", office.status()["id"], "--out", str(out)).returncode == 0
    shown = (out / "desk.txt").read_text()
    assert "its condition does not hold: psi.max is 0.31, auc.change is 0.0009" in " ".join(shown.split())
    assert (out / "checks" / "1.html.txt").read_text().startswith("<!doctype html>")
    office.decide(CARLA)
    office.until(lambda: promoted(office))


@pytest.mark.parametrize("case", ["without a check", "a foreign checker", "another candidate"])
def test_what_no_check_bears_out_waits_for_people(office: Office, case: str) -> None:
    stranger = PemSigner(generate_pem())
    other = "sha256:" + "7" * 64

    def change(spec: dict[str, Any]) -> None:
        if case == "a foreign checker":
            bring(spec, stranger)
        elif case == "another candidate":
            bring(spec, checker(office.bank), change=lambda value: value["candidate"].update(digest=other))

    office.apply(BEN, office.promotion(change))
    office.until(lambda: office.condition("Frozen").get("status") == "True")
    assert office.status()["tier"] == "tier-2"
    time.sleep(1)
    assert not promoted(office)


def test_nobody_presses_in_the_engines_place(office: Office) -> None:
    """Neither a person nor the accounts of operator and webhook, whatever roles they are given."""
    bank, plane = office.bank, office.bank.control_plane
    bank.end("engine")
    try:
        office.apply(BEN, asking(office))
        office.until(lambda: office.condition("Frozen").get("status") == "True")
        assert "may not" in (denied := office.decide(CARLA, check=False)) or "no policy engine" in denied, denied
        for account in ("signoff-operator", "signoff-webhook"):
            subject = f"--serviceaccount=signoff-system:{account}"
            plane.kubectl("create", "clusterrolebinding", f"{account}-as-engine", "--clusterrole=signoff-engine", subject)
            done = plane.kubectl(
                "create",
                "-f",
                "-",
                kubeconfig=plane.kubeconfig_for_service_account("signoff-system", account),
                input=json.dumps(office.decision()),
                check=False,
            )
            assert done.returncode
            assert "is no policy engine in the trust file" in done.stderr
            plane.kubectl("delete", "clusterrolebinding", f"{account}-as-engine")
        rejecting = plane.kubectl(
            "create",
            "-f",
            "-",
            kubeconfig=plane.kubeconfig_for_service_account("signoff-system", "signoff-engine"),
            input=json.dumps(office.decision(verdict="Reject")),
            check=False,
        )
        assert rejecting.returncode
        assert "the policy engine rejects nothing" in rejecting.stderr
        assert not promoted(office)
    finally:
        bank.start("engine")
    office.until(lambda: promoted(office))


def test_a_decision_of_somebody_elses_under_its_name_does_not_stop_the_engine(office: Office) -> None:
    bank = office.bank
    bank.end("engine")
    try:
        office.apply(BEN, asking(office))
        office.until(lambda: office.status().get("tier") == "tier-3")
        other = Office(bank)
        other.frozen()
        squatting = other.decision()
        squatting["metadata"]["name"] = "engine-" + office.status()["freeze"].removeprefix("sha256:")
        other.apply(CARLA, squatting, verb="create")
    finally:
        bank.start("engine")
    office.until(lambda: promoted(office))


def test_the_engine_decides_nothing_that_is_given_to_people_whatever_its_roles(office: Office) -> None:
    plane = office.bank.control_plane
    subject = "--serviceaccount=signoff-system:signoff-engine"
    plane.kubectl("create", "clusterrolebinding", "engine-in-tier-2", "--clusterrole=signoff-approve-tier-2", subject)
    try:
        office.apply(BEN, asking(office, DRIFTED))
        office.until(lambda: office.condition("Frozen").get("status") == "True")
        done = plane.kubectl(
            "create",
            "-f",
            "-",
            kubeconfig=plane.kubeconfig_for_service_account("signoff-system", "signoff-engine"),
            input=json.dumps(office.decision()),
            check=False,
        )
        assert done.returncode
        assert "is a service, and tier-2 is decided by people" in done.stderr
    finally:
        plane.kubectl("delete", "clusterrolebinding", "engine-in-tier-2")


def test_a_check_that_is_none_is_refused_when_it_is_submitted(office: Office) -> None:
    def change(spec: dict[str, Any]) -> None:
        spec["checks"] = [brought(b"{}")]

    assert "spec.checks[0].bundle" in office.apply(BEN, office.promotion(change), check=False)


def test_a_report_that_is_not_the_signed_one_freezes_nothing(office: Office) -> None:
    def of_another(value: dict[str, Any]) -> None:
        value["report"] |= {"digest": sha256(office.model.encode()), "size": len(office.model)}

    def change(spec: dict[str, Any]) -> None:
        spec["checks"] = [brought(bundle_of(check_of(spec, change=of_another), checker(office.bank)), report="another report")]

    office.apply(BEN, office.promotion(change))
    office.until(lambda: office.condition("Ready").get("reason") == "CannotFreeze")
    assert "give the very report that was signed for" in office.condition("Ready")["message"]
    assert not office.status().get("freeze")


def test_a_stricter_policy_takes_what_waits_for_the_engine_to_people(office: Office) -> None:
    bank = office.bank
    bank.end("engine")
    strict = deepcopy(example("policy.yaml"))
    strict["metadata"]["name"] = "all-by-people"
    strict["spec"]["models"][0]["names"] = [office.model]
    try:
        office.apply(BEN, asking(office))
        office.until(lambda: office.status().get("tier") == "tier-3")
        office.apply(PAULA, strict)
        office.until(lambda: office.status().get("tier") == "tier-2")
    finally:
        bank.start("engine")
    time.sleep(1)
    assert not promoted(office)
    office.decide(CARLA)
    office.until(lambda: promoted(office))
    bank.kubectl(PAULA, "delete", "promotionpolicy", "all-by-people")
