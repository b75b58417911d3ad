"""What the auditor's view is made of: words and tables beside a frozen desk.

1. Page and text are drawn from one `View`, so that nobody is told less because of where they read it.
2. Everything here was read and verified before; nothing is believed or computed in this room.
3. A file that may act when it is opened is named, with its digest, and never linked.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TypeAlias

from signoff.desk.content import Block


@dataclass(frozen=True)
class Table:
    """A table with a caption. Each row has as many cells as there are columns; the first heads its row. ``exact``: the columns, by
    number, that are shown to the letter. ``grave``: the rows, by number, that nobody may overlook.
    """

    caption: str
    columns: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]
    exact: tuple[int, ...] = ()
    grave: tuple[int, ...] = ()


@dataclass(frozen=True)
class Source:
    """Text to the letter behind a heading that opens it, such as the payload."""

    title: str
    text: str


@dataclass(frozen=True)
class Commands:
    """Commands to copy, a line each: never wrapped."""

    lines: tuple[str, ...]


Piece: TypeAlias = Block | Table | Source | Commands


@dataclass(frozen=True)
class Part:
    """A titled part of the view. ``name`` is its anchor."""

    name: str
    title: str
    pieces: tuple[Piece, ...]


@dataclass(frozen=True)
class Named:
    """A file beside the page: its path, size in bytes, digest, and what vouches for it."""

    path: str
    size: int
    digest: str
    word: str

    @property
    def linked(self) -> bool:
        """Whether the page may link to it (rule 3): a rendition of ours, a bundle, text."""
        return not self.path.endswith(".html") or self.path == "desk.html"


@dataclass(frozen=True)
class View:
    """One event, or one desk that nobody decided on yet.

    ``standing``: how it stands, in sentences, the gravest first. ``grave``: whether the first of them must not be overlooked. ``page``: the
    frozen page. ``words``: the frozen text, for print and for reading aloud; empty where it is too long to stand on a page. ``back``: the
    address of what this page belongs to; empty where there is nothing.
    """

    title: str
    verdict: str
    standing: tuple[str, ...]
    grave: bool
    page: Named
    words: str
    parts: tuple[Part, ...]
    files: tuple[Named, ...]
    back: str = ""
