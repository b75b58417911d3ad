"""`signoff export`: an evidence pack, verified with sha256sum and cosign alone."""

from __future__ import annotations

import hashlib
import json
import os
import re
import shutil
import subprocess
import tracemalloc
import zipfile
from collections.abc import Callable
from datetime import datetime
from pathlib import Path

import pytest
from archive_fixture import Site
from world import CARLA, DAVID

from controlplane.binaries import resolve
from signoff.archive import layout
from signoff.cli import packing
from signoff.cli.handover import handed
from signoff.cli.packing import packed
from signoff.errors import SignoffError
from signoff.record.canonical import dumps
from signoff.record.values import sha256
from signoff.verify.verifier import Verified

STATEMENT = [
    "Printed name      carla@bank.example",
    "Date and time     2026-03-02 10:02:51 UTC",
    "Meaning           “I approve this model version for the use described on this desk.”",
    "Policy            credit-models",
    "auc                        0.8127 c      0.8049 c      0.7786 c",
    "no live version",
    "13 quorum         ok",
    "18 corrections    NO",
]


def unpacked(pack: Path, folder: Path) -> Path:
    """Return a folder with what whoever was handed the pack has; unzip is theirs, and none of ours."""
    subprocess.run(["unzip", "-q", str(pack), "-d", str(folder)], check=True, timeout=60)
    return folder


def rejected(site: Site, attempt: int = 2) -> Verified:
    return site.decided(site.frozen(lambda spec: spec.update(attempt=attempt), name=f"again-{attempt}"), verdict="Reject")


def exported(site: Site, tmp_path: Path, what: str = "credit-scoring", code: int = 0) -> Path:
    ran = site.run("export", what, "--out", tmp_path / "pack.zip")
    assert ran.code == code, ran.err
    return unpacked(tmp_path / "pack.zip", tmp_path / "unpacked")


def folder(pack: Path, verified: Verified) -> Path:
    return pack / "events" / verified.id


def archived(site: Site, verified: Verified) -> dict[str, bytes]:
    """What the archive holds of an event, by the path in a pack."""
    freeze = verified.freeze
    principal = verified.decisions[0].principal
    seal = layout.seal(sha256(verified.payload), principal.issuer, principal.subject)
    keys = {
        "event.sigstore.json": layout.event(verified.id),
        "request.json": layout.freeze(verified.id, sha256(verified.payload)),
        "desk.html": layout.blob(freeze.renditions[0].digest),
        "desk.txt": layout.blob(freeze.renditions[1].digest),
        "explanation.html.txt": layout.blob(freeze.explanation.digest),
        "policies/credit-models.sigstore.json": layout.statement("policy", freeze.route.considered[0].statement),
        f"seals/{seal.rpartition('/')[2][:12]}.sigstore.json": seal,
    }
    for key in site.world.store.list(layout.corrections_prefix(verified.digest)):
        keys[f"corrections/{key.rpartition('/')[2]}.sigstore.json"] = key
    return {path: site.object_at(key).read_bytes() for path, key in keys.items()}


def test_the_packs_bytes_are_the_archives(site: Site, tmp_path: Path) -> None:
    verified, other = site.promoted(), rejected(site)
    site.world.correct(verified)
    pack = exported(site, tmp_path)
    for one in (verified, other):
        expected = archived(site, one)
        assert {path: (folder(pack, one) / path).read_bytes() for path in expected} == expected
        assert (folder(pack, one) / "event.pub").read_text() == site.world.event_key.public_pem
    assert (pack / "trust.json").read_bytes() == site.object_at(layout.statement("trust", site.trust)).read_bytes()
    assert sorted(path.name for path in pack.iterdir()) == [
        "README.md", "SHA256SUMS", "events", "index.html", "keys", "timeline", "trust.json",
    ]  # fmt: skip


