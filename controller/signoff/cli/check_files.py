"""The files around a check: the promotion that it is for, and the two that are written, both or none."""

from __future__ import annotations

import os
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Final
from uuid import uuid4

from signoff.cli import reach
from signoff.errors import SignoffError
from signoff.manifests import MAX_BYTES, documents
from signoff.record.canonical import Json
from signoff.record.request import GROUP, KIND, Dataset, Spec, read_spec
from signoff.record.values import Digest, sha256

_ELSEWHERE: Final = "name another file, or take this one away"


@dataclass(frozen=True)
class Asked:
    """A promotion as its manifest asks for it: name and namespace, empty where it says none, and its spec."""

    name: str
    namespace: str
    spec: Spec

    @property
    def in_namespace(self) -> str:
        """Return the option of kubectl for its namespace."""
        return f" -n {self.namespace}" if self.namespace else ""

    def used(self, reference: Digest, file: str, where: str) -> tuple[Dataset, ...]:
        """Return the datasets that a check rests on: those of evaluation, and the reference with this digest, which must be among them."""
        known = [one for one in self.spec.datasets if one.role == "reference"]
        if not known:
            what = "names no dataset of role reference"
            raise SignoffError(what, where=f"{where}: spec.datasets", mend=f"add one for {file}, with the digest {reference}")
        if all(one.digest != reference for one in known):
            named = ", ".join(f"{one.name} ({one.digest})" for one in known)
            mend = f"give the file that it names, or write this digest into {where}"
            raise SignoffError(f"hashes to {reference}, and the promotion's reference is {named}", where=file, mend=mend)
        return tuple(one for one in self.spec.datasets if one.role == "evaluation" or (one.role == "reference" and one.digest == reference))


@dataclass(frozen=True)
class Written:
    """A file that was written, and the digest of its bytes."""

    path: Path
    digest: Digest

    @classmethod
    def of(cls, path: Path, data: bytes) -> Written:
        """Return what was written."""
        return cls(path, sha256(data))


def read_asked(path: Path) -> Asked:
    """Return the one ModelPromotion of a file; `SignoffError` where there is none, several, or one that admission would refuse."""
    found = [one for one in documents(reach.file_bytes(path, MAX_BYTES), str(path)) if isinstance(one, Mapping) and _is_promotion(one)]
    if len(found) != 1:
        what = f"holds {len(found)} documents of kind {KIND}, and one is wanted"
        raise SignoffError(what, where=str(path), mend="give the manifest of the promotion")
    metadata = found[0].get("metadata")
    name, namespace = (metadata.get("name"), metadata.get("namespace")) if isinstance(metadata, Mapping) else (None, None)
    spec = read_spec(found[0].get("spec"), f"{path}: spec")
    return Asked(name if isinstance(name, str) and name else "PROMOTION", namespace if isinstance(namespace, str) else "", spec)


def require_new(*paths: Path) -> None:
    """Raise unless each path is free, in a folder that is there, and no path of another."""
    for index, path in enumerate(paths):
        if path.absolute() in {other.absolute() for other in paths[:index]}:
            raise SignoffError("is named for two files", where=str(path), mend="name two")
        if os.path.lexists(path):
            raise SignoffError("is there already, and nothing is overwritten", where=str(path), mend=_ELSEWHERE)
        if not path.parent.is_dir():
            raise SignoffError("there is no such folder", where=str(path.parent), mend="make it, or correct the path")


def write_both(*files: tuple[Path, bytes]) -> None:
    """Write all files or none; none is overwritten, whoever made it meanwhile."""
    parts: list[Path] = []
    made: list[Path] = []
    place = files[0][0]
    try:
        for place, data in files:
            part = place.with_name(f".{uuid4().hex}.part")
            with part.open("xb") as file:
                parts.append(part)
                file.write(data)
                file.flush()
                os.fsync(file.fileno())
        for (place, _), part in zip(files, parts, strict=True):
            place.hardlink_to(part)
            made.append(place)
    except OSError as error:
        for path in made:
            path.unlink()
        if isinstance(error, FileExistsError):
            raise SignoffError("is there already, and nothing is overwritten", where=str(place), mend=_ELSEWHERE) from None
        raise SignoffError(f"cannot be written: {error.strerror}", where=str(place), mend="name another place") from None
    finally:
        for part in parts:
            with suppress(OSError):
                part.unlink()


def _is_promotion(value: Mapping[str, Json]) -> bool:
    return value.get("kind") == KIND and str(value.get("apiVersion")).partition("/")[0] == GROUP
