"""The operator's audit of what runs, over a real archive: what it counts, what it writes, and what of it may fail."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any

import pytest
from prometheus_client import CollectorRegistry
from world import STORED, World

from signoff.config import AuditSettings
from signoff.operator.audit import Auditor
from signoff.operator.audit_metrics import AuditMetrics
from signoff.operator.commit import commit
from signoff.record.canonical import dumps
from signoff.record.promotion import PROMOTION_TYPE
from signoff.record.values import parse
from tests.running.serving import Serving, deployment, pod
from tests.webhook.reviews import IMAGE, OTHER_IMAGE

NOW = datetime(2026, 3, 4, 9, 0, tzinfo=UTC)
API = "/apis/openreports.io/v1alpha1"
REPORT = API + "/namespaces/{}/reports/signoff-audit"
MESH = [{"repository": "registry.bank.example/mesh/*", "reason": "the mesh", "until": "2027-01-01"}]


class Audited:
    def __init__(self, world: World, serving: Serving) -> None:
        self.world, self.serving = world, serving
        self.registry = CollectorRegistry()
        self.metrics = AuditMetrics(self.registry)

    def auditor(self, **settings: Any) -> Auditor:
        read = parse(AuditSettings, dumps(settings), "audit")
        return Auditor("demo", self.serving.api(), self.world.reader, read, lambda: NOW, self.metrics)

    def value(self, name: str, **labels: str) -> float:
        found = self.registry.get_sample_value(f"signoff_audit_{name}", labels)
        assert found is not None
        return found

    def objects(self) -> dict[tuple[str, str], float]:
        samples = next(one for one in self.registry.collect() if one.name == "signoff_audit_objects").samples
        return {(one.labels["gate"], one.labels["verdict"]): one.value for one in samples if one.value}


@pytest.fixture
def audited(world: World) -> Iterator[Audited]:
    frozen = world.freeze()
    sealed = world.seal(frozen.payload, frozen.freeze)
    world.archive_seal(sealed)
    commit(world.reader, world.event_key, frozen.freeze, PROMOTION_TYPE, [sealed], STORED)
    with Serving() as serving:
        serving.namespaces |= {
            "credit": {"signoff.dev/gate": "enforce", "signoff.dev/environment": "production"},
            "empty": {"signoff.dev/gate": "enforce", "signoff.dev/environment": "production"},
            "kube-system": {"kubernetes.io/metadata.name": "kube-system"},
        }
        serving.add(pod("promoted", IMAGE))
        serving.add(pod("other", OTHER_IMAGE))
        serving.add(deployment("mesh", f"registry.bank.example/mesh/proxy@sha256:{'0c' * 32}"))
        serving.add(pod("scheduler", "registry.k8s.io/s:1", namespace="kube-system"))
        yield Audited(world, serving)


def serves_reports(serving: Serving, *namespaces: str) -> None:
    serving.more[API] = {"kind": "APIResourceList"}
    items = [{"metadata": {"name": "signoff-audit", "namespace": one}} for one in namespaces]
    serving.more[f"{API}/reports"] = {"metadata": {}, "items": items}


def test_what_runs_is_counted_by_gate_and_verdict(audited: Audited) -> None:
    audited.auditor(exemptions=MESH).run()
    assert audited.objects() == {
        ("enforce", "admitted"): 1, ("enforce", "refused"): 1, ("enforce", "exempt"): 1, ("none", "not-gated"): 1,
    }  # fmt: skip
    assert audited.value("last_run_timestamp_seconds") > 0
    assert (audited.value("runs_total", outcome="done"), audited.value("runs_total", outcome="failed")) == (1, 0)


def test_what_is_gone_is_counted_no_more(audited: Audited) -> None:
    auditor = audited.auditor(exemptions=MESH)
    auditor.run()
    audited.serving.objects.clear()
    auditor.run()
    assert audited.objects() == {}


def test_a_report_for_each_namespace_in_which_something_runs_or_ran(audited: Audited) -> None:
    serves_reports(audited.serving)
    audited.auditor(exemptions=MESH).run()
    assert set(audited.serving.written) == {REPORT.format("credit"), REPORT.format("kube-system")}
    assert audited.serving.written[REPORT.format("credit")]["summary"] == {"pass": 1, "fail": 1, "warn": 0, "error": 0, "skip": 1}
    serves_reports(audited.serving, "empty")
    audited.auditor(exemptions=MESH).run()
    assert audited.serving.written[REPORT.format("empty")]["summary"] == {"pass": 0, "fail": 0, "warn": 0, "error": 0, "skip": 0}


def test_reports_are_asked_for_by_their_metadata_alone(audited: Audited) -> None:
    serves_reports(audited.serving)
    audited.auditor().run()
    asked = zip(audited.serving.asked, audited.serving.accepted, strict=True)
    ((path, accept),) = [(path, accept) for path, accept in asked if path.startswith(f"{API}/reports")]
    assert "labelSelector=app.kubernetes.io/managed-by%3Dsignoff" in path
    assert "as=PartialObjectMetadataList" in accept


def test_where_reports_are_not_served_it_is_said_once_and_nothing_fails(audited: Audited, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO, "signoff.operator")
    auditor = audited.auditor()
    auditor.run()
    auditor.run()
    said = [record.message for record in caplog.records if "does not serve openreports.io/v1alpha1" in record.message]
    assert len(said) == 1
    assert audited.value("runs_total", outcome="done") == 2
    assert audited.serving.written == {}


def test_no_reports_are_written_where_none_are_asked_for(audited: Audited) -> None:
    serves_reports(audited.serving)
    audited.auditor(reports=False).run()
    assert audited.serving.written == {}
    assert not [path for path in audited.serving.asked if path.startswith(API)]


def test_a_report_that_cannot_be_written_holds_up_nothing(audited: Audited, caplog: pytest.LogCaptureFixture) -> None:
    serves_reports(audited.serving)
    audited.serving.fault = lambda path, _: (403, {"code": 403}) if path == REPORT.format("credit") else None
    audited.auditor().run()
    assert set(audited.serving.written) == {REPORT.format("kube-system")}
    assert "Report credit/signoff-audit could not be written: 403" in caplog.text
    assert audited.value("runs_total", outcome="done") == 1


def test_a_cluster_that_cannot_be_listed_leaves_the_figures_of_the_last_look(audited: Audited, caplog: pytest.LogCaptureFixture) -> None:
    auditor = audited.auditor(exemptions=MESH)
    auditor.run()
    before = (audited.objects(), audited.value("last_run_timestamp_seconds"))
    audited.serving.fault = lambda path, _: (500, {}) if path.endswith("/pods") else None
    auditor.run()
    assert (audited.objects(), audited.value("last_run_timestamp_seconds")) == before
    assert audited.value("runs_total", outcome="failed") == 1
    assert "what runs could not be audited: " in caplog.text


def test_an_archive_out_of_reach_is_counted_as_could_not_tell(audited: Audited) -> None:
    audited.world.folder.rename(audited.world.folder.with_name("away"))
    audited.auditor(exemptions=MESH).run()
    assert audited.objects() == {("enforce", "could-not-tell"): 2, ("enforce", "exempt"): 1, ("none", "not-gated"): 1}
    assert audited.value("runs_total", outcome="done") == 1


def test_a_defect_of_ours_ends_no_operator(audited: Audited, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture) -> None:
    def broken(*_: Any) -> Any:
        raise RuntimeError("a defect")

    monkeypatch.setattr("signoff.operator.audit.spaces", broken)
    audited.auditor().run()
    assert audited.value("runs_total", outcome="failed") == 1
    assert "it is tried again" in caplog.text


def test_a_process_that_ends_waits_for_no_look(audited: Audited) -> None:
    auditor = audited.auditor()
    auditor.stop()
    auditor.run()
    assert audited.objects() == {}
    assert audited.value("last_run_timestamp_seconds") == 0
    assert [audited.value("runs_total", outcome=outcome) for outcome in ("done", "failed")] == [0, 0]
