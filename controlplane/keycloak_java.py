"""How Keycloak is run: by the Java at hand, without its shell script (which a kill would not pass on), and for this machine alone."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from pathlib import Path
from typing import Final

import httpx

from controlplane.errors import BinaryUnavailableError
from controlplane.ports import LOOPBACK

JAVA: Final = 17
WAY_VARIABLE: Final = "SIGNOFF_KEYCLOAK"
SKIP: Final = "skip"
_OPENED: Final = ("java.util", "java.util.concurrent", "java.security", "java.lang")
FLAGS: Final = (
    "-Xms64m",
    "-Xmx512m",
    "-XX:MaxMetaspaceSize=256m",
    "-XX:+UseSerialGC",
    "-XX:TieredStopAtLevel=1",  # it lives for a few hundred requests
    *(f"--add-opens=java.base/{package}=ALL-UNNAMED" for package in _OPENED),
    "--enable-native-access=ALL-UNNAMED",
    "-Duser.language=en",
    "-Djava.util.concurrent.ForkJoinPool.common.threadFactory=io.quarkus.bootstrap.forkjoin.QuarkusForkJoinWorkerThreadFactory",
    "-Djava.util.logging.manager=org.jboss.logmanager.LogManager",
    "-Dpicocli.disable.closures=true",
)


def is_skipped() -> bool:
    """Whether this machine does without. Raises BinaryUnavailableError for a value that means nothing."""
    way = os.environ.get(WAY_VARIABLE, "")
    if way not in ("", SKIP):
        raise BinaryUnavailableError(f"{WAY_VARIABLE} is {way!r}: set it to {SKIP}, or unset it to have Keycloak")
    return way == SKIP


def java() -> str:
    """The Java that runs it: `JAVA_HOME`'s, else that on PATH. Raises BinaryUnavailableError if there is none, or too old a one."""
    home = os.environ.get("JAVA_HOME")
    found = str(Path(home) / "bin" / "java") if home else shutil.which("java")
    said = ""
    if found and Path(found).exists():
        said = subprocess.run([found, "-version"], capture_output=True, text=True, timeout=60, check=False).stderr
        version = re.search(r'version "(\d+)', said)
        if version and int(version.group(1)) >= JAVA:
            return found
    raise BinaryUnavailableError(f"Keycloak needs Java {JAVA} or newer, and {_seen(found, said)}: {install_words('default-jre-headless')}")


def java_command(folder: Path, home: Path, *arguments: str) -> list[str]:
    """Keycloak's own command line, run without its shell script, which a kill would not pass on; `home` is where it keeps its data."""
    classes = classes_of(folder)
    return [
        java(),
        *([f"-XX:SharedArchiveFile={classes}"] if classes.exists() else []),
        *FLAGS,
        f"-Dkc.home.dir={home}",
        f"-Djboss.server.config.dir={home / 'conf'}",
        "-cp",
        str(folder / "lib" / "quarkus-run.jar"),
        "io.quarkus.bootstrap.runner.QuarkusEntryPoint",
        *arguments,
    ]


def start_arguments(issuer_root: str, port: int, health: int, certificate: Path, key: Path) -> list[str]:
    """How a prepared server is started, on loopback and for itself alone."""
    return [
        "start",
        "--optimized",
        "--cache=local",
        f"--http-host={LOOPBACK}",
        f"--https-port={port}",
        f"--http-management-port={health}",
        "--http-management-scheme=http",
        "--log-level=info,io.smallrye.health:error",  # else each probe before it is ready leaves a line
        f"--hostname={issuer_root}",
        f"--https-certificate-file={certificate}",
        f"--https-certificate-key-file={key}",
    ]


def is_ready(health: int) -> bool:
    """Whether the server with this management port says that it takes requests."""
    try:
        return httpx.get(f"http://{LOOPBACK}:{health}/health/ready", timeout=5, trust_env=False).status_code == httpx.codes.OK
    except httpx.HTTPError:
        return False


def classes_of(folder: Path) -> Path:
    """Where the archive of loaded classes is, once there is one."""
    return folder / "classes.jsa"


def _seen(found: str | None, said: str) -> str:
    return f"{found} is {said.splitlines()[0]}" if said else "there is none"


def install_words(package: str) -> str:
    """What to do about a program that is missing."""
    return f"install it (Debian: apt-get install {package}), or set {WAY_VARIABLE}={SKIP} to do without Keycloak and its tests"
