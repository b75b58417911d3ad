"""The load generator: its percentiles against known numbers, and its counts against a server that answers what it is told to."""

from __future__ import annotations

import json
import ssl
import subprocess
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from bench.errors import BenchError
from bench.load import Round, Target, ask
from bench.programs import program
from bench.timing import percentile
from controlplane.pki import Authority

PERCENTILES = [
    ("one value", [7.0], (7, 7, 7)),
    ("two values: the lower half ends with the first", [1.0, 2.0], (1, 2, 2)),
    ("out of order", [5.0, 1.0, 4.0, 2.0, 3.0], (3, 5, 5)),
    ("one to a hundred", [float(number) for number in range(1, 101)], (50, 90, 99)),
    ("a thousand: the slowest ten are beyond p99", [1.0] * 990 + [50.0] * 10, (1, 1, 1)),
    ("a thousand: the slowest eleven are not", [1.0] * 989 + [50.0] * 11, (1, 1, 50)),
]


@pytest.mark.parametrize(("values", "expected"), [case[1:] for case in PERCENTILES], ids=[case[0] for case in PERCENTILES])
def test_percentiles_are_by_nearest_rank(values: list[float], expected: tuple[float, ...]) -> None:
    lines = "".join(f"{value}\n" for value in values)
    told = json.loads(subprocess.run([program("load"), "percentiles"], input=lines, capture_output=True, text=True, check=True).stdout)
    assert (told["p50_ms"], told["p90_ms"], told["p99_ms"]) == expected
    assert told["requests"] == len(values)
    assert tuple(percentile(values, share) for share in (50, 90, 99)) == expected, "Python counts as the generator does"


class Answers(BaseHTTPRequestHandler):
    """Answers as the body asks for, and counts connections and bodies."""

    protocol_version = "HTTP/1.1"
    seen: list[str]
    connections: list[int]

    def setup(self) -> None:
        super().setup()
        self.connections.append(1)

    def do_POST(self) -> None:
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        self.seen.append(body["name"])
        content = json.dumps({"response": {"allowed": body.get("allowed", True)}}).encode()
        self.send_response(body.get("code", 200))
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)

    def log_message(self, *_: object) -> None:
        """Say nothing."""


@contextmanager
def answering(folder: Path) -> Iterator[tuple[Target, type[Answers]]]:
    authority = Authority("tests", folder)
    files = authority.serving("server", ["127.0.0.1"])
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(files.certificate, files.key)
    handler = type("Own", (Answers,), {"seen": [], "connections": []})
    server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
    server.socket = context.wrap_socket(server.socket, server_side=True)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield Target(f"https://127.0.0.1:{server.server_port}/", authority.path, review=True), handler
    finally:
        server.shutdown()
        server.server_close()


def bodies(count: int, **more: Any) -> list[str]:
    return [json.dumps({"name": f"body-{number}", **more}) for number in range(count)]


def test_each_body_is_sent_once_and_warming_up_is_not_counted(tmp_path: Path) -> None:
    with answering(tmp_path) as (target, handler):
        warm = [json.dumps({"name": "warm"})]
        figures = ask(target, bodies(30), warm, Round(clients=3, seconds=20, warmups=2, once=True), "allowed", None, tmp_path)
        assert figures["requests"] == 30
        assert figures["errors"] == 0
        assert sorted(name for name in handler.seen if name != "warm") == sorted(f"body-{number}" for number in range(30))
        assert handler.seen.count("warm") == 3 * 2
        assert len(handler.connections) == 3, "each client keeps one connection"


def test_a_loop_goes_on_for_its_seconds(tmp_path: Path) -> None:
    with answering(tmp_path) as (target, handler):
        figures = ask(target, bodies(2), bodies(2), Round(clients=2, seconds=0.5, warmups=0), "allowed", None, tmp_path)
        assert figures["requests"] == len(handler.seen) > 2
        assert figures["per_second"] == pytest.approx(figures["requests"] / 0.5, rel=0.5)
        assert 0 < figures["p50_ms"] <= figures["p90_ms"] <= figures["p99_ms"]


@pytest.mark.parametrize(
    ("wrong", "says"),
    [({"allowed": False}, "'denied': 20"), ({"code": 500}, "'500': 20")],
    ids=["a denial where an admission is expected", "an error"],
)
def test_a_figure_of_wrong_answers_is_no_figure(tmp_path: Path, wrong: dict[str, Any], says: str) -> None:
    with answering(tmp_path) as (target, _), pytest.raises(BenchError, match=says):
        ask(target, bodies(20, **wrong), bodies(1), Round(clients=1, seconds=20, warmups=1, once=True), "allowed", None, tmp_path)


def test_one_wrong_answer_in_a_hundred_is_told(tmp_path: Path) -> None:
    with answering(tmp_path) as (target, _):
        mixed = [*bodies(99), *bodies(1, allowed=False)]
        figures = ask(target, mixed, bodies(1), Round(clients=1, seconds=20, warmups=1, once=True), "allowed", None, tmp_path)
        assert (figures["requests"], figures["errors"]) == (100, 1)


def test_nobody_there_is_an_error(tmp_path: Path) -> None:
    with answering(tmp_path) as (target, _):
        pass
    with pytest.raises(BenchError, match="answered nothing"):
        ask(target, bodies(1), bodies(1), Round(clients=1, seconds=0.2, warmups=1), "allowed", None, tmp_path)
