"""The explanation's markup inside its frame: what reaches out is renamed, however it is spelt, and all else stays."""

from __future__ import annotations

import re

import pytest
from builders import example_explanation
from hypothesis import given
from hypothesis import strategies as st

from signoff.desk.confinement import confined


@pytest.mark.parametrize(
    ("written", "kept"),
    [
        ('<iframe src="x">y</iframe>', '<x-iframe src="x">y</x-iframe>'),
        ("<IFrame/src=x>", "<x-IFrame/src=x>"),
        ("<frame\nsrc=x>", "<x-frame\nsrc=x>"),
        ("<frameset\x0c>", "<x-frameset\x0c>"),
        ("<object data=x><embed src=y></object>", "<x-object data=x><x-embed src=y></x-object>"),
        ('<link rel=preconnect href="x">', '<x-link rel=preconnect x-href="x">'),
        ('<base href="x">', '<x-base x-href="x">'),
        ('<a href="https://x">', '<a x-href="https://x">'),
        ("<a href = 'x'>", "<a x-href = 'x'>"),
        ('<a x-href="https://x" X-HREF=y>', '<a x-href="https://x" X-HREF=y>'),
        ("<a HREF=x>", "<a x-HREF=x>"),
        ('<a href="">', '<a x-href="">'),
        ('<a href=" #x">', '<a x-href=" #x">'),
        ('<a href="&#35;x">', '<a x-href="&#35;x">'),
        ('<a xlink:href="x">', '<a xlink:x-href="x">'),
        ('<a href="#x">', '<a href="#x">'),
        ("<a href=#x>", "<a href=#x>"),
        ("<a href = '#x'>", "<a href = '#x'>"),
        ('<animate attributeName="href">', '<x-animate attributeName="x-href">'),
        ("<animateTransform>", "<x-animateTransform>"),
        ("<set to=x>", "<x-set to=x>"),
        ('<meta http-equiv="refresh">', '<meta x-http-equiv="refresh">'),
        ("<meta HTTP-Equiv=refresh>", "<meta x-HTTP-Equiv=refresh>"),
        ("<form action=x>", "<x-form action=x>"),
        ("<iframes><linker><bases><settle>", "<iframes><linker><bases><settle>"),
    ],
)
def test_confined(written: str, kept: str) -> None:
    assert confined(written) == kept


def test_an_ordinary_document_stays_as_it_is() -> None:
    report = example_explanation().decode()
    assert confined(report) == report


_ELEMENTS = "iframe|frame|frameset|fencedframe|portal|webview|controlledframe|object|embed|applet|link|base|form|set|animate\\w*"
_STATED = re.compile(rf"</?(?=(?i:{_ELEMENTS})[\s/>])|(?<![Xx]-)(?i:href)(?!\s*=\s*[\"']?#)|(?i:http-equiv)")
"""What reaches, in one expression, which says of each place of a document whether anything reaches from there."""

PARTS = st.sampled_from(
    [
        *(
            "iframe",
            "frame",
            "FrameSet",
            "portal",
            "link",
            "base",
            "form",
            "animate",
            "animateMotion",
            "<ſet ",
            "</lİnk>",
            "<lınk/",
            "<set>",
        ),
        *("href", "HREF", "http-equiv", "HTTP-EQUİV", "http-equıv", "x-", "X-", "a", "h", "e", "İ", "ǰ", "é"),
        *("<", "</", "/", ">", "=", "#", '"', "'", " ", "\n"),
    ]
)


@given(st.lists(PARTS, max_size=12).map("".join))
def test_looking_for_names_first_finds_what_looking_at_each_place_finds(written: str) -> None:
    assert confined(written) == _STATED.sub(lambda found: f"{found[0]}x-" if found[0].startswith("<") else f"x-{found[0]}", written)
