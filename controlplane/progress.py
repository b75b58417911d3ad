"""One line of progress per long step, on a stream that people or logs read.

Rules:

1. A terminal sees one line that is rewritten in place, with the seconds elapsed.
2. Any other stream gets a new line at the start, every ten seconds at most apart, and at the end.
3. The last line says how it ended.
"""

from __future__ import annotations

import sys
import time
from typing import TYPE_CHECKING, Self, TextIO

if TYPE_CHECKING:
    from types import TracebackType

LOG_INTERVAL_SECONDS = 10.0


class Progress:
    """The progress of one step; call `tick` about once a second while it runs."""

    def __init__(self, subject: str, stream: TextIO | None = None) -> None:
        self._subject = subject
        self._stream = stream or sys.stderr
        self._terminal = self._stream.isatty()
        self._started = time.monotonic()
        self._written = self._started

    def __enter__(self) -> Self:
        self._write("started")
        return self

    def __exit__(self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None) -> None:
        self._write("done" if kind is None else "stopped", last=True)

    @property
    def elapsed(self) -> float:
        """Seconds since the step began."""
        return time.monotonic() - self._started

    def tick(self, doing: str) -> None:
        """Say what the step is doing, if it is time to."""
        if self._terminal or time.monotonic() - self._written >= LOG_INTERVAL_SECONDS:
            self._write(doing)

    def _write(self, doing: str, *, last: bool = False) -> None:
        self._written = time.monotonic()
        line = f"{self._subject}: {doing}, {self.elapsed:.0f} s"
        if self._terminal:
            self._stream.write(f"\r\x1b[K{line}" + ("\n" if last else ""))
        else:
            self._stream.write(f"{line}\n")
        self._stream.flush()
