"""Ways to an auditor's view for tests: an event over any explanation, written out by the command itself."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from unittest import mock

import world as worlds
from archive_fixture import Site
from playwright.sync_api import Browser, Page
from world import World

from signoff.cli.program import answer
from signoff.record.values import sha256
from signoff.verify.verifier import Verified


def site_at(folder: Path) -> Site:
    return Site(World(folder / "archive"), None)  # type: ignore[arg-type] - nothing that is printed is asked for


def promoted_with(site: Site, explanation: bytes, media_type: str = "text/html") -> Verified:
    """Return a promotion whose explanation is this."""

    def change(spec: dict[str, object]) -> None:
        source = {"configMap": {"name": "explanation", "key": "any"}}
        spec["explanation"] = {"mediaType": media_type, "digest": sha256(explanation), "source": source}

    with mock.patch.object(worlds, "example_explanation", return_value=explanation):
        return site.decided(site.frozen(change))


def written(site: Site, verified: Verified, folder: Path) -> Path:
    """Return the folder that `signoff desk` writes of an event."""
    assert answer(["desk", verified.id, "--out", str(folder), "--archive", site.url, "--trust", site.trust], "signoff") == 0
    return folder


@contextmanager
def opened(browser: Browser, address: str, **options: object) -> Iterator[Page]:
    context = browser.new_context(**options)  # type: ignore[arg-type]
    page = context.new_page()
    page.goto(address)
    yield page
    context.close()
