"""Keycloak from Maven Central: fetched once, prepared once, and kept in the user's cache.

Rules:

1. Version and SHA-256 are pinned here. Maven fetches it (`mvn`), by its own settings: mirrors, proxies and accounts are this machine's.
2. What is prepared: the server, built for its options; a database with the bank's realm; and an archive of loaded classes for the Java at
   hand (another Java does without). A start then takes a third of the work.
3. The cache's key follows everything that decides the result. It lies in its place at once, for Java notes where classes were, and counts
   when the file `ready` is there. One preparation runs at a time on a machine.
4. `SIGNOFF_KEYCLOAK=skip` leaves Keycloak, and with it its tests, out.
"""

from __future__ import annotations

import hashlib
import json
import secrets
import shutil
import subprocess
import time
import zipfile
from pathlib import Path
from typing import TYPE_CHECKING, Final

from controlplane.binaries import cache_folder, one_at_a_time
from controlplane.errors import BinaryUnavailableError
from controlplane.keycloak_java import FLAGS, classes_of, install_words, is_ready, java, java_command, start_arguments
from controlplane.keycloak_realm import realm
from controlplane.pki import Authority
from controlplane.ports import LOOPBACK, free_ports
from controlplane.processes import Component, end_group, last_lines
from controlplane.progress import Progress

if TYPE_CHECKING:
    from collections.abc import Sequence

VERSION: Final = "26.7.3"
SHA256: Final = "27a6535553c3cdcd083872ba40629efafb3475e3b758e0c6f691395561dd0f1f"
ADMIN: Final = "administrator"
_COPY: Final = "org.apache.maven.plugins:maven-dependency-plugin:3.8.1:copy"
_OPTIONS: Final = ("--db=dev-file", "--health-enabled=true")
STEP_SECONDS: Final = 1800.0


def keycloak() -> Path:
    """The folder with the prepared Keycloak, brought first if need be. Raises BinaryUnavailableError, which says what to install."""
    java()
    folder = cache_folder() / f"keycloak-{_key()}"
    ready = folder / "ready"
    if ready.exists():
        return folder
    with Progress(f"keycloak {VERSION}: bringing it by Maven") as progress, one_at_a_time(progress):
        if not ready.exists():  # else somebody else brought it while we waited
            shutil.rmtree(folder, ignore_errors=True)
            folder.mkdir(parents=True)
            _unpack(_fetch(folder, progress), folder)
            _watch(java_command(folder, folder, "build", *_OPTIONS), folder, progress, "building")
            _seed(folder, progress)
            ready.touch()
    return folder


def lay_out(folder: Path, home: Path) -> None:
    """Make `home` the home of a server of its own, with the seed's data, unless it has data already."""
    home.mkdir(parents=True, exist_ok=True)
    for name in ("lib", "providers", "themes", "conf"):
        if not (home / name).exists():
            (home / name).symlink_to(folder / name)
    if not (home / "data").exists() and (folder / "seed").exists():
        shutil.copytree(folder / "seed", home / "data")


def admin_password(folder: Path) -> str:
    """The administrator's password in the seed."""
    return (folder / "admin").read_text()


def _key() -> str:
    parts = [VERSION, SHA256, *_OPTIONS, *FLAGS, json.dumps(realm(), sort_keys=True)]
    return f"{VERSION}-{hashlib.sha256(chr(0).join(parts).encode()).hexdigest()[:16]}"


def _fetch(folder: Path, progress: Progress) -> Path:
    maven = shutil.which("mvn")
    if maven is None:
        raise BinaryUnavailableError(f"Keycloak is brought by Maven, and there is no `mvn` on PATH: {install_words('maven')}")
    command = [
        maven,
        "--batch-mode",
        "--strict-checksums",
        f"-Dmaven.repo.local={folder / 'fetched' / 'repository'}",  # else the user's keeps 180 MB that nobody needs again
        _COPY,
        f"-Dartifact=org.keycloak:keycloak-quarkus-dist:{VERSION}:zip",
        f"-DoutputDirectory={folder / 'fetched'}",
    ]
    _watch(command, folder, progress, "fetching")
    archive = folder / "fetched" / f"keycloak-quarkus-dist-{VERSION}.zip"
    with archive.open("rb") as content:
        found = hashlib.file_digest(content, "sha256").hexdigest()
    if found != SHA256:
        shutil.rmtree(folder)
        raise BinaryUnavailableError(
            f"Maven brought a Keycloak {VERSION} with SHA-256 {found}, but {SHA256} is pinned; nothing of it was kept. "
            "Look from which repository Maven's settings bring it"
        )
    return archive


def _unpack(archive: Path, folder: Path) -> None:
    with zipfile.ZipFile(archive) as content:
        content.extractall(folder / "fetched")
    for each in (folder / "fetched" / f"keycloak-{VERSION}").iterdir():
        each.rename(folder / each.name)
    shutil.rmtree(folder / "fetched")


def _seed(folder: Path, progress: Progress) -> None:
    """Let a first server make its database and the realm, and note which classes it loads."""
    home = folder / "first"
    lay_out(folder, home)
    imported = home / "data" / "import"
    imported.mkdir(parents=True)
    (imported / "bank-realm.json").write_text(json.dumps(realm()))
    admin = folder / "admin"
    admin.touch(mode=0o600)
    admin.write_text(secrets.token_urlsafe(24))
    files = Authority("first", home / "pki").serving("keycloak", [LOOPBACK])
    port, health = free_ports(2)
    arguments = start_arguments(f"https://{LOOPBACK}:{port}", port, health, files.certificate, files.key)
    command = java_command(folder, home, *arguments, "--import-realm")
    command.insert(1, f"-XX:ArchiveClassesAtExit={classes_of(folder)}")
    environment = {"KC_BOOTSTRAP_ADMIN_USERNAME": ADMIN, "KC_BOOTSTRAP_ADMIN_PASSWORD": admin_password(folder)}
    server = Component("keycloak", command, folder / "seed.log", environment)
    server.start()
    try:
        deadline = time.monotonic() + STEP_SECONDS
        while not is_ready(health) and server.running and time.monotonic() < deadline:
            progress.tick("preparing its database")
            time.sleep(0.2)
        well = server.running
    finally:
        server.stop(grace=120)  # it writes the archive of classes then
    if not well:
        raise BinaryUnavailableError(f"keycloak did not prepare its database:\n{last_lines(server.log)}")
    shutil.rmtree(imported)
    (home / "data").rename(folder / "seed")
    shutil.rmtree(home)
    server.log.unlink()  # half a megabyte about classes that were not archived


def _watch(command: Sequence[str], folder: Path, progress: Progress, doing: str) -> None:
    log = folder / f"{doing}.log"
    with log.open("wb") as output:
        step = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=output, stderr=output, cwd=folder, start_new_session=True)
        deadline = time.monotonic() + STEP_SECONDS
        try:
            while step.poll() is None and time.monotonic() < deadline:
                time.sleep(0.2)
                progress.tick(doing)
        finally:
            end_group(step)
    if step.returncode != 0:
        raise BinaryUnavailableError(f"keycloak {VERSION}: {doing} failed: `{' '.join(command)}`:\n{last_lines(log)}")
