"""Whatever bytes are posted to either listener, the answer is no admission, no error of ours, and the next review is answered."""

from __future__ import annotations

import json
import socket
import time
from collections.abc import Iterator
from typing import Any

import pytest

from signoff.record.values import RecordError
from signoff.webhook import bodies
from signoff.webhook.review import MAX_REVIEW, MAX_VALUES, BadReview, read_review
from tests.webhook.contract import require_contract
from tests.webhook.listening import Listening, tls
from tests.webhook.reviews import IMAGE, OTHER_IMAGE, UID, decision, pod, policy, promotion, review

GATE = "/gate/enforce"
DOOR = ("/seal/promotions", "/seal/decisions", "/seal/policies", "/check/promotions", "/check/decisions", "/check/policies")
PATHS = (GATE, "/gate/warn", "/gate/audit", *DOOR)

GOOD = json.dumps(review(pod(IMAGE), "pods")).encode()
UNPROMOTED = json.dumps(review(pod(OTHER_IMAGE), "pods")).encode()


def replaced(old: str, new: str) -> bytes:
    assert old in GOOD.decode()
    return GOOD.decode().replace(old, new, 1).encode()


NO_REVIEWS = {
    "empty": b"",
    "white space": b"  \n",
    "null": b"null",
    "a list": b"[]",
    "a string": b'"AdmissionReview"',
    "a number": b"1",
    "an empty object": b"{}",
    "no request": b'{"kind": "AdmissionReview", "apiVersion": "admission.k8s.io/v1"}',
    "a response in place of a request": b'{"response": {"uid": "1", "allowed": true}}',
    "not closed": GOOD[:-1],
    "trailing bytes": GOOD + b"{}",
    "single quotes": GOOD.replace(b'"', b"'"),
    "NaN": replaced('"dryRun": false', '"dryRun": NaN'),
    "Infinity": replaced('"dryRun": false', '"dryRun": -Infinity'),
    "beyond every float": replaced('"dryRun": false', '"dryRun": 1e999'),
    "an integer of 10,000 digits": replaced('"dryRun": false', '"dryRun": ' + "9" * 10_000),
    "a key twice": replaced('"dryRun": false', '"dryRun": false, "object": {}'),
    "a key twice, spelled differently": replaced('"dryRun": false', '"dryRun": false, "\\u006fbject": {}'),
    "not UTF-8": replaced("scoring-1", "scoring-?").replace(b"scoring-?", b"scoring-\xff"),
    "UTF-16": GOOD.decode().encode("utf-16"),
    "a byte order mark": b"\xef\xbb\xbf" + GOOD,
    "half a surrogate pair": replaced("scoring-1", "scoring-\\ud800"),
    "a raw control character": replaced("scoring-1", "scoring-\x01"),
    "lists 100,000 deep": replaced('"dryRun": false', '"dryRun": ' + "[" * 100_000 + "]" * 100_000),
    "objects 100,000 deep": replaced('"dryRun": false', '"dryRun": ' + '{"a":' * 100_000 + "1" + "}" * 100_000),
    "lists that never close": b"[" * 500_000,
    "object is no object": replaced('"object": {', '"object": 1, "was": {'),
    "object is a list": replaced('"object": {', '"object": [], "was": {'),
    "object is null": replaced('"object": {', '"object": null, "was": {'),
    "oldObject is text": replaced('"oldObject": null', '"oldObject": "old"'),
    "kind is text": replaced('"kind": {', '"kind": "Pod", "was": {'),
    "kind.kind is a number": replaced('"kind": "Pod"', '"kind": 1'),
    "uid is a number": replaced(f'"{UID}"', "1"),
    "operation is a list": replaced('"CREATE"', '["CREATE"]'),
    "namespace is an object": replaced('"namespace": "credit", "operation"', '"namespace": {}, "operation"'),
    "userInfo is missing": replaced('"userInfo"', '"user"'),
    "userInfo is a list": replaced('"userInfo": {', '"userInfo": [], "was": {'),
    "subResource is null": replaced('"dryRun": false', '"subResource": null'),
}


@pytest.mark.parametrize("path", PATHS)
def test_what_is_no_review_is_a_failed_call(listening: Listening, path: str) -> None:
    with listening.client(path) as client:
        for name, body in NO_REVIEWS.items():
            answer = client.ask(path, body)
            assert (name, answer.status) == (name, 400)
            assert len(answer.body) < 2000, name


def test_the_review_that_the_cases_alter_is_admitted_and_its_unpromoted_sister_is_not(listening: Listening) -> None:
    assert require_contract(listening.ask(GATE, GOOD), UID)
    assert not require_contract(listening.ask(GATE, UNPROMOTED), UID)


