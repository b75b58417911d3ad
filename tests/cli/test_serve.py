"""`signoff desk --serve`, as a process of its own, asked over real connections."""

from __future__ import annotations

import http.client
import os
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

import pytest
from archive_fixture import Site
from world import World

from signoff.archive import layout
from signoff.verify.verifier import Verified

ROOT = Path(__file__).parents[2]


@dataclass
class Served:
    process: subprocess.Popen[str]
    url: str
    site: Site
    verified: Verified

    @property
    def port(self) -> int:
        return urlsplit(self.url).port or 0

    @property
    def path(self) -> str:
        return urlsplit(self.url).path

    def ask(self, path: str = "", method: str = "GET", **headers: str) -> tuple[http.client.HTTPResponse, bytes]:
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=10)
        connection.request(method, self.path + path, headers=headers)
        answer = connection.getresponse()
        body = answer.read()
        connection.close()
        return answer, body

    def send(self, raw: bytes) -> bytes:
        with socket.create_connection(("127.0.0.1", self.port), timeout=10) as connection:
            connection.sendall(raw)
            connection.shutdown(socket.SHUT_WR)
            return connection.makefile("rb").read()


@contextmanager
def serving(folder: Path) -> Iterator[Served]:
    site = Site(World(folder / "archive"), None)  # type: ignore[arg-type] - nothing is captured of a process of its own
    verified = site.promoted()
    command = [sys.executable, "-m", "signoff.cli", "desk", verified.id, "--serve", "--archive", site.url, "--trust", site.trust]
    environment = {**os.environ, "PYTHONPATH": f"{ROOT / 'controller'}"}
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=environment)
    try:
        assert process.stdout is not None
        yield Served(process, process.stdout.readline().strip(), site, verified)
    finally:
        process.kill()
        process.communicate()


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    with serving(tmp_path_factory.mktemp("served")) as running:
        yield running


def test_the_page_and_every_file_are_served_to_the_byte(served: Served) -> None:
    answer, page = served.ask()
    assert (answer.status, b"credit-scoring 2.4.0 for production: promoted" in page) == (200, True)
    shown = {one.mediaType: one.digest for one in served.verified.freeze.renditions}
    for path, key in (
        ("desk.html", layout.blob(shown["text/html"])),
        ("desk.txt", layout.blob(shown["text/plain"])),
        ("explanation.html.txt", layout.blob(served.verified.freeze.explanation.digest)),
        ("event.sigstore.json", layout.event(served.verified.id)),
    ):
        answer, body = served.ask(path)
        assert (answer.status, body) == (200, served.site.object_at(key).read_bytes())


def test_each_answer_says_what_a_browser_may_do_with_it(served: Served) -> None:
    for path in ("", "desk.html", "explanation.html.txt", "request.json", "nothing", "../../etc/passwd"):
        answer, _ = served.ask(path)
        assert answer.getheader("x-content-type-options") == "nosniff"
        assert answer.getheader("referrer-policy") == "no-referrer"
        assert answer.getheader("cross-origin-resource-policy") == "same-origin"
        assert answer.getheader("cache-control") == "no-store"
        assert answer.getheader("server") is None
    page = served.ask()[0].getheader("content-security-policy") or ""
    assert page.startswith("default-src 'none'; style-src 'sha256-")
    assert "frame-src 'self';" in page
    assert page.endswith("frame-ancestors 'none'")
    for path in ("desk.html", "explanation.html.txt", "request.json"):
        assert (served.ask(path)[0].getheader("content-security-policy") or "").startswith("sandbox; default-src 'none'")
    assert served.ask("explanation.html.txt")[0].getheader("content-type") == "text/plain; charset=utf-8"


