"""Parts of a promotion's manifest, for the commands that write one.

What is known is checked here; what is not is a place to fill in.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path, PurePosixPath
from typing import Final

from signoff.cli import reach
from signoff.cli.manifest import FILL_IN, Node, Note
from signoff.errors import SignoffError
from signoff.gate.reference import BadReference, Reference, parse_reference
from signoff.record.canonical import b64encode
from signoff.record.freeze import LiveIncumbent
from signoff.record.request import MAX_INLINE_EXPLANATION, MAX_SPEC, platform_manifests
from signoff.record.values import Digest, sha256

MAX_CONFIG_MAP: Final = 1024 * 1024
_TYPES: Final = {
    ".html": "text/html",
    ".htm": "text/html",
    ".md": "text/markdown",
    ".markdown": "text/markdown",
    ".txt": "text/plain",
}


def pinned(image: str, where: str = "IMAGE") -> Reference:
    """Return an image's reference, which names its registry and carries a sha256 digest; `SignoffError` says how to find one."""
    try:
        reference = parse_reference(image)
    except BadReference as error:
        raise SignoffError(error.what, where=f"{where} {error.where}", mend=error.mend) from None
    if not reference.qualified:
        raise SignoffError(f"{image[:200]!r} names no registry", where=where, mend="write the registry's host out, with the digest")
    if reference.digest is None or not reference.digest.startswith("sha256:"):
        repository = reference.repository
        tag = f":{reference.tag}" if reference.tag else ""
        raise SignoffError(
            f"{image[:200]!r} carries no sha256 digest, and a tag can be moved",
            where=where,
            mend=f"find it with `crane digest {repository}{tag}`, and write {repository}@sha256:<digest>",
        )
    return reference


def image_index(path: Path, digest: Digest) -> str:
    """Return the bytes of an image index in base64, which hash to ``digest``."""
    encoded = b64encode(reach.file_bytes(path, MAX_SPEC))
    try:
        platform_manifests(encoded, digest)
    except ValueError as error:
        raise SignoffError(str(error), where=str(path), mend="fetch it with: crane manifest IMAGE > FILE") from None
    return encoded


def live(archive: str, trust: str, model: str, environment: str, clusters: Sequence[str]) -> LiveIncumbent | None:
    """Return what the archive says is live in all clusters; None where nothing is, `SignoffError` where they differ."""
    reader = reach.reader(archive, trust)
    found = {cluster: reader.incumbent(model, environment, cluster) for cluster in clusters}
    digests = {one.digest if one else None for one in found.values()}
    if len(digests) > 1:
        told = ", ".join(f"{cluster}: {one.version if one else 'none'}" for cluster, one in found.items())
        raise SignoffError(
            f"the live versions differ ({told}), and a request shows one", where="--target-cluster", mend="draft one request for each"
        )
    return found[clusters[0]]


def media_type(file: str, where: str) -> str:
    """Return the media type of a report by its file's suffix."""
    suffix = PurePosixPath(file).suffix.lower()
    if suffix not in _TYPES:
        raise SignoffError(f"{suffix or 'no suffix'} is none of {', '.join(_TYPES)}", where=where, mend="rename the report")
    return _TYPES[suffix]


def explanation(data: bytes, file: str, where: str, name: str, namespace: Node) -> tuple[Node, Node | None]:
    """Return ``spec.explanation`` for a report's bytes, inline where they fit, else with the ConfigMap that holds them."""
    told: dict[str, Node] = {"mediaType": media_type(file, where), "digest": sha256(data)}
    if not data:
        raise SignoffError("is empty", where=where, mend="write the report first")
    try:
        content = data.decode("utf-8")
    except UnicodeDecodeError as error:
        raise SignoffError(f"not UTF-8 at byte {error.start}", where=where, mend="save it as UTF-8") from None
    if len(data) <= MAX_INLINE_EXPLANATION:
        return {**told, "source": {"inline": content}}, None
    map_name, key = f"{name[:200]}-explanation", re.sub(r"[^-._a-zA-Z0-9]", "-", file)[-253:]
    metadata: Node = {"name": map_name, "namespace": namespace}
    config_map: Node = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": metadata, "data": {key: content}}
    return {**told, "source": {"configMap": {"name": map_name, "key": key}}}, config_map


def unknown_explanation() -> Node:
    """Return ``spec.explanation`` to be filled in."""
    return {
        "mediaType": Note("text/html", "or text/markdown, or text/plain"),
        "digest": FILL_IN("sha256: of the report that the approver shall read"),
        "source": {"url": FILL_IN("its https:// address, or use configMap or inline")},
    }


def unknown_metric(of: str) -> Node:
    """Return a metric to be filled in."""
    return {"name": FILL_IN(f"a metric {of}, such as auc"), "value": FILL_IN('its figure as a decimal string, such as "0.8471"')}


def unknown_dataset() -> Node:
    """Return a dataset to be filled in."""
    return {
        "name": FILL_IN("the data that the figures rest on"),
        "version": FILL_IN("its version"),
        "digest": FILL_IN("sha256: of its content"),
        "role": Note("evaluation", "or reference, or feature-view"),
    }


def object_name(text: str) -> str:
    """Return text as the name of a Kubernetes object."""
    return re.sub(r"[^a-z0-9.-]+", "-", text.lower()).strip("-.")[:200].strip("-.")
