from __future__ import annotations

import io
import json
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml
from archive_fixture import Ran, Site, manifest
from world import SPEC

from signoff.manifests import MAX_BYTES
from signoff.record.values import sha256

PROMOTED: str = SPEC["model"]["image"]
UNKNOWN = f"registry.bank.example/models/credit-scoring@{sha256(b'unknown')}"
TAGGED = "registry.bank.example/models/credit-scoring:2.4.0"
SIDECAR = f"registry.bank.example/mesh/proxy@{sha256(b'proxy')}"
PLACE = ["--cluster", "demo", "--environment", "production"]
NAMESPACE = {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "credit", "labels": {"signoff.dev/environment": "production"}}}


def deployment(*images: str, **metadata: str) -> dict[str, Any]:
    pod = {"spec": {"containers": [{"name": f"c{index}", "image": image} for index, image in enumerate(images)]}}
    named = {"name": "credit-scoring", "namespace": "credit", **metadata}
    return {"apiVersion": "apps/v1", "kind": "Deployment", "metadata": named, "spec": {"template": pod}}


def listed(kind: str, *items: dict[str, Any]) -> dict[str, Any]:
    return {"apiVersion": "v1" if kind == "List" else "apps/v1", "kind": kind, "items": list(items)}


UNTYPED = {key: value for key, value in deployment(UNKNOWN).items() if key not in {"apiVersion", "kind"}}
ROLLOUT = {"apiVersion": "argoproj.io/v1alpha1", "kind": "Rollout", "metadata": {"name": "r"}, "spec": {"x": [{"image": UNKNOWN}]}}
SERVICE = {"apiVersion": "v1", "kind": "Service", "metadata": {"name": "s"}}

CASES: dict[str, tuple[list[dict[str, Any]], int, str]] = {
    "promoted": ([deployment(PROMOTED)], 0, "1 workload: 1 admitted"),
    "unknown digest": ([deployment(UNKNOWN)], 1, "no promotion event for this digest"),
    "tag": ([deployment(TAGGED)], 1, f"pin what was promoted as 2.4.0: {PROMOTED}"),
    "one of two": ([deployment(PROMOTED, UNKNOWN)], 1, "spec.template.spec.containers[1].image"),
    "another namespace": ([deployment(PROMOTED, namespace="fraud")], 1, "promoted for namespace credit"),
    "sidecar": ([deployment(PROMOTED, SIDECAR)], 1, "registry.bank.example/mesh/proxy"),
    "no containers": ([deployment()], 1, "there is no container"),
    "no spec": ([{**deployment(), "spec": None}], 1, "it is missing"),
    "list": ([listed("List", deployment(PROMOTED), deployment(UNKNOWN))], 1, "2 workloads: 1 admitted, 1 denied"),
    "list of lists": ([listed("List", listed("List", deployment(UNKNOWN)))], 1, "1 workload: 1 denied"),
    "list of one kind": ([listed("DeploymentList", UNTYPED)], 1, "1 workload: 1 denied"),
    "nothing to judge": ([SERVICE], 0, "0 workloads; 1 other document passed over"),
    "a kind that is not read": ([ROLLOUT], 0, "not judged Rollout default/r"),
    "a request of ours": (
        [{"apiVersion": "signoff.dev/v1alpha1", "kind": "ModelPromotion", "spec": SPEC}],
        0,
        "1 other document passed over",
    ),
    "values of a chart": ([{"image": {"repository": "x"}}], 0, "1 other document passed over"),
}


def check(site: Site, *arguments: str | Path, place: list[str] = PLACE) -> Ran:
    return site.run("check", *arguments, *place)


@pytest.mark.parametrize("case", CASES)
def test_the_gates_verdict(site: Site, tmp_path: Path, case: str) -> None:
    objects, code, told = CASES[case]
    site.promoted()
    path = tmp_path / "all.yaml"
    path.write_text("---\n".join(json.dumps(one) + "\n" for one in objects), encoding="utf-8")
    ran = check(site, path)
    assert (ran.code, ran.err) == (code, "")
    assert told in " ".join(ran.out.split())
    assert check(site, path, "-o", "json").json["verdict"] == ("denied" if code else "admitted")


