"""What is asked for in vain: one line that says what was wrong and what to do, and nothing written."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from asking import Asking
from shelf import MODEL, image

from controlplane.ports import free_ports

FIELDS = "name=a,version=1,role=evaluation"
CYRILLIC = "\u0441redit-scoring"

# What is asked for otherwise, the model and version where they are others, and what is said. {url} is the server's.
REFUSED: dict[str, tuple[dict[str, Any], tuple[str, str], str]] = {
    "no such model": ({}, ("fraud", "1"), "{url}: the registry has no version 1 of the model fraud; correct the name or the version"),
    "no such version": ({}, (MODEL, "99"), "the registry has no version 99 of the model credit-scoring"),
    "no number": ({}, (MODEL, "latest"), "'latest' is no number of a model version; name it as the registry counts it"),
    "an alias for a version": ({}, (MODEL, "@champion"), "is no number of a model version"),
    "a wide digit": ({}, (MODEL, "\uff13"), "is no number of a model version"),
    "a name that the record has not": ({}, ("Credit Scoring", "1"), "MODEL: 'Credit Scoring' cannot be a model's name"),
    "a letter that looks like another": ({}, (CYRILLIC, "3"), "cannot be a model's name"),
    "a name that would act": ({"model": "a\x1b[2J"}, (MODEL, "3"), "MODEL: 'a\\x1b[2J' cannot be a model's name"),
    "a name with a line end": ({"model": "a\n"}, (MODEL, "3"), "cannot be a model's name"),
    "a deleted run": ({}, ("deleted", "1"), "was deleted; restore it: mlflow runs restore --run-id"),
    "no run": ({}, ("runless", "1"), "runless 1: names no run, and figures and reports are a run's; register it from a run"),
    "a challenger without a run": ({"challenger": "4"}, (MODEL, "3"), "has no version 4"),
    "thousands of metrics": ({}, ("thousands", "1"), "has 1,000 metrics, and a comparison shows at most 200; choose those"),
    "a metric that is none": ({"metric": "nan"}, ("broken", "1"), "metric 'nan': is not a number (NaN), and cannot be shown as a figure"),
    "an infinite metric": ({"metric": "inf"}, ("broken", "1"), "metric 'inf': is the largest double, as MLflow keeps an infinity"),
    "a metric too small": ({"metric": "small"}, ("broken", "1"), "metric 'small': is 1e-200, and an exponent has at most two digits"),
    "all metrics, one of them none": ({}, ("broken", "1"), "leave it out, by naming those that are wanted: --metric NAME"),
    "no such metric": ({"metric": "f1"}, (MODEL, "3"), "has no metric 'f1'; it has auc, gini, huge, loss, rows, tiny"),
    "too many metrics": ({"metric": [f"m{one}" for one in range(201)]}, (MODEL, "3"), "--metric: 201 are given, of at most 200"),
    "no image": ({"image_tag_key": None}, (MODEL, "3"), "its image is not known: none is given; give --image registry/repository@sha256"),
    "no such tag": ({"image_tag_key": "oci"}, (MODEL, "3"), "its image is not known: it has no tag oci"),
    "an image by tag": ({"image": "registry.bank.example/m:1"}, (MODEL, "3"), "carries no sha256 digest, and a tag can be moved"),
    "an image of no registry": ({"image": "m@sha256:" + "0" * 64}, (MODEL, "3"), "names no registry"),
    "another image than the tag's": ({"image": image(9)}, (MODEL, "3"), "its tag image names sha256:"),
    "an image of nothing": ({"image_of": "2"}, (MODEL, "3"), "--image-of: '2' is not VERSION=IMAGE, or there twice"),
    "two images": ({"image": image(3), "image_of": f"3={image(3)}"}, (MODEL, "3"), "or there twice"),
    "no such alias": ({"incumbent_alias": "live"}, (MODEL, "3"), "the model credit-scoring has no alias live"),
    "alias and incumbent": (
        {"incumbent_alias": "champion", "incumbent": "1"},
        (MODEL, "3"),
        "--incumbent-alias: is given beside --incumbent",
    ),
    "a version beside itself": ({"challenger": "3"}, (MODEL, "3"), "version 3 is to be shown twice"),
    "a challenger twice": ({"challenger": ["2", "2"]}, (MODEL, "3"), "version 2 is to be shown twice"),
    "the incumbent is the candidate": ({"incumbent": "3"}, (MODEL, "3"), "version 3 is to be shown twice"),
    "no such report": ({"explanation_artifact": "reports/x.html"}, (MODEL, "3"), "has no file reports/x.html"),
    "a folder for a report": ({"explanation_artifact": "reports.html"}, (MODEL, "3"), "has no file reports.html"),
    "a report of another kind": ({"explanation_artifact": "reports/x.pdf"}, (MODEL, "3"), "reports/x.pdf: .pdf is none of .html"),
    "an address of no report": (
        {"explanation_artifact": None, "explanation_url": "https://x.example/"},
        (MODEL, "3"),
        "--explanation-url: says where a report is, and not which",
    ),
    "an address without TLS": ({"explanation_url": "http://x.example/"}, (MODEL, "3"), "spec.explanation.source.url"),
    "a path upwards": ({"artifact": "../../secret"}, (MODEL, "3"), "'../../secret' is no relative path of plain names"),
    "a path upwards within": ({"artifact": "a/../../b"}, (MODEL, "3"), "is no relative path of plain names"),
    "a path upwards in disguise": ({"artifact": "a/%2e%2e/b"}, (MODEL, "3"), "is no relative path of plain names"),
    "a path from the root": ({"artifact": "/etc/passwd"}, (MODEL, "3"), "is no relative path of plain names"),
    "a path of Windows": ({"artifact": "a\\b"}, (MODEL, "3"), "is no relative path of plain names"),
    "a report upwards": ({"explanation_artifact": "../x.html"}, (MODEL, "3"), "is no relative path of plain names"),
    "no such artefact": ({"artifact": "weights.bin"}, (MODEL, "3"), "has no file weights.bin; name a path as the registry shows it"),
    "too many artefacts": ({"explanation_artifact": None}, ("many-files", "1"), "has 65 files, and a promotion names at most 64; choose"),
    "too large": ({"explanation_artifact": None, "max_size": "2"}, ("large", "1"), "lists 3,145,733 bytes, and 2,097,152 may be fetched"),
    "a dataset of nothing": ({"dataset": "applications"}, (MODEL, "3"), "--dataset: 'applications' is none of its fields"),
    "a dataset without content": ({"dataset": FIELDS}, (MODEL, "3"), "wants name, version, role, and either file or digest; write name="),
    "a dataset with both": ({"dataset": f"{FIELDS},file=x,digest=y"}, (MODEL, "3"), "either file or digest"),
    "a dataset twice said": ({"dataset": f"{FIELDS},name=b"}, (MODEL, "3"), "'name=b' is none of its fields, or there twice"),
    "a dataset's file is not there": ({"dataset": f"{FIELDS},file=/nowhere"}, (MODEL, "3"), "/nowhere: cannot be read: No such file"),
    "MLflow's digest of a dataset": ({"dataset": f"{FIELDS},digest=ba7cd68f"}, (MODEL, "3"), "spec.datasets[0].digest"),
    "a role that is none": ({"dataset": "name=a,version=1,role=training,file=/dev/null"}, (MODEL, "3"), "spec.datasets[0].role"),
    "no server": ({"tracking_uri": None}, (MODEL, "3"), "--tracking-uri: is missing; name the MLflow server, or set MLFLOW_TRACKING_URI"),
    "a database": ({"tracking_uri": "sqlite:///mlflow.db"}, (MODEL, "3"), "--tracking-uri: is no http:// or https:// address"),
    "another service": ({"tracking_uri": "databricks://bank"}, (MODEL, "3"), "--tracking-uri: is no http:// or https:// address"),
    "a folder": ({"registry_uri": "mlruns"}, (MODEL, "3"), "--registry-uri: is no http:// or https:// address"),
    "no address": ({"tracking_uri": "http://[::1"}, (MODEL, "3"), "--tracking-uri: is no http:// or https:// address"),
    "a password": ({"tracking_uri": "http://ana:secret@127.0.0.1"}, (MODEL, "3"), "--tracking-uri: holds a password; leave it out"),
    "no hours": ({"valid_for": "30d"}, (MODEL, "3"), "spec.validFor"),
    "an expiry that never comes": ({"on_expiry": "deny-all"}, (MODEL, "3"), "onExpiry says what happens when validFor is over"),
    "no namespace of Kubernetes": ({"namespace": "Credit", "target_namespace": "credit"}, (MODEL, "3"), "ModelPromotion.namespace"),
    "no target of Kubernetes": ({"target_namespace": "Credit"}, (MODEL, "3"), "spec.target.namespaces[0]: String should match"),
    "no name of Kubernetes": ({"name": "Credit_3"}, (MODEL, "3"), "ModelPromotion.name"),
    "a reason that would act": ({"reason": "a\x1b[2Jb"}, (MODEL, "3"), "spec.reason: the character U+001B is not allowed"),
    "no such index": ({"index": "/nowhere"}, (MODEL, "3"), "/nowhere: cannot be read"),
}


@pytest.mark.parametrize("case", REFUSED)
def test_what_cannot_be_had_is_one_line_with_its_mend_and_nothing_is_written(asking: Asking, tmp_path: Path, case: str) -> None:
    changed, (model, number), told = REFUSED[case]
    out = tmp_path / "promotion.yaml"
    ran = asking.run(model, number, **{"out": str(out), **changed})
    assert (ran.code, ran.out) == (2, "")
    assert ran.err.startswith("error: ")
    assert ran.err.count("\n") == 1
    assert told.format(url=asking.url) in ran.err
    assert "\x1b" not in ran.err
    assert "secret@" not in ran.err
    assert not out.exists()


def test_a_name_that_the_record_has_not_can_be_mapped(asking: Asking) -> None:
    manifest = asking.manifest("Credit Scoring", "1", model="credit-scoring", explanation_artifact=None)
    assert manifest["spec"]["model"]["name"] == "credit-scoring"
    assert manifest["metadata"]["name"] == "credit-scoring-1"


def test_metrics_that_are_none_can_be_left_out(asking: Asking) -> None:
    metrics = asking.manifest("broken", "1", metric="auc", explanation_artifact=None)["spec"]["comparison"]["candidate"]["metrics"]
    assert metrics == [{"name": "auc", "value": "0.8"}]


def test_a_run_without_metrics_has_them_to_fill_in(asking: Asking) -> None:
    ran = asking.run("bare", "1", explanation_artifact=None)
    assert ran.code == 0
    assert "spec.comparison.candidate.metrics[0].value" in ran.err


def test_a_server_out_of_reach_is_told_at_once(asking: Asking, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "0")
    asking.url = f"http://127.0.0.1:{free_ports(1)[0]}"
    ran = asking.run()
    assert (ran.code, ran.out) == (2, "")
    mend = "check --tracking-uri and --registry-uri, and that the server runs"
    assert ran.err == f"error: {asking.url}: is out of reach (Connection refused); {mend}\n"


def test_without_the_extra_it_says_what_to_install(asking: Asking, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("signoff.cli.from_mlflow.find_spec", lambda _: None)
    ran = asking.run()
    assert (ran.code, ran.out) == (2, "")
    assert ran.err == "error: signoff request from-mlflow: needs mlflow-skinny, which is not installed; pip install 'signoff[mlflow]'\n"


def test_a_file_that_is_there_is_told_before_anybody_is_asked(asking: Asking, tmp_path: Path) -> None:
    (tmp_path / "promotion.yaml").write_bytes(b"mine")
    asking.url = f"http://127.0.0.1:{free_ports(1)[0]}"
    assert "promotion.yaml: is there already" in asking.run(out=str(tmp_path / "promotion.yaml")).err
    assert "there is no such folder" in asking.run(out=str(tmp_path / "nowhere" / "promotion.yaml")).err
