"""The example under examples/credit-scoring: its manifests agree with each other, and its digests are what its README says."""

from __future__ import annotations

import hashlib
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import yaml
from builders import EXAMPLE, example, example_explanation

from signoff.record.request import Spec, read_spec
from signoff.record.values import sha256

WRITTEN = ("explanation.html", "explanation-configmap.yaml", "promotion.yaml")


@pytest.fixture
def spec() -> Spec:
    return read_spec(example("promotion.yaml")["spec"])


def test_promotion_is_a_request(spec: Spec) -> None:
    assert (spec.model.name, spec.model.version) == ("credit-scoring", "2.4.0")
    assert (spec.target.environment, spec.target.clusters, spec.target.namespaces) == ("production", ("demo",), ("credit",))
    assert spec.model.incumbent is None
    assert len(spec.comparison.challengers or ()) == 2


def test_explanation_is_the_one_that_the_promotion_names(spec: Spec) -> None:
    source = spec.explanation.source.configMap
    config_map = example("explanation-configmap.yaml")
    assert source is not None
    assert (config_map["metadata"]["name"], config_map["metadata"]["namespace"]) == (source.name, "credit")
    assert config_map["data"][source.key].encode() == example_explanation()
    assert sha256(example_explanation()) == spec.explanation.digest


def test_explanation_is_written_again_to_the_byte(tmp_path: Path) -> None:
    for name in ("make_explanation.py", "promotion.yaml"):
        shutil.copy(EXAMPLE / name, tmp_path)
    subprocess.run(
        [sys.executable, "-I", str(tmp_path / "make_explanation.py")], check=True, timeout=60, env={"LC_ALL": "C", "TZ": "Asia/Tokyo"}
    )
    for name in WRITTEN:
        assert (tmp_path / name).read_bytes() == (EXAMPLE / name).read_bytes(), name


def test_explanation_needs_nothing_from_elsewhere() -> None:
    assert 15 * 1024 <= len(example_explanation()) <= 28 * 1024
    for word in (b"http:", b"https:", b"src=", b"<script", b"@import", b"url("):
        assert word not in example_explanation(), word


def test_figures_of_the_report_are_those_of_the_promotion(spec: Spec) -> None:
    compared = [spec.comparison.candidate, *(spec.comparison.challengers or ())]
    for entry in compared:
        for metric in entry.metrics:
            assert f"<td>{metric.value}</td>".encode() in example_explanation(), metric


def test_digests_are_of_named_strings(spec: Spec) -> None:
    named = {hashlib.sha256(name.encode()).hexdigest() for name in _names(spec)}
    model = spec.model
    used = {model.digest, *(artifact.digest for artifact in model.artifacts or ()), *(dataset.digest for dataset in spec.datasets)}
    used |= {entry.digest for entry in spec.comparison.challengers or ()}
    assert {digest.removeprefix("sha256:") for digest in used} == named


def test_deployment_runs_what_is_promoted(spec: Spec) -> None:
    assert _image("deployment.yaml") == spec.model.image
    assert _image("deployment-tag.yaml") == f"{spec.model.repository}:{spec.model.version}"
    digest, tag = (yaml.safe_dump({**example(name)}).replace(_image(name), "IMAGE") for name in ("deployment.yaml", "deployment-tag.yaml"))
    assert digest == tag


def test_policy_covers_the_promotion() -> None:
    policy = example("policy.yaml")["spec"]
    assert policy["models"] == [{"names": ["credit-*"], "namespaces": ["credit"]}]
    assert set(policy["tiers"]) == {rule["tier"] for rule in policy["rules"]}


def test_namespace_is_gated() -> None:
    labels = example("namespace.yaml")["metadata"]["labels"]
    assert labels == {"signoff.dev/gate": "enforce", "signoff.dev/environment": "production"}


def test_readme_explains_every_file() -> None:
    readme = (EXAMPLE / "README.md").read_text(encoding="utf-8")
    files = {file.name for file in EXAMPLE.iterdir() if file.is_file()} - {"README.md"}
    assert {name for name in files if f"`{name}`" not in readme} == set()


def _image(name: str) -> str:
    image: str = example(name)["spec"]["template"]["spec"]["containers"][0]["image"]
    return image


def _names(spec: Spec) -> list[str]:
    of_the_model = ["credit-scoring 2.4.0 image", "credit-scoring 2.4.0 model.onnx", "credit-scoring 2.4.0 preprocessing.json"]
    of_the_data = [f"{dataset.name} {dataset.version}" for dataset in spec.datasets]
    return [*of_the_model, *of_the_data, "credit-scoring 2.3.2 image", "credit-scorecard 5.1.0 image"]
