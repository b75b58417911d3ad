"""The five processes, with the flags that make them one control plane.

Rules:

1. Everything listens on the loopback interface alone.
2. Authorization is RBAC. Each component has an identity of its own; none is in `system:masters`.
3. etcd answers to the API server's certificate alone.
4. The API server shows its webhook client certificate to every webhook.
"""

from __future__ import annotations

import ssl
import time
import urllib.error
import urllib.request
from dataclasses import dataclass
from typing import TYPE_CHECKING

from controlplane import configuration
from controlplane.binaries import resolve
from controlplane.errors import ComponentError
from controlplane.pki import Authority, signing_key_pair
from controlplane.ports import LOOPBACK, free_ports
from controlplane.processes import Component

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

STARTED_BINARIES = ("etcd", "kube-apiserver", "kube-controller-manager", "kube-scheduler", "kwok")
SERVICE_RANGE = "10.96.0.0/24"
SERVICE_ACCOUNT_ISSUER = "https://kubernetes.default.svc.cluster.local"
SERVER_HOSTS = (LOOPBACK, "localhost", "kubernetes", "kubernetes.default", "kubernetes.default.svc", "10.96.0.1")
PROBE_SECONDS = 0.1


@dataclass(frozen=True)
class Plan:
    """What the components share: folders, authorities and ports, fixed for the control plane's life."""

    folder: Path
    logs: Path
    cluster: Authority
    webhook_client: Authority
    webhook_serving: Authority
    etcd: Authority
    etcd_port: int
    etcd_peer_port: int
    etcd_metrics_port: int
    server_port: int
    manager_port: int
    scheduler_port: int

    @staticmethod
    def fresh(folder: Path) -> Plan:
        """A plan with new authorities and free ports; files go beneath `folder`."""
        logs = folder / "logs"
        logs.mkdir(parents=True, exist_ok=True)
        names = ("cluster", "webhook-client", "webhook-serving", "etcd")
        cluster, webhook_client, webhook_serving, etcd = (Authority(name, folder / "pki" / name) for name in names)
        return Plan(folder, logs, cluster, webhook_client, webhook_serving, etcd, *free_ports(6))

    @property
    def server(self) -> str:
        """The API server's URL."""
        return f"https://{LOOPBACK}:{self.server_port}"

    def kubeconfig(self, user: str, groups: Iterable[str] = ()) -> Path:
        """A kubeconfig for a client certificate with CN `user` and O `groups`; one file for each such pair."""
        certificate = self.cluster.client(user, tuple(groups))
        path = self.folder / "kubeconfigs" / f"{certificate.certificate.stem}.yaml"
        path.parent.mkdir(exist_ok=True)
        return configuration.certificate_kubeconfig(path, self.server, self.cluster.path, user, certificate)


def etcd(plan: Plan) -> Component:
    """The store, with one member. It does not wait for the disk: what it keeps is thrown away with it."""
    certificate = plan.etcd.serving("etcd", [LOOPBACK], client_too=True)
    client, peer = (f"https://{LOOPBACK}:{port}" for port in (plan.etcd_port, plan.etcd_peer_port))
    flags = {
        "name": "default",
        "data-dir": plan.folder / "etcd",
        "listen-client-urls": client,
        "advertise-client-urls": client,
        "listen-peer-urls": peer,
        "initial-advertise-peer-urls": peer,
        "initial-cluster": f"default={peer}",
        "listen-metrics-urls": f"http://{LOOPBACK}:{plan.etcd_metrics_port}",
        "cert-file": certificate.certificate,
        "key-file": certificate.key,
        "trusted-ca-file": plan.etcd.path,
        "client-cert-auth": "true",
        "peer-cert-file": certificate.certificate,
        "peer-key-file": certificate.key,
        "peer-trusted-ca-file": plan.etcd.path,
        "peer-client-cert-auth": "true",
        "unsafe-no-fsync": "true",
    }
    return _component("etcd", flags, plan)


