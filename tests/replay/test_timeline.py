"""A model's history as pages: nothing is left out, and ten thousand entries stay quick."""

from __future__ import annotations

import re
import time
import tracemalloc
from pathlib import Path

import pytest
from playwright.sync_api import Browser

from signoff.replay.timeline import KINDS, PER_PAGE, Entry, timeline_pages
from tests.replay.shown import opened


def entry(number: int, kind: str = "promoted", environment: str = "production") -> Entry:
    at = f"20{number // 5000 + 10:02}-01-{number % 28 + 1:02}T10:00:00Z"
    return Entry(
        at,
        kind,
        f"credit-scoring 1.{number}.0",
        environment,
        f"{number:064x}",
        (f"by person {number}",),
        f"events/{number:064x}/index.html",
    )


def pages(entries: list[Entry]) -> dict[str, str]:
    return {path: page.decode() for path, page in timeline_pages("credit-scoring", "as of now", entries)}


def ids(page: str) -> list[int]:
    return [int(one, 16) for one in re.findall(r'<p class="exact">([0-9a-f]{64})</p>', page)]


@pytest.mark.parametrize("count", [0, 1, PER_PAGE, PER_PAGE + 1, 2 * PER_PAGE + 3])
def test_each_entry_stands_once_in_its_order(count: int) -> None:
    made = pages([entry(number) for number in range(count)])
    shown = [
        ids(made["index.html" if number == 1 else f"timeline/all-{number}.html"]) for number in range(1, max(1, -(-count // PER_PAGE)) + 1)
    ]
    assert [one for page in shown for one in page] == list(range(count))
    assert all(len(page) <= PER_PAGE for page in shown)


def test_a_filter_shows_its_own_and_nothing_else() -> None:
    entries = [entry(number, KINDS[number % len(KINDS)], "staging" if number % 2 else "production") for number in range(1000)]
    made = pages(entries)
    for number, kind in enumerate(KINDS):
        assert ids(made[f"timeline/kind-{kind.replace(' ', '-')}-1.html"]) == [one for one in range(1000) if one % len(KINDS) == number]
    staging = [made[f"timeline/environment-staging-{page}.html"] for page in (1, 2, 3)]
    assert [one for page in staging for one in ids(page)] == list(range(1, 1000, 2))


def test_what_is_not_believed_is_counted_at_the_head_of_every_page() -> None:
    made = pages([entry(1), entry(2, "not believed"), entry(3, "could not tell")])
    assert all("2 of these cannot be believed, or told" in page for page in made.values())
    assert "cannot be believed" not in pages([entry(1)])["index.html"]


def test_one_environment_is_no_filter() -> None:
    made = pages([entry(1)])
    assert "For which environment" not in made["index.html"]
    assert sorted(made) == ["index.html", "timeline/kind-promoted-1.html"]


def test_words_are_escaped() -> None:
    hostile = Entry(
        "", "promoted", "<script>alert(1)</script>", "production", "0" * 64, ("</p><img src=x onerror=alert(1)>", "\u202eevil"), ""
    )
    page = pages([hostile])["index.html"]
    assert "<script" not in page
    assert "<img" not in page
    assert "[U+202E]evil" in page
    assert "at an unknown time" in page


@pytest.mark.browser
def test_ten_thousand_entries_stay_quick(browser: Browser, tmp_path: Path) -> None:
    entries = [entry(number, KINDS[number % 4], f"env-{number % 3}") for number in range(10_000)]
    tracemalloc.start()
    before, largest, count = time.process_time(), 0, 0
    for path, page in timeline_pages("credit-scoring", "as of now", entries):
        largest, count = max(largest, len(page)), count + 1
        if path == "index.html":
            (tmp_path / path).write_bytes(page)
    took, peak = time.process_time() - before, tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert count == 50 + 4 * 13 + 3 * 17
    assert largest < 200_000
    assert peak < 30_000_000, "a page at a time"
    assert took < 60, "seconds, with the memory being watched"
    with opened(browser, (tmp_path / "index.html").as_uri()) as opening:
        drawn = opening.evaluate("performance.getEntriesByType('navigation')[0].domComplete")
        assert drawn < 5000, "milliseconds"
        assert opening.locator(".entries > li").count() == PER_PAGE
