"""The guards, on a real API server, against cluster administrators who are not of system:masters.

Bypass class 16 (gate switched off): a namespace's label removed, a webhook configuration deleted or narrowed, its
failurePolicy changed.
"""

from __future__ import annotations

import itertools
import json
import time
from typing import TYPE_CHECKING, Any

import pytest
import yaml

from tests.chart.rendering import ROOT

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from controlplane.cluster import ControlPlane

pytestmark = pytest.mark.cluster

CASES = yaml.safe_load((ROOT / "tests/chart/cases/guards.yaml").read_text())
WHO = {
    "ops": ("olga", "administrators"),
    "label-administrator": ("liam", "administrators", "label-administrators"),
    "lena": ("lena", "administrators"),
    "helm-controller": ("system:serviceaccount:flux-system:helm-controller", "administrators"),
}
NAMES = itertools.count()
ACTIVE_WITHIN = 30.0

Answer = "subprocess.CompletedProcess[str]"


@pytest.fixture(scope="module")
def guarded(installed: ControlPlane) -> Iterator[ControlPlane]:
    """The installation, once the guards have begun to hold: an API server takes up new policies a moment later."""
    installed.kubectl(
        "create", "clusterrolebinding", "administrators", "--clusterrole=cluster-admin", "--group=administrators", check=False
    )
    ask = [
        lambda: request(
            installed, "ops", "create", "--dry-run=server", "--filename=-", body=namespace("probe", {"signoff.dev/gate": "warn"})
        ),
        lambda: request(installed, "ops", "delete", "validatingwebhookconfiguration", "signoff-gate", "--dry-run=server"),
    ]
    deadline = time.monotonic() + ACTIVE_WITHIN
    while not all("ValidatingAdmissionPolicy" in each().stderr for each in ask):
        assert time.monotonic() < deadline, "the guards do not hold"
        time.sleep(0.1)
    yield installed
    installed.kubectl("delete", "clusterrolebinding", "administrators")


def request(server: ControlPlane, who: str, *args: str, body: dict[str, Any] | None = None) -> Any:
    """A request by somebody, whatever is answered."""
    user, *groups = WHO[who]
    text = json.dumps(body) if body else None
    return server.kubectl(*args, kubeconfig=server.kubeconfig_for(user, groups), check=False, input=text)


def namespace(name: str, labels: dict[str, str]) -> dict[str, Any]:
    return {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name, "labels": labels}}


def judge(case: dict[str, Any], answer: Any) -> None:
    if case["allowed"]:
        assert answer.returncode == 0, answer.stderr
        return
    assert answer.returncode != 0, "admitted"
    assert answer.stderr.startswith("Error from server (Forbidden)"), answer.stderr
    assert "ValidatingAdmissionPolicy 'signoff-" in answer.stderr, f"refused, but not by a guard: {answer.stderr}"
    assert case["says"] in answer.stderr
    assert "immutable" not in answer.stderr


@pytest.mark.parametrize("case", CASES["namespace_labels"], ids=lambda case: case["name"])
def test_bypass_16_namespace_labels(guarded: ControlPlane, case: dict[str, Any]) -> None:
    name = f"guarded-{next(NAMES)}"
    if "create" in case:
        answer = request(guarded, case["who"], "create", "--filename=-", body=namespace(name, case["create"]))
        judge(case, answer)
        return
    guarded.kubectl("create", "--filename=-", input=json.dumps(namespace(name, case["with"])))
    judge(case, change(case.get("through", "itself"))(guarded, case["who"], name, case["patch"]))
    live = json.loads(guarded.kubectl("get", "namespace", name, "--output=json").stdout)["metadata"]["labels"]
    expected = {**case["with"], **(case["patch"] if case["allowed"] else {})}
    assert {key: live.get(key) for key in expected} == expected


def change(through: str) -> Callable[..., Any]:
    return {"itself": by_patch, "status": by_status, "finalize": by_finalize, "apply": by_apply}[through]


def by_patch(server: ControlPlane, who: str, name: str, labels: dict[str, Any], *more: str) -> Any:
    return request(server, who, "patch", "namespace", name, "--type=merge", "--patch", json.dumps({"metadata": {"labels": labels}}), *more)


def by_status(server: ControlPlane, who: str, name: str, labels: dict[str, Any]) -> Any:
    return by_patch(server, who, name, labels, "--subresource=status")


def by_apply(server: ControlPlane, who: str, name: str, labels: dict[str, Any]) -> Any:
    return request(server, who, "apply", "--server-side", "--force-conflicts", "--filename=-", body=namespace(name, labels))


