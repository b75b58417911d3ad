"""The page in a real browser: whatever an explanation tries, no request leaves it, nothing runs, and the page stays what it is.

What leaves is counted by a listener at the other end, not by what the browser says of itself.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
import yaml
from axe_playwright_python.sync_playwright import Axe
from browsing import PAIRS, Listener, contrast, launched
from builders import example_explanation, example_shown, explained
from desks import DESKS
from playwright.sync_api import Browser, Frame, Page

from signoff.desk.render import render

pytestmark = pytest.mark.browser

HOSTILE: dict[str, str] = yaml.safe_load((Path(__file__).parent / "hostile.yaml").read_text(encoding="utf-8"))
FRAME = ["class", "height", "referrerpolicy", "sandbox", "srcdoc", "title", "width"]
BAIT = "#bait"
RULES = ("wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice")
# A frame that runs no script cannot be looked into; what it holds is the requester's.
OPTIONS = {"iframes": False, "runOnly": {"type": "tag", "values": list(RULES)}}


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with launched() as chromium:
        yield chromium


@pytest.fixture
def listener() -> Iterator[Listener]:
    listening = Listener()
    yield listening
    listening.close()


@contextmanager
def opened(browser: Browser, path: Path, content: bytes, **options: object) -> Iterator[Page]:
    path.write_bytes(content)
    context = browser.new_context(**options)  # type: ignore[arg-type]
    page = context.new_page()
    page.goto(path.as_uri())
    yield page
    context.close()


def page_with(explanation: bytes, media_type: str = "text/html") -> bytes:
    return render(explained(explanation, media_type), explanation)[0].content


def explanation_frame(page: Page) -> Frame:
    return next(frame for frame in page.frames if frame.parent_frame is page.main_frame)


def test_the_listener_would_hear(browser: Browser, listener: Listener, tmp_path: Path) -> None:
    bare = HOSTILE["remote picture"].replace("URL", listener.url).encode()
    with opened(browser, tmp_path / "bare.html", bare) as page:
        page.wait_for_timeout(300)
    assert listener.taken, "a picture on a page without a policy reaches the listener"


@pytest.mark.parametrize("case", list(HOSTILE))
@pytest.mark.parametrize("media_type", ["text/html", "text/markdown"])
def test_hostile_explanation(case: str, media_type: str, browser: Browser, listener: Listener, tmp_path: Path) -> None:
    content = page_with(HOSTILE[case].replace("URL", listener.url).encode(), media_type)
    dialogs: list[str] = []
    navigated: list[str] = []
    popups: list[Page] = []
    errors: list[str] = []
    file = tmp_path / "desk.html"
    with opened(browser, file, content) as page:
        page.on("dialog", lambda dialog: (dialogs.append(dialog.message), dialog.dismiss()))
        page.on("framenavigated", lambda frame: navigated.append(frame.url) if frame is page.main_frame else None)
        page.on("popup", lambda popup: popups.append(popup))  # noqa: PLW0108 - playwright wants a function of ours
        page.on("pageerror", lambda error: errors.append(str(error)))
        page.reload()
        page.wait_for_timeout(150)
        _bite(page)
        assert page.title() == "May credit-scoring 2.4.0 run in production?"
        assert page.url == file.as_uri()
        assert page.locator("section").count() == (14 if media_type == "text/html" else 13), "nothing broke out of its place"
        assert page.locator("script, form, base, object, embed, img, link").count() == 0
        attributes = page.evaluate("[...document.querySelectorAll('iframe')].map(one => one.getAttributeNames().sort())")
        assert attributes == ([FRAME] if media_type == "text/html" else [])
    assert listener.taken == []
    assert dialogs == []
    assert popups == []
    assert errors == []
    assert navigated == [file.as_uri()]


def _bite(page: Page) -> None:
    for frame in page.frames[1:]:
        for bait in frame.locator(BAIT).all():
            bait.click(timeout=2000, force=True, no_wait_after=True)
            page.wait_for_timeout(200)


def test_the_policy_holds_without_the_frame(browser: Browser, listener: Listener, tmp_path: Path) -> None:
    """Were the frame's restrictions lost, the page's policy still lets nothing load."""
    loading = [HOSTILE[case] for case in ("remote picture", "remote style", "remote font", "style that fetches", "plugins", "media")]
    content = page_with("".join(loading).replace("URL", listener.url).encode()).replace(b' sandbox=""', b"")
    with opened(browser, tmp_path / "desk.html", content) as page:
        page.wait_for_timeout(300)
    assert listener.taken == []


def test_the_frame_holds_without_the_policy(browser: Browser, tmp_path: Path) -> None:
    """Were the page's policy lost, the frame still runs nothing."""
    content = page_with(HOSTILE["script"].encode()).replace(b'http-equiv="Content-Security-Policy"', b'name="none"')
    dialogs: list[str] = []
    with opened(browser, tmp_path / "desk.html", content) as page:
        page.on("dialog", lambda dialog: (dialogs.append(dialog.message), dialog.dismiss()))
        page.reload()
        page.wait_for_timeout(200)
    assert dialogs == []


