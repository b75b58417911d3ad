from __future__ import annotations

import math
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import TypeAdapter

from signoff.record.values import Decimal
from signoff.registry.words import figure, plain_name, plain_path

DECIMAL: TypeAdapter[str] = TypeAdapter(Decimal)
FIGURES = {
    "0.8127": 0.8127, "0.30000000000000004": 0.1 + 0.2, "1500": 1500.0, "0": -0.0, "-0.02": -0.02, "1e-07": 1e-7, "1e+22": 1e22,
    "1e+99": 1e99, "9007199254740993": 9007199254740993,
}  # fmt: skip


@pytest.mark.parametrize("text", FIGURES)
def test_a_figure_is_the_shortest_decimal_of_its_double(text: str) -> None:
    value: Any = FIGURES[text]
    assert figure(float(value)) == text.replace("9007199254740993", "9007199254740992")


@given(st.floats(allow_nan=False, allow_infinity=False))
def test_every_figure_reads_back_as_the_same_double_and_the_record_takes_it(value: float) -> None:
    try:
        text = figure(value)
    except ValueError as error:
        assert "exponent" in str(error) or "largest double" in str(error)  # noqa: PT017 - most doubles are figures
        assert abs(value) >= 1e99 or abs(value) < 1e-98
    else:
        assert float(text) == value
        assert DECIMAL.validate_python(text) == text


@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf, 1.7976931348623157e308, -1.7976931348623157e308, 1e100, 5e-324])
def test_what_is_no_figure_is_refused_in_words(value: float) -> None:
    with pytest.raises(ValueError, match=r"^is (not a number|infinite|the largest double|[-0-9.e+]+, and an exponent)"):
        figure(value)


@pytest.mark.parametrize("name", ["auc", "auc in region=west", "precision@10", "f1/macro", "a-b_c.d"])
def test_plain_names_pass(name: str) -> None:
    assert plain_name(name) == name


@pytest.mark.parametrize(
    "name",
    ["", " a", "a ", "a  b", "a\nb", "a\tb", "a\x00", "a\x7f", "\u0430uc", "au\u0441", "\uff41uc", "a\u200bb", "a\u00a0b", "a" * 257],
)
def test_names_that_could_deceive_are_refused(name: str) -> None:
    with pytest.raises(ValueError, match=r"is empty|has|holds"):
        plain_name(name)


@pytest.mark.parametrize("path", ["MLmodel", "data/model.pkl", "a b/c-d.txt", "a..b", "..a/b", ".hidden", "a[1]/{x}~"])
def test_paths_that_go_down_pass(path: str) -> None:
    assert plain_path(path) == path


@pytest.mark.parametrize(
    "path",
    [
        "",
        "/a",
        "a/",
        "a//b",
        ".",
        "..",
        "../a",
        "a/..",
        "a/./b",
        "a\\b",
        "..\\a",
        "a%2fb",
        "%2e%2e/a",
        "a?b",
        "a#b",
        "C:\\a",
        "a/ b",
        "a\n/b",
    ],
)
def test_paths_that_go_elsewhere_are_refused(path: str) -> None:
    with pytest.raises(ValueError, match=r"is|has|holds"):
        plain_path(path)


def test_a_path_lies_in_its_folder() -> None:
    assert plain_path("a/b", "a") == "a/b"
    for path in ("b", "ab/c", "a"):
        with pytest.raises(ValueError, match="does not lie in a"):
            plain_path(path, "a")
