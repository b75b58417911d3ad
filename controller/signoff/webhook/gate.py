"""The gate's door: one review in, one verdict out. It writes nothing.

1. ``enforce`` denies what the verdict refuses, ``warn`` admits it with warnings, ``audit`` admits it with audit annotations.
2. An object that cannot be read, a namespace whose labels cannot be read and an archive that cannot be asked are refusals of the verdict,
   never admissions.
3. What is warm is answered without leaving the event loop. What is not is read in threads of its own: reads that hang hold up no warm
   answer, and not the seal's door.
4. A review is answered within 4 s, one less than the API server waits (`timeoutSeconds` of the chart's webhooks), whatever it names and
   whatever hangs. A few of its digests are read side by side, so that an object with many leaves room for others; what was not told in
   time is answered as while the archive is out of reach.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from functools import partial
from typing import Final

from signoff.errors import SignoffError
from signoff.gate.labels import Mode, place_of, unclear
from signoff.gate.lookup import Key, keys
from signoff.gate.memory import Memory
from signoff.gate.owners import controller_of, since
from signoff.gate.readers import Readers
from signoff.gate.verdict import Archived, Circumstances, Exemption, Finding, Unknown, Verdict, digests_asked, judge, tags_asked
from signoff.gate.workloads import ImageUse, UnreadableWorkload, WorkloadReferences, added, references
from signoff.record.values import Digest
from signoff.verify.reader import Found, Reader
from signoff.webhook.cluster import Cluster
from signoff.webhook.review import Cause, Reply, Review
from signoff.webhook.waiting import NotInTime, within

BUDGET: Final = 4.0
READS_OF_ONE_REVIEW: Final = 8
_LABELS_SECONDS: Final = 3.0
_PINS_SECONDS: Final = 1.0
_TOO_MANY: Final = "there was no time to ask for so many digests at once; what was told so far is remembered"
_SHOWN: Final = 3
_MAX_PINS: Final = 5


@dataclass(frozen=True)
class Gate:
    """The gate of one cluster: what it remembers, whom it asks, and what is exempt."""

    cluster_name: str
    cluster: Cluster
    reader: Reader
    memory: Memory
    exemptions: Sequence[Exemption]
    now: Callable[[], datetime]
    budget: float = BUDGET
    labelling: Readers = field(default_factory=lambda: Readers(threads=8, waiting=256))
    hinting: Readers = field(default_factory=lambda: Readers(threads=4, waiting=64))

    async def review(self, review: Review, mode: Mode) -> Reply:
        """Return the answer to a review, in the mode that the webhook's configuration chose."""
        until = asyncio.get_running_loop().time() + self.budget
        try:
            uses, asked = _uses(review)
        except UnreadableWorkload as error:
            return reply(Verdict((_unreadable(error),), ()), mode)
        if not asked:
            return Reply()
        labels = self.cluster.known_labels(review.namespace)
        if labels is None:
            try:
                labels = await within(_LABELS_SECONDS, self.labelling, partial(self.cluster.labels, review.namespace), "the API server")
            except SignoffError as error:
                return reply(Verdict((_unsure(review, error),), ()), mode)
        verdict = await self.verdict(uses, asked, labels, review.namespace, until, partial(self._since, review, asked))
        return reply(verdict, mode)

    async def verdict(
        self,
        uses: WorkloadReferences,
        asked: Sequence[ImageUse],
        labels: Mapping[str, str],
        namespace: str,
        until: float,
        since: Callable[[], Awaitable[datetime | None]],
    ) -> Verdict:
        """Return the verdict on an object in a namespace with these labels, by this time of the loop's clock; ``since`` is asked of a Pod
        since when its owner has been there, where the verdict depends on it.
        """
        around = Circumstances(place_of(labels, self.cluster_name, namespace), self.now(), self.exemptions)
        found = await self._found(uses, asked, around, until, unclear(labels, namespace))
        verdict = judge(uses, asked, Archived(found, {}), around)
        if verdict.expired and uses.is_pod:
            around = replace(around, since=await since())
            verdict = judge(uses, asked, Archived(found, {}), around)
        tags = tags_asked(asked) if not verdict.admitted else frozenset()
        if tags and around.place.environment:
            verdict = judge(uses, asked, Archived(found, await self._hints(tags, around, until)), around)
        return verdict

    async def _since(self, review: Review, asked: Sequence[ImageUse]) -> datetime | None:
        """Return since when the Pod's owner has been there, of the owner as the API server has it; None where there is none that counts."""
        claimed = controller_of(review.obj)
        if claimed is None or review.operation != "CREATE":
            return None
        look = partial(self.cluster.owner, review.namespace, claimed)
        try:
            found = await within(_LABELS_SECONDS, self.labelling, look, "the API server")
        except SignoffError:
            return None  # the Pod is refused as expired, and its controller tries again
        return since(claimed, found, asked)

    async def _found(
        self, uses: WorkloadReferences, asked: Sequence[ImageUse], around: Circumstances, until: float, unsure: Unknown | None
    ) -> Mapping[Digest, Found | Unknown]:
        # Beside no volume the images that were there before play no part in the verdict.
        needed = uses if any(use.role == "imageVolume" for use in uses.uses) else replace(uses, uses=tuple(asked))
        digests = digests_asked(needed, around)
        if unsure is not None:
            return dict.fromkeys(digests, unsure)
        wanted = keys(digests, needed, around.place)
        fresh = self.memory.fresh(wanted)
        found: dict[Digest, Found | Unknown] = {key.digest: answer for key, answer in fresh.items()}
        missing = [key for key in wanted if key not in fresh]
        if missing:
            left = iter(missing)
            await asyncio.gather(*(self._read(left, until, found) for _ in range(min(READS_OF_ONE_REVIEW, len(missing)))))
        return found

    async def _read(self, missing: Iterator[Key], until: float, found: dict[Digest, Found | Unknown]) -> None:
        """Answer what is missing, one after the other, until time is up (rule 4)."""
        loop = asyncio.get_running_loop()
        for key in missing:
            if loop.time() >= until:
                found[key.digest] = self.memory.meanwhile(key, _TOO_MANY)
                continue
            reading = self.memory.begin(key)
            told = asyncio.wrap_future(reading.told)
            # Waited for, and never cancelled: others may wait for the same read.
            await asyncio.wait((told,), timeout=min(self.memory.left(reading), max(0.0, until - loop.time())))
            found[key.digest] = told.result() if told.done() else self.memory.meanwhile(key)

    async def _hints(self, tags: frozenset[tuple[str, str]], around: Circumstances, until: float) -> dict[tuple[str, str], str]:
        seconds = min(_PINS_SECONDS, until - asyncio.get_running_loop().time())
        look = partial(self._pins, sorted(tags)[:_MAX_PINS], around.place.environment)
        try:
            return await within(seconds, self.hinting, look, "the archive")
        except NotInTime:
            return {}

    def _pins(self, tags: Sequence[tuple[str, str]], environment: str) -> dict[tuple[str, str], str]:
        pins: dict[tuple[str, str], str] = {}
        for repository, tag in tags:
            try:
                pin = self.reader.promoted_as(repository, tag, environment)
            except SignoffError:
                continue  # a hint: without it the denial says what to pin in general terms
            if pin is not None:
                pins[(repository, tag)] = pin
        return pins


