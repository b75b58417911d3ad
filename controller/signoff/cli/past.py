"""Everything that an archive holds of a model's past, gathered: what was decided, what is still undecided, and what lies elsewhere.

1. What was decided is found by the model's pointers, and told by the verifier's word (`why.gather`).
2. What is undecided has no pointers yet: it is found among the freezes of requests without an event. Of such a desk admission's signed
   submission is believed, and that its bytes hash to its digest; nobody has decided on the rest.
3. The same digest may have been asked for under another model's name. Promotions are found by its pointers; a rejection has none from its
   digest, so that each rejection of the archive is looked at.
4. What cannot be read may belong here: it is told, and never left out.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from itertools import groupby
from typing import Final

from signoff.archive import layout
from signoff.archive.store import ArchiveError, Missing, Unavailable
from signoff.cli import find, output
from signoff.cli.progress import progress
from signoff.cli.why import Untold, gather
from signoff.decision.frozen import believe_submissions
from signoff.decision.seals import NotBelieved
from signoff.errors import SignoffError
from signoff.evidence.account import Account
from signoff.record.bundle import MAX_BUNDLE
from signoff.record.freeze import MAX_PAYLOAD, Freeze
from signoff.record.promotion import as_json
from signoff.record.request import request_id
from signoff.record.values import Digest, RequestId, parse_time
from signoff.verify.reader import Reader

EPOCH: Final = datetime.min.replace(tzinfo=UTC)
_ID: Final = slice(len(layout.EVENTS_PREFIX), len(layout.EVENTS_PREFIX) + 64)


@dataclass(frozen=True)
class Asked:
    """A request: its desk, the account of its outcome (None: undecided), and in words how it stands where it is undecided.

    ``desks`` are the other desks on which it was frozen, by digest: an earlier route, perhaps.
    """

    freeze: Freeze
    account: Account | None
    standing: str = ""
    desks: tuple[tuple[Digest, Freeze], ...] = ()

    @property
    def id(self) -> RequestId:
        """The request's id."""
        return self.freeze.id

    @property
    def at(self) -> datetime:
        """When it was asked first, as admission signed it."""
        return min(parse_time(one.time) for one in self.freeze.submissions)

    @property
    def ended(self) -> datetime | None:
        """When the store took its outcome; None while there is none."""
        return None if self.account is None else self.account.verified.stored_at or EPOCH

    @property
    def verdict(self) -> str:
        """``promoted``, ``rejected`` or ``undecided``."""
        return self.account.verdict if self.account is not None else "undecided"

    @property
    def title(self) -> str:
        """Model and version."""
        model = self.freeze.request.spec.model
        return f"{model.name} {model.version}"


@dataclass(frozen=True)
class Past:
    """A model's past: its own requests, those of other names for one of its digests, and what could not be told (with when the store took
    it, where that is known). ``unread`` says of what it is not known whether it belongs here.
    """

    own: tuple[Asked, ...]
    others: tuple[Asked, ...]
    untold: tuple[tuple[Untold, datetime | None], ...]
    unread: tuple[str, ...]


@dataclass(frozen=True)
class _Pending:
    """What is kept of an undecided request until it is known whether it belongs here."""

    id: RequestId
    model: str
    environment: str
    image: Digest


def gathered(reader: Reader, model: str, environment: str | None) -> Past:
    """Return the past of a model, in one environment or in all; `Unavailable` where the archive is out of reach."""
    unread: list[str] = []
    pending = [one for one in _undecided(reader, unread) if environment in {None, one.environment}]
    mine = {one.id for one in pending if one.model == model} | set(find.of_model(reader.store, model, environment))
    own, untold = _asked(reader, mine, environment)
    digests = {one.freeze.request.spec.model.digest for one in own}
    others = {one.id for one in pending if one.image in digests}
    for digest in digests:
        others.update(find.of_digest(reader.store, digest, environment))
    others.update(_rejected(reader, digests, environment, unread, mine))
    elsewhere, strange = _asked(reader, others - mine, environment)
    unread += [f"request {one.id}, of another name: {one.why}" for one in strange if one.state != "undecided"]
    return Past(own, elsewhere, tuple((one, _stored(reader, one.id)) for one in untold), tuple(dict.fromkeys(unread)))


