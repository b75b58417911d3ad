"""Decisions on a freeze, as the archive and the cluster hold them."""

from __future__ import annotations

import base64
from collections.abc import Callable
from copy import deepcopy
from typing import Any

from world import CARLA, SPEC, STORED, World, person

from signoff.desk.freezing import Frozen
from signoff.operator.commit import Collected, collect, commit
from signoff.record.promotion import OutcomeType, SealedDecision
from signoff.verify.reader import Reader
from signoff.verify.verifier import Verified

EVE = person("eve")
Change = Callable[[dict[str, Any]], None]


def carried(*decisions: SealedDecision) -> list[tuple[str, str]]:
    return [(f"decision-{number}", base64.b64encode(one.bundle).decode()) for number, one in enumerate(decisions)]


def of_model(number: int) -> dict[str, Any]:
    """The example's spec for a model of its own, so that one promotion does not make another's desk stale."""
    spec = deepcopy(SPEC)
    spec["model"]["name"] = f"credit-model-{number}"
    return spec


def seal(world: World, frozen: Frozen, by: Any = CARLA, verdict: str = "Approve", **changes: Any) -> SealedDecision:
    """A seal, archived where it belongs."""
    sealed = world.seal(frozen.payload, frozen.freeze, by, verdict, **changes)
    world.archive_seal(sealed)
    return sealed


def collected(world: World, frozen: Frozen, *decisions: SealedDecision) -> Collected:
    return collect(world.reader, frozen.freeze, frozen.digest, carried(*decisions))


def names(decisions: tuple[SealedDecision, ...]) -> set[str]:
    return {one.seal.decided.principal.subject.partition("@")[0] for one in decisions}


def keys(world: World, prefix: str = "") -> list[str]:
    return list(world.store.list(prefix))


def write(world: World, frozen: Frozen, kind: OutcomeType, *decisions: SealedDecision, store: Any = None, signer: Any = None) -> Verified:
    reader = Reader(store or world.store, world.trust)
    return commit(reader, signer or world.event_key, frozen.freeze, kind, decisions, STORED)
