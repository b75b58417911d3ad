"""Goals: how each stands by what was measured. Cases in goals.yaml."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml

from bench.goals import GOALS, judge
from bench.rows import Row, Run

CASES: list[dict[str, Any]] = yaml.safe_load((Path(__file__).parent / "goals.yaml").read_text())


def run(date: str, *rows: Row) -> Run:
    return Run(date, "python -m bench run", {}, {}, rows)


@pytest.mark.parametrize("case", CASES, ids=[case["name"] for case in CASES])
def test_a_goal_stands_as_measured(case: dict[str, Any]) -> None:
    rows = [Row("gate", subject, figures, archive, way, clients) for subject, way, clients, archive, figures in case["rows"]]
    judged = next(one for one in judge([run("2026-01-01T00:00:00Z", *rows)]) if one.goal.name.startswith(case["goal"]))
    assert judged.answer == case["answer"]
    assert judged.figure == (pytest.approx(case["figure"]) if "figure" in case else None)


OTHER_GROUPS = [
    ("Memory of the webhook", Row("start", "webhook, start to ready", {"rss_mb": 150.0, "p50_ms": 1.0}), "met"),
    ("Memory of the webhook", Row("start", "webhook, start to ready", {"rss_mb": 150.1, "p50_ms": 1.0}), "missed"),
    ("Start to ready", Row("start", "webhook, start to ready", {"rss_mb": 1.0, "p50_ms": 2001.0}), "missed"),
    ("Approval to event", Row("approval", "click to event", {"p50_ms": 10.0, "max_ms": 1001.0}, "file"), "missed"),
    ("Approval to event", Row("approval", "click to event", {"p50_ms": 10.0, "max_ms": 999.0}, "file"), "met"),
    ("The desk's page", Row("portal", "the desk's page", {"p50_ms": 20.0}, way="paced", clients=50), "met"),
    ("The desk's page", Row("portal", "the desk's page", {"p50_ms": 20.1}, way="paced", clients=50), "missed"),
    ("The desk's page", Row("portal", "the desk's page", {"p50_ms": 1.0}, way="at once", clients=50), "not measured"),
    ("The frozen desk's first", Row("portal", "the frozen desk", {"p50_ms": 90.0, "first_p50_ms": 19.0}, way="paced", clients=50), "met"),
    ("The frozen desk to its", Row("portal", "the frozen desk", {"p50_ms": 90.0, "first_p50_ms": 19.0}, way="paced", clients=50), "missed"),
    ("The frozen desk, not compressed", Row("portal", "the frozen desk", {"p50_ms": 1, "first_p50_ms": 1}, way="paced"), "not measured"),
    ("A large desk frozen", Row("portal", "created to frozen, beside the fetch", {"p50_ms": 10.0, "max_ms": 1001.0}, "file"), "missed"),
    ("A click in the portal", Row("portal", "click to event", {"p50_ms": 10.0, "max_ms": 999.0}, "file"), "met"),
    ("Approval to event", Row("portal", "click to event", {"p50_ms": 10.0, "max_ms": 999.0}, "file"), "not measured"),
    ("A page of a history", Row("portal", "history, first page, an auditor, first request", {"max_ms": 1001.0}, "file 10000"), "missed"),
    ("signoff verify", Row("verify", "signoff verify", {"per_core": 4999.0}, "file 2000"), "missed"),
    ("signoff verify", Row("verify", "signoff verify", {"per_core": 5000.0}, "file 2000"), "met"),
]


@pytest.mark.parametrize(("goal", "row", "answer"), OTHER_GROUPS)
def test_a_goal_of_another_group_stands_as_measured(goal: str, row: Row, answer: str) -> None:
    judged = next(one for one in judge([run("2026-01-01T00:00:00Z", row)]) if one.goal.name.startswith(goal))
    assert judged.answer == answer


def test_what_is_compared_comes_from_one_run() -> None:
    baseline = run("2026-01-01T00:00:00Z", Row("gate", "gate, warm", {"p50_ms": 1.0}, "file 100", "direct", 1))
    later = run("2026-02-01T00:00:00Z", Row("gate", "gate, warm, 20 containers", {"p50_ms": 1.4}, "file 100", "direct", 1))
    judged = {one.goal.name: one.answer for one in judge([baseline, later])}
    assert judged["20 containers beside one, directly"] == "not measured"


def test_the_latest_run_that_measured_it_counts() -> None:
    old = run("2026-01-01T00:00:00Z", Row("verify", "signoff verify", {"per_core": 300.0}, "file 2000"))
    new = run("2026-02-01T00:00:00Z", Row("verify", "signoff verify", {"per_core": 6000.0}, "file 2000"))
    other = run("2026-03-01T00:00:00Z", Row("store", "read an object", {"p50_ms": 1.0}, "file"))
    (judged,) = [one for one in judge([other, new, old]) if one.goal.name.startswith("signoff verify")]
    assert (judged.answer, judged.run) == ("met", new)


def test_every_goal_says_what_is_wanted() -> None:
    assert all(goal.wanted.startswith(("at least ", "at most ")) for goal in GOALS)
    assert len({goal.name for goal in GOALS}) == len(GOALS)
