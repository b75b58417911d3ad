"""An HTTPS server on loopback that does whatever a test tells it to, byte for byte, and remembers what it was sent."""

from __future__ import annotations

import contextlib
import socket
import ssl
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from controlplane.pki import Authority, Certificate
from signoff.config import ExplanationSettings
from signoff.record.canonical import dumps
from signoff.record.values import parse

DOCUMENT = b"<h1>Why this model</h1>"
HOSTS = ("localhost", "reports.bank.example")

Send = Callable[[bytes], None]
Deed = Callable[[Send], None]


def plain(body: bytes = DOCUMENT, status: str = "200 OK", *headers: str) -> Deed:
    lines = [f"HTTP/1.1 {status}", f"Content-Length: {len(body)}", "Connection: close", *headers]
    return lambda send: send("\r\n".join(lines).encode() + b"\r\n\r\n" + body)


def redirect(location: str, status: str = "302 Found") -> Deed:
    return plain(b"", status, f"Location: {location}")


def verbatim(*parts: bytes) -> Deed:
    return lambda send: [send(part) for part in parts] and None


def trickle(head: bytes, part: bytes, pause: float = 0.1) -> Deed:
    """Send the head, then a little again and again, for ever."""

    def deed(send: Send) -> None:
        send(head)
        while True:
            time.sleep(pause)
            send(part)

    return deed


@dataclass
class Site:
    """The server; `deeds` says what to do at which path."""

    authority: Authority
    port: int = 0
    deeds: dict[str, Deed] = field(default_factory=dict)
    requests: list[str] = field(default_factory=list)
    connections: int = 0

    def url(self, path: str = "/models/report.html", host: str = "localhost") -> str:
        return f"https://{host}:{self.port}{path}"

    def settings(self, *, prefix: str | None = None, addresses: tuple[str, ...] = ("127.0.0.0/8",), **changes: Any) -> ExplanationSettings:
        sources = [{"prefix": prefix or f"https://{host}:{self.port}/models/", "addresses": list(addresses)} for host in HOSTS]
        value = {"sources": sources, "ca": str(self.authority.path), "timeoutSeconds": 5, **changes}
        return parse(ExplanationSettings, dumps(value), "explanations")

    @property
    def paths(self) -> list[str]:
        return [request.split(" ")[1] for request in self.requests]


@contextmanager
def serving(authority: Authority, certificate: Certificate) -> Iterator[Site]:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate.certificate, certificate.key)
    site = Site(authority)
    stopping = threading.Event()
    with socket.create_server(("127.0.0.1", 0)) as listener:
        listener.settimeout(0.02)
        site.port = listener.getsockname()[1]
        thread = threading.Thread(target=_accept, args=(site, listener, context, stopping))
        thread.start()
        try:
            yield site
        finally:
            stopping.set()
            thread.join(10)


def _accept(site: Site, listener: socket.socket, context: ssl.SSLContext, stopping: threading.Event) -> None:
    while not stopping.is_set():
        try:
            connection, _ = listener.accept()
        except TimeoutError:
            continue
        site.connections += 1
        threading.Thread(target=_answer, args=(site, connection, context), daemon=True).start()


def _answer(site: Site, connection: socket.socket, context: ssl.SSLContext) -> None:
    # What the other side does with the connection is what the tests look at: it may hang up at any time.
    with contextlib.suppress(OSError), connection:
        connection.settimeout(10)
        with context.wrap_socket(connection, server_side=True) as secured:
            request = b""
            while b"\r\n\r\n" not in request:
                part = secured.recv(65536)
                if not part:
                    return
                request += part
            site.requests.append(request.decode("latin-1"))
            path = site.requests[-1].split(" ")[1]
            site.deeds.get(path, plain(b"nothing here", "404 Not Found"))(secured.sendall)
            with contextlib.suppress(OSError):
                secured.unwrap()


def authority(folder: Path, name: str = "site") -> Authority:
    return Authority(name, folder / name)