def test_sha256sum_checks_all_of_it(site: Site, tmp_path: Path) -> None:
    verified = site.promoted()
    pack = exported(site, tmp_path)
    check = ["sha256sum", "--check", "--quiet", "--strict", "SHA256SUMS"]
    assert subprocess.run(check, cwd=pack, capture_output=True, check=False).returncode == 0
    named = {line.split("  ", 1)[1] for line in (pack / "SHA256SUMS").read_text().splitlines()}
    assert named == {str(path.relative_to(pack)) for path in pack.rglob("*") if path.is_file()} - {"SHA256SUMS"}
    page = folder(pack, verified) / "desk.html"
    page.write_bytes(page.read_bytes().replace(b"2.4.0", b"2.4.1", 1))
    assert subprocess.run(check, cwd=pack, capture_output=True, check=False).returncode == 1


def readme_commands(pack: Path) -> str:
    """The commands of the pack's README that need nothing of ours."""
    blocks = re.findall(r"```sh\n(.*?)```", (pack / "README.md").read_text(encoding="utf-8"), flags=re.DOTALL)
    assert len(blocks) == 4
    return "set -eu\n" + "\n".join(blocks[:3])


@pytest.mark.cosign
@pytest.mark.parametrize("altered", ["", "request.json", "event.pub"])
def test_the_readmes_commands_verify_it_with_cosign_alone(site: Site, tmp_path: Path, altered: str) -> None:
    verified = site.promoted()
    rejected(site)
    pack = exported(site, tmp_path)
    commands = readme_commands(pack)
    if altered:
        changed = folder(pack, verified) / altered
        changed.write_bytes(changed.read_bytes().replace(b"0.8127", b"0.9127") + (b"" if altered == "request.json" else b"x"))
        if altered == "event.pub":
            changed.write_text(site.world.seal_key.public_pem)
        commands = commands.replace("sha256sum -c SHA256SUMS", "")  # somebody wrote the list anew
    cosign = resolve("cosign")
    environment = {"HOME": str(tmp_path), "PATH": f"{cosign.parent}:{os.environ['PATH']}"}
    ran = subprocess.run(["sh", "-c", commands], cwd=pack, env=environment, capture_output=True, text=True, timeout=120, check=False)
    assert ran.returncode == 0, ran.stderr
    assert ran.stderr.count("Verified OK") == (1 if altered else 2)
    assert (f"NOT VERIFIED: events/{verified.id}" in ran.stdout) is bool(altered)


@pytest.mark.cosign
def test_the_statements_commands_verify_event_and_seals(site: Site, tmp_path: Path) -> None:
    verified = site.promoted()
    where = folder(exported(site, tmp_path, verified.id[:12]), verified)
    commands = [line for line in (where / "statement.txt").read_text().splitlines() if line.startswith("cosign ")]
    assert len(commands) == 2
    cosign = resolve("cosign")
    for command in commands:
        ran = subprocess.run(
            [str(cosign), *command.split()[1:]], cwd=where, env={"HOME": str(tmp_path)}, capture_output=True, text=True, check=False
        )
        assert "Verified OK" in ran.stderr, ran.stderr


def test_the_statement_tells_what_was_signed_and_what_came_of_it(site: Site, tmp_path: Path) -> None:
    verified = site.promoted()
    site.world.correct(verified, reason="The labels leaked.")
    where = folder(exported(site, tmp_path), verified)
    text = (where / "statement.txt").read_text()
    for line in STATEMENT:
        assert line in text
    assert "REVOKED by carla@bank.example at 2026-03-04T08:00:00Z: The labels leaked." in text
    value = json.loads((where / "statement.json").read_text())
    assert (value["account"]["event"], value["account"]["revoked"], value["derivation"]) == (verified.digest, True, "ok")
    assert [rule["answer"] for rule in value["rules"]] == ["ok"] * 13
    assert [rule["number"] for rule in value["gate"] if rule["answer"] == "NO"] == [18]


