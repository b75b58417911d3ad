"""An archive verified by several processes: told as by one, and never told as fine when a process was lost."""

from __future__ import annotations

import multiprocessing
import os
import pty
import time
from collections import Counter
from collections.abc import Iterator

import pytest
from archive_fixture import Site
from world import BEN

from signoff.archive import layout
from signoff.archive.file import FileStore
from signoff.archive.store import Stored, Unavailable
from signoff.cli import audit_hands
from signoff.cli.audit import Audit
from signoff.cli.audit_hands import Lost, Place
from signoff.cli.progress import progress
from signoff.record.canonical import dumps
from signoff.record.values import sha256


@pytest.fixture(autouse=True)
def _many(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let even a small archive be divided, and into many parts, of which few are on the way at once."""
    monkeypatch.setattr(audit_hands, "FEW", 1)
    monkeypatch.setattr(audit_hands, "AHEAD", 1)
    monkeypatch.setattr(audit_hands, "AT_ONCE", 2)


def damaged(site: Site) -> None:
    """Leave an archive with findings of all kinds, in all folders."""
    verified = site.promoted()
    site.decided(site.frozen(lambda spec: spec.update(attempt=2), name="again"), verdict="Reject")
    frozen = site.frozen(lambda spec: spec.update(attempt=3), name="forged")
    site.world.store.create(
        layout.event(frozen.freeze.id), site.world.bundle(frozen.payload, [site.world.seal(frozen.payload, frozen.freeze, BEN)])
    )
    site.object_at(layout.blob(verified.freeze.renditions[0].digest)).unlink()
    page = layout.blob(verified.freeze.renditions[1].digest)
    site.overwrite(page, site.object_at(page).read_bytes() + b"x")
    for key, data in {
        layout.subject_pointer(sha256(b"another"), "production", verified.id): dumps({"event": layout.event(verified.id)}) + b"\n",
        layout.model_pointer("m", "production", "6" * 64): dumps({"event": layout.event("6" * 64)}) + b"\n",
        layout.model_pointer("n", "production", "5" * 64): b"elsewhere",
        layout.event("4" * 64): b"{}",
        layout.correction(sha256(b"some event"), "3" * 64): b"{}",
        "notes/readme": b"x",
        f"statements/policy/{'2' * 64}": b"{}",
    }.items():
        site.world.store.create(key, data)


def test_what_is_told_is_the_same_for_any_number_of_processes(site: Site) -> None:
    damaged(site)
    by_one, by_three = (site.run("verify", "--jobs", jobs, "-o", "json") for jobs in ("1", "3"))
    assert (by_one.code, by_one.err) == (1, "")
    assert {one["kind"] for one in by_one.json["findings"]} == {"finding", "note"}
    told = [one["what"] for one in by_one.json["findings"]]
    for what in (
        "is no pointer of the event",
        "points to a request without an event",
        "does not point to",
        "is missing",
        "rule 13 (quorum)",
    ):
        assert any(what in one for one in told), what
    assert by_three == by_one
    assert site.run("verify", "--jobs", "2") == site.run("verify", "--jobs", "1")


def test_an_archive_without_findings_is_clean_by_many(site: Site) -> None:
    site.promoted()
    ran = site.run("verify", "--jobs", "2", "-o", "json")
    assert (ran.code, ran.json["clean"], ran.json["counts"]["promotions"]) == (0, True, 1)


def places(site: Site) -> dict[str, str]:
    """Promote, and return what the event speaks for, by kind, and its own key."""
    verified = site.promoted()
    payload = sha256(verified.payload)
    principal = verified.decisions[0].principal
    model = verified.freeze.request.spec.model
    return {
        "event": layout.event(verified.id),
        "freeze": layout.freeze(verified.id, payload),
        "seal": layout.seal(payload, principal.issuer, principal.subject),
        "model pointer": layout.model_pointer(model.name, "production", verified.id),
        "subject pointer": layout.subject_pointer(model.digest, "production", verified.id),
        "blob": layout.blob(verified.freeze.explanation.digest),
    }


KINDS = ("freeze", "seal", "model pointer", "subject pointer", "blob")


def test_what_an_event_speaks_for_is_read_once(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    known, reads, read = places(site), Counter[str](), FileStore.read

    def counted(store: FileStore, key: str, *, limit: int) -> Stored:
        reads[key] += 1
        return read(store, key, limit=limit)

    monkeypatch.setattr(FileStore, "read", counted)
    assert site.run("verify", "--jobs", "1").code == 0
    assert {kind: reads[key] for kind, key in known.items()} == dict.fromkeys(known, 1)


@pytest.mark.parametrize("jobs", ["1", "2"])
@pytest.mark.parametrize("kind", KINDS)
def test_what_differs_from_what_its_event_holds_is_looked_at_itself(site: Site, kind: str, jobs: str) -> None:
    key = places(site)[kind]
    site.overwrite(key, site.object_at(key).read_bytes() + b"x")
    ran = site.run("verify", "--jobs", jobs, "-o", "json")
    told = [one["what"] for one in ran.json["findings"] if one["key"] == key and one["kind"] == "finding"]
    by_its_event = [one for one in told if "the event" in one]
    assert ran.code == 1
    assert len(by_its_event) == (0 if "pointer" in kind else 1)
    assert len(told) == len(by_its_event) + 1


@pytest.mark.parametrize("kind", KINDS)
def test_an_event_that_fails_speaks_for_nothing(site: Site, kind: str) -> None:
    known = places(site)
    event, key = known["event"], known[kind]
    site.overwrite(event, site.object_at(event).read_bytes().replace(b'"sig":"M', b'"sig":"N'))
    site.overwrite(key, site.object_at(key).read_bytes() + b"x")
    told = {one["key"] for one in site.run("verify", "--jobs", "1", "-o", "json").json["findings"] if one["kind"] == "finding"}
    assert told == {event, key}


def test_a_blob_that_an_event_names_and_that_is_gone_is_told_with_the_event(site: Site) -> None:
    key = places(site)["blob"]
    site.object_at(key).unlink()
    for jobs in ("1", "2"):
        findings = site.run("verify", "--jobs", jobs, "-o", "json").json["findings"]
        assert [(one["key"], one["what"].partition(",")[0]) for one in findings] == [(key, "is missing")]


def test_a_process_that_dies_is_an_error_and_no_answer(site: Site) -> None:
    damaged(site)
    audit = Audit(site.world.reader, Place(site.url, site.trust), 2)
    killed: list[int] = []

    def kill(_: int) -> None:
        for child in multiprocessing.active_children() if not killed else ():
            killed.append(child.pid or 0)
            child.kill()
        time.sleep(0.05)

    with pytest.raises(Lost, match="nothing is told about the whole"):
        list(audit.findings(kill))
    assert killed
    assert not multiprocessing.active_children()


def test_a_lost_process_ends_the_command_as_what_could_not_be_told(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    site.promoted()
    monkeypatch.setattr(audit_hands, "_begin", os.abort)
    ran = site.run("verify", "--jobs", "2")
    assert (ran.code, ran.out) == (2, "")
    assert "ended before it was done" in ran.err


def test_an_archive_that_goes_out_of_reach_meanwhile_ends_it(site: Site) -> None:
    damaged(site)
    audit = Audit(site.world.reader, Place(site.url, site.trust), 2)

    def take_away(_: int) -> None:
        site.object_at("archive.json").unlink(missing_ok=True)

    with pytest.raises(Unavailable):
        list(audit.findings(take_away))


def test_a_small_archive_starts_no_processes(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    site.promoted()
    monkeypatch.setattr(audit_hands, "FEW", 1_000)
    monkeypatch.setattr(audit_hands, "ProcessPoolExecutor", None)
    assert site.run("verify", "--jobs", "2").code == 0


@pytest.fixture
def terminal() -> Iterator[tuple[int, int]]:
    ours, theirs = pty.openpty()
    yield ours, theirs
    os.close(ours)
    os.close(theirs)


def test_progress_shows_on_a_terminal_alone(
    terminal: tuple[int, int], monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("signoff.cli.progress.QUIET", 0.0)
    with progress("verifying", elsewhere=False) as shown:
        shown.step("1 object")
    assert capfd.readouterr().err == ""
    with progress("checking") as shown:
        shown.step("1 object")
    assert capfd.readouterr().err == "checking: 1 object\n"
    with os.fdopen(os.dup(terminal[1]), "w") as stderr:
        monkeypatch.setattr("sys.stderr", stderr)
        with progress("verifying", elsewhere=False) as shown:
            shown.step("1 object")
    assert b"verifying: 1 object" in os.read(terminal[0], 1000)


def test_progress_tells_events_and_rate(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    site.promoted()
    told: list[str] = []
    monkeypatch.setattr("signoff.cli.progress.Progress.step", lambda _, how_far: told.append(how_far))
    assert site.run("verify", "--jobs", "1").code == 0
    assert " 1 events; " in told[-1]
    assert told[-1].endswith("objects a second")
