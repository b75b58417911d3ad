"""The auditor's view in a real browser, over whatever an explanation or a person's words try: nothing leaves, runs, or moves the page."""

from __future__ import annotations

from pathlib import Path

import pytest
import yaml
from browsing import Listener
from playwright.sync_api import Browser, Page

from signoff.archive import layout
from signoff.record.seal import Decided
from tests.replay.shown import opened, promoted_with, site_at, written

pytestmark = pytest.mark.browser

HOSTILE: dict[str, str] = yaml.safe_load((Path(__file__).parents[1] / "desk" / "hostile.yaml").read_text(encoding="utf-8"))
FRAME = ["class", "height", "referrerpolicy", "sandbox", "src", "title", "width"]
TITLE = "credit-scoring 2.4.0 for production"


class Watched:
    """What a page did that it must not."""

    def __init__(self, page: Page) -> None:
        self.dialogs: list[str] = []
        self.popups: list[str] = []
        self.errors: list[str] = []
        page.on("dialog", lambda dialog: (self.dialogs.append(dialog.message), dialog.dismiss()))
        page.on("popup", lambda popup: self.popups.append(popup.url))
        page.on("pageerror", lambda error: self.errors.append(str(error)))

    @property
    def quiet(self) -> bool:
        return not (self.dialogs or self.popups or self.errors)


@pytest.mark.parametrize("case", list(HOSTILE))
def test_hostile_explanation(case: str, browser: Browser, listener: Listener, tmp_path: Path) -> None:
    site = site_at(tmp_path)
    verified = promoted_with(site, HOSTILE[case].replace("URL", listener.url).encode())
    folder = written(site, verified, tmp_path / "desk")
    shown = site.object_at(layout.blob(verified.freeze.renditions[0].digest)).read_bytes()
    assert (folder / "desk.html").read_bytes() == shown
    address = (folder / "index.html").as_uri()
    with opened(browser, address) as page:
        watched = Watched(page)
        page.reload()
        page.wait_for_timeout(150)
        assert len(page.frames) >= 3, "the desk is shown, and within it the explanation"
        for frame in page.frames[1:]:
            for bait in frame.locator("#bait").all():
                bait.click(timeout=2000, force=True, no_wait_after=True)
                page.wait_for_timeout(200)
        assert (page.title(), page.url) == (TITLE, address)
        assert page.locator("script, form, base, object, embed, img, link").count() == 0
        assert page.evaluate("[...document.querySelectorAll('iframe')].map(one => one.getAttributeNames().sort())") == [FRAME]
        assert page.locator("iframe").get_attribute("sandbox") == ""
        assert page.frames[1].url == (folder / "desk.html").as_uri()
        assert watched.quiet
    assert listener.taken == []


WORDS = {
    "script": "<script>alert(1)</script><img src=x onerror=alert(2)>",
    "breakout by quote": "\"><iframe src='URL/frame'></iframe><script>alert(1)</script>",
    "breakout of a text": "</pre></dd></details></title></style><script>alert(1)</script>",
    "refresh": "</dd><meta http-equiv=refresh content='0;url=URL/refresh'>",
    "picture": "<img src='URL/a.png'><svg onload=alert(1)><image href='URL/b.png'/></svg>",
    "form": "<form action='URL/form'><button id=bait>Approve</button></form>",
    "base": "<base href='URL/'><a id=bait href=x>more</a>",
    "template": "{{ 7 * 7 }}{% for x in [] %}{{ self.__init__.__globals__ }}{% endfor %}",
    "style": "<style>body{background:url(URL/a.png)}</style>",
    "cover": "<div style='position:fixed;inset:0;background:red'>APPROVED</div>",
    "soft hyphens": "appro\u00adved\u2060 by the board",
}


@pytest.mark.parametrize("case", list(WORDS))
def test_hostile_words_of_people(case: str, browser: Browser, listener: Listener, tmp_path: Path) -> None:
    """Reason, meaning, comment, name and a correction's reason are somebody's words: the page shows them, and is not made of them."""
    words = WORDS[case].replace("URL", listener.url)
    site = site_at(tmp_path)
    frozen = site.frozen(lambda spec: spec.update(reason=words))

    def change(value: dict[str, dict[str, object]]) -> None:
        decided = value["decided"]
        decided |= {"meaning": words, "comment": words, "principal": {**decided["principal"], "name": words[:200]}}  # type: ignore[dict-item]

    sealed = site.world.seal(frozen.payload, frozen.freeze, change=change)
    assert isinstance(sealed.seal.decided, Decided)
    site.world.archive_seal(sealed)
    site.world.store.create(layout.event(frozen.freeze.id), site.world.bundle(frozen.payload, [sealed]))
    verified = site.world.reader.outcome(frozen.freeze.id)
    site.world.correct(verified, reason=words)
    folder = written(site, verified, tmp_path / "desk")
    with opened(browser, (folder / "index.html").as_uri()) as page:
        watched = Watched(page)
        page.reload()
        page.wait_for_timeout(150)
        assert page.title() == TITLE
        assert page.locator("script, form, base, object, embed, img, svg:not(.strip), #bait, body > div, body > style").count() == 0
        assert page.locator("iframe, style, meta[http-equiv]").count() == 4
        text = page.inner_text("body")
        spelt = words.replace("\u00ad", "[U+00AD]").replace("\u2060", "[U+2060]")
        assert text.count(spelt) >= 4, "what was said stands there to the letter"
        assert watched.quiet
    assert listener.taken == []


def test_the_policy_holds_without_the_sandbox(browser: Browser, listener: Listener, tmp_path: Path) -> None:
    """Were both sandboxes lost, the policies still let nothing load and nothing run."""
    names = ("script", "remote picture", "remote style", "remote font", "plugins", "media")
    site = site_at(tmp_path)
    folder = written(
        site, promoted_with(site, "".join(HOSTILE[one] for one in names).replace("URL", listener.url).encode()), tmp_path / "desk"
    )
    for name in ("index.html", "desk.html"):
        path = folder / name
        path.write_bytes(path.read_bytes().replace(b' sandbox=""', b""))
    with opened(browser, (folder / "index.html").as_uri()) as page:
        watched = Watched(page)
        page.reload()
        page.wait_for_timeout(300)
        assert watched.dialogs == []
    assert listener.taken == []


def test_the_sandbox_holds_without_the_desks_policy(browser: Browser, tmp_path: Path) -> None:
    """Were a desk that runs script put into the frame, the view's sandbox still runs nothing of it, and it does not get out."""
    site = site_at(tmp_path)
    folder = written(site, promoted_with(site, b"plain"), tmp_path / "desk")
    (folder / "desk.html").write_bytes(b"<!doctype html><script>alert(1); top.location = 'about:blank'</script><form id=f></form>never")
    with opened(browser, (folder / "index.html").as_uri()) as page:
        watched = Watched(page)
        page.reload()
        page.wait_for_timeout(300)
        assert watched.dialogs == []
        assert page.url == (folder / "index.html").as_uri()
        assert page.frames[1].locator("body").inner_text() == "never"