def _asked(reader: Reader, requests: set[RequestId], environment: str | None) -> tuple[tuple[Asked, ...], tuple[Untold, ...]]:
    """Return what was asked by these requests, and which of them cannot be told."""
    told, others = gather(reader, sorted(requests), None, environment)
    found = [Asked(one.verified.freeze, one, desks=_desks(reader, one.verified.freeze)) for one in told]
    untold: list[Untold] = []
    for other in others:
        try:
            one = _pending(reader, other) if other.state == "undecided" else None
        except Unavailable:
            raise
        except SignoffError as error:
            untold.append(Untold(other.id, "not believed", str(error)))
            continue
        if one is None:
            untold.append(other)
        else:
            found.append(one)
    return tuple(found), tuple(untold)


def _pending(reader: Reader, undecided: Untold) -> Asked | None:
    """Return an undecided request on its latest desk; None where it was never frozen, `SignoffError` where it is not believed (rule 2)."""
    request, desks = undecided.id, list[tuple[datetime, Digest, Freeze]]()
    for key in reader.store.list(layout.freezes_prefix(request)):
        digest = _digest(key)
        freeze, _ = reader.freeze(request, digest)
        desks.append((reader.store.read(key, limit=MAX_PAYLOAD).stored_at, digest, freeze))
    if not desks:
        return None
    stored_at, _, freeze = max(desks, key=lambda one: one[:2])
    if request != freeze.id or request != request_id(as_json(freeze.request)):
        raise NotBelieved("its desk is that of another request", where=f"freezes/{request}")
    believe_submissions(freeze, reader.trust, stored_at)
    return Asked(freeze, None, undecided.why, _desks(reader, freeze))


def _desks(reader: Reader, counts: Freeze) -> tuple[tuple[Digest, Freeze], ...]:
    """Return the desks of a request that lead elsewhere than the one that counts. What does not read is for `signoff verify` to tell."""
    found: list[tuple[Digest, Freeze]] = []
    for key in reader.store.list(layout.freezes_prefix(counts.id)):
        try:
            freeze, _ = reader.freeze(counts.id, _digest(key))
        except Unavailable:
            raise
        except SignoffError:
            continue
        if freeze.id == counts.id and freeze.route != counts.route:
            found.append((_digest(key), freeze))
    return tuple(found)


def _undecided(reader: Reader, unread: list[str]) -> Iterator[_Pending]:
    """Yield the requests that were frozen and have no event, by walking both folders side by side; ``unread`` hears of what is none."""
    events = (key[_ID] for key in reader.store.list(layout.EVENTS_PREFIX))
    decided = next(events, None)
    with progress("looking for what is undecided") as shown:
        for number, (request, keys) in enumerate(groupby(reader.store.list("freezes/"), lambda key: key.split("/")[1]), 1):
            shown.step(output.count(number, "request"))
            first = next(keys)
            while decided is not None and decided < request:
                decided = next(events, None)
            if decided == request:
                continue
            try:
                freeze, _ = reader.freeze(RequestId(request), _digest(first))
            except Unavailable:
                raise
            except SignoffError as error:
                unread.append(f"a desk of the undecided request {request}: {error}")
                continue
            spec = freeze.request.spec
            yield _Pending(RequestId(request), spec.model.name, spec.target.environment, spec.model.digest)


def _rejected(
    reader: Reader, digests: set[Digest], environment: str | None, unread: list[str], mine: set[RequestId]
) -> Iterator[RequestId]:
    """Yield the rejections of these digests under other names: what only a model's history points to, and no repository (rule 3)."""
    promoted = {bytes.fromhex(layout.pointed_id(key)) for key in reader.store.list("repositories/")}
    with progress("looking for rejections under other names") as shown:
        for number, key in enumerate(reader.store.list("models/"), 1):
            shown.step(output.count(number, "pointer"))
            request = RequestId(layout.pointed_id(key))
            if request in mine or environment not in {None, key.split("/")[2]} or bytes.fromhex(request) in promoted:
                continue
            try:
                verified = reader.outcome(request)
            except Unavailable:
                raise
            except Missing:
                continue
            except SignoffError as error:
                unread.append(f"request {request}, of another name: {error}")
                continue
            if verified.freeze.request.spec.model.digest in digests:
                yield request


def _stored(reader: Reader, request: RequestId) -> datetime | None:
    try:
        return reader.store.read(layout.event(request), limit=MAX_BUNDLE).stored_at
    except Unavailable:
        raise
    except ArchiveError:
        return None


def _digest(key: str) -> Digest:
    return Digest(f"sha256:{key.rpartition('/')[2]}")
