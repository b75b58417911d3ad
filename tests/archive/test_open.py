"""From an address to a store, and how an archive comes to be."""

import pytest

from signoff.archive.file import MARKER_BYTES
from signoff.archive.open import initialise, open_store
from signoff.archive.store import BadAddress, Damaged, Refused, Unavailable
from signoff.errors import SignoffError


@pytest.mark.parametrize(
    ("url", "said"),
    [
        ("", "begins with file://"),
        ("/srv/archive", "begins with file://"),
        ("https://user:hunter2@archive.bank.example", "begins with file://"),
        ("s3://user:hunter2@evidence", "holds a user"),
        ("postgresql://user:hunter2@db/evidence", "ledger tables are not in this version"),
        ("file://srv/archive", "not absolute"),
        ("file:srv/archive", "not absolute"),
        ("file:", "not absolute"),
        ("file:///srv/../archive", "not absolute"),
        ("file:///srv/archive?mode=rw", "more than a path"),
        ("file:///srv/archive#1", "more than a path"),
        ("file:///srv/%00", "more than a path"),
        ("file://[/srv", "not an address"),
    ],
)
def test_other_addresses_are_refused(url, said):
    for call in (open_store, initialise):
        with pytest.raises(BadAddress, match=said) as refused:
            call(url)
        assert "write file:///absolute/path" in str(refused.value) or url.startswith("s3:")
        assert "hunter2" not in str(refused.value)


def test_an_archive_is_made_and_opened(tmp_path):
    url = (tmp_path / "new" / "an archive").as_uri()
    initialise(url)
    open_store(url).create("a", b"x")
    assert (tmp_path / "new" / "an archive" / "archive.json").read_bytes() == MARKER_BYTES
    assert MARKER_BYTES == b'{"format":"signoff archive/v1"}\n'


def test_making_it_again_changes_nothing(folder):
    open_store(folder.url).create("a", b"x")
    before = (folder.path / "archive.json").stat()
    initialise(folder.url)
    assert (folder.path / "archive.json").stat().st_mtime_ns == before.st_mtime_ns
    assert list(open_store(folder.url).list("")) == ["a", "archive.json"]


def test_an_interrupted_making_is_made_again(tmp_path):
    (tmp_path / "archive" / ".incoming").mkdir(parents=True)
    (tmp_path / "archive" / "lost+found").mkdir()
    initialise((tmp_path / "archive").as_uri())
    open_store((tmp_path / "archive").as_uri())


@pytest.mark.parametrize("name", ["README", "events", ".git"])
def test_a_folder_of_other_things_is_not_taken_over(tmp_path, name):
    (tmp_path / name).mkdir()
    with pytest.raises(Refused, match=f"other things, such as {name}"):
        initialise(tmp_path.as_uri())
    assert [path.name for path in tmp_path.iterdir()] == [name]


def test_what_is_no_archive_is_not_opened(tmp_path):
    (tmp_path / "file").write_bytes(b"")
    for name, said in (("absent", "no such folder"), ("file", "no such folder"), ("", "it has no archive.json")):
        with pytest.raises(Unavailable, match=f"{said}.*`signoff init`"):
            open_store((tmp_path / name).as_uri())
    assert [path.name for path in tmp_path.iterdir()] == ["file"]


def test_an_archive_of_another_format_is_not_opened(folder):
    marker = folder.path / "archive.json"
    marker.chmod(0o644)
    marker.write_bytes(b'{"format":"signoff archive/v2"}\n')
    for call in (open_store, initialise):
        with pytest.raises(Damaged, match=r"not the one of signoff archive/v1.*use the version of signoff"):
            call(folder.url)


def test_an_error_says_what_where_and_what_to_do():
    error = SignoffError("it is full", "events/a", "give it room")
    assert (error.what, error.where, error.mend) == ("it is full", "events/a", "give it room")
    assert str(error) == "events/a: it is full; give it room"
    assert str(SignoffError("it is full")) == "it is full"
    assert str(SignoffError("it is full", mend="give it room")) == "it is full; give it room"
