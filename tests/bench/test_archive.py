"""Archives that are made for measuring: signed for real, they verify, and the gate finds what is in them."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from bench.archive import Archive, fill, initialise
from bench.events import CLUSTER, ENVIRONMENT, DeskSize, digest_of
from signoff.archive import layout
from signoff.archive.open import open_store
from signoff.record.trust import MAX_TRUST, read_trust
from signoff.verify.reader import Reader
from signoff.verify.verifier import Place, Question, admits

EVENTS = 20


@pytest.fixture(scope="module", params=["small", "example"])
def archive(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Archive:
    desk: DeskSize = request.param
    folder = tmp_path_factory.mktemp(desk)
    empty = initialise((folder / "archive").as_uri(), folder / "keys", "measured", "bench")
    return fill(empty, EVENTS, desk)


def verified(archive: Archive) -> tuple[int, dict[str, Any]]:
    command = [sys.executable, "-m", "signoff", "verify", "-o", "json"]
    done = subprocess.run(command, env=os.environ | archive.settings, capture_output=True, text=True, check=False)
    return done.returncode, json.loads(done.stdout)


def test_signoff_verify_finds_nothing_in_it(archive: Archive) -> None:
    code, told = verified(archive)
    assert (code, told["clean"], told["findings"]) == (0, True, [])
    assert told["counts"]["promotions"] == EVENTS
    assert told["counts"]["seals"] == told["counts"]["freezes"] == told["counts"]["subjects"] == EVENTS


def test_each_digest_is_admitted_where_it_was_promoted_to(archive: Archive) -> None:
    store = open_store(archive.url)
    reader = Reader(store, read_trust(store.read(layout.statement("trust", archive.trust), limit=MAX_TRUST).data))
    place = Place(ENVIRONMENT, CLUSTER, archive.namespace)
    for number in range(EVENTS):
        digest = digest_of(archive.label, number)
        (found,) = reader.find(digest, ENVIRONMENT).admissions
        assert found.image == archive.image(number)
        admits(found, Question(digest, place, datetime.now(UTC)))
    assert not reader.find(digest_of(archive.label, EVENTS), ENVIRONMENT).admissions


def test_an_altered_byte_is_found(archive: Archive, tmp_path: Path) -> None:
    path = next((Path(archive.url.removeprefix("file://")) / "events").iterdir())
    good, stored = path.read_bytes(), path.stat()
    path.chmod(0o644)
    path.write_bytes(good.replace(b'"sig": "M', b'"sig": "N', 1).replace(b'"sig":"M', b'"sig":"N', 1))
    try:
        code, told = verified(archive)
    finally:
        path.write_bytes(good)
        os.utime(path, ns=(stored.st_atime_ns, stored.st_mtime_ns))
    assert code == 1
    assert [one["key"] for one in told["findings"]] == [f"events/{path.name}"]
