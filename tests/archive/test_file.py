"""The archive as a folder: what concerns a file system alone."""

import json
import os
import resource
import shutil
import stat
import subprocess
from collections.abc import Iterator
from pathlib import Path
from tempfile import mkdtemp

import pytest

from signoff.archive.open import initialise, open_store
from signoff.archive.store import Damaged, Exists, Missing, Unavailable

HOUR = 3600
NAMESPACE = ["unshare", "--user", "--map-root-user", "--mount", "sh", "-ec"]


@pytest.fixture
def store(folder):
    return open_store(folder.url)


@pytest.fixture
def own_mounts() -> None:
    """For a test that mounts, in a namespace of its child's own, so that nothing stays mounted."""
    if not shutil.which("unshare") or subprocess.run([*NAMESPACE, "mount -t tmpfs x /mnt"], check=False).returncode:
        pytest.skip("mounting in a namespace is not permitted here")


@pytest.fixture
def public_folder() -> Iterator[Path]:
    """A new folder that every user may reach, unlike pytest's own."""
    made = Path(mkdtemp())
    made.chmod(0o755)
    yield made
    shutil.rmtree(made)


def names(folder: Path) -> list[str]:
    return sorted(each.name for each in folder.iterdir())


def told(process: subprocess.Popen[str]) -> dict[str, object]:
    out, err = process.communicate(timeout=60)
    assert process.returncode == 0, err
    return json.loads(out)


def test_an_object_is_a_read_only_plain_file_with_one_name(store, folder):
    store.create("a/b", b"x")
    for key in ("a/b", "archive.json"):
        found = (folder.path / key).lstat()
        assert stat.S_IMODE(found.st_mode) == 0o444
        assert found.st_nlink == 1
    assert names(folder.path / ".incoming") == []


def test_stored_at_is_the_files_modification_time(store, folder):
    store.create("a", b"x")
    os.utime(folder.path / "a", ns=(0, 1_700_000_000_123_456_789))
    assert store.read("a", limit=1).stored_at.isoformat() == "2023-11-14T22:13:20.123456+00:00"


@pytest.mark.parametrize("to", ["file", "folder", "nowhere"])
def test_a_link_is_never_followed(store, folder, tmp_path, to):
    (tmp_path / "file").write_bytes(b"not of this archive")
    (tmp_path / "folder").mkdir()
    (tmp_path / "folder" / "a").write_bytes(b"not of this archive")
    store.create("a/b", b"x")
    (folder.path / "a" / "link").symlink_to(tmp_path / to)
    with pytest.raises(Damaged, match="a/link"):
        store.read("a/link", limit=100)
    with pytest.raises(Damaged, match="a/link/a"):
        store.read("a/link/a", limit=100)
    with pytest.raises(Damaged, match="a/link/new"):
        store.create("a/link/new", b"x")
    with pytest.raises(Exists):
        store.create("a/link", b"x")
    with pytest.raises(Damaged, match="a/link/"):
        list(store.list("a/link/"))
    assert list(store.list("a/")) == ["a/b", "a/link"], "a finding is not hidden"
    assert not (tmp_path / "folder" / "new").exists()


def test_a_linked_incoming_folder_is_not_written_to(store, folder, tmp_path):
    (folder.path / ".incoming").rmdir()
    (tmp_path / "outside").mkdir()
    (folder.path / ".incoming").symlink_to(tmp_path / "outside")
    with pytest.raises(Damaged):
        store.create("a", b"x")
    assert list((tmp_path / "outside").iterdir()) == []


@pytest.mark.parametrize("make", [os.mkdir, os.mkfifo])
def test_what_is_no_plain_file_is_no_object(store, folder, make):
    make(folder.path / "events")
    with pytest.raises(Damaged, match="events"):
        store.read("events", limit=100)
    with pytest.raises(Exists):
        store.create("events", b"x")


def test_an_object_in_place_of_a_folder_is_no_empty_folder(store):
    store.create("models", b"x")
    with pytest.raises(Damaged, match="models/a"):
        store.read("models/a", limit=1)
    with pytest.raises(Damaged, match="models/a"):
        store.create("models/a", b"x")
    with pytest.raises(Damaged, match="models/"):
        list(store.list("models/"))


def test_a_marker_that_is_no_plain_file_is_damage(store, folder):
    (folder.path / "archive.json").unlink()
    (folder.path / "archive.json").symlink_to("/dev/null")
    with pytest.raises(Damaged, match="marker"):
        store.create("a", b"x")


def test_names_that_are_no_keys_are_not_listed(store, folder):
    for name in ("UPPER", ".hidden", "lost+found", "with space"):
        (folder.path / name).mkdir()
        (folder.path / name / "a").write_bytes(b"")
    assert list(store.list("")) == ["archive.json"]


def test_an_empty_mount_point_is_out_of_reach(store, folder):
    """The volume is not mounted: the folder is there, and empty. Nothing may be written below the mount."""
    folder.take_away()
    folder.path.mkdir()
    with pytest.raises(Unavailable, match=r"no archive\.json"):
        store.create("a", b"x")
    with pytest.raises(Unavailable, match=r"no archive\.json"):
        store.read("a", limit=1)
    assert list(folder.path.iterdir()) == []


def test_an_archive_that_goes_during_a_read_is_out_of_reach(store, folder, monkeypatch):
    real = os.open

    def gone_by_then(path, *arguments, **keywords):
        if path == "a":
            (folder.path / "archive.json").unlink()
        return real(path, *arguments, **keywords)

    monkeypatch.setattr(os, "open", gone_by_then)
    with pytest.raises(Unavailable, match=r"no archive\.json"):
        store.read("a", limit=1)


