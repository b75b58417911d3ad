"""`signoff audit cluster`: everything that runs, for people and machines, by exit code, and without holding it all."""

from __future__ import annotations

import tracemalloc
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from archive_fixture import Ran, Site
from jsonschema import Draft202012Validator

from tests.running.serving import Serving, deployment, pod
from tests.webhook.reviews import IMAGE, OTHER_IMAGE

LABELS = {"signoff.dev/gate": "enforce", "signoff.dev/environment": "production"}
PROXY = f"registry.bank.example/mesh/proxy@sha256:{'0c' * 32}"


class Auditing:
    def __init__(self, site: Site, serving: Serving, folder: Path) -> None:
        self.site, self.serving, self.folder = site, serving, folder

    def __call__(self, *arguments: str) -> Ran:
        return self.site.run("audit", "cluster", "--cluster", "demo", "--kubeconfig", self.serving.kubeconfig(self.folder), *arguments)


@pytest.fixture
def audit(site: Site, tmp_path: Path) -> Iterator[Auditing]:
    site.promoted()
    with Serving() as serving:
        serving.namespaces |= {"credit": dict(LABELS), "kube-system": {"kubernetes.io/metadata.name": "kube-system"}}
        serving.add(pod("promoted", IMAGE))
        serving.add(pod("scheduler", "registry.k8s.io/kube-scheduler:v1", namespace="kube-system"))
        yield Auditing(site, serving, tmp_path)


def away(audit: Auditing) -> None:
    """The archive goes as soon as its trust file was read."""
    folder = audit.site.world.folder

    def fault(path: str, _: Any) -> None:
        if path == "/api/v1/namespaces" and folder.exists():
            folder.rename(folder.with_name("away"))

    audit.serving.fault = fault


def test_clean_is_0_refused_is_1_could_not_tell_is_2(audit: Auditing) -> None:
    clean = audit()
    assert (clean.code, clean.err) == (0, "")
    assert clean.out.splitlines()[-1] == "2 objects: 1 admitted, 1 not gated"
    audit.serving.add(pod("other", OTHER_IMAGE))
    refused = audit()
    assert refused.code == 1
    assert refused.out.splitlines()[-1] == "3 objects: 1 admitted, 1 refused, 1 not gated"
    away(audit)
    untold = audit()
    assert untold.code == 2
    assert untold.out.splitlines()[-1] == "3 objects: 2 could not tell, 1 not gated"


def test_an_object_is_one_line_with_reason_and_mend(audit: Auditing) -> None:
    audit.serving.add(deployment("scoring", OTHER_IMAGE))
    lines = audit().out.splitlines()
    assert "credit: gate enforce, environment production" in lines
    (line,) = [one for one in lines if "Deployment scoring" in one]
    assert line.split()[:4] == ["refused", "Deployment", "scoring", OTHER_IMAGE]
    assert "no promotion event for this digest for production in demo/credit" in line
    assert line.endswith(f"; draft a promotion: signoff draft {OTHER_IMAGE}")
    assert "kube-system: not gated (no webhook of the gate covers this namespace)" in lines


def test_for_machines_it_is_one_json_document(audit: Auditing) -> None:
    audit.serving.add(pod("other", OTHER_IMAGE))
    told = audit("-o", "json").json
    assert (told["verdict"], told["counts"]["refused"], told["counts"]["not-gated"]) == ("refused", 1, 1)
    one = next(one for one in told["objects"] if one["name"] == "other")
    assert (one["namespace"], one["kind"], one["verdict"], one["gate"], one["image"]) == (
        "credit",
        "Pod",
        "refused",
        "enforce",
        OTHER_IMAGE,
    )
    assert one["findings"][0]["path"] == "spec.containers[0].image"
    assert next(one for one in told["objects"] if one["name"] == "promoted")["events"]


def test_reports_are_such_as_the_definition_asks_for(audit: Auditing) -> None:
    audit.serving.add(pod("other", OTHER_IMAGE))
    ran = audit("-o", "policyreport")
    definition = yaml.safe_load((Path(__file__).parents[1] / "running" / "reports-definition.yaml").read_text())
    schema = definition["spec"]["versions"][0]["schema"]["openAPIV3Schema"]
    told = ran.json
    assert (ran.code, told["kind"], len(told["items"])) == (1, "List", 2)
    for report in told["items"]:
        Draft202012Validator(schema).validate(report)
        assert (report["apiVersion"], report["kind"], report["metadata"]["name"]) == ("openreports.io/v1alpha1", "Report", "signoff-audit")
    summaries = {report["metadata"]["namespace"]: report["summary"] for report in told["items"]}
    assert summaries["credit"] == {"pass": 1, "fail": 1, "warn": 0, "error": 0, "skip": 0}
    assert summaries["kube-system"]["skip"] == 1


def test_a_list_that_is_refused_is_no_clean_cluster(audit: Auditing) -> None:
    audit.serving.fault = lambda path, _: (403, {"code": 403}) if path.endswith("/pods") else None
    ran = audit()
    assert ran.code == 2
    assert "the API server answered 403" in ran.err
    assert "ask for the right to get and list it" in ran.err


def test_exemptions_are_the_gates(audit: Auditing, tmp_path: Path) -> None:
    audit.serving.add(pod("mesh", PROXY))
    assert audit().code == 1
    path = tmp_path / "exemptions.yaml"
    path.write_text("exemptions: [{repository: registry.bank.example/mesh/proxy, reason: the mesh, until: '2099-01-01'}]")
    ran = audit("--exemptions", str(path))
    assert ran.code == 0
    assert "1 exempt" in ran.out


def test_nothing_from_the_cluster_acts_on_a_terminal(audit: Auditing) -> None:
    audit.serving.add(pod("evil", "registry.bank.example/\x1b[2Jm\n:1"))
    out = audit().out
    assert "\x1b" not in out
    (line,) = [one for one in out.splitlines() if "Pod evil" in one]
    assert line.strip().startswith("refused")
    assert line.endswith("repository@sha256:<64 hex digits>"), "one line, to its end"


def test_bypass_12_a_crowded_cluster_is_told_as_it_is_read(audit: Auditing) -> None:
    def peak(count: int) -> int:
        audit.serving.objects["/api/v1/namespaces/credit/pods"] = [pod(f"p{number}", IMAGE, x="y" * 2000) for number in range(count)]
        tracemalloc.start()
        before = tracemalloc.get_traced_memory()[0]
        assert audit().code == 0
        most = tracemalloc.get_traced_memory()[1] - before
        tracemalloc.stop()
        return most

    peak(10)  # what is imported and compiled on the way
    assert peak(4000) < 4 * peak(400), "what is held does not grow with what is there"
