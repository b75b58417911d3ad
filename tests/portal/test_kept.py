"""What is frozen is read each time and hashed once: what was altered is not shown, and what is kept is bounded."""

from __future__ import annotations

import gzip
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from world import World

from signoff.archive.store import Damaged, Missing
from signoff.archive.write import write_blob
from signoff.desk.confinement import confined
from signoff.portal.kept import Kept


def file_of(world: World, digest: str) -> Path:
    return world.folder / "blobs" / "sha256" / digest.removeprefix("sha256:")


def test_what_is_altered_or_gone_after_it_was_read_is_not_shown_again(world: World) -> None:
    digest = write_blob(world.store, b"as it was frozen")
    kept = Kept(world.store)
    assert kept.read(digest, limit=100) == kept.read(digest, limit=100) == b"as it was frozen"
    file = file_of(world, digest)
    file.chmod(0o600)
    file.write_bytes(b"as it was forged")
    with pytest.raises(Damaged):
        kept.read(digest, limit=100)
    file.unlink()
    with pytest.raises(Missing):
        kept.read(digest, limit=100)


def test_the_same_bytes_are_hashed_once_and_no_more_is_kept_than_the_bound(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    hashed: list[str] = []

    def counted(store: object, digest: str, *, limit: int) -> bytes:
        hashed.append(digest)
        return world.store.read(f"blobs/sha256/{digest.removeprefix('sha256:')}", limit=limit).data

    monkeypatch.setattr("signoff.portal.kept.read_blob", counted)
    one, two, three = (write_blob(world.store, bytes([number]) * size) for number, size in ((1, 40), (2, 40), (3, 200)))
    kept = Kept(world.store, most=100)
    for digest in (one, two, one, two, three, one):
        kept.read(digest, limit=1000)
    assert hashed == [one, two, three]
    other = write_blob(world.store, b"x" * 50)
    kept.read(other, limit=1000)
    assert sum(map(len, kept._held.values())) <= 100
    assert two not in kept._held


def test_what_is_compressed_decodes_to_the_same_bytes_and_is_compressed_once(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    zipped: list[int] = []
    compress = gzip.compress

    def counted(data: bytes, **how: int) -> bytes:
        zipped.append(len(data))
        time.sleep(0.05)
        return compress(data, **how)

    monkeypatch.setattr("signoff.portal.kept.gzip.compress", counted)
    content = b"<td>0.812</td>" * 1000
    digest = write_blob(world.store, content)
    kept = Kept(world.store)
    with ThreadPoolExecutor(8) as pool:
        answers = list(pool.map(lambda _: kept.zipped(digest, limit=len(content)), range(8)))
    assert {gzip.decompress(one) for one in answers} == {content}
    assert len(answers[0]) < len(content) / 10
    assert zipped == [len(content)]


def test_what_was_altered_is_not_shown_compressed_either(world: World) -> None:
    digest = write_blob(world.store, b"as it was frozen" * 1000)
    kept = Kept(world.store, most=20_000)
    assert gzip.decompress(kept.zipped(digest, limit=20_000)) == b"as it was frozen" * 1000
    file = file_of(world, digest)
    file.chmod(0o600)
    file.write_bytes(b"as it was forged" * 1000)
    with pytest.raises(Damaged):
        kept.zipped(digest, limit=20_000)


def test_a_page_is_confined_once_and_not_shown_after_it_was_altered(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    calls: list[str] = []

    def counted(markup: str) -> str:
        calls.append(markup)
        return confined(markup)

    monkeypatch.setattr("signoff.portal.kept.confined", counted)
    digest = write_blob(world.store, b'<iframe src="https://evil.example"></iframe>')
    kept = Kept(world.store)
    for _ in range(3):
        assert kept.confined(digest, limit=100) == b'<x-iframe src="https://evil.example"></x-iframe>'
    assert len(calls) == 1
    file = file_of(world, digest)
    file.chmod(0o600)
    file.write_bytes(b"<p>")
    with pytest.raises(Damaged):
        kept.confined(digest, limit=100)
