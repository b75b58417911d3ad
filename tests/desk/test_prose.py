"""Prose is written to the letter as the library writes it, letter by letter."""

from __future__ import annotations

import time

import pytest
from hypothesis import given
from hypothesis import strategies as st
from inscriptis.model.canvas.block import Block
from inscriptis.model.canvas.prefix import Prefix

from signoff.desk import explanation
from signoff.desk.explanation import text_of
from signoff.desk.prose import Line

SAID = st.one_of(
    st.sampled_from(["", " ", "\n", " a", "a ", "a\t\xa0 b", "\u3000", "\x1c", "&amp;", "&", "amp;", "&lt;b&gt; "]), st.text(max_size=5)
)
"""White space of every kind, entities whole and in parts, and whatever else."""


def written(kind: type[Block], padding: int, bullet: str, texts: list[tuple[str, bool, bool]]) -> list[tuple[str, int, bool]]:
    prefix = Prefix()
    prefix.register_prefix(padding, bullet)
    line, lines = kind(0, prefix), []
    for text, verbatim, ends in texts:
        (line.merge_pre_text if verbatim else line.merge_normal_text)(text)
        if ends:
            lines.append((line.content, line.idx, line.collapsable_whitespace))
            line = line.new_block()
    assert type(line) is kind
    return [*lines, (line.content, line.idx, line.collapsable_whitespace)]


@given(st.integers(0, 4), st.sampled_from(["", "* "]), st.lists(st.tuples(SAID, st.booleans(), st.booleans()), max_size=6))
def test_a_line_holds_what_the_librarys_holds(padding: int, bullet: str, texts: list[tuple[str, bool, bool]]) -> None:
    assert written(Line, padding, bullet, texts) == written(Block, padding, bullet, texts)


AROUND = st.sampled_from(
    ["{}", "<p>{}</p>", "<b>{}</b>", "<pre>{}</pre>", "<ul><li>{}<li>{}</ul>", "<table><tr><td>{}<p>{}</table>", "{}<br>"]
)


@given(st.lists(st.tuples(AROUND, SAID), max_size=6))
def test_so_it_is_in_whatever_stands_around(parts: list[tuple[str, str]]) -> None:
    markup = "".join(around.replace("{}", said) for around, said in parts)
    with pytest.MonkeyPatch.context() as patched:
        del_body = {tag: handler for tag, handler in explanation._HANDLERS.start_tag_mapping.items() if tag != "body"}
        patched.setattr(explanation, "_HANDLERS", explanation._HANDLERS._replace(start_tag_mapping=del_body))
        library = text_of(markup)
    assert text_of(markup) == library


def test_much_prose_takes_a_fraction_of_the_librarys_time() -> None:
    text = "a word and another " * 20_000
    spent = []
    for kind in (Line, Block):
        begun = time.thread_time()
        written(kind, 0, "", [(text, False, False)])
        spent.append(time.thread_time() - begun)
    assert spent[0] < spent[1] / 3
