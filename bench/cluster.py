"""The cluster as the gate is measured in: a namespace for each webhook, and nobody else's webhook asked there.

1. The rules, timeout and match policy of each webhook are those that the chart installs for the gate in mode enforce; only its address
   and its namespace differ.
2. The chart's own gate leaves these namespaces out, and its processes do not run meanwhile.
3. Whoever asks is a user with a client certificate and a role that lets them create Pods, nothing more.
"""

from __future__ import annotations

import base64
import json
import time
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, Final

import yaml

from bench.errors import BenchError
from bench.events import ENVIRONMENT
from bench.load import Target
from bench.servers import Server
from controlplane import ControlPlane
from controlplane.bank import NAMESPACE, Bank

USER: Final = "loader@bank.example"
AS_INSTALLED: Final = ("rules", "admissionReviewVersions", "matchPolicy", "sideEffects", "failurePolicy", "timeoutSeconds")
_READY_SECONDS: Final = 30.0


class MeasuredBank(Bank):
    """The bank, whose own gate leaves the measured namespaces out."""

    measured: tuple[str, ...] = ()

    def helm_values(self) -> dict[str, Any]:
        """Return the chart's values, with the measured namespaces excluded."""
        return {**super().helm_values(), "gate": {"excludedNamespaces": ["kube-system", *self.measured]}}


def make_namespaces(plane: ControlPlane, names: Iterable[str]) -> None:
    """Make the namespaces, and let the user create Pods in them."""
    names = list(names)
    role: dict[str, Any] = {"apiVersion": "rbac.authorization.k8s.io/v1", "kind": "ClusterRole", "metadata": {"name": "bench-loader"}}
    role["rules"] = [{"apiGroups": [""], "resources": ["pods"], "verbs": ["create"]}]
    binding = {
        "apiVersion": "rbac.authorization.k8s.io/v1",
        "kind": "ClusterRoleBinding",
        "metadata": {"name": "bench-loader"},
        "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": "bench-loader"},
        "subjects": [{"apiGroup": "rbac.authorization.k8s.io", "kind": "User", "name": USER}],
    }
    spaces = [_namespace(name) for name in names]
    plane.kubectl("apply", "-f", "-", input=yaml.safe_dump_all([role, binding, *spaces]))
    deadline = time.monotonic() + _READY_SECONDS
    while any(plane.kubectl("-n", name, "get", "serviceaccount", "default", check=False).returncode for name in names):
        if time.monotonic() > deadline:
            raise BenchError("a namespace has no ServiceAccount; does the controller manager run?")
        time.sleep(0.2)


def _namespace(name: str) -> dict[str, Any]:
    labels = {"signoff.dev/environment": ENVIRONMENT, "bench.signoff.dev/webhook": name}
    return {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name, "labels": labels}}


def register(plane: ControlPlane, servers: Mapping[str, Server]) -> None:
    """Have the API server ask each of these webhooks in the namespace of its name (rule 1)."""
    found = json.loads(plane.kubectl("get", "validatingwebhookconfiguration", "signoff-gate", "-o", "json").stdout)
    enforce = next(one for one in found["webhooks"] if one["name"] == "enforce.gate.signoff.dev")
    kept = {name: enforce[name] for name in AS_INSTALLED}
    hooks = []
    for namespace, server in servers.items():
        ca = base64.b64encode(server.ca.read_bytes()).decode()
        hooks.append(
            {
                "name": f"{namespace}.signoff.dev",
                "clientConfig": {"url": server.url, "caBundle": ca},
                "namespaceSelector": {"matchLabels": {"bench.signoff.dev/webhook": namespace}},
                **kept,
            }
        )
    manifest = {
        "apiVersion": "admissionregistration.k8s.io/v1",
        "kind": "ValidatingWebhookConfiguration",
        "metadata": {"name": "bench"},
        "webhooks": hooks,
    }
    plane.kubectl("apply", "-f", "-", input=yaml.safe_dump(manifest))


def api_target(plane: ControlPlane, namespace: str, work: Path) -> Target:
    """Return where Pods of a namespace are created without being kept (``dryRun=All``), with the user's client certificate."""
    config = yaml.safe_load(plane.kubeconfig_for(USER).read_text())
    certificate = _pem(work / "loader.crt", config["users"][0]["user"]["client-certificate-data"])
    key = _pem(work / "loader.key", config["users"][0]["user"]["client-key-data"])
    url = f"{plane.server}/api/v1/namespaces/{namespace}/pods?dryRun=All"
    return Target(url, plane.cluster_ca_path, certificate, key)


def gate_kubeconfig(plane: ControlPlane) -> Path:
    """Return the kubeconfig of the webhook's own ServiceAccount, with the chart's rights."""
    return plane.kubeconfig_for_service_account(NAMESPACE, "signoff-webhook")


def pod(namespace: str, images: Iterable[str]) -> str:
    """Return a Pod with a container for each image, as JSON on one line."""
    containers = [{"name": f"model-{index}", "image": image} for index, image in enumerate(images)]
    metadata = {"name": "measured", "namespace": namespace, "labels": {"app": "model"}}
    return json.dumps({"apiVersion": "v1", "kind": "Pod", "metadata": metadata, "spec": {"containers": containers}})


def review(plane: ControlPlane, text: str) -> str:
    """Return the review that the API server would make of a Pod: with its defaults, as a dry run gives them back."""
    asked = json.loads(text)
    namespace = asked["metadata"]["namespace"]
    asking = ("create", "--dry-run=server", "-o", "json", "--show-managed-fields", "-f", "-")
    full = json.loads(plane.kubectl("-n", namespace, *asking, input=text).stdout)
    return _as_go_writes(_review(full, namespace))


def with_images(template: str, namespace: str, images: Iterable[str]) -> str:
    """Return a review of the same Pod in another namespace, with other images."""
    value = json.loads(template)
    value["request"]["namespace"] = value["request"]["object"]["metadata"]["namespace"] = namespace
    for container, image in zip(value["request"]["object"]["spec"]["containers"], images, strict=True):
        container["image"] = image
    return _as_go_writes(value)


def _as_go_writes(value: Mapping[str, Any]) -> str:
    return json.dumps(value, ensure_ascii=False, separators=(",", ":"))


def _review(full: Mapping[str, Any], namespace: str) -> dict[str, Any]:
    kind = {"group": "", "version": "v1", "kind": "Pod"}
    resource = {"group": "", "version": "v1", "resource": "pods"}
    request = {
        "uid": "705ab4f5-6393-11e8-b7cc-42010a800002",
        "kind": kind,
        "resource": resource,
        "requestKind": kind,
        "requestResource": resource,
        "name": full["metadata"]["name"],
        "namespace": namespace,
        "operation": "CREATE",
        "userInfo": {"username": USER, "groups": ["system:authenticated"]},
        "object": full,
        "oldObject": None,
        "dryRun": True,
        "options": {"apiVersion": "meta.k8s.io/v1", "kind": "CreateOptions", "dryRun": ["All"]},
    }
    return {"kind": "AdmissionReview", "apiVersion": "admission.k8s.io/v1", "request": request}


def _pem(path: Path, data: str) -> Path:
    path.touch(mode=0o600)
    path.write_bytes(base64.b64decode(data))
    return path
