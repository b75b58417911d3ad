"""Every image of a workload is found, or the workload is refused."""

import copy
import re
from collections.abc import Iterator
from pathlib import Path

import kubernetes.client
import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from signoff.gate.workloads import (
    IMAGES,
    MAX_USES,
    WORKLOADS,
    ImageUse,
    UnreadableWorkload,
    WorkloadReferences,
    added,
    references,
)

Json = dict[str, object]

CASES = yaml.safe_load((Path(__file__).parent / "cases" / "workloads.yaml").read_text())

FULL = {
    "containers": [{"image": "registry.example/model"}, {"image": "registry.example/sidecar"}],
    "initContainers": [{"image": "registry.example/init"}],
    "ephemeralContainers": [{"image": "registry.example/debug"}],
    "volumes": [{"image": {"reference": "registry.example/weights"}}],
}
PLACES = [
    ("containers[0].image", "registry.example/model", "container"),
    ("containers[1].image", "registry.example/sidecar", "container"),
    ("initContainers[0].image", "registry.example/init", "initContainer"),
    ("ephemeralContainers[0].image", "registry.example/debug", "ephemeralContainer"),
    ("volumes[0].image.reference", "registry.example/weights", "imageVolume"),
]


def each(section: str) -> pytest.MarkDecorator:
    return pytest.mark.parametrize("case", [pytest.param(case, id=case["name"]) for case in CASES[section]])


every_kind = pytest.mark.parametrize(
    "row", [pytest.param(row, id="-".join([row["kind"], *row.get("subresource", "").split()])) for row in CASES["kinds"]]
)


def workload(row: Json, pod_spec: Json) -> Json:
    inner = pod_spec
    for step in reversed(str(row["at"]).split(".")):
        inner = {step: inner}
    return {"apiVersion": row["apiVersion"], "kind": row["kind"], "metadata": {"name": "scoring"}, **inner}


def read(row: Json, obj: object) -> WorkloadReferences:
    return references(
        obj,
        kind=row.get("kind", "Pod"),
        api_version=row.get("apiVersion", "v1"),
        subresource=row.get("subresource", ""),
    )


def full_uses(row: Json) -> tuple[ImageUse, ...]:
    return tuple(ImageUse(f"{row['at']}.{path}", text, role) for path, text, role in PLACES)


@every_kind
@pytest.mark.parametrize("place", PLACES, ids=[place[0] for place in PLACES])
def test_bypass_01_fields_nobody_looked_at(row: Json, place: tuple[str, str, str]) -> None:
    path, text, role = place
    assert ImageUse(f"{row['at']}.{path}", text, role) in read(row, workload(row, FULL)).uses


@every_kind
def test_bypass_02_deletion_timestamp(row: Json) -> None:
    obj = workload(row, FULL)
    obj["metadata"] = {"deletionTimestamp": "2026-01-01T00:00:00Z", "finalizers": ["example/hold"]}
    assert read(row, obj).uses == full_uses(row)


@every_kind
@pytest.mark.parametrize("idle", [{"replicas": 0}, {"replicas": None}, {"suspend": True}, {"parallelism": 0}, {"paused": True}], ids=str)
def test_bypass_03_scaled_down(row: Json, idle: Json) -> None:
    obj = workload(row, FULL)
    obj["spec"] = {**obj.get("spec", {}), **idle}
    assert read(row, obj).uses == full_uses(row)


@every_kind
@pytest.mark.parametrize(
    "metadata",
    [
        {"ownerReferences": [{"apiVersion": "apps/v1", "kind": "ReplicaSet", "name": "x", "uid": "u", "controller": True}]},
        {"annotations": {"kubernetes.io/config.mirror": "x", "signoff.dev/gate": "audit"}},
        {"labels": {"signoff.dev/gate": "audit"}},
        {"generateName": "x-", "managedFields": [], "namespace": "kube-system"},
    ],
    ids=lambda metadata: next(iter(metadata)),
)
def test_bypass_04_owner_references_and_other_claims_are_not_believed(row: Json, metadata: Json) -> None:
    assert read(row, workload(row, FULL) | {"metadata": metadata}).uses == full_uses(row)


@every_kind
def test_a_pod_is_told_from_a_template(row: Json) -> None:
    found = read(row, workload(row, FULL))
    assert found.level == row["level"]
    assert found.is_pod is (row["kind"] == "Pod")


@each("pods")
def test_the_images_of_a_pod_spec(case: Json) -> None:
    for row in CASES["kinds"]:
        expected = tuple(ImageUse(f"{row['at']}.{path}", text, role) for path, text, role in case["uses"])
        assert read(row, workload(row, case["spec"])).uses == expected


@each("unreadable")
def test_what_cannot_be_read_is_refused_with_its_path(case: Json) -> None:
    with pytest.raises(UnreadableWorkload) as refused:
        read(case, case["object"])
    assert refused.value.where == case["error"]
    assert refused.value.mend


@pytest.mark.parametrize("obj", [None, [], "Pod", 1, True], ids=repr)
def test_an_object_that_is_none_is_refused(obj: object) -> None:
    with pytest.raises(UnreadableWorkload, match="Pod: an object belongs here"):
        read({}, obj)


@each("updates")
def test_an_update_is_asked_about_what_it_adds(case: Json) -> None:
    new, old, expected = (
        [ImageUse(f"spec[{index}]", text, role) for index, (role, text) in enumerate(case[side])] for side in ("new", "old", "added")
    )
    assert [(use.role, use.text) for use in added(new, old)] == [(use.role, use.text) for use in expected]
    assert set(added(new, old)) <= set(new)


