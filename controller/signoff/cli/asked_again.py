"""Who was asked again: a digest that was asked for after it had been rejected or revoked, or while it still was undecided.

1. One digest asked for twice is no wrong by itself: a corrected request is a new request. What is told is what differs: another policy,
   another tier, other approvers, another name or version, another place. Where nothing differs, the same people were asked again.
2. Earlier is what admission signed as submitted earlier. Whether it was decided by then is told by when the store took the outcome.
3. What was undecided counts for places that overlap alone: to ask in one environment after the other is how models travel.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Final, Literal

from signoff.cli.past import Asked
from signoff.evidence.account import asks
from signoff.evidence.times import moment
from signoff.policy.routing import includes
from signoff.record.freeze import Freeze

After = Literal["rejected", "revoked", "undecided"]
Difference = tuple[str, str]

_NEVER: Final = datetime.max.replace(tzinfo=UTC)


@dataclass(frozen=True)
class Again:
    """That a digest was asked for again: what had become of the request before, and what differs now, by name and in words."""

    before: Asked
    after: After
    differs: tuple[Difference, ...]

    @property
    def shopping(self) -> bool:
        """Whether others were asked, or the same were asked under another name: a place alone is none of it (rule 1)."""
        return any(name != "place" for name, _ in self.differs)

    def __str__(self) -> str:
        """Return it in words."""
        differs = "; ".join(words for _, words in self.differs) or "the same people are asked, by the same policy"
        return f"{_fate(self)}: {differs}"


def asked_again(requests: Sequence[Asked]) -> dict[str, tuple[Again, ...]]:
    """Return by its id, of each request whose digest had been asked for before, what there was before; the latest comes last."""
    ordered = sorted(requests, key=lambda one: (one.at, one.ended or _NEVER, one.id))
    by_digest: dict[str, list[Asked]] = {}
    found: dict[str, tuple[Again, ...]] = {}
    for one in ordered:
        before = by_digest.setdefault(one.freeze.request.spec.model.digest, [])
        again = tuple(Again(other, fate, tuple(_differences(other.freeze, one.freeze))) for other in before if (fate := _stood(other, one)))
        if again:
            found[one.id] = again
        before.append(one)
    return found


def approved_later(rejected: Asked, requests: Sequence[Asked]) -> tuple[Asked, ...]:
    """Return the promotions of a rejected digest that the store took after the rejection, oldest first."""
    digest, ended = rejected.freeze.request.spec.model.digest, rejected.ended
    later = [
        (one.ended, one.id, one)
        for one in requests
        if one.verdict == "promoted" and one.freeze.request.spec.model.digest == digest and one.ended and ended and one.ended > ended
    ]
    return tuple(one for _, _, one in sorted(later, key=lambda one: one[:2]))


def _stood(before: Asked, later: Asked) -> After | None:
    """Return what had become of a request when a later one was made; None where it was promoted and stood (rules 2 and 3)."""
    if before.ended is None or before.ended > later.at:
        return "undecided" if _overlap(before.freeze, later.freeze) else None
    if before.verdict == "rejected":
        return "rejected"
    revoked = before.account.revoked if before.account is not None else None
    return "revoked" if revoked is not None and (revoked.stored_at is None or revoked.stored_at <= later.at) else None


def _overlap(one: Freeze, other: Freeze) -> bool:
    asked, also = one.request.spec.target, other.request.spec.target
    return (
        asked.environment == also.environment
        and not set(asked.clusters).isdisjoint(also.clusters)
        and not set(asked.namespaces).isdisjoint(also.namespaces)
    )


def _differences(before: Freeze, now: Freeze) -> Iterator[Difference]:
    was, asked = before.request.spec, now.request.spec
    if was.model.name != asked.model.name:
        yield "name", f"under another name, {asked.model.name} instead of {was.model.name}"
    if was.model.version != asked.model.version:
        yield "version", f"as another version, {asked.model.version} instead of {was.model.version}"
    yield from _routed(before, now)
    if was.target != asked.target:
        yield "place", f"for another place, {_place(now)} instead of {_place(before)}"


def _routed(before: Freeze, now: Freeze) -> Iterator[Difference]:
    was, asked = before.route, now.route
    if was.policy != asked.policy:
        yield "policy", f"by another policy, {asked.policy} instead of {was.policy}"
    elif _text(before) != _text(now):
        yield "policy", f"by another text of the policy {asked.policy}"
    if was.tier != asked.tier:
        yield "tier", f"in another tier, {asked.tier} instead of {was.tier}"
    if not (includes(was.requirement, asked.requirement) and includes(asked.requirement, was.requirement)):
        yield "approvers", f"of other approvers, {asks(asked.requirement)} instead of {asks(was.requirement)}"


def _text(freeze: Freeze) -> str:
    return next((one.statement for one in freeze.route.considered if one.name == freeze.route.policy), "")


def _place(freeze: Freeze) -> str:
    target = freeze.request.spec.target
    return f"{target.environment}/{','.join(target.clusters)}/{','.join(target.namespaces)}"


def _fate(again: Again) -> str:
    before, told = again.before, again.before.account
    named = f"{before.title} (request {before.id})"
    if again.after == "undecided":
        became = f", which was {before.verdict} only at {moment(before.ended)}" if told is not None else ""
        return f"while {named} was undecided{became}"
    if again.after == "revoked" and told is not None and told.revoked is not None:
        said = told.revoked.correction
        return f"after {named} was revoked by {said.principal.name} at {said.time}"
    by = ", ".join(one.principal.name for one in told.verified.decisions) if told is not None else ""
    return f"after {named} was rejected by {by} at {moment(before.ended)}"
