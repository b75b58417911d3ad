"""Files of a model version or a run: listed, fetched one by one, hashed, and removed again.

1. They lie with the tracking server itself (``mlflow-artifacts:``), or in a bucket (``s3:``). What a registry calls a file of this machine,
   or of another server, is not fetched: it would be read with the caller's rights, and the caller's token would go along.
2. A path is relative and goes nowhere but down. Here each file lies under a name of our own, whatever it is called there.
3. No more bytes are written than were listed for the file, nor than remain of what is allowed in all: the kernel holds the limit
   (RLIMIT_FSIZE), whatever the store sends and whichever client fetches. What sends less than it listed is refused too.
"""

from __future__ import annotations

import errno
import hashlib
import resource
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final
from urllib.parse import urlsplit

from mlflow.store.artifact.artifact_repository_registry import get_artifact_repository

from signoff.errors import SignoffError
from signoff.record.values import Digest
from signoff.registry.client import Missing, told
from signoff.registry.words import plain_path

MAX_LISTED: Final = 10_000
MAX_DEPTH: Final = 16
_SERVED: Final = "have the server serve its artefacts (mlflow server --serve-artifacts), or draft the promotion by hand: signoff draft"


@dataclass(frozen=True)
class Listed:
    """A file that a store lists; ``size`` is None where it does not say."""

    path: str
    size: int | None


class Files:
    """The files below one address."""

    def __init__(self, address: str, tracking: str) -> None:
        self.address: Final = _allowed(address, tracking)
        with told(address, "there is no such store", _SERVED):
            self._store = get_artifact_repository(address, tracking_uri=tracking, registry_uri=tracking)

    def below(self, path: str = "") -> tuple[Listed, ...]:
        """Return the file at ``path``, or every file below that folder, sorted; `Missing` where there is none."""
        found: tuple[Listed, ...] | None = None
        if path:
            _checked(path, "", "the path given")
            parent, _, _ = path.rpartition("/")
            found = next(((one,) for one in self._list(parent) if isinstance(one, Listed) and one.path == path), None)
        if found is None:
            found = tuple(sorted(self._walk(path), key=lambda one: one.path))
        if not found:
            what = f"has no file {path}" if path else "has no files"
            raise Missing(what, where=self.address, mend="name a path as the registry shows it")
        return found

    def digest(self, file: Listed, limit: int) -> tuple[Digest, int]:
        """Return the sha256 of a file and its size (rule 3)."""
        with self._fetched(file, limit) as path, path.open("rb") as stream:
            return Digest(f"sha256:{hashlib.file_digest(stream, 'sha256').hexdigest()}"), path.stat().st_size

    def content(self, file: Listed, limit: int) -> bytes:
        """Return the bytes of a file (rule 3)."""
        with self._fetched(file, limit) as path:
            return path.read_bytes()

    def _walk(self, folder: str) -> Iterator[Listed]:
        waiting, seen = [folder], 0
        while waiting:
            for one in self._list(waiting.pop()):
                seen += 1
                if seen > MAX_LISTED:
                    mend = "name those that matter: --artifact PATH"
                    raise SignoffError(f"lists more than {MAX_LISTED:,} files", where=self.address, mend=mend)
                if isinstance(one, Listed):
                    yield one
                else:
                    waiting.append(one)

    def _list(self, folder: str) -> Iterator[Listed | str]:
        """Yield what lies in a folder: files, and the paths of folders."""
        known: set[str] = set()
        with told(self.address, f"has no folder {folder}", "name a path as the registry shows it"):
            answered = [(str(one.path), bool(one.is_dir), one.file_size) for one in self._store.list_artifacts(folder or None)]
        for path, is_folder, size in answered:
            _checked(path, folder, self.address)
            # What is deeper than the folder, or listed twice, would be walked for ever.
            if path in known or "/" in path.removeprefix(f"{folder}/" if folder else ""):
                raise SignoffError(f"lists {path[:80]!r} in a folder where it is not", where=self.address, mend="look who answers there")
            known.add(path)
            if path.count("/") >= MAX_DEPTH or (size is not None and int(size) < 0):
                what = f"lists {path[:80]!r} more than {MAX_DEPTH} folders deep, or of no size"
                raise SignoffError(what, where=self.address, mend="look who answers there")
            yield path if is_folder else Listed(path, size if size is None else int(size))

    @contextmanager
    def _fetched(self, file: Listed, limit: int) -> Iterator[Path]:
        size = limit if file.size is None else file.size
        if size > limit:
            raise _too_large(file, self.address, limit)
        with tempfile.TemporaryDirectory(prefix="signoff-") as folder:
            path = Path(folder) / "file"
            try:
                with _files_of_at_most(size), told(self.address, f"has no file {file.path}", "look at the registry"):
                    self._store._download_file(file.path, str(path))  # noqa: SLF001 - what each store implements; the public call chooses names
            except OSError as error:
                if error.errno == errno.EFBIG:
                    raise _other_size(file, self.address, "more than", size) from None
                what = f"{file.path} cannot be fetched: {error.strerror or type(error).__name__}"
                raise SignoffError(what, where=self.address, mend="see that there is room in the folder of temporary files") from None
            if file.size is not None and path.stat().st_size != size:
                raise _other_size(file, self.address, "not", size)
            yield path


def _allowed(address: str, tracking: str) -> str:
    try:
        parts = urlsplit(address)
    except ValueError:
        parts = urlsplit("")
    if parts.scheme == "mlflow-artifacts":
        if parts.netloc in {"", urlsplit(tracking).netloc}:
            return address
        raise SignoffError("lies with another server than the tracking server", where=address, mend=_SERVED)
    if parts.scheme == "s3" and parts.netloc and not parts.query:
        return address
    what = f"artefacts at {address[:200]!r} are not fetched, only from mlflow-artifacts: and s3:"
    raise SignoffError(what, where=tracking, mend=_SERVED)


def _checked(path: str, below: str, where: str) -> None:
    try:
        plain_path(path, below)
    except ValueError as error:
        raise SignoffError(f"the path {path[:80]!r} {error}", where=where, mend="log the artefact under a plain path") from None


def _too_large(file: Listed, where: str, limit: int) -> SignoffError:
    mend = "allow more with --max-size, or choose less with --artifact"
    return SignoffError(f"{file.path} has more bytes than the {limit:,} that may still be fetched", where=where, mend=mend)


def _other_size(file: Listed, where: str, what: str, size: int) -> SignoffError:
    if file.size is None:
        return _too_large(file, where, size)
    return SignoffError(f"sends {what} the {size:,} bytes that it lists for {file.path}", where=where, mend="look who answers there")


@contextmanager
def _files_of_at_most(size: int) -> Iterator[None]:
    """Have the kernel refuse to make any file of this process larger, for as long as this lasts."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    known = [one for one in (soft, size) if one != resource.RLIM_INFINITY]
    resource.setrlimit(resource.RLIMIT_FSIZE, (min(known), hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
