"""Binaries by download: the files that the projects themselves release.

Rules:

1. All of it goes over https, redirects included, through `HTTPS_PROXY` where that is set, trusting `SSL_CERT_FILE` where that is
   set. Nobody is shown a credential: no .netrc is read.
2. A file is taken only with the SHA-256 that its project publishes beside it, at the same origin. That checks the transfer, not
   the publisher: whoever can replace the file there can replace its checksum. No checksum is pinned here; the way that is
   pinned, by go.sum, is the build from Go modules.
3. Out of reach, or not offered: ReleaseUnavailableError, and whoever asked may build instead. The first answer is waited for
   three seconds, name resolution included. Silence is remembered for the run: nobody is asked again.
4. Reached, but with wrong content: BinaryUnavailableError with what was expected and what was found, and nothing is kept.
5. Of an archive the one named member is read, a regular file, into a path of our own; an archive's names are never paths here.
6. Sizes and times are bounded, and the binary appears in its place by one rename.

The addresses were read and not tried, for no release site could be reached where this was written: for dl.k8s.io in published
install scripts (a bare digest in `<file>.sha256`), for the others at the projects: etcd's release notes and scripts/release.sh
(`SHA256SUMS`), helm's Makefile and scripts/get-helm-4 (`<file>.sha256sum`), cosign's .goreleaser.yml (`cosign_checksums.txt`).
kwok's hack/releases.sh uploads binaries without a checksum, so kwok is always built. Archives are those of Linux; elsewhere some
files are not offered.
"""

from __future__ import annotations

import gzip
import hashlib
import re
import tarfile
import tempfile
import threading
import time
import zlib
from concurrent.futures import Future
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

import httpx

from controlplane.errors import BinaryUnavailableError, ControlPlaneError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from _typeshed import SupportsRead

PATIENCE_SECONDS = 3.0
STALL_SECONDS = 30.0
DOWNLOAD_SECONDS = 1800.0
MAX_BYTES = 400 << 20  # the largest of them, kube-apiserver, has 120 MB
MAX_LIST_BYTES = 256 << 10
CHUNK_BYTES = 1 << 20

_unreachable: list[str] = []


class ReleaseUnavailableError(ControlPlaneError):
    """A release file is out of reach, or is not offered with a checksum; nothing wrong was seen."""


@dataclass(frozen=True)
class Release:
    """One file of a project's release: `url`, the list `checksums` at the same origin, and `member`, the binary's name in an archive.

    Without `member` the file itself is the binary. In the table `RELEASES` all three are forms with `{version}` (without v),
    `{system}` and `{architecture}` (Go's names for both). Raises ValueError unless both addresses are https of one origin.
    """

    url: str
    checksums: str
    member: str = ""

    def __post_init__(self) -> None:
        if self.origin != self._origin(self.checksums) or not self.origin.startswith("https://"):
            raise ValueError(f"{self.url} and {self.checksums}: give https addresses of one origin")

    @property
    def origin(self) -> str:
        """Scheme, host and port."""
        return self._origin(self.url)

    @property
    def file(self) -> str:
        """The file's name, as a list of checksums gives it."""
        return self.url.rpartition("/")[2]

    def made_for(self, version: str, system: str, architecture: str) -> Release:
        """The release file of this version for this operating system and architecture."""
        forms = (self.url, self.checksums, self.member)
        return Release(*(form.format(version=version, system=system, architecture=architecture) for form in forms))

    def key(self) -> str:
        """16 hex digits over everything that decides which binary it is."""
        return hashlib.sha256("\0".join((self.url, self.checksums, self.member)).encode()).hexdigest()[:16]

    @staticmethod
    def _origin(url: str) -> str:
        parts = urlsplit(url)
        return f"{parts.scheme}://{parts.netloc}"


def _beside(url: str, suffix: str, member: str = "") -> Release:
    return Release(url, url + suffix, member)


