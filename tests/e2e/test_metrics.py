"""What the operator says of itself while it promotes, in a bank's cluster."""

from __future__ import annotations

import time

import pytest
from office import Office
from scraping import Scrape, scrape

from controlplane.bank import CARLA, DAVID

pytestmark = pytest.mark.cluster


def _commits(found: Scrape, outcome: str) -> float:
    return found.value("signoff_commits_total", outcome=outcome)


def _frozen(found: Scrape) -> tuple[float, float]:
    fetched = found.value("signoff_explanation_fetches_total", source="configMap", outcome="done")
    return found.value("signoff_freezes_total", outcome="done"), fetched


def test_a_promotion_and_a_rejection_move_the_figures(office: Office, operator_metrics: int) -> None:
    before = scrape(operator_metrics)
    office.frozen()
    office.until(lambda: scrape(operator_metrics).value("signoff_promotions", phase="waiting") >= 1)
    freezes, fetches = _frozen(before)
    assert _frozen(scrape(operator_metrics)) == (freezes + 1, fetches + 1)
    promoted = before.value("signoff_promotions", phase="promoted")
    office.decide(CARLA)
    office.until(lambda: scrape(operator_metrics).value("signoff_promotions", phase="promoted") == promoted + 1)
    assert _commits(scrape(operator_metrics), "promoted") == _commits(before, "promoted") + 1
    refused = Office(office.bank)
    refused.frozen()
    refused.decide(DAVID, verdict="Reject")
    refused.until(lambda: _commits(scrape(operator_metrics), "rejected") == _commits(before, "rejected") + 1)
    found = scrape(operator_metrics)
    assert found.value("signoff_pending_commits") == 0
    assert found.value("signoff_reconcile_seconds_count") > before.value("signoff_reconcile_seconds_count")
    assert time.time() - found.value("signoff_apiserver_last_reached_timestamp_seconds") < 60
