"""A bank's cluster: signoff installed by its chart on the control plane, its two processes on loopback, and the people who work there.

1. Nobody acts as system:masters but the installer: each person has a client certificate, each process its ServiceAccount's token, and the
   roles are the chart's.
2. The API server shows its client certificate to the seal's door, which serves nobody else.
3. Processes are ended by their id, the webhook and the operator before the control plane.
"""

from __future__ import annotations

import base64
import http.client
import os
import ssl
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import Any, Final, Self

import yaml

from controlplane.cluster import ControlPlane
from controlplane.errors import ControlPlaneError
from controlplane.ports import free_ports
from controlplane.processes import Component

ROOT: Final = Path(__file__).parent.parent
CLUSTER: Final = "demo"
NAMESPACE: Final = "signoff-system"
PEOPLE_ISSUER: Final = "https://pki.bank.example"
SERVICE_ISSUER: Final = "https://kubernetes.demo.bank.example"

ANA, BEN, CARLA, DAVID, PAULA, PETRA = (f"{name}@bank.example" for name in ("ana", "ben", "carla", "david", "paula", "petra"))
GROUPS: Final[Mapping[str, Sequence[str]]] = {
    ANA: ("credit-team", "model-approvers"),  # the author: an approver too, but never of her own model
    BEN: ("credit-team",),
    CARLA: ("model-approvers",),
    DAVID: ("model-approvers",),
    PAULA: ("policy-publishers",),
    PETRA: ("platform",),
}


class Bank:
    """signoff installed on a running control plane. Use it as a context manager."""

    def __init__(self, control_plane: ControlPlane, work: Path, *, operator: Mapping[str, Any] | None = None) -> None:
        self.control_plane = control_plane
        self.work = work
        self.archive_folder = work / "archive"
        self.archive = f"file://{self.archive_folder}"
        self.keys = work / "keys"
        self.trust = ""
        self._operator_changes = dict(operator or {})
        self._ports = free_ports(3)
        self._components: dict[str, Component] = {}

    def __enter__(self) -> Self:
        try:
            self._install()
        except BaseException:
            self.stop()
            raise
        return self

    def __exit__(self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None) -> None:
        self.stop()

    @property
    def gate_url(self) -> str:
        """Where the gate listens."""
        return f"https://127.0.0.1:{self._ports[0]}"

    @property
    def door_url(self) -> str:
        """Where the seal's door listens."""
        return f"https://127.0.0.1:{self._ports[1]}"

    def kubectl(self, who: str, *args: str, check: bool = True, stdin: str | None = None) -> subprocess.CompletedProcess[str]:
        """Run kubectl as a person; `ControlPlaneError` where ``check`` and it fails."""
        return self.control_plane.kubectl(*args, kubeconfig=self.kubeconfig(who), check=check, input=stdin)

    def kubeconfig(self, who: str) -> Path:
        """Return the kubeconfig of a person."""
        return self.control_plane.kubeconfig_for(who, GROUPS[who])

    def signoff(
        self, *args: str, who: str | None = None, stdin: str | None = None, timeout: float = 90
    ) -> subprocess.CompletedProcess[str]:
        """Run the ``signoff`` command, as a person where one is named; never raises for its exit code."""
        environment = os.environ | self.settings() | ({"KUBECONFIG": str(self.kubeconfig(who))} if who else {})
        command = [sys.executable, "-m", "signoff", *args]
        return subprocess.run(command, env=environment, input=stdin, capture_output=True, text=True, timeout=timeout, check=False)

    def settings(self) -> dict[str, str]:
        """Return the environment in which ``signoff`` finds archive, trust file and cluster."""
        return {"SIGNOFF_ARCHIVE": self.archive, "SIGNOFF_TRUST": self.trust, "SIGNOFF_CLUSTER": CLUSTER}

    def start(self, name: str) -> None:
        """Start ``webhook`` or ``operator``, and wait until it is ready."""
        self._components[name].start()
        self._wait_ready(name)

    def end(self, name: str) -> None:
        """End ``webhook`` or ``operator`` as Kubernetes does: SIGTERM first."""
        self._components[name].stop()

    def pid(self, name: str) -> int:
        """Return the process id of ``webhook`` or ``operator``."""
        return self._components[name].pid

    def stop(self) -> None:
        """End both processes."""
        for component in self._components.values():
            component.stop()

    def helm_values(self) -> dict[str, Any]:
        """Return the values that the chart is installed with."""
        ca = base64.b64encode(self.control_plane.serving_ca_path.read_bytes()).decode()
        return {
            "webhook": {"outside": {"enabled": True, "gateUrl": self.gate_url, "doorUrl": self.door_url, "caBundle": ca}},
            "rbac": {"explanationConfigMapNamespaces": ["credit"]},
            "guards": {"namespaceLabelAdministrators": {"groups": ["system:masters", "platform"]}},
        }

    def _install(self) -> None:
        self.work.mkdir(parents=True, exist_ok=True)
        plane = self.control_plane
        for namespace in ("credit", "batch"):
            plane.kubectl("create", "namespace", namespace)
        values = self._file("values.yaml", self.helm_values())
        plane.helm("install", "signoff", str(ROOT / "charts" / "signoff"), "-n", NAMESPACE, "--create-namespace", "--values", str(values))
        plane.kubectl("apply", "-f", "-", input=_bindings())
        self._init_archive()
        self._prepare("webhook", self._webhook_config())
        self._prepare("operator", self._operator_config())
        for name in ("webhook", "operator"):
            self.start(name)
        self.kubectl(PETRA, "label", "namespace", "credit", "signoff.dev/gate=enforce", "signoff.dev/environment=production")

    def _init_archive(self) -> None:
        publisher = ("--publisher", PEOPLE_ISSUER, PAULA)
        made = self.signoff(
            "init", self.archive, "--keys", str(self.keys), "--cluster", CLUSTER, "--environment", "production", *publisher, "-o", "json"
        )
        if made.returncode:
            raise ControlPlaneError(f"signoff init failed: {made.stderr.strip()}")
        self.trust = str(yaml.safe_load(made.stdout)["trust"])

    def _common(self, account: str) -> dict[str, Any]:
        kubeconfig = self.control_plane.kubeconfig_for_service_account(NAMESPACE, f"signoff-{account}")
        return {"cluster": CLUSTER, "archive": self.archive, "trust": self.trust, "kubeconfig": str(kubeconfig)}

    def _webhook_config(self) -> dict[str, Any]:
        certificate, key = self.control_plane.serving_certificate(["127.0.0.1", "localhost"])
        return {
            **self._common("webhook"),
            "sealKey": str(self.keys / "seal.key"),
            "issuers": [
                {"issuer": PEOPLE_ISSUER, "credential": "X509SHA256", "kind": "person"},
                {"issuer": SERVICE_ISSUER, "usernamePrefix": "system:serviceaccount:", "credential": "JTI", "kind": "service"},
            ],
            "tls": {"certificate": str(certificate), "key": str(key)},
            "gateListener": {"host": "127.0.0.1", "port": self._ports[0]},
            "door": {
                "host": "127.0.0.1",
                "port": self._ports[1],
                "clientCa": str(self.control_plane.webhook_client_ca),
                "clientNames": ["kube-apiserver"],
            },
        }

    def _operator_config(self) -> dict[str, Any]:
        return {
            **self._common("operator"),
            "eventKey": str(self.keys / "event.key"),
            "liveness": {"host": "127.0.0.1", "port": self._ports[2]},
            "resyncSeconds": 5,
            **self._operator_changes,
        }

    def _prepare(self, name: str, config: Mapping[str, Any]) -> None:
        path = self._file(f"{name}.yaml", config)
        command = [sys.executable, "-m", "signoff", "run", name, "--config", str(path)]
        self._components[name] = Component(name, command, self.work / f"{name}.log")

    def _file(self, name: str, content: object) -> Path:
        path = self.work / name
        path.write_text(yaml.safe_dump(content, sort_keys=False))
        return path

    def _wait_ready(self, name: str) -> None:
        deadline = time.monotonic() + 30
        while not self._ready(name):
            if time.monotonic() > deadline or not self._components[name].running:
                log = (self.work / f"{name}.log").read_text()[-3000:]
                raise ControlPlaneError(f"the {name} did not come up; its log ends with:\n{log}")
            time.sleep(0.1)

    def _ready(self, name: str) -> bool:
        try:
            if name == "operator":
                connection: http.client.HTTPConnection = http.client.HTTPConnection("127.0.0.1", self._ports[2], timeout=2)
                connection.request("GET", "/healthz")
            else:
                context = ssl.create_default_context(cafile=str(self.control_plane.serving_ca_path))
                connection = http.client.HTTPSConnection("127.0.0.1", self._ports[0], timeout=2, context=context)
                connection.request("GET", "/readyz")
            return connection.getresponse().status == 200
        except OSError:
            return False


