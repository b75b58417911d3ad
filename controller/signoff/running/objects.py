"""One object that the API server lists, and who made it.

1. Every Pod that has not ended is looked at, whoever made it: a Pod is what runs.
2. Of the objects above Pods those are looked at that no other one of the gate's kinds made: a ReplicaSet of a Deployment repeats its
   template or an older one, and what of it runs are Pods. An owner of these kinds counts if it is there, by its uid, and not because an
   object says so.
3. Of what makes Pods by itself and runs as many as one the template is kept for as long as the namespace is looked at: after an expiry the
   verdict on a Pod depends on whether its owner was there before with the same images.
4. A Pod with the annotation of a mirror is the API server's picture of a static Pod: a file on a node, which admission cannot stop.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Final, NamedTuple

from signoff.gate.owners import KINDS as MAKE_PODS
from signoff.gate.owners import Owner as Claimed
from signoff.gate.owners import controller_of, since
from signoff.gate.workloads import IMAGES, ImageUse
from signoff.record.canonical import Json
from signoff.running.kinds import KINDS, Kind
from signoff.running.listing import Listing, Object

_MIRROR: Final = "kubernetes.io/config.mirror"
_ENDED: Final = frozenset({"Succeeded", "Failed"})
_POD: Final = next(kind for kind in KINDS if kind.is_pod)
_KNOWN: Final = frozenset((kind.group, kind.name) for kind in KINDS)
_OF_A_MAKER: Final = ("name", "uid", "creationTimestamp")
_HIGHEST: Final = 4


class Owner(NamedTuple):
    """The controller of an object, as the object says: its group, kind and name."""

    group: str
    kind: str
    name: str

    def __str__(self) -> str:
        return f"{self.kind.lower()}s/{self.name}"


@dataclass(frozen=True, slots=True)
class Running:
    """An object that runs, or that makes Pods; ``top`` is what stands highest above it, itself if nothing does."""

    api_version: str
    kind: str
    namespace: str
    name: str
    uid: str
    created: str
    is_pod: bool
    is_static: bool
    top: Owner
    value: Object
    claimed: Claimed | None = None
    maker: Object | None = None

    def since(self, uses: Sequence[ImageUse]) -> datetime | None:
        """Return since when the owner of a Pod with these images has been there; None where none that counts has (`gate.owners`)."""
        return since(self.claimed, self.maker, uses) if self.claimed is not None and self.maker is not None else None


def objects_in(listing: Listing, namespace: str) -> Iterator[Running]:
    """Yield what is looked at in a namespace (rules 1 and 2), Pods last."""
    makers = _Makers()
    for kind in KINDS:
        for api_version, found in listing.objects(kind, namespace):
            running = _running(found, kind, api_version, namespace, makers)
            if running is not None:
                yield running


def pods(listing: Listing, namespace: str) -> Iterator[tuple[str, frozenset[str]]]:
    """Yield each Pod of a namespace that has not ended, by name, and the digests that it names as images."""
    for _, found in listing.objects(_POD, namespace):
        if not _has_ended(found):
            named = (text for place in IMAGES for text in _texts(_part(found, "spec"), place.path))
            yield _text(_part(found, "metadata"), "name"), frozenset(text.partition("@")[2] for text in named) - {""}


@dataclass
class _Makers:
    """Who may have made something: the uids of what is there, and what made it in turn."""

    uids: dict[Owner, str] = field(default_factory=dict)
    made: dict[Owner, Owner] = field(default_factory=dict)
    templates: dict[Owner, Object] = field(default_factory=dict)


def _running(found: Object, kind: Kind, api_version: str, namespace: str, makers: _Makers) -> Running | None:
    metadata = _part(found, "metadata")
    own = Owner(kind.group, kind.name, _text(metadata, "name"))
    above = _controller(metadata, makers)
    if kind.is_pod and _has_ended(found):
        return None
    if not kind.is_pod:
        makers.uids[own] = _text(metadata, "uid")
        if (api_version, kind.name) in MAKE_PODS and _part(found, "spec").get("replicas") != 0:
            makers.templates[own] = {"metadata": {name: metadata.get(name) for name in _OF_A_MAKER}, "spec": _part(found, "spec")}
        if above is not None and above[:2] in _KNOWN:
            makers.made[own] = above
            return None
    return Running(
        api_version=api_version,
        kind=kind.name,
        namespace=namespace,
        name=own.name,
        uid=_text(metadata, "uid"),
        created=_text(metadata, "creationTimestamp"),
        is_pod=kind.is_pod,
        is_static=kind.is_pod and _MIRROR in _part(metadata, "annotations"),
        top=_top(own, above, makers.made) if kind.is_pod else own,
        value=found,
        claimed=controller_of(found) if kind.is_pod else None,
        maker=makers.templates.get(above) if kind.is_pod and above is not None else None,
    )


def _top(own: Owner, above: Owner | None, made: Mapping[Owner, Owner]) -> Owner:
    if above is None or above.kind == "Node":
        return own
    for _ in range(_HIGHEST):
        if above not in made:
            break
        above = made[above]
    return above


def _controller(metadata: Object, makers: _Makers) -> Owner | None:
    """Return the controller of an object; None where it has none, or one of the gate's kinds that is not there (rule 2)."""
    owners = metadata.get("ownerReferences")
    for one in owners if isinstance(owners, list) else ():
        if isinstance(one, Mapping) and one.get("controller") is True:
            owner = Owner(_text(one, "apiVersion").rpartition("/")[0], _text(one, "kind"), _text(one, "name"))
            there = owner[:2] not in _KNOWN or makers.uids.get(owner, "") == _text(one, "uid") != ""
            return owner if there else None
    return None


def _has_ended(pod: Object) -> bool:
    return _text(_part(pod, "status"), "phase") in _ENDED


def _texts(value: Json, path: str) -> Iterator[str]:
    """Yield the texts at a path of the gate's table (`IMAGES`), whatever else lies there."""
    step, _, rest = path.partition(".")
    found = value.get(step.removesuffix("[]")) if isinstance(value, Mapping) else None
    for one in found if isinstance(found, list) else (found,):
        if rest:
            yield from _texts(one, rest)
        elif isinstance(one, str):
            yield one


def _part(value: Object, key: str) -> Object:
    found: Json = value.get(key)
    return found if isinstance(found, Mapping) else {}


def _text(value: Object, key: str) -> str:
    found = value.get(key)
    return found if isinstance(found, str) else ""