def _uses(review: Review) -> tuple[WorkloadReferences, Sequence[ImageUse]]:
    uses = references(review.obj, kind=review.kind, api_version=review.api_version, subresource=review.subresource)
    if review.operation != "UPDATE" or review.old is None:
        return uses, uses.uses
    old = references(review.old, kind=review.kind, api_version=review.api_version, subresource=review.subresource)
    return uses, added(uses.uses, old.uses)


def reply(verdict: Verdict, mode: Mode) -> Reply:
    """Return the answer that a verdict leads to in a mode (rule 1)."""
    lines = [str(finding) for finding in verdict.findings]
    causes = [Cause(finding.path, f"{finding.reference}: {finding.why}; {finding.mend}") for finding in verdict.findings]
    told = "admitted" if verdict.admitted else "could-not-tell" if verdict.unsure else "refused"
    audit = {"verdict": told}
    if verdict.events:
        audit["events"] = ",".join(verdict.events[:20])
    if verdict.admitted:
        return Reply(warnings=verdict.warnings if mode != "audit" else (), audit=audit)
    if mode == "enforce":
        return Reply(denial=_message(lines), causes=causes, audit=audit)
    audit["findings"] = " | ".join(lines)[:4000]
    warnings = [f"signoff would refuse {line}" for line in lines] if mode == "warn" else []
    return Reply(warnings=warnings, audit=audit)


def _message(lines: Sequence[str]) -> str:
    rest = f" | and {len(lines) - _SHOWN} more images" if len(lines) > _SHOWN else ""
    return " | ".join(lines[:_SHOWN]) + rest


def _unreadable(error: UnreadableWorkload) -> Finding:
    return Finding(error.where or "object", "(no image could be read)", error.what, error.mend or "correct the object")


def _unsure(review: Review, error: SignoffError) -> Finding:
    why = f"could not tell what this namespace asks for: {error.what}"
    return Finding(f"namespace {review.namespace}", "(its labels)", why, "try again", unsure=True)
