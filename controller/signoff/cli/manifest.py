"""Writing a manifest for people: YAML with comments, text in blocks, and places to fill in.

1. What is written reads back as exactly the same text, in every YAML reader: a block of lines holds only characters that all of them leave
   alone, and what holds others is quoted, with these written as escapes.
2. A place to fill in is the text ``FILL-IN: what``, which admission takes for no value.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Final, TypeAlias

from signoff.record.request import UNFILLED


@dataclass(frozen=True)
class FILL_IN:  # noqa: N801 - it is written as it reads in the manifest
    """A value that somebody must fill in, and what it is."""

    what: str


@dataclass(frozen=True)
class Note:
    """Text with a comment behind it."""

    text: str
    comment: str


Node: TypeAlias = "Mapping[str, Node] | Sequence[Node] | str | FILL_IN | Note"

_PLAIN: Final = re.compile(r"[A-Za-z][A-Za-z0-9 ._/@+-]*(:[A-Za-z0-9._/@+-]+)*")
_RESERVED: Final = frozenset({"true", "false", "yes", "no", "on", "off", "null", "y", "n"})
_TAME: Final = r"\x20-\x7e\xa0-\u2027\u202a-\ud7ff\ue000-\ufefe\uff00-\ufffd"
_BLOCK: Final = re.compile(rf"[\t\n{_TAME}\U00010000-\U0010ffff]+")
_WILD: Final = re.compile(rf"[^{_TAME}]")


def as_yaml(manifest: Node, head: str) -> str:
    """Return the manifest as YAML below a comment."""
    return "".join(f"{line}\n" for line in (f"# {head}", *_lines(manifest, 0)))


def _lines(node: Node, depth: int) -> Iterator[str]:
    margin = "  " * depth
    if isinstance(node, Mapping):
        for key, value in node.items():
            yield from _entry(f"{margin}{_scalar(key)}:", value, depth)
    elif isinstance(node, Sequence) and not isinstance(node, str):
        for item in node:
            first, *rest = list(_lines(item, depth + 1)) if _is_nested(item) else [f"{margin}  {_leaf(item)}"]
            yield f"{margin}- {first.lstrip()}"
            yield from rest
    else:
        yield f"{margin}{_leaf(node)}"


def _entry(key: str, value: Node, depth: int) -> Iterator[str]:
    if isinstance(value, str) and "\n" in value:
        yield from _block(key, value, depth)
    elif isinstance(value, Mapping) or _is_nested(value):
        yield key
        yield from _lines(value, depth + 1)
    else:
        yield f"{key} {_leaf(value)}"


def _block(key: str, text: str, depth: int) -> Iterator[str]:
    """Yield lines of text as a literal block, if it reads back the same (rule 1)."""
    margin = "  " * (depth + 1)
    ending = "" if text.endswith("\n") else "-"
    lines = [f"{key} |{ending}", *(f"{margin}{line}" if line else "" for line in text.removesuffix("\n").split("\n"))]
    if _BLOCK.fullmatch(text) and text[0] not in " \t\n" and not text.endswith("\n\n"):
        yield from lines
    else:
        yield f"{key} {_quoted(text)}"


def _is_nested(node: Node) -> bool:
    return isinstance(node, Mapping | Sequence) and not isinstance(node, str)


def _leaf(node: Node) -> str:
    if isinstance(node, FILL_IN):
        return _quoted(f"{UNFILLED}{node.what}")
    if isinstance(node, Note):
        return f"{_scalar(node.text)}  # {node.comment}"
    return _scalar(str(node))


def _scalar(text: str) -> str:
    if _PLAIN.fullmatch(text) and text.lower() not in _RESERVED and not text.endswith(" "):
        return text
    return _quoted(text)


def _quoted(text: str) -> str:
    # JSON's escapes are YAML's, but for two halves of one character, which readers of YAML leave apart.
    return _WILD.sub(lambda match: f"\\U{ord(match[0]):08X}", json.dumps(text, ensure_ascii=False))
