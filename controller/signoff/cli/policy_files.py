"""Policies out of files, as they would be published: read, their conditions compiled; nothing is published by reading."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Final

from signoff.cli import reach
from signoff.errors import SignoffError
from signoff.manifests import MAX_BYTES, documents
from signoff.policy.conditions import check_conditions
from signoff.policy.schema import Published, read_policy
from signoff.record.canonical import Json, dumps
from signoff.record.values import sha256

_KIND: Final = "PromotionPolicy"
_OF_A_SPEC: Final = frozenset({"models", "rules", "tiers"})


def policy_in(path: Path) -> Published:
    """Return the policy of a manifest; it bears the digest of its text where a published one bears that of its statement."""
    manifest = of_kind(path, _KIND)
    metadata = manifest.get("metadata")
    name = metadata.get("name") if isinstance(metadata, Mapping) else None
    if not isinstance(name, str) or not name:
        raise SignoffError("the policy bears no name", where=f"{path}: metadata.name", mend="give it one")
    return _read(name, manifest.get("spec"), f"{path}: spec")


def policy_or_spec_in(path: Path) -> Published:
    """Return the policy of a manifest, or of a lone spec, which is called as its file is; else as `policy_in`."""
    found = [one for one in _documents(path) if isinstance(one, Mapping)]
    if len(found) == 1 and "kind" not in found[0] and found[0].keys() & _OF_A_SPEC:
        return _read(path.name.partition(".")[0] or path.name, found[0], str(path))
    return policy_in(path)


def refuse_twice(policies: Sequence[Published], where: str) -> None:
    """Raise where two policies bear one name."""
    names = [one.name for one in policies]
    if twice := {name for name in names if names.count(name) > 1}:
        raise SignoffError(f"two policies bear the name {min(twice)}", where=where, mend="give each once, as a cluster has it")


def of_kind(path: Path, kind: str) -> Mapping[str, Json]:
    """Return the one document of a kind that a file holds."""
    found = [one for one in _documents(path) if isinstance(one, Mapping) and one.get("kind") == kind]
    if len(found) != 1:
        raise SignoffError(
            f"holds {len(found)} documents of kind {kind}, and one is wanted", where=str(path), mend="give the file that was meant"
        )
    return found[0]


def one_document(path: Path) -> Json:
    """Return the one document that a file holds."""
    found = list(_documents(path))
    if len(found) != 1:
        raise SignoffError(f"holds {len(found)} documents, and one is wanted", where=str(path), mend="put the table into a file of its own")
    return found[0]


def _read(name: str, text: Json, where: str) -> Published:
    spec = read_policy(text, where)
    check_conditions(spec, where)
    return Published(name, spec, sha256(dumps(text)))


def _documents(path: Path) -> Iterator[Json]:
    return documents(reach.file_bytes(path, MAX_BYTES), str(path))
