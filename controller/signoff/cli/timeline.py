"""A model's timeline: what happened, oldest first, with what went before and what followed.

1. An outcome or a correction stands at the time when the store took it, an undecided request at the time when it was asked, an expiry at
   the end of the validity, past or ahead.
2. Nothing is left out: what does not verify, or cannot be told, is an entry as well; of unknown time it comes first.
3. What a request says of itself (``attempt``, ``supersedes``) is its own word.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from signoff.cli.asked_again import Again, approved_later, asked_again
from signoff.cli.live import Change, Live, revoked_at
from signoff.cli.past import EPOCH, Asked, Past
from signoff.decision.corrections import Corrected
from signoff.evidence.account import Pair, asks, identity, place, validity
from signoff.evidence.times import moment
from signoff.record.values import RequestId

_FIRST: Final = {"promoted": 0, "rejected": 0, "undecided": 0, "revoked": 1, "annotated": 1, "expired": 2, "expires": 2}
_SHOWN: Final = 5


@dataclass(frozen=True)
class Entry:
    """One line of the timeline: when (None: unknown), what happened to what, and the detail beneath. ``kind`` is ``promoted``,
    ``rejected``, ``undecided``, ``revoked``, ``annotated``, ``expired``, ``expires``, ``not believed`` or ``could not tell``.
    """

    at: datetime | None
    kind: str
    title: str
    id: RequestId
    detail: tuple[Pair, ...]
    asked: Asked | None = None
    correction: Corrected | None = None
    again: tuple[Again, ...] = ()
    later: tuple[Asked, ...] = ()
    changes: tuple[Change, ...] = ()


@dataclass(frozen=True)
class Timeline:
    """The entries of a model's past, and what is live by them."""

    entries: tuple[Entry, ...]
    live: Live


@dataclass(frozen=True)
class _Moment:
    """Something that happened, before it is told: its kind, and what it happened to."""

    at: datetime
    kind: str
    asked: Asked
    correction: Corrected | None = None


def timeline(past: Past, now: datetime) -> Timeline:
    """Return the timeline of what was gathered; ``now`` (aware) tells what has expired."""
    everything = (*past.own, *past.others)
    told, live = _Told(past, now), Live()
    moments = sorted((found for one in everything for found in _moments(one, now)), key=_order)
    entries: list[Entry] = []
    own = {one.id for one in past.own}
    for one in moments:
        changes: tuple[Change, ...] = ()
        if one.asked.account is not None and one.asked.id in own:
            if one.kind == "promoted":
                changes = live.promoted(one.asked.account)
            elif one.kind == "revoked" and one.correction is one.asked.account.revoked:
                changes = live.revoked(one.asked.account)
        entries.append(told.entry(one, changes, live))
    for untold, at in past.untold:
        entries.append(Entry(at, untold.state, f"request {untold.id[:12]}…", untold.id, (("why", untold.why), ("id", untold.id))))
    entries.sort(key=lambda one: one.at or EPOCH)  # stable: what happened at one moment stays in its order
    return Timeline(tuple(entries), live)


def _moments(one: Asked, now: datetime) -> Iterator[_Moment]:
    if one.account is None or one.ended is None:
        yield _Moment(one.at, "undecided", one)
        return
    yield _Moment(one.ended, one.verdict, one)
    for correction in one.account.corrections:
        yield _Moment(correction.stored_at or EPOCH, "revoked" if correction.revokes else "annotated", one, correction)
    until = one.account.verified.valid_until
    if one.verdict == "promoted" and until is not None:
        yield _Moment(until, "expired" if until <= now else "expires", one)


def _order(one: _Moment) -> tuple[datetime, int, RequestId]:
    # What was promoted and revoked at one moment was promoted first.
    return one.at, _FIRST[one.kind], one.asked.id