def api_server(plan: Plan) -> Component:
    """The API server. Without a container network its Service has no endpoints: clients use the loopback URL."""
    serving = plan.cluster.serving("kube-apiserver", SERVER_HOSTS)
    towards_etcd = plan.etcd.client("kube-apiserver")
    towards_webhooks = plan.webhook_client.client("kube-apiserver")
    private, public = signing_key_pair(plan.folder / "pki")
    flags = {
        "etcd-servers": f"https://{LOOPBACK}:{plan.etcd_port}",
        "etcd-cafile": plan.etcd.path,
        "etcd-certfile": towards_etcd.certificate,
        "etcd-keyfile": towards_etcd.key,
        "bind-address": LOOPBACK,
        "advertise-address": LOOPBACK,
        "endpoint-reconciler-type": "none",
        "secure-port": plan.server_port,
        "tls-cert-file": serving.certificate,
        "tls-private-key-file": serving.key,
        "client-ca-file": plan.cluster.path,
        "service-account-key-file": public,
        "service-account-signing-key-file": private,
        "service-account-issuer": SERVICE_ACCOUNT_ISSUER,
        "service-cluster-ip-range": SERVICE_RANGE,
        "authorization-mode": "RBAC",
        "allow-privileged": "true",
        "admission-control-config-file": configuration.admission_configuration(plan.folder, towards_webhooks),
    }
    return _component("kube-apiserver", flags, plan)


def controller_manager(plan: Plan) -> Component:
    """The controller manager; its controllers act as ServiceAccounts of their own, as RBAC expects."""
    kubeconfig = plan.kubeconfig("system:kube-controller-manager")
    serving = plan.cluster.serving("kube-controller-manager", [LOOPBACK])
    flags = {
        **_serving_flags(kubeconfig, plan.manager_port),
        "tls-cert-file": serving.certificate,
        "tls-private-key-file": serving.key,
        "service-account-private-key-file": plan.folder / "pki" / "service-accounts.key",
        "root-ca-file": plan.cluster.path,
        "use-service-account-credentials": "true",
        # The default of 20 requests a second makes its controllers' start take six seconds.
        "kube-api-qps": 500,
        "kube-api-burst": 1000,
    }
    return _component("kube-controller-manager", flags, plan)


def scheduler(plan: Plan) -> Component:
    """The scheduler."""
    kubeconfig = plan.kubeconfig("system:kube-scheduler")
    serving = plan.cluster.serving("kube-scheduler", [LOOPBACK])
    flags = {
        **_serving_flags(kubeconfig, plan.scheduler_port),
        "tls-cert-file": serving.certificate,
        "tls-private-key-file": serving.key,
    }
    return _component("kube-scheduler", flags, plan)


def kwok(plan: Plan) -> Component:
    """kwok, which plays the kubelet for every node: Pods get to Running, Jobs complete, nothing is executed."""
    flags = {
        "kubeconfig": plan.kubeconfig("kwok"),
        "config": configuration.stages(plan.folder / "stages.yaml"),
        "manage-all-nodes": "true",
        # Short, because a restarted kwok waits until its forerunner's lease has run out.
        "node-lease-duration-seconds": 4,
    }
    return _component("kwok", flags, plan)


def health_urls(plan: Plan) -> dict[str, str]:
    """Where each component says that it is well; kwok has no such place."""
    return {
        "etcd": f"http://{LOOPBACK}:{plan.etcd_metrics_port}/readyz",
        "kube-apiserver": f"{plan.server}/readyz",
        "kube-controller-manager": f"https://{LOOPBACK}:{plan.manager_port}/healthz",
        "kube-scheduler": f"https://{LOOPBACK}:{plan.scheduler_port}/readyz",
    }


def wait_until_well(component: Component, url: str, authority: Path, seconds: float) -> None:
    """Wait until `url` answers 200. Raises ComponentError if the component ends, or after `seconds`."""
    context = ssl.create_default_context(cafile=str(authority))
    handlers = (urllib.request.ProxyHandler({}), urllib.request.HTTPSHandler(context=context))  # no proxy leads to loopback
    opener = urllib.request.build_opener(*handlers)
    deadline = time.monotonic() + seconds
    answer = "nothing"
    while time.monotonic() < deadline:
        ended = component.ended_by_itself()
        if ended:
            raise ComponentError(ended)
        try:
            with opener.open(url, timeout=5):
                return
        except (urllib.error.URLError, OSError) as error:
            answer = str(error)
        time.sleep(PROBE_SECONDS)
    raise ComponentError(f"{component.name} is not well after {seconds:.0f} s: {url} answers {answer}; see {component.log}")


def _serving_flags(kubeconfig: Path, port: int) -> dict[str, object]:
    return {
        "kubeconfig": kubeconfig,
        "authentication-kubeconfig": kubeconfig,
        "authorization-kubeconfig": kubeconfig,
        "bind-address": LOOPBACK,
        "secure-port": port,
        "leader-elect": "false",
    }


def _component(name: str, flags: dict[str, object], plan: Plan) -> Component:
    command = [str(resolve(name)), *(f"--{flag}={value}" for flag, value in flags.items())]
    return Component(name, command, plan.logs / f"{name}.log")
