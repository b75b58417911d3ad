"""What every store promises, whatever it is made of."""

import json
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from datetime import UTC, datetime, timedelta

import pytest

from signoff.archive.open import open_store
from signoff.archive.store import BadKey, Exists, Missing, TooLarge, Unavailable
from signoff.archive.times import times_of

BAD_KEYS = ["", "/", "a/", "/a", "a//b", ".", "..", "a/../b", "a/.hidden", "A", "a b", "a\0", "a\n", "ä", "a:b", "-a"]


def test_what_was_created_is_read_back(store):
    store.create("a/b/c.json", b"\x00bytes\xff")
    assert store.read("a/b/c.json", limit=100).data == b"\x00bytes\xff"


def test_an_object_may_be_empty(store):
    store.create("pointers/a", b"")
    assert store.read("pointers/a", limit=0).data == b""


def test_an_object_may_be_large(store):
    data = bytes(range(256)) * 40_000
    store.create("large", data)
    assert store.read("large", limit=len(data)).data == data


def test_the_store_says_when_it_stored(store):
    before = datetime.now(UTC)
    created = store.create("a", b"x")
    assert abs(created.stored_at - before) < timedelta(seconds=30)
    assert created.stored_at.utcoffset() == timedelta(0)
    assert store.read("a", limit=1) == created


@pytest.mark.parametrize("again", [b"first", b"second"])
def test_a_key_is_written_once(store, again):
    store.create("events/a", b"first")
    with pytest.raises(Exists, match="events/a"):
        store.create("events/a", again)
    assert store.read("events/a", limit=100).data == b"first"


def test_a_missing_key_is_missing(store):
    store.create("a/b", b"")
    for key in ("a/c", "x", "x/y/z"):
        with pytest.raises(Missing, match=key):
            store.read(key, limit=1)


def test_a_reader_takes_no_more_than_it_said(store):
    store.create("a", b"12345")
    assert store.read("a", limit=5).data == b"12345"
    with pytest.raises(TooLarge, match="5 bytes"):
        store.read("a", limit=4)


@pytest.mark.parametrize("key", [*BAD_KEYS, "a" * 256, "/".join(["a" * 100] * 9)])
def test_no_object_has_a_bad_key(store, key):
    with pytest.raises(BadKey):
        store.create(key, b"x")
    with pytest.raises(BadKey):
        store.read(key, limit=1)


@pytest.mark.parametrize("prefix", ["/", "../", "a/../", "A", "a//", "."])
def test_no_key_begins_with_a_bad_prefix(store, prefix):
    with pytest.raises(BadKey):
        store.list(prefix)


def test_keys_are_listed_in_order_of_their_characters(store):
    keys = ["x/a-b/1", "x/a.b", "x/a/1", "x/a/2/3", "x/a0", "x/b", "xy", "z/1"]
    for key in reversed(keys):
        store.create(key, b"")
    everything = sorted([*keys, "archive.json"])
    assert list(store.list("")) == everything
    assert list(store.list("x")) == keys[:7]
    assert list(store.list("x/")) == keys[:6]
    assert list(store.list("x/a")) == keys[:5]
    assert list(store.list("x/a/")) == keys[2:4]
    assert list(store.list("y/z/")) == []
    for place, after in enumerate(everything):
        assert list(store.list("", after=after)) == everything[place + 1 :]
        assert list(store.list("", after=after, limit=2)) == everything[place + 1 : place + 3]
    assert list(store.list("x/a/", after="x/a/1")) == ["x/a/2/3"]
    assert list(store.list("x/a/", after="z")) == []
    assert list(store.list("x/a/", after="a")) == keys[2:4]


def test_listing_goes_on_after_the_longest_key(store):
    longest = "/".join(["x" * 255, "y" * 255, "z" * 255, "a" * 132])
    for key in (longest, "z"):
        store.create(key, b"")
    assert list(store.list("", after=longest)) == ["z"]
    assert list(store.list(longest)) == [longest]


def test_threads_race_and_one_wins_each_key(store):
    def write(writer: int) -> list[str]:
        won = []
        for number in range(20):
            with suppress(Exists):
                won.append(store.create(f"race/{number:02}", str(writer).encode()).key)
        return won

    with ThreadPoolExecutor(8) as pool:
        wins = Counter(key for won in pool.map(write, range(8)) for key in won)
    assert wins == Counter({f"race/{number:02}": 1 for number in range(20)})


def test_processes_race_and_one_wins_each_key(place, child):
    writers = [child("race", place.url, writer, 20) for writer in range(16)]
    for writer in writers:
        assert writer.stdout.readline() == "ready\n"
    for writer in writers:
        writer.stdin.write("go\n")
        writer.stdin.flush()
    answers = [writer.communicate(timeout=60) for writer in writers]
    assert [said for _, said in answers if said] == []
    winners = {f"race/{number:02}": [] for number in range(20)}
    for writer, (won, _) in enumerate(answers):
        for number in json.loads(won):
            winners[f"race/{number:02}"].append(str(writer))
    store = open_store(place.url)
    assert winners == {key: [store.read(key, limit=9).data.decode()] for key in store.list("race/")}
    assert len(winners) == 20


def test_out_of_reach_is_never_missing_nor_empty(place, store):
    store.create("a/b", b"x")
    store.check()
    place.take_away()
    calls = {
        "create": lambda: store.create("a/c", b"x"),
        "create what exists": lambda: store.create("a/b", b"x"),
        "read": lambda: store.read("a/b", limit=1),
        "read what is missing": lambda: store.read("a/c", limit=1),
        "list": lambda: list(store.list("")),
        "list below": lambda: list(store.list("a/")),
        "check": store.check,
        "prove": store.prove,
        "open": lambda: open_store(place.url),
    }
    for call in calls.values():
        with pytest.raises(Unavailable):
            call()


def test_a_start_proves_what_the_store_can_prove(store):
    keys = list(store.list(""))
    proof = store.prove()
    assert "may create" in proof.remark
    assert list(store.list("")) == keys


def test_a_store_tells_when_it_took_what_it_lists(store):
    made = {key: store.create(key, b"x").stored_at for key in ("models/a/production/1", "models/a/production/2", "models/a/staging/0")}
    store.create("models/b/production/1", b"x")
    assert list(times_of(store, "models/a/")) == list(made.items())
    assert list(times_of(store, "models/a/production/2")) == [("models/a/production/2", made["models/a/production/2"])]
    assert list(times_of(store, "models/c/")) == []
    with pytest.raises(BadKey):
        list(times_of(store, "../"))


def test_of_a_store_that_is_away_no_times_are_told(place):
    store = place.open()
    store.create("models/a/1", b"x")
    place.take_away()
    with pytest.raises(Unavailable):
        list(times_of(store, "models/"))
