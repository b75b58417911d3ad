"""The gate's verdict on what runs, by the gate's own code: references, look-up, verdict.

1. An object is judged as if it were created now: every image of it is asked about. A Pod is judged as one that is made again by its owner,
   so that what goes on after an expiry is admitted here too.
2. In a namespace that no gate covers nothing is asked: the answer is "not gated", and why.
3. An object all of whose images cluster configuration exempts is "exempt".
4. What could not be told is told as such. An archive that was out of reach three times in a row is asked no more: the rest of the look
   could not be told either, and does not wait for it.
5. One look sees one time, and asks the archive once for each digest and place, as far as its memory reaches.
6. Nothing here is an event or counts as one: what a look says is as good as whoever reads it is sure of this process.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Final, Literal, TypeAlias, get_args

from signoff.archive.store import Unavailable
from signoff.errors import SignoffError
from signoff.gate.labels import Mode, place_of, unclear
from signoff.gate.lookup import Key, keys, look_up
from signoff.gate.reference import is_unresolved
from signoff.gate.verdict import Archived, Circumstances, Exemption, Finding, Unknown, Verdict, digests_asked, judge, tags_asked
from signoff.gate.workloads import UnreadableWorkload, WorkloadReferences, references
from signoff.record.values import Digest
from signoff.running.coverage import Coverage, coverage, read_selectors
from signoff.running.listing import Listing, Object
from signoff.running.objects import Running, objects_in
from signoff.verify.reader import Found, Reader

Answer: TypeAlias = Literal["admitted", "refused", "could not tell", "exempt", "not gated"]
ANSWERS: Final[tuple[Answer, ...]] = get_args(Answer)

MAX_KEPT: Final = 10_000
_GIVEN_UP: Final = 3


@dataclass(frozen=True, slots=True)
class Space:
    """A namespace, its labels, and the gate that it meets."""

    name: str
    labels: Mapping[str, str]
    coverage: Coverage


@dataclass(frozen=True, slots=True)
class Told:
    """What is told of one object. ``image`` is the one that the reason is about, or the first; ``uses`` and ``verdict`` are None where
    nothing was asked.
    """

    running: Running
    space: Space
    answer: Answer
    image: str
    reason: str
    mend: str = ""
    uses: WorkloadReferences | None = None
    verdict: Verdict | None = None


@dataclass
class Look:
    """One look at a cluster, or at a part of it: what it rests on, and what it remembers (rule 5)."""

    reader: Reader
    cluster: str
    exemptions: Sequence[Exemption]
    now: datetime
    _found: dict[Key, Found | Unknown] = field(default_factory=dict)
    _pins: dict[tuple[str, str, str], str | None] = field(default_factory=dict)
    _away: int = 0

    def at(self, listing: Listing, space: Space) -> Iterator[Told]:
        """Yield what is told of each object in a namespace."""
        for running in objects_in(listing, space.name):
            yield self.told(running, space)

    def told(self, running: Running, space: Space) -> Told:
        """Return what is told of one object (rules 1 to 4)."""
        try:
            uses = references(running.value, kind=running.kind, api_version=running.api_version)
        except UnreadableWorkload as error:
            if space.coverage.mode is None:
                return Told(running, space, "not gated", "", space.coverage.why)
            return Told(running, space, "refused", "", f"{error.where or 'object'}: {error.what}", error.mend)
        first = next((use.text for use in uses.uses), "")
        if space.coverage.mode is None:
            return Told(running, space, "not gated", first, space.coverage.why, uses=uses)
        verdict, around = self._verdict(running, uses, space)
        if verdict.admitted:
            answer, reason = _admitted(uses, around, verdict)
            return Told(running, space, answer, first, reason, uses=uses, verdict=verdict)
        finding = next((one for one in verdict.findings if not one.unsure), verdict.findings[0])
        answer = "could not tell" if verdict.unsure else "refused"
        image = next((use.text for use in uses.uses if use.path == finding.path), first)
        return Told(running, space, answer, image, _why(running, space, finding, verdict), finding.mend, uses, verdict)

    def _verdict(self, running: Running, uses: WorkloadReferences, space: Space) -> tuple[Verdict, Circumstances]:
        """Return the gate's verdict on an object that names these images, and the circumstances that it was given in."""
        around = Circumstances(place_of(space.labels, self.cluster, space.name), self.now, self.exemptions)
        digests = digests_asked(uses, around)
        unsure = unclear(space.labels, space.name)
        found: Mapping[Digest, Found | Unknown]
        if unsure is None:
            found = {key.digest: self._ask(key) for key in keys(digests, uses, around.place)}
        else:
            found = dict.fromkeys(digests, unsure)
        verdict = judge(uses, uses.uses, Archived(found, {}), around)
        if verdict.expired and uses.is_pod:
            around = replace(around, since=running.since(uses.uses))
            verdict = judge(uses, uses.uses, Archived(found, {}), around)
        tags = tags_asked(uses.uses) if not verdict.admitted and around.place.environment else frozenset()
        pins = {tag: pin for tag in sorted(tags) if (pin := self._pin(*tag, around.place.environment)) is not None}
        return (judge(uses, uses.uses, Archived(found, pins), around) if pins else verdict), around

    def _ask(self, key: Key) -> Found | Unknown:
        if key not in self._found:
            if len(self._found) >= MAX_KEPT:
                self._found.clear()
            self._found[key] = self._read(key)
        return self._found[key]

    def _read(self, key: Key) -> Found | Unknown:
        if self._away >= _GIVEN_UP:
            return Unknown("the archive was out of reach, and was asked no more")
        try:
            found = look_up(self.reader, key, self.cluster, self.now)
        except Unavailable as error:
            self._away += 1
            return Unknown(str(error))
        except SignoffError as error:
            return Unknown(str(error))
        self._away = 0
        return found

    def _pin(self, repository: str, tag: str, environment: str) -> str | None:
        asked = (repository, tag, environment)
        if asked not in self._pins:
            if len(self._pins) >= MAX_KEPT:
                self._pins.clear()
            try:
                self._pins[asked] = self.reader.promoted_as(*asked) if self._away < _GIVEN_UP else None
            except SignoffError:
                self._pins[asked] = None  # a hint: without it the finding says what to pin in general terms
        return self._pins[asked]


