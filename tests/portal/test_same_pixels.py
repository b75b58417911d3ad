"""What was shown in the portal is shown again years later: the same pixels, from the archive alone, by a program that draws otherwise.

A portal shows a desk, somebody decides on it, and everything that it was made from goes away: promotion, decision, explanation, report. The
program then is another one: a copy of this package whose style, templates and words of the desk were changed.
"""

from __future__ import annotations

import http.server
import io
import os
import shutil
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from builders import example_explanation
from checking import bring
from office import Office
from PIL import Image, ImageChops
from playwright.sync_api import Browser, BrowserContext, Page, expect

import signoff
from controlplane.bank import BEN, CARLA, Bank
from signoff.record.keys import PemSigner, generate_pem
from signoff.replay.page import SHOWN_POLICY
from tests.portal.test_deciding import signed_in

pytestmark = [pytest.mark.cluster, pytest.mark.browser]

WAYS = {
    "light": {"viewport": {"width": 1440, "height": 900}, "color_scheme": "light"},
    "narrow and dark": {"viewport": {"width": 360, "height": 740}, "color_scheme": "dark"},
}
FIGURES = {"auc": "0.8127", "auc.incumbent": "0.8119", "psi.income": "0.31", "auc in region=north": "0.82", "auc in region=south": "0.79"}
AGAIN = """
import sys
from pathlib import Path
from signoff.archive.file import FileStore
from signoff.archive.write import read_blob
from signoff.desk.render import render
from signoff.record.freeze import read_freeze

archive, freeze = map(Path, sys.argv[1:])
shown = read_freeze(freeze.read_bytes()).shown()
explanation = read_blob(FileStore(archive), shown.explanation.digest, limit=10_000_000)
sys.stdout.buffer.write(render(shown, explanation)[0].content)
"""


@dataclass(frozen=True)
class Shown:
    """What the portal showed, in each way, and what is left of it."""

    pictures: dict[str, Image.Image]
    bank: Bank
    id: str
    freeze: Path


@pytest.fixture(scope="module")
def shown(bank: Bank, chromium: Browser) -> Shown:
    """Have Carla decide in the portal on a desk with a check, take its pictures, and then have all sources go away."""
    office = Office(bank)
    config_map = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": office.name, "namespace": "credit"}}
    office.apply(BEN, config_map | {"data": {"report.html": example_explanation().decode()}})

    def change(spec: dict[str, Any]) -> None:
        spec["explanation"]["source"] = {"configMap": {"name": office.name, "key": "report.html"}}
        bring(spec, PemSigner(generate_pem()), FIGURES)

    status = office.frozen(change)
    context = chromium.new_context(ignore_https_errors=True)
    page = signed_in(context, bank, CARLA, f"/desk/credit/{office.name}")
    address = page.locator("iframe").evaluate("frame => frame.src")
    assert address.endswith(status["desk"]["html"]), "the frame names the archived page by its digest"
    pictures = taken(chromium, address, context)
    page.get_by_role("button", name="Approve 1.0.0").click()
    expect(page.get_by_text("Approved: the event is in the archive.")).to_be_visible(timeout=15_000)
    context.close()
    for what in (f"modelpromotion/{office.name}", f"configmap/{office.name}", "promotiondecisions --all"):
        bank.control_plane.kubectl("-n", "credit", "delete", *what.split())
    return Shown(pictures, bank, status["id"], bank.archive_folder / "freezes" / status["id"] / status["freeze"].partition(":")[2])


