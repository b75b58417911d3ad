from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from archive_fixture import Site
from builders import example_explanation
from world import DAVID

from signoff.archive import layout
from signoff.record.values import sha256
from signoff.verify.verifier import Verified


def files(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def seal_key(verified: Verified) -> str:
    principal = verified.decisions[0].principal
    return layout.seal(sha256(verified.payload), principal.issuer, principal.subject)


def test_the_frozen_bytes_are_written_as_they_were(site: Site, tmp_path: Path) -> None:
    verified = site.promoted()
    ran = site.run("desk", verified.id[:12], "--out", tmp_path / "desk")
    assert (ran.code, ran.err) == (0, "")
    written = files(tmp_path / "desk")
    shown = {one.mediaType: one.digest for one in verified.freeze.renditions}
    seal = f"seals/{seal_key(verified).rpartition('/')[2][:12]}.sigstore.json"
    statement = verified.freeze.route.considered[0].statement
    assert {name: sha256(data) for name, data in written.items()} == {
        "desk.html": shown["text/html"],
        "desk.txt": shown["text/plain"],
        "explanation.html": sha256(example_explanation()),
        "request.json": sha256(verified.payload),
        "event.sigstore.json": sha256(site.object_at(layout.event(verified.id)).read_bytes()),
        seal: sha256(site.object_at(seal_key(verified)).read_bytes()),
        "policies/credit-models.sigstore.json": sha256(site.object_at(layout.statement("policy", statement)).read_bytes()),
    }
    for name, data in written.items():
        (line,) = [line for line in ran.out.splitlines() if line.split()[0] == name]
        assert line.split()[1] == sha256(data)
    assert f"{shown['text/html']}  as the event says" in ran.out
    assert [path.name for path in tmp_path.iterdir() if "desk" in path.name] == ["desk"]


def test_what_was_written_verifies(site: Site, tmp_path: Path) -> None:
    verified = site.promoted()
    site.run("desk", verified.digest, "--out", tmp_path / "desk")
    assert site.run("verify", "--bundle", tmp_path / "desk" / "event.sigstore.json").code == 0


def test_a_folder_that_holds_anything_is_left_alone(site: Site, tmp_path: Path) -> None:
    verified = site.promoted()
    (tmp_path / "desk").mkdir()
    assert site.run("desk", verified.id, "--out", tmp_path / "desk").code == 0
    ran = site.run("desk", verified.id, "--out", tmp_path / "desk")
    assert (ran.code, "is not an empty folder" in ran.err) == (2, True)


Change = Callable[[Verified], str]
PARTS: dict[str, Change] = {
    "explanation": lambda verified: layout.blob(verified.freeze.explanation.digest),
    "page": lambda verified: layout.blob(verified.freeze.renditions[0].digest),
    "text": lambda verified: layout.blob(verified.freeze.renditions[1].digest),
    "payload": lambda verified: layout.freeze(verified.id, sha256(verified.payload)),
    "seal": seal_key,
    "event": lambda verified: layout.event(verified.id),
}


@pytest.mark.parametrize("part", PARTS)
def test_where_anything_was_altered_nothing_is_written(site: Site, tmp_path: Path, part: str) -> None:
    key = PARTS[part](site.promoted())
    request = next(iter(site.world.store.list("events/"))).removeprefix("events/").removesuffix(".sigstore.json")
    site.overwrite(key, site.object_at(key).read_bytes().replace(b"a", b"b", 40))
    ran = site.run("desk", request, "--out", tmp_path / "desk")
    assert (ran.code, ran.out, (tmp_path / "desk").exists()) == (1, "", False)
    assert ran.err.startswith("error: ")
    assert part == "event" or key in ran.err


@pytest.mark.parametrize("part", [part for part in PARTS if part != "event"])
def test_where_anything_is_missing_nothing_is_written(site: Site, tmp_path: Path, part: str) -> None:
    verified = site.promoted()
    site.object_at(PARTS[part](verified)).unlink()
    ran = site.run("desk", verified.id, "--out", tmp_path / "desk")
    assert (ran.code, ran.out, (tmp_path / "desk").exists()) == (1, "", False)
    assert PARTS[part](verified) in ran.err


def test_an_undecided_desk_is_written_as_such(site: Site, tmp_path: Path) -> None:
    frozen = site.frozen()
    site.world.archive_seal(site.world.seal(frozen.payload, frozen.freeze, DAVID))
    ran = site.run("desk", frozen.freeze.id, "--out", tmp_path / "desk")
    assert (ran.code, ran.err) == (0, "")
    assert "(not decided yet)" in ran.out
    assert "as the freeze says" in ran.out
    assert "as the event says" not in ran.out
    written = files(tmp_path / "desk")
    assert "event.sigstore.json" not in written
    assert written["request.json"] == frozen.payload
    assert sum(name.startswith("seals/") for name in written) == 1


def test_of_several_desks_one_is_chosen(site: Site, tmp_path: Path) -> None:
    frozen = site.frozen()
    changed = frozen.payload.replace(b'"origin":"the example"', b'"origin":"elsewhere"')
    site.world.store.create(layout.freeze(frozen.freeze.id, sha256(changed)), changed)
    ran = site.run("desk", frozen.freeze.id, "--out", tmp_path / "desk")
    assert (ran.code, "was frozen 2 times" in ran.err) == (2, True)
    assert site.run("desk", frozen.freeze.id, "--out", tmp_path / "desk", "--freeze", frozen.digest).code == 0


def test_a_freeze_that_nobody_submitted_is_not_written(site: Site, tmp_path: Path) -> None:
    submit, site.world.seal_key = site.world.seal_key, site.world.stranger
    frozen = site.frozen()
    site.world.seal_key = submit
    ran = site.run("desk", frozen.freeze.id, "--out", tmp_path / "desk")
    assert (ran.code, (tmp_path / "desk").exists()) == (2, False)
    assert "which the trust file does not name" in ran.err
