"""What somebody sees of what was decided: an event with all that was signed over it, and a model's history. From the archive alone.

1. An event of this cluster is there for whom Kubernetes lets get ModelPromotions in its namespace, as its desk is. Whoever has the verb
   ``audit`` on them in the whole cluster sees the whole archive: other clusters' events too, and what is not believed.
2. In which namespace an event lies is what the verified event says, and nothing else. To whom it is not there, nothing tells it from one
   that never was.
3. Seals hold ID tokens, and the event holds its seals: these files are an auditor's alone.
4. A history is read from its latest event backwards, and no further than a page needs: the store's own times say in which order, so that
   how long a history is costs no more than a listing. What is shown was read and verified for this page.
5. Where an event lies, and what it decided, follow from bytes that do not change: they are remembered once they were verified, so that what
   somebody may not see, or does not ask for, is passed over without being read again.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final, Literal

from signoff.archive import layout
from signoff.archive.store import ArchiveError, Missing, Unavailable
from signoff.archive.times import times_of
from signoff.decision.principals import Resolved
from signoff.decision.seals import CouldNotTell
from signoff.errors import SignoffError
from signoff.evidence.account import account
from signoff.evidence.entries import entries_of, second, titled
from signoff.evidence.frozen import Desk, File, gather
from signoff.portal.cluster import Cluster, ClusterAway, NotThere
from signoff.record.values import Digest, RequestId
from signoff.replay.timeline import Entry
from signoff.verify.reader import Reader
from signoff.verify.verifier import Verified

PER_PAGE: Final = 50
MOST_REMEMBERED: Final = 200_000
What = Literal["promoted", "rejected", "corrected"]


@dataclass(frozen=True)
class Asked:
    """What is asked of a model's history: in which environment, what happened (None: all), and after which event, in this order."""

    environment: str | None = None
    what: What | None = None
    after: RequestId | None = None


@dataclass(frozen=True)
class Page:
    """Some of a model's history, the latest first: of each event its entries. ``older``: after which event to go on; None at the end."""

    events: tuple[tuple[Entry, ...], ...]
    older: RequestId | None
    whole: bool


@dataclass(frozen=True, slots=True)
class _Known:
    """What follows from an event's bytes (rule 5): the name that it has among corrections, where it lies, and what it decided."""

    event: Digest
    namespace: str
    here: bool
    what: What


class Past:
    """What was decided, for whoever may see it. ``cluster_name`` is this cluster as requests name it. Safe to use from many threads."""

    def __init__(self, cluster_name: str, cluster: Cluster, reader: Reader) -> None:
        self._name = cluster_name
        self._cluster = cluster
        self.reader = reader
        self._known: dict[RequestId, _Known] = {}

    def desk(self, who: Resolved, request: RequestId) -> tuple[Desk, tuple[File, ...]]:
        """Return a decided desk with every file checked, and those of its files that somebody may have; `NotThere` where it is not there
        for them.
        """
        audits = self._cluster.may_audit(who)
        try:
            known = self._known_of(request)
            if not (audits or self._sees(who, known)):
                raise _not_there(request)
            desk = gather(self.reader, request)
        except (Missing, NotThere):
            raise _not_there(request) from None
        except (Unavailable, ClusterAway):
            raise
        except SignoffError:
            if audits:
                raise
            raise _not_there(request) from None
        return desk, desk.files if audits else tuple(file for file in desk.files if not _holds_tokens(file))

    def history(self, who: Resolved, model: str, asked: Asked) -> Page:
        """Return a page of a model's history; `NotThere` where nothing of it is there for them."""
        audits = self._cluster.may_audit(who)
        found: list[tuple[Entry, ...]] = []
        last: RequestId | None = None
        for request in self._matching(who, model, asked, audits=audits):
            if len(found) == PER_PAGE:
                return Page(tuple(found), last, audits)
            entries = self._entries(request, audits=audits)
            if entries:
                found.append(entries)
                last = request
        if not found and asked == Asked():
            raise NotThere("there is no such history, or you may not see it", where=model, mend="look at the model's name")
        return Page(tuple(found), None, audits)

    def _matching(self, who: Resolved, model: str, asked: Asked, *, audits: bool) -> Iterator[RequestId]:
        """Yield the requests of a history that are asked for, the latest first; for an auditor those not believed too (rule 1)."""
        corrected = self._corrected() if asked.what == "corrected" else frozenset[str]()
        for request in _after(self._in_order(model, asked.environment), asked.after):
            if audits and asked.what is None:
                yield request
                continue
            try:
                known = self._known_of(request)
            except Unavailable:
                raise
            except SignoffError:
                continue  # without an event, or not believed: told to an auditor who asks for all
            if not (audits or self._sees(who, known)):
                continue
            if asked.what is None or asked.what == known.what or (asked.what == "corrected" and known.event in corrected):
                yield request

    def _in_order(self, model: str, environment: str | None) -> list[RequestId]:
        prefix = layout.models_prefix(model, environment) if environment else layout.model_prefix(model)
        pointers = times_of(self.reader.store, prefix)
        latest = sorted(((at, RequestId(layout.pointed_id(key))) for key, at in pointers), reverse=True)
        return [request for _, request in latest]

    def _corrected(self) -> frozenset[str]:
        """Return the digests of events beneath which something lies that corrects them, or says so."""
        keys = self.reader.store.list(layout.CORRECTIONS_PREFIX)
        return frozenset(f"sha256:{key.removeprefix(layout.CORRECTIONS_PREFIX).partition('/')[0]}" for key in keys)

    def _known_of(self, request: RequestId) -> _Known:
        known = self._known.get(request)
        if known is None:
            known = self._remembered(self.reader.outcome(request))
        return known

    def _remembered(self, verified: Verified) -> _Known:
        asked = verified.freeze.request
        known = _Known(
            verified.digest, asked.namespace, self._name in asked.spec.target.clusters, "promoted" if verified.promotes else "rejected"
        )
        if len(self._known) >= MOST_REMEMBERED:
            self._known.clear()
        self._known[verified.id] = known
        return known

    def _sees(self, who: Resolved, known: _Known) -> bool:
        return known.here and self._cluster.may_see(who, known.namespace)

    def _entries(self, request: RequestId, *, audits: bool) -> tuple[Entry, ...]:
        """Return the entries of an event, read and verified now; none where there is no event, or it is not this reader's to be told."""
        try:
            verified = self.reader.outcome(request)
            self._remembered(verified)
            return tuple(entries_of(account(self.reader, verified), f"/events/{request}/"))
        except Missing:
            return ()  # a writer was stopped between pointer and event
        except Unavailable:
            raise
        except SignoffError as error:
            if not audits:
                return ()
            state = "could not tell" if isinstance(error, CouldNotTell) else "not believed"
            return (Entry(self._stored(request), state, titled(request), "", request, (str(error),), ""),)

    def _stored(self, request: RequestId) -> str:
        try:
            [(_, at)] = times_of(self.reader.store, layout.event(request))
        except Unavailable:
            raise
        except (ArchiveError, ValueError):
            return ""
        return second(at)


def _after(requests: list[RequestId], last: RequestId | None) -> list[RequestId]:
    """Return what comes after a request; all, where it is not among them."""
    return requests[requests.index(last) + 1 :] if last in requests else requests


def _holds_tokens(file: File) -> bool:
    return file.path == "event.sigstore.json" or file.path.startswith("seals/")


def _not_there(request: RequestId) -> NotThere:
    return NotThere("there is no such event, or you may not see it", where=request[:12], mend="look in your queue")
