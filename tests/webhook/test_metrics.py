"""What the webhook says of itself, scraped from a real process over a real archive, before an API server that knows one namespace."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
from scraping import Scrape, get, scrape

from controlplane.ports import free_ports
from tests.webhook.counting import Counting
from tests.webhook.listening import LABELS, promote
from tests.webhook.reviews import IMAGE, OTHER_IMAGE, pod, policy, promotion, review
from tests.webhook.test_serve import Process


class Measured(Process):
    """A webhook with metrics, and somebody who knows the namespaces."""

    def __init__(self, folder: Path, **changes: Any) -> None:
        self.counting = Counting(LABELS)
        self.counting.__enter__()
        (self.metrics_port,) = free_ports(1)
        metrics = {"host": "127.0.0.1", "port": self.metrics_port}
        super().__init__(folder, self.counting.url, **{"metrics": metrics, **changes})

    def scrape(self) -> Scrape:
        return scrape(self.metrics_port)

    def ask_gate(self, image: str, namespace: str = "credit", mode: str = "enforce") -> dict[str, Any]:
        asked = review(pod(image, namespace=namespace), "pods", namespace=namespace)
        with self.client(self.gate_port) as gate:
            return gate.ask(f"/gate/{mode}", json.dumps(asked).encode()).response

    def end(self) -> None:
        self.counting.__exit__()
        super().end()


@pytest.fixture
def measured(tmp_path: Path) -> Iterator[Measured]:
    running = Measured(tmp_path)
    promote(running.world)
    running.start()
    try:
        running.until_ready()
        yield running
    finally:
        running.end()


def _verdicts(found: Scrape, mode: str = "enforce") -> list[float]:
    verdicts = ("admitted", "refused", "could-not-tell", "failed")
    return [found.value("signoff_gate_reviews_total", mode=mode, verdict=verdict) for verdict in verdicts]


def test_reviews_are_counted_by_mode_and_verdict(measured: Measured) -> None:
    assert _verdicts(measured.scrape()) == [0, 0, 0, 0]
    assert measured.ask_gate(IMAGE)["allowed"]
    assert not measured.ask_gate(OTHER_IMAGE)["allowed"]
    assert measured.ask_gate(OTHER_IMAGE, mode="warn")["allowed"]
    assert not measured.ask_gate(IMAGE, namespace="elsewhere")["allowed"]
    found = measured.scrape()
    assert _verdicts(found) == [1, 1, 1, 0]
    assert _verdicts(found, "warn") == [0, 1, 0, 0]
    assert found.value("signoff_gate_review_seconds_count", mode="enforce") == 3
    assert 0 < found.value("signoff_gate_review_seconds_sum", mode="enforce") < 30
    assert found.value("signoff_verifications_total", outcome="promoted") == 1
    assert found.value("signoff_verifications_total", outcome="not-promoted") == 1
    assert found.value("signoff_gate_answers_total", source="read") == 2
    assert found.value("signoff_gate_answers_total", source="fresh") == 1
    assert found.value("signoff_gate_remembered_answers", kind="positive") == 1
    assert found.value("signoff_gate_remembered_answers", kind="negative") == 1


def test_the_door_is_counted_by_step_kind_and_outcome(measured: Measured, tmp_path: Path) -> None:
    allowed = json.dumps(review(promotion(), "modelpromotions")).encode()
    changed = json.dumps(review(promotion(submission={"bundle": "x"}), "modelpromotions")).encode()
    publication = json.dumps(review(policy(), "promotionpolicies", who="paula")).encode()
    with measured.client(measured.door_port) as door:
        assert door.ask("/seal/promotions", allowed).response["allowed"]
        assert not door.ask("/check/promotions", changed).response["allowed"]
        (tmp_path / "archive").rename(tmp_path / "away")
        assert not door.ask("/seal/policies", publication).response["allowed"]
    found = measured.scrape()
    assert found.value("signoff_door_reviews_total", step="seal", kind="promotions", outcome="allowed") == 1
    assert found.value("signoff_door_reviews_total", step="check", kind="promotions", outcome="refused") == 1
    assert found.value("signoff_door_reviews_total", step="seal", kind="policies", outcome="unavailable") == 1
    assert found.value("signoff_door_review_seconds_count", step="seal", kind="promotions") == 1
    assert sum(value for (name, _), value in found.samples.items() if name == "signoff_door_reviews_total") == 3


def test_bodies_that_are_no_reviews_are_counted_by_reason(measured: Measured) -> None:
    with measured.client(measured.gate_port) as gate:
        assert gate.ask("/gate/enforce", b"{}").status == 400
    with measured.client(measured.gate_port) as gate:
        begun = gate._connection
        begun.putrequest("POST", "/gate/enforce")
        begun.putheader("Content-Length", str(64 * 1024 * 1024))
        begun.endheaders()
        assert begun.getresponse().status == 413
    found = measured.scrape()
    assert found.value("signoff_webhook_bodies_refused_total", reason="no-review") == 1
    assert found.value("signoff_webhook_bodies_refused_total", reason="too-large") == 1
    assert _verdicts(found) == [0, 0, 0, 0]


def test_while_the_archive_is_away_its_last_answer_grows_old_and_the_grace_shows(measured: Measured, tmp_path: Path) -> None:
    assert measured.ask_gate(IMAGE)["allowed"]
    before = measured.scrape()
    reached = before.value("signoff_archive_last_reached_timestamp_seconds")
    assert before.value("signoff_gate_grace_age_seconds") == 0
    (tmp_path / "archive").rename(tmp_path / "away")
    time.sleep(10.5)  # an answer is fresh for ten seconds
    assert measured.ask_gate(IMAGE)["allowed"]
    assert not measured.ask_gate(OTHER_IMAGE)["allowed"]
    found = measured.scrape()
    assert found.value("signoff_archive_last_reached_timestamp_seconds") == reached < time.time() - 10
    assert found.value("signoff_archive_operations_total", operation="list", outcome="unavailable") == 2
    assert found.value("signoff_verifications_total", outcome="unavailable") == 2
    assert found.value("signoff_gate_answers_total", source="grace") == 1
    assert found.value("signoff_gate_grace_age_seconds") > 10
    assert _verdicts(found) == [2, 0, 1, 0]
    (tmp_path / "away").rename(tmp_path / "archive")
    assert measured.ask_gate(IMAGE)["allowed"]
    again = measured.scrape()
    assert again.value("signoff_archive_last_reached_timestamp_seconds") > reached
    assert again.value("signoff_gate_grace_age_seconds") == 0


def _listening(pid: int) -> set[int]:
    """The TCP ports on which a process listens, as Linux knows them."""
    held = set()
    for one in Path(f"/proc/{pid}/fd").iterdir():
        with suppress(FileNotFoundError):  # closed meanwhile
            held.add(str(one.readlink()))
    rows = [line.split() for name in ("tcp", "tcp6") for line in Path(f"/proc/{pid}/net/{name}").read_text().splitlines()[1:]]
    return {int(row[1].rpartition(":")[2], 16) for row in rows if row[3] == "0A" and f"socket:[{row[9]}]" in held}


def test_without_the_setting_nothing_listens(tmp_path: Path) -> None:
    silent = Measured(tmp_path, metrics=None)
    silent.start()
    try:
        silent.until_ready()
        assert _listening(silent.process.pid) == {silent.gate_port, silent.door_port}
        with silent.client(silent.gate_port) as gate:
            assert gate.ask("/metrics", b"", method="GET").status == 404
    finally:
        silent.end()


def test_no_label_says_whom_or_what(measured: Measured) -> None:
    measured.ask_gate(IMAGE)
    measured.ask_gate(OTHER_IMAGE, namespace="elsewhere")
    text = get(measured.metrics_port)[1]
    for said in ("credit", "elsewhere", "sha256", "bank.example"):
        assert said not in text