def test_as_many_images_as_are_allowed_are_read() -> None:
    pod = {"spec": {"containers": [{"image": "a"}] * (MAX_USES - 1), "initContainers": [{"image": "b"}]}}
    assert len(read({}, pod).uses) == MAX_USES


def test_one_image_more_is_refused() -> None:
    pod = {"spec": {"containers": [{"image": "a"}] * MAX_USES, "initContainers": [{"image": "b"}]}}
    with pytest.raises(UnreadableWorkload, match="more than 1000 images") as refused:
        read({}, pod)
    assert refused.value.where == "spec.initContainers[0].image"


def test_a_longer_list_is_refused_even_without_images() -> None:
    pod = {"spec": {"containers": [{"image": "a"}], "volumes": [{}] * (MAX_USES + 1)}}
    with pytest.raises(UnreadableWorkload, match="1001 entries"):
        read({}, pod)


# Fields of Kubernetes types that are named after images, and name none that a runtime pulls: disks, and policies.
NO_IMAGES = {
    "V1RBDVolumeSource.image",
    "V1Container.image_pull_policy",
    "V1EphemeralContainer.image_pull_policy",
    "V1ImageVolumeSource.pull_policy",
}


def fields(name: str) -> Iterator[tuple[str, str, str, bool]]:
    """Each field of a type of the Kubernetes API: its name in Python and in JSON, its type, whether it is a list."""
    api_type = getattr(kubernetes.client, name, None)
    for field, type_name in getattr(api_type, "openapi_types", {}).items():
        listed = re.fullmatch(r"(?i:list)\[(.*)\]", type_name)
        inner = listed[1] if listed else type_name
        if inner != name and not inner.startswith("V1JSONSchema"):  # which hold themselves
            yield field, api_type.attribute_map[field], inner, listed is not None


def images_below(name: str, at: str = "") -> set[str]:
    found: set[str] = set()
    for field, json_name, inner, many in fields(name):
        path = f"{at}.{json_name}".lstrip(".") + ("[]" if many else "")
        if inner == "str" and ("image" in field or "Image" in name):
            found |= set() if f"{name}.{field}" in NO_IMAGES else {path}
        else:
            found |= images_below(inner, path)
    return found


def test_the_table_has_every_image_of_a_pod_spec_in_the_api() -> None:
    assert images_below("V1PodSpec") == {image.path for image in IMAGES}


def pod_specs_below(name: str, at: str = "") -> set[str]:
    if name == "V1PodSpec":
        return {at}
    return {
        path
        for _, json_name, inner, many in fields(name)
        for path in pod_specs_below(inner, f"{at}.{json_name}".lstrip(".") + ("[]" if many else ""))
    }


def test_the_table_has_every_kind_of_the_api_that_holds_a_pod_spec() -> None:
    kinds = {
        name: pod_specs_below(name)
        for name in dir(kubernetes.client)
        if {"api_version", "kind", "metadata"} <= {field for field, *_ in fields(name)} and not name.endswith("List")
    }
    in_the_api = {(name.removeprefix("V1"), path) for name, paths in kinds.items() for path in paths}
    assert in_the_api == {(row.kind, path) for row in WORKLOADS for path in row.pod_specs}


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=8,
)
FIELDS = st.sampled_from(["spec", "template", "jobTemplate", "containers", "initContainers", "volumes", "image", "reference", "kind"])
NEARLY = st.recursive(JSON, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(FIELDS, inner, max_size=4), max_leaves=20)
KIND = st.sampled_from(CASES["kinds"])


@given(KIND, st.text() | st.none(), NEARLY, NEARLY)
def test_no_json_raises_anything_but_unreadable_workload(row: Json, kind: str | None, obj: object, spec: object) -> None:
    asked = row if kind is None else row | {"kind": kind}
    for tried in (obj, workload(row, spec), workload(row, {"containers": [{}], "volumes": spec})):
        try:
            uses = read(asked, tried).uses
        except UnreadableWorkload:
            continue
        assert all(isinstance(use.text, str) for use in uses)
        assert uses


IMAGE = st.text(max_size=8)
POD_SPEC = st.fixed_dictionaries(
    {"containers": st.lists(st.builds(lambda image: {"image": image}, IMAGE), min_size=1, max_size=4)},
    optional={
        "initContainers": st.lists(st.builds(lambda image: {"image": image}, IMAGE), max_size=3),
        "ephemeralContainers": st.lists(st.builds(lambda image: {"image": image}, IMAGE), max_size=3),
        "volumes": st.lists(st.builds(lambda image: {"image": {"reference": image}}, IMAGE), max_size=3),
    },
)


def at_path(obj: object, path: str) -> object:
    for step in path.replace("[", ".").replace("]", "").split("."):
        obj = obj[int(step)] if isinstance(obj, list) else obj[step]
    return obj


@given(KIND, POD_SPEC)
def test_each_path_leads_to_its_image_and_reading_changes_nothing(row: Json, pod_spec: Json) -> None:
    obj = workload(row, pod_spec)
    before = copy.deepcopy(obj)
    uses = read(row, obj).uses
    assert len(uses) == sum(len(entries) for entries in pod_spec.values())
    assert all(at_path(obj, use.path) == use.text for use in uses)
    assert obj == before


@given(KIND, POD_SPEC, POD_SPEC)
def test_an_update_adds_nothing_to_itself_and_everything_to_nothing(row: Json, one: Json, other: Json) -> None:
    new, old = read(row, workload(row, one)).uses, read(row, workload(row, other)).uses
    assert added(new, new) == ()
    assert added(new, ()) == new
    known = {use.text for use in old}
    assert {use for use in new if use.text not in known} <= set(added(new, old))
