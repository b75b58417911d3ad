"""What is waited for in vain: never begun once it was given up, and told apart from what may still be done."""

from __future__ import annotations

import asyncio
import json
import re
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from signoff.gate.readers import Readers
from signoff.webhook import apps
from signoff.webhook.review import Reply, Review, read_review
from signoff.webhook.waiting import NotBegun, NotInTime, within
from tests.webhook.reviews import IMAGE, pod, review

SEAL_WEBHOOKS = Path(__file__).parents[2] / "charts" / "signoff" / "templates" / "seal-webhooks.yaml"


@pytest.fixture
def hanging() -> Iterator[threading.Event]:
    goes_on = threading.Event()
    yield goes_on
    goes_on.set()


def given_up(readers: Readers, work: Callable[[], object]) -> NotInTime:
    with pytest.raises(NotInTime) as failed:
        asyncio.run(within(0.2, readers, work, "the archive"))
    return failed.value


def test_rule_1_what_found_no_thread_in_time_is_never_begun(hanging: threading.Event) -> None:
    readers, sealed, after = Readers(threads=1, waiting=8), threading.Event(), threading.Event()
    given_up(readers, lambda: hanging.wait(30))
    assert isinstance(given_up(readers, sealed.set), NotBegun)
    readers.begin(after.set)
    hanging.set()
    assert after.wait(10), "the thread goes on"
    assert not sealed.is_set()


def test_rule_1_what_finds_no_room_is_never_begun(hanging: threading.Event) -> None:
    readers = Readers(threads=1, waiting=1)
    given_up(readers, lambda: hanging.wait(30))
    readers.begin(lambda: None)
    assert isinstance(given_up(readers, lambda: None), NotBegun)


def test_rule_2_what_was_begun_may_still_be_done(hanging: threading.Event) -> None:
    readers, done = Readers(threads=1, waiting=1), threading.Event()

    def work() -> None:
        hanging.wait(30)
        done.set()

    assert not isinstance(given_up(readers, work), NotBegun)
    hanging.set()
    assert done.wait(10)


def test_the_door_says_what_is_not_known(hanging: threading.Event, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(apps, "_DOOR_SECONDS", 0.2)
    threads = Readers(threads=1, waiting=8)

    def pressed(handler: Callable[[Review], Reply]) -> str:
        with pytest.raises(NotInTime) as failed:
            asyncio.run(apps._judged_by_door(threads, handler, read_review(json.dumps(review(pod(IMAGE), "pods")).encode())))
        return str(failed.value)

    def hangs(_: Review) -> Reply:
        hanging.wait(30)
        return Reply()

    assert "not known whether this was done" in pressed(hangs)
    assert "was not begun" in pressed(hangs)


def test_the_door_gives_up_no_later_than_the_charts_webhooks() -> None:
    waited = [int(seconds) for seconds in re.findall(r'"timeout" (\d+)', SEAL_WEBHOOKS.read_text())]
    assert max(waited) == apps._DOOR_SECONDS
