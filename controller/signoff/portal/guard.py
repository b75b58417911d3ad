"""Before and around every request: the host's name, the session, the headers.

1. It answers under its own name alone, but for what the kubelet asks.
2. Every answer bears our headers, one that says that we failed included. A page may be framed by nobody, loads its style from us and
   sends its forms to us.
   A page on which a passkey is made or used runs one script of ours, by its exact address; no other page runs any.
3. The cookie is set where a session has begun or has another name; a request without one, from wherever it comes, leaves none behind, and
   so ends nobody's session.
"""

from __future__ import annotations

import logging
from typing import Final
from urllib.parse import urlsplit

from fastapi.responses import HTMLResponse, PlainTextResponse
from starlette.datastructures import MutableHeaders
from starlette.requests import Request
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from signoff.portal import pages
from signoff.portal.visit import Portal, Visit

LOG: Final = logging.getLogger("signoff.portal")
COOKIE: Final = "__Host-signoff"
PAGE_POLICY: Final = "default-src 'none'; style-src 'self'; frame-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
HEADERS: Final = {
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "same-origin",  # without a referrer, a browser does not say either from where a form is sent
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Cache-Control": "no-store",
    "Strict-Transport-Security": "max-age=31536000",
}
SCRIPT: Final = "/passkey.js"
PLAIN: Final = frozenset({"/healthz", "/readyz", "/page.css", SCRIPT})


def scripted(home: str) -> dict[str, str]:
    """Return the headers of a page that runs the script of passkeys, and nothing else."""
    return {"Content-Security-Policy": f"{PAGE_POLICY}; script-src {home}{SCRIPT}"}


class Guard:
    """The application within these rules (ASGI)."""

    def __init__(self, app: ASGIApp, portal: Portal) -> None:
        self._app = app
        self._portal = portal
        self._host = urlsplit(portal.home).netloc

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a request."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        request = Request(scope)
        plain = scope["path"] in PLAIN
        shown = None if plain else request.cookies.get(COOKIE)
        visit = request.state.visit = Visit(self._portal, self._portal.sessions.of(shown))
        started = False

        async def guarded(message: Message) -> None:
            nonlocal started
            if message["type"] == "http.response.start":
                started = True
                _put_headers(MutableHeaders(scope=message))
                if visit.session.is_held and visit.session.name != shown:
                    MutableHeaders(scope=message).append("Set-Cookie", f"{COOKIE}={visit.session.name}; {ATTRIBUTES}")
            await send(message)

        if request.headers.getlist("host") != [self._host] and not plain:
            await PlainTextResponse("this portal has another name\n", status_code=421)(scope, receive, guarded)
            return
        try:
            await self._app(scope, receive, guarded)
        except Exception:
            LOG.exception("the portal failed at %s %s", scope["method"], scope["path"])
            if started:
                raise
            told = pages.message(visit.frame, "The portal failed", FAILED, "/", "Back to your queue")
            await HTMLResponse(told, status_code=500)(scope, receive, guarded)


ATTRIBUTES: Final = "Path=/; Secure; HttpOnly; SameSite=Lax"
FAILED: Final = (
    "This is a fault of ours; whoever runs signoff finds it in the log. If you were deciding, look at the desk again: "
    "it says whether your decision was sealed. It is safe to press again."
)


def _put_headers(headers: MutableHeaders) -> None:
    headers.setdefault("Content-Security-Policy", PAGE_POLICY)
    headers.update(HEADERS)
