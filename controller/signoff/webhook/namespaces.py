"""The labels signoff.dev/* of a namespace change: whoever changes them is told at once which running workloads would be refused, as Pod
Security admission does.

1. The change is always allowed: who may make it is the guard's affair. Whatever goes wrong here is a warning, never a denial.
2. Told is what would be refused under the new labels where they warn or enforce; what runs goes on running until its Pods are replaced.
3. What one controller made is told in one line, by its name, with how many Pods; a static Pod is told as one.
4. At most 3,000 objects, and 8 s in all, two less than the API server waits. What was not looked at by then is told as such.
5. Nothing is written, and the answer is the gate's own, from its memory where that is fresh.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from functools import partial
from itertools import islice
from typing import Final, NamedTuple

from signoff.errors import SignoffError
from signoff.gate.labels import GATE_LABEL, LABELS, MODES
from signoff.gate.owners import Owner as Claimed
from signoff.gate.readers import Readers
from signoff.gate.verdict import Finding, Verdict
from signoff.gate.workloads import UnreadableWorkload, WorkloadReferences, references
from signoff.running.listing import Listing, Object
from signoff.running.objects import Owner, Running, objects_in
from signoff.webhook.gate import Gate
from signoff.webhook.review import Reply, Review
from signoff.webhook.waiting import within

LOG: Final = logging.getLogger("signoff.webhook")
BUDGET: Final = 8.0
MAX_OBJECTS: Final = 3_000
MAX_LINES: Final = 25
_LISTING_SHARE: Final = 0.5
_NAME: Final = 80
_IMAGE: Final = 60
_LINE: Final = 140
"""Below what one warning may have, so that all lines find room beside the first and the last, in what the API server passes on of all."""


class Listed(NamedTuple):
    """An object as it is judged here: without its text."""

    running: Running
    uses: WorkloadReferences | UnreadableWorkload


@dataclass
class _Group:
    """What is refused under one name (rule 3)."""

    why: str
    itself: bool = False
    pods: int = 0


@dataclass(frozen=True)
class Turning:
    """Answers reviews of namespaces."""

    gate: Gate
    listing: Listing
    budget: float = BUDGET
    readers: Readers = field(default_factory=lambda: Readers(threads=2, waiting=16))

    async def review(self, default: str, review: Review) -> Reply:
        """Return the answer, which allows (rule 1); ``default`` is the cluster's, for a label that is none of the three."""
        labels, before = _labels(review.obj), _labels(review.old or {})
        mode = labels.get(GATE_LABEL) if labels.get(GATE_LABEL) in MODES else default
        if mode not in {"warn", "enforce"} or _ours(labels) == _ours(before):
            return Reply()
        try:
            return Reply(warnings=await self._told(review.name, labels, mode))
        except SignoffError as error:
            return Reply(warnings=[f"signoff could not tell which workloads here would be refused: {error}"])
        except Exception:  # a defect of ours must not keep anybody from changing a label
            LOG.exception("the change of the labels of namespace %s could not be judged", review.name)
            return Reply(warnings=["signoff could not tell which workloads here would be refused: see its log"])

    async def _told(self, namespace: str, labels: Mapping[str, str], mode: str) -> Sequence[str]:
        until = asyncio.get_running_loop().time() + self.budget
        seconds = self.budget * _LISTING_SHARE
        look = partial(_listed, self.listing, namespace, time.monotonic() + seconds)
        listed, whole = await within(seconds + 1, self.readers, look, "the API server")
        groups, judged = await self._refused(listed, labels, namespace, until)
        left = "" if whole and judged == len(listed) else f"not all workloads here were looked at: {judged} were, in the time there is"
        return tuple(_lines(groups, mode, left))

    async def _refused(
        self, listed: Sequence[Listed], labels: Mapping[str, str], namespace: str, until: float
    ) -> tuple[dict[Owner, _Group], int]:
        """Return what is refused, by the name that it is told under, and how many objects were judged in time."""
        # What one owner made again and again with the same images has one verdict.
        known: dict[tuple[WorkloadReferences, Claimed | None], Verdict] = {}
        groups: dict[Owner, _Group] = {}
        for number, one in enumerate(listed):
            await asyncio.sleep(0)  # reviews of Pods share this loop
            if asyncio.get_running_loop().time() >= until:
                return groups, number
            if isinstance(one.uses, UnreadableWorkload):
                _add(groups, one.running, f"{one.uses.where or 'object'}: {one.uses.what}")
                continue
            same = (one.uses, one.running.claimed)
            if same not in known:
                asked, since = one.uses.uses, partial(_since, one.running, one.uses)
                known[same] = await self.gate.verdict(one.uses, asked, labels, namespace, until, since)
            if not known[same].admitted:
                _add(groups, one.running, _why(known[same].findings[0]))
        return groups, len(listed)


