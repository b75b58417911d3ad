"""Keycloak as a part of tests: where it comes from, and what is said where something for it is missing."""

from __future__ import annotations

import zipfile
from pathlib import Path

import pytest

from controlplane import keycloak_dist
from controlplane.__main__ import main
from controlplane.errors import BinaryUnavailableError
from controlplane.keycloak_dist import VERSION


@pytest.fixture
def bare(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A machine without Java, Maven and a cache: the folder that is its PATH."""
    folder = tmp_path / "path"
    folder.mkdir()
    monkeypatch.setenv("PATH", str(folder))
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    for name in ("JAVA_HOME", "SIGNOFF_KEYCLOAK"):
        monkeypatch.delenv(name, raising=False)
    return folder


def put(folder: Path, name: str, script: str) -> None:
    (folder / name).write_text(f"#!/bin/sh\n{script}\n")
    (folder / name).chmod(0o755)


def test_a_missing_java_says_what_to_install_and_how_to_do_without(bare: Path) -> None:
    with pytest.raises(BinaryUnavailableError, match=r"Java 17 or newer, and there is none: install it .*SIGNOFF_KEYCLOAK=skip"):
        keycloak_dist.keycloak()


def test_an_old_java_is_named(bare: Path) -> None:
    put(bare, "java", """echo 'openjdk version "11.0.2" 2019-01-15' >&2""")
    with pytest.raises(BinaryUnavailableError, match=r'java is openjdk version "11.0.2"'):
        keycloak_dist.keycloak()


def test_a_missing_maven_says_what_to_install(bare: Path) -> None:
    put(bare, "java", """echo 'openjdk version "21.0.1"' >&2""")
    with pytest.raises(BinaryUnavailableError, match=r"no `mvn` on PATH: install it \(Debian: apt-get install maven\)"):
        keycloak_dist.keycloak()


def test_other_content_than_the_pinned_is_not_kept(bare: Path, tmp_path: Path) -> None:
    put(bare, "java", """echo 'openjdk version "21.0.1"' >&2""")
    with zipfile.ZipFile(tmp_path / "other.zip", "w") as archive:
        archive.writestr(f"keycloak-{VERSION}/lib/quarkus-run.jar", b"another's")
    target = f"fetched/keycloak-quarkus-dist-{VERSION}.zip"
    put(bare, "mvn", f"PATH=/usr/bin:/bin; mkdir -p fetched; cp {tmp_path / 'other.zip'} {target}")
    with pytest.raises(BinaryUnavailableError, match=r"but 27a6535553c3.* is pinned; nothing of it was kept"):
        keycloak_dist.keycloak()
    assert [path for path in (tmp_path / "cache").rglob("*") if path.is_file() and path.name != "build.lock"] == []


def test_who_does_without_is_brought_none(bare: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setenv("SIGNOFF_KEYCLOAK", "skip")
    assert main(["binaries", "keycloak"]) == 0
    monkeypatch.setenv("SIGNOFF_KEYCLOAK", "no")
    assert main(["binaries", "keycloak"]) == 1
    assert "set it to skip" in capsys.readouterr().err
