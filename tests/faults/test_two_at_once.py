"""Two operators and two webhooks on one archive: one outcome for each request; and webhooks that are replaced while requests come in.

1. However many finish the same work, each key is written once, and status, gate and archive say the same.
2. A replica that is taken out before SIGTERM drops no request. One that is killed makes requests fail, which is a denial, and never an
   admission; asked again, the other answers.
"""

from __future__ import annotations

import json
import signal
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager

import pytest
from kubernetes import client
from kubernetes.client.exceptions import ApiException
from request import NAMESPACE, Request
from stand import Stand

from controlplane import ControlPlane
from controlplane.bank import BEN, CARLA, DAVID
from signoff.archive import layout

pytestmark = [pytest.mark.cluster, pytest.mark.timeout(600)]

UNKNOWN = "registry.bank.example/models/nobody@sha256:" + "7" * 64
OTHER = {"webhook": "webhook-2", "webhook-2": "webhook"}


@pytest.fixture(scope="module")
def pair(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stand]:
    work = tmp_path_factory.mktemp("pair")
    with ControlPlane(work / "control-plane") as plane, Stand(plane, work / "bank", webhooks=2, operators=2) as stand:
        yield stand


@pytest.fixture(autouse=True)
def all_run(pair: Stand) -> Iterator[None]:
    yield
    pair.calm()


def test_many_promotions_at_once_have_one_outcome_each(pair: Stand, every_point: bool) -> None:
    def promoted(request: Request) -> None:
        request.submit()
        request.until("Frozen", 60)
        with ThreadPoolExecutor(2) as two:
            first, again = (two.submit(request.press) for _ in range(2))
        assert first.result()["seal"] == again.result()["seal"]
        request.until("Promoted", 60)
        request.ended("Approve", first.result())

    requests = [Request(pair) for _ in range(40 if every_point else 8)]
    with ThreadPoolExecutor(8) as pool:
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


def _taken_out(stand: Stand, name: str) -> None:
    """As a rollout does: no new connections, then SIGTERM."""
    for balancer in stand.bank.balancers:
        balancer.take_out(name)
    stand.kill(name, signal.SIGTERM)
    stand.await_end(name)
    stand.start(name)
    for balancer in stand.bank.balancers:
        balancer.take_in(name)


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


@pytest.mark.parametrize(("end", "may_fail"), [(_taken_out, False), (_killed, True)], ids=["rolled", "killed"])
def test_webhooks_replaced_under_load(pair: Stand, end: Callable[[Stand, str], None], may_fail: bool) -> None:
    load = Load(pair, _promoted(pair).image)
    with load.coming_in():
        for name in ("webhook", "webhook-2"):
            time.sleep(1)
            end(pair, name)
        time.sleep(1)
    print(dict(load.told), load.failed[:3])
    assert load.wrong == []
    assert load.told["admitted"] > 20
    assert load.told["refused"] > 20
    assert may_fail or load.failed == []
    assert all("failed calling webhook" in one for one in load.failed)
