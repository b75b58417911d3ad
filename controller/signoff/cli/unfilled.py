"""Places to fill in: which there are, and whether the rest of a manifest is as admission takes it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Final

from signoff.cli.manifest import FILL_IN, Node, Note
from signoff.record.canonical import Json

_STAND_INS: Final[Mapping[str, str]] = {
    "digest": f"sha256:{'0' * 64}",
    "version": "0",
    "value": "0",
    "role": "evaluation",
    "url": "https://example.org/",
}


def places(node: Node, path: str) -> Iterator[tuple[str, str]]:
    """Yield the path of each place to fill in, and what belongs there."""
    if isinstance(node, FILL_IN):
        yield path, node.what
    elif isinstance(node, Mapping):
        for key, value in node.items():
            yield from places(value, f"{path}.{key}")
    elif isinstance(node, Sequence) and not isinstance(node, str):
        for index, value in enumerate(node):
            yield from places(value, f"{path}[{index}]")


def stood_in(node: Node, key: str = "") -> Json:
    """Return the value that a manifest would have if each place to fill in held something that fits."""
    if isinstance(node, FILL_IN):
        return _STAND_INS.get(key, "x")
    if isinstance(node, Note):
        return node.text
    if isinstance(node, Mapping):
        return {name: stood_in(value, name) for name, value in node.items()}
    if isinstance(node, str):
        return node
    return [stood_in(value, key) for value in node]
