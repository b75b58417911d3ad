"""Lists are read page by page, go on where the API server forgot them, and are never taken for empty because they were refused."""

from __future__ import annotations

import time
from collections.abc import Mapping
from typing import Any

import pytest

from signoff.gate.workloads import WORKLOADS
from signoff.running.kinds import KINDS, Kind
from signoff.running.listing import PAGE, CannotList
from signoff.running.objects import pods
from tests.running.serving import Serving, page, pod

PODS = next(kind for kind in KINDS if kind.is_pod)
DEPLOYMENTS = next(kind for kind in KINDS if kind.name == "Deployment")
LIST = "/api/v1/namespaces/credit/pods"


def names(serving: Serving, kind: Kind = PODS) -> list[str]:
    return [str(found["metadata"]["name"]) for _, found in serving.listing().objects(kind, "credit")]  # type: ignore[index,call-overload]


def test_every_kind_that_the_gate_reads_is_listed_and_pods_come_last() -> None:
    assert {(kind.group, kind.name) for kind in KINDS} == {(row.api_version.rpartition("/")[0], row.kind) for row in WORKLOADS}
    assert [kind.name for kind in KINDS][-1] == "Pod"


def test_a_page_is_asked_for_when_the_last_was_looked_at(serving: Serving) -> None:
    for number in range(2 * PAGE + 3):
        serving.add(pod(f"p{number}", "x"))
    found = serving.listing().objects(PODS, "credit")
    for _ in range(PAGE):
        next(found)
    assert len(serving.asked) == 1
    assert PAGE + len(list(found)) == 2 * PAGE + 3
    assert len(serving.asked) == 3
    assert all(f"limit={PAGE}" in asked for asked in serving.asked)


def test_a_list_whose_beginning_is_forgotten_goes_on(serving: Serving) -> None:
    listed = [serving.add(pod(f"p{number}", "x")) for number in range(PAGE + 5)]
    forgotten = {"kind": "Status", "code": 410, "reason": "Expired", "metadata": {"continue": str(PAGE + 2)}}

    def fault(path: str, query: Mapping[str, list[str]]) -> tuple[int, Any] | None:
        return (410, forgotten) if query.get("continue") == [str(PAGE)] else None

    serving.fault = fault
    assert names(serving) == [one["metadata"]["name"] for one in (*listed[:PAGE], *listed[PAGE + 2 :])]


@pytest.mark.parametrize(
    ("answer", "says"),
    [
        ((403, {"code": 403}), "ask for the right to get and list it"),
        ((500, {}), "answered 500"),
        ((410, {"code": 410}), "answered 410"),
        ((410, "gone"), "answered 410"),
        ((200, ["no list"]), "something else"),
    ],
)
def test_what_is_refused_is_no_empty_list(serving: Serving, answer: tuple[int, Any], says: str) -> None:
    serving.fault = lambda path, _: answer if path == LIST else None
    with pytest.raises(CannotList, match=says):
        names(serving)


def test_a_kind_that_is_not_served_has_no_objects_and_another_version_is_tried(serving: Serving) -> None:
    assert names(serving, Kind("ray.io", "RayCluster", ("ray.io/v1",), is_pod=False)) == []
    serving.fault = lambda path, query: (404, {}) if "/v9/" in path else (200, page([pod("here", "x")], query)) if "/v1/" in path else None
    several = Kind("apps", "Deployment", ("apps/v9", "apps/v1"), is_pod=False)
    assert [version for version, _ in serving.listing().objects(several, "credit")] == ["apps/v1"]


def test_an_api_server_that_hangs_is_waited_for_no_longer_than_said(serving: Serving) -> None:
    serving.fault = lambda *_: time.sleep(3) or (200, {})  # type: ignore[func-returns-value]
    began = time.monotonic()
    with pytest.raises(CannotList, match="did not answer"):
        list(serving.listing(timeout=0.3).namespaces())
    assert time.monotonic() - began < 2


def test_a_pod_that_has_not_ended_is_told_with_every_digest_that_it_names(serving: Serving) -> None:
    one, two, three, four = (f"sha256:{letter * 64}" for letter in "abcd")
    everywhere = serving.add(pod("everywhere", f"x@{one}", "x:tag", f"y:tag@{one}"))["spec"]
    everywhere["initContainers"] = [{"name": "i", "image": f"x@{two}"}]
    everywhere["ephemeralContainers"] = [{"name": "e", "image": f"x@{three}"}]
    everywhere["volumes"] = [{"name": "v", "image": {"reference": f"x@{four}"}}, {"name": "w", "emptyDir": {}}]
    for phase in ("Succeeded", "Failed", "Pending"):
        serving.add(pod(phase.lower(), f"x@{one}", status={"phase": phase}))
    serving.add(pod("many", *[f"x@{one}"] * 1_100))
    serving.add(pod("odd", spec={"containers": [{"image": 7}, None, {}], "initContainers": None, "volumes": [{"image": "x"}]}))
    found = dict(pods(serving.listing(), "credit"))
    assert found == {"everywhere": {one, two, three, four}, "pending": {one}, "many": {one}, "odd": frozenset()}


def test_pods_that_cannot_be_listed_are_not_taken_for_none(serving: Serving) -> None:
    serving.fault = lambda *_: (403, {"code": 403})
    with pytest.raises(CannotList, match="403"):
        list(pods(serving.listing(), "credit"))
