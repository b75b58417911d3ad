"""Prose of an explanation, on its way to text (`explanation`, rule 3).

White space within prose becomes one space. The library (inscriptis) looks at each letter for that, and a report has a million; here it is
done in one go, to the letter as there. It takes a class of its own for what a line is written on. The library has no setting for it: it is
put in place at the tree's root, by the library's own way of handling a tag.
"""

from __future__ import annotations

from collections.abc import Mapping
from html import unescape

from inscriptis.model.canvas.block import Block
from inscriptis.model.html_document_state import HtmlDocumentState


class Line(Block):  # type: ignore[misc]
    """What a line is written on. Cells of a table have the library's own."""

    collapsable_whitespace: bool
    _content: str
    idx: int

    def merge_normal_text(self, text: str) -> None:
        """Add text, white space in it as one space, none at all after another one (`Block.merge_normal_text`)."""
        words = " ".join(text.split())
        if not words and (not text or self.collapsable_whitespace):
            return
        written = words if self.collapsable_whitespace or not text[0].isspace() else f" {words}"
        if words:
            self.collapsable_whitespace = text[-1].isspace()
            written += " " if self.collapsable_whitespace else ""
        else:
            self.collapsable_whitespace = True
        written = unescape(written if self._content else self.prefix.first + written)
        self._content += written
        self.idx += len(written)

    def new_block(self) -> Block:
        """Return the next line, indented as this one."""
        self.prefix.consumed = False
        return Line(idx=self.idx + 1, prefix=self.prefix)


def begin(state: HtmlDocumentState, attributes: Mapping[str, str]) -> None:  # noqa: ARG001 - the library's interface
    """Write what follows on such lines."""
    first = state.canvas.current_block
    state.canvas.current_block = Line(idx=first.idx, prefix=first.prefix)
