"""The explanation's markup inside its frame: what could reach out is taken out, and all else stays as written.

The frame's sandbox and the page's policy keep it from running, loading and navigating. A browser may still open a connection before it
asks the policy (Chromium does for nested frames), and a connection already tells somebody that the desk was opened. Hence:

1. No element that fetches or navigates remains under its own name: its tags are written ``x-…``, which means nothing to a browser.
2. A link leads within the document, or nowhere: ``href`` stays where its value begins with ``#``, and is ``x-href`` elsewhere.
3. No ``http-equiv`` remains, and nothing animates attributes: these could bring back what rule 2 took.

It works on the text, not on a parse, so that no second parser has an opinion on what the browser will see. A tag's and an attribute's
name admit no character references (HTML standard, 13.2.5.6 to 13.2.5.33): whatever the browser reads as one of these names stands here
in so many letters. Where they stand in plain text, they change as well; that is the price.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from itertools import pairwise
from typing import Final

# What reaches, by its first letters: these sort out nearly every tag of a report before it is held to the names.
_ELEMENT: Final = re.compile(
    "</?(?=[AaBbCcEeFfIiLlOoPpSsWw\u0130\u0131\u017f])"
    r"(?=(?i:iframe|frame|frameset|fencedframe|portal|webview|controlledframe|object|embed|applet|link|base|form|set|animate\w*)[\s/>])"
)
_ATTRIBUTE: Final = re.compile(r"(?<![Xx]-)(?i:href)(?!\s*=\s*[\"']?#)|(?i:http-equiv)")
_BEGINNINGS: Final = ("href", "http-equ")


def confined(markup: str) -> str:
    """Return markup that a browser can draw and that reaches nowhere."""
    return _attributes_renamed(_ELEMENT.sub(r"\g<0>x-", markup))


def _attributes_renamed(markup: str) -> str:
    lowered = markup.lower()
    if len(lowered) != len(markup):  # one letter becomes two (U+0130), and places are no longer the same
        return _ATTRIBUTE.sub(r"x-\g<0>", markup)
    # A report is mostly pictures, in which every fiftieth letter is an h: the expression would look at each.
    places = sorted(at for beginning in _BEGINNINGS for at in _places(lowered, beginning) if _ATTRIBUTE.match(markup, at))
    return "x-".join(markup[start:end] for start, end in pairwise((0, *places, len(markup))))


def _places(text: str, part: str) -> Iterator[int]:
    at = text.find(part)
    while at >= 0:
        yield at
        at = text.find(part, at + 1)
