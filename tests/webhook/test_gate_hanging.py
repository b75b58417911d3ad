"""One review's budget: over an archive that hangs, and over an object that names a thousand digests."""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from world import World

from signoff.archive.store import Stored
from signoff.gate.lookup import Key, look_up
from signoff.gate.memory import READ_DEADLINE, Memory
from signoff.gate.readers import Readers
from signoff.gate.workloads import MAX_USES
from signoff.record.canonical import dumps
from signoff.verify.reader import Found, Reader
from signoff.webhook.gate import BUDGET, READS_OF_ONE_REVIEW, Gate
from signoff.webhook.review import Reply, read_review
from tests.webhook.listening import NOW, promote, unreachable_cluster
from tests.webhook.reviews import IMAGE, OTHER_IMAGE, Value, pod, review

GATE_WEBHOOKS = Path(__file__).parents[2] / "charts" / "signoff" / "templates" / "gate-webhooks.yaml"


class Blocking:
    """A real store whose reads wait while it hangs."""

    def __init__(self, world: World) -> None:
        self.world = world
        self.goes_on = threading.Event()
        self.goes_on.set()
        self.asked = 0

    def read(self, key: str, *, limit: int) -> Stored:
        self._wait()
        return self.world.store.read(key, limit=limit)

    def list(self, prefix: str, *, after: str = "", limit: int | None = None) -> Any:
        self._wait()
        return self.world.store.list(prefix, after=after, limit=limit)

    def _wait(self) -> None:
        self.asked += 1
        assert self.goes_on.wait(60)


class Site:
    """A gate over a real archive that can hang, with a clock that is moved by hand."""

    def __init__(self, folder: Path, budget: float) -> None:
        self.world = World(folder)
        promote(self.world)
        self.store = Blocking(self.world)
        self.now = 0.0
        self.keys: list[Key] = []
        self.reader = Reader(self.store, self.world.trust)  # type: ignore[arg-type]
        memory = Memory(self.look_up, lambda: self.now, Readers(16, 256), deadline=budget * 0.75)
        self.gate = Gate("demo", unreachable_cluster(), self.reader, memory, (), lambda: NOW, budget=budget)

    def look_up(self, key: Key) -> Found:
        self.keys.append(key)
        return look_up(self.reader, key, "demo", NOW)

    def ask(self, obj: Value) -> tuple[Reply, float]:
        return asyncio.run(self._ask(obj))

    async def _ask(self, obj: Value) -> tuple[Reply, float]:
        asked = read_review(dumps(review(obj, "pods")))
        began = time.monotonic()
        return await self.gate.review(asked, "enforce"), time.monotonic() - began


@pytest.fixture
def site(tmp_path: Path) -> Iterator[Site]:
    site = Site(tmp_path / "archive", budget=1.0)
    yield site
    site.store.goes_on.set()


def many(count: int = MAX_USES) -> list[str]:
    return [f"registry.bank.example/m@sha256:{number:064x}" for number in range(count)]


def test_the_budget_lies_between_one_reads_deadline_and_what_the_api_server_waits() -> None:
    lines = [line for line in GATE_WEBHOOKS.read_text().splitlines() if "timeoutSeconds" in line]
    assert [yaml.safe_load(line)["timeoutSeconds"] for line in lines] == [5]
    assert READ_DEADLINE < BUDGET <= 5 - 1


def test_over_an_archive_that_hangs_what_was_verified_is_admitted_and_the_rest_is_refused_in_time(site: Site) -> None:
    assert site.ask(pod(IMAGE))[0].denial is None
    site.store.goes_on.clear()
    site.now = 60
    admitted, took = site.ask(pod(IMAGE))
    assert admitted.denial is None
    assert took < 2.5
    assert site.ask(pod(OTHER_IMAGE))[0].denial is not None
    site.now = 60 + 15 * 60
    denied, _ = site.ask(pod(IMAGE))
    assert "could not tell whether it was promoted: the archive did not answer within 0.75 s" in str(denied.denial)


def test_while_every_thread_hangs_warm_answers_and_hints_do_not_wait(site: Site) -> None:
    site.ask(pod(IMAGE))
    site.store.goes_on.clear()
    for number in range(300):
        site.gate.memory.begin(Key(site_digest(number), "production", "credit", together=False))
    warm, took = site.ask(pod(IMAGE))
    assert warm.denial is None
    assert took < 0.3
    tagged, took = site.ask(pod("registry.bank.example/models/credit-scoring:2.4.0"))
    assert "pin it" in str(tagged.denial)
    assert took < 2.5


def site_digest(number: int) -> Any:
    return f"sha256:{number:064x}"


def test_bypass_12_a_thousand_digests_over_an_archive_that_hangs_are_refused_within_the_budget(site: Site) -> None:
    site.store.goes_on.clear()
    denied, took = site.ask(pod(*many()))
    assert "and 997 more images" in str(denied.denial)
    assert "could not tell" in str(denied.denial)
    assert took < 3.5
    assert site.gate.memory.reading <= 2 * READS_OF_ONE_REVIEW  # as many again once the first were waited for, and then no more


def test_bypass_12_a_thousand_digests_leave_room_for_others(site: Site) -> None:
    async def both() -> float:
        large = asyncio.create_task(site.gate.review(read_review(dumps(review(pod(*many()), "pods"))), "enforce"))
        await asyncio.sleep(0.2)
        began = time.monotonic()
        small = await site.gate.review(read_review(dumps(review(pod(IMAGE), "pods"))), "enforce")
        took = time.monotonic() - began
        assert small.denial is None
        assert (await large).denial is not None
        return took

    assert asyncio.run(both()) < 1


def test_what_one_review_had_no_time_for_the_next_ones_come_to(site: Site) -> None:
    """Each asks for some, and all of it is remembered: an object of a thousand digests is not refused for ever."""
    object.__setattr__(site.gate, "budget", 0.15)
    objects = pod(*[IMAGE, *many(400)])
    for _ in range(40):
        denied, _ = site.ask(objects)
        if "no time to ask" not in "".join(cause.message for cause in denied.causes) and len(set(site.keys)) == 401:
            break
    assert len(set(site.keys)) == 401
    assert len(site.keys) == 401


def test_the_api_server_that_hangs_is_waited_for_within_the_budget(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    goes_on = threading.Event()
    monkeypatch.setattr("signoff.webhook.gate._LABELS_SECONDS", 0.3)
    monkeypatch.setattr(site.gate.cluster, "labels", lambda _: goes_on.wait(20))
    denied, took = site.ask(pod(IMAGE, namespace="another"))
    goes_on.set()
    assert "the API server did not answer within 0.3 s" in str(denied.denial)
    assert took < 2


def test_an_object_without_volumes_asks_only_for_what_is_new_on_an_update(site: Site) -> None:
    old = pod(OTHER_IMAGE)
    new = pod(OTHER_IMAGE, IMAGE)
    asked = read_review(dumps(review(new, "pods", operation="UPDATE", old=old)))
    assert asyncio.run(site.gate.review(asked, "enforce")).denial is None
    assert [key.digest for key in site.keys] == [IMAGE.partition("@")[2]]
