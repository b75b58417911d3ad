"""What a command prints.

1. For people: at most 100 columns where words allow it; digests and addresses are never cut, so that they can be copied.
2. Nothing printed can act on a terminal: whatever came from outside goes through `legible`.
3. Colour only on a terminal, and never with ``NO_COLOR`` (no-color.org) or ``TERM=dumb``.
4. For machines: JSON with stable keys, in ASCII.
"""

from __future__ import annotations

import json
import os
import sys
import textwrap
from collections.abc import Iterable, Iterator, Sequence
from typing import IO, Final, Literal

import click

from signoff.desk.legible import legible
from signoff.record.canonical import Json

WIDTH: Final = 100
Colour = Literal["red", "green", "yellow"]


def coloured(stream: IO[str]) -> bool:
    """Whether colour may be written there (rule 3)."""
    return stream.isatty() and not os.environ.get("NO_COLOR") and os.environ.get("TERM") != "dumb"


def word(text: str, colour: Colour) -> str:
    """Return a word in colour, where stdout shows colours."""
    return click.style(text, fg=colour) if coloured(sys.stdout) else text


def tell(text: str = "", *, err: bool = False) -> None:
    """Print a line that holds nothing from outside."""
    click.echo(text, err=err)


def paragraph(text: str, *, first: str = "", indent: int | None = None) -> None:
    """Print text behind ``first``, wrapped; further lines are indented by ``indent`` columns, or as wide as ``first`` is."""
    for line in wrapped(text, first=first, indent=indent):
        click.echo(line)


def wrapped(text: str, *, first: str = "", indent: int | None = None) -> Iterator[str]:
    """Yield the lines of `paragraph`."""
    margin = " " * (len(first) if indent is None else indent)
    lead = first
    for written in legible(text).split("\n"):
        lines = textwrap.wrap(
            written, WIDTH, initial_indent=lead, subsequent_indent=margin, break_long_words=False, break_on_hyphens=False
        ) or [lead.rstrip()]
        yield from lines
        lead = margin


def facts(pairs: Iterable[tuple[str, str]], *, margin: int = 0, label: int | None = None) -> None:
    """Print labels and values, aligned; an empty label continues the one above."""
    known = list(pairs)
    wide = label if label is not None else max((len(name) for name, _ in known), default=0) + 2
    for name, value in known:
        paragraph(value, first=f"{' ' * margin}{name:<{wide}}")


def table(rows: Sequence[Sequence[str]], *, margin: int = 0) -> None:
    """Print rows in columns, aligned; the last column is not padded."""
    widths = [max(len(legible(row[index])) for row in rows) for index in range(len(rows[0]) - 1)] if rows else []
    for row in rows:
        cells = [f"{legible(cell):<{width}}" for cell, width in zip(row, widths, strict=False)]
        click.echo((" " * margin + "  ".join([*cells, legible(row[-1])])).rstrip())


def as_machine(value: Json) -> None:
    """Print a value as JSON (rule 4)."""
    click.echo(json.dumps(value, indent=2))


def count(number: int, one: str, many: str = "") -> str:
    """Return a number with its noun: ``1 event``, ``1,200 events``."""
    return f"{number:,} {one if number == 1 else many or one + 's'}"


def plain(text: str) -> str:
    """Return text from outside as one line that cannot act on a terminal."""
    return legible(" ".join(text.split()))
