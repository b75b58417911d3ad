"""The portal's pages in a real browser, over a portal without a cluster: hostile explanations, widths, keyboard, names, contrast."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path

import pytest
import yaml
from axe_playwright_python.sync_playwright import Axe
from browsing import PAIRS, Listener, contrast
from builders import example_explanation
from playwright.sync_api import Browser, BrowserContext, Page
from world import STORED, Principal

from controlplane.bank import CARLA
from controlplane.oidc import Provider
from controlplane.people import PEOPLE
from controlplane.signing_in import fill_in
from signoff.operator.commit import commit
from signoff.portal.guard import COOKIE
from signoff.record.promotion import PROMOTION_TYPE
from tests.portal.house import House, served

pytestmark = pytest.mark.browser

HOSTILE: dict[str, str] = yaml.safe_load((Path(__file__).parent.parent / "desk" / "hostile.yaml").read_text(encoding="utf-8"))
BAIT = "#bait"
MORE: dict[str, str] = {
    "our own pages in frames": '<iframe src="/"></iframe><iframe src="/sign-in"></iframe><iframe src="/desk/credit/x/receipt"></iframe>',
    "our own pages by a link": '<a id="bait" href="/sign-in">more</a>',
    "our own pages to the top": '<base target="_top"><a id="bait" href="/">more</a>',
    "signs out by a form": '<form action="/sign-out" method="post" target="_top"><button id="bait">Back</button></form>',
    "refreshes to our pages": '<meta http-equiv="refresh" content="0;url=/sign-in">',
    "reads what is ours": "<script>parent.document.title = top.document.cookie; localStorage.x = 1</script>",
    "says it is another document": '<?xml version="1.0"?><html xmlns="http://www.w3.org/1999/xhtml"><script>alert(1)</script></html>',
    "UTF-7": "+ADw-script+AD4-alert(1)+ADw-/script+AD4-",
    "another encoding": '<meta charset="utf-16le"><script>alert(1)</script>',
}


@pytest.fixture(scope="module")
def open_house(tmp_path_factory: pytest.TempPathFactory, provider: Provider) -> Iterator[House]:
    with served(tmp_path_factory.mktemp("open"), provider) as house:
        yield house


@pytest.fixture(scope="module")
def carla(chromium: Browser, open_house: House) -> Iterator[BrowserContext]:
    context = chromium.new_context(ignore_https_errors=True)
    sign_in(context.new_page(), open_house)
    yield context
    context.close()


def sign_in(page: Page, house: House) -> None:
    page.goto(house.home)
    page.get_by_role("link", name="Sign in with").click()
    fill_in(page, CARLA, PEOPLE[CARLA].password)
    page.wait_for_url(f"{house.home}/**")


@pytest.fixture
def listener() -> Iterator[Listener]:
    listening = Listener()
    yield listening
    listening.close()


@pytest.mark.parametrize(("case", "way"), [*((case, "explanation") for case in (*HOSTILE, *MORE)), *((case, "desk") for case in MORE)])
def test_a_hostile_explanation_runs_nothing_and_leads_nowhere(
    case: str, way: str, open_house: House, carla: BrowserContext, listener: Listener
) -> None:
    content = (HOSTILE | MORE)[case].replace("URL", listener.url).encode()
    desk = open_house.desk(explanation=content)
    base = "/desk/credit/credit-scoring-2.4.0"
    path = {"explanation": f"{base}/explanation", "desk": base}[way]
    open_house.asked.clear()
    happened = visited(carla, f"{open_house.home}{path}", bait=True)
    assert listener.taken == []
    assert happened.ran == []
    shown = {base, f"{base}/explanation", f"{base}/explanation/shown", *(f"{base}/{digest}" for digest in digests(desk))}
    assert set(open_house.asked) <= {*shown, "/page.css", "/favicon.ico"}, "what leads to us leads there as nobody"
    assert carla.request.get(open_house.home).status == 200, "and she is signed in as before"
    assert set(happened.navigated) <= {f"{open_house.home}{one}" for one in shown}, "the top window stays where it is"


def digests(desk: object) -> list[str]:
    freeze = desk.freeze  # type: ignore[attr-defined]
    return [*(one.digest for one in freeze.renditions), freeze.explanation.digest]


class Happened:
    def __init__(self) -> None:
        self.ran: list[str] = []
        self.navigated: list[str] = []


def visited(context: BrowserContext, path: str, *, bait: bool) -> Happened:
    happened = Happened()
    page = context.new_page()
    page.on("dialog", lambda dialog: (happened.ran.append(dialog.message), dialog.dismiss()))
    page.on("popup", lambda popup: happened.ran.append(f"popup {popup.url}"))
    page.on("pageerror", lambda error: happened.ran.append(str(error)))
    page.on("download", lambda download: happened.ran.append(f"download {download.url}"))
    page.on("framenavigated", lambda frame: happened.navigated.append(frame.url) if frame is page.main_frame else None)
    page.goto(path, wait_until="load")
    title = page.title()
    page.wait_for_timeout(100)
    for frame in page.frames[1:] if bait else ():
        for one in frame.locator(BAIT).all():
            one.click(timeout=2000, force=True, no_wait_after=True)
            page.wait_for_timeout(150)
    assert page.title() == title
    page.close()
    return happened


def test_a_huge_explanation_is_shown_to_its_end_and_runs_nothing(open_house: House, carla: BrowserContext) -> None:
    content = b"<p>" + b"Row after row. " * 200 + b"</p>\n"
    desk = open_house.desk(explanation=content * 3200 + b"<p id=end>The end.</p><script>alert(1)</script>")
    base = f"{open_house.home}/desk/credit/credit-scoring-2.4.0"
    assert desk.freeze.explanation.size > 9_000_000
    for path in (base, f"{base}/explanation", f"{base}/explanation/shown"):
        assert visited(carla, path, bait=False).ran == []
    page = carla.new_page()
    page.goto(base, wait_until="load")
    shown = page.frame_locator("iframe").frame_locator("iframe").locator("#end")
    assert shown.inner_text() == "The end.", "in the desk's own frame"
    page.close()


def test_what_is_framed_has_an_origin_of_its_own_and_no_cookie_to_read(open_house: House, carla: BrowserContext) -> None:
    open_house.desk(explanation=b"<p>x</p>")
    page = carla.new_page()
    page.goto(f"{open_house.home}/desk/credit/credit-scoring-2.4.0/explanation")
    frame = page.frames[1]
    assert frame.evaluate("window.origin") == "null"
    assert frame.evaluate("(() => { try { return document.cookie } catch (error) { return error.name } })()") == "SecurityError"
    assert page.evaluate("document.cookie") == "", "no script of ours could read it either"
    assert any(one["name"] == COOKIE for one in carla.cookies())
    page.close()


def test_another_site_can_neither_frame_us_nor_send_our_forms_nor_sign_anybody_out(open_house: House, carla: BrowserContext) -> None:
    desk = open_house.desk(explanation=b"<p>x</p>")
    base = f"{open_house.home}/desk/credit/credit-scoring-2.4.0"
    page = carla.new_page()
    page.route("https://evil.example/**", lambda route: route.fulfill(content_type="text/html", body=evil(base, desk)))
    page.goto("https://evil.example/")
    page.wait_for_timeout(300)
    assert page.frames[1].url.startswith("chrome-error:"), "the browser refuses to frame us"
    page.get_by_role("button").click()
    page.wait_for_load_state()
    assert page.get_by_role("heading", level=1).inner_text() in {"Sign in", "This was not sent from here"}
    assert open_house.rooms.created == []
    page.goto(base)
    assert page.get_by_role("button", name="Approve 2.4.0").count() == 1, "she is signed in as before"
    page.close()


def evil(base: str, desk: object) -> str:
    freeze = desk.digest  # type: ignore[attr-defined]
    fields = "".join(f'<input name="{name}" value="{value}">' for name, value in (("freeze", freeze), ("verdict", "Approve")))
    return f'<iframe src="{base}"></iframe><form method="post" action="{base}/decision">{fields}<button>Win</button></form>'


# --- the look -------------------------------------------------------------------------------------------------------

TWO = {"quorum": 2, "roles": [{"name": "approver", "count": 2, "groups": ["model-approvers"]}]}
NAME = "credit-scoring-2"
PAGES: dict[str, str] = {
    "queue": "/",
    "desk": f"/desk/credit/{NAME}.4.0",
    "tier 1": f"/desk/credit/{NAME}.5.0",
    "desk of others": f"/desk/credit/{NAME}.6.0",
    "desk that she decided on": f"/desk/credit/{NAME}.7.0",
    "desk with its outcome": f"/desk/credit/{NAME}.8.0",
    "history": "/models/credit-scoring",
    "history, filtered": "/models/credit-scoring?what=rejected&environment=production",
    "explanation": f"/desk/credit/{NAME}.4.0/explanation",
    "receipt, pending": f"/desk/credit/{NAME}.7.0/receipt?look=no",
    "receipt": f"/desk/credit/{NAME}.8.0/receipt",
    "no desk": "/desk/credit/nothing",
    "no sign-in": "/callback?state=x",
    "passkeys": "/passkeys",
}


@pytest.fixture(scope="module")
def furnished(open_house: House) -> House:
    """A house with a desk of each kind; Carla approved one of them, and another is promoted."""
    world, carla = open_house.world, Principal(issuer=open_house.provider.issuer, subject=CARLA, name="Carla Example")
    report = example_explanation()
    open_house.desk(f"{NAME}.4.0", report)
    open_house.desk(f"{NAME}.5.0", report, tier="tier-1", **TWO)
    open_house.desk(f"{NAME}.9.0", report, assurance="passkey")
    open_house.passkey(CARLA, "phone")
    open_house.desk(f"{NAME}.6.0", report, roles=[{"name": "risk", "count": 1, "groups": ["model-risk"]}])
    pending, done = open_house.desk(f"{NAME}.7.0", report, **TWO), open_house.desk(f"{NAME}.8.0", report)
    for desk in (pending, done):
        sealed = world.seal(desk.payload, desk.freeze, carla)
        world.archive_seal(sealed)
    commit(world.reader, world.event_key, done.freeze, PROMOTION_TYPE, [sealed], STORED)
    return open_house


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [320, 360, 768, 1200, 1440])
def test_no_page_is_wider_than_its_window_and_every_text_can_be_read(
    width: int, scheme: str, furnished: House, carla: BrowserContext
) -> None:
    page = carla.new_page()
    page.set_viewport_size({"width": width, "height": 900})
    page.emulate_media(color_scheme=scheme)  # type: ignore[arg-type]
    for name, path in PAGES.items():
        page.goto(f"{furnished.home}{path}")
        assert page.evaluate("document.documentElement.scrollWidth") == width, name
        for pair in page.evaluate(PAIRS):
            assert contrast(*pair.split("|")) >= 4.5, (name, pair)
    page.close()


@pytest.mark.parametrize("name", PAGES)
def test_every_page_has_one_heading_its_landmarks_and_a_name_for_everything(name: str, furnished: House, carla: BrowserContext) -> None:
    page = carla.new_page()
    page.goto(f"{furnished.home}{PAGES[name]}")
    assert page.get_by_role("heading", level=1).count() == 1
    assert page.get_by_role("main").count() == 1
    assert page.get_by_role("banner").count() == 1
    assert page.title().endswith("– signoff")
    assert page.locator("html").get_attribute("lang") == "en"
    levels = page.evaluate("[...document.querySelectorAll('h1,h2,h3,h4')].map(one => +one.tagName[1])")
    assert all(after - before <= 1 for before, after in pairwise(levels)), "no level is left out"
    assert page.locator("iframe:not([title]), button:empty, a:empty").count() == 0
    assert page.evaluate("[...document.querySelectorAll('textarea, input:not([type=hidden])')].every(one => one.labels.length)")
    assert page.locator("script").count() == (name == "passkeys")
    assert page.locator("[onclick], [style]").count() == 0
    page.close()


@pytest.mark.parametrize("name", PAGES)
def test_no_page_breaks_a_rule_of_axe_core(name: str, furnished: House, carla: BrowserContext) -> None:
    page = carla.new_page()
    page.goto(f"{furnished.home}{PAGES[name]}")
    found = Axe().run(
        page, options={"iframes": False, "runOnly": {"type": "tag", "values": ["wcag2a", "wcag2aa", "wcag22aa", "best-practice"]}}
    )
    assert len(found.response["passes"]) > 10, "axe looked at something"
    assert found.violations_count == 0, found.generate_report()
    page.close()


def test_the_keyboard_reaches_everything_in_order_and_shows_where_it_is(furnished: House, carla: BrowserContext) -> None:
    page = carla.new_page()
    page.goto(f"{furnished.home}{PAGES['desk']}")
    reached: list[str] = []
    for _ in range(30):
        page.keyboard.press("Tab")
        page.wait_for_timeout(50)
        text, outline = page.evaluate(
            "(e => [e.id || e.textContent.trim() || e.title, getComputedStyle(e).outlineStyle])(document.activeElement)"
        )
        if page.evaluate("document.activeElement.tagName") not in {"IFRAME", "BODY"}:
            assert outline == "solid", text
            reached.append(text)
        if text.startswith("Reject"):
            break
    wanted = [
        "To the content",
        "signoff",
        "Your passkeys",
        "Sign out",
        "The desk by itself",
        "What was decided of credit-scoring before",
        "Open the explanation",
        "comment",
        "Approve 2.4.0",
        "Reject 2.4.0",
    ]
    assert reached == wanted
    page.goto(f"{furnished.home}{PAGES['desk']}")
    page.keyboard.press("Tab")
    assert page.get_by_role("link", name="To the content").bounding_box()["x"] >= 0  # type: ignore[index]
    page.close()


def test_a_receipt_looks_again_by_itself_until_it_is_told_not_to_or_has_its_outcome(furnished: House, carla: BrowserContext) -> None:
    page = carla.new_page()
    page.goto(f"{furnished.home}{PAGES['receipt, pending'].partition('?')[0]}")
    assert page.locator("meta[http-equiv=refresh]").count() == 1
    page.get_by_role("link", name="Have it stay as it is").click()
    assert page.locator("meta[http-equiv=refresh]").count() == 0
    page.goto(f"{furnished.home}{PAGES['receipt']}")
    assert page.locator("meta[http-equiv=refresh]").count() == 0
    page.close()


def test_the_page_on_which_a_passkey_is_used_is_read_and_reached_as_any_other(furnished: House, carla: BrowserContext) -> None:
    page = carla.new_page()
    page.goto(f"{furnished.home}/desk/credit/{NAME}.9.0")
    page.get_by_role("button", name="Approve 2.4.0").click()
    assert page.get_by_role("heading", level=1).inner_text() == "Approve credit-scoring 2.4.0 with your passkey"
    for width in (320, 360, 1440):
        page.set_viewport_size({"width": width, "height": 900})
        assert page.evaluate("document.documentElement.scrollWidth") == width
    for pair in page.evaluate(PAIRS):
        assert contrast(*pair.split("|")) >= 4.5, pair
    found = Axe().run(page, options={"runOnly": {"type": "tag", "values": ["wcag2a", "wcag2aa", "wcag22aa", "best-practice"]}})
    assert found.violations_count == 0, found.generate_report()
    page.get_by_role("button", name="Approve 2.4.0 with your passkey").press("Enter")
    told = page.get_by_role("alert")
    told.wait_for()
    assert told.inner_text() == "Nothing was decided. The browser lets no passkey be used at this address. You can press again."
    assert furnished.rooms.created == []
    page.close()


def test_without_scripts_the_pages_for_passkeys_say_what_is_missing(furnished: House, chromium: Browser) -> None:
    context = chromium.new_context(ignore_https_errors=True, java_script_enabled=False)
    page = context.new_page()
    sign_in(page, furnished)
    page.goto(f"{furnished.home}/passkeys")
    assert "this page needs JavaScript" in page.locator("noscript").inner_text()
    assert page.get_by_role("button", name="Register a passkey").count() == 0, "a button that would do nothing is not there"
    assert page.get_by_role("button", name="Withdraw “phone”").count() == 1, "and withdrawing needs none"
    page.goto(f"{furnished.home}/desk/credit/{NAME}.9.0")
    page.get_by_role("button", name="Approve 2.4.0").click()
    assert "Nothing was decided: allow it for this page" in page.locator("noscript").inner_text()
    context.close()


def test_the_pages_for_passkeys_run_the_one_script_and_no_other(furnished: House, carla: BrowserContext) -> None:
    page = carla.new_page()
    blocked: list[str] = []
    page.on("console", lambda said: blocked.append(said.text) if "Content Security Policy" in said.text else None)
    page.goto(f"{furnished.home}/passkeys")
    report = f"/desk/credit/{NAME}.4.0/{furnished.rooms.held['credit', f'{NAME}.4.0']['status']['freeze']}"  # type: ignore[call-overload,index]
    page.evaluate(
        """(sources) => {
        const add = (script) => document.body.append(Object.assign(document.createElement("script"), script));
        for (const src of sources) add({ src });
        add({ textContent: "document.title = 'ran'" }); }""",
        [report, "/page.css", "/passkey.js/../page.css", "https://evil.example/passkey.js"],
    )
    page.wait_for_timeout(300)
    assert page.title() == "Your passkeys – signoff"
    assert len(blocked) == 5, "each of them"
    page.close()
