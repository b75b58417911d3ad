"""Artefacts that lie in a bucket, and not with the tracking server: on a real object store."""

from __future__ import annotations

from pathlib import Path

import boto3
import pytest
from asking import Asking
from botocore.config import Config
from relay import Relay

from controlplane.seaweed import REGION, ObjectStore
from signoff.record.values import sha256


def test_files_in_a_bucket_are_fetched_and_hashed_and_held_to_what_is_listed(
    asking: Asking, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with ObjectStore(tmp_path / "weed") as store:
        for name, value in {**store.keys["admin"].environment, "AWS_DEFAULT_REGION": REGION}.items():
            monkeypatch.setenv(name, value)
        monkeypatch.delenv("AWS_ENDPOINT_URL", raising=False)
        client = boto3.client("s3", endpoint_url=store.endpoint, config=Config(s3={"addressing_style": "path"}))
        client.create_bucket(Bucket="models")
        for path, data in {"MLmodel": b"flavors: {}", "data/weights.bin": b"weights"}.items():
            client.put_object(Bucket="models", Key=f"bucketed/{path}", Body=data)
        monkeypatch.setenv("MLFLOW_S3_ENDPOINT_URL", store.endpoint)
        artifacts = asking.manifest("bucketed", "1", explanation_artifact=None)["spec"]["model"]["artifacts"]
        assert artifacts == [
            {"name": "MLmodel", "digest": sha256(b"flavors: {}")},
            {"name": "data/weights.bin", "digest": sha256(b"weights")},
        ]
        between = Relay(store.endpoint)
        try:
            between.change = lambda path, answer: setattr(answer, "body", bytes(50_000)) if "weights" in path else None
            monkeypatch.setenv("MLFLOW_S3_ENDPOINT_URL", between.url)
            ran = asking.run("bucketed", "1", explanation_artifact=None, artifact="data")
        finally:
            between.close()
    assert (ran.code, ran.out, ran.err.count("\n")) == (2, "", 1)
    assert "sends more than the 7 bytes that it lists for data/weights.bin" in ran.err


def test_a_bucket_out_of_reach_is_one_line(asking: Asking, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.setenv(name, "none")
    monkeypatch.setenv("AWS_MAX_ATTEMPTS", "1")
    monkeypatch.setenv("MLFLOW_S3_ENDPOINT_URL", "http://127.0.0.1:9")
    ran = asking.run("bucketed", "1", explanation_artifact=None)
    assert (ran.code, ran.out) == (2, "")
    assert ran.err.startswith("error: s3://models/bucketed: the bucket does not give it: EndpointConnectionError; check AWS_ACCESS_KEY_ID")
    assert ran.err.count("\n") == 1
