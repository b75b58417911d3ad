"""The end of a sign-in on the loopback address: what is taken, and what others may send there, over real connections."""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import Iterator

import httpx
import pytest

from signoff.cli.loopback import Answer, Loopback, NobodyCame, listening

STATE = "the-state-of-this-sign-in"
CODE = f"state={STATE}&code=a-code"


@pytest.fixture
def loopback() -> Iterator[Loopback]:
    with listening(STATE) as found:
        yield found


def get(loopback: Loopback, query: str, path: str = "/callback", method: str = "GET", **headers: str) -> httpx.Response:
    return httpx.request(method, f"http://127.0.0.1:{loopback.port}{path}?{query}", headers=headers, trust_env=False)


def raw(loopback: Loopback, data: bytes) -> bytes:
    """What is answered to these bytes; nothing where the connection is closed."""
    with socket.create_connection(("127.0.0.1", loopback.port), timeout=15) as connection:
        try:
            connection.sendall(data)
            return connection.makefile("rb").read()
        except ConnectionError:
            return b""


TAKEN: dict[str, tuple[str, Answer]] = {
    "a code": (CODE, Answer("a-code", "", None)),
    "a code, and who gave it": (f"{CODE}&iss=https%3A%2F%2Flogin.bank.example", Answer("a-code", "", "https://login.bank.example")),
    "a code, beside what nobody asked for": (f"{CODE}&session_state=x", Answer("a-code", "", None)),
    "an error": (f"error=access_denied&error_description=no&state={STATE}", Answer("", "access_denied", None)),
}


@pytest.mark.parametrize(("query", "answer"), [pytest.param(*one, id=name) for name, one in TAKEN.items()])
def test_rule_2_the_answer_is_taken(loopback: Loopback, query: str, answer: Answer) -> None:
    got = get(loopback, query)
    assert got.status_code == 200
    assert "You can close this window" in got.text
    assert ("You did not sign in" in got.text) == bool(answer.error)
    assert loopback.wait(5) == answer


def test_rule_6_the_page_runs_nothing_and_is_kept_nowhere(loopback: Loopback) -> None:
    got = get(loopback, CODE)
    assert got.headers["content-security-policy"].startswith(
        "default-src 'none'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
    )
    assert got.headers["cache-control"] == "no-store"
    assert got.headers["referrer-policy"] == "no-referrer"
    assert "<script" not in got.text
    assert not {"a-code", STATE} & set(got.text.split())
    assert "server" not in got.headers


HOSTILE: dict[str, tuple[int, dict[str, str]]] = {
    "another state": (400, {"query": "state=another&code=a-code"}),
    "no state": (400, {"query": "code=a-code"}),
    "an error without the state": (400, {"query": "error=access_denied"}),
    "a state of other letters": (400, {"query": "state=%C3%A9&code=a-code"}),
    "the state twice": (400, {"query": f"{CODE}&state={STATE}"}),
    "two codes": (400, {"query": f"{CODE}&code=another"}),
    "two issuers": (400, {"query": f"{CODE}&iss=https%3A%2F%2Fa&iss=https%3A%2F%2Fb"}),
    "a code and an error": (400, {"query": f"{CODE}&error=access_denied"}),
    "neither code nor error": (400, {"query": f"state={STATE}"}),
    "an empty code": (400, {"query": f"state={STATE}&code="}),
    "a code that is too long": (400, {"query": f"state={STATE}&code={'x' * 4001}"}),
    "an error that is too long": (400, {"query": f"state={STATE}&error={'x' * 201}"}),
    "more parameters than anybody sends": (400, {"query": CODE + "".join(f"&p{number}=" for number in range(30))}),
    "letters that are none": (400, {"query": f"{CODE}&iss=%FF"}),
    "another path": (404, {"query": CODE, "path": "/"}),
    "a path below": (404, {"query": CODE, "path": "/callback/"}),
    "the icon that browsers ask for": (404, {"query": "", "path": "/favicon.ico"}),
    "a form": (405, {"query": CODE, "method": "POST"}),
    "a look ahead": (405, {"query": CODE, "method": "HEAD"}),
    "another name": (421, {"query": CODE, "host": "evil.example"}),
    "localhost": (421, {"query": CODE, "host": "localhost"}),
    "this name at another port": (421, {"query": CODE, "host": "127.0.0.1:1"}),
}


