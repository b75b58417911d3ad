"""What goes wrong, and what was meant to: nothing is promoted by it, nothing is lost, and somebody is told what to do."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from office import Office

from controlplane.bank import BEN, CARLA, DAVID, Bank

pytestmark = pytest.mark.cluster

FRESHNESS = 10.5


@contextmanager
def away(bank: Bank) -> Iterator[None]:
    elsewhere = bank.archive_folder.with_name("elsewhere")
    bank.archive_folder.rename(elsewhere)
    try:
        yield
    finally:
        elsewhere.rename(bank.archive_folder)


@contextmanager
def altered(path: Path, content: bytes) -> Iterator[None]:
    """Do what a person with the archive's disk can do, and put it right again."""
    good = path.read_bytes() if path.exists() else None
    path.parent.mkdir(parents=True, exist_ok=True)
    if good is not None:
        path.chmod(0o600)
    path.write_bytes(content)
    try:
        yield
    finally:
        if good is None:
            path.unlink()
        else:
            path.write_bytes(good)
            path.chmod(0o444)


def admitted(office: Office) -> bool:
    return "created" in office.apply(BEN, office.pod(), "--dry-run=server", check=False)


def test_without_the_archive_nothing_is_decided_and_what_was_verified_still_starts(office: Office, bank: Bank) -> None:
    office.promoted(CARLA)
    office.until(lambda: admitted(office), within=5)
    waiting = Office(bank)
    waiting.frozen()
    decision = waiting.decision()
    with away(bank):
        said = waiting.apply(CARLA, decision, check=False, verb="create")
        assert "denied the request" in said
        assert "archive" in said
        time.sleep(FRESHNESS)
        assert "created" in office.apply(BEN, office.pod(), "--dry-run=server", check=False)
        said = waiting.apply(BEN, waiting.pod(), check=False)
        assert "could not tell whether it was promoted" in said
    assert waiting.condition("Decided")["status"] == "False"
    waiting.apply(CARLA, decision, verb="create")
    waiting.until(lambda: waiting.condition("Promoted").get("status") == "True")


def test_a_read_only_archive_promotes_nothing_and_says_so(office: Office, bank: Bank) -> None:
    office.frozen()
    decision = office.decision()
    # The tests may run as root, whom file modes do not hold: a file where the folder must be holds everybody.
    seals = bank.archive_folder / "seals" / office.status()["freeze"].removeprefix("sha256:")
    seals.parent.mkdir(exist_ok=True)
    seals.write_bytes(b"")
    try:
        assert "denied the request" in office.apply(CARLA, decision, check=False, verb="create")
    finally:
        seals.unlink()
    office.apply(CARLA, decision, verb="create")
    office.until(lambda: office.condition("Promoted").get("status") == "True")


def test_bypass_18_one_altered_byte(office: Office) -> None:
    office.promoted(CARLA)
    office.until(lambda: admitted(office), within=5)
    path = office.event_path()
    content = bytearray(path.read_bytes())
    at = content.index(b'"payload":"') + 1500
    content[at] = ord("A") if content[at] != ord("A") else ord("B")
    with altered(path, bytes(content)):
        office.until(lambda: not admitted(office), within=FRESHNESS + 2)
        said = office.apply(BEN, office.pod(), check=False)
        assert "is not believed" in said
        assert f"signoff draft {office.image}" in said
    office.until(lambda: admitted(office), within=5)


def test_bypass_18_a_pointer_without_an_event(office: Office, bank: Bank) -> None:
    pointer = bank.archive_folder / "subjects" / "sha256" / office.digest.removeprefix("sha256:") / "production" / ("1" * 64)
    with altered(pointer, b"{}"):
        said = office.apply(BEN, office.pod(), check=False)
        assert "which has no event" in said
        assert not admitted(office)


def test_bypass_18_an_event_under_another_id(office: Office, bank: Bank) -> None:
    office.promoted(CARLA)
    other = Office(bank)
    slot = "2" * 64
    pointer = bank.archive_folder / "subjects" / "sha256" / other.digest.removeprefix("sha256:") / "production" / slot
    with altered(bank.archive_folder / "events" / f"{slot}.sigstore.json", office.event_path().read_bytes()), altered(pointer, b"{}"):
        said = other.apply(BEN, other.pod(), check=False)
        assert "lies under the id 2222" in said


def test_bypass_08_a_pointer_to_another_digests_event(office: Office, bank: Bank) -> None:
    request = office.promoted(CARLA)
    other = Office(bank)
    pointer = bank.archive_folder / "subjects" / "sha256" / other.digest.removeprefix("sha256:") / "production" / request
    with altered(pointer, b"{}"):
        said = other.apply(BEN, other.pod(), check=False)
        assert "the event is about another digest" in said


@pytest.mark.parametrize("name", ["operator", "webhook"])
def test_a_killed_process_comes_back_to_one_outcome(office: Office, bank: Bank, name: str) -> None:
    office.frozen()
    decision = office.decision()
    if name == "operator":
        os.kill(bank.pid(name), signal.SIGKILL)
        office.apply(CARLA, decision, verb="create")
    else:
        office.apply(CARLA, decision, verb="create")
        os.kill(bank.pid(name), signal.SIGKILL)
    time.sleep(0.3)
    bank.start(name)
    office.until(lambda: office.condition("Promoted").get("status") == "True")
    assert office.event_path().exists()
    office.until(lambda: admitted(office), within=5)


def test_while_the_webhook_is_down_an_enforced_namespace_starts_nothing_new(office: Office, bank: Bank) -> None:
    office.promoted(CARLA)
    bank.end("webhook")
    try:
        said = office.apply(BEN, office.pod(), check=False)
        assert "failed calling webhook" in said
    finally:
        bank.start("webhook")
    assert admitted(office)


def test_a_huge_object_is_answered(office: Office) -> None:
    # etcd takes 1.5 MiB at most, but admission comes first.
    pod = office.pod()
    pod["metadata"]["annotations"] = {f"bank.example/{number}": "x" * 60_000 for number in range(4)}
    pod["spec"]["containers"] = [{"name": f"c{number}", "image": f"{office.image}", "args": ["y" * 2000]} for number in range(400)]
    said = office.apply(BEN, pod, check=False, verb="create")
    assert "no promotion event for this digest" in said
    assert "and 397 more images" in said


def test_two_approvers_at_once_make_one_event(office: Office, bank: Bank) -> None:
    office.frozen()
    decisions = office.decision(), office.decision()
    office.apply(CARLA, decisions[0], verb="create")
    said = office.apply(DAVID, decisions[1], check=False, verb="create")
    assert "created" in said or "outcome already" in said
    office.until(lambda: office.condition("Promoted").get("status") == "True")
    assert len([name for name in office.archived("events") if name.startswith(office.status()["id"])]) == 1