def test_the_explanation_is_shown(browser: Browser, tmp_path: Path) -> None:
    content = render(example_shown(), example_explanation())[0].content
    with opened(browser, tmp_path / "desk.html", content) as page:
        frame = explanation_frame(page)
        assert frame.locator("h1").inner_text() == "Credit scoring 2.4.0"
        assert frame.locator("svg").count() == 3
        assert frame.locator("html").get_attribute("lang") == "en"
        assert frame.evaluate("document.compatMode") == "CSS1Compat"
        assert frame.locator("svg").first.bounding_box()["height"] > 100  # type: ignore[index]


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [360, 768, 1199, 1200, 1440, 2560])
@pytest.mark.parametrize("desk", list(DESKS))
def test_nothing_overflows(desk: str, width: int, scheme: str, browser: Browser, tmp_path: Path) -> None:
    content = render(*DESKS[desk]())[0].content
    with opened(browser, tmp_path / "desk.html", content, viewport={"width": width, "height": 900}, color_scheme=scheme) as page:
        assert page.evaluate("document.documentElement.scrollWidth") == width
        comparison, explanation = (page.locator(name).bounding_box() for name in ("#comparison", "#explanation"))
        assert comparison is not None
        assert explanation is not None
        assert (explanation["x"] >= comparison["x"] + comparison["width"]) == (width >= 1200), "beside it where there is room"


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_text_can_be_read(scheme: str, browser: Browser, tmp_path: Path) -> None:
    """Every text has at least the contrast 4.5 to 1 (WCAG 2.2, 1.4.3)."""
    content = render(example_shown(), example_explanation())[0].content
    with opened(browser, tmp_path / "desk.html", content, color_scheme=scheme) as page:
        pairs = page.evaluate(PAIRS)
    assert len(pairs) >= 5
    for pair in pairs:
        assert contrast(*pair.split("|")) >= 4.5, pair


def test_keyboard_reaches_what_scrolls(browser: Browser, tmp_path: Path) -> None:
    content = render(example_shown(), example_explanation())[0].content
    wanted = ["skip", "scroll", "framed", "document"]
    with opened(browser, tmp_path / "desk.html", content) as page:
        reached: list[str] = []
        for _ in range(12):
            page.keyboard.press("Tab")
            page.wait_for_timeout(150)  # the frame may live in a process of its own, and takes the focus later
            reached.append(page.evaluate("document.activeElement.className"))
            if reached[-1] == "framed":
                page.keyboard.press("End")
                assert _scrolled(page) > 1000
            if set(wanted) <= set(reached):
                break
    assert [name for name in reached if name in wanted] == wanted


def _scrolled(page: Page) -> int:
    """How far the explanation is scrolled, once it stands still: the frame runs no script that could wait in it."""
    at = -1
    for _ in range(20):
        before, at = at, int(explanation_frame(page).evaluate("window.scrollY"))
        if before == at > 0:
            break
        page.wait_for_timeout(150)
    return at


def test_names_for_a_screen_reader(browser: Browser, tmp_path: Path) -> None:
    content = render(example_shown(), example_explanation())[0].content
    with opened(browser, tmp_path / "desk.html", content) as page:
        assert page.get_by_role("heading", level=1).count() == 1
        assert page.get_by_role("region", name="Comparison", exact=True).count() == 1
        assert page.get_by_role("rowheader", name="auc higher is better", exact=True).count() == 1
        assert page.get_by_role("columnheader").count() == 5
        assert page.get_by_title("The requester's explanation").count() == 1
        drawn = page.get_by_role("img")
        assert drawn.count() == page.locator("tbody tr").count(), "each metric of the example is given by all"
        assert page.get_by_role("img", name="auc, drawn: the candidate’s 0.8127 is above").count() == 1


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("desk", list(DESKS))
def test_no_desk_breaks_a_rule_of_axe_core(desk: str, scheme: str, browser: Browser, tmp_path: Path) -> None:
    """No rule of axe-core is broken, by drawings and tables neither."""
    with opened(browser, tmp_path / "desk.html", render(*DESKS[desk]())[0].content, color_scheme=scheme) as page:
        found = Axe().run(page, options=OPTIONS)
    assert len(found.response["passes"]) > 10, "axe looked at something"
    told = [(one["id"], [node["html"][:200] for node in one["nodes"][:3]]) for one in found.response["violations"]]
    assert told == []


def test_axe_would_notice_a_drawing_without_a_name(browser: Browser, tmp_path: Path) -> None:
    broken = re.sub(rb"<title>[^<]*, drawn: [^<]*</title>", b"", render(*DESKS["first-promotion"]())[0].content)
    with opened(browser, tmp_path / "desk.html", broken) as page:
        assert "svg-img-alt" in {one["id"] for one in Axe().run(page, options=OPTIONS).response["violations"]}


def test_drawings_are_seen_without_the_style_and_on_paper(browser: Browser, tmp_path: Path) -> None:
    """Whoever strips the style, or prints in black, still sees who is where: forms and strokes are attributes."""
    bare = re.sub(rb"<style>.*?</style>", b"", render(*DESKS["refreshed-promotion"]())[0].content, flags=re.DOTALL)
    with opened(browser, tmp_path / "bare.html", bare, viewport={"width": 1440, "height": 900}) as page:
        strip = page.locator("#comparison tbody svg").first
        for name in ("candidate", "incumbent", "challenger"):
            drawn = strip.locator(f".{name}").first
            style = drawn.evaluate("e => [getComputedStyle(e).fill, getComputedStyle(e).stroke]")
            assert "rgb(0, 0, 0)" in style, name
            assert (drawn.bounding_box() or {"height": 0})["height"] > 5, name
    with opened(browser, tmp_path / "desk.html", render(*DESKS["refreshed-promotion"]())[0].content) as page:
        page.emulate_media(media="print")
        strip = page.locator("#comparison tbody svg").first
        assert strip.locator(".incumbent").evaluate("e => getComputedStyle(e).stroke") == "rgb(0, 0, 0)"
        assert (strip.bounding_box() or {"width": 0})["width"] > 60
