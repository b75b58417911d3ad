"""What the listeners of webhook and portal share: their certificate, and what they take besides bodies, for the library bounds neither the
size of a head or of trailers nor the time that they may take.

1. The head of a request (its first line and headers) has at most 64 KiB. So have the trailers behind a body in chunks, which nobody reads:
   counted is what comes and is neither body nor the end of a head or of a request. A body that came along with its head is not.
2. A head must come within 10 s of the connection, or of its own first byte; what is left of a request that was answered already, within
   10 s of the answer. Whoever only holds a connection would hold one of a thousand.
3. Beyond either the connection is closed without an answer, which the API server takes for a failed call.
4. A certificate that was renewed on its place is taken within half a minute, for connections from then on. What does not go together, or
   is not there, is told once in the log, and the one before goes on.
"""

from __future__ import annotations

import asyncio
import logging
import os
import ssl
from pathlib import Path
from typing import Any, Final, cast

import uvicorn
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from signoff.errors import SignoffError

LOG: Final = logging.getLogger("signoff")
MAX_HEAD: Final = 64 * 1024
HEAD_SECONDS: Final = 10.0
LOOKS_EVERY: Final = 30
"""Seconds after which a certificate is looked at again."""


class Bounded(HttpToolsProtocol):
    """HTTP/1.1 as uvicorn speaks it, with heads and trailers bounded."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._in_head = True
        self._counted = 0
        self._got_on = False
        self._due: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Wait for the first head."""
        super().connection_made(transport)
        self._await()

    def connection_lost(self, exc: Exception | None) -> None:
        """Wait for nothing more."""
        self._came()
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        """Count what leads to no body and to no end (rule 1)."""
        if self._in_head and self._due is None:
            self._await()
        self._got_on = False
        super().data_received(data)
        if not self._got_on:
            self._counted += len(data)
            if self._counted > MAX_HEAD:
                self.transport.abort()

    def on_headers_complete(self) -> None:
        """Leave the head: from here the body's own bounds hold."""
        self._in_head = False
        self._begin_anew()
        self._came()
        super().on_headers_complete()

    def on_body(self, body: bytes) -> None:
        """Leave the body to its own bounds."""
        self._begin_anew()
        super().on_body(body)

    def on_message_complete(self) -> None:
        """Be ready for another head on the same connection."""
        super().on_message_complete()
        self._in_head = True
        self._begin_anew()
        self._came()

    def on_response_complete(self) -> None:
        """Wait no longer than for a head for what is left of a request that was answered before its end (rule 2)."""
        super().on_response_complete()
        if not self._in_head:
            self._await()

    def _begin_anew(self) -> None:
        self._counted = 0
        self._got_on = True

    def _await(self) -> None:
        self._came()
        self._due = self.loop.call_later(HEAD_SECONDS, self.transport.abort)

    def _came(self) -> None:
        if self._due is not None:
            self._due.cancel()
            self._due = None


def loaded(settings: uvicorn.Config) -> uvicorn.Config:
    """Return settings whose certificate and key were read; `SignoffError` names a file that is not there, or those that do not match."""
    files = [str(file) for file in (settings.ssl_certfile, settings.ssl_keyfile, settings.ssl_ca_certs) if file]
    for path in files:
        if not Path(path).is_file():
            raise SignoffError("no such file", where=path, mend="mount it, or correct the path")
    try:
        settings.load()
    except OSError as error:  # ssl.SSLError is one
        mend = "mount a certificate with its own key, both PEM"
        raise SignoffError(f"TLS cannot be set up: {error}", where=", ".join(files), mend=mend) from None
    settings.callback_notify, settings.timeout_notify = _Renewed(settings).look, LOOKS_EVERY
    return settings


class _Renewed:
    """Certificate and key of a listener, looked at again while it serves (rule 4): in its loop, between handshakes."""

    def __init__(self, settings: uvicorn.Config) -> None:
        self._settings = settings
        self._known = self._now()

    async def look(self) -> None:
        """Take what has changed."""
        now = self._now()
        if now == self._known:
            return
        self._known = now
        paths = [path for path, _ in now]
        try:
            # Apart first: what does not go together must not come to be served in halves.
            ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER).load_cert_chain(*paths)
            cast("ssl.SSLContext", self._settings.ssl).load_cert_chain(*paths)
        except OSError as error:
            LOG.warning("the certificate was changed and cannot be taken, the one before goes on: %s: %s", ", ".join(paths), error)
            return
        LOG.info("the certificate was renewed: %s", paths[0])

    def _now(self) -> list[tuple[str, int]]:
        """Return where the two files lie, links resolved as a mounted Secret has them, and when they were written; 0 where they are not."""
        places = [os.path.realpath(str(file)) for file in (self._settings.ssl_certfile, self._settings.ssl_keyfile)]
        return [(place, _written(place)) for place in places]


def _written(path: str) -> int:
    try:
        return Path(path).stat().st_mtime_ns
    except OSError:
        return 0