def padded(size: int) -> bytes:
    return GOOD[:-1] + b" " * (size - len(GOOD)) + b"}"


@pytest.mark.parametrize("chunked", [False, True])
def test_a_review_of_16_mib_is_answered_and_a_byte_more_is_too_large(listening: Listening, *, chunked: bool) -> None:
    with listening.client(GATE) as client:
        assert require_contract(client.ask(GATE, padded(MAX_REVIEW), chunked=chunked))
    with listening.client(GATE) as client:
        try:
            status = client.ask(GATE, padded(MAX_REVIEW + 1), chunked=chunked).status
        except (ConnectionError, BrokenPipeError):
            return  # hung up before everything was sent, with nothing admitted
        assert status == 413


def test_a_review_of_8_mib_whose_objects_are_that_large_is_judged(listening: Listening) -> None:
    big = pod(OTHER_IMAGE)
    big["metadata"]["annotations"] = {"bank.example/notes": "n" * (4 * 1024 * 1024)}
    message = listening.ask(GATE, review(big, "pods", operation="UPDATE", old=big | {"spec": pod(IMAGE)["spec"]})).message
    assert "no promotion event for this digest" in message


def test_bypass_12_a_review_of_empty_lists_is_refused_before_it_is_parsed() -> None:
    body = b"[" + b"[]," * 5_000_000 + b"1]"
    began = time.process_time()
    with pytest.raises(RecordError, match=f"more than the {MAX_VALUES} values allowed"):
        read_review(body)
    assert time.process_time() - began < 1


def test_a_million_characters_of_text_with_brackets_is_still_a_review() -> None:
    big = pod(IMAGE)
    big["metadata"]["annotations"] = {"bank.example/csv": "[1,2]{3}" * 100_000}
    assert read_review(json.dumps(review(big, "pods")).encode()).name == "scoring-1"


def test_bypass_12_while_a_huge_review_is_on_its_way_small_ones_are_answered(listening: Listening) -> None:
    huge = padded(MAX_REVIEW)
    with listening.client(GATE) as slow, listening.client(GATE) as quick:
        sending = slow._connection
        sending.putrequest("POST", GATE)
        sending.putheader("Content-Length", str(len(huge)))
        sending.endheaders()
        sending.send(huge[: len(huge) - 1])
        for _ in range(5):
            assert require_contract(quick.ask(GATE, GOOD))
        sending.send(huge[-1:])
        assert json.loads(sending.getresponse().read())["response"]["allowed"]


def test_bypass_12_a_body_that_does_not_come_is_not_waited_for(listening: Listening, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bodies, "BODY_SECONDS", 0.3)
    began = time.monotonic()
    assert raw(listening, RAW["a longer body was announced"]).startswith(b"HTTP/1.1 408")
    assert time.monotonic() - began < 1.4


