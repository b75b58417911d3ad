"""What the gate keeps for a restart is checked and not believed: every way to alter the folder, over real evidence of a real archive."""

from __future__ import annotations

import json
import logging
import os
import threading
import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from world import World, trusted_key

from signoff.archive import layout
from signoff.archive.store import Missing, Refused, Unavailable
from signoff.errors import SignoffError
from signoff.gate.lookup import Key, look_up
from signoff.gate.memory import GRACE, Memory
from signoff.record.canonical import b64decode, b64encode, dumps
from signoff.record.keys import PemSigner, generate_pem
from signoff.record.trust import Trust
from signoff.record.values import Digest, format_time, sha256
from signoff.verify.reader import Found, Reader
from signoff.webhook import kept as kept_module
from signoff.webhook.evidence import MAX_EVIDENCE, Again, Evidence, Noting
from signoff.webhook.keeper import Keeper
from signoff.webhook.kept import Answer, Kept
from signoff.webhook.restart import ProvenFirst, restore
from tests.webhook.listening import promote
from tests.webhook.reviews import OTHER_IMAGE, PROMOTED

VERIFIED = datetime(2026, 3, 4, 9, 0, 0, 600_000, tzinfo=UTC)
NOW = VERIFIED + timedelta(minutes=5)
KEY = Key(Digest(PROMOTED), "production", "credit", together=False)
OTHER = KEY._replace(digest=Digest(OTHER_IMAGE.partition("@")[2]))
Value = dict[str, Any]


