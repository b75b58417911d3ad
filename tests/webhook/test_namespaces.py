"""Whoever changes a namespace's labels is told what would be refused, at once, in time, and is never kept from it."""

from __future__ import annotations

import asyncio
import json
import re
import time
from collections.abc import Iterator
from typing import Any

import httpx
import pytest
from starlette.applications import Starlette
from world import SPEC, STORED

from signoff.operator.commit import commit
from signoff.record.promotion import PROMOTION_TYPE
from signoff.webhook import namespaces
from signoff.webhook.apps import door_app
from signoff.webhook.gate import Gate
from signoff.webhook.namespaces import Turning
from tests.running.serving import Serving, deployment, pod, replica_set
from tests.webhook.contract import require_contract
from tests.webhook.listening import Answer, Listening
from tests.webhook.reviews import IMAGE, OTHER_IMAGE, UID, review

SHORT = OTHER_IMAGE.partition("@")[2][:19]
ENFORCE = {"signoff.dev/gate": "enforce", "signoff.dev/environment": "production"}
AUDIT = {**ENFORCE, "signoff.dev/gate": "audit"}


@pytest.fixture
def serving() -> Iterator[Serving]:
    with Serving() as running:
        yield running


class Turn:
    """The door's application over the listeners' archive, before an API server of the test's own."""

    def __init__(self, listening: Listening, serving: Serving, budget: float = namespaces.BUDGET) -> None:
        self.serving = serving
        self.app = door_app(listening.witness, turning=Turning(listening.gate, serving.listing(timeout=3), budget))

    def answer(self, body: Any, default: str = "audit") -> dict[str, Any]:
        answered = asyncio.run(post(self.app, f"/labels/{default}", body))
        answer = Answer(answered.status_code, answered.content)
        assert require_contract(answer, UID), "never a denial"
        return answer.response

    def __call__(self, before: dict[str, str], after: dict[str, str], default: str = "audit") -> list[str]:
        asked = review(namespace(after), "namespaces", operation="UPDATE", old=namespace(before), namespace="credit")
        warnings: list[str] = self.answer(asked, default).get("warnings", [])
        return warnings


async def post(app: Starlette, path: str, body: Any) -> httpx.Response:
    async with httpx.AsyncClient(transport=httpx.ASGITransport(app, raise_app_exceptions=False), base_url="http://door") as client:
        return await client.post(path, content=json.dumps(body), timeout=30)


@pytest.fixture
def turn(listening: Listening, serving: Serving) -> Turn:
    return Turn(listening, serving)


def namespace(labels: dict[str, str]) -> dict[str, Any]:
    return {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "credit", "labels": labels}}


def scoring(serving: Serving, image: str, pods: int) -> None:
    serving.add(deployment("scoring", image))
    serving.add(replica_set("scoring-5d9f", image, owner=("apps/v1", "Deployment", "scoring")))
    for number in range(pods):
        serving.add(pod(f"scoring-5d9f-{number}", image, owner=("apps/v1", "ReplicaSet", "scoring-5d9f")))


def test_the_workloads_are_named_and_their_pods_are_counted(turn: Turn, serving: Serving) -> None:
    scoring(serving, OTHER_IMAGE, 3)
    serving.add(pod("alone", OTHER_IMAGE))
    serving.add(pod("promoted", IMAGE))
    for mode, would in (("enforce", "refused"), ("warn", "warned of")):
        warnings = turn(AUDIT, {**AUDIT, "signoff.dev/gate": mode})
        why = f"no promotion event for {SHORT}… for production in demo/credit"
        assert warnings == [
            f"signoff: 2 workloads here would be {would}; what runs goes on until its Pods are replaced",
            f"deployments/scoring (and 3 Pods): {why}",
            f"pods/alone: {why}",
        ]
        assert all(len(one) <= 120 for one in warnings)


def test_pods_of_an_older_template_are_told_as_pods_of_their_workload(turn: Turn, serving: Serving) -> None:
    serving.add(deployment("scoring", IMAGE))
    serving.add(replica_set("old", OTHER_IMAGE, owner=("apps/v1", "Deployment", "scoring")))
    serving.add(pod("old-1", OTHER_IMAGE, owner=("apps/v1", "ReplicaSet", "old")))
    assert turn(AUDIT, ENFORCE)[1].startswith(f"1 Pod of deployments/scoring: no promotion event for {SHORT}…")


