from __future__ import annotations

import os
import re
from html.parser import HTMLParser
from pathlib import Path

import pytest
from playwright.sync_api import sync_playwright
from populations import file, predictions

from signoff.checks import report as report_module
from signoff.checks.errors import BadTable
from signoff.checks.measure import File, measure
from signoff.checks.predictions import Names
from signoff.checks.report import MAX_REPORT, Side, Told, report_of
from signoff.record.values import Timestamp, sha256

HOSTILE = '<script>alert(1)</script><img src="https://evil.example/x" onerror=a>$\\frac$ &amp; --> url(#x)'
NAMED = 'a<b>"&$^x$'


def told(title: str = "Check of credit-scoring 2.4.0") -> Told:
    digest = sha256(b"x")
    sides = [
        Side("candidate", "credit-scoring 2.4.0", digest, "candidate.csv", digest, 1500),
        Side("evaluation", "data, version 1", digest),
    ]
    return Told(title, Timestamp("2026-03-02T10:00:00Z"), "signoff check-model", sides)


def refresh() -> bytes:
    return report_of(told(), measure(file("candidate.csv"), file("incumbent.csv"), file("reference.csv"), Names(), ["region"]))


def hostile() -> bytes:
    quoted = '"' + HOSTILE.replace('"', '""')[:60] + '"'
    column = '"' + NAMED.replace('"', '""') + '"'
    data = predictions(header=f"id,label,score,part,{column}", extra=f"{quoted},1")
    return report_of(
        told(HOSTILE), measure(File(HOSTILE, data), None, File("r", f"{column},gone<i>\n1,2\n2,2\n".encode()), Names(), ["part"])
    )


class Reader(HTMLParser):
    def __init__(self, page: bytes) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.text: list[str] = []
        self.drawn: list[str] = []
        self._drawing = False
        self.feed(page.decode())

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))
        self._drawing = self._drawing or tag == "svg"

    def handle_endtag(self, tag: str) -> None:
        self._drawing = self._drawing and tag != "svg"

    def handle_data(self, data: str) -> None:
        (self.drawn if self._drawing else self.text).append(data)


@pytest.mark.parametrize("make", [refresh, hostile])
def test_the_page_stands_alone_whatever_the_files_hold(make: object) -> None:
    page = make()  # type: ignore[operator]
    reader = Reader(page)
    tags = {tag for tag, _ in reader.tags}
    assert not tags & {"script", "img", "link", "iframe", "object", "image", "base", "form", "foreignobject", "b<"}
    for tag, attributes in reader.tags:
        assert not [name for name in attributes if name.startswith("on")]
        assert not attributes.keys() & {"src", "xlink:href", "xmlns"}
        assert (attributes.get("href") or "#").startswith("#"), tag
    named = [attributes["id"] for _, attributes in reader.tags if "id" in attributes]
    assert len(set(named)) == len(named)
    assert len(page) < MAX_REPORT


def test_nothing_outside_is_named() -> None:
    assert not re.search(rb"https?:|//|@import|xlink|url\((?!#)", refresh())


def test_what_came_from_a_file_is_shown_as_it_is() -> None:
    reader = Reader(hostile())
    text = "\n".join(reader.text)
    assert NAMED in [one.strip() for one in reader.drawn]
    assert HOSTILE in text
    assert NAMED in text
    assert "gone<i>" in text


def test_the_same_again_is_the_same_to_the_byte(monkeypatch: pytest.MonkeyPatch) -> None:
    import matplotlib as mpl

    first = refresh()
    monkeypatch.setitem(mpl.rcParams, "xtick.labelsize", 30.0)
    assert refresh() == first
    assert mpl.rcParams["xtick.labelsize"] == 30.0


def test_figures_are_those_of_the_check_and_drawings_say_what_they_show() -> None:
    result = measure(file("candidate.csv"), file("incumbent.csv"), file("reference.csv"), Names(), ["region"])
    reader = Reader(report_of(told(), result))
    text = "\n".join(reader.text)
    for one in result.figures.measurements():
        shown = one.value.replace("-", "\u2212")
        assert shown in text or f"{int(one.value):,}" in text, one.name
    tags = [tag for tag, _ in reader.tags]
    assert tags.count("svg") == tags.count("desc") == 5
    assert tags.count("caption") == tags.count("table")
    assert all(attributes["role"] == "img" and attributes["aria-labelledby"] for tag, attributes in reader.tags if tag == "svg")


def test_it_says_what_was_not_measured_and_why() -> None:
    data = b"id,label,score,x\na,0,0.1,1\nb,0,0.2,2\n"
    text = " ".join(Reader(report_of(told(), measure(File("c", data), None, File("r", b"x\n1\n2\n"), Names(), []))).text)
    assert "calibration.slope" in text
    assert "every label is 0" in text


def test_a_report_that_is_too_large_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(report_module, "MAX_REPORT", 1000)
    with pytest.raises(BadTable, match=r"would have .* bytes, more than 1,000"):
        refresh()


def test_the_largest_check_has_a_report_within_bounds() -> None:
    names = ",".join(f"feature_with_a_rather_long_name_{one}" for one in range(180))
    values = ",".join(["1"] * 180)
    given = File("c", predictions(5000, header=f"id,label,score,{names}", extra=values))
    assert len(report_of(told(), measure(given, given, File("r", f"{names}\n{values}\n".encode()), Names(), []))) < MAX_REPORT


@pytest.mark.browser
@pytest.mark.parametrize("make", [refresh, hostile])
def test_it_fits_small_and_large_screens(make: object, tmp_path: Path) -> None:
    path = tmp_path / "report.html"
    path.write_bytes(make())  # type: ignore[operator]
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(
            executable_path=os.environ.get("SIGNOFF_CHROMIUM", "/usr/bin/chromium"), args=["--no-sandbox", "--disable-gpu"]
        )
        for width in (360, 390, 1280, 1920):
            page = browser.new_page(viewport={"width": width, "height": 900})
            complaints: list[str] = []
            page.on("console", lambda message, complaints=complaints: complaints.append(message.text))
            page.goto(path.as_uri())
            assert page.evaluate("document.documentElement.scrollWidth") <= width
            assert page.evaluate("[...document.querySelectorAll('svg')].every(one => one.getBoundingClientRect().height > 40)")
            assert complaints == []
        browser.close()
