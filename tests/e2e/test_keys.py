"""Rotating both keys into a key service while the bank works, and what happens when the service does not answer."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
import yaml
from office import Office

from controlplane.bank import BEN, CARLA, Bank
from signoff.kms.signer import open_signer
from signoff.record.values import format_time
from tests.archive.between import Between, failing
from tests.kms.service import hold_access_keys, serving

pytestmark = pytest.mark.cluster


@dataclass
class Rotated:
    """The bank after the rotation: what was promoted before, the new keys' ids, and a proxy between each process and the key service."""

    before: Office
    ids: dict[str, str]
    event_address: str
    webhook: Between
    operator: Between


def restart(bank: Bank, **keys: str) -> None:
    """Name the active trust file and these keys in both configurations, and start both processes again."""
    for name, field in (("webhook", "sealKey"), ("operator", "eventKey")):
        path = bank.work / f"{name}.yaml"
        config = yaml.safe_load(path.read_text())
        path.write_text(yaml.safe_dump({**config, "trust": bank.trust, field: keys[field]}))
        bank.end(name)
        bank.start(name)


def add_key(bank: Bank, address: str, use: str) -> None:
    done = bank.signoff("trust", "add-key", address, "--use", use, "--environment", "production", "--name", f"{use} key 2", "-o", "json")
    assert done.returncode == 0, done.stderr
    bank.trust = json.loads(done.stdout)["trust"]


@pytest.fixture(scope="module")
def rotated(bank: Bank) -> Iterator[Rotated]:
    before = Office(bank)
    before.promoted(CARLA)
    with ExitStack() as stack:
        hold_access_keys(stack.enter_context(pytest.MonkeyPatch.context()))
        service = stack.enter_context(serving())
        proxies = {use: stack.enter_context(Between(service.port)) for use in ("seal", "event")}
        addresses = {use: service.address(endpoint=proxy.endpoint) for use, proxy in proxies.items()}
        for use, address in addresses.items():
            add_key(bank, address, use)
        restart(bank, sealKey=addresses["seal"], eventKey=addresses["event"])
        try:
            ids = {use: str(open_signer(address).key_id) for use, address in addresses.items()}
            yield Rotated(before, ids, addresses["event"], proxies["seal"], proxies["event"])
        finally:
            for proxy in proxies.values():
                proxy.forget()
            restart(bank, sealKey=str(bank.keys / "seal.key"), eventKey=str(bank.keys / "event.key"))


@pytest.fixture(autouse=True)
def _in_reach(rotated: Rotated) -> None:
    """Begin with a key service that answers, whatever became of the test before."""
    rotated.webhook.forget()
    rotated.operator.forget()


def admitted(office: Office) -> bool:
    return "created" in office.apply(BEN, office.pod(), "--dry-run=server", check=False)


def signed_under(bundle: bytes) -> str:
    return str(json.loads(bundle)["verificationMaterial"]["publicKey"]["hint"])


def test_what_was_promoted_before_still_runs_and_what_is_promoted_now_does_too(rotated: Rotated, office: Office, bank: Bank) -> None:
    assert admitted(rotated.before)
    request = office.promoted(CARLA)
    office.until(lambda: admitted(office), within=10)
    seals = bank.archive_folder / "seals" / office.status()["freeze"].removeprefix("sha256:")
    assert signed_under(office.event_path().read_bytes()) == rotated.ids["event"]
    assert [signed_under(path.read_bytes()) for path in seals.iterdir()] == [rotated.ids["seal"]]
    assert signed_under(rotated.before.event_path().read_bytes()) not in rotated.ids.values()
    for one in (request, rotated.before.status()["id"]):
        done = bank.signoff("why", one)
        assert done.returncode == 0, done.stdout + done.stderr


def test_while_the_webhooks_key_is_out_of_reach_nothing_is_decided(rotated: Rotated, office: Office, bank: Bank) -> None:
    office.frozen()
    other = Office(bank)
    rotated.webhook.always("POST", failing(503))
    said = other.apply(BEN, other.promotion(), check=False)
    assert "denied the request" in said
    assert "nothing was signed and nothing is lost; it is safe to try again" in said
    decision = office.decision()
    said = office.apply(CARLA, decision, check=False, verb="create")
    assert "nothing was decided, for nothing can be signed" in said
    assert "it is safe to press again" in said
    seals = bank.archive_folder / "seals" / office.status()["freeze"].removeprefix("sha256:")
    assert not seals.exists()
    rotated.webhook.forget()
    office.apply(CARLA, decision, verb="create")
    office.until(lambda: office.condition("Promoted").get("status") == "True")


def test_while_the_operators_key_is_out_of_reach_nothing_is_promoted_and_it_is_tried_again(rotated: Rotated, office: Office) -> None:
    office.frozen()
    rotated.operator.always("POST", failing(503))
    office.decide(CARLA)
    office.until(lambda: office.condition("Promoted").get("reason") == "OutOfReach")
    states: dict[str, Any] = {name: office.condition(name)["status"] for name in ("Promoted", "Reconciling", "Stalled")}
    assert states == {"Promoted": "False", "Reconciling": "True", "Stalled": "False"}
    assert "nothing is lost, it is tried again" in office.status()["message"]
    assert not office.event_path().exists()
    assert not admitted(office)
    rotated.operator.forget()
    office.until(lambda: office.condition("Promoted").get("status") == "True")
    office.until(lambda: admitted(office), within=10)


def test_what_was_submitted_under_a_key_that_ended_is_applied_again(rotated: Rotated, office: Office, bank: Bank) -> None:
    """Nothing is promoted, nothing lost: the same text is the same request, frozen anew, and the person presses again."""
    request = office.frozen()["id"]
    done = bank.signoff("trust", "end-key", rotated.ids["seal"], "--at", soon(), "-o", "json")
    assert done.returncode == 0, done.stderr
    bank.trust = json.loads(done.stdout)["trust"]
    time.sleep(7)
    restart(bank, sealKey=str(bank.keys / "seal.key"), eventKey=rotated.event_address)
    office.until(lambda: "seal key 2 was not valid when this was stored" in office.status()["message"])
    assert office.condition("Stalled")["status"] == "True"
    assert "denied the request" in office.decide(CARLA, check=False)
    assert not office.event_path().exists()
    bank.kubectl(BEN, "delete", "-n", "credit", "modelpromotion", office.name)
    assert office.promoted(CARLA) == request
    office.until(lambda: admitted(office), within=10)


def soon() -> str:
    return format_time(datetime.now(UTC) + timedelta(seconds=6))