def test_a_static_pod_is_told_as_one(turn: Turn, serving: Serving) -> None:
    found = serving.add(pod("etcd-node-1", OTHER_IMAGE))
    found["metadata"] |= {
        "annotations": {"kubernetes.io/config.mirror": "x"},
        "ownerReferences": [{"apiVersion": "v1", "kind": "Node", "name": "node-1", "controller": True}],
    }
    assert turn(AUDIT, ENFORCE)[1].endswith("(static: no admission stops it)")
    assert turn(AUDIT, ENFORCE)[1].startswith("pods/etcd-node-1: ")


@pytest.fixture(scope="module")
def expired(listening: Listening) -> str:
    """An image that was promoted for a day, after which what ran goes on; the day is over."""
    digest = f"sha256:{'0e' * 32}"
    image = f"registry.bank.example/models/credit-for-a-day@{digest}"
    candidate = {**SPEC["comparison"]["candidate"], "version": "2.4.9", "digest": digest}
    changes = {
        "model": {"name": "credit-for-a-day", "version": "2.4.9", "image": image},
        "comparison": {"candidate": candidate},
        "validFor": "24h",
        "onExpiry": "deny-new-rollouts",
    }
    world = listening.world
    frozen = world.freeze({**SPEC, **changes}, name="for-a-day")
    sealed = world.seal(frozen.payload, frozen.freeze)
    world.archive_seal(sealed)
    commit(world.reader, world.event_key, frozen.freeze, PROMOTION_TYPE, [sealed], STORED)
    return image


def test_after_an_expiry_pods_that_would_be_made_again_are_not_told_as_refused(turn: Turn, serving: Serving, expired: str) -> None:
    scoring(serving, expired, 3)
    serving.add(replica_set("new", expired))["metadata"]["creationTimestamp"] = "2026-03-03T20:00:00Z"
    serving.add(pod("new-1", expired, owner=("apps/v1", "ReplicaSet", "new")))
    warnings = turn(AUDIT, ENFORCE)
    assert [line.partition(": ")[0] for line in warnings[1:]] == ["deployments/scoring", "replicasets/new (and 1 Pod)"]
    assert all("expired" in line for line in warnings[1:])


SILENT = [
    (AUDIT, AUDIT, "audit"),
    (ENFORCE, AUDIT, "audit"),
    (ENFORCE, {**ENFORCE, "team": "credit"}, "audit"),
    (ENFORCE, {}, "audit"),
    (ENFORCE, {}, "off"),
    ({}, AUDIT, "enforce"),
]


@pytest.mark.parametrize(("before", "after", "default"), SILENT)
def test_what_refuses_nothing_new_is_not_looked_at(turn: Turn, before: dict[str, str], after: dict[str, str], default: str) -> None:
    scoring(turn.serving, OTHER_IMAGE, 1)
    assert turn(before, after, default) == []
    assert turn.serving.asked == []


TOLD = [
    (AUDIT, {}, "enforce", "could not tell"),
    (AUDIT, {"signoff.dev/environment": "production"}, "warn", "no promotion event"),
    ({}, {"signoff.dev/gate": "enforce"}, "audit", "bears no label signoff.dev/environment"),
    (ENFORCE, {**ENFORCE, "signoff.dev/environment": "staging"}, "audit", "for staging in demo/credit"),
]


@pytest.mark.parametrize(("before", "after", "default", "says"), TOLD)
def test_every_change_of_our_labels_is_judged_by_the_new_ones(
    turn: Turn, before: dict[str, str], after: dict[str, str], default: str, says: str
) -> None:
    scoring(turn.serving, OTHER_IMAGE, 1)
    assert says in turn(before, after, default)[1]


@pytest.mark.parametrize(
    ("answer", "says"),
    [((403, {"code": 403}), "answered 403"), ((500, {}), "answered 500"), ((200, ["x"]), "something else"), ((404, {}), "")],
)
def test_an_api_server_that_gives_no_list_keeps_nobody_from_the_label(turn: Turn, answer: tuple[int, Any], says: str) -> None:
    turn.serving.fault = lambda *_: answer
    warnings = turn(AUDIT, ENFORCE)
    assert bool(warnings) == bool(says), "what is not served has no objects"
    assert all("could not tell which workloads here would be refused" in one and says in one for one in warnings)


def test_it_is_bounded_in_time_and_says_what_was_not_looked_at(listening: Listening, serving: Serving) -> None:
    scoring(serving, OTHER_IMAGE, 3)
    assert "not all workloads here were looked at: 0 were" in Turn(listening, serving, budget=0.0)(AUDIT, ENFORCE)[-1]
    serving.fault = lambda *_: time.sleep(1)  # each of the nine lists takes a second
    began = time.monotonic()
    warnings = Turn(listening, serving, budget=2.0)(AUDIT, ENFORCE)
    assert time.monotonic() - began < 3
    assert "could not tell which workloads here would be refused: the API server did not answer within" in warnings[0]


