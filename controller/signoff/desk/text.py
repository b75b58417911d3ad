"""The desk for a terminal: at most 100 columns of plain text.

1. It says what the page says, in the same order (`content`).
2. Nothing in it can act on a terminal or reorder a line (`legible`, over everything that is written).
3. Each line of the explanation stands behind a bar: no document can pass its own words off as the desk's.
4. A figure is never cut and never wrapped: a comparison too wide for the terminal is continued below, column by column.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Final

from signoff.desk.content import Block, Cell, Content, Document, Fact, Facts, Figures, Item, Listing, Measures, Points, Prose, Section
from signoff.desk.legible import columns, legible, wrapped

WIDTH: Final = 100
LABEL: Final = 18
METRIC: Final = 24
HEAD: Final = 20
GAP: Final = 2


def text_of(content: Content) -> str:
    """Return the whole desk as text, ending in a line end."""
    lines = [
        "SIGNOFF DESK",
        "=" * WIDTH,
        "",
        *wrapped(content.question, WIDTH),
        "",
        *wrapped(content.standing, WIDTH),
    ]
    for section in content.sections:
        lines += lines_of(section)
    return legible("\n".join(line.rstrip() for line in lines)) + "\n"


def lines_of(section: Section) -> Iterator[str]:
    """Yield the lines of a section; what writes them spells out once more what could act (rule 2)."""
    yield from ("", "", section.title.upper(), "-" * WIDTH)
    for number, block in enumerate(section.blocks):
        if number:
            yield ""
        yield from _block(block)


def _block(block: Block) -> Iterator[str]:
    match block:
        case Prose(paragraphs):
            for paragraph in paragraphs:
                yield from wrapped(legible(paragraph), WIDTH)
        case Points(items):
            for item in items:
                yield from _hung("- ", item)
        case Facts(facts):
            for fact in facts:
                yield from _fact(fact)
        case Listing(listed):
            for entry in listed:
                yield from _item(entry)
        case Figures():
            yield from _figures(block)
        case Measures():
            yield from _measures(block)
        case Document():
            yield from _document(block)


def _fact(fact: Fact) -> Iterator[str]:
    label = legible(fact.label)
    if columns(label) > LABEL - GAP:
        yield from wrapped(label, WIDTH)
        label = ""
    first = label.ljust(LABEL)
    for value in fact.values:
        yield from _hung(first, value)
        first = " " * LABEL
    if fact.note:
        yield from _hung(first, f"({fact.note})")


def _item(item: Item) -> Iterator[str]:
    name = f"{item.name}, {item.note}" if item.note else item.name
    yield from _hung(item.kind.ljust(LABEL - GAP) + " " * GAP, name)
    if item.digest:
        yield from _hung(" " * LABEL, item.digest)


def _hung(first: str, text: str) -> Iterator[str]:
    """Yield ``text`` behind ``first``, its further lines indented as far."""
    room = WIDTH - len(first)
    for piece in (piece for line in legible(text).split("\n") for piece in wrapped(line, room)):
        yield first + piece
        first = " " * len(first)


def _figures(figures: Figures) -> Iterator[str]:
    cells = [[_written(row.cells[index], figures) for row in figures.rows] for index in range(len(figures.columns))]
    widths = [max(len(word) for word in (column.role, *written)) for column, written in zip(figures.columns, cells, strict=True)]
    heads = [(column.role, _fitted(column.version, width)) for column, width in zip(figures.columns, widths, strict=True)]
    yield from _table([row.metric for row in figures.rows], heads, cells)
    yield ""
    yield ", ".join(("c: claimed", *(f"k{number}: check {number}" for number in range(1, len(figures.checks) + 1))))


def _measures(measures: Measures) -> Iterator[str]:
    yield from wrapped(legible(measures.caption), WIDTH)
    yield ""
    heads = [tuple(wrapped(legible(column), HEAD)) for column in measures.columns]
    deep = max(len(head) for head in heads)
    readings = zip(*(row for _, row in measures.rows), strict=True)
    cells = [[cell.figure if cell is not None else "-" for cell in column] for column in readings]
    yield from _table([label for label, _ in measures.rows], [("",) * (deep - len(head)) + head for head in heads], cells)


def _table(labels: Sequence[str], heads: Sequence[Sequence[str]], cells: Sequence[Sequence[str]]) -> Iterator[str]:
    """Yield a table by its columns' headings and cells, continued below where it is too wide (rule 4)."""
    widths = [max(map(columns, (*head, *written))) for head, written in zip(heads, cells, strict=True)]
    start = 0
    while start < len(widths):
        end = start + 1
        while end < len(widths) and METRIC + sum(width + GAP for width in widths[start : end + 1]) <= WIDTH:
            end += 1
        if start:
            yield from ("", "continued", "")
        yield from _columns(labels, heads[start:end], cells[start:end], widths[start:end])
        start = end


def _columns(labels: Sequence[str], heads: Sequence[Sequence[str]], cells: Sequence[Sequence[str]], widths: Sequence[int]) -> Iterator[str]:
    for line in zip(*heads, strict=True):
        yield _line("", line, widths)
    yield "-" * (METRIC + sum(width + GAP for width in widths))
    for number, label in enumerate(labels):
        *above, last = wrapped(legible(label), METRIC)
        yield from above
        yield _line(last, [written[number] for written in cells], widths)


def _line(first: str, cells: Sequence[str], widths: Sequence[int]) -> str:
    padding = " " * (METRIC - columns(first))
    return first + padding + "".join(" " * (GAP + width - columns(cell)) + cell for cell, width in zip(cells, widths, strict=True))


def _fitted(version: str, width: int) -> str:
    """Return the version, or dots where it does not fit: it stands in full below the table."""
    return version if len(version) <= width else version[: width - 1] + "…"


def _written(cell: Cell | None, figures: Figures) -> str:
    # The marks are equally wide, so that figures stand below figures.
    mark = 1 + len(str(len(figures.checks))) if figures.checks else 1
    return f"{cell.value} {cell.mark.ljust(mark)}" if cell else "- ".ljust(mark + 2)


def _document(document: Document) -> Iterator[str]:
    if document.markup is not None:
        yield "As text: layout and style are lost, and pictures are named, not drawn; the page shows them."
        yield ""
    for line in document.text.split("\n"):
        for piece in wrapped(line, WIDTH - 2):
            yield f"| {piece}"
    yield ""
    yield "End of the explanation."
