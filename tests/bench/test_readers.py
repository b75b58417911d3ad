"""The readers: how often they ask and what they take, against a server that answers what it is told to, or after a while."""

from __future__ import annotations

import gzip
import ssl
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from bench.errors import BenchError
from bench.processes import Spent
from bench.readers import Sought, read
from controlplane.pki import Authority
from signoff.record.values import sha256

CONTENT = b"<td>0.812</td>" * 1000


class Answers(BaseHTTPRequestHandler):
    """Serves one page, compressed to whom takes that, after as long as its address says."""

    protocol_version = "HTTP/1.1"
    came: list[tuple[float, str, str]]
    connections: list[int]

    def setup(self) -> None:
        super().setup()
        self.connections.append(1)

    def do_GET(self) -> None:
        self.came.append((time.monotonic(), self.headers.get("Cookie", ""), self.headers.get("Accept-Encoding", "")))
        zips = self.headers.get("Accept-Encoding") == "gzip"
        content = gzip.compress(CONTENT) if zips else CONTENT
        time.sleep(float(self.path[1:] or 0))
        self.send_response(404 if self.path == "/0" else 200)
        self.send_header("Content-Length", str(len(content)))
        if zips:
            self.send_header("Content-Encoding", "gzip")
        self.end_headers()
        self.wfile.write(content)

    def log_message(self, *_: object) -> None:
        """Say nothing."""


@contextmanager
def serving(folder: Path) -> Iterator[tuple[str, Path]]:
    authority = Authority("readers", folder)
    files = authority.serving("server", ["127.0.0.1"])
    Answers.came, Answers.connections = [], []
    server = ThreadingHTTPServer(("127.0.0.1", 0), Answers)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(files.certificate, files.key)
    server.socket = context.wrap_socket(server.socket, server_side=True)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"https://127.0.0.1:{server.server_port}/", authority.path
    server.shutdown()
    server.server_close()


def nothing_spent() -> Spent:
    return Spent(0.0, 0.0, 0.0, {})


def test_each_reader_asks_by_a_connection_of_its_own_and_as_often_as_it_should(tmp_path: Path) -> None:
    with serving(tmp_path) as (url, ca):
        figures = read(Sought(url, ca, "a=b", digest=sha256(CONTENT)), 4, 0.5, 1.0, nothing_spent)
        assert figures["requests"] == 4 * 2
        assert figures["errors"] == 0
        assert figures["wire_mb"] == len(CONTENT) / 1e6
        assert len(Answers.connections) == 4
        assert {cookie for _, cookie, _ in Answers.came} == {"a=b"}
        asked = [at for at, _, _ in Answers.came[-8:]]
        assert asked[-1] - asked[0] > 0.7, "spread over the time, and not all at once"


def test_a_request_is_timed_from_when_it_was_due(tmp_path: Path) -> None:
    """A server that takes longer than a reader's pace has the next request wait: that is part of its time."""
    with serving(tmp_path) as (url, ca):
        figures = read(Sought(f"{url}0.3", ca), 1, 0.1, 0.5, nothing_spent)
    assert figures["requests"] == 5
    assert figures["p50_ms"] > 600
    assert figures["first_p50_ms"] <= figures["p50_ms"]


def test_what_is_compressed_is_read_as_it_comes_and_hashed_as_what_it_decodes_to(tmp_path: Path) -> None:
    with serving(tmp_path) as (url, ca):
        figures = read(Sought(url, ca, encoding="gzip", digest=sha256(CONTENT)), 2, 0.0, 0.3, nothing_spent)
        assert figures["wire_mb"] == len(gzip.compress(CONTENT)) / 1e6
        assert figures["requests"] > 2
        assert {encoding for _, _, encoding in Answers.came} == {"gzip"}


@pytest.mark.parametrize(("path", "digest", "told"), [("0", None, "should answer 200"), ("", sha256(b"else"), "should be sha256:")])
def test_other_answers_and_other_bytes_are_no_figure(path: str, digest: str | None, told: str, tmp_path: Path) -> None:
    with serving(tmp_path) as (url, ca), pytest.raises(BenchError, match=told):
        read(Sought(url + path, ca, digest=digest), 1, 0.0, 0.2, nothing_spent)
