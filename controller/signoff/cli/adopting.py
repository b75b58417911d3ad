"""What runs without an event, by image: who uses it, since when the cluster says so, and what the kubelets say that a tag is.

1. Whether an image has an event is the gate's verdict, as if its workloads came now.
2. An image by digest is known. A tag is nobody's promise: what a kubelet says that it runs as is told as the kubelet's word, and never
   filled in. A bare configuration digest, as some runtimes report, is not the digest of an image and is not told.
3. Since when something runs is the API server's word on when the object was made: a claim, and never the time of a decision.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from typing import Final

from signoff.gate.reference import BadReference, Reference, parse_reference
from signoff.gate.verdict import Finding
from signoff.running.judging import Told
from signoff.running.listing import Object
from signoff.running.objects import Owner, Running

_DIGEST: Final = re.compile(r"(?:.*@)(sha256:[0-9a-f]{64})", re.ASCII)
_STATUSES: Final = {
    "containers": "containerStatuses",
    "initContainers": "initContainerStatuses",
    "ephemeralContainers": "ephemeralContainerStatuses",
}
_PLACE: Final = re.compile(r"spec\.(\w+)\[(\d+)\]\.image", re.ASCII)


@dataclass
class Unpromoted:
    """An image that runs without an event."""

    reference: Reference
    text: str
    users: dict[Owner, None] = field(default_factory=dict)
    since: str = ""
    since_of: str = ""
    kubelets_say: dict[str, None] = field(default_factory=dict)
    is_mounted: bool = False

    @property
    def is_pinned(self) -> bool:
        """Whether workloads name it by a digest that events can name."""
        return str(self.reference.digest).startswith("sha256:")


@dataclass
class Gathered:
    """What was found: images to draft for, what cannot be drafted and why, and what could not be told."""

    images: dict[str, Unpromoted] = field(default_factory=dict)
    undraftable: dict[str, None] = field(default_factory=dict)
    untold: dict[str, None] = field(default_factory=dict)


def gather(all_told: Iterable[Told]) -> Gathered:
    """Return what runs without an event (rule 1)."""
    found = Gathered()
    for told in all_told:
        running = told.running
        if told.verdict is None or told.uses is None:
            found.undraftable[f"{running.top}: {told.reason}"] = None
            continue
        texts = {use.path: use for use in told.uses.uses}
        for finding in told.verdict.findings:
            if finding.unsure:
                found.untold[f"{running.top}: {finding.why}"] = None
                continue
            use = texts[finding.path]
            reference = _draftable(use.text)
            if reference is None:
                found.undraftable[f"{running.top}: {finding.reference}: {finding.why}; {finding.mend}"] = None
                continue
            _add(found, reference, use.text, running, finding, mounted=use.role == "imageVolume")
    return found


def _add(found: Gathered, reference: Reference, text: str, running: Running, finding: Finding, *, mounted: bool) -> None:
    key = f"{reference.repository}@{reference.digest}" if reference.digest else f"{reference.repository}:{reference.tag}"
    one = found.images.setdefault(key, Unpromoted(reference, text))
    one.users[running.top] = None
    one.is_mounted |= mounted
    if running.created and (not one.since or running.created < one.since):
        one.since, one.since_of = running.created, f"{running.kind.lower()}s/{running.name}"
    if running.is_pod and not one.is_pinned:
        one.kubelets_say.update(dict.fromkeys(_kubelet(running.value, finding.path)))


def _draftable(text: str) -> Reference | None:
    try:
        reference = parse_reference(text)
    except BadReference:
        return None
    other = reference.digest is not None and not reference.digest.startswith("sha256:")
    return reference if reference.qualified and not other else None


def _kubelet(pod: Object, path: str) -> Iterator[str]:
    """Yield the digest that the kubelet says an image of this Pod is (rule 2)."""
    place = _PLACE.fullmatch(path)
    if place is None or place[1] not in _STATUSES:
        return
    name = _entry(pod, "spec", place[1], int(place[2])).get("name")
    status = pod.get("status")
    listed = status.get(_STATUSES[place[1]]) if isinstance(status, dict) else None
    for one in listed if isinstance(listed, list) else ():
        if isinstance(one, dict) and one.get("name") == name:
            digest = _DIGEST.fullmatch(str(one.get("imageID")))
            if digest is not None:
                yield digest[1]


def _entry(pod: Object, part: str, field_name: str, index: int) -> Object:
    holder = pod.get(part)
    listed = holder.get(field_name) if isinstance(holder, dict) else None
    entry = listed[index] if isinstance(listed, list) and index < len(listed) else None
    return entry if isinstance(entry, dict) else {}
