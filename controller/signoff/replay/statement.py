"""The view as plain text: what each signature means, by whom and when, and all that the page tells beside it.

1. It says what the page says, in the same order; at most 100 columns where words allow it.
2. Nothing in it can act on a terminal (`desk.legible`).
"""

from __future__ import annotations

from collections.abc import Iterator

from signoff.desk.content import Block, Fact, Facts, Item, Listing, Prose, Section
from signoff.desk.legible import legible, wrapped
from signoff.desk.text import WIDTH, lines_of
from signoff.replay.content import Commands, Part, Piece, Source, Table, View


def statement_of(view: View) -> bytes:
    """Return the view as text, UTF-8, ending in a line end."""
    lines = [*_title(view), *(line for part in view.parts for line in _part(part))]
    files = Listing(tuple(Item(f"{one.size:,}", one.path, one.digest) for one in view.files))
    lines += lines_of(Section("files", "Files (bytes, path, sha256)", (files,)))
    text = legible("\n".join(line.rstrip() for line in lines)) + "\n"
    return text.encode("utf-8", "replace")


def _title(view: View) -> Iterator[str]:
    yield f"{view.title}: {view.verdict}".upper()
    yield "=" * WIDTH
    for sentence in view.standing:
        yield ""
        yield from wrapped(legible(sentence), WIDTH)


def _part(part: Part) -> Iterator[str]:
    yield from lines_of(Section(part.name, part.title, tuple(block for piece in part.pieces for block in _blocks(piece))))
    for piece in part.pieces:
        if isinstance(piece, Commands):
            yield from piece.lines


def _blocks(piece: Piece) -> Iterator[Block]:
    match piece:
        case Table():
            yield Prose((f"{piece.caption}:",))
            yield Facts(tuple(_row(row) for row in piece.rows))
        case Source() | Commands():
            return  # a source stands in a file of its own, to the letter
        case _:
            yield piece


def _row(row: tuple[str, ...]) -> Fact:
    return Fact(row[0], tuple(cell for cell in row[1:] if cell) or ("",))
