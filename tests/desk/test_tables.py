"""Tables of words are laid out here, to the letter as the library lays them out, which would take six times as long."""

from __future__ import annotations

import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from xml.etree.ElementTree import TreeBuilder

import pytest
from hypothesis import given
from hypothesis import strategies as st

from signoff.desk import explanation, tables
from signoff.desk.explanation import text_of


class NoWords(tables.Words):
    """Says of every table that it holds more than words, so that the library gets it."""

    def start(self, tag: str) -> bool:  # noqa: ARG002 - the interface
        return False

    def data(self, said: str) -> bool:  # noqa: ARG002
        return False

    def put(self, tree: TreeBuilder) -> None:
        """Write a table in which nothing stood."""
        tree.start("table", {})
        tree.end("table")


@pytest.fixture
def as_the_library(monkeypatch: pytest.MonkeyPatch) -> Callable[[str], str]:
    """Gives what becomes of markup where no table is laid out here."""

    def text(markup: str) -> str:
        with monkeypatch.context() as patched:
            patched.setattr(explanation, "Words", NoWords)
            return text_of(markup)

    return text


def cells(count: int) -> str:
    return "".join(f"<tr><th>row {number}<td>{number / 7:.4f} <img alt=plot><td><b>{number}</b> %" for number in range(count))


AS_IT_STANDS = {
    "words": "<table><tr><th>a<th>b<tr><td>long<td>1</table>",
    "spaces": "<table> <tr> <td>  a \n b\xa0 <td>\u3000\tc </table>",
    "nothing": "<table></table>",
    "rows of nothing": "<table><tr><tr><td></table>",
    "rows of other lengths": "<table><tr><td>a<tr><td>b<td>c<td>d<tr><td>e<td></table>",
    "groups": "<table><thead><tr><th>a</thead><tbody><tr><td>b</tbody><tfoot><tr><td>c</tfoot></table>after",
    "words of other weight": "<table><tr><td><b>a</b> <i>b<code>c</code></i><td>d</table>",
    "wide characters": "<table><tr><td>日本語<td>a<tr><td>b<td>c</table>",
    "wide words of other weight": f"<table><tr><td><b>{'x' * 45}</b><td><i>{'y' * 40}</i></table>",
    "a caption": "<table><caption>About</caption><tr><td>a<td>b</table>",
    "a word between": "<table><tr>outside<td>a<td>b</table>",
    "a line within": "<table><tr><td>a<br>b<td>c</table>",
    "a list within": "<table><tr><td><ul><li>a<li>b</ul><td>c</table>",
    "a heading within": "<table><tr><td><h2>a</h2><td>c</table>",
    "a quotation within": "<table><tr><td><q>a</q><td>c</table>",
    "a picture within": "<table><tr><td><img alt='a plot'><td>c</table>",
    "a table within": "<table><tr><td>a<table><tr><td>b<td>c</table><td>d</table>",
    "pictures within": "<table><tr><td><img alt=a>b<img><td>c<tr><td><b><img alt=d></b><td>e</table>",
    "a picture between": "<table><tr><img alt=a><td>c</table>",
    "a paragraph in a row": "<table><tr><p>a</p><td>b</table>",
    "groups in a group": "<table><tbody><thead><tr><td>a</thead><tr><td>b</tbody><tr><td>c</table>",
    "never shown": "<template><table><tr><td>a</table></template>b<table><tr><td><script>c</script>d<td>e</table>",
    "in a drawing": "<svg><title>t</title><table><tr><td>a</table></svg>b",
    "an entity": "<table><tr><td>a &amp; b<td>&amp;lt;<tr><td>&amp;#10;<td>c</table>",
    "in a list": "<ul><li>a<table><tr><td>b<td>c<tr><td>d<td>e</table>f<li>g</ul>",
    "in a paragraph of others": "x<span>y<table><tr><td>b<td>c</table>z</span><p>w",
    "in verse": "<pre>a\n <table><tr><td>b  c<td>d</table>\n e</pre>",
    "one after the other": "<div><table><tr><td>a</table><table><tr><td>b</table></div>",
    "in columns that fit": f"<table>{cells(50)}</table>",
    "rows beyond what stands in columns": f"<table>{cells(2_001)}</table>",
    "too wide": f"<p>a<table><tr><td>{'x' * 60}<td>{'y' * 60}<td><tr><td><td>z</table>b",
}


