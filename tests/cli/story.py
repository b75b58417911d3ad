"""A model's life in March 2026, in a real archive whose store says on which day it took what."""

from __future__ import annotations

import os
from collections.abc import Callable
from datetime import UTC, datetime
from functools import partial
from typing import Any

from archive_fixture import Site
from world import person

from signoff.archive import layout
from signoff.desk.freezing import Frozen
from signoff.operator.commit import commit
from signoff.policy.schema import Published
from signoff.record.freeze import LiveIncumbent, Principal
from signoff.record.promotion import PROMOTION_TYPE, REJECTION_TYPE, SealedDecision
from signoff.verify.verifier import Verified

MODEL = "credit-scoring"


class Story:
    """Asks and decides, day by day."""

    def __init__(self, site: Site) -> None:
        self.site = site
        self.number = 0

    def asked(
        self,
        day: int,
        *,
        live: Verified | None = None,
        policies: tuple[Published, ...] = (),
        model: dict[str, Any] | None = None,
        last: Callable[[dict[str, Any]], object] = lambda _: None,
        **changes: Any,
    ) -> Frozen:
        """Ask on this day, at nine. ``model`` (``digest`` too), ``target`` and what else stands in a spec may differ."""
        self.number += 1
        model, target = dict(model or {}), changes.pop("target", {})
        digest = model.pop("digest", None)
        was = live.freeze.request.spec.model if live is not None else None

        def change(spec: dict[str, Any]) -> None:
            spec["model"] |= model
            if digest:
                spec["model"]["image"] = f"registry.bank.example/models/{MODEL}@{digest}"
                spec["comparison"]["candidate"]["digest"] = digest
            spec["comparison"]["candidate"]["version"] = spec["model"]["version"]
            spec["target"] |= target
            if was is not None:
                spec["model"]["incumbent"] = {"version": was.version, "digest": was.digest}
                spec["comparison"]["incumbent"] = {**spec["model"]["incumbent"], "metrics": [{"name": "auc", "value": "0.8"}]}
            spec.update(changes)
            last(spec)

        others: dict[str, Any] = {"policies": policies} if policies else {}
        if live is not None and was is not None:
            others["live"] = LiveIncumbent(id=live.id, event=live.digest, version=was.version, digest=was.digest)
        return self.site.frozen(change, name=f"credit-{self.number}", at=f"2026-03-{day:02}T09:00:00Z", derived=True, **others)

    def decided(self, day: int, frozen: Frozen, *people: Principal, verdict: str = "Approve") -> Verified:
        """Decide on this day, at noon; by as many as it takes, where nobody is named."""
        asks = frozen.freeze.route.requirement
        groups = list(dict.fromkeys(role.groups[0] for role in asks.roles))
        deciders = people or tuple(person(f"approver-{number}") for number in range(asks.quorum))
        return self.grouped(day, frozen, [groups] * len(deciders), deciders, verdict)

    def grouped(
        self, day: int, frozen: Frozen, groups: list[list[str]], people: tuple[Principal, ...] = (), verdict: str = "Approve"
    ) -> Verified:
        """Decide on this day, at noon, by one for each of the lists of groups that their seals name."""
        world, asks, sealed = self.site.world, frozen.freeze.route.requirement, list[SealedDecision]()
        for number, theirs in enumerate(groups):
            decided = {
                "roles": [role.name for role in asks.roles if set(role.groups) & set(theirs)],
                "groups": theirs,
                "time": f"2026-03-{day:02}T11:59:00Z",
            }
            by = people[number] if people else person(f"approver-{number}")
            sealed.append(world.seal(frozen.payload, frozen.freeze, by, verdict, change=partial(_decided, decided)))
        for one in sealed:
            world.archive_seal(one)
        return self.committed(day, frozen, sealed, verdict)

    def committed(self, day: int, frozen: Frozen, sealed: list[SealedDecision], verdict: str = "Approve") -> Verified:
        """Write the event over these seals, taken on this day at noon."""
        world, kind = self.site.world, PROMOTION_TYPE if verdict == "Approve" else REJECTION_TYPE
        verified = commit(world.reader, world.event_key, frozen.freeze, kind, sealed, datetime.now(UTC))
        self.taken(day, layout.event(verified.id))
        return world.reader.outcome(verified.id)

    def taken(self, day: int, key: str) -> None:
        """Let the store have taken an object on this day, at noon."""
        moment = datetime(2026, 3, day, 12, tzinfo=UTC).timestamp()
        os.utime(self.site.object_at(key), (moment, moment))

    def revoked(self, day: int, verified: Verified, **changes: Any) -> None:
        """Revoke on this day, at noon."""
        self.taken(day, self.site.world.correct(verified, time=f"2026-03-{day:02}T11:58:00Z", **changes))


def _decided(decided: dict[str, Any], value: dict[str, Any]) -> None:
    value["decided"] |= decided
