"""Serving a view to one browser on this machine, and to nobody else.

1. It listens on 127.0.0.1 alone, and answers GET and HEAD alone (RFC 9110, 9.3).
2. A request must name this very listener as its ``Host``: a name of somebody else's that resolves to 127.0.0.1 (DNS rebinding) is
   answered 421 (RFC 9110, 15.5.20).
3. Every address begins with a secret of this run, so that other users and other pages of this machine find nothing.
4. Only what was gathered is served, from memory: no path is looked up on any disk. Nothing of it is kept by the browser.
5. Every file but the page is sandboxed by the response as well as by the frame; what a browser would run is named and served as plain text.
"""

from __future__ import annotations

import secrets
import socket
from collections.abc import Mapping
from typing import Final

import uvicorn
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import Route
from starlette.types import ASGIApp, Receive, Scope, Send

from signoff.cli import output
from signoff.errors import SignoffError
from signoff.replay.page import SHOWN_POLICY, policy

HOST: Final = "127.0.0.1"
INDEX: Final = "index.html"
_TYPES: Final = {"html": "text/html; charset=utf-8", "txt": "text/plain; charset=utf-8", "md": "text/plain; charset=utf-8"}
_HEADERS: Final = {
    "cache-control": "no-store",
    "cross-origin-opener-policy": "same-origin",
    "cross-origin-resource-policy": "same-origin",
    "permissions-policy": "camera=(), geolocation=(), microphone=()",
    "referrer-policy": "no-referrer",
    "x-content-type-options": "nosniff",
    "x-frame-options": "SAMEORIGIN",
}
_PAGE_POLICY: Final = "; ".join((policy(frames="'self'"), "frame-ancestors 'none'"))
_CONNECTIONS: Final = 64


class Guard:
    """Lets through what rules 1 and 2 allow, to one port."""

    def __init__(self, app: ASGIApp, port: int) -> None:
        self._app = app
        self._hosts = {f"{name}:{port}".encode() for name in (HOST, "localhost")}

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        if scope["type"] != "http":
            return
        hosts = [value for name, value in scope["headers"] if name == b"host"]
        if len(hosts) != 1 or hosts[0].lower() not in self._hosts:
            await PlainTextResponse("only 127.0.0.1 and localhost are answered here\n", 421, _HEADERS)(scope, receive, send)
        elif scope["method"] not in {"GET", "HEAD"}:
            await PlainTextResponse("only GET and HEAD are answered here\n", 405, {**_HEADERS, "allow": "GET, HEAD"})(scope, receive, send)
        else:
            await self._app(scope, receive, send)


def app_of(files: Mapping[str, bytes], secret: str, port: int) -> ASGIApp:
    """Return the application that serves these files, by their paths, below a secret; ``index.html`` is the page."""

    async def answer(request: Request) -> Response:
        given, _, path = request.path_params["path"].partition("/")
        path = path or INDEX
        if not secrets.compare_digest(given.encode(), secret.encode()) or path not in files:
            return PlainTextResponse("there is nothing here\n", 404, _HEADERS)
        return Response(files[path], headers=_headers(path))

    return Guard(Starlette(routes=[Route("/{path:path}", answer)]), port)


def _headers(path: str) -> dict[str, str]:
    if path == INDEX:
        return {**_HEADERS, "content-type": _TYPES["html"], "content-security-policy": _PAGE_POLICY, "x-frame-options": "DENY"}
    kind = _TYPES.get(path.rpartition(".")[2], "application/json")
    return {**_HEADERS, "content-type": kind, "content-security-policy": SHOWN_POLICY}


def serve(files: Mapping[str, bytes], port: int) -> None:
    """Serve until Ctrl-C, on a free port where ``port`` is 0; prints the address. `SignoffError` where it cannot be listened on."""
    try:
        listening = socket.create_server((HOST, port))
    except OSError as error:
        raise SignoffError(
            f"cannot be listened on: {error.strerror}", where=f"{HOST}:{port}", mend="name a free port with --port"
        ) from None
    with listening:
        port, secret = listening.getsockname()[1], secrets.token_urlsafe(24)
        config = uvicorn.Config(
            app_of(files, secret, port),
            lifespan="off",
            ws="none",
            log_config=None,
            access_log=False,
            server_header=False,
            proxy_headers=False,
            limit_concurrency=_CONNECTIONS,
            timeout_graceful_shutdown=1,
        )
        output.tell(f"http://{HOST}:{port}/{secret}/")
        output.tell("for this machine alone, until Ctrl-C", err=True)
        try:
            uvicorn.Server(config).run(sockets=[listening])
        except KeyboardInterrupt:
            return
