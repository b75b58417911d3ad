"""The gate's door: one review in, one verdict out. It writes nothing.

1. ``enforce`` denies what the verdict refuses, ``warn`` admits it with warnings, ``audit`` admits it with audit annotations.
2. An object that cannot be read, a namespace whose labels cannot be read and an archive that cannot be asked are refusals of the verdict,
   never admissions.
3. What is warm is answered without leaving the event loop; what is not, in a thread.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Final, Literal

from starlette.concurrency import run_in_threadpool

from signoff.errors import SignoffError
from signoff.gate.memory import Memory
from signoff.gate.verdict import Archived, Circumstances, Exemption, Finding, Unknown, Verdict, digests_asked, judge, tags_asked
from signoff.gate.workloads import ImageUse, UnreadableWorkload, WorkloadReferences, added, references
from signoff.record.values import Digest
from signoff.verify.reader import Found, Reader
from signoff.verify.verifier import Place
from signoff.webhook.cluster import Cluster
from signoff.webhook.review import Cause, Reply, Review

Mode = Literal["enforce", "warn", "audit"]

ENVIRONMENT_LABEL: Final = "signoff.dev/environment"
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

    async def review(self, review: Review, mode: Mode) -> Reply:
        """Return the answer to a review, in the mode that the webhook's configuration chose."""
        try:
            uses, asked = _uses(review)
        except UnreadableWorkload as error:
            return reply(Verdict((_unreadable(error),), ()), mode)
        if not asked:
            return Reply()
        labels = self.cluster.known_labels(review.namespace)
        if labels is None:
            try:
                labels = await run_in_threadpool(self.cluster.labels, review.namespace)
            except SignoffError as error:
                return reply(Verdict((_unsure(review, error),), ()), mode)
        around = Circumstances(Place(labels.get(ENVIRONMENT_LABEL, ""), self.cluster_name, review.namespace), self.now(), self.exemptions)
        found = await self._found(uses, around)
        verdict = judge(uses, asked, Archived(found, {}), around)
        tags = tags_asked(asked) if not verdict.admitted else frozenset()
        if tags and around.place.environment:
            pins = await run_in_threadpool(self._pins, sorted(tags)[:_MAX_PINS], around.place.environment)
            verdict = judge(uses, asked, Archived(found, pins), around)
        return reply(verdict, mode)

    async def _found(self, uses: WorkloadReferences, around: Circumstances) -> Mapping[Digest, Found | Unknown]:
        digests = digests_asked(uses, around)
        environment = around.place.environment
        if not environment:
            unlabelled = Unknown(f"namespace {around.place.namespace} bears no label {ENVIRONMENT_LABEL}")
            return dict.fromkeys(digests, unlabelled)
        fresh = self.memory.fresh((digest, environment) for digest in digests)
        found: dict[Digest, Found | Unknown] = {digest: answer for (digest, _), answer in fresh.items()}
        missing = digests - found.keys()
        if missing:
            found |= await run_in_threadpool(lambda: {digest: self.memory.ask((digest, environment)) for digest in missing})
        return found

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
        return Reply(audit=audit)
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
