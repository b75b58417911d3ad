"""How pages are drawn: every value is escaped by the template, and legible (`legible`); what a template does not know is an error."""

from __future__ import annotations

from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup

from signoff.desk.legible import legible


def environment(package: str) -> Environment:
    """Return the environment of the templates that lie in a package, under ``templates``."""
    return Environment(
        loader=PackageLoader(package),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
        finalize=_finalize,
    )


def _finalize(value: object) -> object:
    return legible(value) if isinstance(value, str) and not isinstance(value, Markup) else value
