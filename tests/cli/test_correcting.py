"""After a revocation it is told what runs on, and of each namespace of which that cannot be told, why."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from archive_fixture import Site
from world import POLICY

from signoff.cli import correcting
from signoff.cli.kube import Cluster
from signoff.verify.verifier import Verified
from tests.running.serving import Serving, pod

PODS = "/api/v1/namespaces/{}/pods"


@pytest.fixture
def serving() -> Iterator[Serving]:
    with Serving() as running:
        yield running


@pytest.fixture
def revoked(site: Site) -> Verified:
    wide = site.world.publish("credit-models", {**POLICY, "models": [{"names": ["*"], "namespaces": ["*"]}]})
    return site.decided(site.frozen(lambda spec: spec["target"].update(namespaces=["credit", "secret"]), policies=(wide,)))


def told(serving: Serving, revoked: Verified, site: Site, folder: Path) -> str:
    site.capfd.readouterr()
    correcting._tell_running(Cluster(serving.kubeconfig(folder), None), revoked)
    return " ".join(site.capfd.readouterr().out.split())


def image(revoked: Verified) -> str:
    return f"registry.bank.example/models/credit@{min(revoked.images)}"


def test_what_runs_on_is_named(serving: Serving, revoked: Verified, site: Site, tmp_path: Path) -> None:
    assert told(serving, revoked, site, tmp_path) == "No Pod of it runs in its namespaces of this cluster."
    serving.add(pod("scoring", image(revoked)))
    serving.add(pod("ended", image(revoked), status={"phase": "Failed"}))
    serving.add(pod("another", f"x@sha256:{'0' * 64}", namespace="secret"))
    serving.add(pod("beside", "proxy:1", image(revoked), namespace="secret"))
    said = told(serving, revoked, site, tmp_path)
    assert said.startswith("2 Pods of it run on; they are not killed")
    assert said.endswith("credit/scoring secret/beside")


@pytest.mark.parametrize(("status", "why"), [(403, "answered 403"), (500, "answered 500")])
def test_where_it_cannot_be_told_the_reason_is(
    serving: Serving, revoked: Verified, site: Site, tmp_path: Path, status: int, why: str
) -> None:
    serving.add(pod("scoring", image(revoked)))
    serving.fault = lambda path, _: (status, {"code": status}) if path == PODS.format("secret") else None
    said = told(serving, revoked, site, tmp_path)
    assert said.startswith("1 Pod of it")
    assert "What runs of it in namespace secret could not be told: " in said
    assert why in said
    assert "credit could not be told" not in said