HOSTS = {
    "by its address": ("127.0.0.1:PORT", 200),
    "by its name": ("localhost:PORT", 200),
    "in capitals": ("LOCALHOST:PORT", 200),
    "a name that was bound anew": ("evil.example:PORT", 421),
    "without a port": ("127.0.0.1", 421),
    "another port": ("127.0.0.1:1", 421),
    "a name that only begins so": ("127.0.0.1.evil.example:PORT", 421),
    "with a user": ("a@127.0.0.1:PORT", 421),
    "every address": ("0.0.0.0:PORT", 421),
    "nothing": ("", 421),
}


@pytest.mark.parametrize("case", HOSTS)
def test_only_this_listener_is_answered_for(served: Served, case: str) -> None:
    host, status = HOSTS[case]
    answer, body = served.ask(Host=host.replace("PORT", str(served.port)))
    assert answer.status == status
    assert (b"credit-scoring" in body) is (status == 200)


@pytest.mark.parametrize("hosts", [b"", b"Host: 127.0.0.1:PORT\r\nHost: evil.example\r\n"], ids=["no host", "two hosts"])
def test_a_request_names_one_host(served: Served, hosts: bytes) -> None:
    port = str(served.port).encode()
    told = served.send(b"GET " + served.path.encode() + b" HTTP/1.1\r\n" + hosts.replace(b"PORT", port) + b"Connection: close\r\n\r\n")
    assert b"credit-scoring" not in told
    assert told.startswith((b"HTTP/1.1 421", b"HTTP/1.1 400"))


@pytest.mark.parametrize("method", ["POST", "PUT", "DELETE", "PATCH", "OPTIONS", "TRACE", "CONNECT", "FROB"])
def test_nothing_but_reading_is_answered(served: Served, method: str) -> None:
    told = served.send(f"{method} {served.path} HTTP/1.1\r\nHost: 127.0.0.1:{served.port}\r\nConnection: close\r\n\r\n".encode())
    assert told.startswith((b"HTTP/1.1 405", b"HTTP/1.1 400"))
    assert b"credit-scoring" not in told
    assert told.startswith(b"HTTP/1.1 400") or b"x-content-type-options: nosniff" in told


def test_a_head_has_the_headers_and_no_body(served: Served) -> None:
    answer, body = served.ask("desk.html", "HEAD")
    assert (answer.status, body, answer.getheader("content-length")) == (200, b"", str(len(served.ask("desk.html")[1])))


@pytest.mark.parametrize("path", ["/", "/wrong/", "/wrong/desk.html", "/../", "/%2e%2e/etc/passwd"])
def test_without_the_secret_there_is_nothing(served: Served, path: str) -> None:
    answer, body = Served(served.process, f"http://127.0.0.1:{served.port}{path}", served.site, served.verified).ask()
    assert (answer.status, body) == (404, b"there is nothing here\n")


def test_nobody_reaches_it_from_elsewhere(served: Served) -> None:
    listening = Path("/proc/net/tcp").read_text(encoding="ascii").splitlines()[1:]
    addresses = {line.split()[1] for line in listening if line.split()[3] == "0A"}
    assert f"0100007F:{served.port:04X}" in addresses
    assert f"00000000:{served.port:04X}" not in addresses


def test_it_ends_on_an_interrupt(tmp_path: Path) -> None:
    with serving(tmp_path) as running:
        assert running.ask()[0].status == 200
        running.process.send_signal(signal.SIGINT)
        assert running.process.wait(timeout=10) == 0
        assert running.process.stderr is not None
        assert "Traceback" not in running.process.stderr.read()


def test_a_port_that_is_taken_is_told(site: Site, served: Served) -> None:
    ran = site.run("desk", site.promoted().id, "--serve", "--port", str(served.port))
    assert (ran.code, ran.out) == (2, "")
    assert f"127.0.0.1:{served.port}: cannot be listened on" in ran.err


def test_what_differs_is_not_served(site: Site) -> None:
    verified = site.promoted()
    key = layout.blob(verified.freeze.renditions[0].digest)
    site.overwrite(key, site.object_at(key).read_bytes() + b" ")
    ran = site.run("desk", verified.id, "--serve")
    assert (ran.code, ran.out, key in ran.err) == (1, "", True)
