"""Tables of an explanation, on their way to text (`explanation`, rule 5).

1. A table that would not fit a line, or that lays out another, is written row by row, its cells between bars.
2. Most tables of a report hold nothing but words, and there may be tens of thousands of cells: these are laid out here, and the library
   (inscriptis) gets the outcome. It is to the letter what the library makes of such a table, in a fraction of the time.
3. Every other table is the library's.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from itertools import zip_longest
from typing import Final, TypeVar
from xml.etree.ElementTree import Element, TreeBuilder

from inscriptis.html_properties import Display
from inscriptis.model.html_document_state import HtmlDocumentState

from signoff.desk.legible import columns

WIDTH: Final = 94
ROWS: Final = 2_000
SEPARATOR: Final = "  "
HOLDING: Final = "holding"
"""The class of a table that holds another."""

LAID_OUT: Final = "laid out"
"""A tag that no document can write: a name holds no space (HTML standard, 13.2.5.8)."""
_GROUPS: Final = frozenset({"thead", "tbody", "tfoot"})
_CELLS: Final = frozenset({"td", "th"})
# What the library writes on, as words of the line that it stands in.
_INLINE: Final = frozenset({"a", "abbr", "b", "code", "em", "i", "kbd", "mark", "samp", "small", "span", "strong", "sub", "sup", "u"})

_T = TypeVar("_T")


class Words:
    """The words of a table, gathered from the parser's events (rule 2). What takes an event says whether it still holds nothing but words,
    in cells, in rows.
    """

    def __init__(self) -> None:
        self._rows: list[list[str]] = []
        self._widths: list[list[int]] = []
        self._in_row = False
        self._cell: list[str] | None = None
        self._inside = self._depth = 0

    def start(self, tag: str) -> bool:
        """Take the start of an element."""
        if self._cell is not None:
            self._inside += 1
            self._depth += 1
            return tag in _INLINE
        if self._in_row:
            self._cell, self._inside = [], 0
            return tag in _CELLS
        if tag == "tr":
            self._in_row = True
            self._rows.append([])
            self._widths.append([])
            return True
        return tag in _GROUPS

    def data(self, said: str) -> bool:
        """Take what is said."""
        if self._cell is None:
            return said.isspace()
        self._cell.append(said)
        # The library reads entities once more, so that the end of a line may come out of one.
        return "&" not in said

    def end(self) -> None:
        """Take the end of what was started last."""
        if self._depth:
            self._depth -= 1
        elif self._cell is not None:
            said = " ".join("".join(self._cell).split())
            self._rows[-1].append(said)
            self._widths[-1].append(_width(said, self._inside))
            self._cell = None
        else:
            self._in_row = False

    def put(self, tree: TreeBuilder) -> None:
        """Write the table, which has ended, into a tree as it is to be read: its text, or row by row."""
        if _fits(self._widths):
            tree.start(LAID_OUT, {"text": _columns(self._rows)})
            tree.end(LAID_OUT)
            return
        tree.start("div", {})
        for row in self._rows:
            tree.start("div", {})
            tree.data(" | ".join(row))
            tree.end("div")
        tree.end("div")


def lay_out(root: Element) -> None:
    """Make every table that is left in a tree one that the library writes well: row by row, or as it is."""
    for table in list(root.iter("table")):
        if table.get("class") == HOLDING or not _fits([[_width_of(cell) for cell in row] for row in _rows(table)]):
            _write_out(table)


def put_laid_out(state: HtmlDocumentState, attributes: Mapping[str, str]) -> None:
    """Write what was laid out into what holds the table, as the library does at a table's end (`table_end_handler`)."""
    container = state.tags[-2]
    container.write_verbatim_text(attributes["text"])
    container.canvas.flush_inline()
    if container.display == Display.block:
        container.canvas.current_block.prefix.remove_last_prefix()


def _columns(rows: list[list[str]]) -> str:
    widths = [max(map(len, column)) for column in _transposed(rows)]
    # By how many cells a row has: what it lacks at its end is not filled up.
    forms = [SEPARATOR.join(f"%-{width}s" for width in widths[:cells]) + "\n" for cells in range(len(widths) + 1)]
    return "".join(forms[len(row)] % tuple(row) for row in rows) or "\n"


def _width_of(cell: Element) -> int:
    return _width(" ".join("".join(cell.itertext()).split()), sum(1 for _ in cell.iter()) - 1)


def _width(said: str, inside: int) -> int:
    """Return how many columns a cell takes at most: each element inside may indent or mark what follows it."""
    return columns(said) + len(SEPARATOR) + 4 * inside


def _fits(rows: list[list[int]]) -> bool:
    """Whether cells of these widths can stand as columns (rule 1)."""
    return len(rows) <= ROWS and sum(map(max, _transposed(rows))) <= WIDTH


def _transposed(rows: list[list[_T]]) -> Iterable[Iterable[_T]]:
    """Return the columns of rows of which some may be shorter than others."""
    if len(set(map(len, rows))) == 1:
        return zip(*rows, strict=True)
    return ([cell for cell in column if cell is not None] for column in zip_longest(*rows))


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
