from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from archive_fixture import Ran, Site

from signoff.archive import layout
from signoff.archive.open import open_store
from signoff.record.keys import PemSigner
from signoff.record.trust import MAX_TRUST, Answer, read_trust
from signoff.record.values import sha256

ISSUER = "https://login.bank.example"


class Initialised:
    def __init__(self, site: Site, folder: Path) -> None:
        self.site = site
        self.archive = folder / "archive"
        self.url = self.archive.as_uri()
        self.keys = folder / "keys"

    def run(self, *more: str, cluster: str = "demo") -> Ran:
        given = ["init", self.url, "--keys", str(self.keys), "--cluster", cluster, "--environment", "production"]
        return self.site.run(*given, "--publisher", ISSUER, "paula@bank.example", *more, archive=False)

    def later(self, value: dict[str, Any], *more: str) -> Ran:
        path = self.keys / "later.json"
        path.write_text(json.dumps(value), encoding="utf-8")
        return self.site.run("init", self.url, "--trust-file", str(path), *more, archive=False)

    @property
    def trust(self) -> dict[str, Any]:
        value: dict[str, Any] = json.loads((self.keys / "trust.json").read_bytes())
        return value


@pytest.fixture
def fresh(site: Site, tmp_path: Path) -> Initialised:
    return Initialised(site, tmp_path / "new")


def test_the_trust_file_names_both_keys_and_is_archived_by_its_digest(fresh: Initialised) -> None:
    ran = fresh.run()
    assert (ran.code, ran.err) == (0, "")
    data = (fresh.keys / "trust.json").read_bytes()
    trust = read_trust(data)
    assert sha256(data) in ran.out
    assert open_store(fresh.url).read(layout.statement("trust", sha256(data)), limit=MAX_TRUST).data == data
    for use in ("seal", "event"):
        key = trust.key(PemSigner((fresh.keys / f"{use}.key").read_bytes()).key_id)
        assert key is not None
        assert (key.use, key.cluster, key.targets.environments, key.targets.clusters) == (use, "demo", ("production",), ("demo",))
    assert trust.publisher(ISSUER, "paula@bank.example", None) is Answer.YES
    assert trust.version == 1


def test_private_keys_are_their_owners_alone(fresh: Initialised) -> None:
    fresh.run()
    assert fresh.keys.stat().st_mode & 0o777 == 0o700
    for use in ("seal", "event"):
        assert (fresh.keys / f"{use}.key").stat().st_mode & 0o777 == 0o600
    assert sorted(path.name for path in fresh.keys.iterdir()) == ["event.key", "seal.key", "trust.json"]


def test_a_second_run_changes_nothing_and_says_the_same(fresh: Initialised) -> None:
    first = fresh.run()
    before = {path: path.read_bytes() for path in fresh.keys.iterdir()}
    assert fresh.run() == first
    assert {path: path.read_bytes() for path in fresh.keys.iterdir()} == before


@pytest.mark.parametrize("lost", ["seal.key trust.json", "event.key trust.json", "trust.json", "archive"])
def test_a_run_that_was_stopped_is_finished_by_the_next(fresh: Initialised, lost: str) -> None:
    fresh.run()
    kept = {path.name: path.read_bytes() for path in fresh.keys.iterdir() if path.name not in lost}
    for name in lost.split():
        if name == "archive":
            (fresh.archive / "statements").rename(fresh.archive / ".gone")
        else:
            (fresh.keys / name).unlink()
    assert fresh.run().code == 0
    assert {name: (fresh.keys / name).read_bytes() for name in kept} == kept
    data = (fresh.keys / "trust.json").read_bytes()
    assert open_store(fresh.url).read(layout.statement("trust", sha256(data)), limit=MAX_TRUST).data == data


def test_other_options_do_not_change_a_trust_file_that_is_there(fresh: Initialised) -> None:
    fresh.run()
    before = (fresh.keys / "trust.json").read_bytes()
    ran = fresh.run(cluster="other")
    assert ran.code == 2
    assert "is there already, and says other than these options" in ran.err
    assert (fresh.keys / "trust.json").read_bytes() == before


def test_a_key_that_others_may_read_is_refused(fresh: Initialised) -> None:
    fresh.run()
    (fresh.keys / "seal.key").chmod(0o644)
    assert "others than its owner may read it" in fresh.run().err


def test_keys_in_the_archive_are_refused(fresh: Initialised) -> None:
    fresh.keys = fresh.archive / "keys"
    ran = fresh.run()
    assert (ran.code, fresh.archive.exists()) == (2, False)
    assert ran.err.startswith("error: --keys: lies in the archive")


@pytest.mark.parametrize("option", ["--keys", "--cluster", "--environment", "--publisher"])
def test_what_is_missing_is_named(fresh: Initialised, option: str) -> None:
    given = {
        "--keys": [str(fresh.keys)],
        "--cluster": ["demo"],
        "--environment": ["production"],
        "--publisher": [ISSUER, "paula@bank.example"],
    }
    del given[option]
    ran = fresh.site.run("init", fresh.url, *(word for name, values in given.items() for word in (name, *values)), archive=False)
    assert (ran.code, ran.err.startswith(f"error: {option}: is missing")) == (2, True)


def test_a_folder_with_other_things_is_no_archive(fresh: Initialised) -> None:
    fresh.archive.mkdir(parents=True)
    (fresh.archive / "thesis.doc").touch()
    ran = fresh.run()
    assert (ran.code, fresh.keys.exists()) == (2, False)
    assert "holds other things" in ran.err


def test_a_later_trust_file_is_archived_and_follows_the_active_one(fresh: Initialised) -> None:
    active = fresh.run("-o", "json").json["trust"]
    ran = fresh.later(fresh.trust | {"version": 2}, "--trust", active)
    assert (ran.code, ran.err) == (0, "")
    assert sha256((fresh.keys / "later.json").read_bytes()) in ran.out


@pytest.mark.parametrize("version", [1, 2])
def test_a_trust_file_that_does_not_follow_the_active_one_is_refused(fresh: Initialised, version: int) -> None:
    fresh.run()
    active = fresh.later(fresh.trust | {"version": 2}, "-o", "json").json["trust"]
    changed = fresh.trust | {"version": version, "policies": {"publishers": [{"issuer": ISSUER, "subject": "eve"}], "fourEyes": False}}
    ran = fresh.later(changed, "--trust", active)
    assert (ran.code, ran.err.endswith("write version: 3\n")) == (2, True)


def test_a_trust_file_that_is_none_is_refused(fresh: Initialised) -> None:
    fresh.run()
    ran = fresh.later(fresh.trust | {"keys": []})
    assert ran.code == 2
    assert "later.json.keys" in ran.err
