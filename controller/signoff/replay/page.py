"""The auditor's view of one event as an HTML page: the frozen desk in a frame, and beside it what was signed, and whether it is true.

1. The frame's document is the archived page itself, by address, so that its bytes are the file's and nobody writes them again. The frame
   has every sandbox restriction (HTML standard, ``iframe sandbox``): no script, no form, no origin, no navigation of this page.
2. No script runs in the page, and nothing loads but the frame from beside it: its content security policy allows its own style, by hash,
   and frames of its own origin (CSP level 3, 6.1). A folder on disk has no origin that could be named: its policy allows frames from files.
3. Every value is escaped by the template, and legible (`desk.legible`).
4. It can be read without styles, on paper, by keyboard and by ear.
"""

from __future__ import annotations

import hashlib
from base64 import b64encode
from functools import cache
from typing import Final

from jinja2 import ChoiceLoader, Environment, PackageLoader
from markupsafe import Markup

from signoff.desk.markup import environment
from signoff.replay.content import View

SHOWN_POLICY: Final = (
    "sandbox; default-src 'none'; style-src 'unsafe-inline'; img-src data:; font-src data:; form-action 'none'; base-uri 'none'; "
    "frame-ancestors 'self'"
)
"""What a server says of every file beside the page: the desk's own policy, and a sandbox."""


def page_of(view: View) -> bytes:
    """Return the view as an HTML document, UTF-8."""
    return drawn("view.html.j2", policy=policy(frames="'self' file:"), view=view)


def policy(*, frames: str = "'none'") -> str:
    """Return the content security policy of a page of this room; ``frames`` is from where its frame may come."""
    digest = b64encode(hashlib.sha256(style().encode()).digest()).decode("ascii")
    return f"default-src 'none'; style-src 'sha256-{digest}'; frame-src {frames}; form-action 'none'; base-uri 'none'"


@cache
def style() -> Markup:
    """Return the style of all pages of this room: the desk's, and what they add."""
    return Markup("".join(_environment().get_template(name).render() for name in ("desk.css", "replay.css")))  # noqa: S704 - our own


def drawn(template: str, **values: object) -> bytes:
    """Return a template of this room, drawn with its style, UTF-8."""
    return _environment().get_template(template).render(style=style(), **values).encode("utf-8", "replace")


@cache
def _environment() -> Environment:
    made = environment("signoff.replay")
    # The desk's blocks and its style are drawn here as they are there.
    made.loader = ChoiceLoader([PackageLoader("signoff.replay"), PackageLoader("signoff.desk")])
    made.tests["kind"] = lambda piece, name: type(piece).__name__ == name
    made.filters["srcdoc"] = _no_frame
    return made


def _no_frame(_: object) -> str:
    raise ValueError("the view draws no explanation of its own: the frozen page does")
