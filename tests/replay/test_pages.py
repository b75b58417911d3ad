"""The pages in a real browser: whoever reads them, however wide, in the dark, on paper, by keyboard or by ear."""

from __future__ import annotations

import subprocess
from dataclasses import dataclass
from pathlib import Path

import pytest
from archive_fixture import Site
from axe_playwright_python.sync_playwright import Axe
from browsing import PAIRS, contrast
from playwright.sync_api import Browser
from world import CARLA, DAVID

from signoff.cli.program import answer
from signoff.verify.verifier import Verified
from tests.replay.shown import opened, site_at, written

pytestmark = pytest.mark.browser

RULES = ("wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice")
# A frame that runs no script cannot be looked into; the desk in it has tests of its own.
OPTIONS = {"iframes": False, "runOnly": {"type": "tag", "values": list(RULES)}}


@dataclass(frozen=True)
class Pages:
    site: Site
    verified: Verified
    desk: Path
    pack: Path

    def at(self, name: str) -> str:
        paths = {
            "view": self.desk / "index.html",
            "undecided": self.pack.parent / "undecided" / "index.html",
            "timeline": self.pack / "index.html",
            "filtered": self.pack / "timeline" / "kind-promoted-1.html",
            "handed over": self.pack / "events" / self.verified.id / "index.html",
        }
        return paths[name].as_uri()


NAMES = ("view", "undecided", "timeline", "filtered", "handed over")


@pytest.fixture(scope="module")
def pages(tmp_path_factory: pytest.TempPathFactory) -> Pages:
    folder = tmp_path_factory.mktemp("pages")
    site = site_at(folder)
    frozen = site.frozen()
    verified = site.decided(frozen, CARLA, DAVID)
    site.world.correct(verified, "Annotate", reason="The segment of the self-employed is looked at again in June.")
    site.world.correct(verified)
    site.decided(site.frozen(lambda spec: spec.update(attempt=2), name="again"), verdict="Reject")
    undecided = site.frozen(lambda spec: spec.update(attempt=3), name="a-third-time")
    archive = ["--archive", site.url, "--trust", site.trust]
    assert answer(["export", "credit-scoring", "--out", str(folder / "pack.zip"), *archive], "signoff") == 0
    assert answer(["desk", undecided.freeze.id, "--out", str(folder / "undecided"), *archive], "signoff") == 0
    subprocess.run(["unzip", "-q", str(folder / "pack.zip"), "-d", str(folder / "pack")], check=True)
    return Pages(site, verified, written(site, verified, folder / "desk"), folder / "pack")


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [360, 1440])
@pytest.mark.parametrize("name", NAMES)
def test_nothing_is_in_the_way_of_anybody(name: str, width: int, scheme: str, browser: Browser, pages: Pages) -> None:
    """No rule of axe-core is broken: names, landmarks, headings, tables, contrast, order."""
    with opened(browser, pages.at(name), viewport={"width": width, "height": 900}, color_scheme=scheme) as page:
        assert page.evaluate("document.documentElement.scrollWidth") == width
        found = Axe().run(page, options=OPTIONS)
        assert len(found.response["passes"]) > 10, "axe looked at something"
        assert found.violations_count == 0, found.generate_report()
        pairs = page.evaluate(PAIRS)
    assert len(pairs) >= 4
    for pair in pairs:
        assert contrast(*pair.split("|")) >= 4.5, pair


def test_axe_would_notice(browser: Browser, pages: Pages, tmp_path: Path) -> None:
    broken = tmp_path / "broken.html"
    broken.write_bytes(
        (pages.desk / "index.html").read_bytes().replace(b' lang="en"', b"").replace(b' title="The desk as it was shown"', b"")
    )
    with opened(browser, broken.as_uri()) as page:
        assert {one["id"] for one in Axe().run(page, options=OPTIONS).response["violations"]} >= {"html-has-lang", "frame-title"}


def test_desk_and_decisions_stand_side_by_side_where_there_is_room(browser: Browser, pages: Pages) -> None:
    for width, beside in ((360, False), (1440, True)):
        with opened(browser, pages.at("view"), viewport={"width": width, "height": 900}) as page:
            seen, seals = (page.locator(name).bounding_box() for name in ("#seen", "#seals"))
            assert seen is not None
            assert seals is not None
            assert (seen["x"] >= seals["x"] + seals["width"]) is beside
            assert (page.locator("#seen iframe").bounding_box() or {})["height"] > 300


