"""Keys in general, and the order in which a file store lists them."""

import re
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as some

from signoff.archive.open import initialise, open_store
from signoff.archive.store import BadKey, require_key

SEGMENT = r"[a-z0-9][a-z0-9._-]{0,254}"
segments = some.from_regex(r"[a-c0][a-c0._-]{0,2}", fullmatch=True)
keys = some.lists(segments, min_size=1, max_size=4).map("/".join)


@given(some.one_of(some.text(max_size=20), some.text("ab0./-_A~", max_size=12), keys))
def test_a_key_is_segments_joined_by_slashes(text):
    try:
        require_key(text)
        accepted = True
    except BadKey:
        accepted = False
    assert accepted == bool(re.fullmatch(rf"{SEGMENT}(/{SEGMENT})*", text))


def test_the_longest_key_has_900_characters():
    key = "/".join(["a" * 99] * 9)
    require_key(key + "a")
    with pytest.raises(BadKey, match="901 characters"):
        require_key(key + "aa")


@settings(max_examples=60, deadline=None)
@given(some.lists(keys, max_size=12), some.one_of(some.just(""), keys), some.one_of(some.just(""), keys), some.booleans())
def test_listing_is_filtering_and_sorting(wanted, prefix, after, below):
    created = _apart(wanted)
    prefix = f"{prefix}/" if below and prefix else prefix
    assume(not any(prefix.startswith(f"{key}/") for key in created))  # no object is a folder
    with TemporaryDirectory() as folder:
        initialise(Path(folder).as_uri())
        store = open_store(Path(folder).as_uri())
        for key in created:
            store.create(key, b"")
        present = [*created, "archive.json"]
        assert list(store.list(prefix, after=after)) == sorted(key for key in present if key.startswith(prefix) and key > after)


def _apart(wanted: list[str]) -> list[str]:
    """Those keys of which none is a folder of another: no layout has both."""
    chosen: list[str] = []
    for key in wanted:
        if not any(key == other or key.startswith(f"{other}/") or other.startswith(f"{key}/") for other in chosen):
            chosen.append(key)
    return chosen