@pytest.mark.parametrize("way", ["create", "sweep", "prove"])
def test_leftovers_are_swept_after_an_hour(store, folder, way):
    incoming = folder.path / ".incoming"
    ages = {"a" * 32: 2 * HOUR, "b" * 32: HOUR // 2, "c" * 32: -HOUR, "a note": 2 * HOUR}
    for name, age in ages.items():
        (incoming / name).write_bytes(b"")
        now = (incoming / name).stat().st_mtime
        os.utime(incoming / name, (now - age, now - age))
    {"create": lambda: store.create("a", b"x"), "sweep": store.sweep, "prove": store.prove}[way]()
    assert names(incoming) == ["a note", "b" * 32, "c" * 32]


def test_sweeping_says_how_much(store, folder):
    for name in ("a" * 32, "b" * 32):
        (folder.path / ".incoming" / name).write_bytes(b"")
        os.utime(folder.path / ".incoming" / name, (0, 0))
    assert store.sweep() == 2
    assert store.sweep() == 0


def test_a_full_disk_refuses_and_keeps_nothing(own_mounts, child, tmp_path):
    under = [*NAMESPACE, 'mount -t tmpfs -o size=256k x "$0"; exec "$@"', str(tmp_path)]
    said = told(child("attempt", tmp_path.as_uri(), "a/b", 1_000_000, "new", under=under))
    assert said["error"] == "Refused"
    assert said["text"].startswith("a/b: the archive's file system is full (No space left on device); give it room")
    assert (said["keys"], said["left"]) == (["archive.json"], [])


def test_a_disk_that_is_not_full_takes_it(own_mounts, child, tmp_path):
    under = [*NAMESPACE, 'mount -t tmpfs -o size=256k x "$0"; exec "$@"', str(tmp_path)]
    said = told(child("attempt", tmp_path.as_uri(), "a/b", 100_000, "new", under=under))
    assert (said["error"], said["keys"], said["left"]) == ("", ["a/b", "archive.json"], [])


def test_a_read_only_mount_refuses_and_is_still_read(own_mounts, child, folder):
    open_store(folder.url).create("a", b"x")
    under = [*NAMESPACE, 'mount --bind "$0" "$0"; mount -o remount,bind,ro "$0"; exec "$@"', str(folder.path)]
    said = told(child("attempt", folder.url, "b", 10, "", under=under))
    assert said["error"] == "Refused"
    assert "mounted read-only" in said["text"]
    assert said["prove"] == "Refused"
    assert said["keys"] == ["a", "archive.json"]


def test_a_user_without_permission_is_refused(child, public_folder):
    """The folders are the owner's alone to write; as root, the child first becomes nobody."""
    initialise(public_folder.as_uri())
    open_store(public_folder.as_uri()).create("a/b", b"x")
    folders = [public_folder, public_folder / "a", public_folder / ".incoming"]
    for each in folders:
        each.chmod(0o555)
    said = told(child("attempt", public_folder.as_uri(), "a/c", 10, "nobody"))
    for each in folders:
        each.chmod(0o755)
    assert said["error"] == "Refused"
    assert "a/c: this process has no permission in the archive" in said["text"]
    assert said["prove"] == "Refused"
    assert said["keys"] == ["a/b", "archive.json"]


def test_the_start_looks_at_each_folder(child, public_folder):
    """Here `.incoming` and the root may be written, and one folder may not."""
    initialise(public_folder.as_uri())
    open_store(public_folder.as_uri()).create("events/a", b"x")
    (public_folder / ".incoming").chmod(0o777)
    public_folder.chmod(0o777)
    (public_folder / "events").chmod(0o555)
    said = told(child("attempt", public_folder.as_uri(), "seals/a", 10, "nobody"))
    (public_folder / "events").chmod(0o755)
    assert (said["error"], said["prove"]) == ("", "Refused")


def test_a_limit_on_file_size_refuses(child, folder):
    assert resource.getrlimit(resource.RLIMIT_FSIZE)[0] == resource.RLIM_INFINITY
    said = told(child("attempt", folder.url, "a", 10_000, "small files"))
    assert said["error"] == "Refused"
    assert "larger than this process may write" in said["text"]
    assert (said["keys"], said["left"]) == (["archive.json"], [])


def test_a_failing_disk_is_out_of_reach_and_leaves_nothing(store, folder, monkeypatch):
    def broken(descriptor):
        raise OSError(5, "Input/output error")

    monkeypatch.setattr(os, "fsync", broken)
    with pytest.raises(Unavailable, match=r"a: .*Input/output error.*; try again"):
        store.create("a", b"x")
    monkeypatch.undo()
    with pytest.raises(Missing):
        store.read("a", limit=1)
    assert names(folder.path / ".incoming") == []


def test_no_descriptor_is_left_open(store):
    def attempt(number: int) -> None:
        store.create(f"a/{number}", b"x")
        store.create(f"d/e/f/{number}", b"x")
        for call in (
            lambda: store.create(f"a/{number}", b"x"),
            lambda: store.read("a", limit=1),
            lambda: store.read("b/c", limit=1),
            lambda: store.read(f"a/{number}/c", limit=1),
            lambda: store.read(f"d/e/f/{number}/c", limit=1),
            lambda: store.read(f"d/e/{number}/f/c", limit=1),
        ):
            with pytest.raises((Exists, Missing, Damaged)):
                call()
        store.read(f"a/{number}", limit=1)
        store.read(f"d/e/f/{number}", limit=1)
        list(store.list("a/"))
        list(store.list("d/e/f/"))

    attempt(0)
    before = len(names(Path("/proc/self/fd")))
    for number in range(1, 20):
        attempt(number)
    assert len(names(Path("/proc/self/fd"))) == before
