"""Two operators and two webhooks on one archive: one outcome for each request; and webhooks that are replaced while requests come in.

1. However many finish the same work, each key is written once, and status, gate and archive say the same.
2. A replica that is told to end (SIGTERM), as in a rollout, drops no request: it says that it is not ready, and serves on until whoever
   sends it connections has noticed. One that is killed makes requests fail, which is a denial, and never an admission; asked again, the
   other answers.
"""

from __future__ import annotations

import json
import signal
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager

import pytest
from kubernetes import client
from kubernetes.client.exceptions import ApiException
from request import NAMESPACE, Request
from stand import Stand

from controlplane.bank import BEN, CARLA, DAVID
from signoff.archive import layout

pytestmark = [pytest.mark.cluster, pytest.mark.timeout(600)]

UNKNOWN = "registry.bank.example/models/nobody@sha256:" + "7" * 64
DRAIN = 3
"""Seconds: some times what a balancer needs to notice."""


@pytest.fixture(scope="module")
def pair(stand: Stand) -> Iterator[Stand]:
    with stand.doubled():
        yield stand


def test_many_promotions_at_once_have_one_outcome_each(pair: Stand, every_point: bool) -> None:
    def promoted(request: Request) -> None:
        request.submit()
        request.until("Frozen", 60)
        with ThreadPoolExecutor(2) as two:
            first, again = (two.submit(request.press) for _ in range(2))
        assert first.result()["seal"] == again.result()["seal"]
        request.until("Promoted", 60)
        request.ended("Approve", first.result())

    requests = [Request(pair) for _ in range(40 if every_point else 6)]
    with ThreadPoolExecutor(6) as pool:
        list(pool.map(promoted, requests))
    assert list(pair.store.findings("")) == []
    assert {key: count for key, count in pair.versions("").items() if count > 1 and not key.startswith(".proof/")} == {}


def test_an_approval_and_a_rejection_at_once_have_one_outcome(pair: Stand, every_point: bool) -> None:
    def decided(request: Request) -> bool:
        request.submit()
        request.until("Frozen", 60)
        with ThreadPoolExecutor(2) as two:
            presses = [two.submit(request.refused_press, who, verdict) for who, verdict in ((CARLA, "Approve"), (DAVID, "Reject"))]
        assert all(one.result() is None or "outcome already" in str(one.result()) for one in presses), [one.result() for one in presses]
        request.until("Decided", 60)
        outcome = pair.reader.outcome(request.id)
        assert pair.versions(layout.event(request.id)) == {layout.event(request.id): 1}
        assert request.condition("Promoted")["status"] == str(outcome.promotes)
        assert request.status()["event"] == outcome.digest
        assert request.admitted() is outcome.promotes
        return outcome.promotes

    requests = [Request(pair) for _ in range(24 if every_point else 4)]
    with ThreadPoolExecutor(4) as pool:
        print("promoted of those raced for:", Counter(pool.map(decided, requests)))


class Load:
    """People who start Pods, of a promoted model and of one that nobody knows, without pause."""

    def __init__(self, stand: Stand, image: str) -> None:
        self._stand, self._image = stand, image
        self._stop = threading.Event()
        self.told: Counter[str] = Counter()
        self.wrong: list[str] = []
        self.failed: list[str] = []

    def run(self, image: str, right: str) -> None:
        core = client.CoreV1Api(self._stand.api(BEN))
        while not self._stop.is_set():
            told, message = _started(core, image)
            self.told[told] += 1
            if told == "failed":
                self.failed.append(message)
            elif told != right:
                self.wrong.append(f"{image} was {told}: {message}")

    @contextmanager
    def coming_in(self) -> Iterator[None]:
        kinds = [(self._image, "admitted"), (UNKNOWN, "refused")] * 2
        threads = [threading.Thread(target=self.run, args=one, daemon=True) for one in kinds]
        for thread in threads:
            thread.start()
        try:
            yield
        finally:
            self._stop.set()
            for thread in threads:
                thread.join(30)


def _started(core: client.CoreV1Api, image: str) -> tuple[str, str]:
    pod = {"metadata": {"generateName": "load-"}, "spec": {"containers": [{"name": "model", "image": image}]}}
    try:
        core.create_namespaced_pod(NAMESPACE, pod, dry_run="All", _request_timeout=30)
    except ApiException as error:
        message = str(json.loads(error.body or "{}").get("message"))
        return ("refused" if error.status == 403 and "no promotion event" in message else "failed"), f"{error.status} {message}"
    return "admitted", ""


def _rolled(stand: Stand, name: str) -> None:
    """As a rollout does: SIGTERM, and the next one not before this one's successor takes connections."""
    stand.kill(name, signal.SIGTERM)
    stand.await_end(name)
    stand.start(name)
    stand.await_taken_in(name)


def _killed(stand: Stand, name: str) -> None:
    stand.kill(name)
    stand.await_end(name)
    time.sleep(0.5)
    stand.start(name)


def _promoted(stand: Stand) -> Request:
    request = Request(stand)
    request.submit()
    request.until("Frozen")
    request.press()
    request.until("Promoted")
    assert request.admitted()
    return request


@pytest.fixture
def draining(pair: Stand) -> Iterator[Stand]:
    """Both webhooks drain, behind balancers that follow readiness."""
    with pair.drain_seconds(DRAIN), ExitStack() as stack:
        for balancer in pair.bank.balancers:
            stack.enter_context(balancer.following(pair.bank.ready))
        yield pair


def test_webhooks_rolled_under_load_drop_nothing(draining: Stand) -> None:
    load = _under_load(draining, _rolled)
    assert load.failed == []


def test_webhooks_killed_under_load_admit_nothing_wrongly(pair: Stand) -> None:
    load = _under_load(pair, _killed)
    assert all("failed calling webhook" in one for one in load.failed)


def _under_load(stand: Stand, end: Callable[[Stand, str], None]) -> Load:
    load = Load(stand, _promoted(stand).image)
    with load.coming_in():
        for name in ("webhook", "webhook-2"):
            time.sleep(1)
            end(stand, name)
        time.sleep(1)
    print(dict(load.told), load.failed[:3])
    assert load.wrong == []
    assert load.told["admitted"] > 20
    assert load.told["refused"] > 20
    return load