def _github(repository: str, file: str, checksums: str, member: str = "") -> Release:
    folder = f"https://github.com/{repository}/releases/download/v{{version}}"
    return Release(f"{folder}/{file}", f"{folder}/{checksums}", member)


_ETCD = "etcd-v{version}-{system}-{architecture}"
RELEASES = {
    "etcd": _github("etcd-io/etcd", f"{_ETCD}.tar.gz", "SHA256SUMS", f"{_ETCD}/etcd"),
    **{
        name: _beside(f"https://dl.k8s.io/v{{version}}/bin/{{system}}/{{architecture}}/{name}", ".sha256")
        for name in ("kube-apiserver", "kube-controller-manager", "kube-scheduler")
    },
    "helm": _beside("https://get.helm.sh/helm-v{version}-{system}-{architecture}.tar.gz", ".sha256sum", "{system}-{architecture}/helm"),
    "cosign": _github("sigstore/cosign", "cosign-{system}-{architecture}", "cosign_checksums.txt"),
}


def unreachable() -> str:
    """What this run has learned: why nobody is asked any more; empty while downloads are worth a try."""
    return _unreachable[0] if _unreachable else ""


def published_checksum(release: Release, patience: float = PATIENCE_SECONDS) -> str:
    """The SHA-256 of the release file, 64 lower-case hex digits, as its project publishes it.

    Waits at most `patience` seconds in all. Raises ReleaseUnavailableError.
    """
    if unreachable():
        raise ReleaseUnavailableError(unreachable())
    try:
        text = _within(patience, lambda: _read_list(release.checksums))
    except (httpx.HTTPError, httpx.InvalidURL, ImportError, OSError, ValueError) as error:  # the last four: how proxies are named
        _unreachable.append(f"{release.checksums}: {_words(error)}")
        raise ReleaseUnavailableError(unreachable()) from None
    checksum = checksum_in(text, release.file)
    if checksum is None:
        raise ReleaseUnavailableError(f"{release.checksums} gives no SHA-256 of {release.file}")
    return checksum


def checksum_in(text: str, file: str) -> str | None:
    """Find the SHA-256 of `file` in a list of `<digest>  <name>` lines, as sha256sum writes them, or in a text of one digest alone."""
    lines = [line.split() for line in text.splitlines() if line.strip()]
    if len(lines) == 1 and len(lines[0]) == 1:
        lines = [[lines[0][0], file]]
    found = {words[0].lower() for words in lines if len(words) == 2 and words[1].removeprefix("*") == file}
    digest = found.pop() if len(found) == 1 else ""  # two that differ are none
    return digest if re.fullmatch("[0-9a-f]{64}", digest) else None


def fetch(release: Release, checksum: str, target: Path, tick: Callable[[str], None]) -> None:
    """Put the binary of `release` at `target`, whose folder's parent exists; `tick` is told how far it is about once a MiB.

    Raises ReleaseUnavailableError if the transfer breaks off, BinaryUnavailableError if the content is wrong.
    """
    # Beside the target's folder, thus on its file system, and gone however this ends.
    with tempfile.TemporaryDirectory(prefix=".download-", dir=target.parent.parent) as scratch:
        file = Path(scratch) / "file"
        try:
            found = _save(release.url, file, tick)
        except httpx.HTTPError as error:
            raise ReleaseUnavailableError(f"{release.url}: {_words(error)}") from None
        if found != checksum:
            raise BinaryUnavailableError(
                f"{release.url} has SHA-256 {found}, but {release.checksums} says {checksum}. Nothing of it was kept. Try again; if it "
                "stays so, somebody between here and there changes files, or there: SIGNOFF_BINARIES=build builds from pinned modules"
            )
        binary = _extract(release, file) if release.member else file
        binary.chmod(0o755)
        target.parent.mkdir(exist_ok=True)
        binary.replace(target)


