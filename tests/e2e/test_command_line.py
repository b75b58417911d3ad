"""The command line against the real cluster: approve and reject at kubectl, and what the archive says afterwards."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path

import pytest
import yaml
from office import Office

from controlplane.bank import ANA, BEN, CARLA, DAVID, Bank

pytestmark = pytest.mark.cluster


def test_approve_shows_the_frozen_text_and_says_approved_only_with_the_event(office: Office, bank: Bank) -> None:
    status = office.frozen()
    done = bank.signoff("approve", office.name, "-n", "credit", who=CARLA, stdin="1.0.0\n")
    assert done.returncode == 0, done.stderr
    assert "SIGNOFF DESK" in done.stdout
    text = done.stdout[: done.stdout.rindex("approved  ")]
    shown = (bank.archive_folder / "blobs" / "sha256" / status["desk"]["text"].removeprefix("sha256:")).read_text()
    assert shown in text
    assert office.status()["event"] in done.stdout
    assert office.event_path().exists()


def test_a_wrong_word_decides_nothing(office: Office, bank: Bank) -> None:
    office.frozen()
    done = bank.signoff("approve", office.name, "-n", "credit", who=CARLA, stdin="2.0.0\n")
    assert done.returncode != 0
    assert not office.archived(f"seals/{office.status()['freeze'].removeprefix('sha256:')}")


def test_the_author_is_told_why_not(office: Office, bank: Bank) -> None:
    office.frozen()
    done = bank.signoff("approve", office.name, "-n", "credit", "--yes", who=ANA)
    assert done.returncode == 1
    assert "is the author whom the request names" in done.stderr
    assert "Traceback" not in done.stderr


def test_approving_twice_is_one_decision(office: Office, bank: Bank) -> None:
    office.frozen()
    for _ in range(2):
        done = bank.signoff("approve", office.name, "-n", "credit", "--yes", who=CARLA)
        assert done.returncode == 0, done.stderr
        assert "approved" in done.stdout


def test_reject_is_final(office: Office, bank: Bank) -> None:
    office.frozen()
    done = bank.signoff("reject", office.name, "-n", "credit", "--yes", who=CARLA)
    assert done.returncode == 0, done.stderr
    assert "rejected" in done.stdout
    later = bank.signoff("approve", office.name, "-n", "credit", "--yes", who=DAVID)
    assert later.returncode == 1
    assert not later.stdout.rstrip().endswith("approved")


def test_a_drafted_promotion_is_refused_until_it_is_filled_in(office: Office, bank: Bank) -> None:
    drafted = bank.signoff("draft", office.image, "-n", "credit")
    assert drafted.returncode == 0, drafted.stderr
    refused = bank.kubectl(BEN, "apply", "-f", "-", stdin=drafted.stdout, check=False)
    assert "denied the request" in refused.stderr


def test_check_says_beforehand_what_the_gate_will_say(office: Office, bank: Bank, tmp_path: Path) -> None:
    manifest = tmp_path / "pod.yaml"
    manifest.write_text(yaml.safe_dump(office.pod()))
    arguments = ("check", str(manifest), "--environment", "production")
    denied = bank.signoff(*arguments)
    assert denied.returncode == 1
    real = office.apply(BEN, office.pod(), check=False)
    assert "no promotion event for this digest for production in demo/credit" in " ".join(denied.stdout.split())
    assert "no promotion event for this digest for production in demo/credit" in real
    office.promoted(CARLA)
    assert bank.signoff(*arguments).returncode == 0


def test_why_desk_and_verify_answer_from_the_archive_alone(office: Office, bank: Bank, tmp_path: Path) -> None:
    request = office.promoted(CARLA)
    plane = bank.control_plane
    plane.kubectl("-n", "credit", "delete", "promotiondecisions", "--all")
    plane.kubectl("-n", "credit", "delete", "modelpromotion", office.name)
    why = bank.signoff("why", office.model, "-o", "json")
    assert why.returncode == 0, why.stderr
    assert CARLA in why.stdout
    json.loads(why.stdout)
    out = tmp_path / "desk"
    desk = bank.signoff("desk", request, "--out", str(out))
    assert desk.returncode == 0, desk.stderr
    digest = hashlib.sha256((out / "explanation.html.txt").read_bytes()).hexdigest()
    assert digest == hashlib.sha256(Path("examples/credit-scoring/explanation.html").read_bytes()).hexdigest()
    assert bank.signoff("verify", request).returncode == 0
    whole = bank.signoff("verify", timeout=120)
    assert whole.returncode == 0, whole.stdout