def test_two_exports_are_equal(site: Site, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    verified = site.promoted()
    rejected(site)
    site.world.correct(verified)
    packs = []
    for number, zone in enumerate(("UTC", "Asia/Tokyo")):
        monkeypatch.setenv("TZ", zone)
        assert site.run("export", "credit-scoring", "--out", tmp_path / f"{number}.zip").code == 0
        packs.append((tmp_path / f"{number}.zip").read_bytes())
    assert packs[0] == packs[1]
    with zipfile.ZipFile(tmp_path / "0.zip") as pack:
        times = {info.filename: info.date_time for info in pack.infolist()}
        listed = [name for name in pack.namelist() if name.startswith("events/")]
    stored = site.world.store.read(layout.event(verified.id), limit=1 << 22).stored_at
    corrected = max(
        site.world.store.read(key, limit=1 << 22).stored_at for key in site.world.store.list(layout.corrections_prefix(verified.digest))
    )
    taken = max(stored, corrected)
    assert abs((datetime(*times[f"events/{verified.id}/desk.html"], tzinfo=taken.tzinfo) - taken).total_seconds()) < 2
    assert listed == sorted(listed)


def test_a_correction_changes_the_pack_and_is_in_it(site: Site, tmp_path: Path) -> None:
    verified = site.promoted()
    site.run("export", verified.id, "--out", tmp_path / "before.zip")
    site.world.correct(verified)
    pack = exported(site, tmp_path, verified.id)
    assert (tmp_path / "before.zip").read_bytes() != (tmp_path / "pack.zip").read_bytes()
    assert 'class="grave kinds"><span class="kind">revoked' in (pack / "index.html").read_text()


Change = Callable[[Verified], str]
CHECKED: dict[str, Change] = {
    "explanation": lambda verified: layout.blob(verified.freeze.explanation.digest),
    "page": lambda verified: layout.blob(verified.freeze.renditions[0].digest),
    "text": lambda verified: layout.blob(verified.freeze.renditions[1].digest),
    "payload": lambda verified: layout.freeze(verified.id, sha256(verified.payload)),
    "seal": lambda verified: layout.seal(
        sha256(verified.payload), verified.decisions[0].principal.issuer, verified.decisions[0].principal.subject
    ),
}


@pytest.mark.parametrize("done", ["altered", "missing"])
@pytest.mark.parametrize("part", CHECKED)
def test_where_a_file_is_not_what_its_event_says_there_is_no_pack(site: Site, tmp_path: Path, part: str, done: str) -> None:
    site.promoted()
    verified = rejected(site)
    key = CHECKED[part](verified)
    if done == "altered":
        site.overwrite(key, site.object_at(key).read_bytes().replace(b"a", b"b", 40))
    else:
        site.object_at(key).unlink()
    ran = site.run("export", "credit-scoring", "--out", tmp_path / "pack.zip")
    assert (ran.code, ran.out) == (1, "")
    assert key in ran.err
    assert "nothing was written" in ran.err
    assert [path.name for path in tmp_path.iterdir() if "pack" in path.name] == []
    assert site.run("verify", verified.digest).code == 0, "the event itself verifies"


def test_an_event_that_is_not_believed_is_told_and_handed_over_as_it_lies_there(site: Site, tmp_path: Path) -> None:
    believed, frozen = rejected(site), site.frozen()
    bundle = site.world.bundle(frozen.payload, [site.world.seal(frozen.payload, frozen.freeze, CARLA)], signer=site.world.stranger)
    site.world.store.create(layout.event(frozen.freeze.id), bundle)
    pointer = layout.model_pointer("credit-scoring", "production", frozen.freeze.id)
    site.world.store.create(pointer, dumps({"event": layout.event(frozen.freeze.id)}) + b"\n")
    pack = exported(site, tmp_path, code=1)
    refused = pack / "events" / frozen.freeze.id
    assert (refused / "event.sigstore.json").read_bytes() == bundle
    assert sorted(path.name for path in refused.iterdir()) == ["event.sigstore.json", "statement.txt"]
    assert "NOT BELIEVED" in (refused / "statement.txt").read_text()
    assert "rule 2 (signature)" in (refused / "statement.txt").read_text()
    assert f"`{frozen.freeze.id}`: not believed" in (pack / "README.md").read_text()
    page = (pack / "index.html").read_text()
    assert "1 of these cannot be believed, or told" in page
    assert "rule 2 (signature)" in page
    assert (folder(pack, believed) / "desk.html").exists()


def test_an_event_that_cannot_be_told_is_told_so(site: Site, tmp_path: Path) -> None:
    verified = site.promoted()
    site.object_at(layout.statement("policy", verified.freeze.route.considered[0].statement)).unlink()
    pack = exported(site, tmp_path, code=2)
    assert "COULD NOT TELL" in (folder(pack, verified) / "statement.txt").read_text()
    assert not (folder(pack, verified) / "event.pub").exists()


def test_what_is_no_object_in_an_events_place_is_told(site: Site, tmp_path: Path) -> None:
    verified = site.promoted()
    rejected(site)
    path = site.object_at(layout.event(verified.id))
    path.unlink()
    path.symlink_to("/etc/passwd")
    pack = exported(site, tmp_path, code=1)
    assert [one.name for one in folder(pack, verified).iterdir()] == ["statement.txt"]
    assert "NOT BELIEVED" in (folder(pack, verified) / "statement.txt").read_text()


@pytest.mark.parametrize("what", ["signed by nobody", "in a place of another's"])
def test_a_correction_that_is_not_believed_is_told_and_in_the_pack(site: Site, tmp_path: Path, what: str) -> None:
    verified = site.promoted()
    changes = {"signer": site.world.stranger} if what == "signed by nobody" else {"key": layout.correction(verified.digest, "0" * 64)}
    key = site.world.correct(verified, **changes)
    pack = exported(site, tmp_path, code=2)
    name = f"corrections/{key.rpartition('/')[2]}.sigstore.json"
    assert (folder(pack, verified) / name).read_bytes() == site.object_at(key).read_bytes()
    assert "Whether it was revoked cannot be told" in (folder(pack, verified) / "statement.txt").read_text()
    assert f"`{verified.id}`: could not tell" in (pack / "README.md").read_text()


def test_a_request_without_an_event_is_told(site: Site, tmp_path: Path) -> None:
    site.promoted()
    frozen = site.frozen(lambda spec: spec.update(attempt=2), name="again")
    site.world.store.create(layout.model_pointer("credit-scoring", "production", frozen.freeze.id), b"{}\n")
    pack = exported(site, tmp_path)
    assert frozen.freeze.id in (pack / "index.html").read_text()
    assert not (pack / "events" / frozen.freeze.id).exists()


def test_what_is_there_is_not_replaced(site: Site, tmp_path: Path) -> None:
    verified = site.promoted()
    taken = tmp_path / "pack.zip"
    for make in (lambda: taken.write_bytes(b"mine"), lambda: taken.symlink_to(tmp_path / "nowhere"), taken.mkdir):
        make()
        ran = site.run("export", verified.id, "--out", taken)
        assert (ran.code, "is there already, and is not replaced" in ran.err) == (2, True)
        assert not (tmp_path / "nowhere").exists()
        if taken.is_symlink() or taken.is_file():
            taken.unlink()
    assert [path.name for path in tmp_path.iterdir() if "pack" in path.name] == ["pack.zip"]


def test_what_comes_into_its_place_meanwhile_is_not_replaced(tmp_path: Path) -> None:
    def write() -> None:
        with packed(tmp_path / "pack.zip") as pack:
            pack.add("a", b"a", datetime.fromisoformat("2026-03-02T10:00:00Z"))
            (tmp_path / "pack.zip").write_bytes(b"mine")

    with pytest.raises(SignoffError, match="is there already"):
        write()
    assert [path.name for path in tmp_path.iterdir()] == ["pack.zip"]
    assert (tmp_path / "pack.zip").read_bytes() == b"mine"


@pytest.mark.parametrize("path", ["../a", "/a", "a//b", "a/../b", "a\\b", "a\nb", ".a", "a/.", "", "a b", "ä", "a/" + "b" * 256])
def test_a_path_that_leads_elsewhere_is_refused(tmp_path: Path, path: str) -> None:
    def write() -> None:
        with packed(tmp_path / "pack.zip") as pack:
            pack.add(path, b"", datetime.fromisoformat("2026-03-02T10:00:00Z"))

    with pytest.raises(SignoffError, match="nothing was written"):
        write()
    assert list(tmp_path.iterdir()) == []


def test_a_path_stands_once(tmp_path: Path) -> None:
    def write() -> None:
        with packed(tmp_path / "pack.zip") as pack:
            for data in (b"one", b"other"):
                pack.add("a", data, datetime.fromisoformat("2026-03-02T10:00:00Z"))

    with pytest.raises(SignoffError, match="would stand twice"):
        write()
    assert list(tmp_path.iterdir()) == []


def test_of_nothing_there_is_no_pack(site: Site, tmp_path: Path) -> None:
    site.promoted()
    for arguments in (["fraud-scoring"], ["credit-scoring", "--environment", "staging"]):
        ran = site.run("export", *arguments, "--out", tmp_path / "pack.zip")
        assert (ran.code, "holds no outcome of this" in ran.err, (tmp_path / "pack.zip").exists()) == (1, True, False)


@pytest.mark.parametrize("out", ["/", "", ".", "/nowhere/at/all.zip", "x" * 300, "/dev/null", "/proc/pack.zip"])
def test_a_place_that_cannot_be_written_to_is_told(site: Site, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, out: str) -> None:
    monkeypatch.chdir(tmp_path)
    verified = site.promoted()
    before = sorted(tmp_path.iterdir())
    ran = site.run("export", verified.id, "--out", out)
    assert (ran.code, ran.out, ran.err.startswith("error: ")) == (2, "", True)
    assert sorted(tmp_path.iterdir()) == before


def test_a_disk_that_is_full_leaves_nothing(site: Site, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    verified = site.promoted()

    def full(_: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(packing.os, "fsync", full)
    ran = site.run("export", verified.id, "--out", tmp_path / "pack.zip")
    assert (ran.code, "No space left on device; nothing was written" in ran.err) == (2, True)
    assert [path.name for path in tmp_path.iterdir() if "pack" in path.name] == []


def test_many_events_take_no_more_memory_than_a_few(site: Site, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The same event many times over, under other names: what is kept of each is its lines, and not its files (200 KB)."""
    one = handed(site.world.reader, site.promoted().id, None, None)
    assert one is not None
    peaks = []
    for many in (20, 220):
        tracemalloc.start()
        with packed(tmp_path / f"{many}.zip") as pack:
            for number in range(many):
                for file in one.files:
                    pack.add(f"events/{number}/{file.path}", bytes(bytearray(file.data)), one.time)
        peaks.append(tracemalloc.get_traced_memory()[1])
        tracemalloc.stop()
    size = sum(len(file.data) for file in one.files)
    assert size > 100_000
    assert (peaks[1] - peaks[0]) / 200 < 20_000, "bytes kept of each event"
    shutil.rmtree(tmp_path, ignore_errors=True)


def test_the_index_lists_every_file_by_its_digest(site: Site, tmp_path: Path) -> None:
    verified = site.decided(site.frozen(), CARLA, DAVID)
    where = folder(exported(site, tmp_path), verified)
    page = (where / "index.html").read_text()
    for path in where.rglob("*"):
        if path.is_file() and path.name != "index.html":
            assert hashlib.sha256(path.read_bytes()).hexdigest() in page, path
    assert 'href="explanation.html.txt"' in page
    assert 'explanation.html"' not in page
