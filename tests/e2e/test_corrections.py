"""Corrections at the bank: who may, what a revocation does at once and within its bound, and what nobody can undo."""

from __future__ import annotations

import json
import time
from typing import Any

import pytest
from office import Office

from controlplane.bank import BEN, CARLA, RITA, Bank
from signoff.archive import layout
from tests.e2e.test_faults import away

pytestmark = pytest.mark.cluster


def correction(office: Office, **changes: Any) -> dict[str, Any]:
    status = office.status()
    spec = {"request": status["id"], "event": status["event"], "verdict": "Revoke", "reason": "The evaluation data were wrong.", **changes}
    metadata = {"name": f"{office.name}-{spec['verdict'].lower()}", "namespace": "credit"}
    return {"apiVersion": "signoff.dev/v1alpha1", "kind": "PromotionCorrection", "metadata": metadata, "spec": spec}


def corrected(office: Office, who: str = RITA, *, verb: str = "create", **changes: Any) -> str:
    return office.apply(who, correction(office, **changes), check=False, verb=verb)


def admitted(office: Office) -> bool:
    return "created" in office.apply(BEN, office.pod(), "--dry-run=server", check=False)


def test_a_revocation_bites_at_once_and_is_told_everywhere(office: Office, bank: Bank) -> None:
    request = office.promoted(CARLA)
    office.until(lambda: admitted(office), within=5)
    running = office.pod()
    office.apply(BEN, running, verb="create")
    told = corrected(office)
    assert "created" in told
    refused = office.apply(BEN, office.pod(), check=False)
    assert "revoked by rita@bank.example at" in refused, "the gate of this process knows it before the archive is asked"
    assert "The evaluation data were wrong." in refused
    [key] = office.archived(f"corrections/{office.status()['event'].removeprefix('sha256:')}")
    assert key
    office.until(lambda: office.condition("Ready").get("reason") == "Revoked")
    assert office.condition("Ready")["status"] == "False"
    assert office.condition("Stalled")["status"] == "True"
    assert office.condition("Promoted")["status"] == "False"
    name = running["metadata"]["name"]
    assert office.status()["running"] == [f"credit/{name}"], "what runs is told, and not killed"
    assert "Running" in bank.kubectl(BEN, "get", "pod", name, "-n", "credit").stdout
    assert office.status()["corrections"][0]["principal"] == RITA
    events = bank.control_plane.kubectl("get", "events", "-n", "credit", "-o", "json").stdout
    assert any((one["reason"] == "Revoked" and office.name in one["message"]) or "revoked by" in one.get("note", one["message"])
               for one in json.loads(events)["items"] if one["involvedObject"]["name"] == office.name)  # fmt: skip
    why = bank.signoff("why", request)
    assert "promoted, revoked" in why.stdout
    assert "REVOKED" in why.stdout
    assert bank.signoff("verify").returncode == 0, "a correction is no finding"


def test_a_revoked_event_is_not_promoted_again_by_the_same_manifest(office: Office) -> None:
    office.promoted(CARLA)
    manifest = office.promotion()
    corrected(office)
    office.apply(BEN, manifest, verb="delete")
    office.apply(BEN, manifest)
    office.until(lambda: office.condition("Ready").get("reason") == "Revoked")
    assert not admitted(office)
    anew = Office(office.bank)
    anew.model, anew.digest, anew.image = office.model, office.digest, office.image
    anew.name = f"{office.name}-again"
    anew.frozen(lambda spec: spec.update(attempt=2))
    anew.decide(CARLA)
    anew.until(lambda: admitted(office), within=15)


@pytest.mark.parametrize("verdict", ["Revoke", "Annotate"])
def test_who_may_not_correct_the_tier_is_refused(office: Office, verdict: str) -> None:
    office.promoted(CARLA)
    told = corrected(office, CARLA, verdict=verdict)
    assert "forbidden" in told.lower(), "Carla may not even send one"
    told = corrected(office, BEN, verdict=verdict)
    assert "forbidden" in told.lower()
    assert admitted(office)


def test_who_may_send_corrections_and_not_correct_this_tier_is_told_what_to_bind(office: Office, bank: Bank) -> None:
    office.promoted(CARLA)
    plane = bank.control_plane
    plane.kubectl("-n", "credit", "create", "rolebinding", "team-corrects", "--clusterrole=signoff-corrector", "--group=credit-team")
    try:
        told = corrected(office, BEN)
    finally:
        plane.kubectl("-n", "credit", "delete", "rolebinding", "team-corrects")
    assert "Kubernetes does not let ben@bank.example revoke tier-2 in namespace credit" in told
    assert "bind a role with verb revoke on materialitytiers/tier-2 there" in told
    assert admitted(office)


def test_a_remark_changes_nothing_of_what_is_admitted(office: Office, bank: Bank) -> None:
    request = office.promoted(CARLA)
    assert "created" in corrected(office, verdict="Annotate", reason="Eleven months only.")
    assert admitted(office)
    time.sleep(10.5)  # the gate has asked the archive again by then
    assert admitted(office)
    assert "Eleven months only." in bank.signoff("why", request).stdout


def test_the_same_correction_again_is_the_same_one_whoever_sends_it(office: Office, bank: Bank) -> None:
    office.promoted(CARLA)
    manifest = correction(office)
    office.apply(RITA, manifest, verb="create")
    plane = bank.control_plane
    plane.kubectl("delete", "promotioncorrection", manifest["metadata"]["name"], "-n", "credit")
    assert not admitted(office), "the object is gone, and the archive's correction is not"
    [key] = (bank.archive_folder / "corrections" / office.status()["event"].removeprefix("sha256:")).iterdir()
    before = key.read_bytes()
    made = plane.kubectl("create", "-f", "-", input=json.dumps(manifest))
    assert "rita@bank.example revoked this at" in made.stderr, "a pipeline that syncs an old manifest says nothing new"
    assert key.read_bytes() == before
    assert list(key.parent.iterdir()) == [key]


