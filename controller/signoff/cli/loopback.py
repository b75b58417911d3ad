"""The end of a sign-in, taken on this machine's own address (RFC 8252, section 7.3): the browser is led back to where this command listens.

1. It listens on 127.0.0.1 alone, on a port that the system chooses, for as long as somebody signs in and no longer.
2. Taken is one answer: a GET of the one path, under this listener's own name (``Host``), each parameter once, with the state of this
   sign-in, which nobody knows but whoever began it and the provider.
3. What is not that is refused and changes nothing: the wait goes on, so that no other page and no other program on this machine can end
   the sign-in. How often that was is told where nobody comes.
4. After the answer nothing is taken any more; without one the wait ends.
5. Heads and the number of connections are bounded (`signoff.listening`).
6. The browser gets a page of ours: it runs nothing, loads nothing, is kept nowhere, and holds nothing of what was asked.
"""

from __future__ import annotations

import secrets
import socket
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from queue import Empty, Queue
from threading import Lock, Thread
from typing import Final
from urllib.parse import parse_qsl

import uvicorn
from starlette.requests import Request
from starlette.responses import HTMLResponse
from starlette.types import Receive, Scope, Send

from signoff.cli import output
from signoff.errors import SignoffError
from signoff.listening import Bounded

HOST: Final = "127.0.0.1"
PATH: Final = "/callback"
_CONNECTIONS: Final = 16
_FIELDS: Final = 20
_LONGEST: Final = {"state": 200, "code": 4000, "error": 200, "iss": 600}
_LOOK: Final = 0.2
_ENDING: Final = 5.0
_HEADERS: Final = {
    "cache-control": "no-store",
    "content-security-policy": "default-src 'none'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'; sandbox",
    "cross-origin-opener-policy": "same-origin",
    "cross-origin-resource-policy": "same-origin",
    "referrer-policy": "no-referrer",
    "x-content-type-options": "nosniff",
}
_PAGE: Final = """<!doctype html>
<html lang="en"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width">
<meta name="color-scheme" content="light dark"><title>{title}</title></head>
<body><main><h1>{title}</h1><p>{words}</p></main></body></html>
"""
_CAME: Final = ("Back to your terminal", "It says what came of this. You can close this window.")
_FAILED: Final = ("You did not sign in", "Nothing was decided. Your terminal says why. You can close this window.")
_NOT_OURS: Final = ("This is not the sign-in that is under way", "Nothing was decided by this. You can close this window.")


class NobodyCame(SignoffError):
    """The browser was not led back."""


@dataclass(frozen=True)
class Answer:
    """What the provider sent back with the browser: a code, or an error (empty: none); and which issuer it named, if any."""

    code: str
    error: str
    issuer: str | None


@dataclass
class Loopback:
    """The listener of one sign-in (ASGI)."""

    state: str
    port: int
    refused: int = 0
    _answers: Queue[Answer] = field(default_factory=Queue)
    _answered: bool = False
    _lock: Lock = field(default_factory=Lock)

    @property
    def address(self) -> str:
        """Where the browser is to be led back to."""
        return f"http://{HOST}:{self.port}{PATH}"

    def wait(self, seconds: float, step: Callable[[str], None] = lambda _: None) -> Answer:
        """Return the answer; `NobodyCame` where there is none in time (rule 4)."""
        started = time.monotonic()
        while (waited := time.monotonic() - started) < seconds:
            step(f"{waited:.0f} s")
            try:
                return self._answers.get(timeout=min(_LOOK, seconds - waited))
            except Empty:
                continue
        others = f"; refused {output.count(self.refused, 'other request')} meanwhile" if self.refused else ""
        raise NobodyCame(f"nobody came back from the identity provider within {seconds:.0f} s{others}", where="sign-in")

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        if scope["type"] != "http":
            return
        request = Request(scope)
        status, answer = self._judged(request)
        if answer is not None and not self._take(answer):
            status, answer = 410, None
        if answer is None:
            self.refused += 1
        title, words = _NOT_OURS if answer is None else _CAME if answer.code else _FAILED
        await HTMLResponse(_PAGE.format(title=title, words=words), status, _HEADERS)(scope, receive, send)

    def _judged(self, request: Request) -> tuple[int, Answer | None]:
        """Return the status for a request, and what it brings if it is the answer (rule 2)."""
        if request.headers.getlist("host") != [f"{HOST}:{self.port}"]:
            return 421, None
        if request.url.path != PATH:
            return 404, None
        if request.method != "GET":
            return 405, None
        given = _once(request.scope["query_string"])
        if given is None or not secrets.compare_digest(given.get("state", "").encode(), self.state.encode()):
            return 400, None
        code, error = given.get("code", ""), given.get("error", "")
        if bool(code) == bool(error):
            return 400, None
        return 200, Answer(code, error, given.get("iss"))

    def _take(self, answer: Answer) -> bool:
        with self._lock:
            if self._answered:
                return False
            self._answered = True
        self._answers.put(answer)
        return True


def _once(query: bytes) -> dict[str, str] | None:
    """Return the parameters of a query, or None where one stands twice, is too long or cannot be read."""
    try:
        items = parse_qsl(query.decode("ascii"), keep_blank_values=True, max_num_fields=_FIELDS, errors="strict")
    except ValueError:
        return None
    given = dict(items)
    if len(given) != len(items) or any(len(given.get(name, "")) > longest for name, longest in _LONGEST.items()):
        return None
    return given


@contextmanager
def listening(state: str) -> Iterator[Loopback]:
    """Listen for the end of the sign-in with this state (rule 1); `SignoffError` where it cannot be listened."""
    try:
        listener = socket.create_server((HOST, 0))
    except OSError as error:
        raise SignoffError(f"cannot be listened on: {error.strerror}", where=HOST) from None
    with listener:
        loopback = Loopback(state, listener.getsockname()[1])
        settings = uvicorn.Config(
            loopback,
            http=Bounded,
            ws="none",
            lifespan="off",
            log_config=None,
            log_level="critical",  # what others send here is nobody's concern at the terminal
            access_log=False,
            server_header=False,
            proxy_headers=False,
            limit_concurrency=_CONNECTIONS,
            timeout_graceful_shutdown=1,
        )
        server = uvicorn.Server(settings)
        # In a thread of its own: this one is left to the keyboard, whose Ctrl-C ends the wait at once.
        thread = Thread(target=server.run, kwargs={"sockets": [listener]}, name="end of sign-in", daemon=True)
        thread.start()
        try:
            yield loopback
        finally:
            server.should_exit = True
            thread.join(_ENDING)
