"""The table: what each row says, in which month it lies, and what is said of what does not verify."""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path

import pyarrow.parquet as pq
import pytest
from archive_fixture import Site
from bank_year import Year, model_of
from tables import parts, row_of, rows
from world import CARLA, DAVID

from signoff.archive import layout
from signoff.cli import audit_hands, table_parts
from signoff.cli.table_columns import COLUMNS, FIELDS, declaration
from signoff.record.bundle import read_bundle
from signoff.record.canonical import dumps

DOCS = Path(__file__).parent.parent.parent / "docs"


def test_a_statement_is_a_row_and_a_freeze_is_none(site: Site, tmp_path: Path) -> None:
    verified = site.promoted()
    rejected = site.decided(site.frozen(lambda spec: spec.update(attempt=2), name="again"), DAVID, verdict="Reject")
    ran = site.run("export-table", "--out", tmp_path / "table")
    assert (ran.code, ran.err) == (0, "")
    assert "5 rows added (policy 1, promotion 1, rejection 1, seal 2)" in " ".join(ran.out.split())
    assert sorted((row["type"], row["verifies"]) for row in rows(tmp_path / "table")) == [
        (kind, "yes") for kind in ("policy", "promotion", "rejection", "seal", "seal")
    ]
    assert row_of(tmp_path / "table", layout.event(verified.id))["digest"] == verified.digest
    row = row_of(tmp_path / "table", layout.event(rejected.id))
    assert (row["type"], row["verdict"], row["decided_by"], row["attempt"]) == ("rejection", "Reject", "david@bank.example", 2)
    assert row["valid_until"] is None, "a rejection admits nothing at any time"


def test_the_six_fields_are_what_was_signed(site: Site, tmp_path: Path) -> None:
    verified = site.promoted()
    site.run("export-table", "--out", tmp_path / "table")
    row = row_of(tmp_path / "table", layout.event(verified.id))
    signed = json.loads(read_bundle(site.object_at(layout.event(verified.id)).read_bytes(), "event").payload)
    assert set(FIELDS) == set(signed["predicate"])
    assert dumps({**signed, "predicate": {name: json.loads(row[name]) for name in FIELDS}}) == dumps(signed)
    assert row["freeze"] == json.loads(row["approvalRequest"])["digest"]


def test_a_rows_month_is_that_in_which_the_store_took_it(year: Year, tmp_path: Path) -> None:
    spring = year.promoted("credit-spring", "2026-03-02")
    new_year = year.frozen("2026-12-31T22:00:00", model_of("credit-night"), name="night")
    event = year.decided(new_year, "2026-12-31T23:59:58", CARLA)
    assert year.site.run("export-table", "--out", tmp_path / "table").code == 0
    assert row_of(tmp_path / "table", layout.event(spring.id))["month"] == "month=2026-03"
    row = row_of(tmp_path / "table", layout.event(event.id))
    assert (row["month"], str(row["stored_at"]), row["stored_unix"]) == ("month=2027-01", "2027-01-01 00:00:03", 1798761603)
    for row in rows(tmp_path / "table"):
        assert row["month"] == f"month={row['stored_at']:%Y-%m}"


def test_an_altered_event_is_a_row_that_says_so_and_nothing_else(site: Site, tmp_path: Path) -> None:
    verified = site.promoted()
    key = layout.event(verified.id)
    site.overwrite(key, site.object_at(key).read_bytes().replace(b'"sig":"M', b'"sig":"N'))
    ran = site.run("export-table", "--out", tmp_path / "table")
    assert ran.code == 1
    assert "1 of the new do not verify" in ran.out
    row = row_of(tmp_path / "table", key)
    assert (row["type"], row["verifies"], row["id"]) == ("event", "no", verified.id)
    assert row["why_not"].startswith("rule 2 (signature): ")
    said = {name for name, cell in row.items() if cell is not None}
    assert said == {"archive_key", "number", "type", "id", "digest", "stored_at", "stored_unix", "verifies", "why_not", "month"}


def test_what_cannot_be_told_is_a_row_that_says_so(site: Site, tmp_path: Path) -> None:
    verified = site.promoted()
    site.object_at(layout.statement("policy", verified.freeze.route.considered[0].statement)).unlink()
    ran = site.run("export-table", "--out", tmp_path / "table", "-o", "json")
    assert (ran.code, ran.json["couldNotTell"], ran.json["unverified"]) == (0, 1, 0)
    row = row_of(tmp_path / "table", layout.event(verified.id))
    assert (row["verifies"], row["model"]) == ("could not tell", None)
    assert "is not at hand" in row["why_not"]


def test_whatever_lies_where_statements_do_is_a_row(site: Site, tmp_path: Path) -> None:
    verified = site.promoted()
    principal = verified.decisions[0].principal
    seal = layout.seal(verified.freeze.request.spec.explanation.digest, principal.issuer, principal.subject)
    objects = {
        "events/readme": b"x",
        layout.event("4" * 64): b"{}",
        seal: site.object_at(
            layout.seal(json.loads(_field(site, verified.id))["digest"], principal.issuer, principal.subject)
        ).read_bytes(),
        layout.statement("policy", "sha256:" + "2" * 64): b"{}",
        layout.statement("note", "sha256:" + "2" * 64): b"{}",
    }
    for key, data in objects.items():
        site.world.store.create(key, data)
    site.object_at("statements/policy/" + "3" * 64).symlink_to("/dev/null")
    assert site.run("export-table", "--out", tmp_path / "table").code == 1
    told = {row["archive_key"]: (row["type"], row["verifies"]) for row in rows(tmp_path / "table") if row["verifies"] != "yes"}
    assert told == {
        "events/readme": ("event", "no"),
        layout.event("4" * 64): ("event", "no"),
        seal: ("seal", "no"),
        "statements/policy/" + "2" * 64: ("policy", "no"),
        "statements/policy/" + "3" * 64: ("policy", "no"),
        "statements/note/" + "2" * 64: ("note", "could not tell"),
    }
    assert row_of(tmp_path / "table", "statements/policy/" + "3" * 64)["month"] == "month=unknown"