def _within(seconds: float, work: Callable[[], str]) -> str:
    """Do `work` for at most so long, on a thread that is left behind if need be: the resolver of names heeds no timeout of ours."""
    answer: Future[str] = Future()

    def run() -> None:
        try:
            answer.set_result(work())
        except BaseException as error:  # noqa: BLE001 - raised again by the one who waits
            answer.set_exception(error)

    threading.Thread(target=run, daemon=True).start()
    try:
        return answer.result(seconds)
    except TimeoutError:
        raise TimeoutError(f"no answer within {seconds:.0f} s") from None


def _read_list(url: str) -> str:
    content = b""
    with _open(url) as response:
        for chunk in response.iter_raw(CHUNK_BYTES):
            content += chunk
            if len(content) > MAX_LIST_BYTES:
                raise ReleaseUnavailableError(f"{url} is no list of checksums: it has more than {MAX_LIST_BYTES} bytes")
    return content.decode("ascii", errors="replace")


def _save(url: str, path: Path, tick: Callable[[str], None]) -> str:
    """Write what `url` gives to `path`; its SHA-256."""
    digest, size, deadline = hashlib.sha256(), 0, time.monotonic() + DOWNLOAD_SECONDS
    with _open(url) as response, path.open("wb") as file:
        for chunk in response.iter_raw(CHUNK_BYTES):
            size += len(chunk)
            if size > MAX_BYTES:
                raise BinaryUnavailableError(f"{url} has more than {MAX_BYTES} bytes, as no binary here does; nothing of it was kept")
            if time.monotonic() > deadline:
                raise ReleaseUnavailableError(f"{url} took longer than {DOWNLOAD_SECONDS:.0f} s")
            digest.update(chunk)
            file.write(chunk)
            tick(f"{size >> 20} MiB")
    return digest.hexdigest()


@contextmanager
def _open(url: str) -> Iterator[httpx.Response]:
    """The answer to a GET. Raises httpx.HTTPError for the network, ReleaseUnavailableError for any status but 200."""
    client = httpx.Client(
        follow_redirects=True,
        timeout=STALL_SECONDS,
        headers={"Accept-Encoding": "identity"},  # the checksum is of the file as it lies there
        event_hooks={"request": [_refuse_plain]},
    )
    with client, client.stream("GET", url) as response:
        if response.status_code != httpx.codes.OK:
            raise ReleaseUnavailableError(f"{url} answers {response.status_code} {response.reason_phrase}")
        yield response


def _refuse_plain(request: httpx.Request) -> None:
    if request.url.scheme != "https":
        raise ReleaseUnavailableError(f"{request.url} is not https, and a release led there; nothing is fetched in the clear")


def _extract(release: Release, archive: Path) -> Path:
    """The named member of a gzipped tar, beside it. The whole is unpacked within bounds first: a tar's own headers name sizes too."""
    unpacked, binary = archive.with_name("tar"), archive.with_name("member")
    try:
        with gzip.open(archive) as source:
            _copy(source, unpacked, release)
        with tarfile.open(unpacked, "r:") as tar:
            member = tar.getmember(release.member)
            content = tar.extractfile(member) if member.isreg() else None
            if content is None:
                raise BinaryUnavailableError(f"{release.url}: {release.member} is not a regular file there; nothing of it was kept")
            _copy(content, binary, release)
    except KeyError:
        raise BinaryUnavailableError(f"{release.url} holds no {release.member}; nothing of it was kept") from None
    except (gzip.BadGzipFile, EOFError, zlib.error, tarfile.TarError) as error:
        raise BinaryUnavailableError(f"{release.url} cannot be unpacked: {_words(error)}; nothing of it was kept") from None
    return binary


def _copy(source: SupportsRead[bytes], target: Path, release: Release) -> None:
    size = 0
    with target.open("wb") as file:
        while chunk := source.read(CHUNK_BYTES):
            size += len(chunk)
            if size > MAX_BYTES:
                raise BinaryUnavailableError(f"{release.url} unpacks to more than {MAX_BYTES} bytes; nothing of it was kept")
            file.write(chunk)


def _words(error: BaseException) -> str:
    return f"{type(error).__name__}: {error}"
