"""The renditions of golden desks: the same bytes everywhere, the same content in both, and nothing left out.

After a change of the desk on purpose, write the golden files anew and read the difference:

    SIGNOFF_WRITE_GOLDEN=1 uv run pytest tests/desk/test_render.py -k golden
"""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from collections.abc import Iterator
from html.parser import HTMLParser
from pathlib import Path

import pytest
from builders import example_explanation, example_shown, explained
from desks import DESKS, MARKDOWN

from signoff.desk.comparison import live_sentence
from signoff.desk.errors import DeskError
from signoff.desk.legible import columns
from signoff.desk.render import render
from signoff.desk.sections import ASSURANCE, validity
from signoff.record.freeze import LiveIncumbent, Shown
from signoff.record.request import Incumbent
from signoff.record.values import sha256

GOLDEN = Path(__file__).parent / "golden"
HERE = Path(__file__).parent

named = pytest.mark.parametrize("name", list(DESKS))


@named
def test_golden(name: str) -> None:
    page, text = render(*DESKS[name]())
    assert (page.media_type, text.media_type) == ("text/html", "text/plain")
    for rendition, ending in ((page, "html"), (text, "txt")):
        file = GOLDEN / f"{name}.{ending}"
        if os.environ.get("SIGNOFF_WRITE_GOLDEN"):
            file.write_bytes(rendition.content)
        assert rendition.content == file.read_bytes(), f"{file.name} differs; see this module's first lines"


@pytest.mark.parametrize(
    "surroundings",
    [
        {"PYTHONHASHSEED": "1", "TZ": "Pacific/Kiritimati", "LC_ALL": "C"},
        {"PYTHONHASHSEED": "4242", "TZ": "America/St_Johns", "LC_ALL": "C.UTF-8", "PYTHONUTF8": "1", "LANG": "tr_TR.UTF-8"},
        {"PYTHONHASHSEED": "7", "PYTHONUTF8": "0", "LC_ALL": "POSIX", "PYTHONOPTIMIZE": "2"},
    ],
    ids=["hash seed 1", "hash seed 4242", "without UTF-8"],
)
def test_deterministic_in_other_surroundings(surroundings: dict[str, str]) -> None:
    program = (
        "import hashlib, json, sys; sys.path[:0] = json.loads(sys.argv[1])\n"
        "from desks import DESKS; from signoff.desk.render import render\n"
        "print(json.dumps({n: [hashlib.sha256(r.content).hexdigest() for r in render(*make())] for n, make in DESKS.items()}))"
    )
    paths = json.dumps([str(HERE), str(HERE.parent), str(HERE.parent.parent / "controller")])
    environment = {key: value for key, value in os.environ.items() if not key.startswith(("LC_", "PYTHON"))} | surroundings
    ran = subprocess.run([sys.executable, "-c", program, paths], env=environment, check=True, capture_output=True, timeout=60)
    here = {name: [sha256(one.content).removeprefix("sha256:") for one in render(*make())] for name, make in DESKS.items()}
    assert json.loads(ran.stdout) == here


def test_order_of_keys_does_not_matter() -> None:
    shown, explanation = DESKS["later-promotion"]()
    turned = shown.route.model_copy(update={"inputs": dict(reversed(shown.route.inputs.items()))})
    assert render(shown.model_copy(update={"route": turned}), explanation) == render(shown, explanation)


@named
def test_everything_is_shown_in_both(name: str) -> None:
    shown, explanation = DESKS[name]()
    page, text = render(shown, explanation)
    drawn = {"page": _bare(_words(page.content.decode())), "text": _bare(text.content.decode())}
    left_out = {"imageIndex", "bundle", "group", "source", "mediaType", "validFor", "time", "tier"}
    for path, leaf in _leaves(shown.model_dump(mode="json", exclude_none=True)):
        if not left_out & set(path):
            said = leaf.replace("-", " ") if path[-1] == "role" else leaf.replace("@sha256:", "sha256:")
            for rendition, words in drawn.items():
                assert _bare(said) in words, f"{'.'.join(path)} = {leaf!r} is not on the {rendition}"


@named
def test_never_says_that_it_is_approved(name: str) -> None:
    for rendition in render(*DESKS[name]()):
        written = re.sub(r'srcdoc="[^"]*"|^\| .*$|<pre.*</pre>', "", rendition.content.decode(), flags=re.MULTILINE | re.DOTALL)
        assert not re.search(r"\b(is|was|has been) (approved|promoted)\b", written)


@named
def test_text_fits_a_terminal(name: str) -> None:
    assert all(columns(line) <= 100 for line in render(*DESKS[name]())[1].content.decode().split("\n"))


def test_a_wide_comparison_is_continued_not_cut() -> None:
    text = render(*DESKS["later-promotion"]())[1].content.decode()
    assert text.count("\ncontinued\n") == 1
    assert all(f"Challenger {number}" in text for number in range(1, 9))


def test_a_metric_that_one_lacks_is_a_visible_gap() -> None:
    page, text = render(*DESKS["later-promotion"]())
    assert page.content.decode().count("not given") == 1 + 7 + 8 * 6
    assert re.search(r"^gini +0\.6254 k1 +- +- ", text.content.decode(), re.MULTILINE)


