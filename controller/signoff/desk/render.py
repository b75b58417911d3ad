"""The renditions: one freeze, drawn as a page and as text.

1. Rendering is a pure function of what is shown and of the explanation's exact bytes: the same bytes anywhere and at any time.
2. What was shown is drawn by the renderer that it names, or not at all: a different one would show something else.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from signoff.desk.errors import DeskError
from signoff.desk.explanation import document_of
from signoff.desk.page import page_of
from signoff.desk.sections import content_of
from signoff.desk.text import text_of
from signoff.record.freeze import Shown

RENDERER: Final = "signoff desk/2"
MAX_RENDITION: Final = 32 * 1024 * 1024


@dataclass(frozen=True)
class Rendition:
    """The desk in one form: its media type and its exact bytes, UTF-8."""

    media_type: str
    content: bytes


def render(shown: Shown, explanation: bytes) -> tuple[Rendition, Rendition]:
    """Return the desk as ``text/html`` and as ``text/plain``; `DeskError` where it cannot be drawn from these bytes."""
    if shown.renderer != RENDERER:
        raise DeskError(f"this desk is drawn by {shown.renderer!r}, and this is {RENDERER!r}", "renderer", "use the version that froze it")
    content = content_of(shown, document_of(explanation, shown.explanation))
    return _rendition("text/html", page_of(content)), _rendition("text/plain", text_of(content))


def _rendition(media_type: str, written: str) -> Rendition:
    content = written.encode("utf-8", "replace")
    if len(content) > MAX_RENDITION:
        raise DeskError(f"drawn as {media_type} it takes {len(content):,} bytes, more than {MAX_RENDITION:,}", "explanation", "shorten it")
    return Rendition(media_type, content)
