"""What somebody sees: their queue, a desk as it is frozen, and what has become of it. From the archive; the cluster says where to look.

1. What is on a desk is the archived bytes under the digests that the freeze names, read for each reader and verified (`kept`); nothing is
   rendered here. A freeze is verified when it is first read, and what it says is kept for a while: its digest says that it is the same.
2. The freeze is the one that the promotion's status names, and must be of this very request. That was found to be a right one when it was
   frozen: it is compared, and not read anew; and it is compared once for each version of the promotion, which is asked for each reader.
3. Whether somebody may decide is foretold by the rules of the door (`decision.eligibility`), for the queue's sake. The door decides.
4. The queue is bounded, and says where it leaves something out. What somebody decided before takes no place from what waits.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import lru_cache
from threading import Lock
from typing import Final

from signoff.archive.store import Missing, Unavailable
from signoff.decision.corrections import Corrected
from signoff.decision.delegations import grantor_of
from signoff.decision.eligibility import NotAllowed, standing
from signoff.decision.principals import Resolved
from signoff.desk.explanation import MAX_EXPLANATION
from signoff.desk.render import MAX_RENDITION
from signoff.errors import SignoffError
from signoff.policy.quorum import Vote, tally
from signoff.portal.cluster import Cluster, ClusterAway, NotThere, Object, Version, version_of
from signoff.portal.kept import Kept
from signoff.record.canonical import text_at
from signoff.record.freeze import Document, Explanation, Freeze
from signoff.record.promotion import is_freeze_of
from signoff.record.request import request_id, request_value
from signoff.record.seal import Decided
from signoff.record.values import Digest, RequestId, parse_digest, parse_time
from signoff.verify.reader import Reader
from signoff.verify.sealed import sealed_on
from signoff.verify.verifier import Verified


class NotFrozen(SignoffError):
    """There is no desk yet."""


@dataclass(frozen=True)
class Desk:
    """A frozen desk: which request, which freeze, and since when it waits."""

    namespace: str
    name: str
    id: RequestId
    digest: Digest
    freeze: Freeze
    since: str

    @property
    def title(self) -> str:
        """Model and version."""
        model = self.freeze.request.spec.model
        return f"{model.name} {model.version}"

    def document(self, digest: Digest) -> Document | Explanation:
        """Return the rendition, or the explanation, of this digest; `NotThere` where neither has it."""
        documents: tuple[Document | Explanation, ...] = (*self.freeze.renditions, self.freeze.explanation)
        for one in documents:
            if one.digest == digest:
                return one
        raise NotThere("is not on this desk", where=digest)

    def rendition(self, media_type: str) -> Document | None:
        """Return the rendition of a media type."""
        return next((one for one in self.freeze.renditions if one.mediaType == media_type), None)


@dataclass(frozen=True)
class State:
    """How far it is: who decided, who is awaited; and the outcome, with its corrections, once there is one."""

    decided: tuple[Decided, ...]
    missing: tuple[str, ...]
    outcome: Verified | None
    corrections: tuple[Corrected, ...] = ()


@dataclass(frozen=True)
class Entry:
    """A line of somebody's queue. ``roles`` are those in which they may decide; ``why_not`` says why they may not."""

    desk: Desk
    state: State
    roles: tuple[str, ...]
    groups: tuple[str, ...]
    why_not: str
    own: Decided | None


@dataclass(frozen=True)
class Queue:
    """What awaits a decision, and what somebody decided last; ``more_…`` where there is more than this."""

    entries: tuple[Entry, ...]
    more_wait: bool
    more_decided: bool


MOST_WAITING: Final = 200
MOST_DECIDED: Final = 20
_FREEZES: Final = 64
_MOST_FITTING: Final = 10_000


