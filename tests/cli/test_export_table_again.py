"""A table that is written in several runs, whatever ended each, is the one that one run writes: no row twice, none missing."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest
from archive_fixture import Ran, Site
from tables import Rows, parts, rows
from world import DAVID, World, trusted_key

from signoff.archive import layout
from signoff.archive.file import FileStore
from signoff.archive.store import Stored, Unavailable
from signoff.cli import export_table, table_folder, table_parts
from signoff.cli.table_folder import MANIFEST, opened
from signoff.cli.table_parts import Identity, Parts
from signoff.record.canonical import dumps
from signoff.record.promotion import as_json
from signoff.record.values import sha256


class Killed(BaseException):
    """What a kill looks like from within: nothing runs after it but what the machine would do by itself."""


class Doom:
    """Ends a run at the n-th of the calls that it is told of, once; never, where n is None."""

    def __init__(self) -> None:
        self.at: int | None = None
        self.calls = 0
        self.struck = False

    def watch(self, monkeypatch: pytest.MonkeyPatch, of: object, name: str) -> None:
        original: Callable[..., Any] = getattr(of, name)

        def called(*arguments: Any, **named: Any) -> Any:
            if self.calls == self.at:
                self.at, self.struck = None, True
                raise Killed(f"{name}, call {self.calls}")
            self.calls += 1
            return original(*arguments, **named)

        monkeypatch.setattr(of, name, called)


@pytest.fixture
def full(site: Site, monkeypatch: pytest.MonkeyPatch) -> Site:
    """An archive of two months, of which every third row finishes the parts that are open."""
    for number, month in enumerate((3, 4, 4)):
        verified = site.decided(
            site.frozen(lambda spec, number=number: spec.update(attempt=number + 1), name=f"n-{number}"), DAVID, verdict="Reject"
        )
        at = time.mktime((2026, month, 2, 12, 0, 0, 0, 0, 0))
        for key in (layout.event(verified.id), layout.seal(sha256(verified.payload), DAVID.issuer, DAVID.subject)):
            os.utime(site.object_at(key), (at, at))
    monkeypatch.setattr(export_table, "ROWS_AT_ONCE", 3)
    return site


def whole(site: Site, folder: Path) -> Rows:
    """Return the rows that a single run writes."""
    assert site.run("export-table", "--out", folder).code == 0
    return rows(folder)


def export(site: Site, folder: Path, code: int = 0) -> Ran:
    ran = site.run("export-table", "--out", folder, "-o", "json")
    assert ran.code == code, ran.err
    return ran


def test_a_run_that_is_killed_at_any_moment_is_gone_on_with(full: Site, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    expected, doom = whole(full, tmp_path / "whole"), Doom()
    abandon = Parts.abandon
    monkeypatch.setattr(Parts, "abandon", lambda parts: None if doom.struck else abandon(parts))  # nobody tidies up after a kill
    for of, name in (
        (FileStore, "read"),
        (table_parts, "flush"),
        (table_folder, "flush"),
        (Path, "mkdir"),
        (Path, "replace"),
        (Path, "write_text"),
        (pq.ParquetWriter, "write_table"),
        (pq.ParquetWriter, "close"),
    ):
        doom.watch(monkeypatch, of, name)
    export(full, tmp_path / "counted")
    count = doom.calls
    assert count > 40
    for moment in range(count):
        folder = tmp_path / f"killed-{moment}"
        doom.at, doom.calls = moment, 0
        with pytest.raises(Killed):
            full.run("export-table", "--out", folder)
        doom.struck = False
        before = {name: path.stat().st_mtime_ns for name, path in parts(folder).items()}
        export(full, folder)
        assert rows(folder) == expected, f"killed at {moment} of {count}"
        assert before.items() <= {name: path.stat().st_mtime_ns for name, path in parts(folder).items()}.items(), "what was there is kept"
        assert {path.name for path in folder.iterdir()} == {"_lock", MANIFEST, "month=2026-03", "month=2026-04", _today(folder)}


def _today(folder: Path) -> str:
    return max(path.name for path in folder.glob("month=*"))


def test_a_process_that_is_killed_outright_leaves_a_table_that_is_gone_on_with(full: Site, tmp_path: Path) -> None:
    expected, folder = whole(full, tmp_path / "whole"), tmp_path / "table"
    program = (
        "import sys, time; from signoff.cli import export_table, table_rows; export_table.ROWS_AT_ONCE = 2; rows = table_rows.rows\n"
        "table_rows.rows = lambda *given: (time.sleep(0.2), rows(*given))[1]\n"
        "from signoff.cli.program import answer; sys.exit(answer(sys.argv[1:], 'signoff'))"
    )
    given = ["export-table", "--out", str(folder), "--archive", full.url, "--trust", full.trust]
    child = subprocess.Popen([sys.executable, "-c", program, *given])
    deadline = time.monotonic() + 60
    while not parts(folder):
        assert child.poll() is None
        assert time.monotonic() < deadline
        time.sleep(0.01)
    child.send_signal(signal.SIGKILL)
    assert child.wait() == -signal.SIGKILL
    assert 0 < len(rows(folder)) < len(expected)
    export(full, folder)
    assert rows(folder) == expected


def test_an_archive_that_goes_out_of_reach_ends_it_and_what_was_read_is_kept(
    full: Site, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    expected, read, left = whole(full, tmp_path / "whole"), FileStore.read, [4]

    def failing(store: FileStore, key: str, *, limit: int) -> Stored:
        if key.startswith(("events/", "seals/")):
            left[0] -= 1
            if left[0] < 0:
                raise Unavailable("the archive is out of reach", key, "try again")
        return read(store, key, limit=limit)

    monkeypatch.setattr(export_table, "ROWS_AT_ONCE", 100)
    monkeypatch.setattr(FileStore, "read", failing)
    ran = full.run("export-table", "--out", tmp_path / "table")
    assert (ran.code, "the archive is out of reach" in ran.err) == (2, True)
    assert 0 < len(rows(tmp_path / "table")) < len(expected)
    monkeypatch.setattr(FileStore, "read", read)
    export(full, tmp_path / "table")
    assert rows(tmp_path / "table") == expected


def test_a_later_run_adds_what_is_new_and_reads_nothing_else(full: Site, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = tmp_path / "table"
    whole(full, folder)
    before = {name: path.stat().st_mtime_ns for name, path in parts(folder).items()}
    assert export(full, folder).json["rows"] == {}
    event = full.promoted()
    keys, read = [], FileStore.read

    def told(store: FileStore, key: str, *, limit: int) -> Stored:
        keys.append(key)
        return read(store, key, limit=limit)

    monkeypatch.setattr(FileStore, "read", told)
    assert export(full, folder).json["rows"] == {"promotion": 1, "seal": 1}
    assert [key for key in keys if key.startswith("events/")] == [layout.event(event.id)]
    assert before.items() <= {name: path.stat().st_mtime_ns for name, path in parts(folder).items()}.items()
    assert rows(folder) == whole(full, tmp_path / "whole")


def test_a_part_that_was_taken_away_is_written_again_and_the_run_says_so(full: Site, tmp_path: Path) -> None:
    expected, folder = whole(full, tmp_path / "table"), tmp_path / "table"
    name, path = next(iter(parts(folder).items()))
    path.unlink()
    assert any(name in remark for remark in export(full, folder).json["remarks"])
    assert rows(folder) == expected
    assert export(full, folder).json["remarks"] == []


@pytest.mark.parametrize(
    "content", [None, b"", b"{", b"[]", b'{"format": 1}', b'{"format":"x","archive":"y","trust":"z","parts":7}', b"\xff"]
)
def test_a_manifest_that_is_gone_or_is_none_is_made_again(full: Site, tmp_path: Path, content: bytes | None) -> None:
    folder = tmp_path / "table"
    expected = whole(full, folder)
    manifest = (folder / MANIFEST).read_bytes()
    if content is None:
        (folder / MANIFEST).unlink()
    else:
        (folder / MANIFEST).write_bytes(content)
    assert export(full, folder).json["rows"] == {}
    assert (folder / MANIFEST).read_bytes() == manifest
    assert rows(folder) == expected


def test_a_manifest_that_lists_fewer_parts_or_others_changes_nothing(full: Site, tmp_path: Path) -> None:
    folder = tmp_path / "table"
    expected = whole(full, folder)
    written = json.loads((folder / MANIFEST).read_bytes())
    for listed in ({}, {"month=2026-03/" + "0" * 64 + ".parquet": 5}, dict.fromkeys(written["parts"], 99)):
        (folder / MANIFEST).write_text(json.dumps({**written, "parts": listed}))
        assert export(full, folder).json["rows"] == {}
        assert json.loads((folder / MANIFEST).read_bytes()) == written
    assert rows(folder) == expected


def altered(folder: Path) -> str:
    path = next(iter(parts(folder).values()))
    path.write_bytes(path.read_bytes()[:-1] + b"x")
    return "is not as it was written"


def foreign(folder: Path) -> str:
    home = next(folder.glob("month=*"))
    (home / "part-0.parquet").write_bytes(b"PAR1")
    return "is no part of this table, and would be read as one"


def renamed(folder: Path) -> str:
    path = next(iter(parts(folder).values()))
    data = b"PAR1 and nothing else"
    path.with_name(sha256(data).removeprefix("sha256:") + ".parquet").write_bytes(data)
    return "is no Parquet file"


def twice(folder: Path) -> str:
    path = next(iter(parts(folder).values()))
    (folder / "month=2020-01").mkdir()
    (folder / "month=2020-01" / path.name).write_bytes(path.read_bytes())
    return "which another part holds too"


def another_month(folder: Path) -> str:
    (folder / "month=March").mkdir()
    return "is no month of a table"


@pytest.mark.parametrize("change", [altered, foreign, renamed, twice, another_month])
def test_what_is_not_as_it_was_written_is_refused_and_left_alone(full: Site, tmp_path: Path, change: Callable[[Path], str]) -> None:
    folder = tmp_path / "table"
    whole(full, folder)
    why = change(folder)
    before = dict(content(folder))
    ran = full.run("export-table", "--out", folder)
    assert (ran.code, ran.out) == (2, "")
    assert why in ran.err
    assert dict(content(folder)) == before


def content(folder: Path) -> Iterator[tuple[str, bytes]]:
    for path in sorted(folder.rglob("*")):
        if path.is_file():
            yield str(path), path.read_bytes()


def other_trust(site: Site) -> Ran:
    trust = dumps(as_json(site.world.trust_with(keys=[trusted_key(site.world.seal_key, "seal")], version=2)))
    site.world.store.create(layout.statement("trust", sha256(trust)), trust)
    site.trust = sha256(trust)
    return Ran(2, "", "is the export of the trust file sha256:")


def other_archive(site: Site) -> Ran:
    site.url = World(site.world.folder.with_name("other")).folder.as_uri()
    trust = site.object_at(layout.statement("trust", site.trust)).read_bytes()
    FileStore(site.world.folder.with_name("other")).create(layout.statement("trust", site.trust), trust)
    return Ran(2, "", "is the export of the archive file://")


@pytest.mark.parametrize("change", [other_trust, other_archive])
@pytest.mark.parametrize("with_manifest", [True, False])
def test_a_table_of_another_archive_or_trust_file_is_refused(
    full: Site, tmp_path: Path, change: Callable[[Site], Ran], with_manifest: bool
) -> None:
    folder = tmp_path / "table"
    whole(full, folder)
    if not with_manifest:
        (folder / MANIFEST).unlink()
    before, expected = dict(content(folder)), change(full)
    ran = full.run("export-table", "--out", folder)
    assert (ran.code, ran.out) == (2, "")
    assert expected.err in ran.err
    assert "name another folder with --out" in ran.err
    assert dict(content(folder)) == before


def test_a_folder_that_holds_something_else_is_refused_and_left_alone(full: Site, tmp_path: Path) -> None:
    (tmp_path / "notes.txt").write_text("mine")
    ran = full.run("export-table", "--out", tmp_path)
    assert (ran.code, "is no table of signoff's: it holds " in ran.err) == (2, True)
    assert not (tmp_path / "_lock").exists()


def test_a_folder_that_cannot_be_written_is_an_error(full: Site, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "file").write_text("x")
    ran = full.run("export-table", "--out", tmp_path / "file" / "table")
    assert (ran.code, "cannot be written: Not a directory; give it room and the right to write" in ran.err) == (2, True)
    for of, name in ((pq.ParquetWriter, "write_table"), (Path, "replace"), (Path, "write_text"), (pq.ParquetWriter, "close")):
        with monkeypatch.context() as patched:
            patched.setattr(of, name, _no_room_once(getattr(of, name)))
            ran = full.run("export-table", "--out", tmp_path / "table")
        assert (ran.code, "cannot be written: No space left on device" in ran.err) == (2, True), name
    assert len(rows(tmp_path / "table")) < len(whole(full, tmp_path / "table"))


def _no_room_once(original: Callable[..., Any]) -> Callable[..., Any]:
    failed: list[str] = []

    def called(*arguments: Any, **named: Any) -> Any:
        if not failed:
            failed.append("now")
            raise OSError(28, "No space left on device")
        return original(*arguments, **named)

    return called


def test_one_run_at_a_time_writes_a_table(full: Site, tmp_path: Path) -> None:
    with opened(tmp_path / "table", Identity(full.url, full.trust)):
        ran = full.run("export-table", "--out", tmp_path / "table")
    assert (ran.code, "another run writes this table" in ran.err) == (2, True)
    export(full, tmp_path / "table")


def test_what_was_exported_and_is_gone_from_the_archive_is_told(full: Site, tmp_path: Path) -> None:
    folder = tmp_path / "table"
    expected = whole(full, folder)
    key = next(row["archive_key"] for row in expected if row["type"] == "seal")
    full.object_at(key).unlink()
    ran = export(full, folder, code=1)
    assert ran.json["gone"] == {"count": 1, "keys": [key]}
    assert rows(folder) == expected, "the table says what there was"
    assert f"no longer in the archive: 1 object. Find out who removed what:\n  {key}\n" in full.run("export-table", "--out", folder).out


def test_an_empty_archive_is_an_empty_table(full: Site, tmp_path: Path, world: World) -> None:
    for folder in ("events", "seals", "statements/policy"):
        for path in (world.folder / folder).glob("**/*"):
            if path.is_file():
                path.unlink()
    assert export(full, tmp_path / "table").json["table"] == {"rows": 0, "parts": 0}
    assert "Nothing new; the table in" in full.run("export-table", "--out", tmp_path / "table").out
