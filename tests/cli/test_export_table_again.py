"""A table that is written in several runs, whatever ended each, is the one that one run writes: no row twice, none missing."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from archive_fixture import Site
from tables import export, parts, rows, whole

from signoff.archive import layout
from signoff.archive.file import FileStore
from signoff.archive.store import Stored, Unavailable
from signoff.cli import export_table, table_folder, table_parts
from signoff.cli.table_folder import MANIFEST
from signoff.cli.table_parts import Parts


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
        "import sys, time; from signoff.cli import export_table, table_hands; export_table.ROWS_AT_ONCE = 2; rows = table_hands.rows\n"
        "table_hands.rows = lambda *given: (time.sleep(0.2), rows(*given))[1]\n"
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


@pytest.mark.parametrize("when", ["before", "after"])
@pytest.mark.parametrize("number", [1, 2, 5])
def test_an_interrupt_around_a_write_writes_no_row_twice(
    full: Site, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, when: str, number: int
) -> None:
    expected, folder, left, write = whole(full, tmp_path / "whole"), tmp_path / "table", [number], pq.ParquetWriter.write_table

    def interrupted(writer: pq.ParquetWriter, table: pa.Table) -> None:
        left[0] -= 1
        if left[0] or when == "after":
            write(writer, table)
        if not left[0]:
            raise KeyboardInterrupt

    monkeypatch.setattr(table_parts, "_ROWS_HELD", 4)
    monkeypatch.setattr(pq.ParquetWriter, "write_table", interrupted)
    assert full.run("export-table", "--out", folder).code == 130
    found = rows(folder)
    assert all(row in expected for row in found)
    assert len({(row["archive_key"], row["number"]) for row in found}) == len(found)
    listed = json.loads((folder / MANIFEST).read_bytes())["parts"]
    assert listed == {name: pq.read_metadata(path).num_rows for name, path in parts(folder).items()}
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
