"""A Pod that is made again: what it says of its owner is a claim, and what the API server has of the owner decides."""

from __future__ import annotations

from copy import deepcopy
from datetime import UTC, datetime
from typing import Any

import pytest

from signoff.gate.owners import Owner, controller_of, since
from signoff.gate.workloads import references

IMAGE, OTHER = ("registry.bank.example/m@sha256:" + digit * 64 for digit in "ab")
CLAIM = {"apiVersion": "apps/v1", "kind": "ReplicaSet", "name": "scoring-1", "uid": "u-1", "controller": True}
OWNER = Owner("apps/v1", "ReplicaSet", "scoring-1", "u-1")


def pod(*images: str, owners: Any = (CLAIM,), volumes: tuple[str, ...] = ()) -> dict[str, Any]:
    spec = {"containers": [{"image": image} for image in images], "volumes": [{"image": {"reference": one}} for one in volumes]}
    return {"metadata": {"name": "scoring-1-x", "ownerReferences": list(owners)}, "spec": spec}


def replica_set(*images: str, **metadata: Any) -> dict[str, Any]:
    told = {"name": "scoring-1", "uid": "u-1", "creationTimestamp": "2026-03-01T00:00:00Z", **metadata}
    return {
        "apiVersion": "apps/v1",
        "kind": "ReplicaSet",
        "metadata": told,
        "spec": {"template": {"spec": {"containers": [{"image": one} for one in images]}}},
    }


def uses(obj: dict[str, Any]) -> Any:
    return references(obj, kind="Pod", api_version="v1").uses


def test_the_controller_is_the_owner_that_says_so() -> None:
    beside = {**CLAIM, "name": "beside", "controller": False}
    assert controller_of(pod(IMAGE, owners=(beside, CLAIM))) == OWNER


@pytest.mark.parametrize(
    "owners",
    [
        pytest.param((), id="none"),
        pytest.param(({**CLAIM, "controller": None},), id="no controller"),
        pytest.param(({**CLAIM, "kind": "Deployment"},), id="a kind that makes no Pods"),
        pytest.param(({**CLAIM, "apiVersion": "evil.example/v1"},), id="another group"),
        pytest.param(({**CLAIM, "name": ""},), id="no name"),
        pytest.param(({**CLAIM, "uid": 1},), id="a uid that is no text"),
        pytest.param(("text",), id="no object"),
        pytest.param({"controller": True}, id="no list"),
    ],
)
def test_what_names_no_controller_of_ours_has_none(owners: Any) -> None:
    obj = pod(IMAGE)
    obj["metadata"]["ownerReferences"] = owners if isinstance(owners, dict) else list(owners)
    assert controller_of(obj) is None
    assert controller_of({}) is None


def test_an_owner_that_is_there_with_the_same_images_counts_from_when_it_was_made() -> None:
    assert since(OWNER, replica_set(IMAGE, OTHER), uses(pod(IMAGE))) == datetime(2026, 3, 1, tzinfo=UTC)


@pytest.mark.parametrize(
    "found",
    [
        pytest.param(replica_set(IMAGE, uid="u-2"), id="of another uid"),
        pytest.param(replica_set(IMAGE, name="other"), id="of another name"),
        pytest.param(replica_set(OTHER), id="of other images"),
        pytest.param(replica_set(), id="of no images"),
        pytest.param(replica_set(IMAGE, creationTimestamp=None), id="made at no time"),
        pytest.param(replica_set(IMAGE, creationTimestamp="yesterday"), id="made at what is no time"),
        pytest.param(replica_set(IMAGE, creationTimestamp="2026-03-01T00:00:00"), id="made at a time without a zone"),
        pytest.param({**replica_set(IMAGE), "kind": "Deployment"}, id="of another kind"),
        pytest.param({}, id="nothing"),
        pytest.param({"metadata": "x"}, id="no metadata"),
    ],
)
def test_bypass_04_an_owner_that_is_other_than_claimed_counts_for_nothing(found: dict[str, Any]) -> None:
    assert since(OWNER, deepcopy(found), uses(pod(IMAGE))) is None


def test_an_image_that_the_template_runs_does_not_count_where_it_is_mounted() -> None:
    assert since(OWNER, replica_set(IMAGE), uses(pod(IMAGE, volumes=(IMAGE,)))) is None
