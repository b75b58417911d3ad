"""The control plane is a real one: it runs workloads, refuses strangers, and shows itself to webhooks."""

from __future__ import annotations

import base64
import json
import os
import signal
import ssl
import subprocess
import sys
import threading
import time
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import httpx
import pytest
import uvicorn
import yaml

from controlplane import ControlPlane, ControlPlaneError
from controlplane.components import STARTED_BINARIES
from controlplane.ports import free_ports

if TYPE_CHECKING:
    from collections.abc import Iterator

pytestmark = pytest.mark.cluster

REPOSITORY = Path(__file__).parents[2]
DENIAL = "refused by the test's webhook"


@pytest.fixture(scope="module")
def plane(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ControlPlane]:
    with ControlPlane(tmp_path_factory.mktemp("plane")) as running:
        yield running


def test_a_deployments_pods_reach_running(plane: ControlPlane) -> None:
    plane.kubectl("create", "deployment", "scoring", "--image=registry.bank.example/scoring:1", "--replicas=2")
    plane.kubectl("rollout", "status", "deployment/scoring", "--timeout=60s")
    pods = json.loads(plane.kubectl("get", "pods", "--selector=app=scoring", "--output=json").stdout)["items"]
    assert [pod["status"]["phase"] for pod in pods] == ["Running", "Running"]
    assert {pod["spec"]["nodeName"] for pod in pods} == {"node-1"}


def test_a_job_completes(plane: ControlPlane) -> None:
    plane.kubectl("create", "job", "backtest", "--image=registry.bank.example/backtest:1")
    plane.kubectl("wait", "--for=condition=Complete", "job/backtest", "--timeout=60s")


def test_somebody_without_a_role_is_refused(plane: ControlPlane) -> None:
    ana = plane.kubeconfig_for("ana@bank.example", ["model-approvers"])
    who = json.loads(plane.kubectl("auth", "whoami", "--output=json", kubeconfig=ana).stdout)["status"]["userInfo"]
    assert who["username"] == "ana@bank.example"
    assert who["groups"] == ["model-approvers", "system:authenticated"]
    assert who["extra"]["authentication.kubernetes.io/credential-id"][0].startswith("X509SHA256=")
    answer = plane.kubectl("get", "secrets", kubeconfig=ana, check=False)
    assert answer.returncode == 1
    assert 'User "ana@bank.example" cannot list resource "secrets"' in answer.stderr


def test_a_role_for_a_group_is_enough(plane: ControlPlane) -> None:
    validator = plane.kubeconfig_for("vera@bank.example", ["validators"])
    plane.kubectl("create", "rolebinding", "validators", "--clusterrole=view", "--group=validators")
    plane.kubectl("get", "configmaps", kubeconfig=validator)


def test_a_service_accounts_token_is_its_own(plane: ControlPlane) -> None:
    plane.kubectl("create", "serviceaccount", "pipeline")
    pipeline = plane.kubeconfig_for_service_account("default", "pipeline")
    who = json.loads(plane.kubectl("auth", "whoami", "--output=json", kubeconfig=pipeline).stdout)["status"]["userInfo"]
    assert who["username"] == "system:serviceaccount:default:pipeline"
    assert who["extra"]["authentication.kubernetes.io/credential-id"][0].startswith("JTI=")


def test_nobody_but_the_installer_gets_into_system_masters(plane: ControlPlane) -> None:
    with pytest.raises(ControlPlaneError, match="system:masters is the installer's alone"):
        plane.kubeconfig_for("mallory", ["system:masters"])


def test_two_identities_never_share_a_kubeconfig(plane: ControlPlane) -> None:
    alike = [("ops:ana", ()), ("ops-ana", ()), ("ops", ("ana",)), ("ops-ana", ("x",)), ("ops-ana", ("x", "y"))]
    paths = [plane.kubeconfig_for(name, groups) for name, groups in alike]
    assert len(set(paths)) == len(alike)
    for (name, groups), path in zip(alike, paths, strict=True):
        who = plane.kubectl("auth", "whoami", "--output=json", kubeconfig=path).stdout
        assert json.loads(who)["status"]["userInfo"]["username"] == name
        assert json.loads(who)["status"]["userInfo"]["groups"] == [*groups, "system:authenticated"]