def test_machines_read_what_was_found(site: Site, tmp_path: Path) -> None:
    verified = site.promoted()
    path = manifest(tmp_path, deployment(PROMOTED))
    value = check(site, path, "-o", "json").json
    assert value == {
        "verdict": "admitted",
        "objects": [
            {
                "file": str(path),
                "apiVersion": "apps/v1",
                "kind": "Deployment",
                "namespace": "credit",
                "name": "credit-scoring",
                "environment": "production",
                "verdict": "admitted",
                "events": [verified.digest],
                "findings": [],
            }
        ],
        "notJudged": [],
        "passedOver": 0,
        "unreadable": [],
    }


def test_the_environment_is_that_of_the_namespaces_manifest(site: Site, tmp_path: Path) -> None:
    site.promoted()
    manifest(tmp_path, deployment(PROMOTED), "deploy/a/workload.yml")
    manifest(tmp_path, deployment(UNKNOWN), "deploy/.git/ignored.yaml")
    manifest(tmp_path, {"not": "yaml"}, "deploy/notes.txt")
    ran = check(site, tmp_path / "deploy", place=["--cluster", "demo"])
    assert (ran.code, "give --environment" in ran.out) == (2, True)
    manifest(tmp_path, NAMESPACE, "deploy/z/namespace.json")
    assert check(site, tmp_path / "deploy", place=["--cluster", "demo"]).code == 0
    other = {**NAMESPACE, "metadata": {"name": "credit", "labels": {"signoff.dev/environment": "staging"}}}
    manifest(tmp_path, other, "deploy/z/other.json")
    ran = check(site, tmp_path / "deploy", place=["--cluster", "demo"])
    assert (ran.code, "name several: production, staging" in " ".join(ran.out.split())) == (2, True)


def test_a_namespace_may_be_given_for_manifests_without_one(site: Site, tmp_path: Path) -> None:
    site.promoted()
    path = manifest(tmp_path, deployment(PROMOTED, namespace=""))
    assert check(site, path).code == 1
    assert check(site, path, "-n", "credit").code == 0


def test_stdin_is_read(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    site.promoted()
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(json.dumps(deployment(UNKNOWN)).encode())))
    ran = check(site, "-")
    assert (ran.code, "(stdin)" in ran.out) == (1, True)


def test_exemptions_are_those_of_the_webhooks_configuration(site: Site, tmp_path: Path) -> None:
    site.promoted()
    path = manifest(tmp_path, deployment(PROMOTED, SIDECAR))
    exemptions = tmp_path / "exemptions.yaml"
    rule = {"repository": "registry.bank.example/mesh/*", "reason": "no models", "until": "2999-01-01"}
    exemptions.write_text(yaml.safe_dump({"exemptions": [rule]}), encoding="utf-8")
    assert check(site, path, "--exemptions", exemptions).code == 0
    exemptions.write_text(yaml.safe_dump({"exemptions": [rule | {"until": "2020-01-01"}]}), encoding="utf-8")
    assert check(site, path, "--exemptions", exemptions).code == 1
    exemptions.write_text("exemptions: [{repository: '*'}]", encoding="utf-8")
    assert check(site, path, "--exemptions", exemptions).code == 2