def spaces(listing: Listing) -> Iterator[Space]:
    """Yield every namespace of the cluster, with the gate that it meets."""
    selectors = read_selectors(listing)
    for found in listing.namespaces():
        yield _space(found, selectors)


def space(listing: Listing, name: str) -> Space:
    """Return one namespace, with the gate that it meets."""
    return _space(listing.namespace(name), read_selectors(listing))


def _space(found: Object, selectors: Mapping[Mode, Object]) -> Space:
    metadata = found.get("metadata")
    labels = metadata.get("labels") if isinstance(metadata, Mapping) else None
    read = {str(key): str(value) for key, value in labels.items()} if isinstance(labels, Mapping) else {}
    name = metadata.get("name") if isinstance(metadata, Mapping) else ""
    return Space(str(name), read, coverage(read, selectors))


def _admitted(uses: WorkloadReferences, around: Circumstances, verdict: Verdict) -> tuple[Answer, str]:
    if digests_asked(uses, around):
        return "admitted", "; ".join(verdict.warnings)
    if all(is_unresolved(use.text) for use in uses.uses):
        return "admitted", "names no image yet; its Pods are asked about"
    return "exempt", "no model, by the gate's configuration"


def _why(running: Running, space: Space, finding: Finding, verdict: Verdict) -> str:
    rest = len(verdict.findings) - 1
    why = f"{finding.why}{f'; and {rest} more of its images' if rest else ''}"
    if running.is_static:
        return f"{why} (a static Pod, which admission cannot stop)"
    if space.coverage.mode == "enforce" and not finding.unsure:
        return f"{why} (it runs all the same: it was here before the gate, or came past it)"
    return why
