"""Content-addressed objects: the same again is fine, anything else is an alarm."""

import shutil
from hashlib import sha256

import pytest

from signoff.archive import layout
from signoff.archive.open import open_store
from signoff.archive.store import Damaged, Missing, TooLarge
from signoff.archive.write import create_or_same, read_blob, write_blob

DATA = b"<html>the desk</html>"
DIGEST = f"sha256:{sha256(DATA).hexdigest()}"


def test_the_same_bytes_again_are_what_was_stored_first(store):
    first = create_or_same(store, "freezes/a", DATA)
    assert create_or_same(store, "freezes/a", DATA) == first


@pytest.mark.parametrize("other", [b"", DATA[:-1], DATA + b" ", DATA.swapcase()])
def test_other_bytes_are_an_alarm(store, other):
    create_or_same(store, "freezes/a", DATA)
    with pytest.raises(Damaged, match=r"freezes/a: .*other bytes"):
        create_or_same(store, "freezes/a", other)
    assert store.read("freezes/a", limit=100).data == DATA


def test_a_blob_lies_under_its_digest(store):
    assert write_blob(store, DATA) == write_blob(store, DATA) == DIGEST
    assert read_blob(store, DIGEST, limit=100) == DATA
    assert list(store.list("blobs/")) == [layout.blob(DIGEST)]


def test_a_blob_is_not_believed_because_of_where_it_lies(store):
    store.create(layout.blob(DIGEST), DATA + b"!")
    with pytest.raises(Damaged, match="hash to sha256:"):
        read_blob(store, DIGEST, limit=100)
    with pytest.raises(Damaged, match="other bytes"):
        write_blob(store, DATA)


def test_a_blob_may_be_missing_or_too_large(store):
    with pytest.raises(Missing):
        read_blob(store, DIGEST, limit=100)
    write_blob(store, DATA)
    with pytest.raises(TooLarge):
        read_blob(store, DIGEST, limit=len(DATA) - 1)


@pytest.mark.parametrize("length", [0, 1, len(DATA) - 1])
def test_a_truncated_blob_is_seen(folder, length):
    store = open_store(folder.url)
    write_blob(store, DATA)
    file = folder.path / layout.blob(DIGEST)
    file.chmod(0o644)
    file.write_bytes(DATA[:length])
    with pytest.raises(Damaged, match="hash to sha256:"):
        read_blob(store, DIGEST, limit=100)


def test_an_archive_is_its_bytes_and_may_move(folder, tmp_path):
    write_blob(open_store(folder.url), DATA)
    shutil.copytree(folder.path, tmp_path / "copy")
    assert read_blob(open_store((tmp_path / "copy").as_uri()), DIGEST, limit=100) == DATA