def soon(condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 10
    while not condition():
        assert time.monotonic() < deadline, "it did not come to pass in time"
        time.sleep(0.01)


class Site:
    """A real archive with one promotion, and the folder of a gate that has verified it."""

    def __init__(self, folder: Path) -> None:
        self.world = World(folder / "archive")
        promote(self.world)
        self.folder = folder / "cache"
        self.now = VERIFIED
        self.kept = Kept(self.folder)
        self.noting = Noting(self.world.store)
        self.reader = Reader(self.noting, self.world.trust)
        self.keeper = Keeper(self.kept, self.noting, self.reader, "demo", lambda: self.now)

    def files(self) -> list[Path]:
        return sorted(self.folder.glob("*.answer"))

    def keep(self, key: Key = KEY) -> Path:
        assert self.keeper.look_up(key).admissions
        soon(lambda: self.kept.holds(key))
        return max(self.files(), key=lambda path: path.stat().st_mtime_ns)

    def restored(self, key: Key = KEY, now: datetime = NOW, trust: Trust | None = None) -> Found | None:
        """What a new process knows while the archive is away."""

        def away(_: Key) -> Found:
            raise Unavailable("away")

        memory = Memory(away, lambda: 1000.0)
        restore(memory, Kept(self.folder), trust or self.world.trust, "demo", lambda: now, lambda: 0.0)
        told = memory.ask(key)
        return told if isinstance(told, Found) else None


@pytest.fixture
def site(tmp_path: Path) -> Site:
    return Site(tmp_path)


def rewritten(path: Path, change: Callable[[Value], Any]) -> None:
    """What a liar does: change the content, and write the digest that goes with it."""
    value = json.loads(path.read_bytes().partition(b"\n")[2])
    change(value)
    content = dumps(value)
    path.write_bytes(f"{sha256(content)}\n".encode() + content)


def test_what_was_kept_admits_as_it_did(site: Site) -> None:
    verified = site.keeper.look_up(KEY)
    path = site.keep()
    assert site.restored() == verified
    assert path.stat().st_mode & 0o777 == 0o600
    assert site.folder.stat().st_mode & 0o777 == 0o700
    assert [one.name for one in site.folder.iterdir()] == [path.name]


def test_the_grace_counts_from_when_it_was_verified(site: Site) -> None:
    site.keep()
    whole = VERIFIED.replace(microsecond=0)
    assert site.restored(now=whole + timedelta(seconds=GRACE - 1))
    assert site.restored(now=whole + timedelta(seconds=GRACE)) is None
    assert site.files() == []


def test_a_restart_does_not_prolong_the_grace(site: Site) -> None:
    path = site.keep()
    before = path.read_bytes()
    for minutes in (1, 5, 10, 14):
        assert site.restored(now=VERIFIED + timedelta(minutes=minutes))
    assert path.read_bytes() == before
    assert site.restored(now=VERIFIED + timedelta(minutes=15)) is None


def objects(value: Value, prefix: str) -> str:
    return next(key for key in value["objects"] if key.startswith(prefix))


def no_event(value: Value) -> None:
    value["objects"][objects(value, "events/")] = None


def another_byte(prefix: str) -> Callable[[Value], None]:
    def change(value: Value) -> None:
        key = objects(value, prefix)
        data = bytearray(b64decode(value["objects"][key], "x"))
        data[len(data) // 2] ^= 1
        value["objects"][key] = b64encode(bytes(data))

    return change


def corrected(value: Value) -> None:
    prefix = next(key for key in value["listings"] if key.startswith("corrections/"))
    value["listings"][prefix]["keys"] = [prefix + "0" * 64]


LIES: list[tuple[str, Callable[[Value], Any]]] = [
    ("no event", no_event),
    ("another event byte", another_byte("events/")),
    ("another policy byte", another_byte("statements/policy/")),
    ("no policy", lambda value: value["objects"].pop(objects(value, "statements/policy/"))),
    ("no pointers", lambda value: [one.update(keys=[]) for key, one in value["listings"].items() if key.startswith("subjects/")]),
    ("no listing of corrections", lambda value: value["listings"].pop(next(k for k in value["listings"] if k.startswith("corr")))),
    ("from the future", lambda value: value.update(verifiedAt=format_time(NOW + timedelta(seconds=1)))),
    ("before the grace", lambda value: value.update(verifiedAt=format_time(NOW - timedelta(minutes=15)))),
    ("a correction, where nothing was read behind the event", corrected),
    ("another format", lambda value: value.update(format="signoff.dev/kept-answer/v2")),
    ("a field more", lambda value: value.update(more=1)),
    ("another question", lambda value: value["asked"].update(namespace="elsewhere")),
    ("another digest", lambda value: value["asked"].update(digest=OTHER.digest)),
    ("no time", lambda value: value.pop("verifiedAt")),
    ("an object that is no text", lambda value: value["objects"].update({objects(value, "events/"): 1})),
    ("an object that is no base64", lambda value: value["objects"].update({objects(value, "events/"): "A"})),
    ("a key that is none", lambda value: [one.update(keys=["../../etc/passwd"]) for one in value["listings"].values()]),
]


@pytest.mark.parametrize("change", [pytest.param(change, id=name) for name, change in LIES])
def test_an_altered_answer_is_dropped_whatever_its_digest_says(site: Site, change: Callable[[Value], Any]) -> None:
    path = site.keep()
    rewritten(path, change)
    assert site.restored() is None
    assert not path.exists()


def test_a_correction_that_was_seen_still_counts(site: Site) -> None:
    whole = KEY._replace(together=True)
    rewritten(site.keep(whole), corrected)
    assert site.restored(whole) is None
    assert site.files() == []


def truncated(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:-1])


def flipped(path: Path) -> None:
    data = bytearray(path.read_bytes())
    data[-100] ^= 1
    path.write_bytes(bytes(data))


def longer(path: Path) -> None:
    path.write_bytes(b"x" * (kept_module.MAX_FILE + 1))


def linked(path: Path) -> None:
    path.rename(path.with_suffix(".away"))
    path.symlink_to(path.with_suffix(".away"))


def twice(path: Path) -> None:
    path.with_suffix(".twin").hardlink_to(path)


def piped(path: Path) -> None:
    path.unlink()
    os.mkfifo(path, 0o600)


def open_to_others(path: Path) -> None:
    path.chmod(0o644)


def renamed(path: Path) -> None:
    path.rename(path.with_name("0" * 64 + ".answer"))


def emptied(path: Path) -> None:
    path.write_bytes(b"")


def nested(path: Path) -> None:
    content = b"[" * 100_000
    path.write_bytes(f"{sha256(content)}\n".encode() + content)


FILES = [truncated, flipped, longer, linked, twice, piped, open_to_others, renamed, emptied, nested]


@pytest.mark.parametrize("change", FILES, ids=lambda change: change.__name__)
def test_a_file_that_is_not_as_we_write_them_is_dropped_and_logged(
    site: Site, change: Callable[[Path], None], caplog: pytest.LogCaptureFixture
) -> None:
    path = site.keep()
    change(path)
    with caplog.at_level(logging.WARNING):
        assert site.restored() is None
    assert site.files() == []
    assert "is removed" in caplog.text


def test_nobody_revives_a_key_by_backdating(site: Site) -> None:
    """The archive's word on when it took the event is not in the folder: a key that has ended since vouches for nothing there."""
    whole = KEY._replace(together=True)
    site.keep(whole)
    world = site.world
    for change in ({"validUntil": "2026-03-04T09:02:00Z"}, {"compromised": {"at": "2026-03-04T09:02:00Z"}}):
        for ended in ("seal", "event"):
            keys = [
                trusted_key(signer, use, **(change if use == ended else {}))
                for use, signer in (("seal", world.seal_key), ("event", world.event_key))
            ]
            evidence = Kept(site.folder).answers(NOW)[0].evidence
            found = look_up(Reader(Again(evidence, NOW), world.trust_with(keys=keys)), whole, "demo", NOW)
            assert found.admissions == ()
            assert "was not valid" in found.refused[0]


def test_an_event_by_other_keys_than_the_trust_files_is_dropped(site: Site) -> None:
    site.keep()
    strangers = [trusted_key(PemSigner(generate_pem()), use) for use in ("seal", "event")]
    assert site.restored(trust=site.world.trust_with(keys=strangers)) is None


def test_negative_answers_are_not_kept_and_what_became_one_is_removed(site: Site) -> None:
    path = site.keep()
    assert site.keeper.look_up(OTHER).admissions == ()
    event = next((site.world.folder / "events").iterdir())
    event.unlink()
    assert site.keeper.look_up(KEY).admissions == ()
    soon(lambda: not path.exists())
    assert site.files() == []


def test_what_is_not_believed_any_more_is_removed_and_an_outage_removes_nothing(site: Site) -> None:
    path = site.keep()
    site.world.folder.rename(site.world.folder.with_name("away"))
    with pytest.raises(Unavailable):
        site.keeper.look_up(KEY)
    time.sleep(0.1)
    assert path.exists()
    site.world.folder.with_name("away").rename(site.world.folder)
    event = next((site.world.folder / "events").iterdir())
    event.chmod(0o600)
    event.write_bytes(b"{}")
    assert site.keeper.look_up(KEY).admissions == ()
    soon(lambda: not path.exists())


def test_it_is_written_once_a_minute(site: Site) -> None:
    path = site.keep()
    first = path.stat().st_ino
    site.now = VERIFIED + timedelta(seconds=59)
    site.keeper.look_up(KEY)
    time.sleep(0.2)
    assert path.stat().st_ino == first
    site.now = VERIFIED + timedelta(seconds=60)
    site.keeper.look_up(KEY)
    soon(lambda: b"2026-03-04T09:01:00Z" in path.read_bytes())


def promoted_everywhere(monkeypatch: pytest.MonkeyPatch) -> None:
    """Have the one promotion answer for every namespace: what is kept is asked about here, not for whom."""
    monkeypatch.setattr("signoff.webhook.keeper.look_up", lambda reader, key, *_: reader.find(key.digest, key.environment))


def test_the_verdict_does_not_wait_for_the_disk_and_what_waits_is_bounded(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    goes_on = threading.Event()
    monkeypatch.setattr("signoff.webhook.keeper.MAX_WAITING", 3)
    monkeypatch.setattr(Kept, "write", lambda *_: goes_on.wait(60))
    promoted_everywhere(monkeypatch)
    for number in range(8):
        assert site.keeper.look_up(KEY._replace(namespace=f"n{number}")).is_positive
    assert len(site.keeper._waiting) == 3
    goes_on.set()


def test_a_full_disk_is_logged_once_and_harms_no_verdict(
    site: Site, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def full(*_: object, **__: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("signoff.webhook.kept.os.rename", full)
    promoted_everywhere(monkeypatch)
    for number in range(3):
        assert site.keeper.look_up(KEY._replace(namespace=f"n{number}")).is_positive
    soon(lambda: not site.keeper._waiting and site.keeper._writing is None)
    assert caplog.text.count("cannot be kept for a restart") == 1
    assert list(site.folder.iterdir()) == []


def test_number_and_size_are_bounded(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(kept_module, "MAX_FILES", 3)
    for number in range(6):
        site.kept.write(Answer(KEY._replace(namespace=f"n{number}"), VERIFIED + timedelta(seconds=number), Evidence({"a": b"x"})))
    assert [one.key.namespace for one in Kept(site.folder).answers(NOW)] == ["n5", "n4", "n3"]
    monkeypatch.setattr(kept_module, "MAX_TOTAL", 1)
    assert Kept(site.folder).answers(NOW) == []
    assert site.files() == []


def test_evidence_is_bounded(site: Site) -> None:
    evidence = Evidence()
    evidence.note("a", b"x" * MAX_EVIDENCE)
    assert not evidence.too_large
    evidence.note("b", b"x")
    assert evidence.too_large
    assert evidence.objects == {}
    assert site.noting.with_policies(evidence) is None


def test_what_was_left_unfinished_is_removed(site: Site) -> None:
    path = site.keep()
    (site.folder / (path.name + ".unfinished")).write_bytes(b"half")
    assert site.restored() is not None
    assert [one.name for one in site.folder.iterdir()] == [path.name]


def linked_folder(path: Path) -> None:
    path.rename(path.with_name("elsewhere"))
    path.symlink_to(path.with_name("elsewhere"))


@pytest.mark.parametrize(
    "change",
    [linked_folder, lambda path: path.chmod(0o750), lambda path: (path.rmdir(), path.write_bytes(b""))],
    ids=["a link", "open to a group", "a file"],
)
def test_a_folder_that_is_not_ours_alone_is_refused(tmp_path: Path, change: Callable[[Path], Any]) -> None:
    folder = tmp_path / "cache"
    Kept(folder)
    change(folder)
    with pytest.raises(SignoffError) as refused:
        Kept(folder)
    assert refused.value.mend


def test_a_folder_without_a_parent_is_refused(tmp_path: Path) -> None:
    with pytest.raises(SignoffError):
        Kept(tmp_path / "absent" / "cache")


def test_evidence_answers_what_was_asked_and_no_more(site: Site) -> None:
    with site.noting.noted() as evidence:
        with pytest.raises(Missing):
            site.noting.read(layout.event("0" * 64), limit=1)
        list(site.noting.list("subjects/", limit=1))
    again = Again(evidence, NOW)
    with pytest.raises(Missing):
        again.read(layout.event("0" * 64), limit=1)
    with pytest.raises(Unavailable):
        again.read(layout.event("1" * 64), limit=1)
    assert len(list(again.list("subjects/", limit=1))) == 1
    with pytest.raises(Unavailable):
        list(again.list("subjects/"))  # only the first was listed
    with pytest.raises(Unavailable):
        list(again.list("models/"))
    with pytest.raises(Refused):
        again.create("a", b"")


def test_nothing_is_written_before_the_rights_are_proven(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    store = ProvenFirst(site.world.store)

    def refuses(_: object) -> Any:
        raise Refused("this process may delete")

    with monkeypatch.context() as may_delete:
        may_delete.setattr("signoff.archive.file.FileStore.prove", refuses)
        with pytest.raises(Refused):
            store.create("blobs/sha256/" + "0" * 64, b"")
    with pytest.raises(Missing):
        store.read("blobs/sha256/" + "0" * 64, limit=1)
    store.create("blobs/sha256/" + "0" * 64, b"")


def test_what_rests_on_a_correction_is_not_kept(site: Site) -> None:
    """Verified again without the store's time, a revocation whose key has ended since would be passed over."""
    site.keep()
    verified = site.reader.outcome(next(iter(site.keeper.look_up(KEY).admissions)).id)
    site.world.correct(verified, "Annotate")
    found = site.keeper.look_up(KEY)
    assert found.is_positive, "a remark changes nothing of what is admitted"
    soon(lambda: not site.files())
    assert site.restored() is None
