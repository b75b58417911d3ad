"""What the command line says and writes of a second publisher, and how a trust file comes to ask for one."""

from __future__ import annotations

from pathlib import Path

import pytest
from archive_fixture import Ran, Site
from world import World

from signoff.archive import layout
from signoff.record.trust import read_trust

ISSUER = "https://login.bank.example"


@pytest.fixture
def careful(world: World, capfd: pytest.CaptureFixture[str]) -> Site:
    """A site whose trust file asks for two publishers."""
    world.ask_for_four_eyes()
    return Site(world, capfd)


def test_why_and_verify_say_who_agreed(careful: Site) -> None:
    world = careful.world
    verified = careful.decided(careful.frozen(policies=(world.agreed(world.published),)))
    [considered] = verified.freeze.route.considered
    assert considered.second is not None
    for command in ("why", "verify"):
        ran = careful.run(command, verified.id)
        assert (ran.code, ran.err) == (0, "")
        said = "\n".join(line.strip() for line in ran.out.splitlines())
        told = f"{considered.statement}\nagreed to by pia@bank.example at 2026-02-01T08:00:00Z\n{considered.second}\n"
        assert f"published by paula@bank.example at 2026-02-01T08:00:00Z\n{told}" in said
    [listed] = careful.run("verify", verified.id, "-o", "json").json["account"]["policy"]["considered"]
    assert (listed["second"], listed["agreed"]["publisher"]["subject"]) == (considered.second, "pia@bank.example")
    assert careful.run("verify").code == 0


def test_desk_writes_both_statements_and_shows_both_digests(careful: Site, tmp_path: Path) -> None:
    world = careful.world
    verified = careful.decided(careful.frozen(policies=(world.agreed(world.published),)))
    [considered] = verified.freeze.route.considered
    out = tmp_path / "evidence"
    assert careful.run("desk", verified.id, "--out", out).code == 0
    for path, digest in (("credit-models", considered.statement), ("agreed/credit-models", considered.second)):
        assert digest is not None
        archived = careful.object_at(layout.statement("policy", digest)).read_bytes()
        assert (out / "policies" / f"{path}.sigstore.json").read_bytes() == archived
        assert digest in (out / "desk.txt").read_text().replace("\n", "").replace(" ", "")
        assert digest in (out / "desk.html").read_text()


def test_a_second_statement_that_was_altered_is_never_written(careful: Site, tmp_path: Path) -> None:
    world = careful.world
    verified = careful.decided(careful.frozen(policies=(world.agreed(world.published),)))
    [considered] = verified.freeze.route.considered
    assert considered.second is not None
    first = careful.object_at(layout.statement("policy", considered.statement)).read_bytes()
    careful.overwrite(layout.statement("policy", considered.second), first)
    ran = careful.run("desk", verified.id, "--out", tmp_path / "evidence")
    assert ran.code == 1
    assert "this is not the statement" in ran.err
    assert not (tmp_path / "evidence").exists()


def test_why_says_nothing_of_a_second_where_there_is_none(site: Site) -> None:
    assert "agreed" not in site.run("why", site.promoted().id).out


def test_trust_show_says_that_four_eyes_are_asked_for(careful: Site) -> None:
    assert "two publishers must have agreed to a policy" in careful.run("trust", "show").out


def test_trust_show_says_that_one_publisher_suffices(site: Site) -> None:
    assert "one publisher suffices for a policy" in site.run("trust", "show").out


def init(site: Site, folder: Path, *publishers: str, four_eyes: bool = True) -> Ran:
    given = ["init", (folder / "archive").as_uri(), "--keys", str(folder / "keys"), "--cluster", "demo", "--environment", "production"]
    for one in publishers:
        given += ["--publisher", ISSUER, one]
    return site.run(*given, *(["--four-eyes-for-policies"] if four_eyes else []), archive=False)


def test_init_asks_for_four_eyes(site: Site, tmp_path: Path) -> None:
    folder = tmp_path / "new"
    assert init(site, folder, "paula", "pia").code == 0
    assert read_trust((folder / "keys" / "trust.json").read_bytes()).policies.fourEyes is True
    again = init(site, folder, "paula", "pia", four_eyes=False)
    assert again.code == 2
    assert "says other than these options" in again.err


@pytest.mark.parametrize("publishers", [("paula",), ("paula", "paula")], ids=["one", "one twice"])
def test_four_eyes_take_two_publishers(site: Site, tmp_path: Path, publishers: tuple[str, ...]) -> None:
    ran = init(site, tmp_path / "new", *publishers)
    assert (ran.code, ran.out) == (2, "")
    assert "--four-eyes-for-policies: two publishers must agree to each policy, and --publisher names one" in ran.err
    assert not (tmp_path / "new").exists()
