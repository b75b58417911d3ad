"""`signoff init` and `signoff trust` with keys in a key service: nothing private is made here."""

from __future__ import annotations

from pathlib import Path

import pytest
from archive_fixture import Ran, Site

from signoff.archive import layout
from signoff.archive.open import open_store
from signoff.kms.signer import open_signer
from signoff.record.trust import MAX_TRUST, Trust, read_trust
from tests.kms.service import KeyService


class Initialised:
    def __init__(self, site: Site, folder: Path) -> None:
        self.site = site
        self.url = (folder / "archive").as_uri()
        self.archive, self.keys = folder / "archive", folder / "keys"

    def run(self, *more: str) -> Ran:
        given = ["init", self.url, "--keys", str(self.keys), "--cluster", "demo", "--environment", "production"]
        return self.site.run(*given, "--publisher", "https://login.bank.example", "paula@bank.example", *more, archive=False)

    def trust(self, digest: str) -> Trust:
        return read_trust(open_store(self.url).read(layout.statement("trust", digest), limit=MAX_TRUST).data)


@pytest.fixture
def fresh(site: Site, tmp_path: Path) -> Initialised:
    return Initialised(site, tmp_path / "new")


def test_both_keys_in_the_service_leave_no_private_key_here(fresh: Initialised, service: KeyService) -> None:
    seal, event = service.address(), service.address()
    ran = fresh.run("--seal-key", seal, "--event-key", event)
    assert (ran.code, ran.err) == (0, "")
    assert f"sealKey: {seal}" in ran.out
    assert f"eventKey: {event}" in ran.out
    assert [path.name for path in fresh.keys.iterdir()] == ["trust.json"]
    trust = read_trust((fresh.keys / "trust.json").read_bytes())
    assert [(key.use, key.id) for key in trust.keys] == [("seal", open_signer(seal).key_id), ("event", open_signer(event).key_id)]
    assert fresh.run("--seal-key", seal, "--event-key", event) == ran, "a second run says the same"


def test_one_key_in_the_service_and_one_in_a_file(fresh: Initialised, service: KeyService) -> None:
    event = service.address()
    ran = fresh.run("--event-key", event)
    assert (ran.code, "sealKey: <where seal.key is mounted>" in ran.out) == (0, True)
    assert sorted(path.name for path in fresh.keys.iterdir()) == ["seal.key", "trust.json"]


REFUSED = {
    "a file": ("./event.key", "--event-key: names no key in a key service; write awskms:///KEY"),
    "no key": ("awskms:///", "the address names no key"),
    "a missing key": ("awskms:///alias/nobody?region=eu-central-1&endpoint={}", "the key service has no such key"),
}


@pytest.mark.parametrize("case", REFUSED)
def test_what_names_no_key_makes_no_archive(fresh: Initialised, service: KeyService, case: str) -> None:
    address, why = REFUSED[case]
    ran = fresh.run("--event-key", address.format(service.endpoint))
    assert (ran.code, why in ran.err) == (2, True), ran.err
    assert not fresh.archive.exists()
    assert not fresh.keys.exists()


def test_one_key_for_both_uses_is_refused(fresh: Initialised, service: KeyService) -> None:
    address = service.address()
    ran = fresh.run("--seal-key", address, "--event-key", address)
    assert (ran.code, "a key stands twice: each has one use" in ran.err) == (2, True)
    assert not list((fresh.archive / "statements").rglob("*/*"))


def test_a_key_in_the_service_is_added_to_the_trust_file(fresh: Initialised, service: KeyService) -> None:
    active = fresh.run("-o", "json").json["trust"]
    address = service.address()
    given = ["add-key", address, "--use", "event", "--cluster", "demo", "--environment", "production", "--name", "event key in the service"]
    ran = fresh.site.run("trust", *given, "--archive", fresh.url, "--trust", active, "-o", "json", archive=False)
    key = fresh.trust(ran.json["trust"]).key(open_signer(address).key_id)
    assert key is not None
    assert (key.name, key.use) == ("event key in the service", "event")