def test_etcd_answers_nobody_but_the_api_server(plane: ControlPlane) -> None:
    url = _flag(plane, "etcd", "listen-client-urls")
    context = ssl.create_default_context(cafile=str(plane.work / "pki" / "etcd" / "ca.crt"))
    assert _outcome(f"{url}/version", context) == "refused"
    context.load_cert_chain(plane.work / "pki" / "etcd" / "etcd.crt", plane.work / "pki" / "etcd" / "etcd.key")
    assert _outcome(f"{url}/version", context) == "served"


def test_helm_installs_as_the_installer(plane: ControlPlane, tmp_path: Path) -> None:
    chart = tmp_path / "chart"
    (chart / "templates").mkdir(parents=True)
    (chart / "Chart.yaml").write_text("apiVersion: v2\nname: desk\nversion: 0.1.0\n")
    (chart / "templates" / "map.yaml").write_text("apiVersion: v1\nkind: ConfigMap\nmetadata: {name: from-helm}\n")
    plane.helm("install", "desk", str(chart))
    plane.kubectl("get", "configmap", "from-helm")


def test_a_webhook_that_demands_a_client_certificate_is_called_by_the_api_server_alone(plane: ControlPlane, tmp_path: Path) -> None:
    with _webhook(plane) as url:
        _register(plane, url)
        answer = _wait_for_denial(plane)
        assert f"denied the request: {DENIAL}" in answer

        context = ssl.create_default_context(cafile=str(plane.serving_ca_path))
        assert _outcome(url, context) == "refused"
        context.load_cert_chain(_own_certificate(plane.kubeconfig_for("kube-apiserver"), tmp_path / "namesake.pem"))
        assert _outcome(url, context) == "refused"
        context = ssl.create_default_context(cafile=str(plane.serving_ca_path))
        context.load_cert_chain(*_shown_to_webhooks(plane))
        assert _outcome(url, context) == "served"


def test_the_api_server_comes_back_from_a_lost_store(plane: ControlPlane) -> None:
    plane.kubectl("create", "configmap", "kept")
    plane.stop_etcd()
    assert plane.kubectl("get", "configmap", "kept", "--request-timeout=2s", check=False).returncode == 1
    plane.restart("etcd")
    plane.kubectl("get", "configmap", "kept")


@pytest.mark.parametrize("component", ["kube-apiserver", "kube-controller-manager", "kube-scheduler", "kwok"])
def test_a_killed_component_comes_back(plane: ControlPlane, component: str) -> None:
    before = plane.pid(component)
    plane.kill(component)
    plane.restart(component)
    assert plane.pid(component) != before
    name = f"after-{component}"
    plane.kubectl("create", "deployment", name, "--image=registry.bank.example/scoring:1")
    plane.kubectl("rollout", "status", f"deployment/{name}", "--timeout=60s")


def test_an_unknown_component_lists_the_known(plane: ControlPlane) -> None:
    with pytest.raises(ControlPlaneError, match="no component 'kubelet'; there are etcd"):
        plane.kill("kubelet")


def test_a_work_folder_serves_one_at_a_time(plane: ControlPlane) -> None:
    with pytest.raises(ControlPlaneError, match="another control plane runs there"), ControlPlane(plane.work):
        pass
    plane.kubectl("get", "nodes")


def test_an_error_in_the_block_ends_everything(tmp_path: Path) -> None:
    pids: list[int] = []
    with pytest.raises(RuntimeError, match="in the block"), ControlPlane(tmp_path) as running:  # noqa: PT012
        pids = [running.pid(name) for name in STARTED_BINARIES]
        raise RuntimeError("in the block")
    assert len(pids) == 5
    assert not [pid for pid in pids if Path(f"/proc/{pid}").exists()]


def test_sigterm_ends_everything_in_order(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "controlplane", "up", "--work", str(tmp_path)]
    with subprocess.Popen(command, cwd=REPOSITORY, stdout=subprocess.PIPE, text=True) as up:
        assert up.stdout is not None
        assert up.stdout.readline() == f"{tmp_path}/kubeconfigs/installer.yaml\n"
        children = Path(f"/proc/{up.pid}/task/{up.pid}/children").read_text().split()
        assert len(children) == 5
        began = time.monotonic()
        os.kill(up.pid, signal.SIGTERM)
        assert up.wait(30) == 0
    assert time.monotonic() - began < 5, "the API server was killed after its grace: etcd ended before it"
    assert not [pid for pid in children if Path(f"/proc/{pid}").exists()]


