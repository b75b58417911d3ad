"""What stands behind the door in place of an API server: it counts pending requests, and knows the namespaces that it is given."""

from __future__ import annotations

import http.server
import json
import threading
from collections.abc import Mapping
from typing import Any, Self
from urllib.parse import parse_qs, urlsplit

TABLE = "application/json;as=Table;v=v1;g=meta.k8s.io"


class Counting:
    """Answers the one listing as kube-apiserver 1.37 does, and knows namespaces. ``pending`` is how many there are; None: it fails."""

    def __init__(self, namespaces: Mapping[str, Mapping[str, str]] | None = None) -> None:
        self.pending: int | None = 0
        self.namespaces = dict(namespaces or {})
        self.asked: list[tuple[str, dict[str, list[str]]]] = []
        self._server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), self._handler())
        self._server.daemon_threads = True
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.05,))

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self._server.server_port}"

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._thread.join(10)
        self._server.server_close()

    def answer(self, path: str, query: dict[str, list[str]], accept: str | None) -> dict[str, Any] | None:
        """The table of the listing, a namespace, or None for every other question."""
        if path.startswith("/api/v1/namespaces/") and (name := path.rpartition("/")[2]) in self.namespaces:
            return {"kind": "Namespace", "apiVersion": "v1", "metadata": {"name": name, "labels": self.namespaces[name]}}
        if self.pending is None or accept != TABLE or not path.endswith("/modelpromotions"):
            return None
        self.asked.append((path, query))
        rows = [{"cells": [], "object": None}] * min(self.pending, int(query["limit"][0]))
        return {"kind": "Table", "apiVersion": "meta.k8s.io/v1", "metadata": {}, "columnDefinitions": [], "rows": rows or None}

    def _handler(self) -> type[http.server.BaseHTTPRequestHandler]:
        counting = self

        class Handler(http.server.BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_GET(self) -> None:
                parts = urlsplit(self.path)
                found = counting.answer(parts.path, parse_qs(parts.query), self.headers["Accept"])
                data = json.dumps(found or {"kind": "Status", "code": 503}).encode()
                self.send_response(200 if found else 503)
                self.send_header("Content-Type", "application/json")
                self.send_header("Content-Length", str(len(data)))
                self.end_headers()
                self.wfile.write(data)

            do_POST = do_GET

            def log_message(self, *_: object) -> None:
                """Say nothing."""

        return Handler