@pytest.fixture(scope="module")
def changed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A program whose desk looks and reads otherwise; it does not know that it does."""
    folder = tmp_path_factory.mktemp("changed")
    package = folder / "signoff"
    shutil.copytree(Path(signoff.__file__).parent, package, ignore=shutil.ignore_patterns("__pycache__"))
    desk = package / "desk"
    style = desk / "templates" / "desk.css"
    style.write_text(style.read_text() + "body { font-size: 1.25rem; background: #ffe; } .strip .candidate { fill: red; }\n")
    page = desk / "templates" / "desk.html.j2"
    page.write_text(page.read_text().replace("signoff desk", "signoff desk, redesigned"))
    words = desk / "sections.py"
    words.write_text(words.read_text().replace("What is asked", "The question"))
    return folder


def taken(chromium: Browser, address: str, signed_in: BrowserContext | None = None) -> dict[str, Image.Image]:
    """Return pictures of a page by itself, whole, in each way in which people look at it."""
    found: dict[str, Image.Image] = {}
    for name, way in WAYS.items():
        context = chromium.new_context(ignore_https_errors=True, **way)  # type: ignore[arg-type]
        if signed_in is not None:
            context.add_cookies(signed_in.cookies())  # type: ignore[arg-type]
        found[name] = picture(context.new_page(), address)
        context.close()
    return found


def picture(page: Page, address: str) -> Image.Image:
    answer = page.goto(address)
    assert answer is not None
    assert answer.ok
    expect(page.get_by_role("heading", level=1)).to_contain_text("run in production?")
    for frame in page.frames:
        frame.wait_for_load_state("load")
    found = _whole(page)
    for _ in range(20):  # a machine at work paints a frame late: what is compared is the page once it stands still
        page.wait_for_timeout(250)
        before, found = found, _whole(page)
        if not differ(before, found):
            return found
    raise AssertionError("the page does not stand still")


def _whole(page: Page) -> Image.Image:
    return Image.open(io.BytesIO(page.screenshot(full_page=True, animations="disabled"))).convert("RGB")


def differ(one: Image.Image, other: Image.Image) -> bool:
    return one.size != other.size or ImageChops.difference(one, other).getbbox() is not None


@contextmanager
def replayed(changed: Path, shown: Shown) -> Iterator[str]:
    """Serve the event by the changed program, as `signoff desk --serve` does; gives the address of its folder."""
    environment = os.environ | shown.bank.settings() | {"PYTHONPATH": str(changed)}
    command = [sys.executable, "-m", "signoff.cli", "desk", shown.id, "--serve"]
    process = subprocess.Popen(command, env=environment, cwd=changed, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    try:
        assert process.stdout is not None
        yield process.stdout.readline().strip()
    finally:
        process.kill()
        process.communicate()


@contextmanager
def drawn_anew(program: Path, shown: Shown) -> Iterator[str]:
    """Have a program draw the desk again, and serve it as the archived one is served: a browser rounds the pixels of a file otherwise."""
    command = [sys.executable, "-c", AGAIN, str(shown.bank.archive_folder), str(shown.freeze)]
    environment = os.environ | {"PYTHONPATH": str(program)}
    content = subprocess.run(command, env=environment, cwd=program, check=True, capture_output=True, timeout=60).stdout

    class Page(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(200)
            for name, value in (("Content-Type", "text/html; charset=utf-8"), ("Content-Security-Policy", SHOWN_POLICY)):
                self.send_header(name, value)
            self.end_headers()
            self.wfile.write(content)

        def log_message(self, *_: object) -> None:
            pass

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Page) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}/"
        server.shutdown()


def test_the_same_pixels_from_the_archive_alone(shown: Shown, changed: Path, chromium: Browser) -> None:
    with replayed(changed, shown) as address:
        pictures = taken(chromium, f"{address}desk.html")
    assert [name for name in WAYS if differ(pictures[name], shown.pictures[name])] == []


def test_what_is_drawn_anew_by_the_changed_program_has_other_pixels(shown: Shown, changed: Path, chromium: Browser) -> None:
    """The control: without it the test above would pass over a change that nobody sees, or a comparison that compares nothing."""
    with drawn_anew(changed, shown) as address:
        other = taken(chromium, address)
    assert [name for name in WAYS if not differ(other[name], shown.pictures[name])] == []
    with drawn_anew(Path(signoff.__file__).parents[1], shown) as address:
        same = taken(chromium, address)
    assert [name for name in WAYS if differ(same[name], shown.pictures[name])] == [], "and the program of then draws what it drew"


def test_a_single_pixel_would_be_seen(shown: Shown) -> None:
    one = shown.pictures["light"]
    other = one.copy()
    red, green, blue = other.getpixel((40, 60))  # type: ignore[misc]
    other.putpixel((40, 60), (red ^ 1, green, blue))
    assert differ(one, other)