@contextmanager
def _webhook(plane: ControlPlane) -> Iterator[str]:
    """A validating webhook that denies everything, and answers only to whom `webhook_client_ca` vouches for."""
    (port,) = free_ports(1)
    certificate, key = plane.serving_certificate(["127.0.0.1"])
    config = uvicorn.Config(
        _deny,
        port=port,
        ssl_certfile=certificate,
        ssl_keyfile=key,
        ssl_ca_certs=str(plane.webhook_client_ca),
        ssl_cert_reqs=ssl.CERT_REQUIRED,
        log_level="critical",
    )
    server = uvicorn.Server(config)
    thread = threading.Thread(target=server.run)
    thread.start()
    try:
        yield f"https://127.0.0.1:{port}/"
    finally:
        server.should_exit = True
        thread.join(10)


async def _deny(scope: dict[str, Any], receive: Any, send: Any) -> None:
    if scope["type"] != "http":
        return
    body = b""
    while True:
        message = await receive()
        body += message.get("body", b"")
        if not message.get("more_body"):
            break
    uid = json.loads(body)["request"]["uid"] if body else ""
    verdict = {"uid": uid, "allowed": False, "status": {"code": 403, "message": DENIAL}}
    review = {"apiVersion": "admission.k8s.io/v1", "kind": "AdmissionReview", "response": verdict}
    await send({"type": "http.response.start", "status": 200, "headers": [(b"content-type", b"application/json")]})
    await send({"type": "http.response.body", "body": json.dumps(review).encode()})


def _register(plane: ControlPlane, url: str) -> None:
    authority = base64.b64encode(plane.serving_ca_path.read_bytes()).decode()
    webhook = {
        "name": "doors.signoff.test",
        "clientConfig": {"url": url, "caBundle": authority},
        "rules": [{"apiGroups": [""], "apiVersions": ["v1"], "operations": ["CREATE"], "resources": ["configmaps"]}],
        "namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": "doored"}},
        "sideEffects": "None",
        "admissionReviewVersions": ["v1"],
    }
    configuration = {
        "apiVersion": "admissionregistration.k8s.io/v1",
        "kind": "ValidatingWebhookConfiguration",
        "metadata": {"name": "doors"},
        "webhooks": [webhook],
    }
    plane.kubectl("create", "namespace", "doored")
    plane.kubectl("create", "--filename=-", input=json.dumps(configuration))


def _wait_for_denial(plane: ControlPlane) -> str:
    """The words of the denial; a webhook configuration takes a moment to be heeded."""
    deadline, attempt = time.monotonic() + 15, 0
    while time.monotonic() < deadline:
        attempt += 1
        answer = plane.kubectl("create", "configmap", f"map-{attempt}", "--namespace=doored", check=False)
        if answer.returncode != 0:
            return answer.stderr
        time.sleep(0.2)
    return "never denied"


def _own_certificate(kubeconfig: Path, pem: Path) -> Path:
    """Certificate and key of a kubeconfig's user, in one PEM file."""
    user = yaml.safe_load(kubeconfig.read_text())["users"][0]["user"]
    pem.write_bytes(b"".join(base64.b64decode(user[name]) for name in ("client-certificate-data", "client-key-data")))
    return pem


def _shown_to_webhooks(plane: ControlPlane) -> tuple[str, str]:
    user = yaml.safe_load((plane.work / "webhooks.kubeconfig").read_text())["users"][0]["user"]
    return user["client-certificate"], user["client-key"]


def _outcome(url: str, context: ssl.SSLContext) -> str:
    """`served`, `refused` in or after the TLS handshake, or `nobody listens`."""
    try:
        answer = httpx.get(url, timeout=5, verify=context, trust_env=False)
    except httpx.TransportError as error:
        return "nobody listens" if "Connection refused" in str(error) else "refused"
    return "served" if answer.status_code == 200 else str(answer.status_code)


def _flag(plane: ControlPlane, component: str, flag: str) -> str:
    command = Path(f"/proc/{plane.pid(component)}/cmdline").read_text().split("\0")
    return next(each.partition("=")[2] for each in command if each.startswith(f"--{flag}="))