class Desks:
    """The desks of one cluster, for whoever may see them."""

    def __init__(self, cluster: Cluster, reader: Reader) -> None:
        self._cluster = cluster
        self._reader = reader
        self._freeze = lru_cache(maxsize=_FREEZES)(self._read)
        self._fitting: set[tuple[RequestId, Digest]] = set()
        self._desks: OrderedDict[Version, Desk] = OrderedDict()
        self._lock = Lock()
        self._kept = Kept(reader.store)

    def desk(self, who: Resolved, namespace: str, name: str) -> Desk:
        """Return a desk that somebody may see; `NotThere`, `NotFrozen` or an error of the archive says why not."""
        if not self._cluster.may_see(who, namespace):
            raise NotThere("there is no such promotion, or you may not see it", where=f"{namespace}/{name}", mend="look in your queue")
        known = self._known(self._cluster.version(namespace, name))
        return self._of(self._cluster.promotion(namespace, name), namespace, name) if known is None else known

    def state(self, desk: Desk) -> State:
        """Return how far a desk is, by the archive."""
        try:
            outcome = self._reader.outcome(desk.id)
        except Missing:
            outcome = None
        if outcome is not None:
            return State(outcome.decisions, (), outcome, self._reader.corrections(outcome))
        found = [one.seal.decided for one in sealed_on(self._reader, desk.freeze, desk.digest)]
        votes = [Vote(one.principal, one.roles, grantor_of(one)) for one in found if one.verdict == "Approve"]
        return State(tuple(found), tally(desk.freeze, votes).missing, None)

    def queue(self, who: Resolved) -> Queue:
        """Return what awaits a decision in namespaces that somebody may see, and what they decided last (rule 4)."""
        waiting: list[tuple[str | None, Object]] = []
        over: list[tuple[str | None, Object]] = []
        for promotion in self._cluster.promotions():
            time = _decided_at(promotion, who)
            waits = _reason(promotion) == "AwaitingDecision"
            if (waits or time is not None) and self._cluster.may_see(who, text_at(promotion, "metadata", "namespace")):
                (waiting if waits else over).append((time, promotion))
        waiting.sort(key=lambda one: one[0] is not None)  # what only others still decide comes after what they have not decided
        over.sort(key=lambda one: one[0] or "", reverse=True)
        first, more_wait = self._entries(waiting, who, MOST_WAITING)
        last, more_decided = self._entries(over, who, MOST_DECIDED)
        return Queue((*first, *last), more_wait, more_decided)

    def _entries(self, found: Sequence[tuple[str | None, Object]], who: Resolved, most: int) -> tuple[list[Entry], bool]:
        """Return the first entries of these promotions, and whether any was left out for the bound."""
        entries: list[Entry] = []
        for _, promotion in found:
            if len(entries) == most:
                return entries, True
            try:
                desk = self._of(promotion, text_at(promotion, "metadata", "namespace"), text_at(promotion, "metadata", "name"))
                entries.append(self.entry(desk, who))
            except (Unavailable, ClusterAway):
                raise
            except SignoffError:
                continue  # its own page says what is wrong; one broken desk keeps nobody from the others
        return entries, False

    def bytes_of(self, document: Document | Explanation) -> bytes:
        """Return the archived bytes of what is on a desk, verified."""
        return self._kept.read(document.digest, limit=max(MAX_RENDITION, MAX_EXPLANATION))

    def zipped(self, document: Document | Explanation) -> bytes:
        """Return the same as gzip."""
        return self._kept.zipped(document.digest, limit=max(MAX_RENDITION, MAX_EXPLANATION))

    def shown(self, explanation: Explanation) -> bytes:
        """Return an explanation as a browser may draw it: a page is confined as on the desk."""
        return (self._kept.confined if explanation.mediaType == "text/html" else self._kept.read)(explanation.digest, limit=MAX_EXPLANATION)

    def entry(self, desk: Desk, who: Resolved) -> Entry:
        """Return what a desk is to somebody."""
        state = self.state(desk)
        own = next((one for one in state.decided if one.principal.is_same(who.principal)), None)
        try:
            found = standing(desk.freeze, who, ())
        except NotAllowed as error:
            return Entry(desk, state, (), (), error.what, own)
        return Entry(desk, state, found.roles, found.groups, "", own)

    def _read(self, request: RequestId, digest: Digest) -> Freeze:
        return self._reader.freeze(request, digest)[0]

    def _known(self, version: Version | None) -> Desk | None:
        with self._lock:
            return self._desks.get(version) if version is not None else None

    def _of(self, promotion: Object, namespace: str, name: str) -> Desk:
        version = version_of(promotion)
        desk = self._known(version)
        if desk is None:
            desk = self._read_desk(promotion, namespace, name)
            if version is not None:
                with self._lock:
                    self._desks[version] = desk
                    while len(self._desks) > _FREEZES:
                        self._desks.popitem(last=False)
        return desk

    def _read_desk(self, promotion: Object, namespace: str, name: str) -> Desk:
        named = text_at(promotion, "status", "freeze")
        if not named:
            message = text_at(promotion, "status", "message") or "the operator has not looked at it yet"
            raise NotFrozen(f"the desk is not frozen: {message}", where=f"{namespace}/{name}", mend="look again later")
        value = request_value(namespace, name, promotion.get("spec"))
        request, digest = request_id(value), parse_digest(named, "status.freeze")
        freeze = self._freeze(request, digest)
        if (request, digest) not in self._fitting:  # the id is the hash of the request: of one id there is one request
            if not is_freeze_of(freeze, value):
                raise NotFrozen("the freeze is of another request", where=digest, mend="nothing was decided; call whoever runs signoff")
            if len(self._fitting) >= _MOST_FITTING:
                self._fitting.clear()
            self._fitting.add((request, digest))
        return Desk(namespace, name, request, digest, freeze, _since(promotion))


def age(since: str, now: datetime) -> str:
    """Return in words for how long something has waited."""
    try:
        minutes = int((now - parse_time(since)).total_seconds()) // 60
    except ValueError:
        return ""
    for size, word in ((24 * 60, "day"), (60, "hour"), (1, "minute")):
        if minutes >= size:
            number = minutes // size
            return f"{number} {word}{'' if number == 1 else 's'}"
    return "a moment"


def _decided_at(promotion: Object, who: Resolved) -> str | None:
    """Return when somebody decided it, as its status says; None where they did not."""
    status = promotion.get("status")
    seals = status.get("seals") if isinstance(status, dict) else None
    own = (who.principal.issuer, who.principal.subject)
    listed = [one for one in seals if isinstance(one, dict)] if isinstance(seals, list) else []
    return next((text_at(one, "time") for one in listed if (one.get("issuer"), one.get("subject")) == own), None)


def _condition(promotion: Object, kind: str) -> dict[str, object]:
    status = promotion.get("status")
    conditions = status.get("conditions") if isinstance(status, dict) else None
    listed = conditions if isinstance(conditions, list) else []
    return next((dict(one) for one in listed if isinstance(one, dict) and one.get("type") == kind), {})


def _reason(promotion: Object) -> str:
    return str(_condition(promotion, "Ready").get("reason", ""))


def _since(promotion: Object) -> str:
    return str(_condition(promotion, "Frozen").get("lastTransitionTime", ""))
