"""Through any crash: an object is there whole or not at all, and what was said to be there stays."""

import os
import random
import runpy
import signal
import stat
import time
from collections import defaultdict
from contextlib import suppress
from pathlib import Path

import pytest

from signoff.archive.open import initialise, open_store
from signoff.archive.store import Exists, Missing
from signoff.archive.write import create_or_same

MANY_STEPS = 60
expected = runpy.run_path(str(Path(__file__).with_name("child.py")))["expected"]


class Disk:
    """What a power cut would leave, told from the calls that are made: names and bytes not yet flushed."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.names: dict[int, set[str]] = defaultdict(set)
        self.bytes: set[int] = set()
        for name in ("mkdir", "write", "fsync", "link"):
            monkeypatch.setattr(os, name, self._watch(name, getattr(os, name)))

    def doubt(self, root: Path) -> None:
        """As if a writer had made everything below `root` and died before it flushed."""
        for folder, folders, files in os.walk(root):
            self.names[Path(folder).stat().st_ino] |= {*folders, *files}

    def keeps(self, root: Path, key: str) -> bool:
        """Whether each name on the way from the root down to the object has been flushed."""
        way = [root.joinpath(*key.split("/")[:depth]) for depth in range(key.count("/") + 1)]
        names = key.split("/")
        return not any(name in self.names[folder.stat().st_ino] for folder, name in zip(way, names, strict=True))

    def _watch(self, name, real):
        def watched(*arguments, **keywords):
            if name == "link":
                self._linked(arguments[0], keywords)
            answer = real(*arguments, **keywords)
            if name == "mkdir":
                at = keywords.get("dir_fd")
                parent = os.fstat(at) if at is not None else Path(arguments[0]).parent.stat()
                self.names[parent.st_ino].add(Path(arguments[0]).name)
            elif name == "write":
                self.bytes.add(os.fstat(arguments[0]).st_ino)
            elif name == "fsync":
                self.bytes.discard(os.fstat(arguments[0]).st_ino)
                self.names.pop(os.fstat(arguments[0]).st_ino, None)
            elif name == "link":
                self.names[os.fstat(keywords["dst_dir_fd"]).st_ino].add(arguments[1])
            return answer

        return watched

    def _linked(self, name, keywords):
        source = os.stat(name, dir_fd=keywords["src_dir_fd"])
        assert source.st_ino not in self.bytes, "an object got its name before its bytes were flushed"
        assert stat.S_IMODE(source.st_mode) == 0o444, "an object got its name while it could be written"


@pytest.fixture
def disk(monkeypatch):
    return Disk(monkeypatch)


def test_what_was_created_survives_a_power_cut(folder, disk):
    store = open_store(folder.url)
    for key in ("a", "b/c/d/e", "b/c/f", "b/g/h"):
        store.create(key, b"x")
        assert disk.keeps(folder.path, key), key


def test_what_was_said_to_exist_survives_a_power_cut(folder, disk):
    """The first writer died between its link and its flush; the second must not build on sand."""
    store = open_store(folder.url)
    store.create("b/c/d", b"x")
    disk.doubt(folder.path)
    assert not disk.keeps(folder.path, "b/c/d")
    with pytest.raises(Exists):
        store.create("b/c/d", b"x")
    assert disk.keeps(folder.path, "b/c/d")


def test_folders_made_by_a_writer_that_died_are_flushed(folder, disk):
    (folder.path / "b" / "c").mkdir(parents=True)
    disk.doubt(folder.path)
    open_store(folder.url).create("b/c/d", b"x")
    assert disk.keeps(folder.path, "b/c/d")


def test_a_new_archive_survives_a_power_cut(tmp_path, disk):
    initialise((tmp_path / "new" / "archive").as_uri())
    assert disk.keeps(tmp_path, "new/archive/archive.json")


def test_killed_before_any_step_a_writer_leaves_all_or_nothing(folder, child):
    outcomes = []
    for step in range(MANY_STEPS):
        key = f"crash/{step}/object"
        writer = child("crash", folder.url, key, step)
        out, err = writer.communicate(timeout=60)
        whole = _whole(open_store(folder.url), key)
        outcomes.append((writer.returncode, whole))
        assert list(open_store(folder.url).list(f"crash/{step}/")) == ([key] if whole else [])
        assert create_or_same(open_store(folder.url), key, expected(key, 10_000)).data == expected(key, 10_000)
        if writer.returncode == 0:
            assert out == "done\n"
            break
        assert (writer.returncode, err) == (-signal.SIGKILL, "")
    killed = [whole for code, whole in outcomes if code]
    assert outcomes[-1] == (0, True)
    assert killed == sorted(killed), "once it is there it stays"
    assert killed.count(False) > 10, "steps before the link"
    assert killed.count(True) > 3, "steps after the link"
    leftovers = list((folder.path / ".incoming").iterdir())
    assert leftovers
    for each in leftovers:
        os.utime(each, (0, 0))
    assert open_store(folder.url).sweep() == len(leftovers)
    assert _whole(open_store(folder.url), "crash/0/object"), "sweeping a second name leaves the object"


@pytest.mark.parametrize("seed", range(6))
def test_killed_at_any_moment_a_writer_has_told_the_truth(folder, child, seed):
    writer = child("pour", folder.url, seed * 1000)
    told = [writer.stdout.readline().strip()]
    time.sleep(random.Random(seed).uniform(0, 0.08))  # noqa: S311
    writer.kill()
    # Read through the same stream: communicate() would pass by the lines that readline() has buffered.
    told += writer.stdout.read().split()
    writer.wait(timeout=60)
    store = open_store(folder.url)
    there = list(store.list("pour/"))
    assert told[0]
    assert 0 <= len(there) - len(told) <= 1, "at most one was created and not yet told"
    assert set(told) <= set(there)
    for key in there:
        assert store.read(key, limit=10**6).data == expected(key)
    following = f"pour/{(seed * 1000 + len(there)) % 7}/{seed * 1000 + len(there):06}"
    store.create(following, expected(following))


def _whole(store, key: str) -> bool:
    with suppress(Missing):
        assert store.read(key, limit=10**6).data == expected(key, 10_000)
        return True
    return False
