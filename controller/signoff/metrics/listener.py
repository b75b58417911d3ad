"""The listener of the metrics: plain HTTP on a port of its own, in a thread of its own, and only where one is configured.

1. It answers ``GET /metrics``, and 404 to all else. A connection is answered once and closed.
2. It is bounded: 8 KiB of head, 5 s for a whole connection, 16 connections at once; more are hung up on.
3. It shares neither loop nor thread pool with what is measured: it answers while the archive hangs, and whoever holds its connections open
   holds up nobody else.
"""

from __future__ import annotations

import asyncio
import threading
from typing import Final

from prometheus_client import CollectorRegistry
from prometheus_client.exposition import CONTENT_TYPE_PLAIN_0_0_4, generate_latest

from signoff.config import Listener
from signoff.errors import SignoffError

MAX_HEAD: Final = 8 * 1024
SECONDS: Final = 5.0
MAX_CONNECTIONS: Final = 16


def serve_metrics(registry: CollectorRegistry, listener: Listener | None) -> None:
    """Serve until the process ends; `SignoffError` where the address cannot be listened on. None: serve nothing."""
    if listener is None:
        return
    loop = asyncio.new_event_loop()
    try:
        loop.run_until_complete(asyncio.start_server(_Scrapes(registry).answer, listener.host, listener.port, limit=MAX_HEAD))
    except OSError as error:
        loop.close()
        where = f"metrics: {listener.host}:{listener.port}"
        raise SignoffError(f"cannot be listened on: {error.strerror or error}", where=where, mend="name a free port") from None
    threading.Thread(target=loop.run_forever, name="metrics", daemon=True).start()


class _Scrapes:
    def __init__(self, registry: CollectorRegistry) -> None:
        self._registry = registry
        self._open = 0

    async def answer(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Answer one request and close (rules 1 and 2)."""
        self._open += 1
        try:
            if self._open <= MAX_CONNECTIONS:
                async with asyncio.timeout(SECONDS):
                    head = await reader.readuntil(b"\r\n\r\n")
                    writer.write(self._response(head))
                    await writer.drain()
        except (TimeoutError, OSError, asyncio.IncompleteReadError, asyncio.LimitOverrunError):
            writer.transport.abort()
        finally:
            self._open -= 1
            writer.close()

    def _response(self, head: bytes) -> bytes:
        method, _, rest = head.partition(b" ")
        path = rest.partition(b" ")[0].partition(b"?")[0]
        if (method, path) != (b"GET", b"/metrics"):
            return _http(b"404 Not Found", "text/plain", b"only GET /metrics is answered here\n")
        return _http(b"200 OK", CONTENT_TYPE_PLAIN_0_0_4, generate_latest(self._registry))


def _http(status: bytes, media_type: str, body: bytes) -> bytes:
    head = b"HTTP/1.1 %s\r\nContent-Type: %s\r\nContent-Length: %d\r\nConnection: close\r\n\r\n"
    return head % (status, media_type.encode(), len(body)) + body