def by_finalize(server: ControlPlane, who: str, name: str, labels: dict[str, Any]) -> Any:
    live = json.loads(server.kubectl("get", "namespace", name, "--output=json").stdout)
    merged = {**live["metadata"]["labels"], **labels}
    live["metadata"]["labels"] = {key: value for key, value in merged.items() if value is not None}
    return request(server, who, "replace", "--raw", f"/api/v1/namespaces/{name}/finalize", "--filename=-", body=live)


@pytest.mark.parametrize("case", CASES["webhook_configurations"], ids=lambda case: case["name"])
def test_bypass_16_webhook_configurations(guarded: ControlPlane, case: dict[str, Any]) -> None:
    if case.get("of") == "not-signoff-gate":
        guarded.kubectl("create", "--filename=-", input=json.dumps(someone_elses(case["of"])))
    before = configurations(guarded)
    judge(case, write(guarded, case))
    if not case["allowed"]:
        assert configurations(guarded) == before


def write(server: ControlPlane, case: dict[str, Any]) -> Any:
    if case["verb"] == "delete-collection":
        return request(server, case["who"], "delete", "--raw", f"/apis/admissionregistration.k8s.io/v1/{case['kind']}")
    if case["verb"] == "delete":
        return request(server, case["who"], "delete", case["kind"], case["of"])
    return request(server, case["who"], "patch", case["kind"], case["of"], "--type=json", "--patch", json.dumps([case["to"]]))


def configurations(server: ControlPlane) -> list[Any]:
    kinds = "mutatingwebhookconfigurations,validatingwebhookconfigurations"
    listed = json.loads(server.kubectl("get", kinds, "--output=json").stdout)["items"]
    return [(each["metadata"]["name"], each["metadata"]["resourceVersion"]) for each in listed]


def someone_elses(name: str) -> dict[str, Any]:
    return {"apiVersion": "admissionregistration.k8s.io/v1", "kind": "ValidatingWebhookConfiguration", "metadata": {"name": name}}


def test_a_collection_of_others_can_be_deleted(guarded: ControlPlane) -> None:
    """The guard looks at names, so that whoever deletes a selection of their own is not held up by it."""
    other = someone_elses("somebody-elses")
    other["metadata"]["labels"] = {"whose": "somebody-elses"}
    guarded.kubectl("create", "--filename=-", input=json.dumps(other))
    path = "/apis/admissionregistration.k8s.io/v1/validatingwebhookconfigurations?labelSelector=whose%3Dsomebody-elses"
    answer = request(guarded, "ops", "delete", "--raw", path)
    assert answer.returncode == 0, answer.stderr
    assert "somebody-elses" not in [name for name, _ in configurations(guarded)]


def test_nobody_brings_a_configuration_back_in_its_place(guarded: ControlPlane) -> None:
    """After an installer's own deletion, for instance in the middle of an upgrade, the name stays theirs."""
    live = json.loads(guarded.kubectl("get", "validatingwebhookconfiguration", "signoff-check", "--output=json").stdout)
    live["metadata"] = {key: live["metadata"][key] for key in ("name", "labels", "annotations") if key in live["metadata"]}
    guarded.kubectl("delete", "validatingwebhookconfiguration", "signoff-check")
    try:
        judge(
            {"allowed": False, "says": "signoff-check"},
            request(guarded, "ops", "create", "--filename=-", body=someone_elses("signoff-check")),
        )
    finally:
        guarded.kubectl("create", "--filename=-", input=json.dumps(live))


def test_a_labelled_namespace_can_be_deleted(guarded: ControlPlane) -> None:
    """The namespace controller writes through finalize; the guard must not keep namespaces from ending."""
    guarded.kubectl("create", "--filename=-", input=json.dumps(namespace("ending", {"signoff.dev/gate": "enforce"})))
    answer = request(guarded, "ops", "delete", "namespace", "ending", "--timeout=60s")
    assert answer.returncode == 0, answer.stderr


@pytest.mark.parametrize("kind", ["validatingadmissionpolicy", "validatingadmissionpolicybinding"])
@pytest.mark.parametrize("guard", ["signoff-namespace-labels", "signoff-webhook-configurations"])
def test_guards_do_not_guard_guards(guarded: ControlPlane, kind: str, guard: str) -> None:
    """A limit, stated in the chart: the API server evaluates no policy on policies, so RBAC alone keeps them. If this
    test fails one day, the API server has changed, and the chart can say more."""
    answer = request(guarded, "ops", "delete", kind, guard, "--dry-run=server")
    assert answer.returncode == 0, answer.stderr
