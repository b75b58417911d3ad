"""Progress, on stderr, for what takes longer than two seconds: on a terminal one line that changes, elsewhere a line every few seconds."""

from __future__ import annotations

import math
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

from signoff.desk.legible import legible

QUIET: Final = 2.0
_REDRAW: Final = 0.1
_LINES: Final = 5.0
_WIDTH: Final = 98


class Progress:
    """Says how far something is. Call `step` as often as you like."""

    def __init__(self, what: str, *, elsewhere: bool = True) -> None:
        self._what = what
        self._next = time.monotonic() + QUIET
        self._drawn = False
        self._terminal = sys.stderr.isatty()
        if not self._terminal and not elsewhere:
            self._next = math.inf

    def step(self, how_far: str) -> None:
        """Tell how far it is, if it is time to tell anything."""
        now = time.monotonic()
        if now < self._next:
            return
        self._next = now + (_REDRAW if self._terminal else _LINES)
        line = legible(f"{self._what}: {how_far}")
        if not self._terminal:
            sys.stderr.write(f"{line}\n")
        else:
            sys.stderr.write(f"\r\x1b[K{line[:_WIDTH]}")
            self._drawn = True
        sys.stderr.flush()

    def clear(self) -> None:
        """Take the changing line away, so that what follows stands alone."""
        if self._drawn:
            sys.stderr.write("\r\x1b[K")
            sys.stderr.flush()
            self._drawn = False


@contextmanager
def progress(what: str, *, elsewhere: bool = True) -> Iterator[Progress]:
    """Open the progress of something, and clear its line in the end; ``elsewhere`` says whether to tell where there is no terminal."""
    shown = Progress(what, elsewhere=elsewhere)
    try:
        yield shown
    finally:
        shown.clear()
