"""Reading a table in tests: all rows, as plain values, whatever parts they lie in."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
from archive_fixture import Ran, Site

Rows = list[dict[str, Any]]


def parts(folder: Path) -> dict[str, Path]:
    """Return the parts of a table by their paths below the folder."""
    return {f"{path.parent.name}/{path.name}": path for path in sorted(folder.glob("month=*/*.parquet"))}


def rows(folder: Path) -> Rows:
    """Return all rows with the month of their folder, in the order of keys."""
    found = [{**row, "month": path.parent.name} for path in parts(folder).values() for row in pq.ParquetFile(path).read().to_pylist()]
    return sorted(found, key=lambda row: (row["archive_key"], row["number"]))


def row_of(folder: Path, key: str, number: int = 0) -> dict[str, Any]:
    """Return the one row of an object, or of a check within it."""
    (row,) = [row for row in rows(folder) if (row["archive_key"], row["number"]) == (key, number)]
    return row


def whole(site: Site, folder: Path) -> Rows:
    """Return the rows that a single run writes."""
    assert site.run("export-table", "--out", folder).code == 0
    return rows(folder)


def export(site: Site, folder: Path, code: int = 0) -> Ran:
    ran = site.run("export-table", "--out", folder, "-o", "json")
    assert ran.code == code, ran.err
    return ran
