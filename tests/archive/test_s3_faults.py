"""What the network and the store do wrong, through a proxy in front of the real store."""

import socket
import time
from collections import Counter
from dataclasses import replace

import pytest
from between import failing, lost, page_of_html, torn

from signoff.archive.store import Damaged, Exists, Missing, Refused, Unavailable
from signoff.archive.write import create_or_same

LIST, BODY = "events/", b"the bytes of an event"


@pytest.fixture
def store(in_s3, between):
    in_s3.opened().create("events/a", BODY)
    return in_s3.opened(endpoint=between.endpoint)


def calls(store):
    return {
        "create": lambda: store.create("events/b", BODY),
        "create what exists": lambda: store.create("events/a", BODY),
        "read": lambda: store.read("events/a", limit=100),
        "read what is missing": lambda: store.read("events/c", limit=100),
        "list": lambda: list(store.list(LIST)),
        "list what is missing": lambda: list(store.list("corrections/")),
        "check": store.check,
        "prove": store.prove,
    }


@pytest.mark.parametrize(
    "deed",
    [
        failing(500),
        failing(500, "InternalError"),
        failing(502),
        failing(503, "SlowDown"),
        failing(404),
        failing(429),
        failing(409),
        lost,
        page_of_html,
    ],
    ids=["500", "500 S3", "502", "503", "404 of no store", "429", "409", "no answer", "page of html"],
)
def test_a_store_that_keeps_failing_is_unavailable_never_missing_nor_empty(store, between, deed):
    for method in ("GET", "PUT", "HEAD"):
        between.always(method, deed)
    for name, call in calls(store).items():
        with pytest.raises(Unavailable):
            pytest.fail(f"{name} answered {call()}")


@pytest.mark.parametrize(
    "deed", [failing(500, "InternalError"), failing(503), failing(409, "ConditionalRequestConflict"), failing(400, "BadDigest")]
)
def test_a_failure_that_passes_is_not_seen(store, between, deed):
    between.once("PUT", deed)
    between.once("GET", deed)
    created = store.create("events/b", BODY)
    assert Counter(between.asked) == {"PUT": 2, "GET": 2}
    assert store.read("events/b", limit=100) == created


def test_conflicts_are_repeated_a_bounded_number_of_times(store, between):
    between.always("PUT", failing(409, "ConditionalRequestConflict"))
    with pytest.raises(Unavailable, match="409 ConditionalRequestConflict"):
        store.create("events/b", BODY)
    assert between.asked == ["PUT"] * 4


@pytest.mark.parametrize(
    ("status", "code"),
    [(403, "AccessDenied"), (507, "InsufficientStorage"), (400, "ExpiredToken"), (501, "NotImplemented"), (301, "PermanentRedirect")],
)
def test_a_refusal_is_final(store, between, status, code):
    between.always("PUT", failing(status, code))
    with pytest.raises(Refused, match=f"{status} {code}"):
        store.create("events/b", BODY)
    assert between.asked.count("PUT") == 1


def test_a_write_whose_answer_was_lost_is_found_by_asking_again(store, between):
    between.once("PUT", lost)
    with pytest.raises(Exists):
        store.create("events/b", BODY)
    assert store.read("events/b", limit=100).data == BODY
    between.once("PUT", lost)
    assert create_or_same(store, "events/c", BODY).data == BODY
    assert [one.key for one in store.findings("")] == []


def test_a_write_that_ends_in_unavailable_is_told_by_the_same_call(store, between):
    between.once("PUT", lambda on: on())
    between.always("GET", failing(500))
    with pytest.raises(Unavailable):
        store.create("events/b", BODY)
    between.forget()
    with pytest.raises(Exists):
        store.create("events/b", BODY)
    assert store.read("events/b", limit=100).data == BODY


def test_half_a_body_is_asked_for_again(store, between):
    store.check()
    between.always("GET", _bodies(torn, times=1))
    assert store.read("events/a", limit=100).data == BODY


def test_half_a_body_each_time_is_unavailable(store, between):
    between.always("GET", _bodies(torn))
    with pytest.raises(Unavailable):
        store.read("events/a", limit=100)


@pytest.mark.parametrize("other", [BODY[:-1], BODY + b"!"], ids=["shorter", "longer"])
def test_a_body_of_another_length_is_no_answer(store, between, other):
    between.always("GET", _bodies(lambda on: replace(on(), body=other).with_header("x-amz-checksum-sha256", None)))
    with pytest.raises(Unavailable):
        store.read("events/a", limit=100)


def test_other_bytes_than_were_stored_are_damage(store, between):
    between.always("GET", _bodies(lambda on: replace(on(), body=BODY.swapcase())))
    with pytest.raises(Damaged, match="do not have the SHA-256 that was stored"):
        store.read("events/a", limit=100)


def test_half_a_listing_is_no_listing(store, between):
    between.always("GET", torn)
    for call in (lambda: list(store.list("")), lambda: store.read("events/c", limit=1)):
        with pytest.raises(Unavailable):
            call()


def test_a_version_that_is_listed_and_not_there_is_damage(store, between):
    between.always("GET", _bodies(failing(404, "NoSuchVersion")))
    with pytest.raises(Damaged, match="does not hold it"):
        store.read("events/a", limit=100)


def test_a_404_that_is_not_the_stores_own_is_no_damage(store, between):
    between.always("GET", _bodies(failing(404)))
    with pytest.raises(Unavailable):
        store.read("events/a", limit=100)


def test_a_slow_store_is_unavailable_in_a_bounded_time(store, between):
    def slow(on):
        time.sleep(1)
        return on()

    for method in ("GET", "PUT", "HEAD"):
        between.always(method, slow)
    for name in ("create", "read", "list"):
        began = time.monotonic()
        with pytest.raises(Unavailable, match="ReadTimeoutError"):
            calls(store)[name]()
        assert time.monotonic() - began < 2.5


def test_a_store_that_takes_no_connections_is_unavailable_in_a_bounded_time(in_s3):
    with socket.socket() as deaf:
        deaf.bind(("127.0.0.1", 0))
        deaf.listen(0)
        store = in_s3.opened(endpoint=f"http://127.0.0.1:{deaf.getsockname()[1]}")
        began = time.monotonic()
        with pytest.raises(Unavailable):
            store.check()
        assert time.monotonic() - began < 4


def test_a_listing_out_of_order_is_refused(in_s3, between):
    direct = in_s3.opened()
    for name in "abcd":
        direct.create(f"events/{name}", b"")

    def shuffled(on):
        answer = on()
        return replace(answer, body=answer.body.replace(b"events%2Fa<", b"events%2Fz<").replace(b"events/a<", b"events/z<"))

    between.always("GET", shuffled)
    with pytest.raises(Damaged, match=r"lists .* before"):
        list(in_s3.opened(endpoint=between.endpoint, page=2).list("events/"))


def test_what_is_missing_is_missing_through_the_proxy_too(store):
    with pytest.raises(Missing):
        store.read("events/c", limit=100)
    assert list(store.list("corrections/")) == []


def _bodies(deed, times=1000):
    """Do it to answers that are objects, and pass listings on."""
    left = times

    def done(on):
        nonlocal left
        answer = on()
        if left == 0 or any(name.lower() == "content-type" and "xml" in value for name, value in answer.headers):
            return answer
        left -= 1
        return deed(lambda: answer)

    return done
