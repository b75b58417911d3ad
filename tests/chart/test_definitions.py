"""The custom resource definitions: what the API server must not do to a spec, and what it must keep."""

from __future__ import annotations

import copy
import json
import time
from typing import TYPE_CHECKING, Any

import pytest
import yaml

from signoff import apiserver
from signoff.operator.cluster import Cluster as OperatorsCluster
from signoff.operator.cluster import ClusterError as OperatorsClusterError
from signoff.operator.cluster import MeteredApi
from signoff.webhook.cluster import Cluster, ClusterError, api_client
from tests.chart.rendering import CHART, ROOT

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from controlplane.cluster import ControlPlane

SHIPPED = sorted((CHART / "crds").glob("*.yaml"))
DEFINITIONS = {path.stem: yaml.safe_load(path.read_text()) for path in SHIPPED}
CASES = yaml.safe_load((ROOT / "tests/chart/cases/objects.yaml").read_text())
CONSTRAINTS = {
    "default", "enum", "pattern", "required", "format", "minimum", "maximum", "minLength", "maxLength", "minItems", "maxItems",
    "uniqueItems", "multipleOf", "minProperties", "maxProperties", "additionalProperties", "oneOf", "anyOf", "allOf", "not",
    "x-kubernetes-validations", "x-kubernetes-list-type", "x-kubernetes-embedded-resource",
}  # fmt: skip


def schema(plural: str) -> dict[str, Any]:
    return DEFINITIONS[plural]["spec"]["versions"][0]["schema"]["openAPIV3Schema"]["properties"]


def levels(node: dict[str, Any], path: str) -> Iterator[tuple[str, dict[str, Any]]]:
    yield path, node
    for name, child in node.get("properties", {}).items():
        yield from levels(child, f"{path}.{name}")
    if "items" in node:
        yield from levels(node["items"], f"{path}[]")


SPECS = [(plural, path, node) for plural in DEFINITIONS for path, node in levels(schema(plural)["spec"], f"{plural}.spec")]


def test_these_definitions_are_shipped() -> None:
    assert set(DEFINITIONS) == {
        "modelpromotions",
        "promotioncorrections",
        "promotiondecisions",
        "promotiondelegations",
        "promotionpasskeys",
        "promotionpolicies",
    }


@pytest.mark.parametrize("path", SHIPPED, ids=lambda path: path.stem)
def test_crds_has_one_source(path: Any) -> None:
    """crds/ links into the chart: a link in the chart would not be packaged, a linked folder not be walked by kubectl."""
    link = ROOT / "crds" / path.name
    assert link.is_symlink()
    assert link.resolve() == path


def test_crds_holds_nothing_else() -> None:
    assert sorted(each.name for each in (ROOT / "crds").iterdir()) == [each.name for each in SHIPPED]


@pytest.mark.parametrize(
    ("path", "node"),
    [each[1:] for each in SPECS if each[2].get("type") == "object"],
    ids=lambda each: each if isinstance(each, str) else "",
)
def test_nothing_beneath_spec_is_pruned(path: str, node: dict[str, Any]) -> None:
    assert node.get("x-kubernetes-preserve-unknown-fields") is True


@pytest.mark.parametrize(("path", "node"), [each[1:] for each in SPECS], ids=lambda each: each if isinstance(each, str) else "")
def test_nothing_beneath_spec_is_defaulted_or_constrained(path: str, node: dict[str, Any]) -> None:
    assert not CONSTRAINTS & set(node), "the API server would answer 422 where admission answers 403"


@pytest.mark.parametrize(
    ("path", "node"), [each[1:] for each in SPECS if ".spec." in each[1]], ids=lambda each: each if isinstance(each, str) else ""
)
def test_every_field_is_explained(path: str, node: dict[str, Any]) -> None:
    assert path.endswith("[]") or node.get("description"), "kubectl explain would say nothing"


def test_rule_5_the_api_server_goes_through_no_metrics() -> None:
    """It would validate each, at each write, of a status too: a third of the time that a large request took it."""
    metrics = [node for _, path, node in SPECS if path.endswith(".metrics")]
    assert len(metrics) == 3
    assert all(set(node) == {"description", "x-kubernetes-preserve-unknown-fields"} for node in metrics)


