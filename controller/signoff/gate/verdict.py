"""The gate's verdict on one object.

1. Every image of the object is asked about; on UPDATE those that the old object did not have (`workloads.added`).
2. In a template an unresolved image (white space, ``auto``) is left to the Pod check; on a Pod it is refused.
3. A reference that cannot be parsed, or that leaves the registry out, is refused.
4. A repository that cluster configuration exempts passes while the exemption has not run out.
5. A reference without a digest is refused; where the archive knows the version, the denial names the digest to pin.
6. The digest must be admitted by a believed event for this environment, cluster and namespace, now.
7. Where an event names artefacts apart from its image, image and artefacts come from that one event: an artefact is mounted, never run as a
   container; it is named by an event of an image beside it, or was promoted as an image itself; and every image whose events name artefacts
   must name it, for which container mounts what is not asked.
8. What has expired, and lets go on what ran before, is admitted for a Pod that is made again: of an owner that the API server has, of the
   same images, that was there before the promotion expired (`Circumstances.since`). What is expired, or will be within a week, is warned
   of.
9. What could not be told is refused, and the verdict says that it could not be told: a digest without an answer, and one without an
   admission of which not all was read. Where a volume is mounted, this goes for what ran beside it before, too.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from functools import lru_cache
from typing import Final

from signoff.gate.lookup import EVER, WARN_AHEAD, does_admit
from signoff.gate.reference import (
    MAX_TEXT,
    BadReference,
    Reference,
    RepositoryPattern,
    is_unresolved,
    parse_reference,
    parse_repository_pattern,
)
from signoff.gate.workloads import ImageUse, WorkloadReferences
from signoff.record.values import Closed, Digest, Line, Text
from signoff.verify.reader import Found
from signoff.verify.verifier import Admission, Failed, Place, Question, admits


class Exemption(Closed):
    """A repository (or ``host/path/*``, ``host/path/**``) whose images are no models: why, and until which day (UTC, exclusive)."""

    repository: Line
    reason: Text
    until: date

    def holds(self, repository: str, today: date) -> bool:
        """Whether this exemption covers the repository today."""
        return today < self.until and _pattern(self.repository).covers(repository)


@lru_cache(maxsize=1024)
def _pattern(text: str) -> RepositoryPattern:
    return parse_repository_pattern(text)


@dataclass(frozen=True)
class Unknown:
    """What the archive holds could not be told, and why."""

    reason: str


@dataclass(frozen=True)
class Finding:
    """Why one image is refused. ``unsure`` says that it could not be told; ``expired`` that it would go on where it ran before."""

    path: str
    reference: str
    why: str
    mend: str
    unsure: bool = False
    expired: bool = False

    def __str__(self) -> str:
        return f"{self.path}: {self.reference}: {self.why}; {self.mend}"


@dataclass(frozen=True)
class Verdict:
    """The findings (none: admitted), the events that admit, by digest, for the audit log, and what whoever asks should know.

    ``expired``: whether an owner that was there before could change the verdict (rule 8).
    """

    findings: tuple[Finding, ...]
    events: tuple[Digest, ...]
    warnings: tuple[str, ...] = ()
    expired: bool = False

    @property
    def admitted(self) -> bool:
        """Whether nothing is refused."""
        return not self.findings

    @property
    def unsure(self) -> bool:
        """Whether something could not be told, and nothing is known to be refused."""
        return bool(self.findings) and all(finding.unsure for finding in self.findings)


@dataclass(frozen=True)
class Circumstances:
    """Where and when a verdict is asked for, and what is exempt. ``since``: from when on the Pod's owner has been there with these images,
    as the API server says; None where that was not asked, or there is none.
    """

    place: Place
    now: datetime
    exemptions: Sequence[Exemption]
    since: datetime | None = None


@dataclass(frozen=True)
class Archived:
    """What the archive says: of each digest, and the image to pin for a (repository, tag)."""

    found: Mapping[Digest, Found | Unknown]
    pins: Mapping[tuple[str, str], str]


_NOT_LOOKED_UP: Final = Unknown("it was not looked up")
_TRY_AGAIN: Final = "try again when the archive answers, or ask whoever runs signoff"


def digests_asked(all_uses: WorkloadReferences, around: Circumstances) -> frozenset[Digest]:
    """Return the digests that must be looked up before `judge` can tell."""
    digests = [_looked_up(use, around) for use in all_uses.uses]
    return frozenset([digest for digest in digests if digest is not None])


def tags_asked(asked: Sequence[ImageUse]) -> frozenset[tuple[str, str]]:
    """Return the (repository, tag) of references without a digest: a lookup may name what to pin."""
    parsed = (_parsed(use) for use in asked)
    return frozenset((one.repository, one.tag) for one in parsed if one is not None and one.digest is None and one.tag is not None)


def judge(all_uses: WorkloadReferences, asked: Sequence[ImageUse], archived: Archived, around: Circumstances) -> Verdict:
    """Return the verdict on an object that names ``all_uses``, of which ``asked`` are new; ``archived`` answers `digests_asked`."""
    events: dict[Digest, tuple[Admission, ...]] = {}
    findings: list[Finding] = []
    for use in asked:
        finding = _judge_one(use, archived, around, events, is_pod=all_uses.is_pod)
        if finding is not None:
            findings.append(finding)
    if not findings:
        findings += _mixed(all_uses, asked, archived, around, events)
    used = {event.event for admitting in events.values() for event in admitting[:1]}
    warnings = tuple(_expiring(asked, events, around)) if not findings else ()
    return Verdict(tuple(findings), tuple(sorted(used)), warnings, expired=any(one.expired for one in findings))


def _judge_one(
    use: ImageUse, archived: Archived, around: Circumstances, events: dict[Digest, tuple[Admission, ...]], *, is_pod: bool
) -> Finding | None:
    if is_unresolved(use.text) or not use.text:
        if not is_pod:
            return None
        return Finding(use.path, repr(use.text), "no image is named", "name one by digest: registry/repository@sha256:<digest>")
    reference = _read(use.text)
    if isinstance(reference, BadReference):
        return Finding(use.path, _short(use.text), reference.what, reference.mend or "write registry/repository@sha256:<digest>")
    if not reference.qualified:
        return Finding(
            use.path,
            _short(use.text),
            "names no registry, so every node may resolve it elsewhere",
            f"write it out, such as {reference.repository}@sha256:<digest>",
        )
    if _exempt(reference, around):
        return None
    if reference.digest is None:
        return _unpinned(use, reference, archived)
    return _judge_digest(use, reference, archived, around, events)


def _unpinned(use: ImageUse, reference: Reference, archived: Archived) -> Finding:
    pin = archived.pins.get((reference.repository, reference.tag)) if reference.tag else None
    mend = f"pin what was promoted as {reference.tag}: {pin}" if pin else f"pin it: {reference.repository}@sha256:<digest>"
    why = "names a tag, and a tag can be moved" if reference.tag else "names no digest"
    return Finding(use.path, _short(use.text), why, mend)


def _judge_digest(
    use: ImageUse, reference: Reference, archived: Archived, around: Circumstances, events: dict[Digest, tuple[Admission, ...]]
) -> Finding | None:
    digest = _event_digest(reference)
    if digest is None:
        why = f"pins a {str(reference.digest).partition(':')[0]} digest, and events name sha256 digests"
        return Finding(use.path, _short(use.text), why, f"pin {reference.repository}@sha256:<digest>")
    found = archived.found.get(digest, _NOT_LOOKED_UP)
    if isinstance(found, Unknown):
        return Finding(use.path, _short(use.text), f"could not tell whether it was promoted: {found.reason}", _TRY_AGAIN, unsure=True)
    admitting, refusals = _admitting(digest, found, around)
    if use.role != "imageVolume" and admitting:
        run = tuple([event for event in admitting if digest in event.images])
        if not run and found.partial:
            return _not_all_read(use, found)
        if not run:
            why = f"this digest is promoted as an artefact of {admitting[0].model} {admitting[0].version}, not as an image that runs"
            return Finding(use.path, _short(use.text), why, _draft(reference))
        admitting = run
    if admitting:
        events[digest] = admitting
        return None
    if found.partial:
        return _not_all_read(use, found)
    place = around.place
    where = f"{place.environment or '(no environment)'} in {place.cluster}/{place.namespace}"
    why = f"no promotion event for this digest for {where}"
    reasons = [*refusals, *found.refused]
    if reasons:
        why += f" ({'; '.join(reasons[:2])}{f'; and {len(reasons) - 2} more' if len(reasons) > 2 else ''})"
    return Finding(use.path, _short(use.text), why, _draft(reference), expired=_goes_on(digest, found, around))


def _goes_on(digest: Digest, found: Found, around: Circumstances) -> bool:
    """Whether the digest is refused for having expired alone, and what ran before may go on."""
    ended = [event for event in found.admissions if event.on_expiry == "deny-new-rollouts" and event.valid_until is not None]
    return any(does_admit(event, Question(digest, around.place, around.now, EVER)) for event in ended)


def _expiring(asked: Sequence[ImageUse], events: Mapping[Digest, tuple[Admission, ...]], around: Circumstances) -> Iterator[str]:
    """Yield a line for each image whose promotion is over, or will be soon (rule 8)."""
    for use in asked:
        admitting = events.get(_looked_up(use, around) or Digest(""), ())
        ends = [event.valid_until for event in admitting]
        if not admitting or None in ends:
            continue
        last = max(admitting, key=lambda event: event.valid_until or EVER)
        if last.valid_until is not None and last.valid_until - around.now < WARN_AHEAD:
            then = "no new rollout is admitted" if last.on_expiry == "deny-new-rollouts" else "no Pod is admitted"
            over = "expired" if last.valid_until <= around.now else "expires"
            told = f"{last.model} {last.version}: its promotion {over} at {last.valid_until:%Y-%m-%d %H:%M} UTC; from then on {then}"
            yield f"{use.path}: {told}"


def _draft(reference: Reference) -> str:
    return f"draft a promotion: signoff draft {reference.repository}@{reference.digest}"


def _not_all_read(use: ImageUse, found: Found) -> Finding:
    return Finding(use.path, _short(use.text), f"could not tell whether it was promoted: {found.partial}", _TRY_AGAIN, unsure=True)


def _admitting(digest: Digest, found: Found, around: Circumstances) -> tuple[tuple[Admission, ...], list[str]]:
    admitting: list[Admission] = []
    refusals: list[str] = []
    question = Question(digest, around.place, around.now, around.since)
    for event in found.admissions:
        try:
            admits(event, question)
            admitting.append(event)
        except Failed as failure:
            refusals.append(f"{event.model} {event.version}: {failure.what}")
    return tuple(admitting), refusals


def _mixed(
    all_uses: WorkloadReferences,
    asked: Sequence[ImageUse],
    archived: Archived,
    around: Circumstances,
    events: Mapping[Digest, tuple[Admission, ...]],
) -> list[Finding]:
    """Rule 7, over all images of the object where an image or a volume is new."""
    volumes = _digests(all_uses, around, volumes=True)
    if not asked or not volumes:
        return []
    running = {**_known(all_uses, archived, around), **events}
    images = set(_digests(all_uses, around, volumes=False).values())
    if any(_untold(archived.found.get(digest), running.get(digest, ())) for digest in images):
        why = "could not tell what the image that runs beside this model was promoted with"
        return [Finding(use.path, _short(use.text), why, _TRY_AGAIN, unsure=True) for use in volumes]
    beside = [running.get(digest, ()) for digest in images]
    claiming = [
        {artifact for event in admitting for artifact in event.artifacts}
        for admitting in beside
        if admitting and all(event.artifacts for event in admitting)
    ]
    named_beside = {artifact for admitting in beside for event in admitting for artifact in event.artifacts}
    findings: list[Finding] = []
    for use, digest in volumes.items():
        alone = any(digest in event.images for event in running.get(digest, ()))
        if all(digest in named for named in claiming) and (digest in named_beside or alone):
            continue
        if any(_in_part(archived.found.get(one)) for one in (digest, *images)):
            why = "could not tell whether this model was promoted together with the image that runs beside it"
            findings.append(Finding(use.path, _short(use.text), why, _TRY_AGAIN, unsure=True))
            continue
        why = "this model was not promoted together with the image that runs beside it"
        mend = "promote image and artefacts in one request (spec.model.artifacts)"
        findings.append(Finding(use.path, _short(use.text), why, mend))
    return findings


def _untold(found: Found | Unknown | None, admitting: Sequence[Admission]) -> bool:
    """Whether an unread event could still claim its artefacts for this image: where one of those read admits, it could only allow more."""
    return not admitting and _in_part(found)


def _in_part(found: Found | Unknown | None) -> bool:
    return not isinstance(found, Found) or bool(found.partial)


def _known(all_uses: WorkloadReferences, archived: Archived, around: Circumstances) -> dict[Digest, tuple[Admission, ...]]:
    result: dict[Digest, tuple[Admission, ...]] = {}
    for volumes in (True, False):
        for digest in _digests(all_uses, around, volumes=volumes).values():
            found = archived.found.get(digest)
            if isinstance(found, Found):
                result[digest] = _admitting(digest, found, around)[0]
    return result


def _digests(all_uses: WorkloadReferences, around: Circumstances, *, volumes: bool) -> dict[ImageUse, Digest]:
    result: dict[ImageUse, Digest] = {}
    for use in all_uses.uses:
        digest = _looked_up(use, around) if (use.role == "imageVolume") == volumes else None
        if digest is not None:
            result[use] = digest
    return result


def _parsed(use: ImageUse) -> Reference | None:
    reference = _read(use.text)
    return None if isinstance(reference, BadReference) else reference


def _read(text: str) -> Reference | BadReference:
    """Return the reference, or what is wrong with it. The same few are read over and over; what is too long to be one is not remembered."""
    return _remembered(text) if len(text) <= MAX_TEXT else _remembered.__wrapped__(text)


@lru_cache(maxsize=8192)
def _remembered(text: str) -> Reference | BadReference:
    try:
        return parse_reference(text)
    except BadReference as error:
        return error.with_traceback(None)


def _looked_up(use: ImageUse, around: Circumstances) -> Digest | None:
    reference = _parsed(use)
    return None if reference is None or _exempt(reference, around) else _event_digest(reference)


def _event_digest(reference: Reference) -> Digest | None:
    """Return the digest as events name it; None where there is none, or one of another algorithm."""
    return Digest(reference.digest) if reference.digest is not None and reference.digest.startswith("sha256:") else None


def _exempt(reference: Reference, around: Circumstances) -> bool:
    if not around.exemptions or not reference.qualified:
        return False
    repository, today = reference.repository, around.now.date()
    return any(one.holds(repository, today) for one in around.exemptions)


def _short(text: str) -> str:
    name, at, digest = text.partition("@")
    cut = f"{name}{at}{digest[:19]}"[:200]
    plain = cut.isascii() and cut.isprintable() and " " not in cut
    clean = cut if plain else "".join(character if " " < character < "\x7f" else "?" for character in cut)
    return clean + ("…" if len(digest) > 19 or len(text) > 200 else "")
