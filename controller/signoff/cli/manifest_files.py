"""Manifests out of files, folders and stdin. What cannot be read is told and holds up nothing else."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from signoff.errors import SignoffError
from signoff.manifests import MAX_BYTES, documents
from signoff.record.canonical import Json

SUFFIXES: Final = frozenset({".yaml", ".yml", ".json"})
_STDIN: Final = "(stdin)"
_DEEPEST: Final = 8


@dataclass(frozen=True)
class Document:
    """A document of a file: an object of some kind, or what only looks like one (then kind is "")."""

    file: str
    api_version: str
    kind: str
    value: Mapping[str, Json]


@dataclass(frozen=True)
class Unreadable:
    """A file that could not be read to its end, and why."""

    file: str
    why: str


def read_files(names: Sequence[str], step: Callable[[str], None]) -> tuple[tuple[Document, ...], tuple[Unreadable, ...]]:
    """Return every document of the files, lists unfolded, and the files that could not be read; ``step`` is told each file."""
    found: list[Document] = []
    failed: list[Unreadable] = []
    for name in names:
        try:
            for path in _files(name):
                step(str(path))
                _read(path, found, failed)
        except OSError as error:
            failed.append(Unreadable(name, f"{name}: cannot be read: {error.strerror}"))
    return tuple(found), tuple(failed)


def _read(path: Path | None, found: list[Document], failed: list[Unreadable]) -> None:
    name = _STDIN if path is None else str(path)
    try:
        for value in documents(_bytes(path), name):
            if isinstance(value, Mapping):
                found.extend(_unfolded(name, value, _text(value, "apiVersion"), _text(value, "kind")))
            else:
                found.append(Document(name, "", "", {}))
    except OSError as error:
        failed.append(Unreadable(name, f"{name}: cannot be read: {error.strerror}"))
    except SignoffError as error:
        failed.append(Unreadable(name, str(error)))


def _files(name: str) -> Iterator[Path | None]:
    """Yield the files that a name means; None is stdin. In a folder whatever begins with a dot is left out, as are links to folders."""
    if name == "-":
        yield None
        return
    path = Path(name)
    if not path.is_dir():
        yield path
        return
    for each in sorted(path.iterdir()):
        if each.name.startswith("."):
            continue
        if each.is_dir() and not each.is_symlink():
            yield from _files(str(each))
        elif each.suffix in SUFFIXES and each.is_file():
            yield each


def _bytes(path: Path | None) -> bytes:
    # One byte more than is allowed: `documents` says what is wrong with it, and nothing larger is ever held.
    if path is None:
        return sys.stdin.buffer.read(MAX_BYTES + 1)
    with path.open("rb") as file:
        return file.read(MAX_BYTES + 1)


def _unfolded(file: str, value: Mapping[str, Json], api_version: str, kind: str, depth: int = 0) -> Iterator[Document]:
    """Yield an object, or the items of a List; those of a DeploymentList and the like may leave out what they are."""
    items = value.get("items")
    if not kind.endswith("List") or not isinstance(items, list):
        yield Document(file, api_version, kind, value)
        return
    if depth == _DEEPEST:
        raise SignoffError(f"lists nested deeper than {_DEEPEST}", where=file, mend="write the objects out")
    own = ("", "") if kind == "List" else (api_version, kind.removesuffix("List"))
    for item in items:
        if isinstance(item, Mapping):
            yield from _unfolded(file, item, _text(item, "apiVersion") or own[0], _text(item, "kind") or own[1], depth + 1)
        else:
            yield Document(file, "", "", {})


def _text(value: Mapping[str, Json], key: str) -> str:
    text = value.get(key)
    return text if isinstance(text, str) else ""