async def _since(running: Running, uses: WorkloadReferences) -> datetime | None:
    return running.since(uses.uses)


def _listed(listing: Listing, namespace: str, until: float) -> tuple[Sequence[Listed], bool]:
    """Return what runs in a namespace, and whether that is all (rule 4)."""
    found: list[Listed] = []
    for running in islice(objects_in(listing, namespace), MAX_OBJECTS + 1):
        if len(found) == MAX_OBJECTS or time.monotonic() >= until:
            return found, False
        uses: WorkloadReferences | UnreadableWorkload
        try:
            uses = references(running.value, kind=running.kind, api_version=running.api_version)
        except UnreadableWorkload as error:
            uses = error
        found.append(Listed(replace(running, value={}), uses))
    return found, True


def _add(groups: dict[Owner, _Group], running: Running, why: str) -> None:
    group = groups.setdefault(running.top, _Group(f"{why} (static: no admission stops it)" if running.is_static else why))
    if running.is_pod and (running.top.kind, running.top.name) != (running.kind, running.name):
        group.pods += 1
    else:
        group.itself = True


def _lines(groups: Mapping[Owner, _Group], mode: str, left: str) -> Iterable[str]:
    if groups:
        would = "refused" if mode == "enforce" else "warned of"
        yield f"signoff: {_count(len(groups), 'workload')} here would be {would}; what runs goes on until its Pods are replaced"
    for owner, group in islice(groups.items(), MAX_LINES):
        line = f"{_named(owner, group)}: {group.why}"
        yield line if len(line) <= _LINE else f"{line[: _LINE - 1]}…"
    if len(groups) > MAX_LINES:
        yield f"and {len(groups) - MAX_LINES} more: signoff audit cluster tells them all"
    if left:
        yield f"signoff: {left}; signoff audit cluster tells them all"


def _named(owner: Owner, group: _Group) -> str:
    name = str(owner)[:_NAME]
    if not group.itself:
        return f"{_count(group.pods, 'Pod')} of {name}"
    return f"{name} (and {_count(group.pods, 'Pod')})" if group.pods else name


def _why(finding: Finding) -> str:
    """Return the reason in a line's length: the digest, and what is nearest to a cause where there is one."""
    digest = finding.reference.partition("@")[2]
    why, bracket, cause = finding.why.partition(" (")
    if digest and bracket:
        return f"{digest}: {cause.removesuffix(')')}"
    return why.replace("this digest", digest, 1) if digest else f"{finding.reference[:_IMAGE]}: {finding.why}"


def _count(number: int, one: str) -> str:
    return f"{number:,} {one if number == 1 else one + 's'}"


def _labels(namespace: Object) -> Mapping[str, str]:
    metadata = namespace.get("metadata")
    labels = metadata.get("labels") if isinstance(metadata, Mapping) else None
    return {key: value for key, value in labels.items() if isinstance(value, str)} if isinstance(labels, Mapping) else {}


def _ours(labels: Mapping[str, str]) -> Mapping[str, str]:
    return {key: value for key, value in labels.items() if key.startswith(LABELS)}
