"""HTTP as nobody should speak it, at the gate's port: no admission, no error of ours, bounded, and the next review is answered."""

from __future__ import annotations

import contextlib
import gzip
import json
import socket
import ssl
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from signoff import listening as protocol
from tests.webhook.contract import require_contract
from tests.webhook.listening import Listening, tls
from tests.webhook.reviews import IMAGE, OTHER_IMAGE, pod, review

GOOD = json.dumps(review(pod(IMAGE), "pods")).encode()
BAD = json.dumps(review(pod(OTHER_IMAGE), "pods")).encode()
GATE = "/gate/enforce"
Send = Callable[[bytes], bytes]


def connected(listening: Listening, timeout: float = 5) -> ssl.SSLSocket:
    plain = socket.create_connection(("127.0.0.1", listening.gate_port), timeout=timeout)
    return tls(listening.serving.path, None).wrap_socket(plain, server_hostname="127.0.0.1")


def said(secured: ssl.SSLSocket) -> bytes:
    """Whatever is answered until the server hangs up or says nothing more."""
    parts = []
    try:
        while part := secured.recv(65536):
            parts.append(part)
    except OSError:
        pass
    return b"".join(parts)


@pytest.fixture
def send(listening: Listening) -> Iterator[Send]:
    def sending(data: bytes) -> bytes:
        with connected(listening, timeout=2) as secured:
            try:
                secured.sendall(data)
            except OSError:
                return b""  # hung up before everything was sent
            return said(secured)

    yield sending
    assert require_contract(listening.ask(GATE, GOOD)), "the next review is answered"


def require_no_admission(answer: bytes) -> None:
    assert b'"allowed": true' not in answer
    assert not answer.startswith(b"HTTP/1.1 5"), answer[:200]


def request(body: bytes, *headers: str, line: str = f"POST {GATE} HTTP/1.1") -> bytes:
    length = f"Content-Length: {len(body)}"
    return "\r\n".join([line, "Host: x", "Connection: close", length, *headers, "", ""]).encode() + body


BOMB = gzip.compress(b" " * 50_000_000 + GOOD)
REQUESTS = {
    "a gzip bomb": request(BOMB, "Content-Encoding: gzip"),
    "a review that is gzipped": request(gzip.compress(GOOD), "Content-Encoding: gzip"),
    "gzip as transfer encoding": request(BOMB, "Transfer-Encoding: gzip, chunked"),
    "a method of its own": request(GOOD, line=f"ADMIT {GATE} HTTP/1.1"),
    "a method that is overridden": request(GOOD, "X-HTTP-Method-Override: POST", line=f"GET {GATE} HTTP/1.1"),
    "HTTP/2 without asking": b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
    "HTTP/9.9": request(GOOD, line=f"POST {GATE} HTTP/9.9"),
    "no version": f"POST {GATE}\r\n\r\n".encode(),
    "a proxy's request": request(GOOD, line="CONNECT kubernetes.default:443 HTTP/1.1"),
    "an upgrade": request(BAD, "Connection: Upgrade", "Upgrade: websocket", "Sec-WebSocket-Key: eA==", "Sec-WebSocket-Version: 13"),
    "a null in a header": request(GOOD).replace(b"Host: x", b"Host: x\x00y"),
    "a header folded": request(GOOD).replace(b"Host: x", b"Host: x\r\n y"),
    "line feeds alone": request(GOOD).replace(b"\r\n", b"\n")[:60],
    "a path with dots": request(BAD, line=f"POST /x/..{GATE} HTTP/1.1"),
    "a path that is encoded": request(BAD, line="POST /gate/%65nforce HTTP/1.1"),
    "a path of 60,000 characters": request(GOOD, line=f"POST /{'x' * 60_000} HTTP/1.1"),
    "a path that is not UTF-8": request(GOOD).replace(b"/gate/enforce", b"/gate/\xff\xfe"),
    "5,000 headers": request(BAD, *(f"X-{number}: x" for number in range(5_000))),
}


@pytest.mark.parametrize("name", REQUESTS)
def test_bypass_10_odd_requests_admit_nothing(send: Send, name: str) -> None:
    began = time.monotonic()
    require_no_admission(send(REQUESTS[name]))
    assert time.monotonic() - began < 10


def test_what_the_odd_requests_alter_is_admitted(send: Send) -> None:
    assert b'"allowed": true' in send(request(GOOD))


def resident() -> int:
    """The bytes that this process, which is also the server's, has in memory."""
    return int(Path("/proc/self/statm").read_text().split()[1]) * 4096


