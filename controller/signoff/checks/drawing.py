"""A figure of matplotlib as a drawing that stands in a page: no id but its own, no outside name, and the page's colours.

1. The same figure gives the same bytes: no date, a fixed salt for ids, and the library's own defaults instead of the user's settings.
2. Colours are the page's, by CSS variables, so that light and dark are one drawing. Here they are stand-ins, one for each variable.
3. Text stays text, escaped by the library, and a dollar sign in it is one.
"""

from __future__ import annotations

import io
import re
from collections.abc import Callable
from typing import Any, Final

import matplotlib as mpl
from markupsafe import Markup
from matplotlib.axes import Axes
from matplotlib.figure import Figure

INK: Final = "#000001"
QUIET: Final = "#000002"
LINE: Final = "#000003"
CANDIDATE: Final = "#000004"
INCUMBENT: Final = "#000005"
REFERENCE: Final = "#000006"
MARK: Final = "#000007"
SHEET: Final = "#000008"
_VARIABLES: Final = {
    INK: "ink",
    QUIET: "quiet",
    LINE: "line",
    CANDIDATE: "candidate",
    INCUMBENT: "incumbent",
    REFERENCE: "reference",
    MARK: "mark",
    SHEET: "sheet",
}
_WIDTH: Final = 5.0
_TAG: Final = re.compile(r"<[^<>]+>")
_COLOUR: Final = re.compile("|".join(_VARIABLES))
_FONT: Final = re.compile(r"font: ([0-9.]+)px [^;\"]*")
_SETTINGS: Final[dict[Any, Any]] = {  # its keys are typed one by one, and differ between versions of the library
    "svg.fonttype": "none",
    "font.size": 10.5,
    "text.color": INK,
    "text.parse_math": False,
    "axes.labelcolor": QUIET,
    "axes.edgecolor": QUIET,
    "axes.linewidth": 0.8,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.grid": True,
    "axes.axisbelow": True,
    "axes.unicode_minus": True,
    "grid.color": LINE,
    "grid.linewidth": 0.8,
    "xtick.color": QUIET,
    "ytick.color": QUIET,
    "xtick.labelcolor": INK,
    "ytick.labelcolor": INK,
    "legend.frameon": False,
    "figure.constrained_layout.use": True,
}


def drawing(name: str, title: str, description: str, draw: Callable[[Axes], None], height: float = 3.6) -> Markup:
    """Return what ``draw`` draws, as an SVG element with a title and a description; ``height`` is in inches at 5 of width."""
    with mpl.rc_context():
        mpl.rcdefaults()
        mpl.rcParams.update({**_SETTINGS, "svg.hashsalt": name})
        figure = Figure(figsize=(_WIDTH, height))
        figure.patch.set_visible(False)
        axes = figure.add_subplot()
        axes.patch.set_visible(False)
        draw(axes)
        written = io.BytesIO()
        figure.savefig(written, format="svg", metadata={"Date": None, "Creator": None, "Format": None, "Type": None})
    return _in_page(written.getvalue().decode(), name, title, description, height)


def _in_page(svg: str, name: str, title: str, description: str, height: float) -> Markup:
    body = svg[svg.index("<svg") :]
    body = body[body.index(">") + 1 : body.rindex("</svg>")]
    body = re.sub(r"<metadata>.*?</metadata>|<!--.*?-->", "", body, flags=re.DOTALL)
    head = Markup(
        '<svg viewBox="0 0 {width:g} {height:g}" role="img" aria-labelledby="{name}-t {name}-d">\n'
        '<title id="{name}-t">{title}</title>\n<desc id="{name}-d">{description}</desc>'
    ).format(width=_WIDTH * 72, height=height * 72, name=name, title=title, description=description)
    # What is left was written by the library: its tags are rewritten, its text is escaped already.
    return Markup(f"{head}{_TAG.sub(_tag, body)}</svg>")  # noqa: S704


def _tag(match: re.Match[str]) -> str:
    tag = match[0]
    if tag.startswith("<g "):
        tag = re.sub(r' id="[^"]*"', "", tag)
    tag = tag.replace('xlink:href="#', 'href="#')
    tag = _FONT.sub(r"font-size: \1px", tag)
    return _COLOUR.sub(lambda colour: f"var(--{_VARIABLES[colour[0]]})", tag)