class _Told:
    """Puts moments into words, knowing all of the past."""

    def __init__(self, past: Past, now: datetime) -> None:
        self.requests = (*past.own, *past.others)
        self.names = {one.freeze.request.spec.model.name for one in past.own}
        self.again = asked_again(self.requests)
        self.by_id: Mapping[RequestId, Asked] = {one.id: one for one in self.requests}
        self.superseded: dict[RequestId, list[Asked]] = {}
        for one in self.requests:
            if one.freeze.request.spec.supersedes is not None:
                self.superseded.setdefault(one.freeze.request.spec.supersedes, []).append(one)
        self.now = now

    def entry(self, one: _Moment, changes: tuple[Change, ...], live: Live) -> Entry:
        """Return the entry of a moment."""
        asked = one.asked
        if one.correction is not None:
            detail = (*_correction(one.correction), *_live(changes), *_ids(asked))
            return Entry(one.at, one.kind, asked.title, asked.id, detail, asked, one.correction, changes=changes)
        if one.kind in {"expired", "expires"}:
            return Entry(one.at, one.kind, asked.title, asked.id, (*self._expiry(asked, live), *_ids(asked)), asked)
        again = self.again.get(asked.id, ())
        later = approved_later(asked, self.requests) if one.kind == "rejected" else ()
        detail = (*self._request(asked), *_again(again), *_later(later), *_live(changes), *_ids(asked))
        return Entry(one.at, one.kind, asked.title, asked.id, detail, asked, again=again, later=later, changes=changes)

    def _request(self, asked: Asked) -> Iterator[Pair]:
        freeze, told = asked.freeze, asked.account
        spec = freeze.request.spec
        if spec.model.name not in self.names:
            yield "OTHER NAME", f"asked for as {spec.model.name}: it is the same digest"
        yield "for", place(freeze)
        yield "image", spec.model.image
        for decided in told.verified.decisions if told is not None else ():
            yield ("approved by" if decided.verdict == "Approve" else "rejected by"), f"{decided.principal.name} at {decided.time}"
            if decided.comment is not None:
                yield "", f"comment: {decided.comment}"
        if told is None:
            yield "UNDECIDED", asked.standing
        route = freeze.route
        yield "policy", f"{route.policy}, rule {route.rule}: {route.tier}; asks for {asks(route.requirement)}"
        for digest, desk in asked.desks:
            yield "other desk", f"{desk.route.tier} by {desk.route.policy}, rule {desk.route.rule}; asks for {asks(desk.route.requirement)}"
            yield "", digest
        for submission in freeze.submissions:
            yield "asked by", f"{submission.principal.name} at {submission.time}"
        yield "reason", spec.reason
        if told is not None and asked.verdict == "promoted":
            yield "valid", validity(told.verified, self.now)
            if told.owed:
                yield "EMERGENCY", "decided under an emergency rule; a full approval is owed, and there is none yet"
            if told.unsure:
                yield "CORRECTED?", f"{told.unsure}; the gate admits nothing by it"
        yield from self._attempts(asked)

    def _attempts(self, asked: Asked) -> Iterator[Pair]:
        spec = asked.freeze.request.spec
        if spec.attempt is not None:
            yield "attempt", str(spec.attempt)
        if spec.supersedes is not None:
            before = self.by_id.get(spec.supersedes)
            yield "supersedes", f"{before.title}, {before.verdict}" if before is not None else "a request that this history does not hold"
            yield "", spec.supersedes
        for after in self.superseded.get(asked.id, ()):
            yield "superseded", f"by {after.title}, {after.verdict}"
            yield "", after.id

    def _expiry(self, asked: Asked, live: Live) -> Iterator[Pair]:
        told = asked.account
        if told is None:
            return
        revoked, until = revoked_at(told), told.verified.valid_until
        if revoked is not None and until is not None and revoked <= until:
            yield "then", "nothing: it was revoked before"
            return
        lets = asked.freeze.request.spec.on_expiry == "deny-new-rollouts"
        yield "then", "what ran before is started again, and nothing else" if lets else "the gate admits nothing by it"
        if live.holds(told):
            yield "", "it is still what others are compared with, until another goes live"


def _again(found: Sequence[Again]) -> Iterator[Pair]:
    for one in found[-_SHOWN:]:
        yield ("ASKED AGAIN" if one.shopping else "asked again"), str(one)
    if len(found) > _SHOWN:
        yield "", f"and {len(found) - _SHOWN} times before that (-o json tells of each)"


def _later(found: Sequence[Asked]) -> Iterator[Pair]:
    for one in found:
        by = ", ".join(decided.principal.name for decided in one.account.verified.decisions) if one.account is not None else ""
        yield "APPROVED LATER", f"the same digest, as {one.title}, by {by} at {moment(one.ended)}"
        yield "", one.id


def _live(changes: Sequence[Change]) -> Iterator[Pair]:
    for one in changes:
        yield "live", str(one)


def _correction(one: Corrected) -> Iterator[Pair]:
    said = one.correction
    yield "by", f"{said.principal.name} at {said.time}"
    yield "", identity(said.principal.subject, said.principal.issuer)
    yield "reason", said.reason
    yield "statement", one.digest


def _ids(asked: Asked) -> Iterator[Pair]:
    yield "id", asked.id
    if asked.account is not None:
        yield "event", asked.account.verified.digest
