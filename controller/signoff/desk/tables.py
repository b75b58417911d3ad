"""Tables of an explanation, on their way to text (`explanation`, rule 5).

1. A table that would not fit a line, or that lays out another, is written row by row, its cells between bars.
2. Most tables of a report hold nothing but words, and there may be tens of thousands of cells: these are laid out here, and the library
   (inscriptis) gets the outcome. It is to the letter what the library makes of such a table, in a fraction of the time.
3. Every other table is the library's.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Final, TypeVar
from xml.etree.ElementTree import Element, SubElement

from inscriptis.html_properties import Display
from inscriptis.model.html_document_state import HtmlDocumentState
from inscriptis.model.tag import CustomHtmlTagHandlerMapping

from signoff.desk.legible import columns

WIDTH: Final = 94
ROWS: Final = 2_000
SEPARATOR: Final = "  "
HOLDING: Final = "holding"
"""The class of a table that holds another."""

_LAID_OUT: Final = "laid out"
"""A tag that no document can write: a name holds no space (HTML standard, 13.2.5.8)."""
_GROUPS: Final = frozenset({"thead", "tbody", "tfoot"})
_CELLS: Final = frozenset({"td", "th"})
# What the library writes on, as words of the line that it stands in.
_INLINE: Final = frozenset({"a", "abbr", "b", "code", "em", "i", "kbd", "mark", "samp", "small", "span", "strong", "sub", "sup", "u"})

_T = TypeVar("_T")
_Words = list[list[tuple[str, int]]]
"""The words of each cell of each row, and how many columns the cell takes at most."""


def lay_out(root: Element) -> None:
    """Make every table of a tree one that the library writes well: laid out already, row by row, or as it is."""
    for table in list(root.iter("table")):
        holds_another = table.get("class") == HOLDING
        words = None if holds_another else _words(table)
        if words is not None:
            _lay_out(table, words)
        elif holds_another or not _fits([[_width(cell, _said(cell)) for cell in row] for row in _rows(table)]):
            _write_out(table)


def _put(state: HtmlDocumentState, attributes: Mapping[str, str]) -> None:
    """Write what was laid out into what holds the table, as the library does at a table's end (`table_end_handler`)."""
    container = state.tags[-2]
    container.write_verbatim_text(attributes["text"])
    container.canvas.flush_inline()
    if container.display == Display.block:
        container.canvas.current_block.prefix.remove_last_prefix()


HANDLERS: Final = CustomHtmlTagHandlerMapping(start_tag_mapping={_LAID_OUT: _put}, end_tag_mapping={})


def _lay_out(table: Element, words: _Words) -> None:
    after = table.tail
    table.clear()
    table.tail = after
    if _fits([[width for _, width in row] for row in words]):
        table.tag = _LAID_OUT
        table.set("text", _columns([[said for said, _ in row] for row in words]))
        return
    table.tag = "div"
    for row in words:
        SubElement(table, "div").text = " | ".join(said for said, _ in row)


def _columns(rows: list[list[str]]) -> str:
    widths = [max(map(len, column)) for column in _transposed(rows)]
    return "".join(SEPARATOR.join(map(str.ljust, row, widths)) + "\n" for row in rows) or "\n"


def _words(table: Element) -> _Words | None:
    """Return what a table says where it holds nothing but words, in cells, in rows (rule 2); otherwise None."""
    found: _Words = []
    for row in _bare_rows(table):
        if row is None or _speaks(row.text):
            return None
        cells = []
        for cell in row:
            text = cell.text or ""
            if len(cell):
                if any(inner.tag not in _INLINE for inner in cell.iter() if inner is not cell):
                    return None
                text = "".join(cell.itertext())
            # The library reads entities once more, so that the end of a line may come out of one.
            if cell.tag not in _CELLS or _speaks(cell.tail) or "&" in text:
                return None
            said = " ".join(text.split())
            cells.append((said, _width(cell, said)))
        found.append(cells)
    return found


def _bare_rows(table: Element) -> Iterator[Element | None]:
    """Yield the rows; None where something else is said or stands in between."""
    if _speaks(table.text):
        yield None
    for child in table:
        if _speaks(child.tail):
            yield None
        if child.tag == "tr":
            yield child
        elif child.tag in _GROUPS and not _speaks(child.text):
            for row in child:
                yield row if row.tag == "tr" and not _speaks(row.tail) else None
        else:
            yield None


def _speaks(text: str | None) -> bool:
    return text is not None and not text.isspace() and text != ""


def _said(cell: Element) -> str:
    return " ".join("".join(cell.itertext()).split())


def _width(cell: Element, said: str) -> int:
    # Each element inside may indent or mark what follows it.
    return columns(said) + len(SEPARATOR) + (4 * (sum(1 for _ in cell.iter()) - 1) if len(cell) else 0)


def _fits(rows: list[list[int]]) -> bool:
    """Whether cells of these widths can stand as columns (rule 1)."""
    return len(rows) <= ROWS and sum(map(max, _transposed(rows))) <= WIDTH


def _transposed(rows: list[list[_T]]) -> list[list[_T]]:
    """Return the columns of rows of which some may be shorter than others."""
    found: list[list[_T]] = []
    for row in rows:
        while len(found) < len(row):
            found.append([])
        for column, cell in zip(found, row, strict=False):
            column.append(cell)
    return found


def _own(table: Element) -> Iterator[Element]:
    """Yield what belongs to this table and not to one inside it, in reading order."""
    pending = list(reversed(table))
    while pending:
        element = pending.pop()
        if element.tag != "table":
            yield element
            pending.extend(reversed(element))


def _rows(table: Element) -> list[list[Element]]:
    rows: list[list[Element]] = []
    for element in _own(table):
        if element.tag == "tr" or (element.tag in _CELLS and not rows):
            rows.append([])
        if element.tag in _CELLS:
            rows[-1].append(element)
    return rows


def _write_out(table: Element) -> None:
    for row in _rows(table):
        for cell in row[:-1]:
            cell.tail = " | " + (cell.tail or "")
    for element in _own(table):
        if element.tag in {"tr", "td", "th"}:
            element.tag = "div" if element.tag == "tr" else "span"
    table.tag = "div"
