"""A proxy in front of a real store, which passes everything on until a test tells it what to do to an answer."""

import http.client
import threading
from collections.abc import Callable
from dataclasses import dataclass, replace
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import TracebackType
from typing import Any, Self

from controlplane.ports import LOOPBACK


@dataclass(frozen=True)
class Answer:
    status: int
    headers: tuple[tuple[str, str], ...] = ()
    body: bytes = b""
    torn: bool = False

    def with_header(self, name: str, value: str | None) -> "Answer":
        kept = tuple(one for one in self.headers if one[0].lower() != name.lower())
        return replace(self, headers=(*kept, (name, value)) if value is not None else kept)


Pass = Callable[[], Answer]
Deed = Callable[[Pass], Answer | None]
"""What to do to a request: `None` ends the connection without an answer."""


class Between:
    """Listens while the block lasts. `asked` are the methods of the requests; a deed is given what passes the request on."""

    def __init__(self, port: int) -> None:
        self._store = port
        self._deeds: list[tuple[str, Deed]] = []
        self._always: dict[str, Deed] = {}
        self._lock = threading.Lock()
        self.asked: list[str] = []

    def __enter__(self) -> Self:
        between = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"
            wbufsize = -1
            disable_nagle_algorithm = True

            def log_message(self, *arguments: Any) -> None: ...

            def handle_expect_100(self) -> bool:
                super().handle_expect_100()
                self.wfile.flush()
                return True

            def handle_one_request(self) -> None:
                try:
                    super().handle_one_request()
                except ConnectionError:
                    self.close_connection = True

            def _any(self) -> None:
                between._answer(self)

            do_GET = do_PUT = do_POST = do_HEAD = do_DELETE = _any

        self._server = ThreadingHTTPServer((LOOPBACK, 0), Handler)
        self._server.daemon_threads = True
        self._thread = threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
        self._thread.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join(5)

    @property
    def endpoint(self) -> str:
        return f"http://{LOOPBACK}:{self._server.server_port}"

    def once(self, method: str, deed: Deed) -> None:
        """Do it to the next request with this method."""
        self._deeds.append((method, deed))

    def always(self, method: str, deed: Deed) -> None:
        """Do it to every request with this method."""
        self._always[method] = deed

    def forget(self) -> None:
        """Pass everything on again, and count anew."""
        self._deeds.clear()
        self._always.clear()
        self.asked.clear()

    def _answer(self, handler: BaseHTTPRequestHandler) -> None:
        body = handler.rfile.read(int(handler.headers.get("Content-Length", 0)))
        with self._lock:
            self.asked.append(handler.command)
            planned = next((one for one in self._deeds if one[0] == handler.command), None)
            if planned is not None:
                self._deeds.remove(planned)
        deed = planned[1] if planned else self._always.get(handler.command)

        def on() -> Answer:
            return self._passed_on(handler, body)

        answer = deed(on) if deed else on()
        if answer is None:
            handler.close_connection = True
            return
        _send(handler, answer)

    def _passed_on(self, handler: BaseHTTPRequestHandler, body: bytes) -> Answer:
        connection = http.client.HTTPConnection(LOOPBACK, self._store, timeout=30)
        try:
            headers = {name: value for name, value in handler.headers.items() if name.lower() not in {"expect", "connection"}}
            connection.request(handler.command, handler.path, body, headers)
            answer = connection.getresponse()
            return Answer(answer.status, tuple(answer.getheaders()), answer.read())
        finally:
            connection.close()


def _send(handler: BaseHTTPRequestHandler, answer: Answer) -> None:
    handler.send_response_only(answer.status)
    lengths = [value for name, value in answer.headers if name.lower() == "content-length"]
    for name, value in answer.headers:
        if name.lower() not in {"content-length", "transfer-encoding", "connection"}:
            handler.send_header(name, value)
    length = lengths[0] if handler.command == "HEAD" and lengths else str(len(answer.body))
    handler.send_header("Content-Length", length)
    handler.end_headers()
    if handler.command == "HEAD":
        return
    if answer.torn:
        handler.wfile.write(answer.body[: len(answer.body) // 2])
        handler.close_connection = True
    else:
        handler.wfile.write(answer.body)


def failing(status: int, code: str = "") -> Deed:
    """The store's error in its own words, or without any where `code` is empty."""
    body = f"<Error><Code>{code}</Code><Message>said</Message></Error>".encode() if code else b"<html>no</html>"
    return lambda _: Answer(status, (("Content-Type", "application/xml"),), body)


def lost(on: Pass) -> None:
    """It is done, and the answer is lost."""
    on()


def torn(on: Pass) -> Answer:
    """Half of the body arrives."""
    return replace(on(), torn=True)


def page_of_html(on: Pass) -> Answer:
    """Somebody else's answer, well-formed."""
    return Answer(200, (("Content-Type", "text/html"), ("Date", "Mon, 23 Nov 2026 20:00:00 GMT")), b"<html><body>Log in</body></html>")
