"""Drawings beside figures: where each stands, whatever the figures are, and what is said to whoever does not see them."""

from __future__ import annotations

import re
from decimal import ROUND_UP, Context, Decimal, localcontext

import pytest
from desks import DESKS

from signoff.desk.render import render
from signoff.desk.strips import Placed, better, scale_of, strip_of

PLACES: dict[str, tuple[list[str], list[str]]] = {
    "ends and middle": (["0.7", "0.8", "0.9"], ["5.0%", "50.0%", "95.0%"]),
    "any order": (["3", "1", "2"], ["95.0%", "5.0%", "50.0%"]),
    "negative": (["-3", "-1", "-2"], ["5.0%", "95.0%", "50.0%"]),
    "equal": (["0.5", "0.50", "5e-1"], ["50.0%", "50.0%", "50.0%"]),
    "nothing but zero": (["0", "0.0", "-0"], ["50.0%", "50.0%", "50.0%"]),
    "all but equal looks so": (["1.000", "1.001"], ["45.5%", "54.5%"]),
    "the widest": (["9.9e99", "-9.9e99", "0"], ["95.0%", "5.0%", "50.0%"]),
    "the smallest": (["1e-99", "-1e-99", "0"], ["95.0%", "5.0%", "50.0%"]),
    "the widest beside the smallest": (["1e99", "1e-99", "-1e-99"], ["95.0%", "5.0%", "5.0%"]),
    "more digits than a double has": ([f"0.{'3' * 61}1", f"0.{'3' * 61}2", "0"], ["95.0%", "95.0%", "5.0%"]),
    "spelt in another way": (["1E2", "100.0", "1e+2"], ["50.0%", "50.0%", "50.0%"]),
}


@pytest.mark.parametrize("case", PLACES)
def test_rule_3_where_figures_stand(case: str) -> None:
    values, wanted = PLACES[case]
    scale = scale_of(values)
    assert [scale.at(Decimal(value)) for value in values] == wanted


@pytest.mark.parametrize("case", PLACES)
def test_rule_1_whatever_precision_the_process_has(case: str) -> None:
    values, wanted = PLACES[case]
    with localcontext(Context(prec=1, rounding=ROUND_UP)):
        scale = scale_of(values)
        assert [scale.at(Decimal(value)) for value in values] == wanted


def test_rule_3_lines_are_within_the_scale_and_what_is_beyond_stands_at_its_end() -> None:
    scale = scale_of(["0", "0.05"], ["0.1", "0.25"])
    assert [scale.at(one) for one in scale.lines] == ["41.0%", "95.0%"]
    assert scale.at(Decimal("0.3")) == "95.0%"
    assert scale.at(Decimal(-1)) == "5.0%"


ALONE: list[Placed] = [("candidate", "1")]


def test_rule_3_one_figure_alone_is_compared_with_nothing() -> None:
    assert strip_of("auc", ALONE) is None
    assert strip_of("auc", []) is None
    assert strip_of("auc", ALONE, scale_of(["0", "2"])) is not None


def test_rule_4_each_form_is_drawn_and_the_candidate_last() -> None:
    page = render(*DESKS["refreshed-promotion"]())[0].content.decode()
    row, *_ = re.findall(r'<svg class="strip" role="img"[^>]*><title>auc, drawn: the candidate’s 0.8161 .*?</svg>', page)
    assert re.findall(r'<(?:circle|rect|line) class="(\w+)"', row) == ["axis", "challenger", "incumbent", "candidate"]


TITLES: dict[str, tuple[list[Placed], str]] = {
    "above": ([("incumbent", "1"), ("candidate", "2")], "x, drawn: the candidate’s 2 is above the incumbent’s 1"),
    "below": ([("incumbent", "1"), ("candidate", "-2")], "x, drawn: the candidate’s -2 is below the incumbent’s 1"),
    "equal": ([("incumbent", "1"), ("candidate", "1.0")], "x, drawn: the candidate’s 1.0 is equal to the incumbent’s 1"),
    "challengers": (
        [("challenger", "1"), ("challenger", "2"), ("challenger", "3"), ("candidate", "2")],
        "x, drawn: the candidate’s 2 is above 1 of 3 challengers, equal to 1",
    ),
    "by number and not by spelling": (
        [("challenger", "9"), ("challenger", "1e1"), ("challenger", "10.0"), ("candidate", "10")],
        "x, drawn: the candidate’s 10 is above 1 of 3 challengers, equal to 2",
    ),
    "both": (
        [("challenger", "1"), ("incumbent", "3"), ("candidate", "2")],
        "x, drawn: the candidate’s 2 is below the incumbent’s 3, and above 1 of 1 challengers",
    ),
    "no candidate": ([("challenger", "2"), ("challenger", "-1e9"), ("incumbent", "3")], "x, drawn: 3 figures from -1e9 to 3"),
}


@pytest.mark.parametrize("case", TITLES)
def test_what_is_drawn_is_said(case: str) -> None:
    placed, title = TITLES[case]
    strip = strip_of("x", placed)
    assert strip is not None
    assert strip.title == title


@pytest.mark.parametrize(
    ("metric", "end"),
    [
        ("auc", "higher is better"),
        ("ROC_AUC", "higher is better"),
        ("Balanced Accuracy", "higher is better"),
        ("log_loss", "lower is better"),
        ("calibration.error", "lower is better"),
        ("auc-drop", ""),  # a name that begins alike may mean the contrary
        ("default-rate-approved", ""),
        ("", ""),
    ],
)
def test_rule_5_which_end_is_better_by_the_whole_name_alone(metric: str, end: str) -> None:
    assert better(metric) == end


def test_rule_2_nothing_that_is_sent_becomes_markup_of_a_drawing() -> None:
    page = render(*DESKS["hostile-figures"]())[0].content.decode()
    drawings = re.findall(r"<svg.*?</svg>", page, re.DOTALL)
    assert len(drawings) > 10
    for one in drawings:
        assert set(re.findall(r"<(\w+)", one)) <= {"svg", "title", "line", "rect", "circle"}
        assert not re.search(r"\s(on\w+|style|href)=", re.sub(r"<title>.*?</title>", "", one))
        assert set(re.findall(r' (?:x|x1|x2|cx)="([^"]*)"', one)) <= {f"{n // 10}.{n % 10}%" for n in range(50, 951)} | {"5%", "50%", "95%"}


def test_many_metrics_and_challengers_stay_small() -> None:
    from desks import crowded

    shown, explanation = crowded()
    page, text = render(shown, explanation)
    assert page.content.count(b'role="img"') == 200
    assert len(page.content) < 1_500_000
    assert len(text.content) < 500_000
