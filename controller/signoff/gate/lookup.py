"""What is asked of the archive about one digest, and when enough of it has been read.

1. An answer is kept for what was asked: a digest, in an environment and a namespace of this process's cluster, of at least the tier that
   the namespace asks for, for objects that mount image volumes or for those that mount none. Hence the search may know the place, and stop.
2. An object that mounts no image volume needs one event that admits the digest here and now as an image that runs: rule 7 of the verdict
   asks nothing of it. The first such event settles the digest, whatever artefacts it names; the others could not change the verdict. One
   that expires soon settles nothing: another may last longer, and nobody is warned without need.
3. An object that mounts one needs every event of each of its digests: which artefacts go with an image, and whether it may run without
   any, is said by all of its events together. Nothing is settled before the last.
4. Either way so many events are looked through and no more (`MAX_POINTERS`). What was not looked through admits nothing and is no "no
   event" either: the answer says that it is partial, and a verdict that finds no admission in it could not tell.
5. Where none of the events admits in the place that was asked about, not even what ran there before it expired, the answer is negative, and
   kept no longer than one without events: whoever is promoted for one namespace waits no longer for the next.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import Final, NamedTuple

from signoff.gate.workloads import WorkloadReferences
from signoff.record.freeze import Tier
from signoff.record.values import Digest
from signoff.verify.reader import Found, Reader
from signoff.verify.verifier import Admission, Failed, Place, Question, admits

WARN_AHEAD: Final = timedelta(days=7)
"""For how long before it expires people are told of it."""

EVER: Final = datetime.min.replace(tzinfo=UTC)
"""Since when something ran that ran before anything expired."""


class Key(NamedTuple):
    """What is asked (rule 1). ``together``: for an object that mounts image volumes."""

    digest: Digest
    environment: str
    namespace: str
    together: bool
    minimum_tier: Tier | None = None


def keys(digests: Iterable[Digest], uses: WorkloadReferences, place: Place) -> tuple[Key, ...]:
    """Return what must be asked for a verdict on an object that names these images."""
    together = any(use.role == "imageVolume" for use in uses.uses)
    return tuple(Key(digest, place.environment, place.namespace, together, place.minimum_tier) for digest in digests)


def look_up(reader: Reader, key: Key, cluster: str, now: datetime) -> Found:
    """Return what the archive holds, as far as it must be read (rules 2 to 5)."""
    place = Place(key.environment, cluster, key.namespace, key.minimum_tier)
    question = Question(key.digest, place, now)
    if key.together:
        found = reader.find(key.digest, key.environment)
    else:
        found = reader.find(key.digest, key.environment, partial(_settles, replace(question, now=now + WARN_AHEAD)))
    ever = replace(question, since=EVER)
    return replace(found, elsewhere=not any(does_admit(event, ever) for event in found.admissions))


def does_admit(event: Admission, question: Question) -> bool:
    """Whether the event admits the digest in the place, as `admits` tells by raising."""
    try:
        admits(event, question)
    except Failed:
        return False
    return True


def _settles(question: Question, event: Admission) -> bool:
    return question.digest in event.images and does_admit(event, question)