ENDLESS = {
    "one header": (f"POST {GATE} HTTP/1.1\r\nX-Long: ".encode(), b"x" * 65536),
    "many headers": (f"POST {GATE} HTTP/1.1\r\n".encode(), b"X: y\r\n" * 10_000),
    "a first line": (b"POST /", b"y" * 65536),
    "many trailers": (f"POST {GATE} HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n".encode(), b"X: y\r\n" * 10_000),
    "one trailer": (f"POST {GATE} HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n0\r\nX: ".encode(), b"x" * 65536),
    "a chunk's extension": (f"POST {GATE} HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n1;x=".encode(), b"x" * 65536),
}


def poured(secured: ssl.SSLSocket, first: bytes, more: bytes) -> int:
    """How much the server takes before it hangs up, of at most 50 MB."""
    sent = 0
    try:
        secured.sendall(first)
        while sent < 50_000_000:
            secured.sendall(more)
            sent += len(more)
    except OSError:
        pass
    return sent


@pytest.mark.parametrize("name", ENDLESS)
def test_bypass_12_a_head_without_end_is_cut_off(listening: Listening, name: str) -> None:
    before = resident()
    with connected(listening) as secured:
        assert poured(secured, *ENDLESS[name]) < 20_000_000, "what lay in the network's buffers, and no more"
    assert resident() - before < 64 * 1024 * 1024
    assert require_contract(listening.ask(GATE, GOOD))


@pytest.mark.parametrize("begun", [b"", b"POST /gate", f"POST {GATE} HTTP/1.1\r\nHost: x\r\n".encode()])
def test_bypass_12_a_head_that_does_not_come_is_not_waited_for(listening: Listening, begun: bytes, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(protocol, "HEAD_SECONDS", 0.5)
    began = time.monotonic()
    with connected(listening, timeout=5) as secured:
        if begun:
            secured.sendall(begun)
        assert said(secured) == b""
    assert time.monotonic() - began < 4


def test_a_second_head_that_does_not_come_is_not_waited_for_either(listening: Listening, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(protocol, "HEAD_SECONDS", 0.5)
    first = request(GOOD).replace(b"Connection: close\r\n", b"")
    with connected(listening, timeout=5) as secured:
        secured.sendall(first)
        answer = b""
        while b'"allowed": true' not in answer:
            answer += secured.recv(65536)
        time.sleep(1)  # between two requests nobody is in a hurry
        secured.sendall(first[:40])
        began = time.monotonic()
        assert b"allowed" not in said(secured)
        assert time.monotonic() - began < 4


def test_bypass_12_what_is_left_of_a_request_that_was_answered_is_not_waited_for(
    listening: Listening, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(protocol, "HEAD_SECONDS", 0.5)
    began = time.monotonic()
    with connected(listening, timeout=5) as secured:
        secured.sendall(b"GET /healthz HTTP/1.1\r\nHost: x\r\nContent-Length: 1000\r\n\r\n")
        with contextlib.suppress(OSError):
            while time.monotonic() - began < 4:
                secured.sendall(b"x")  # so slowly that none of the library's own timers runs out
                time.sleep(0.1)
    assert time.monotonic() - began < 4


@pytest.mark.parametrize("size", [60_000, 70_000, 100_000])
def test_a_review_that_comes_in_one_piece_is_no_head(listening: Listening, size: int) -> None:
    # While the loop is busy all that was sent waits, and comes as one.
    whole = request(json.dumps(review({**pod(IMAGE), "status": {"message": "x" * size}}, "pods")).encode())
    loop = listening._servers[0].servers[0].get_loop()
    with connected(listening) as secured:
        time.sleep(0.1)
        loop.call_soon_threadsafe(time.sleep, 0.5)
        time.sleep(0.1)
        secured.sendall(whole)
        assert b'"allowed": true' in said(secured)


WORDS = [
    "POST ",
    "GET ",
    GATE,
    " HTTP/1.1\r\n",
    "\r\n",
    "\n",
    ": ",
    "Content-Length: ",
    "Transfer-Encoding: chunked\r\n",
    "0\r\n\r\n",
    "5\r\n",
]
HEADERS = ["ffffffffffffffff\r\n", "-1\r\n", "Host: x\r\n", "Connection: close\r\n", "Expect: 100-continue\r\n", "\x00"]
PIECES = st.sampled_from([*(word.encode() for word in (*WORDS, *HEADERS)), BAD])


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow])
@given(data=st.lists(PIECES | st.binary(max_size=20), max_size=12).map(b"".join))
def test_bypass_10_any_bytes_admit_nothing(listening: Listening, data: bytes) -> None:
    with connected(listening, timeout=0.1) as secured:
        secured.sendall(data)
        require_no_admission(said(secured))
