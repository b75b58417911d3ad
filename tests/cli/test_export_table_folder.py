"""Which folders a table is written into: its own alone, as it was written, by one run at a time."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest
from archive_fixture import Ran, Site
from tables import export, parts, rows, whole
from world import World, trusted_key

from signoff.archive import layout
from signoff.archive.file import FileStore
from signoff.cli.table_folder import MANIFEST, opened
from signoff.cli.table_parts import Identity
from signoff.record.canonical import dumps
from signoff.record.promotion import as_json
from signoff.record.values import sha256


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


@pytest.mark.parametrize("kind", ["seal", "policy"])
def test_what_was_exported_and_is_gone_from_the_archive_is_told(full: Site, tmp_path: Path, kind: str) -> None:
    folder = tmp_path / "table"
    expected = whole(full, folder)
    key = next(row["archive_key"] for row in expected if row["type"] == kind)
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
    refused = other_trust(full)
    assert refused.err in full.run("export-table", "--out", tmp_path / "table").err