def test_the_frame_shows_the_desk_that_was_archived(browser: Browser, pages: Pages) -> None:
    with opened(browser, pages.at("view")) as page:
        frame = page.frames[1]
        assert frame.locator("h1").inner_text() == "May credit-scoring 2.4.0 run in production?"
        assert frame.evaluate("self.origin") == "null"
        assert page.frames[2].locator("h1").inner_text() == "Credit scoring 2.4.0"


def test_what_the_page_tells(browser: Browser, pages: Pages) -> None:
    with opened(browser, pages.at("view")) as page:
        assert page.locator(".standing.grave").inner_text().startswith("REVOKED by carla@bank.example")
        seals = page.locator("#seals").inner_text()
        for told in ("carla@bank.example", "david@bank.example", "client-certificate", "the API server's word", "the page (desk.html)"):
            assert told in seals
        answers = page.locator("#verification table").first.locator("tbody tr").all_inner_texts()
        assert [one.split("\t")[0] for one in answers][::12] == ["1 form", "13 quorum"]
        assert all("ok" in one for one in answers)
        places = page.locator("#verification table").nth(1).locator("tbody tr").all_inner_texts()
        assert [one.split("\t")[1] for one in places] == ["ok", "ok", "ok", "ok", "NO", "ok"]
        assert "in June" in page.locator("#corrections").inner_text()
        assert page.locator("#payload details").count() == 1


def test_it_needs_no_script(browser: Browser, pages: Pages) -> None:
    for name in NAMES:
        with opened(browser, pages.at(name), java_script_enabled=False) as page:
            assert page.locator("script").count() == 0
            links = page.locator("a[href]")
            assert links.count() > 0
    with opened(browser, pages.at("timeline"), java_script_enabled=False) as page:
        page.get_by_role("link", name="promoted (1)").click()
        page.get_by_role("link", name="credit-scoring 2.4.0").click()
        assert page.url == pages.at("handed over")
        page.get_by_role("link", name="The whole history").click()
        assert page.url == pages.at("timeline")


def test_every_link_leads_somewhere(browser: Browser, pages: Pages) -> None:
    for name in NAMES:
        with opened(browser, pages.at(name)) as page:
            for address in page.evaluate("[...document.querySelectorAll('a')].map(one => one.href)"):
                path = Path(address.partition("#")[0].removeprefix("file://"))
                assert path.is_file(), address


def test_the_keyboard_reaches_desk_and_tables(browser: Browser, pages: Pages) -> None:
    with opened(browser, pages.at("view")) as page:
        page.keyboard.press("Tab")
        assert page.evaluate("document.activeElement.className") == "skip"
        assert page.evaluate("getComputedStyle(document.activeElement).outlineStyle") == "solid", "focus is seen"
        reached = set()
        for _ in range(60):
            page.keyboard.press("Tab")
            page.wait_for_timeout(60)
            reached.add(page.evaluate("document.activeElement.tagName + ' ' + document.activeElement.className"))
        assert {"IFRAME framed", "DIV scroll", "SUMMARY ", "PRE document"} <= reached


def test_paper_has_the_words_that_the_frame_cuts_short(browser: Browser, pages: Pages, tmp_path: Path) -> None:
    with opened(browser, pages.at("view")) as page:
        page.pdf(path=tmp_path / "view.pdf")
        page.emulate_media(media="print")
        assert page.locator("#seen-text pre").evaluate("one => one.scrollHeight <= one.clientHeight + 1"), "nothing is behind a scroll bar"
        assert "MAY CREDIT-SCORING" in page.locator("#seen-text pre").inner_text().upper()
    assert (tmp_path / "view.pdf").stat().st_size > 10_000


def test_the_undecided_is_told_as_that(browser: Browser, pages: Pages) -> None:
    with opened(browser, pages.at("undecided")) as page:
        assert page.locator("h1").inner_text() == "credit-scoring 2.4.0 for production: not decided yet"
        assert page.locator("#seals").inner_text().endswith("Nobody has decided.")
        assert "There is no event to verify yet" in page.locator("#verification").inner_text()