_UNFOLDING = [b"%c: &%c [%s]\n" % (n, n, b",".join([b"*%c" % (n - 1)] * 8)) for n in range(ord("b"), ord("m"))]
UNREADABLE = {
    "aliases without end": (b"a: &a [1,1,1,1,1,1,1,1]\n" + b"".join(_UNFOLDING), "unfolds to more than"),
    "duplicate keys": (b"a: 1\na: 2\n", "stands twice"),
    "not UTF-8": (b"a: \xff\n", "not UTF-8 at byte 3"),
    "not YAML": (b"a: [\n", "not YAML"),
    "a template": (b"{{- if .Values.x }}\na: 1\n", "not YAML"),
    "too large": (b"#" * (MAX_BYTES + 1), "split the file"),
    "too deep": (b"[" * 5000, "nested deeper"),
    "an integer of a million digits": (b"a: " + b"9" * 1_000_000, "not YAML"),
}


@pytest.mark.parametrize("case", UNREADABLE)
def test_what_cannot_be_read_is_told_and_holds_up_nothing(site: Site, tmp_path: Path, case: str) -> None:
    data, told = UNREADABLE[case]
    site.promoted()
    (tmp_path / "bad.yaml").write_bytes(data)
    good = manifest(tmp_path, deployment(PROMOTED))
    ran = check(site, tmp_path / "bad.yaml", good)
    assert ran.code == 2
    assert told in " ".join(ran.out.split())
    assert "1 workload: 1 admitted; 1 file unreadable" in ran.out
    bad = manifest(tmp_path, deployment(UNKNOWN), "denied.yaml")
    assert check(site, tmp_path / "bad.yaml", bad).code == 1


def test_a_file_that_is_not_there_is_told(site: Site, tmp_path: Path) -> None:
    ran = check(site, tmp_path / "nowhere.yaml")
    assert (ran.code, "cannot be read: No such file" in " ".join(ran.out.split())) == (2, True)


def test_an_archive_out_of_reach_is_no_admission(site: Site, tmp_path: Path) -> None:
    path = manifest(tmp_path, deployment(PROMOTED))
    site.world.folder.rename(tmp_path / "elsewhere")
    ran = check(site, path)
    assert (ran.code, ran.out) == (2, "")


def test_an_altered_event_admits_nothing(site: Site, tmp_path: Path) -> None:
    verified = site.promoted()
    site.overwrite(f"events/{verified.id}.sigstore.json", b"{}")
    ran = check(site, manifest(tmp_path, deployment(PROMOTED)))
    assert (ran.code, "is not believed" in " ".join(ran.out.split())) == (1, True)


def test_names_from_manifests_cannot_act_on_a_terminal(site: Site, tmp_path: Path) -> None:
    ran = check(site, manifest(tmp_path, deployment(UNKNOWN, name="a\x1b[2J\u202eb")))
    assert "\x1b" not in ran.out
    assert "\u202e" not in ran.out
    assert "[U+001B]" in ran.out


def test_names_of_files_cannot_act_on_a_terminal(site: Site, tmp_path: Path) -> None:
    (tmp_path / "a\x1b[2J.yaml").write_text("a: [", encoding="utf-8")
    ran = check(site, tmp_path)
    assert (ran.code, "\x1b" in ran.out, "[U+001B]" in ran.out) == (2, False, True)


@pytest.mark.parametrize(
    ("tier", "code", "says"),
    [
        ("tier-2", 0, "1 workload: 1 admitted"),
        ("tier-1", 1, "promoted in tier-2, and the namespace takes tier-1 or stricter"),
        ("gold", 2, "signoff.dev/minimum-tier=gold, and tiers are"),
    ],
)
def test_the_minimum_tier_is_that_of_the_namespaces_manifest(site: Site, tmp_path: Path, tier: str, code: int, says: str) -> None:
    site.promoted()
    labels = {"signoff.dev/environment": "production", "signoff.dev/minimum-tier": tier}
    manifest(tmp_path, {**NAMESPACE, "metadata": {"name": "credit", "labels": labels}}, "deploy/namespace.yaml")
    manifest(tmp_path, deployment(PROMOTED), "deploy/workload.yaml")
    ran = check(site, tmp_path / "deploy", place=["--cluster", "demo"])
    assert (ran.code, says in " ".join(ran.out.split())) == (code, True), ran.out + ran.err
