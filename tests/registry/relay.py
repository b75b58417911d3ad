"""A relay in front of a server: notes every request that passes, and can answer otherwise than the server does."""

from __future__ import annotations

import json
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread
from typing import Any

import httpx

from controlplane.ports import free_ports


@dataclass
class Answer:
    """What goes back to the client."""

    status: int
    body: bytes
    headers: dict[str, str] = field(default_factory=lambda: {"Content-Type": "application/json"})
    repeated: int = 1
    """How often the body is sent, unless the client goes away."""

    @property
    def json(self) -> Any:
        return json.loads(self.body)

    @json.setter
    def json(self, value: Any) -> None:
        self.body = json.dumps(value).encode()


_HOP = {"connection", "content-encoding", "content-length", "date", "server", "transfer-encoding"}
Change = Callable[[str, Answer], None]


class Relay:
    """Passes requests on to ``upstream``. ``change`` is given the path, with its query, and the answer, which it may alter."""

    def __init__(self, upstream: str) -> None:
        self.requests: list[tuple[str, str, dict[str, str]]] = []
        self.change: Change | None = None
        self.sent = 0
        """Bytes of the last body that were taken by the client's side."""
        relay = self
        client = self._client = httpx.Client(timeout=60)

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
                relay.requests.append((self.command, self.path, dict(self.headers)))
                passed = {name: value for name, value in self.headers.items() if name.lower() != "accept-encoding"}
                got = client.request(self.command, f"{upstream}{self.path}", headers=passed, content=body)
                answer = Answer(got.status_code, got.content, {name: value for name, value in got.headers.items() if name not in _HOP})
                if relay.change is not None:
                    relay.change(self.path, answer)
                self.send_response(answer.status)
                for name, value in answer.headers.items():
                    self.send_header(name, value)
                if self.command == "HEAD":
                    self.send_header("Content-Length", got.headers.get("Content-Length", "0"))
                elif answer.repeated == 1:
                    self.send_header("Content-Length", str(len(answer.body)))
                self.end_headers()
                relay.sent = 0
                with suppress(ConnectionError):
                    for _ in range(answer.repeated):
                        self.wfile.write(answer.body)
                        relay.sent += len(answer.body)

            do_POST = do_PUT = do_PATCH = do_DELETE = do_HEAD = do_GET

            def log_message(self, *_: object) -> None: ...

        self._server = ThreadingHTTPServer(("127.0.0.1", free_ports(1)[0]), Handler)
        self.url = f"http://127.0.0.1:{self._server.server_port}"
        self._thread = Thread(target=self._server.serve_forever, args=(0.05,), daemon=True)
        self._thread.start()

    def close(self) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()
        self._client.close()