def test_what_is_slowly_judged_is_left_out_and_told_as_such(
    listening: Listening, serving: Serving, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = Gate.verdict

    async def slow(self: Gate, *arguments: Any) -> Any:
        await asyncio.sleep(0.4)
        return await real(self, *arguments)

    monkeypatch.setattr(Gate, "verdict", slow)
    for number in range(9):
        serving.add(pod(f"p{number}", OTHER_IMAGE.replace("scoring", f"scoring-{number}")))
    began = time.monotonic()
    warnings = Turn(listening, serving, budget=1.0)(AUDIT, ENFORCE)
    assert time.monotonic() - began < 2
    assert "not all workloads here were looked at: 3 were" in warnings[-1]


def test_others_get_on_while_many_objects_are_judged(turn: Turn, serving: Serving, monkeypatch: pytest.MonkeyPatch) -> None:
    real, judging, meanwhile = namespaces._add, [0], [0]

    def counted(*arguments: Any) -> None:
        judging[0] += 1
        real(*arguments)

    async def others() -> None:
        while judging[0] < 50:
            meanwhile[0] += judging[0] > 0
            await asyncio.sleep(0)

    async def both(body: Any) -> None:
        await asyncio.gather(post(turn.app, "/labels/audit", body), others())

    monkeypatch.setattr(namespaces, "_add", counted)
    for number in range(50):
        serving.add(pod(f"p{number}", OTHER_IMAGE))
    asyncio.run(both(review(namespace(ENFORCE), "namespaces", operation="UPDATE", old=namespace(AUDIT), namespace="credit")))
    assert meanwhile[0] >= 45


def test_so_many_objects_are_looked_at_and_no_more(turn: Turn, serving: Serving, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(namespaces, "MAX_OBJECTS", 5)
    for number in range(9):
        serving.add(pod(f"p{number}", OTHER_IMAGE))
    warnings = turn(AUDIT, ENFORCE)
    assert warnings[0].startswith("signoff: 5 workloads")
    assert warnings[-1].startswith("signoff: not all workloads here were looked at: 5 were")


def test_bypass_12_many_workloads_with_long_names_fit_into_what_the_api_server_passes_on(turn: Turn, serving: Serving) -> None:
    for number in range(700):
        serving.add(pod(f"{'n' * 249}-{number:03}", f"registry.bank.example/{'m' * 500}-{number}:1"))
    warnings = turn(AUDIT, ENFORCE)
    assert warnings[0].startswith("signoff: 700 workloads")
    assert sum(map(len, warnings)) <= 4096
    assert warnings[-1].startswith("and ")
    assert "more: signoff audit cluster" in warnings[-1]


def test_bypass_15_what_runs_is_told_at_the_door_alone(listening: Listening) -> None:
    asked = review(namespace(ENFORCE), "namespaces", operation="UPDATE", old=namespace(AUDIT))
    assert listening.ask("/labels/audit", asked).status == 404, "the gate's port, which anybody reaches"


LISTED = re.compile(r"/apis?(/apps|/batch)?/v1/namespaces/[a-z%0-9A-F.]*/[a-z]+\?")
BROKEN = [
    {"object": {}, "oldObject": {}},
    {"object": {"metadata": {"labels": ENFORCE}}, "oldObject": None},
    {"object": {"metadata": {"labels": {"signoff.dev/gate": 7}}}},
    {"object": {"metadata": {"labels": ["signoff.dev/gate"]}}},
    {"object": {"metadata": "x"}, "name": "../../nodes"},
    {"object": namespace(ENFORCE), "name": "../../nodes"},
    {"object": namespace(ENFORCE), "name": ""},
]


@pytest.mark.parametrize("changes", BROKEN)
def test_whatever_is_asked_it_is_allowed(turn: Turn, changes: dict[str, Any]) -> None:
    asked = review(namespace(ENFORCE), "namespaces", operation="UPDATE", old=namespace(AUDIT), **changes)
    for default in ("enforce", "off"):
        turn.answer(asked, default)
    assert all(LISTED.match(path) for path in turn.serving.asked), "a name leads nowhere else"


def test_a_defect_of_ours_keeps_nobody_from_the_label(turn: Turn, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(*_: Any) -> Any:
        raise RuntimeError("a defect")

    monkeypatch.setattr(namespaces, "_why", broken)
    scoring(turn.serving, OTHER_IMAGE, 1)
    assert "see its log" in turn(AUDIT, ENFORCE)[0]
