"""Which version of a model was live when, told from its promotions and their revocations.

1. In an environment and a cluster the promotion is live that the store took last and that nobody has revoked by then: what
   `Reader.incumbent` says, for each moment of the past. A revocation makes the one before live again.
2. An expiry changes nothing of it: what has expired is still what others are compared with.
3. Whether an event was revoked may not be told. From its promotion on it is not told what is live there, until the next goes live.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime

from signoff.cli.past import EPOCH
from signoff.evidence.account import Account
from signoff.record.values import RequestId

Place = tuple[str, str]
"""An environment and a cluster."""


@dataclass(frozen=True)
class Change:
    """That something else went live in these places of one environment: what, and in place of what (None: nothing)."""

    environment: str
    clusters: tuple[str, ...]
    now: Account | None
    before: Account | None

    def __str__(self) -> str:
        """Return it in words."""
        where = f"{self.environment} in {', '.join(self.clusters)}"
        before = f" in place of {_named(self.before)}" if self.before is not None else ""
        if self.now is None:
            return f"nothing is live any more for {where}"
        unsure = "; whether it was revoked cannot be told, nor then what is live" if self.now.unsure else ""
        return f"{_named(self.now)} is live for {where}{before or ', the first there'}{unsure}"


class Live:
    """What is live, as the promotions and revocations of one model go by in their order."""

    def __init__(self) -> None:
        self._promoted: dict[Place, list[Account]] = {}

    def promoted(self, one: Account) -> tuple[Change, ...]:
        """Take note of a promotion, and return what changes by it."""
        before = {place: self._top(place) for place in _places(one)}
        for place in before:
            self._promoted.setdefault(place, []).append(one)
        return self._changed(before)

    def revoked(self, one: Account) -> tuple[Change, ...]:
        """Take note of a revocation, and return what changes by it: nothing where something else had gone live since."""
        before = {place: self._top(place) for place in _places(one)}
        for place in before:
            self._promoted[place] = [other for other in self._promoted.get(place, []) if other is not one]
        return self._changed(before)

    def holds(self, one: Account) -> bool:
        """Whether a promotion is live somewhere."""
        return any(self._top(place) is one for place in _places(one))

    @property
    def now(self) -> Mapping[Place, Account | None]:
        """What is live, for each place where anything was."""
        return {place: self._top(place) for place in sorted(self._promoted)}

    def _top(self, place: Place) -> Account | None:
        known = self._promoted.get(place)
        return known[-1] if known else None

    def _changed(self, before: Mapping[Place, Account | None]) -> tuple[Change, ...]:
        found: dict[tuple[str, RequestId | None, RequestId | None], Change] = {}
        for place, was in before.items():
            now = self._top(place)
            if now is was:
                continue
            key = (place[0], _id(now), _id(was))
            clusters = found[key].clusters if key in found else ()
            found[key] = Change(place[0], (*clusters, place[1]), now, was)
        return tuple(found.values())


def revoked_at(one: Account) -> datetime | None:
    """Return when the store took the revocation of a promotion; None where it stands."""
    return None if one.revoked is None else one.revoked.stored_at or EPOCH


def _places(one: Account) -> tuple[Place, ...]:
    target = one.verified.freeze.request.spec.target
    return tuple((target.environment, cluster) for cluster in dict.fromkeys(target.clusters))


def _named(one: Account | None) -> str:
    return f"{one.title} ({one.verified.id[:12]}…)" if one is not None else "nothing"


def _id(one: Account | None) -> RequestId | None:
    return one.verified.id if one is not None else None
