"""The auditors' questions, as docs/audit.md asks them: DuckDB runs each query over the table of a whole year, whose answers are known."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import duckdb
import pytest
from bank_year import Year, moment, whole_year
from world import World

from signoff.cli.program import answer

DOCS = Path(__file__).parent.parent.parent / "docs"
Answers = list[dict[str, Any]]


def documented() -> dict[str, list[str]]:
    """Return the queries of each question, by the question's number."""
    section = (DOCS / "audit.md").read_text(encoding="utf-8").partition("## Ten questions, in SQL")[2].partition("\n## ")[0]
    asked = re.split(r"^### ([0-9]+)[.] ", section, flags=re.MULTILINE)[1:]
    return {number: re.findall(r"```sql\n(.*?)```", text, re.DOTALL) for number, text in zip(asked[::2], asked[1::2], strict=True)}


QUESTIONS = documented()


@pytest.fixture(scope="module")
def asked(tmp_path_factory: pytest.TempPathFactory) -> Any:
    """The table of the year, and what happened in it. Nothing changes it, so that it is made once."""
    folder = tmp_path_factory.mktemp("year")
    year = Year(World(folder / "archive"), None)  # type: ignore[arg-type] - the command line is run by `answer` alone
    done = whole_year(year)
    given = ["export-table", "--out", str(folder / "table"), "--archive", year.site.url, "--trust", year.site.trust, "-o", "json"]
    assert answer(given, "signoff") == 1, "some of it does not verify"
    return Table(folder / "table"), done


class Table:
    """A table, as DuckDB reads it by the documented view."""

    def __init__(self, folder: Path) -> None:
        (view,) = re.findall(r"-- DuckDB\n(CREATE VIEW .*?)\n```", (DOCS / "table.md").read_text(encoding="utf-8"))
        self.connection = duckdb.connect()
        self.connection.execute(view.replace("/srv/audit/statements", str(folder)))

    def answer(self, number: int, query: int = 0) -> Answers:
        cursor = self.connection.execute(QUESTIONS[str(number)][query])
        names = [one[0] for one in cursor.description]
        return [dict(zip(names, row, strict=True)) for row in cursor.fetchall()]


def ids(answers: Answers) -> list[str]:
    return [one["id"] for one in answers]


def told(answers: Answers, *names: str) -> list[tuple[Any, ...]]:
    return [tuple(one[name] for name in names) for one in answers]


def test_there_are_ten_questions_and_one_before_them() -> None:
    assert list(QUESTIONS) == [str(number) for number in range(11)]
    assert all(QUESTIONS.values())


def test_what_does_not_verify_is_told_first(asked: Any) -> None:
    table, done = asked
    found = table.answer(0)
    assert {one["archive_key"]: one["why_not"].partition(":")[0] for one in found} == {
        f"events/{done['forged']}.sigstore.json": "rule 2 (signature)",
        f"events/{done['self']}.sigstore.json": "rule 13 (quorum)",
        done["correction by nobody"]: done["correction by nobody"],
    }
    assert {(one["type"], one["verifies"]) for one in found} == {("event", "no"), ("correction", "no")}


def test_every_promotion_is_told_with_who_which_policy_and_against_what(asked: Any) -> None:
    table, done = asked
    found = table.answer(1)
    promotions = [one.id for one in done.values() if not isinstance(one, str) and one.promotes]
    assert sorted(ids(found)) == sorted(promotions)
    first = found[0]
    assert (first["model"], first["decided_by"], first["tier"], first["rule"]) == (
        "credit-plain",
        "carla@bank.example",
        "tier-2",
        "named-individual",
    )
    assert (first["policy"], first["policy_published_by"], first["live_version"]) == ("credit-models", "paula@bank.example", None)
    assert first["challengers"] == "2.3 retrained on the same data 2.3.2, logistic-regression scorecard 5.1.0"
    (further,) = [one for one in found if one["id"] == done["by people"].id]
    assert further["live_version"] == "1.0.0"


def test_only_an_event_that_does_not_verify_was_decided_by_who_asked(asked: Any) -> None:
    table, done = asked
    (found,) = table.answer(2)
    assert (found["id"], found["decided_by"]) == (done["self"], None)
    assert found["why_not"].startswith("rule 13 (quorum): ")