def _field(site: Site, request: str) -> str:
    predicate = json.loads(read_bundle(site.object_at(layout.event(request)).read_bytes(), "event").payload)["predicate"]  # type: ignore[arg-type]
    return json.dumps(predicate["approvalRequest"])


def test_a_policy_by_somebody_who_may_not_publish_is_a_row_that_says_so(site: Site, tmp_path: Path) -> None:
    published = site.world.publish("credit-models", {**_policy(), "rules": [{"name": "else", "tier": "tier-2"}]}, CARLA)
    assert site.run("export-table", "--out", tmp_path / "table").code == 1
    row = row_of(tmp_path / "table", layout.statement("policy", published.statement))
    assert (row["verifies"], row["policy"]) == ("no", None)
    assert "is no policy publisher in the trust file" in row["why_not"]


def _policy() -> dict[str, object]:
    from world import POLICY

    return POLICY


def test_rows_go_out_in_groups_of_a_bounded_size(year: Year, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for number in range(6):
        year.promoted(f"credit-{number}", "2026-03-02")
    monkeypatch.setattr(table_parts, "_ROWS_HELD", 3)
    assert year.site.run("export-table", "--out", tmp_path / "by-rows").code == 0
    assert max(_groups(tmp_path / "by-rows")) <= 4
    monkeypatch.setattr(table_parts, "_ROWS_HELD", 1_000)
    monkeypatch.setattr(table_parts, "_BYTES_HELD", 50_000)
    assert year.site.run("export-table", "--out", tmp_path / "by-bytes").code == 0
    assert max(pq.ParquetFile(path).metadata.num_row_groups for path in parts(tmp_path / "by-bytes").values()) > 1
    monkeypatch.setattr(table_parts, "_MONTHS_OPEN", 1)
    assert year.site.run("export-table", "--out", tmp_path / "by-months").code == 0
    assert len(parts(tmp_path / "by-months")) == len(rows(tmp_path / "by-months"))
    assert rows(tmp_path / "by-rows") == rows(tmp_path / "by-bytes") == rows(tmp_path / "by-months")


def _groups(folder: Path) -> list[int]:
    files = [pq.ParquetFile(path).metadata for path in parts(folder).values()]
    return [file.row_group(number).num_rows for file in files for number in range(file.num_row_groups)]


def test_many_processes_write_the_rows_that_one_writes(year: Year, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for number in range(4):
        year.promoted(f"credit-{number}", "2026-03-02")
    for name, value in {"FEW": 1, "AHEAD": 1, "AT_ONCE": 2}.items():
        monkeypatch.setattr(audit_hands, name, value)
    assert year.site.run("export-table", "--out", tmp_path / "one", "--jobs", "1").code == 0
    assert year.site.run("export-table", "--out", tmp_path / "many", "--jobs", "2").code == 0
    assert list(parts(tmp_path / "many")) == list(parts(tmp_path / "one")), "to the byte: a part's name is its digest"


def test_a_process_that_is_lost_ends_it_and_says_what_to_do(site: Site, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    site.promoted()
    monkeypatch.setattr(audit_hands, "FEW", 1)
    monkeypatch.setattr(audit_hands, "_begin", os.abort)
    ran = site.run("export-table", "--out", tmp_path / "table", "--jobs", "2")
    assert (ran.code, ran.out) == (2, "")
    assert "ended before it was done; run this again, it goes on where it was" in ran.err


def test_progress_tells_objects_rows_and_rate(site: Site, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    site.promoted()
    told: list[str] = []
    monkeypatch.setattr("signoff.cli.progress.Progress.step", lambda _, how_far: told.append(how_far))
    assert site.run("export-table", "--out", tmp_path / "table").code == 0
    assert told[-1].startswith("3 objects, 3 rows; ")
    assert told[-1].endswith(" objects a second")
    assert site.run("export-table", "--out", tmp_path / "table").code == 0
    assert told[-1] == "looking at what is there, part 1"


def test_without_the_library_it_says_what_to_install(site: Site, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in [name for name in sys.modules if name.partition(".")[0] == "pyarrow" or name.startswith("signoff.cli.table_")]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, "pyarrow", None)
    ran = site.run("export-table", "--out", tmp_path / "table")
    assert (ran.code, ran.out) == (2, "")
    assert ran.err == "error: signoff export-table: needs pyarrow, which is not installed; pip install 'signoff[table]'\n"
    assert not (tmp_path / "table").exists()
    assert site.run("export-table", "--help", archive=False).code == 0


def test_the_columns_are_documented_as_they_are_declared() -> None:
    page = (DOCS / "table.md").read_text(encoding="utf-8")
    assert f"```sql\n{declaration()}```\n" in page
    assert not [column.name for column in COLUMNS if "'" in column.says], "a comment in SQL ends at an apostrophe"
    names = [column.name.lower() for column in COLUMNS]
    assert len(set(names)) == len(names), "engines fold case"
