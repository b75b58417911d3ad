"""Rows of several rounds and runs, kept together without mixing what is compared."""

from __future__ import annotations

from pathlib import Path

import pytest

from bench.errors import BenchError
from bench.page import page, report
from bench.processes import counters
from bench.rows import Row, Run, medians, merged, read_run, read_runs, write_run


def run(date: str, *rows: Row) -> Run:
    return Run(date, f"python -m bench run # {date}", {"cores": "2"}, {"signoff": "0.1.0"}, rows, 90.0)


def test_figures_of_rounds_are_medians_and_counts_are_summed() -> None:
    rounds = [{"p50_ms": 3.0, "requests": 10.0, "errors": 0.0}, {"p50_ms": 1.0, "requests": 20.0, "errors": 1.0}]
    assert medians([*rounds, {"p50_ms": 9.0, "requests": 5.0, "errors": 0.0}]) == {"p50_ms": 3.0, "requests": 35.0, "errors": 1.0}


def test_a_figure_that_a_round_lacks_is_left_out() -> None:
    assert medians([{"p50_ms": 1.0, "reads": 2.0}, {"p50_ms": 3.0}]) == {"p50_ms": 2.0}


def test_of_one_name_the_latest_row_is_shown_under_its_own_date() -> None:
    old, new, other = Row("store", "read", {"p50_ms": 9.0}), Row("store", "read", {"p50_ms": 1.0}), Row("store", "create", {"p50_ms": 5.0})
    first, second = run("2026-01-01T00:00:00Z", old, other), run("2026-02-01T00:00:00Z", new)
    assert merged([second, first]) == [(new, second), (other, first)]
    text = page([second, first])
    assert [line.split("|")[-2].strip() for line in text.splitlines() if line.startswith(("| read", "| create"))] == [
        "2026-02-01",
        "2026-01-01",
    ]


def test_two_rows_of_one_name_in_one_run_are_refused() -> None:
    with pytest.raises(BenchError, match="measured twice"):
        run("2026-01-01T00:00:00Z", Row("store", "read", {}), Row("store", "read", {}))


def test_a_run_is_read_as_it_was_written(tmp_path: Path) -> None:
    written = run("2026-01-01T00:00:00Z", Row("gate", "gate, warm", {"p50_ms": 1.5}, "file 100", "api", 8))
    path = write_run(written, tmp_path / "results")
    assert read_run(path.read_text()) == written
    assert read_runs(tmp_path / "results") == [written]


def test_every_table_has_as_many_cells_in_each_line() -> None:
    rows = [
        Row("gate", "no webhook", {"p50_ms": 1.0, "requests": 1000.0}, way="api", clients=1),
        Row("gate", "gate, warm", {"p50_ms": 2.0, "requests": 500.0, "cpu_ms": 0.7}, "file 100", "api", 1),
    ]
    for text in (page([run("2026-01-01T00:00:00Z", *rows)]), report(run("2026-01-01T00:00:00Z", *rows))):
        for table in text.split("\n\n"):
            lines = table.splitlines()
            if lines and lines[0].startswith("|"):
                assert len({line.count("|") for line in lines}) == 1, table
        cells = [cell.strip() for line in text.splitlines() if line.startswith("| no webhook") for cell in line.split("|")[1:-1]]
        assert cells == ["no webhook", "", "api", "1", "1,000", "1.00", "-", "2026-01-01"], "what was not measured is said to be absent"


def test_the_page_says_which_figures_are_others() -> None:
    text = page([run("2026-01-01T00:00:00Z", Row("store", "read", {"p50_ms": 1.0}))])
    others = text[text.index("## Others") :]
    assert "**not from this run**" in others
    assert "python -m bench run # 2026-01-01" in text
    assert "cores: 2" in text


def test_counters_are_summed_over_their_labels() -> None:
    text = """# HELP signoff_archive_operations_total x
# TYPE signoff_archive_operations_total counter
signoff_archive_operations_total{operation="read",outcome="ok"} 3.0
signoff_archive_operations_total{operation="list",outcome="ok"} 4.0
signoff_verifications_total{outcome="believed"} 1e+02
signoff_archive_operations_totals 7.0
"""
    assert counters(text) == {"reads": 7.0, "verifications": 100.0}
    assert counters("") == {}
