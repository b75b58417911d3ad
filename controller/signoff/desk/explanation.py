"""The explanation: the requester's document, read so that it can be shown and cannot act.

1. Its bytes are those that the freeze names, at most 10 MiB of UTF-8.
2. An HTML document stays as it is for the page, which confines it, and becomes text for the terminal and for print.
3. The text keeps everything written, hidden parts included: an attribute or a style cannot make the two renditions differ in words.
   Pictures are named by their title or alternative text.
4. A document whose text would not be the same everywhere, or not in bounded time, is refused: nested too deep, too many elements.
5. A table that would not fit a line, or that only lays out other tables, is written row by row (`tables`).
"""

from __future__ import annotations

from collections.abc import Mapping
from copy import copy
from typing import Final
from xml.etree.ElementTree import Element, TreeBuilder

from inscriptis import Inscriptis
from inscriptis.css_profiles import STRICT_CSS_PROFILE
from inscriptis.html_properties import Display
from inscriptis.model.config import ParserConfig
from inscriptis.model.html_element import HtmlElement
from inscriptis.model.tag import CustomHtmlTagHandlerMapping
from lxml import etree  # type: ignore[import-untyped]

from signoff.desk.content import Document
from signoff.desk.errors import DeskError
from signoff.desk.legible import legible
from signoff.desk.prose import begin
from signoff.desk.tables import HOLDING, LAID_OUT, SEPARATOR, Words, lay_out, put_laid_out
from signoff.record.freeze import Explanation
from signoff.record.values import sha256

MAX_EXPLANATION: Final = 10 * 1024 * 1024
MAX_ELEMENTS: Final = 100_000
MAX_DEPTH: Final = 200
LIST_DEPTH: Final = 6

ENDINGS: Final = {"text/html": "html.txt", "text/markdown": "md", "text/plain": "txt"}
"""Of files that hold a requester's document: opened from a disk, HTML would run what it holds."""

_WHERE: Final = "explanation"
# A frame is not among them: confined, it is no frame any more, and what it holds is drawn on the page.
_UNSEEN: Final = frozenset({"head", "script", "style", "template", "title"})
_HEADINGS: Final = frozenset({"h1", "h2", "h3", "h4", "h5", "h6"})
_STYLE: Final = STRICT_CSS_PROFILE | {
    "dt": HtmlElement(display=Display.block),
    "dd": HtmlElement(display=Display.block, padding_inline=4),
    "section": HtmlElement(display=Display.block),
    "details": HtmlElement(display=Display.block),
    "summary": HtmlElement(display=Display.block),
    "caption": HtmlElement(display=Display.block),
    "head": HtmlElement(display=Display.block),
}

# No document writes on the body: what it calls so is shown as any other block.
_HANDLERS: Final = CustomHtmlTagHandlerMapping(start_tag_mapping={"body": begin, LAID_OUT: put_laid_out}, end_tag_mapping={})


def document_of(explanation: bytes, named: Explanation) -> Document:
    """Return the explanation, ready to be shown; `DeskError` where it is not the one that the freeze names, or cannot be shown."""
    if len(explanation) > MAX_EXPLANATION:
        raise DeskError(f"{len(explanation):,} bytes are more than {MAX_EXPLANATION:,}", _WHERE, "shorten the document, its pictures first")
    digest = sha256(explanation)
    if (digest, len(explanation)) != (named.digest, named.size):
        what = f"these are {len(explanation):,} bytes with {digest}, the freeze names {named.size:,} with {named.digest}"
        raise DeskError(what, _WHERE, "give the exact bytes")
    try:
        written = explanation.decode("utf-8").removeprefix("\ufeff")
    except UnicodeDecodeError as error:
        raise DeskError(f"not UTF-8 at byte {error.start}", _WHERE, "save the document as UTF-8") from None
    if named.mediaType == "text/html":
        return Document(markup=written, text=_lines(text_of(written)))
    return Document(markup=None, text=_lines(written))


def text_of(markup: str) -> str:
    """Return an HTML document as text; `DeskError` by rule 4."""
    reader = _Reader()
    parser = etree.HTMLParser(target=reader, encoding="utf-8", remove_pis=True)
    parser.feed(markup.encode("utf-8"))
    root: Element = parser.close()
    if fatal := [entry.message for entry in parser.error_log if entry.level_name == "FATAL"]:
        raise DeskError(f"the HTML cannot be read to its end: {legible(fatal[0])[:200]}", _WHERE, "simplify the document")
    lay_out(root)
    # The library writes into the style of the body which canvas is drawn on: each drawing, in whatever thread, has its own.
    style = _STYLE | {"body": copy(_STYLE["body"])}
    config = ParserConfig(css=style, table_cell_separator=SEPARATOR, custom_html_tag_handler_mapping=_HANDLERS)
    text: str = Inscriptis(root, config).get_text()
    return text


