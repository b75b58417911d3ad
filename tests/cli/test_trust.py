"""`signoff trust`: each change is a new version in the archive, and nothing else."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from archive_fixture import Ran, Site
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from signoff.archive import layout
from signoff.record.keys import PemSigner, generate_pem
from signoff.record.trust import MAX_TRUST, Trust, read_trust
from signoff.record.values import format_time, sha256

NEW = PemSigner(generate_pem())


def soon(**difference: float) -> str:
    return format_time(datetime.now(UTC) + timedelta(**difference))


def public_file(folder: Path, text: str = NEW.public_pem) -> str:
    path = folder / "new.pub"
    path.write_text(text, encoding="ascii")
    return str(path)


def add(site: Site, place: str, *more: str, name: str = "event key 2 of demo") -> Ran:
    given = ["add-key", place, "--use", "event", "--cluster", "demo", "--environment", "production", "--name", name]
    return site.run("trust", *given, *more)


def archived(site: Site, digest: str) -> Trust:
    data = site.world.store.read(layout.statement("trust", digest), limit=MAX_TRUST).data
    assert sha256(data) == digest
    return read_trust(data)


def versions(site: Site) -> list[str]:
    return list(site.world.store.list(layout.statements_prefix("trust")))


def test_a_key_is_added_in_a_version_of_its_own(site: Site, tmp_path: Path) -> None:
    before = site.object_at(layout.statement("trust", site.trust)).read_bytes()
    told = add(site, public_file(tmp_path), "-o", "json").json
    later = archived(site, told["trust"])
    key = later.key(NEW.key_id)
    assert key is not None
    assert (key.use, key.cluster, key.targets.environments, key.targets.clusters) == ("event", "demo", ("production",), ("demo",))
    assert (later.version, told["version"], told["key"], told["noKeyFrom"]) == (2, 2, NEW.key_id, None)
    assert told["beside"] == ["event key of demo"]
    assert site.object_at(layout.statement("trust", site.trust)).read_bytes() == before, "nothing is edited in place"


def test_people_are_told_the_digest_the_overlap_and_what_is_left_to_do(site: Site, tmp_path: Path) -> None:
    ran = add(site, public_file(tmp_path))
    assert (ran.code, ran.err) == (0, "")
    (added,) = {sha256(site.object_at(key).read_bytes()) for key in versions(site)} - {site.trust}
    for told in (
        added,
        NEW.key_id,
        "event key of demo is believed beside it, until it is ended",
        "Nothing has changed yet",
        "restart them",
    ):
        assert told in ran.out


def test_a_key_is_ended_and_the_gap_is_told(site: Site) -> None:
    at = soon(days=1)
    ran = site.run("trust", "end-key", "event key of demo", "--at", at)
    assert (ran.code, ran.err) == (0, "")
    assert f"Mind: From {at} on no event key of cluster demo is valid" in " ".join(ran.out.split())
    told = site.run("trust", "end-key", "event key of demo", "--at", at, "-o", "json").json
    key = archived(site, told["trust"]).key(site.world.event_key.key_id)
    assert key is not None
    assert (key.validUntil, told["noKeyFrom"]) == (at, at)


def test_a_key_is_disowned(site: Site) -> None:
    at = soon(days=-1)
    told = site.run("trust", "compromise-key", site.world.seal_key.key_id, "--at", at, "-o", "json").json
    key = archived(site, told["trust"]).key(site.world.seal_key.key_id)
    assert key is not None
    assert key.compromised is not None
    assert key.compromised.at == at


def test_one_change_follows_another(site: Site, tmp_path: Path) -> None:
    site.trust = add(site, public_file(tmp_path), "-o", "json").json["trust"]
    ended = site.run("trust", "end-key", "event key of demo", "--at", soon(hours=1), "-o", "json").json
    assert (ended["version"], ended["noKeyFrom"], ended["beside"]) == (3, None, ["event key 2 of demo"])
    later = archived(site, ended["trust"])
    assert [key.name for key in later.keys] == ["seal key of demo", "event key of demo", "event key 2 of demo"]


def test_show_prints_what_is_active_and_nothing_else(site: Site, tmp_path: Path) -> None:
    add(site, public_file(tmp_path))
    ran = site.run("trust", "show")
    assert (ran.code, ran.err) == (0, "")
    for told in (site.trust, "version     1", "seal key of demo", "event, of cluster demo", "paula@bank.example"):
        assert told in ran.out
    assert NEW.key_id not in ran.out, "a version that is not named is not active"
    assert site.run("trust", "show", "-o", "json").json["keys"][0]["id"] == site.world.seal_key.key_id


STATES: dict[str, tuple[dict[str, Any], str]] = {
    "valid": ({}, "valid"),
    "not yet": ({"validFrom": soon(days=1)}, "not valid yet"),
    "ended": ({"validUntil": soon(days=-1)}, "ended: believed of what was stored before"),
    "compromised": ({"compromised": {"at": soon(days=-1)}}, "compromised: believed of what was stored before"),
}


@pytest.mark.parametrize("state", STATES)
def test_show_says_how_a_key_stands_now(site: Site, state: str) -> None:
    changes, told = STATES[state]
    value = json.loads(site.object_at(layout.statement("trust", site.trust)).read_bytes())
    value["keys"][1] |= changes
    data = json.dumps(value).encode()
    site.trust = sha256(data)
    site.world.store.create(layout.statement("trust", site.trust), data)
    lines = [line.split(maxsplit=1)[1] for line in site.run("trust", "show").out.splitlines() if line.startswith("now ")]
    assert lines == ["valid", told]


def elsewhere(key: ec.EllipticCurvePrivateKey) -> str:
    return key.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo).decode()


KEYS = {
    "a private key": (generate_pem().decode(), "holds a private key, which has no business here"),
    "another curve": (elsewhere(ec.generate_private_key(ec.SECP384R1())), "no public key in PEM, ECDSA on P-256"),
    "no key": ("hello", "no public key in PEM, ECDSA on P-256"),
}


@pytest.mark.parametrize("case", KEYS)
def test_what_is_no_public_key_is_not_added(site: Site, tmp_path: Path, case: str) -> None:
    text, why = KEYS[case]
    ran = add(site, public_file(tmp_path, text))
    assert (ran.code, why in ran.err, len(versions(site))) == (2, True, 1)


MISUSED: dict[str, tuple[list[str], str]] = {
    "no such key": (["end-key", "nobody", "--at", soon(days=1)], "no key of this name or id"),
    "no time": (["end-key", "event key of demo"], "missing option '--at'"),
    "a time that is none": (["end-key", "event key of demo", "--at", "tomorrow"], "a time is written 2026-01-31T12:00:00Z"),
    "ended in the past": (["end-key", "event key of demo", "--at", soon(days=-1)], "at: lies in the past"),
    "compromised in the future": (["compromise-key", "event key of demo", "--at", soon(days=1)], "at: has not come"),
    "no such command": (["rotate"], "no such command 'rotate'"),
}


@pytest.mark.parametrize("case", MISUSED)
def test_what_is_refused_archives_nothing(site: Site, case: str) -> None:
    arguments, why = MISUSED[case]
    ran = site.run("trust", *arguments, archive="no such" not in case or "key" in case)
    assert (ran.code, why in ran.err) == (2, True), ran.err
    assert len(versions(site)) == 1


def test_backdating_is_refused(site: Site, tmp_path: Path) -> None:
    ran = add(site, public_file(tmp_path), "--from", soon(days=-1))
    assert (ran.code, "validFrom: lies in the past" in ran.err, len(versions(site))) == (2, True, 1)


def test_the_active_file_is_hashed_and_not_believed(site: Site, tmp_path: Path) -> None:
    key = layout.statement("trust", site.trust)
    site.overwrite(key, site.object_at(key).read_bytes().replace(b'"version":1', b'"version":5'))
    ran = add(site, public_file(tmp_path))
    assert (ran.code, "was altered" in ran.err, len(versions(site))) == (2, True, 1)
