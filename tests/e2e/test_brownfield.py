"""A namespace that runs models already comes under the gate: drafted by `adopt`, told by `audit cluster`, warned of, enforced."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from office import Office
from scraping import scrape

from controlplane import ControlPlane
from controlplane.bank import BEN, CARLA, PAULA, PETRA, ROOT, Bank
from controlplane.cluster import NODE

from .conftest import reports

pytestmark = pytest.mark.cluster

PLACE = "batch"
TAGGED = "registry.bank.example/models/fraud:3.1"
FRAUD = "sha256:" + "f4" * 32
SIDECAR = "registry.bank.example/mesh/proxy@sha256:" + "0c" * 32
EXEMPT = {"repository": "registry.bank.example/mesh/*", "reason": "the mesh, no model", "until": "2099-01-01"}


@pytest.fixture(scope="module")
def brown(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Bank]:
    work = tmp_path_factory.mktemp("brown")
    with ControlPlane(work / "control-plane") as plane, reports(plane) as source:
        plane.kubectl("apply", "-f", str(ROOT / "tests" / "running" / "reports-definition.yaml"))
        audit = {"everyMinutes": 60, "exemptions": [EXEMPT]}
        gate = {"gate": {"exemptions": [EXEMPT]}}
        with Bank(plane, work / "bank", operator={**source, "audit": audit}, webhook=gate) as bank:
            bank.kubectl(BEN, "apply", "-f", "examples/credit-scoring/explanation-configmap.yaml")
            for role, group in (("signoff-approve-tier-2", "model-approvers"), ("signoff-submitter", "credit-team")):
                plane.kubectl("create", "rolebinding", role, f"--clusterrole={role}", f"--group={group}", "-n", PLACE)
            yield bank


@pytest.fixture(scope="module")
def office(brown: Bank) -> Office:
    return Office(brown)


@pytest.fixture
def exemptions(tmp_path: Path) -> str:
    path = tmp_path / "exemptions.yaml"
    path.write_text(yaml.safe_dump({"exemptions": [EXEMPT]}))
    return str(path)


def label(bank: Bank, *labels: str) -> str:
    """Change labels of the namespace, and return what the label administrator is told."""
    done = bank.kubectl(PETRA, "label", "namespace", PLACE, "--overwrite", *labels)
    return done.stdout + done.stderr


def deployment(name: str, *images: str) -> dict[str, Any]:
    containers = [{"name": f"c{number}", "image": image} for number, image in enumerate(images)]
    template = {"metadata": {"labels": {"app": name}}, "spec": {"containers": containers}}
    return {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": {"name": name, "namespace": PLACE},
        "spec": {"replicas": 2, "selector": {"matchLabels": {"app": name}}, "template": template},
    }


def pod(name: str, image: str, **annotations: str) -> dict[str, Any]:
    spec: dict[str, Any] = {"containers": [{"name": "model", "image": image}]}
    return {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": name, "namespace": PLACE, "annotations": annotations}, "spec": spec}


def mirror(name: str) -> dict[str, Any]:
    """What a node reports of a static Pod."""
    found = pod(name, "registry.bank.example/models/rogue@sha256:" + "ab" * 32, **{"kubernetes.io/config.mirror": "ab12"})
    found["spec"]["nodeName"] = NODE
    return found


def audited(bank: Bank, exemptions: str, *arguments: str) -> tuple[int, dict[tuple[str, str], dict[str, Any]]]:
    """The exit code and the objects of the namespace, by kind and name; Pods of a Deployment by its name."""
    kubeconfig = ("--kubeconfig", str(bank.control_plane.installer_kubeconfig()))
    done = bank.signoff("audit", "cluster", "-o", "json", "--exemptions", exemptions, *kubeconfig, *arguments)
    assert done.stdout, done.stderr
    told = json.loads(done.stdout)["objects"]
    return done.returncode, {
        (one["kind"], one["owner"]["name"] if one["kind"] == "Pod" else one["name"]): one for one in told if one["namespace"] == PLACE
    }


def until(what: Callable[[], object], within: float = 20) -> None:
    deadline = time.monotonic() + within
    while not what():
        assert time.monotonic() < deadline
        time.sleep(0.2)


def test_from_audit_to_enforce(brown: Bank, office: Office, exemptions: str, tmp_path: Path) -> None:
    plane = brown.control_plane
    label(brown, "signoff.dev/gate=audit", "signoff.dev/environment=production")

    # Models run, and nobody has decided on them.
    running = (deployment("scoring", office.image, SIDECAR), pod("fraud", TAGGED))
    brown.kubectl(BEN, "apply", "-f", "-", stdin=yaml.safe_dump_all(running))
    brown.kubectl(BEN, "-n", PLACE, "rollout", "status", "deployment/scoring", "--timeout=60s")
    said = {"name": "model", "image": TAGGED, "imageID": f"registry.bank.example/models/fraud@{FRAUD}", "ready": True, "restartCount": 0}
    status = {"status": {"containerStatuses": [said]}}
    plane.kubectl("-n", PLACE, "patch", "pod", "fraud", "--subresource=status", "--type=merge", "-p", json.dumps(status))

    # What runs is told, and what would become of it.
    code, told = audited(brown, exemptions)
    assert code == 1
    assert {key: (one["verdict"], one["gate"]) for key, one in told.items()} == {
        ("Deployment", "scoring"): ("refused", "audit"),
        ("Pod", "scoring"): ("refused", "audit"),
        ("Pod", "fraud"): ("refused", "audit"),
    }
    assert told["Deployment", "scoring"]["image"] == office.image
    assert told["Deployment", "scoring"]["mend"] == f"draft a promotion: signoff draft {office.image}"

    # It is drafted: one draft an image, of today.
    kubeconfig = ("--kubeconfig", str(plane.installer_kubeconfig()))
    adopted = brown.signoff("adopt", PLACE, "--out", str(tmp_path / "drafts"), "--exemptions", exemptions, *kubeconfig)
    assert adopted.returncode == 0, adopted.stderr
    drafts = {path.name: yaml.safe_load(path.read_text()) for path in (tmp_path / "drafts").iterdir()}
    assert set(drafts) == {f"{office.model}-{office.digest[7:19]}.yaml", "fraud-3.1.yaml"}
    spec = drafts[f"{office.model}-{office.digest[7:19]}.yaml"]["spec"]
    assert spec["model"]["image"] == office.image
    assert spec["target"] == {"environment": "production", "clusters": ["demo"], "namespaces": [PLACE]}
    assert spec["reason"].startswith("FILL-IN: ")
    assert "used by deployments/scoring" in spec["reason"]
    assert "holds for no day before" in spec["reason"]
    hint = drafts["fraud-3.1.yaml"]["spec"]["model"]["image"]
    assert hint.startswith("FILL-IN: ")
    assert f"registry.bank.example/models/fraud@{FRAUD}" in hint
    assert "the kubelet's word alone" in hint

    # Nobody can apply a draft as it is.
    mine = tmp_path / "drafts" / f"{office.model}-{office.digest[7:19]}.yaml"
    as_it_is = brown.kubectl(BEN, "apply", "-f", str(mine), check=False).stderr
    assert "denied the request" in as_it_is
    assert "FILL-IN: " in as_it_is

    # The label turns to warn: at once it is said what would be warned of; to enforce: what would be refused.
    warned = label(brown, "signoff.dev/gate=warn")
    assert "Warning: signoff: 2 workloads here would be warned of" in warned
    assert f"Warning: deployments/scoring (and 2 Pods): no promotion event for {office.digest[:19]}…" in warned
    assert "Warning: pods/fraud: " in warned
    refused = label(brown, "signoff.dev/gate=enforce")
    assert "2 workloads here would be refused" in refused
    assert "labeled" in refused, "and the change is made"
    assert "Warning" not in label(brown, "team=credit"), "other labels are nothing to us"

    # What runs goes on, and nothing new starts.
    assert plane.kubectl("-n", PLACE, "get", "pods", "-l", "app=scoring", "-o", "name").stdout.count("pod/") == 2
    again = brown.kubectl(
        BEN, "apply", "-f", "-", stdin=yaml.safe_dump(deployment("scoring", office.image.replace("@", ":1.1@"))), check=False
    )
    assert "no promotion event for this digest" in again.stderr
    code, told = audited(brown, exemptions)
    assert (code, told["Pod", "scoring"]["verdict"], told["Pod", "scoring"]["gate"]) == (1, "refused", "enforce")
    assert "it was here before the gate, or came past it" in told["Pod", "scoring"]["reason"]


def test_what_was_approved_since_is_told_as_admitted(brown: Bank, office: Office, exemptions: str) -> None:
    policy = yaml.safe_load((ROOT / "examples/credit-scoring/policy.yaml").read_text())
    policy["spec"]["models"][0]["namespaces"] = [PLACE]
    office.apply(PAULA, policy)
    office.frozen(lambda spec: spec["target"].update(namespaces=[PLACE]))
    office.decide(CARLA)
    office.until(lambda: office.status().get("event"))
    _, told = audited(brown, exemptions)
    assert told["Deployment", "scoring"]["verdict"] == told["Pod", "scoring"]["verdict"] == "admitted"
    assert told["Deployment", "scoring"]["events"]
    brown.kubectl(BEN, "-n", PLACE, "delete", "pod", "fraud")
    label(brown, "signoff.dev/gate=audit")
    assert "Warning" not in label(brown, "signoff.dev/gate=enforce")
    code, told = audited(brown, exemptions, "-n", PLACE)
    assert (code, {one["verdict"] for one in told.values()}) == (0, {"admitted"})


def test_a_static_pod_is_told_as_one_which_no_admission_stops(brown: Bank, exemptions: str) -> None:
    # Nodes report their static Pods as mirrors; admission can hide such a Pod from the API, and stops nothing.
    label(brown, "signoff.dev/gate=audit")
    brown.control_plane.kubectl("apply", "-f", "-", input=yaml.safe_dump(mirror("rogue-node-1")))
    try:
        turned = label(brown, "signoff.dev/gate=enforce")
        assert "pods/rogue-node-1: no promotion event" in turned
        assert "(static: no admission stops it)" in turned
        code, told = audited(brown, exemptions)
        one = told["Pod", "rogue-node-1"]
        assert (code, one["verdict"], one["static"]) == (1, "refused", True)
        assert "a static Pod, which admission cannot stop" in one["reason"]
    finally:
        brown.control_plane.kubectl("-n", PLACE, "delete", "pod", "rogue-node-1", "--force")


def test_bypass_16_what_an_administrator_put_there_past_the_gate_is_told(brown: Bank, exemptions: str) -> None:
    plane = brown.control_plane
    label(brown, "signoff.dev/gate=enforce")
    gate = json.loads(plane.kubectl("get", "validatingwebhookconfiguration", "signoff-gate", "-o", "json").stdout)
    for field in ("resourceVersion", "uid", "creationTimestamp", "generation", "managedFields"):
        gate["metadata"].pop(field, None)
    smuggled = pod("smuggled", "registry.bank.example/models/rogue@sha256:" + "cd" * 32)
    plane.kubectl("delete", "validatingwebhookconfiguration", "signoff-gate")
    try:
        until(lambda: plane.kubectl("apply", "-f", "-", input=yaml.safe_dump(smuggled), check=False).returncode == 0)
        code, told = audited(brown, exemptions)
        assert told["Pod", "smuggled"]["verdict"] == "not-gated"
        assert "there is no webhook configuration signoff-gate" in told["Pod", "smuggled"]["reason"]
    finally:
        plane.kubectl("create", "-f", "-", input=json.dumps(gate))
    try:
        code, told = audited(brown, exemptions)
        assert (code, told["Pod", "smuggled"]["verdict"]) == (1, "refused")
        assert "came past it" in told["Pod", "smuggled"]["reason"]
    finally:
        plane.kubectl("-n", PLACE, "delete", "pod", "smuggled", "--force")


def test_bypass_16_a_namespace_that_lost_its_labels_is_told_as_not_gated(brown: Bank, exemptions: str) -> None:
    label(brown, "signoff.dev/gate-", "signoff.dev/environment-")
    try:
        code, told = audited(brown, exemptions, "-n", PLACE)
        assert {one["verdict"] for one in told.values()} == {"not-gated"}
        assert "bears no label signoff.dev/gate" in told["Deployment", "scoring"]["reason"]
        assert code == 0, "not gated is told, and is no refusal"
    finally:
        label(brown, "signoff.dev/gate=enforce", "signoff.dev/environment=production")


def test_the_operator_tells_the_same_in_reports_and_metrics(brown: Bank, office: Office) -> None:
    plane = brown.control_plane
    label(brown, "signoff.dev/gate=audit")
    plane.kubectl("apply", "-f", "-", input=yaml.safe_dump(mirror("rogue-node-2")))
    label(brown, "signoff.dev/gate=enforce")
    port = int(yaml.safe_load((brown.work / "operator.yaml").read_text())["metrics"]["port"])
    try:
        brown.end("operator")
        brown.start("operator")  # it looks when it begins
        until(lambda: scrape(port).value("signoff_audit_last_run_timestamp_seconds") > 0)
        found = scrape(port)
        assert found.value("signoff_audit_objects", gate="enforce", verdict="refused") == 1
        assert found.value("signoff_audit_objects", gate="enforce", verdict="admitted") == 3
        assert found.value("signoff_audit_objects", gate="none", verdict="not-gated") == 0
        assert found.value("signoff_audit_runs_total", outcome="done") == 1
        report = json.loads(plane.kubectl("-n", PLACE, "get", "report", "signoff-audit", "-o", "json").stdout)
        assert report["summary"] == {"pass": 3, "fail": 1, "warn": 0, "error": 0, "skip": 0}
        worst = report["results"][0]
        assert (worst["result"], worst["resources"][0]["name"], worst["properties"]["static"]) == ("fail", "rogue-node-2", "true")
        assert "no promotion event" in worst["message"]
        assert "report" not in plane.kubectl("-n", "default", "get", "reports", "-o", "name").stdout, "nothing runs there"
    finally:
        plane.kubectl("-n", PLACE, "delete", "pod", "rogue-node-2", "--force")
