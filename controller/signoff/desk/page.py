"""The desk as one self-contained HTML page.

1. No request leaves it and no script runs in it: its content security policy allows inline styles and ``data:`` pictures and nothing else
   (CSP level 3), and an explanation in HTML stands in a frame with every sandbox restriction (HTML standard, ``iframe sandbox``).
2. Every value is escaped by the template, and legible (`legible`); the explanation's own markup is confined (`confinement`) and escaped
   into the frame's ``srcdoc``.
3. It can be read without styles, on paper, by keyboard and by ear. What a frame cannot print stands below it as text.
"""

from __future__ import annotations

from typing import Final

from jinja2 import Environment
from markupsafe import Markup

from signoff.desk.confinement import confined
from signoff.desk.content import Content
from signoff.desk.markup import environment

POLICY: Final = "default-src 'none'; style-src 'unsafe-inline'; img-src data:; font-src data:; form-action 'none'; base-uri 'none'"


def page_of(content: Content) -> str:
    """Return the whole desk as an HTML document."""
    return _TEMPLATE.render(content=content, policy=POLICY)


def srcdoc(markup: str) -> Markup:
    """Return markup, confined, as the value of a ``srcdoc`` attribute in double quotes (HTML standard, 4.8.5).

    It stands behind one start tag: without something to focus in it, browsers leave a frame out of the keyboard's way, and nobody
    could scroll it without a mouse. The parser merges the document's own ``html`` tag into this one (HTML standard, 13.2.6.4.7).
    """
    whole = f"<html tabindex=0>{confined(markup)}"
    return Markup(whole.replace("&", "&amp;").replace('"', "&quot;").replace("<", "&lt;").replace(">", "&gt;"))  # noqa: S704 - escaped here


def _environment() -> Environment:
    made = environment("signoff.desk")
    made.filters["srcdoc"] = srcdoc
    made.tests["kind"] = lambda block, name: type(block).__name__ == name
    return made


_TEMPLATE: Final = _environment().get_template("desk.html.j2")
