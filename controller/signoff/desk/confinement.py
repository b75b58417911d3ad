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
from typing import Final

# One pass, from one set of characters: that the engine looks for by itself, and a report is mostly pictures, in which little of it stands.
_REACHING: Final = re.compile(
    r"[<Hh](?:(?<=<)(?P<end>/?)"
    r"(?=(?i:iframe|frame|frameset|fencedframe|portal|webview|controlledframe|object|embed|applet|link|base|form|set|animate\w*)[\s/>])"
    r"|(?<![Xx]-[Hh])(?<!<)(?i:ref)(?!\s*=\s*[\"']?#)|(?<!<)(?i:ttp-equiv))"
)


def confined(markup: str) -> str:
    """Return markup that a browser can draw and that reaches nowhere."""
    return _REACHING.sub(_renamed, markup)


def _renamed(found: re.Match[str]) -> str:
    return f"x-{found[0]}" if found["end"] is None else f"<{found['end']}x-"