def test_who_approve_each_others_requests_are_told(asked: Any) -> None:
    table, _ = asked
    (pair,) = table.answer(2, 1)
    both = {pair["one"]: pair["approved_by_one"], pair["other"]: pair["approved_by_other"]}
    assert both == {"ben@bank.example": 1, "carla@bank.example": 13}


def test_the_share_of_tier_3_is_told_by_the_month(asked: Any) -> None:
    table, _ = asked
    found = {one["month"]: (one["promotions"], one["tier_3"], float(one["percent"])) for one in table.answer(3)}
    assert found == {
        "2026-03": (1, 0, 0.0),
        "2026-04": (2, 1, 50.0),
        "2026-05": (2, 0, 0.0),
        "2026-06": (5, 0, 0.0),
        "2026-07": (1, 0, 0.0),
        "2026-08": (1, 0, 0.0),
        "2026-09": (2, 0, 0.0),
        "2026-10": (2, 0, 0.0),
    }


def test_an_emergency_is_owed_until_it_is_decided_in_full(asked: Any) -> None:
    table, done = asked
    answered, *owed = table.answer(4)
    assert (answered["id"], answered["decided_in_full_at"]) == (done["hurried"].id, moment("2026-06-03T11:00:05").replace(tzinfo=None))
    assert float(answered["hours_after"]) == 48.0
    assert told(owed, "id", "decided_in_full_at", "hours_after") == [
        (done["owed"].id, None, None),
        (done["owed again"].id, None, None),
    ], "another emergency answers for none, nor does another version"


def test_what_expired_and_was_not_renewed_is_told(asked: Any) -> None:
    table, done = asked
    assert told(table.answer(5), "id", "valid_until") == [
        (done["owed again"].id, moment("2026-06-10T23:00:00").replace(tzinfo=None)),
        (done["expired"].id, moment("2026-07-03T11:00:00").replace(tzinfo=None)),
    ]


def test_who_asked_again_after_a_rejection_is_told(asked: Any) -> None:
    table, done = asked
    found = table.answer(6)
    assert told(found, "id", "approved_by", "rejected_before_by", "attempt", "supersedes") == [
        (done["in full"].id, "david@bank.example", None, 2, None),
        (done["owed again"].id, "carla@bank.example", None, 2, None),
        (done["approved then"].id, "carla@bank.example", "david@bank.example", 2, done["refused"].id),
    ]


def test_an_explanation_or_data_that_is_an_earlier_versions_is_told(asked: Any) -> None:
    table, done = asked
    assert told(table.answer(7), "id", "earlier_version", "explanation", "datasets") == [
        (done["by people"].id, "1.0.0", "same", "same"),
        (done["between"].id, "1.0.0", "same", "same"),
        (done["owed again"].id, "1.1.0", "same", "same"),
        (done["same report"].id, "1.0.0", "same", "other"),
    ]


def test_approvals_faster_than_reading_are_told(asked: Any) -> None:
    table, done = asked
    assert told(table.answer(8), "id", "decided_by", "seconds_after_freeze", "after_whom", "seconds_after_them") == [
        (done["quick"].id, "carla@bank.example", 30, None, None),
        (done["quick"].id, "david@bank.example", 50, "carla@bank.example", 20),
    ]


def test_a_policy_that_was_changed_just_before_is_told(asked: Any) -> None:
    table, done = asked
    found = table.answer(9)
    assert told(found, "id", "policy", "published_by", "published_at") == [
        (done["changed"].id, "credit-models", "paula@bank.example", moment("2026-05-10T09:00:00").replace(tzinfo=None))
    ]
    assert float(found[0]["days_before"]) == 2.1


def test_what_was_revoked_is_told_and_how_long_after(asked: Any) -> None:
    table, done = asked
    (found,) = table.answer(10)
    assert (found["id"], found["revoked_by"], found["reason"]) == (
        done["revoked"].id,
        "david@bank.example",
        "The evaluation data were wrong.",
    )
    assert float(found["hours_after"]) == 36.0