REFUSALS: dict[str, tuple[dict[str, Any], str]] = {
    "another event": ({"event": "sha256:" + "0" * 64}, "is not the event of the request"),
    "a request without an event": ({"request": "0" * 64}, "has no event"),
    "no reason": ({"reason": ""}, "spec.reason"),
    "a field more": ({"undo": True}, "spec.undo: this field is unknown"),
    "another verdict": ({"verdict": "Restore"}, "spec.verdict"),
    "text that reads otherwise": ({"reason": "fine \u202e"}, "U+202E is not allowed"),
}


@pytest.fixture(scope="module")
def promoted(bank: Bank) -> Office:
    office = Office(bank)
    office.promoted(CARLA)
    return office


@pytest.mark.parametrize(("changes", "why"), [pytest.param(*one, id=name) for name, one in REFUSALS.items()])
def test_what_is_no_correction_is_refused_in_words(promoted: Office, changes: dict[str, Any], why: str) -> None:
    told = corrected(promoted, **changes)
    assert why in told
    assert admitted(promoted)


def test_a_seal_that_somebody_brings_along_is_refused(promoted: Office) -> None:
    manifest = correction(promoted) | {"seal": {"bundle": "AAAA"}}
    assert "only admission makes seals" in promoted.apply(RITA, manifest, check=False, verb="create")


def test_a_dry_run_corrects_nothing(promoted: Office) -> None:
    told = promoted.apply(RITA, correction(promoted), "--dry-run=server", verb="create")
    assert "dry run: the correction would be accepted" in told
    assert not promoted.archived(f"corrections/{promoted.status()['event'].removeprefix('sha256:')}")
    assert admitted(promoted)


def test_without_the_archive_nothing_is_corrected_and_it_is_safe_to_press_again(office: Office, bank: Bank) -> None:
    office.promoted(CARLA)
    manifest = correction(office)
    with away(bank):
        told = office.apply(RITA, manifest, check=False, verb="create")
        assert "nothing was corrected, for the archive does not answer" in told
        assert "it is safe to press again" in told
    assert "created" in office.apply(RITA, manifest, verb="create")
    assert not admitted(office)


def test_a_revocation_is_not_changed_and_not_taken_back(office: Office, bank: Bank) -> None:
    office.promoted(CARLA)
    corrected(office)
    again = correction(office, reason="Another.")
    again["metadata"]["name"] += "-2"
    assert "a revocation stands; promote anew" in office.apply(RITA, again, check=False, verb="create")
    changed = correction(office, verdict="Annotate")
    changed["metadata"]["name"] = f"{office.name}-revoke"
    plane = bank.control_plane
    told = plane.kubectl("apply", "-f", "-", input=json.dumps(changed), check=False)
    assert "a correction is made once and not changed" in told.stderr
    # A correction names an event: that of a correction is none.
    statement = office.status()["event"]
    revoked = json.loads(plane.kubectl("get", "promotioncorrection", f"{office.name}-revoke", "-n", "credit", "-o", "json").stdout)
    undo = correction(office, event=revoked["seal"]["statement"])
    undo["metadata"]["name"] += "-undo"
    assert "an event is corrected, and a correction is not" in office.apply(RITA, undo, check=False, verb="create")
    assert office.status()["event"] == statement
    assert not admitted(office)


def test_a_revocation_by_hand_from_the_command_line(office: Office, bank: Bank) -> None:
    request = office.promoted(CARLA)
    pod = office.pod()
    office.apply(BEN, pod, verb="create")
    told = bank.signoff("revoke", request[:12], "--reason", "Found wrong.", "--yes", who=RITA)
    assert told.returncode == 0, told.stderr
    assert f"revoked  {office.model} 1.0.0" in told.stdout
    assert f"credit/{pod['metadata']['name']}" in told.stdout
    assert not admitted(office)
    again = bank.signoff("revoke", request[:12], "--reason", "Found wrong.", "--yes", who=RITA)
    assert (again.returncode, "revoked already" in again.stdout) == (0, True)
    remark = bank.signoff("annotate", request[:12], "--reason", "See incident 4711.", "--yes", who=RITA)
    assert remark.returncode == 0, remark.stderr
    assert "See incident 4711." in bank.signoff("why", request).stdout
    refused = bank.signoff("annotate", request[:12], "--reason", "x", "--yes", who=BEN)
    assert refused.returncode == 1, refused.stdout
    assert "forbidden" in refused.stderr


def test_a_revocation_that_another_cluster_archived_bites_within_its_bound(office: Office, bank: Bank, tmp_path: Any) -> None:
    """The gate of another process: it was not told, and asks the archive anew within ten seconds."""
    office.promoted(CARLA)
    office.until(lambda: admitted(office), within=5)
    manifest = correction(office)
    digest = office.status()["event"].removeprefix("sha256:")
    # What was archived elsewhere: the correction's bytes come from a first press, and are put back behind the process's back.
    office.apply(RITA, manifest, verb="create")
    folder = bank.archive_folder / "corrections" / digest
    [path] = folder.iterdir()
    data, name = path.read_bytes(), path.name
    aside = tmp_path / name
    path.rename(aside)
    bank.end("webhook")
    bank.start("webhook")
    assert admitted(office)
    assert not list(folder.iterdir())
    aside.rename(path)
    assert path.read_bytes() == data
    began = time.monotonic()
    while admitted(office):
        assert time.monotonic() - began < 11, "the bound is ten seconds"
        time.sleep(0.2)
    assert layout.correction(f"sha256:{digest}", name)