def _bindings() -> str:
    """Return who holds which role: the chart brings the roles and binds none of them to people."""
    submit = _bind("RoleBinding", "submitters", "signoff-submitter", "credit-team", "credit")
    decide = _bind("RoleBinding", "approvers", "signoff-approver", "model-approvers", "credit")
    tier = _bind("RoleBinding", "approve-tier-2", "signoff-approve-tier-2", "model-approvers", "credit")
    publish = _bind("ClusterRoleBinding", "policy-publishers", "signoff-policy-publisher", "policy-publishers")
    work = [_bind("RoleBinding", "credit-team-edit", "edit", "credit-team", namespace) for namespace in ("credit", "batch")]
    engineer = _bind("RoleBinding", "credit-team-engineer", "bank-engineer", "credit-team", "credit")
    platform = _bind("ClusterRoleBinding", "platform-namespaces", "bank-platform", "platform")
    roles = [
        _role("bank-platform", {"apiGroups": [""], "resources": ["namespaces"], "verbs": ["get", "list", "create", "update", "patch"]}),
        # What the built-in role edit leaves out, so that the gate is asked about these too.
        _role(
            "bank-engineer",
            {"apiGroups": [""], "resources": ["podtemplates"], "verbs": ["get", "create", "update", "patch", "delete"]},
            {"apiGroups": [""], "resources": ["pods/ephemeralcontainers"], "verbs": ["get", "update", "patch"]},
        ),
    ]
    return yaml.safe_dump_all([submit, decide, tier, publish, *work, *roles, engineer, platform])


def _role(name: str, *rules: Mapping[str, Any]) -> dict[str, Any]:
    return {"apiVersion": "rbac.authorization.k8s.io/v1", "kind": "ClusterRole", "metadata": {"name": name}, "rules": list(rules)}


def _bind(kind: str, name: str, role: str, group: str, namespace: str | None = None) -> dict[str, Any]:
    return {
        "apiVersion": "rbac.authorization.k8s.io/v1",
        "kind": kind,
        "metadata": {"name": name, **({"namespace": namespace} if namespace else {})},
        "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": role},
        "subjects": [{"apiGroup": "rbac.authorization.k8s.io", "kind": "Group", "name": group}],
    }