def _lines(text: str) -> str:
    """Return legible lines without trailing blanks, and at most two empty lines in a row."""
    kept: list[str] = []
    for line in legible(text).split("\n"):
        bare = line.rstrip()
        if bare or (kept and kept[-2:] != ["", ""]):
            kept.append(bare)
    return "\n".join(kept).strip("\n")


_ParserEvent = str | tuple[str, Mapping[str, str] | None]
"""What the parser says: text; or an element's tag with its attributes at its start, with None at its end."""


class _Reader:
    """Builds the tree of what is written, from the parser's events: no attributes, no code, pictures by name (rules 3 and 4).

    The words of a table are gathered as long as it holds nothing else. Once it does, what was gathered is read again, into the tree.
    """

    def __init__(self) -> None:
        self._tree = TreeBuilder()
        self._tree.start("body", {})
        self._open: list[str] = []
        self._unseen = 0
        self._picture: list[str] | None = None
        self._tables: list[Element] = []
        self._count = 0
        self._words: Words | None = None
        self._gathered: list[_ParserEvent] = []

    def start(self, tag: str, attributes: Mapping[str, str]) -> None:
        self._count += 1
        if self._count > MAX_ELEMENTS:
            raise DeskError(f"the HTML has more than {MAX_ELEMENTS:,} elements", _WHERE, "shorten the document")
        self._open.append(tag)
        if len(self._open) > MAX_DEPTH:
            raise DeskError(f"the HTML nests more than {MAX_DEPTH} elements deep", _WHERE, "simplify the document")
        if self._words is not None:
            self._gathered.append((tag, attributes))
            if not (self._words.data(_picture_of(attributes)) if tag == "img" else self._words.start(tag)):
                self._read_again()
        elif tag == "table" and not self._unseen and self._picture is None:
            self._words, self._gathered = Words(), [(tag, attributes)]
        else:
            self._begin(tag, attributes)

    def end(self, tag: str) -> None:  # noqa: ARG002 - the parser's interface; what ends is what was opened last
        if not self._open:
            return
        opened = self._open.pop()
        if self._words is None:
            self._finish(opened)
        elif opened == "table":
            self._words.put(self._tree)
            self._words = None
            self._hold()
        else:
            self._gathered.append((opened, None))
            if opened != "img":
                self._words.end()

    def data(self, data: str) -> None:
        if self._words is None:
            self._say(data)
            return
        self._gathered.append(data)
        if not self._words.data(data):
            self._read_again()

    def comment(self, text: str) -> None:
        """Comments are not shown."""

    def close(self) -> Element:
        self._tree.end("body")
        return self._tree.close()

    def _read_again(self) -> None:
        self._words = None
        for event in self._gathered:
            if isinstance(event, str):
                self._say(event)
            elif event[1] is None:
                self._finish(event[0])
            else:
                self._begin(event[0], event[1])

    def _begin(self, tag: str, attributes: Mapping[str, str]) -> None:
        if self._picture is not None:
            return
        if tag == "svg" and not self._unseen:
            self._picture = []
        elif tag in _UNSEEN:
            self._unseen += 1
        elif not self._unseen:
            self._show(tag, attributes)

    def _show(self, tag: str, attributes: Mapping[str, str]) -> None:
        if tag == "img":
            self._tree.data(_picture_of(attributes))
            return
        nested = tag in {"ul", "ol"} and sum(name in {"ul", "ol"} for name in self._open) > LIST_DEPTH
        element = self._tree.start("div" if nested or tag in {"html", "body"} else tag, {})
        if tag in _HEADINGS:
            self._tree.data("# ")
        if tag == "table":
            self._hold()
            self._tables.append(element)

    def _hold(self) -> None:
        """Mark the table that holds the one at hand, if one does."""
        if self._tables:
            self._tables[-1].set("class", HOLDING)

    def _finish(self, opened: str) -> None:
        if self._picture is not None:
            if opened == "svg" and "svg" not in self._open:
                words, self._picture = self._picture, None
                self._tree.start("p", {})
                self._tree.data(_picture(" ".join(words)))
                self._tree.end("p")
        elif opened in _UNSEEN:
            self._unseen -= 1
        elif not self._unseen and opened != "img":
            element = self._tree.end(opened)
            if element.tag == "table":
                self._tables.pop()

    def _say(self, data: str) -> None:
        if self._picture is not None:
            # Of a drawing, its own title and description speak; the labels of axes make no sentence.
            if self._open[-1] in {"title", "desc"}:
                self._picture.append(data)
        elif not self._unseen:
            self._tree.data(data)


def _picture_of(attributes: Mapping[str, str]) -> str:
    return _picture(attributes.get("alt", ""))


def _picture(words: str) -> str:
    said = " ".join(words.split())
    return f"[picture: {said}]" if said else "[picture without a description]"
