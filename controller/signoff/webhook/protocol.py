"""What a listener takes before there is a request: the library bounds neither the size of a head nor the time it may take.

1. The head of a request (its first line and headers) has at most 64 KiB.
2. It must come within 10 s of the connection, or of its own first byte. Whoever only holds a connection would hold one of a thousand.
3. Beyond either the connection is closed without an answer, which the API server takes for a failed call.
"""

from __future__ import annotations

import asyncio
from typing import Any, Final

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

MAX_HEAD: Final = 64 * 1024
HEAD_SECONDS: Final = 10.0


class Bounded(HttpToolsProtocol):
    """HTTP/1.1 as uvicorn speaks it, with the head bounded."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._in_head = True
        self._heads = 0
        self._head_bytes = 0
        self._head_due: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Wait for the first head."""
        super().connection_made(transport)
        self._await_head()

    def connection_lost(self, exc: Exception | None) -> None:
        """Wait for nothing more."""
        self._head_came()
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        """Count what belongs to a head that is not whole yet: a body that came along with the head is not counted (rule 1)."""
        if self._in_head and self._head_due is None:
            self._await_head()
        in_head, heads = self._in_head, self._heads
        super().data_received(data)
        if in_head and heads == self._heads:
            self._head_bytes += len(data)
            if self._head_bytes > MAX_HEAD:
                self.transport.abort()

    def on_headers_complete(self) -> None:
        """Leave the head: from here the body's bounds hold (`bodies`)."""
        self._in_head = False
        self._heads += 1
        self._head_bytes = 0
        self._head_came()
        super().on_headers_complete()

    def on_message_complete(self) -> None:
        """Be ready for another head on the same connection."""
        super().on_message_complete()
        self._in_head = True

    def _await_head(self) -> None:
        self._head_due = self.loop.call_later(HEAD_SECONDS, self.transport.abort)

    def _head_came(self) -> None:
        if self._head_due is not None:
            self._head_due.cancel()
            self._head_due = None
