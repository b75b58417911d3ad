"""Files of predictions to measure: the example's, made once, and small ones."""

from __future__ import annotations

import runpy
import tempfile
from functools import cache
from pathlib import Path
from typing import Final

from signoff.checks.measure import File

EXAMPLE: Final = Path(__file__).parent.parent.parent / "examples" / "checks" / "make_data.py"


@cache
def example() -> dict[str, bytes]:
    """Return the example's files by name."""
    with tempfile.TemporaryDirectory() as folder:
        runpy.run_path(str(EXAMPLE))["main"](Path(folder))
        return {path.name: path.read_bytes() for path in sorted(Path(folder).iterdir())}


def file(name: str) -> File:
    """Return a file of the example."""
    return File(name, example()[name])


def predictions(rows: int = 200, *, header: str = "id,label,score,x", extra: str = "1") -> bytes:
    """Return a small file of predictions whose labels alternate."""
    lines = [f"c{row},{row % 2},{(row * 7 % 100) / 100},{extra.format(row=row)}" for row in range(rows)]
    return "\n".join([header, *lines, ""]).encode()
