"""The explanation's markup inside its frame: what reaches out is renamed, however it is spelt, and all else stays."""

from __future__ import annotations

import pytest
from builders import example_explanation

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