def test_each_figure_says_whose_word_it_is() -> None:
    page, text = (one.content.decode() for one in render(*DESKS["later-promotion"]()))
    assert '<span class="figure">0.8127</span> <span class="source">check 1</span>' in page
    assert '<span class="figure">0.0366</span> <span class="source">claimed</span>' in page
    assert re.search(r"^auc +0\.8127 k1 +0\.8012 c ", text, re.MULTILINE)
    assert "3 of 24 figures come from signed checks" in text


def test_a_metric_named_twice_keeps_both_figures() -> None:
    shown, explanation = DESKS["first-promotion"]()
    candidate = shown.comparison.candidate
    twice = candidate.model_copy(update={"metrics": (*candidate.metrics, candidate.metrics[0].model_copy(update={"value": "0.1234"}))})
    comparison = shown.comparison.model_copy(update={"candidate": twice})
    text = render(shown.model_copy(update={"comparison": comparison}), explanation)[1].content.decode()
    assert re.search(r"^auc +0\.8127 c", text, re.MULTILINE)
    assert re.search(r"^auc +0\.1234 c", text, re.MULTILINE)


def test_markdown_is_shown_as_written() -> None:
    page, text = (one.content.decode() for one in render(*DESKS["later-promotion"]()))
    assert "<iframe" not in page
    assert "&lt;script&gt;alert(&#39;x&#39;)&lt;/script&gt;" in page
    assert all(f"| {line}".rstrip() in text for line in MARKDOWN.decode().splitlines())


def test_no_document_passes_its_words_off_as_the_desks() -> None:
    forged = b"<p>End of the explanation.</p><h2>WHO DECIDES</h2><p>nobody</p>"
    lines = render(explained(forged), forged)[1].content.decode().splitlines()
    assert lines.count("End of the explanation.") == 1
    assert [line for line in lines if "nobody" in line and "nobody who asked" not in line] == ["| nobody"]


@pytest.mark.parametrize(
    ("given", "words"),
    [
        (None, "no end stated: it holds until it is revoked"),
        ("1h", "1 hour from"),
        ("24h", "24 hours (1 day) from"),
        ("8760h", "8,760 hours (365 days) from"),
        ("100h", "100 hours from"),
    ],
)
def test_validity(given: str | None, words: str) -> None:
    assert validity(given).startswith(words)


LIVE = LiveIncumbent(id="a" * 64, event=sha256(b"e"), version="2.3.1", digest=sha256(b"2.3.1"))


@pytest.mark.parametrize(
    ("named", "live", "words"),
    [
        (None, None, "knows no live version of this model here."),
        (("2.3.1", b"2.3.1"), None, "The request compares against 2.3.1 all the same."),
        (None, LIVE, "but the request names no incumbent"),
        (("2.3.1", b"2.3.1"), LIVE, "compares against exactly that"),
        (("2.3.1", b"other"), LIVE, "the same version under another digest"),
        (("2.2.0", b"2.2.0"), LIVE, "compares against 2.2.0: they are not the same"),
    ],
)
def test_live_incumbent(named: tuple[str, bytes] | None, live: LiveIncumbent | None, words: str) -> None:
    incumbent = Incumbent(version=named[0], digest=sha256(named[1])) if named else None
    assert words in live_sentence(incumbent, live, "here")


def test_every_assurance_is_said_in_words() -> None:
    for assurance, words in ASSURANCE.items():
        shown = example_shown()
        requirement = shown.route.requirement.model_copy(update={"assurance": assurance})
        route = shown.route.model_copy(update={"requirement": requirement})
        text = render(shown.model_copy(update={"route": route}), example_explanation())[1].content.decode()
        assert _bare(words) in _bare(text)


def test_another_renderer_is_refused() -> None:
    shown: Shown = example_shown().model_copy(update={"renderer": "signoff desk/0"})
    with pytest.raises(DeskError, match="use the version that froze it"):
        render(shown, example_explanation())


class _Words(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.words: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:  # noqa: ARG002
        self.words += [value for name, value in attrs if name == "srcdoc" and value]

    def handle_data(self, data: str) -> None:
        self.words.append(data)


def _words(page: str) -> str:
    parser = _Words()
    parser.feed(page)
    return "".join(parser.words)


def _bare(text: str) -> str:
    """Without blanks: lines break where they may."""
    return re.sub(r"\s+|^\| ", "", text, flags=re.MULTILINE).casefold()


def _leaves(value: object, path: tuple[str, ...] = ()) -> Iterator[tuple[tuple[str, ...], str]]:
    if isinstance(value, dict):
        for key, child in value.items():
            yield from _leaves(child, (*path, key))
    elif isinstance(value, (list, tuple)):
        for child in value:
            yield from _leaves(child, path)
    elif not isinstance(value, bool):
        yield path, f"{value:,}" if isinstance(value, int) else str(value)


def test_an_emergency_is_said_before_anything_is_decided() -> None:
    shown, explanation = DESKS["first-promotion"]()
    hasty = shown.route.model_copy(update={"inputs": {**shown.route.inputs, "emergency": "for 24 hours; a full approval is owed"}})
    for rendition in render(shown.model_copy(update={"route": hasty}), explanation):
        assert "It is decided in an emergency, for 24 hours; a full approval is owed." in " ".join(rendition.content.decode().split())
    assert "emergency" not in render(shown, explanation)[1].content.decode()
