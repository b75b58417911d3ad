"""The explanation: what is refused, what becomes of HTML as text, and what no document can do to a terminal or to our time."""

from __future__ import annotations

import time

import pytest
from builders import example_explanation, explained
from hypothesis import given
from hypothesis import strategies as st

from signoff.desk import legible as legible_module
from signoff.desk.errors import DeskError
from signoff.desk.explanation import MAX_EXPLANATION, text_of
from signoff.desk.legible import columns, legible, wrapped
from signoff.desk.render import Rendition, render


def drawn(content: bytes, media_type: str = "text/html") -> tuple[Rendition, Rendition]:
    return render(explained(content, media_type), content)


REFUSED = {
    "not UTF-8": ("café".encode("latin-1"), "not UTF-8 at byte 3"),
    "UTF-16": ("text".encode("utf-16"), "not UTF-8 at byte 0"),
    "half a character": (b"caf\xc3", "not UTF-8 at byte 3"),
    "an encoded surrogate": (b"\xed\xa0\x80", "not UTF-8 at byte 0"),
    "too large": (b" " * (MAX_EXPLANATION + 1), "more than 10,485,760"),
}


@pytest.mark.parametrize("media_type", ["text/html", "text/plain", "text/markdown"])
@pytest.mark.parametrize("case", list(REFUSED))
def test_refused(case: str, media_type: str) -> None:
    content, words = REFUSED[case]
    with pytest.raises(DeskError, match=words):
        drawn(content, media_type)


HEAVY = {
    "nested too deep": (b"<div>" * 100_000, "nests more than 200 elements deep"),
    "too many elements": (b"<p>" * 3_000_000, "more than 100,000 elements"),
    "one piece beyond the parser": (b"<p>" + b"x" * 10_300_000, ""),
    "attributes without end": (b"<p " + b" ".join(b"a%d=1" % n for n in range(800_000)) + b">x", ""),
    "a table of a wide cell and many rows": (b"<table><tr><td>" + b"y" * 100_000 + b"<tr><td>x" * 40_000, ""),
    "a table of a wide cell and rows": (b"<table><tr><td>" + b"y" * 100_000 + b"<td>z" + b"<tr><td>x<td>z" * 1_900, ""),
    "lists in lists": (b"<ul>" * 100 + b"<li>x" * 90_000, ""),
    "one line of words": (b"<p>" + b"x " * 4_900_000, ""),
    "line ends": (b"<pre>" + b"\n" * 9_000_000, ""),
}


@pytest.mark.parametrize("case", list(HEAVY))
def test_heavy_documents_are_drawn_or_refused_in_bounded_time(case: str) -> None:
    content, words = HEAVY[case]
    begun = time.monotonic()
    if words:
        with pytest.raises(DeskError, match=words):
            drawn(content)
    else:
        assert all(len(rendition.content) <= 32 * 1024 * 1024 for rendition in drawn(content))
    assert time.monotonic() - begun < 30


def test_ten_mebibytes_are_drawn() -> None:
    content = b"<p>A figure.</p><img alt='chart' src='data:image/png;base64," + b"A" * (MAX_EXPLANATION - 100)
    content = content[: MAX_EXPLANATION - 2] + b"'>"
    page, text = drawn(content)
    assert len(page.content) > MAX_EXPLANATION
    assert "| A figure.\n" in text.content.decode()


def test_other_bytes_than_the_freeze_names_are_refused() -> None:
    other = example_explanation().replace(b"0.8127", b"0.9127")
    with pytest.raises(DeskError, match="the freeze names"):
        render(explained(example_explanation()), other)