# On a real API server


@pytest.fixture(scope="module")
def server(control_plane: ControlPlane) -> ControlPlane:
    control_plane.install_crds(ROOT / "crds")
    control_plane.kubectl("create", "namespace", "definitions", check=False)
    return control_plane


def create(server: ControlPlane, manifest: dict[str, Any], *options: str, verb: str = "create") -> dict[str, Any]:
    answer = server.kubectl(verb, "--namespace=definitions", "--filename=-", "--output=json", *options, input=json.dumps(manifest))
    return json.loads(answer.stdout)


@pytest.mark.cluster
@pytest.mark.parametrize("case", CASES, ids=lambda case: case["name"])
def test_a_spec_comes_back_as_it_was_written(server: ControlPlane, case: dict[str, Any]) -> None:
    manifest = case["object"]
    kept = create(server, manifest, "--validate=ignore")
    try:
        assert kept["spec"] == manifest["spec"]
        again = server.kubectl("get", manifest["kind"], manifest["metadata"]["name"], "--namespace=definitions", "--output=json")
        assert json.loads(again.stdout)["spec"] == manifest["spec"]
    finally:
        server.kubectl("delete", manifest["kind"], manifest["metadata"]["name"], "--namespace=definitions", "--wait=false")


@pytest.mark.cluster
def test_server_side_apply_keeps_the_spec_too(server: ControlPlane) -> None:
    manifest = CASES[0]["object"]
    kept = create(server, manifest, "--server-side", "--validate=ignore", verb="apply")
    assert kept["spec"] == manifest["spec"]


@pytest.mark.cluster
def test_the_example_of_gitops_is_valid_strictly(server: ControlPlane) -> None:
    """Strict field validation knows every field of the example; the schema and the example speak of the same fields."""
    manifest = yaml.safe_load((ROOT / "examples/gitops/argocd/promotion.yaml").read_text())
    manifest["metadata"] = {"name": "example"}
    kept = create(server, manifest, "--validate=strict", "--dry-run=server")
    assert kept["spec"] == manifest["spec"]
    assert fields(manifest["spec"], schema("modelpromotions")["spec"]) == []


@pytest.fixture
def old_definition(server: ControlPlane) -> Iterator[ControlPlane]:
    """The definition as it was before its fields could be selected by, as a chart's upgrade leaves it in place."""
    old = copy.deepcopy(DEFINITIONS["modelpromotions"])
    del old["spec"]["versions"][0]["selectableFields"]
    server.kubectl("replace", "--filename=-", input=json.dumps(old))
    yield server
    server.kubectl("replace", f"--filename={CHART / 'crds/modelpromotions.yaml'}")


def refusal(cluster: Cluster) -> str:
    """What the webhook says when it cannot count what is pending, or nothing where it can."""
    try:
        cluster.pending("definitions", 1)
    except ClusterError as error:
        return str(error)
    return ""


@pytest.mark.cluster
def test_an_old_definition_is_told_with_what_to_apply(old_definition: ControlPlane) -> None:
    cluster = Cluster(api_client(str(old_definition.installer_kubeconfig())))
    until(lambda: "apply the CRDs of this version (helm does not upgrade them)" in refusal(cluster))
    old_definition.kubectl("replace", f"--filename={CHART / 'crds/modelpromotions.yaml'}")
    until(lambda: refusal(cluster) == "")


def until(reached: Callable[[], bool], seconds: float = 30) -> None:
    """Wait: the API server takes a definition up in its own time, and answers 429 meanwhile."""
    end = time.monotonic() + seconds
    while not reached():
        assert time.monotonic() < end
        time.sleep(0.1)