def test_bypass_12_large_bodies_share_their_memory_and_keep_no_ordinary_review_out(
    listening: Listening, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(bodies, "IN_MEMORY", 3 * 1024 * 1024)
    large = padded(2 * 1024 * 1024)
    with listening.client(GATE) as slow:
        sending = slow._connection
        sending.putrequest("POST", GATE)
        sending.putheader("Content-Length", str(len(large)))
        sending.endheaders()
        sending.send(large[:-1])
        deadline = time.monotonic() + 5
        while listening.ask(GATE, large).status == 200:
            assert time.monotonic() < deadline, "two large bodies at once are more than may be held"
        assert listening.ask(GATE, large).status == 503
        assert require_contract(listening.ask(GATE, GOOD))
        sending.send(large[-1:])
        assert sending.getresponse().status == 200
    assert require_contract(listening.ask(GATE, large)), "what was held is given back"


RAW = {
    "a longer body was announced": f"Content-Length: {len(GOOD) + 100}\r\n\r\n".encode() + GOOD,
    "a shorter body was announced": f"Content-Length: {len(GOOD) - 100}\r\n\r\n".encode() + GOOD,
    "a body below zero was announced": b"Content-Length: -5\r\n\r\n" + GOOD,
    "a body of words was announced": b"Content-Length: many\r\n\r\n" + GOOD,
    "a body of 20 digits was announced": b"Content-Length: 99999999999999999999\r\n\r\n" + GOOD,
    "a body of 10,000 digits was announced": b"Content-Length: " + b"9" * 10_000 + b"\r\n\r\n" + GOOD,
    "17 MiB were announced, nothing came": f"Content-Length: {17 * 1024 * 1024}\r\n\r\n".encode(),
    "two lengths": f"Content-Length: {len(GOOD)}\r\nContent-Length: {len(GOOD) - 1}\r\n\r\n".encode() + GOOD,
    "length and chunks": f"Content-Length: {len(GOOD)}\r\nTransfer-Encoding: chunked\r\n\r\n".encode() + GOOD,
    "chunks that are none": b"Transfer-Encoding: chunked\r\n\r\nzz\r\n" + GOOD,
    "a last chunk that never comes": b"Transfer-Encoding: chunked\r\n\r\n5\r\n{}   \r\n",
    "gzip": f"Content-Encoding: gzip\r\nContent-Length: {len(GOOD)}\r\n\r\n".encode() + b"\x1f\x8b" + GOOD[2:],
    "no length at all": b"\r\n" + GOOD,
}


def raw(listening: Listening, headers_and_body: bytes) -> bytes:
    """Send it, say that nothing more comes, and return whatever is answered until the server hangs up."""
    context = tls(listening.serving.path, None)
    with (
        socket.create_connection(("127.0.0.1", listening.gate_port), timeout=5) as plain,
        context.wrap_socket(plain, server_hostname="127.0.0.1") as secured,
    ):
        secured.settimeout(1.5)
        secured.sendall(f"POST {GATE} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n".encode() + headers_and_body)
        return b"".join(received(secured))


def received(secured: socket.socket) -> Iterator[bytes]:
    try:
        while part := secured.recv(65536):
            yield part
    except OSError:
        return  # hung up, or still waiting for the rest


@pytest.mark.parametrize("name", RAW)
def test_bypass_10_a_body_that_is_not_what_was_announced_admits_nothing(listening: Listening, name: str) -> None:
    said = raw(listening, RAW[name])
    assert b'"allowed": true' not in said
    assert not said.startswith(b"HTTP/1.1 5")
    assert require_contract(listening.ask(GATE, GOOD))


def test_what_is_announced_as_too_large_is_refused_before_it_comes(listening: Listening) -> None:
    assert raw(listening, RAW["17 MiB were announced, nothing came"]).startswith(b"HTTP/1.1 413")


def test_raw_requests_are_answered_where_they_are_right(listening: Listening) -> None:
    assert b'"allowed": true' in raw(listening, f"Content-Length: {len(GOOD)}\r\n\r\n".encode() + GOOD)


@pytest.mark.parametrize(
    "path", ["/", "/gate", "/gate/", "/gate/off", "/gate/Enforce", "/gate/enforce/", "/gate/..", "/seal/promotions", "/openapi.json"]
)
def test_the_gate_answers_no_other_path(listening: Listening, path: str) -> None:
    with listening.client(GATE) as client:
        assert client.ask(path, GOOD).status in {307, 404}


@pytest.mark.parametrize("path", [GATE, "/healthz", "/docs"])
def test_the_door_does_not_gate(listening: Listening, path: str) -> None:
    with listening.client(DOOR[0]) as client:
        assert client.ask(path, GOOD).status == 404


@pytest.mark.parametrize("method", ["GET", "PUT", "PATCH", "DELETE", "OPTIONS"])
def test_reviews_are_posted(listening: Listening, method: str) -> None:
    with listening.client(GATE) as client:
        assert client.ask(GATE, GOOD, method=method).status == 405


def test_health_is_told(listening: Listening) -> None:
    with listening.client(GATE) as client:
        for path in ("/healthz", "/readyz"):
            answer = client.ask(path, b"", method="GET")
            assert (answer.status, answer.body) == (200, b"ok\n")


OBJECTS: dict[str, tuple[str, Any]] = {
    "/seal/promotions": ("modelpromotions", promotion()),
    "/seal/decisions": ("promotiondecisions", decision()),
    "/seal/policies": ("promotionpolicies", policy()),
}


@pytest.mark.parametrize("path", OBJECTS)
@pytest.mark.parametrize("spec", [None, 1, "spec", [], {}, {"a": None}, {"a": 1.5}, {"a": 2**60}, True])
def test_the_door_refuses_a_spec_of_any_other_shape(listening: Listening, path: str, spec: Any) -> None:
    plural, obj = OBJECTS[path]
    for checked in (path, path.replace("seal", "check")):
        answer = listening.ask(checked, review(obj | {"spec": spec}, plural))
        assert not require_contract(answer, UID)
        assert answer.status == 200


def test_a_record_error_is_told_with_its_field(listening: Listening) -> None:
    changed = promotion()
    changed["spec"]["surprise"] = "x"
    response = listening.ask("/seal/promotions", review(changed, "modelpromotions")).response
    assert response["status"]["details"]["causes"][0]["field"] == "spec.surprise"
    assert response["status"]["message"].startswith("spec.surprise: this field is unknown")


def test_reading_raises_one_family_of_errors() -> None:
    for body in NO_REVIEWS.values():
        with pytest.raises((BadReview, RecordError)):
            read_review(body)