AS_TEXT = {
    "what a style hides is written": ('<p style="display:none">hidden', "hidden"),
    "what an attribute indents is not": ('<p style="padding-left:90000em">x', "x"),
    "a style within a style within": ("<p style='" + "style:" * 5000 + "'>x", "x"),
    "code is left out": ("<p>a</p><script>b()</script><style>c{}</style><template>d</template>", "a"),
    "a comment is left out": ("a<!-- b --> c", "a c"),
    "noscript is shown, since no script runs": ("<noscript>seen</noscript>", "seen"),
    "an object's fallback is shown, since no object is": ("<object data=x>seen</object>", "seen"),
    "a picture is named": ('<img alt="a  curve">', "[picture: a curve]"),
    "a picture without words": ("<img src=x>", "[picture without a description]"),
    "a drawing is named, without its labels": (
        "<svg><title>T.</title><g><title>inner</title><text>0.5</text></g><desc>D</desc></svg> z",
        "[picture: T. inner D]\n\nz",
    ),
    "a table": ("<table><tr><th>a<th>b<tr><td>long<td>1</table>", "a     b\nlong  1"),
    "a table that lays out another": ("<table><tr><td><table><tr><td>a<td>b</table><td>c</table>", "a  b\n\n| c"),
    "a table too wide": (f"<table><tr><td>{'x' * 90}<td>y</table>", f"{'x' * 90} | y"),
    "headings": ("<h2>Title</h2>text", "# Title\n\ntext"),
    "entities": ("&lt;b&gt; &amp;", "<b> &"),
    "an encoding that lies": ('<?xml version="1.0" encoding="latin1"?><meta charset="latin1"><p>é', "é"),
    "nothing": ("", ""),
    "not closed": ("<b><i>x", "x"),
    "closed too often": ("x</p></div></body></html></b>y", "x\ny"),
}


@pytest.mark.parametrize("case", list(AS_TEXT))
def test_html_as_text(case: str) -> None:
    markup, text = AS_TEXT[case]
    assert text_of(markup).strip() == text.strip()


ACTING = {
    "ANSI colour": "\x1b[31mred\x1b[0m",
    "ANSI clear": "\x1b[2J\x1b[H",
    "set title": "\x1b]0;approved\x07",
    "C1 introducer": "\u009b31m",
    "carriage return": "tier-1\rtier-3",
    "backspace": "no\b\b  yes",
    "override": "\u202egnorw\u202c",
    "isolate": "\u2066a\u2069",
    "mark": "\u200fa",
    "zero width": "a\u200bb",
    "soft hyphen": "a\u00adb",
    "tag characters": "a\U000e0041",
    "line separator": "a\u2028b",
    "byte order mark": "a\ufeffb",
    "null": "a\x00b",
}


@pytest.mark.parametrize("media_type", ["text/html", "text/plain", "text/markdown"])
@pytest.mark.parametrize("case", list(ACTING))
def test_nothing_acts_on_a_terminal(case: str, media_type: str) -> None:
    content = f"before {ACTING[case]} after".encode()
    written = drawn(content, media_type)[1].content.decode()
    assert all(character == "\n" or ord(character) >= 0x20 for character in written)
    assert not set(written) & set("".join(ACTING.values())) - set(map(chr, range(0x20, 0x7F)))
    assert "before" in written
    assert "after" in written


def test_what_acts_is_spelt_out() -> None:
    assert legible("a\x1b[31m\u202eb\r\nc\td") == "a[U+001B][31m[U+202E]b\nc\td"
    assert legible("नमस्ते می‌خواهم 日本語 ñ e\u0301 👩‍🔬") == "नमस्ते می‌خواهم 日本語 ñ e\u0301 👩‍🔬"


def test_no_character_that_acts_passes() -> None:
    acting = [one for one in map(chr, range(0x110000)) if legible_module._ACTING.match(one)]
    assert len(acting) > 70_000
    assert [one for one in acting if legible(f"a line\n{one} é") != f"a line\n[U+{ord(one):04X}] é"] == []


@given(st.text(st.one_of(st.characters(), st.sampled_from("\x00\x1b\x7f\x85\xad\u200b\u202e\ufeff\ud800\uffff\t\n ")), max_size=8))
def test_each_character_that_acts_is_spelt_out_wherever_it_stands(text: str) -> None:
    whole = f"a line\n{text}another"
    assert legible(whole) == "".join(map(legible, whole.replace("\r\n", "\n")))


@pytest.mark.parametrize(
    ("line", "pieces"),
    [
        ("", [""]),
        ("one two", ["one two"]),
        ("one two three", ["one two", "three"]),
        ("  * one two three", ["  * one", "    two", "    three"]),
        ("abcdefghijklmnop", ["abcdefghij", "klmnop"]),
        ("日本語日本語", ["日本語日本", "語"]),
        ("            deep", ["", "deep"]),
        ("    deep inside", ["    deep", "    inside"]),
    ],
)
def test_wrapped(line: str, pieces: list[str]) -> None:
    assert list(wrapped(line, 10)) == pieces
    assert all(columns(piece) <= 10 for piece in wrapped(line, 10))
