"""What a desk is made of: sections of blocks, the same for the page and for the terminal.

1. Both renditions are drawn from one `Content`, so that nobody decides on less because of where they read it.
2. No sentence says that anything is approved. What is computed from figures (a change, a place on a scale) says so and stands beside them.
3. What is drawn shows nothing that does not stand in words and figures beside it: the text has these, and no drawings.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, TypeAlias


@dataclass(frozen=True)
class Prose:
    """Sentences, one paragraph each."""

    paragraphs: tuple[str, ...]


@dataclass(frozen=True)
class Points:
    """Sentences that stand for themselves, as a list."""

    items: tuple[str, ...]


@dataclass(frozen=True)
class Fact:
    """A label, its values, and what to know about them. ``exact`` values are names and digests: shown to the letter."""

    label: str
    values: tuple[str, ...]
    note: str = ""
    exact: bool = False


@dataclass(frozen=True)
class Facts:
    """Facts, one below the other."""

    items: tuple[Fact, ...]


@dataclass(frozen=True)
class Item:
    """Something with a name, and most often a digest."""

    kind: str
    name: str
    digest: str
    note: str = ""


@dataclass(frozen=True)
class Listing:
    """Items, one below the other."""

    items: tuple[Item, ...]


@dataclass(frozen=True)
class Column:
    """One of those compared: its role, its name and its version."""

    role: str
    name: str
    version: str


@dataclass(frozen=True)
class Cell:
    """A figure to the letter, whose word it is (``claimed``, ``check 1``), and the mark of that in a narrow table."""

    value: str
    source: str
    mark: str


Form: TypeAlias = Literal["candidate", "incumbent", "challenger"]


@dataclass(frozen=True)
class Mark:
    """One figure on a strip: whose it is, and where it stands, as a percentage of the width."""

    form: Form
    at: str


@dataclass(frozen=True)
class Strip:
    """Figures drawn on one line (`strips`), and lines across it. ``title`` says in words what it shows."""

    title: str
    marks: tuple[Mark, ...]
    lines: tuple[str, ...] = ()


@dataclass(frozen=True)
class Row:
    """One metric across all that are compared. None where one of them gives no such figure. ``note`` says which end is better, if any."""

    metric: str
    cells: tuple[Cell | None, ...]
    strip: Strip | None = None
    note: str = ""


@dataclass(frozen=True)
class Figures:
    """The comparison: columns, rows, and the signed checks that the cells name, by digest."""

    columns: tuple[Column, ...]
    rows: tuple[Row, ...]
    checks: tuple[str, ...]


@dataclass(frozen=True)
class Reading:
    """A figure to the letter, or one that was computed, and where it stands among the others of its column or row."""

    figure: str
    strip: Strip | None = None


@dataclass(frozen=True)
class Measures:
    """Figures by what they are about: segments, features, metrics. Each row has as many cells as there are columns, None where there is no
    such figure. ``about`` heads the first column; ``key`` says how to read the strips.
    """

    caption: str
    about: str
    columns: tuple[str, ...]
    rows: tuple[tuple[str, tuple[Reading | None, ...]], ...]
    key: str = ""


@dataclass(frozen=True)
class Document:
    """The explanation. ``markup`` is its HTML, None where it is plain text; ``text`` is what a terminal shows."""

    markup: str | None
    text: str


Block: TypeAlias = Prose | Points | Facts | Listing | Figures | Measures | Document


@dataclass(frozen=True)
class Section:
    """A titled part. ``name`` is its anchor on the page."""

    name: str
    title: str
    blocks: tuple[Block, ...]


@dataclass(frozen=True)
class Content:
    """The whole desk: the question, and the sections in the order in which they are read."""

    title: str
    question: str
    standing: str
    sections: tuple[Section, ...]