def fields(value: Any, node: dict[str, Any], path: str = "spec") -> list[str]:
    """Paths in a value that the schema does not name. Free maps have no properties to compare with, metrics no items (rule 5)."""
    if isinstance(value, list):
        return [found for each in value for found in fields(each, node.get("items", {}), f"{path}[]")]
    if not isinstance(value, dict) or "properties" not in node:
        return []
    unknown = [f"{path}.{name}" for name in value if name not in node["properties"]]
    known = [(name, each) for name, each in value.items() if name in node["properties"]]
    return unknown + [found for name, each in known for found in fields(each, node["properties"][name], f"{path}.{name}")]


@pytest.mark.cluster
def test_a_new_promotion_is_not_ready(server: ControlPlane) -> None:
    """kstatus takes a custom resource without status for done. A client's own status is dropped."""
    manifest = {**CASES[0]["object"], "metadata": {"name": "fresh"}, "status": {"observedGeneration": 1, "event": "sha256:forged"}}
    create(server, manifest, "--validate=ignore")
    live = json.loads(server.kubectl("get", "mp", "fresh", "--namespace=definitions", "--output=json").stdout)
    assert live["status"] == {"observedGeneration": -1}


@pytest.mark.cluster
def test_the_operator_puts_a_status_on_what_it_read_and_on_nothing_else(server: ControlPlane) -> None:
    api = MeteredApi(apiserver.settings(str(server.installer_kubeconfig())), lambda: None)
    operators = OperatorsCluster(api)
    create(server, {**CASES[0]["object"], "metadata": {"name": "told-of"}}, "--validate=ignore")
    read = operators.promotion("definitions", "told-of")
    assert read is not None
    operators.set_status(read, {"observedGeneration": 1, "message": "wörtlich <&>"})
    told = operators.promotion("definitions", "told-of")
    assert told is not None
    assert (told["status"], told["spec"]) == ({"observedGeneration": 1, "message": "wörtlich <&>"}, read["spec"])
    with pytest.raises(OperatorsClusterError, match="answered 409 Conflict; it is tried again"):
        operators.set_status(read, {"observedGeneration": 1, "message": "of what was read before"})
    server.kubectl("delete", "mp", "told-of", "--namespace=definitions")
    operators.set_status(told, {"observedGeneration": 1, "message": "of what is gone"})
    assert operators.promotion("definitions", "told-of") is None


@pytest.mark.cluster
def test_status_is_closed_and_written_by_its_subresource(server: ControlPlane) -> None:
    create(server, {**CASES[0]["object"], "metadata": {"name": "looked-at"}}, "--validate=ignore")
    status = {
        "observedGeneration": 1,
        "id": "ab" * 32,
        "tier": "tier-2",
        "desk": {"html": "sha256:" + "a" * 64, "text": "sha256:" + "b" * 64},
        "seals": [{"principal": "cd" * 32, "subject": "ben", "issuer": "bank", "verdict": "Approve", "time": "2026-07-01T00:00:00Z"}],
        "conditions": [
            {"type": "Frozen", "status": "True", "reason": "Frozen", "message": "m", "lastTransitionTime": "2026-07-01T00:00:00Z"},
            {"type": "Ready", "status": "False", "reason": "WaitsForApprovers"},
        ],
    }
    patch = json.dumps({"status": {**status, "unheardOf": 1}})
    target = ("patch", "mp", "looked-at", "--namespace=definitions", "--type=merge")
    server.kubectl(*target, "--patch", patch)
    main = json.loads(server.kubectl("get", "mp", "looked-at", "--namespace=definitions", "--output=json").stdout)
    assert main["status"] == {"observedGeneration": -1}, "status was written through the resource itself"
    server.kubectl(*target, "--subresource=status", "--patch", patch)
    live = json.loads(server.kubectl("get", "mp", "looked-at", "--namespace=definitions", "--output=json").stdout)
    assert live["status"] == status
    table = server.kubectl("get", "mp", "looked-at", "--namespace=definitions").stdout.splitlines()
    assert table[0].split() == ["NAME", "MODEL", "VERSION", "ENVIRONMENT", "TIER", "READY", "REASON", "AGE"]
    assert table[1].split()[:7] == ["looked-at", "credit-scoring", "2.4.0", "production", "tier-2", "False", "WaitsForApprovers"]
