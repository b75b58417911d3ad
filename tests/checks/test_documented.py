"""docs/checks.md: its example is a check, and every figure has its line."""

from __future__ import annotations

import json
import re
from pathlib import Path

from populations import file

from signoff.checks.measure import measure
from signoff.checks.predictions import Names
from signoff.record.bundle import read_statement
from signoff.record.canonical import dumps
from signoff.record.check import CHECK_TYPE, CheckStatement, check_subjects

PAGE = (Path(__file__).parent.parent.parent / "docs" / "checks.md").read_text(encoding="utf-8")


def test_the_documented_statement_is_a_check() -> None:
    (written,) = re.findall(r"```json\n(.*?)```", PAGE, re.DOTALL)
    statement = read_statement(CheckStatement, dumps(json.loads(written)), CHECK_TYPE, "docs")
    assert statement.subject == check_subjects(statement.predicate)


def test_every_figure_is_documented() -> None:
    table = PAGE.partition("## The figures")[2].partition("Sources:")[0]
    documented = set(re.findall(r"`([^`]+)`", table))
    result = measure(file("candidate.csv"), file("incumbent.csv"), file("reference.csv"), Names(), ["region"])
    for one in result.figures.measurements():
        name = one.name.partition(" in ")[0]
        known = {name, f"{name} in COLUMN=VALUE"} if not name.startswith("psi.") else {name, "psi.FEATURE"}
        assert known & documented, one.name
