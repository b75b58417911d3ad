"""Whether a Pod is one that is made again: by an owner that was there before, with the same images.

1. An owner reference is a claim of whoever makes the Pod. It counts for nothing by itself: the owner is fetched, and must be of the same
   UID and name, of a kind that makes Pods by itself.
2. Every image of the Pod that is new must stand in the owner's template, in the same kind of place.
3. What then counts is when the API server made the owner. A ReplicaSet is made anew for each rollout; of what changes its template in place
   (StatefulSet, DaemonSet) the gate has judged the change.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from signoff.gate.workloads import ImageUse, UnreadableWorkload, added, references

KINDS: Final = {
    ("apps/v1", "ReplicaSet"): "replicasets",
    ("apps/v1", "StatefulSet"): "statefulsets",
    ("apps/v1", "DaemonSet"): "daemonsets",
    ("batch/v1", "Job"): "jobs",
    ("v1", "ReplicationController"): "replicationcontrollers",
}
"""The owners that make Pods, and how the API server names them."""


@dataclass(frozen=True)
class Owner:
    """The controller that a Pod names: a claim."""

    api_version: str
    kind: str
    name: str
    uid: str


def controller_of(pod: Mapping[str, object]) -> Owner | None:
    """Return the controller that a Pod names, if it is of a kind that makes Pods; None where there is none."""
    metadata = pod.get("metadata")
    named = metadata.get("ownerReferences") if isinstance(metadata, Mapping) else None
    for one in named if isinstance(named, list) else ():
        if isinstance(one, Mapping) and one.get("controller") is True:
            texts = [one.get(name) for name in ("apiVersion", "kind", "name", "uid")]
            api_version, kind, name, uid = (text if isinstance(text, str) else "" for text in texts)
            return Owner(api_version, kind, name, uid) if (api_version, kind) in KINDS and name and uid else None
    return None


def since(claimed: Owner, found: Mapping[str, object], asked: Sequence[ImageUse]) -> datetime | None:
    """Return since when the owner has been there, of the object that the API server has; None where the claim does not hold (rules 1 to 3).
    """
    metadata = found.get("metadata")
    if not isinstance(metadata, Mapping) or (metadata.get("uid"), metadata.get("name")) != (claimed.uid, claimed.name):
        return None
    try:
        template = references(found, kind=claimed.kind, api_version=claimed.api_version)
    except UnreadableWorkload:
        return None
    made = metadata.get("creationTimestamp")
    if added(asked, template.uses) or not isinstance(made, str):
        return None
    try:
        moment = datetime.fromisoformat(made)
    except ValueError:
        return None
    return moment if moment.tzinfo is not None else None
