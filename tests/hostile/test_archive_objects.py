"""An archive in which one object after the other is wrong: whoever reads it refuses in words, and believes nothing but what was there."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import pytest
from world import World, trusted_key

from signoff.archive import layout
from signoff.archive.file import FileStore
from signoff.cli.program import answer
from signoff.errors import SignoffError
from signoff.record.canonical import dumps
from signoff.record.values import Digest, sha256
from signoff.verify.reader import Found, Reader
from tests.webhook.listening import promote
from tests.webhook.reviews import PROMOTED

Wrong = Callable[[bytes], bytes]

WRONG: dict[str, Wrong] = {
    "empty": lambda _: b"",
    "cut in half": lambda data: data[: len(data) // 2],
    "without its last byte": lambda data: data[:-1],
    "with a byte more": lambda data: data + b"x",
    "with one bit changed": lambda data: data[: len(data) // 2] + bytes([data[len(data) // 2] ^ 1]) + data[len(data) // 2 + 1 :],
    "null": lambda _: b"null",
    "a list": lambda _: b"[]",
    "an empty object": lambda _: b"{}",
    "not UTF-8": lambda _: b"\xff" * 100,
    "NaN": lambda _: b'{"event": NaN}',
    "a million brackets": lambda _: b"[" * 1_000_000,
    "a key a million times": lambda _: b"{" + b'"a":1,' * 500_000 + b'"a":1}',
    "a number of a million digits": lambda _: b'{"a": ' + b"9" * 1_000_000 + b"}",
    "12 MiB of spaces": lambda _: b" " * (12 * 1024 * 1024),
}


POINTERS = {"subjects", "models", "repositories"}
"""Nobody believes a pointer, so that what it says need not be right."""


@pytest.fixture(scope="module")
def promoted(tmp_path_factory: pytest.TempPathFactory) -> World:
    """The example's promotion in an archive, with the trust file in its place."""
    world = World(tmp_path_factory.mktemp("promoted") / "archive")
    promote(world)
    world.store.create(layout.statement("trust", sha256(trust_bytes(world))), trust_bytes(world))
    return world


def trust_bytes(world: World) -> bytes:
    publishers = [{"issuer": "https://login.bank.example", "subject": "paula@bank.example"}]
    keys = [trusted_key(world.seal_key, "seal"), trusted_key(world.event_key, "event")]
    return dumps({"format": "signoff.dev/trust/v1", "version": 1, "keys": keys, "policies": {"publishers": publishers, "fourEyes": False}})


def objects(folder: Path) -> list[Path]:
    return sorted(path for path in folder.rglob("*") if path.is_file() and path.name != "archive.json")


@contextmanager
def replaced(path: Path, content: bytes) -> Iterator[None]:
    good = path.read_bytes()
    path.chmod(0o600)
    path.write_bytes(content)
    try:
        yield
    finally:
        path.write_bytes(good)
        path.chmod(0o444)


def found(world: World) -> Found | None:
    """What a gate that has just started reads, or None where it cannot tell."""
    try:
        return Reader(FileStore(world.folder), world.trust).find(Digest(PROMOTED), "production")
    except SignoffError:
        return None


def require_untouched_or_nothing(world: World, event: str) -> None:
    read = found(world)
    assert read is None or [one.event for one in read.admissions] in ([], [event])
    with suppress(SignoffError):
        Reader(FileStore(world.folder), world.trust).incumbent("credit-scoring", "production", "demo")


@pytest.mark.parametrize("name", WRONG)
def test_bypass_18_whatever_lies_in_the_archive_nothing_else_is_believed(promoted: World, name: str) -> None:
    before = found(promoted)
    assert before is not None
    [admission] = before.admissions
    for path in objects(promoted.folder):
        with replaced(path, WRONG[name](path.read_bytes())):
            require_untouched_or_nothing(promoted, admission.event)
    assert found(promoted) == before


def test_bypass_18_an_event_that_is_wrong_admits_nothing(promoted: World) -> None:
    [event] = (promoted.folder / "events").iterdir()
    for name, wrong in WRONG.items():
        with replaced(event, wrong(event.read_bytes())):
            read = found(promoted)
            assert read is None or read.admissions == (), name


def test_bypass_18_objects_in_each_others_places_are_not_believed(promoted: World) -> None:
    before = found(promoted)
    assert before is not None
    contents = [path.read_bytes() for path in objects(promoted.folder)]
    for path in (path for path in objects(promoted.folder) if {"events", "statements"} & set(path.parts)):
        for content in contents:
            with replaced(path, content):
                require_untouched_or_nothing(promoted, before.admissions[0].event)


@pytest.mark.parametrize("name", ["empty", "cut in half", "a list", "a million brackets", "12 MiB of spaces"])
def test_the_commands_name_what_is_wrong_and_never_fail_by_themselves(
    promoted: World, name: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = tmp_path / "copy"
    shutil.copytree(promoted.folder, folder)
    digest = sha256(trust_bytes(promoted))
    common = ["--archive", f"file://{folder}", "--trust", digest]
    [event] = (folder / "events").iterdir()
    request = event.name.removesuffix(".sigstore.json")
    commands = (["verify"], ["verify", request], ["why", request], ["desk", request], ["verify", "-o", "json"])
    assert answer(["verify", *common], "signoff") == 0
    for path in objects(folder):
        with replaced(path, WRONG[name](path.read_bytes())):
            codes = {" ".join(command): answer([*command, *common], "signoff") for command in commands}
        assert set(codes.values()) <= {0, 1, 2}
        assert codes["verify"] != 0 or POINTERS & set(path.parts), path
    assert "Traceback" not in capsys.readouterr().err
