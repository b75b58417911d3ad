"""Characters that could deceive or act, made visible, and lines that fit a terminal.

1. Control characters, escapes included, bidirectional controls and invisible characters are shown as ``[U+001B]``: a terminal gets
   none of them, and a line reads as it is stored (Unicode UAX #9, UTR #36).
2. Joiners (U+200C, U+200D) stay: scripts need them to be read at all.
3. The tables are written out here. Those of the interpreter grow with its version, and a rendition must not.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from typing import Final

_ACTING: Final = re.compile(
    "[\x00-\x08\x0b-\x1f\x7f-\x9f\u00ad\u034f\u061c\u115f\u1160\u17b4\u17b5\u180b-\u180e\u200b\u200e\u200f\u2028-\u202e\u2060-\u206f"
    "\u3164\ud800-\udfff\ufdd0-\ufdef\ufeff\uffa0\ufff0-\ufffb\ufffe\uffff\U0001d173-\U0001d17a\U000e0000-\U000e0fff\U000f0000-\U0010ffff]"
)
_WIDE: Final = re.compile(
    "[\u1100-\u115f\u2e80-\u303e\u3041-\ua4cf\uac00-\ud7a3\uf900-\ufaff\ufe30-\ufe6f\uff00-\uff60\uffe0-\uffe6"
    "\U0001f000-\U0001faff\U00020000-\U0003fffd]"
)
_PLAIN: Final = bytes((0x09, 0x0A, *range(0x20, 0x7F)))
_MARGIN: Final = re.compile(r" {0,24}(?:[*+-] |[0-9]{1,3}\. )?")


def legible(text: str) -> str:
    """Return ``text`` with each character of rule 1 spelt out. Line ends become ``\\n``; tabs stay."""
    text = text.replace("\r\n", "\n")
    # Looked through without the characters that nearly all of it is made of, in a tenth of the time.
    rest = text.encode("utf-8", "surrogatepass").translate(None, _PLAIN)
    if not rest or not _ACTING.search(rest.decode("utf-8", "surrogatepass")):
        return text
    return _ACTING.sub(lambda match: f"[U+{ord(match[0]):04X}]", text)


def columns(text: str) -> int:
    """Return how many columns of a terminal ``text`` takes at most; East Asian wide characters take two (Unicode UAX #11)."""
    return len(text) if text.isascii() else len(text) + len(_WIDE.findall(text))


def wrapped(line: str, width: int) -> Iterable[str]:
    """Return one line in pieces of at most ``width`` columns: at spaces where there are any, below its indentation or mark of a list."""
    rest = line.expandtabs(8).rstrip()
    return (rest,) if columns(rest) <= width else _pieces(rest, width)


def _pieces(rest: str, width: int) -> Iterator[str]:
    margin = _MARGIN.match(rest)
    first = margin[0] if margin and len(margin[0]) <= width // 2 else ""
    indent, start = first, len(first)
    wide = columns(rest) > len(rest)
    while True:
        room = width - len(indent)
        end = _fitting(rest, start, room) if wide else min(start + room, len(rest))
        if end == len(rest):
            yield indent + rest[start:]
            return
        space = rest.rfind(" ", start + 1, end + 1)
        if space > 0 and not rest[start:space].isspace():
            end = space
        yield (indent + rest[start:end]).rstrip()
        start, indent = end, " " * len(first)
        while rest[start] == " ":
            start += 1


def _fitting(text: str, start: int, width: int) -> int:
    """Return where the longest piece of ``text`` from ``start`` ends that takes at most ``width`` columns."""
    end = min(start + width, len(text))
    over = columns(text[start:end]) - width
    while over > 0:
        # A wide character takes two columns, so that at least half of what is over must go.
        end -= (over + 1) // 2
        over = columns(text[start:end]) - width
    return end