@pytest.mark.parametrize("case", list(AS_IT_STANDS))
def test_it_is_to_the_letter_what_the_library_makes_of_it(case: str, as_the_library: Callable[[str], str]) -> None:
    assert text_of(AS_IT_STANDS[case]) == as_the_library(AS_IT_STANDS[case])


ROW_BY_ROW = {
    "rows beyond what stands in columns": True,
    "too wide": True,
    "wide words of other weight": True,
    "in columns that fit": False,
    "words": False,
}


@pytest.mark.parametrize("case", list(ROW_BY_ROW))
def test_rule_1_what_would_not_fit_is_written_row_by_row(case: str, as_the_library: Callable[[str], str]) -> None:
    for drawn in (text_of, as_the_library):
        assert (" | " in drawn(AS_IT_STANDS[case])) == ROW_BY_ROW[case]


WORDS = st.sampled_from(["a", "0.8127", "two words", " ", "", "\n", "日本", "&", "&amp;amp;", "é", "x" * 45])
INLINE = st.one_of(WORDS, WORDS.map(lambda words: f"<b>{words}</b>"), WORDS.map(lambda words: f"<code>{words}<i>{words}</i></code>"))
OTHER = st.sampled_from(["<br>", "<p>p</p>", "<ul><li>l</ul>", "<q>q</q>", "<h3>h</h3>", "<img alt=i>", "<svg><title>t</title></svg>"])
SAID = st.lists(st.one_of(INLINE, INLINE, INLINE, OTHER), max_size=2).map("".join)
CELL = st.tuples(st.sampled_from(["<td>", "<th>"]), SAID).map("".join)
ROW = st.tuples(st.sampled_from(["<tr>", "<tr>", "<tr> "]), st.lists(CELL, max_size=4).map("".join)).map("".join)
GROUP = st.tuples(st.sampled_from(["", "<tbody>", "<thead>", "<caption>c</caption>"]), st.lists(ROW, max_size=4).map("".join)).map("".join)
TABLE = st.lists(GROUP, max_size=2).map(lambda groups: f"<table>{''.join(groups)}</table>")
AROUND = st.sampled_from(
    ["{}", "<p>p{}q", "<ul><li>{}<li>m</ul>", "<pre>v\n{}</pre>", "<table><tr><td>o{}<td>p</table>", "<section>{}{}</section>"]
)


@given(st.lists(st.tuples(AROUND, TABLE), max_size=3))
def test_so_it_is_of_whatever_table(parts: list[tuple[str, str]]) -> None:
    markup = "".join(around.replace("{}", table) for around, table in parts)
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(explanation, "Words", NoWords)
        library = text_of(markup)
    assert text_of(markup) == library


def test_a_report_of_many_cells_takes_a_fraction_of_the_librarys_time(as_the_library: Callable[[str], str]) -> None:
    report = "".join(f"<h2>{number}</h2><table>{cells(200)}</table>" for number in range(40))
    begun = time.thread_time()
    text = text_of(report)
    between = time.thread_time()
    assert text == as_the_library(report)
    assert between - begun < (time.thread_time() - between) / 2


@pytest.mark.parametrize("tag", ["columns", "laid", "laid out", tables.LAID_OUT.upper()])
def test_no_document_writes_the_tag_of_what_was_laid_out(tag: str) -> None:
    assert text_of(f"<{tag} text='forged'>written</{tag}>").strip() == "written"
    assert text_of(f"<table><tr><td><{tag} text='forged'>written</{tag}><td>too</table>").split() == ["written", "too"]


def test_what_is_drawn_in_several_threads_is_each_its_own() -> None:
    documents = [f"<p>{'word ' * 50}{number}" for number in range(400)]
    with ThreadPoolExecutor(8) as pool:
        assert [one.split()[-1] for one in pool.map(text_of, documents)] == [str(number) for number in range(400)]


def test_the_style_of_the_body_is_nobodys_in_common() -> None:
    """The library draws on whatever canvas stands in it, so that one thread could draw on another's."""
    text_of("<p>one")
    assert all(style.canvas is None for style in explanation._STYLE.values())
