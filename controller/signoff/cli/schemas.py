"""Writing the JSON Schemas of the record into a folder: ``python -m signoff.cli.schemas FOLDER``, for maintainers."""

from __future__ import annotations

import sys
from pathlib import Path

from signoff.record.schemas import schema_text, schemas


def write_schemas(folder: Path) -> tuple[Path, ...]:
    """Write each schema to ``<folder>/<name>.v1.json``, indented, and return the files."""
    folder.mkdir(parents=True, exist_ok=True)
    written: list[Path] = []
    for name, schema in schemas().items():
        path = folder / f"{name}.v1.json"
        path.write_text(schema_text(schema), encoding="utf-8")
        written.append(path)
    return tuple(written)


def main(arguments: list[str]) -> int:
    """Write the schemas into the one folder that is named."""
    if len(arguments) != 1:
        sys.stderr.write("usage: python -m signoff.cli.schemas FOLDER\n")
        return 2
    for path in write_schemas(Path(arguments[0])):
        sys.stdout.write(f"{path}\n")
    return 0


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