@pytest.mark.parametrize(("status", "sent"), [pytest.param(*one, id=name) for name, one in HOSTILE.items()])
def test_rule_3_what_is_not_the_answer_is_refused_and_the_answer_is_taken_after_it(
    loopback: Loopback, status: int, sent: dict[str, str]
) -> None:
    got = get(loopback, **sent)
    assert got.status_code == status
    if sent.get("method") != "HEAD":
        assert "Nothing was decided by this" in got.text
    with pytest.raises(NobodyCame, match="refused 1 other request meanwhile"):
        loopback.wait(0.01)
    assert get(loopback, CODE).status_code == 200
    assert loopback.wait(5).code == "a-code"


def test_two_names_at_once_are_none(loopback: Loopback) -> None:
    host = f"Host: 127.0.0.1:{loopback.port}\r\n"
    got = raw(loopback, f"GET /callback?{CODE} HTTP/1.1\r\n{host}{host}Connection: close\r\n\r\n".encode())
    assert got.startswith((b"HTTP/1.1 421", b"HTTP/1.1 400"))
    with pytest.raises(NobodyCame):
        loopback.wait(0.01)


HUGE: dict[str, bytes] = {
    "a line without end": b"GET /callback?" + b"x" * 400_000,
    "a header without end": b"GET /callback HTTP/1.1\r\nHost: 127.0.0.1\r\nX: " + b"x" * 400_000,
    "no HTTP": b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" * 10,
}


@pytest.mark.parametrize("data", [pytest.param(one, id=name) for name, one in HUGE.items()])
def test_rule_5_a_huge_request_is_cut_off_and_the_answer_is_taken_after_it(loopback: Loopback, data: bytes) -> None:
    assert b"200 OK" not in raw(loopback, data)
    assert get(loopback, CODE).status_code == 200
    assert loopback.wait(5).code == "a-code"


def test_rule_4_a_second_answer_is_not_taken(loopback: Loopback) -> None:
    assert get(loopback, CODE).status_code == 200
    again = get(loopback, f"state={STATE}&code=another")
    assert (again.status_code, "This is not the sign-in that is under way" in again.text) == (410, True)
    assert loopback.wait(5).code == "a-code"
    with pytest.raises(NobodyCame):
        loopback.wait(0.01)


def test_rule_4_of_many_answers_at_once_one_is_taken(loopback: Loopback) -> None:
    statuses: list[int] = []
    sending = [threading.Thread(target=lambda: statuses.append(get(loopback, CODE).status_code)) for _ in range(8)]
    for thread in sending:
        thread.start()
    for thread in sending:
        thread.join()
    assert sorted(statuses) == [200, *[410] * 7]


def test_rule_4_nobody_is_waited_for_for_ever() -> None:
    with listening(STATE) as loopback:
        started = time.monotonic()
        with pytest.raises(NobodyCame, match="nobody came back from the identity provider within 0 s"):
            loopback.wait(0.3)
    assert time.monotonic() - started < 3


def test_rule_1_it_listens_on_127_0_0_1_alone_and_no_longer_than_it_waits() -> None:
    with listening(STATE) as loopback:
        for address in {info[4][0] for info in socket.getaddrinfo(socket.gethostname(), None, socket.AF_INET)} - {"127.0.0.1"}:
            with pytest.raises(OSError, match="refused"):
                socket.create_connection((address, loopback.port), timeout=2)
        with pytest.raises(OSError, match="refused"):
            socket.create_connection(("127.0.0.2", loopback.port), timeout=2)
        assert loopback.address == f"http://127.0.0.1:{loopback.port}/callback"
    with pytest.raises(OSError, match="refused"):
        socket.create_connection(("127.0.0.1", loopback.port), timeout=2)


def test_rule_1_each_sign_in_has_a_port_of_its_own() -> None:
    with listening(STATE) as one, listening("another") as other:
        assert one.port != other.port
        assert get(other, CODE).status_code == 400
        assert get(one, CODE).status_code == 200
