"""When the policy engine presses, and when it leaves a promotion alone: it believes the archive, and no status."""

from __future__ import annotations

import json
from copy import deepcopy
from datetime import timedelta
from typing import Any

import pytest
from checking import DRIFTED, QUIET, bring, weekly
from world import CARLA, NAME, POLICY, SPEC, STORED, World, trusted_key

from signoff.archive import layout
from signoff.decision.checks import measured
from signoff.desk.freezing import Frozen, Gathered, freeze_request
from signoff.engine.decide import NotNow, Press, awaits, press
from signoff.operator.commit import commit
from signoff.policy.facts import History
from signoff.policy.routing import route
from signoff.record.keys import PemSigner, generate_pem
from signoff.record.promotion import PROMOTION_TYPE, as_json
from signoff.record.request import read_spec
from signoff.verify.reader import Reader


class Waiting:
    """A promotion that waits for the engine."""

    def __init__(self, world: World, figures: Any = QUIET) -> None:
        self.world = world
        self.checker = PemSigner(generate_pem())
        self.policy = world.publish("credit-models", weekly(POLICY, self.checker.key_id))
        self.spec: dict[str, Any] = deepcopy(SPEC)
        bring(self.spec, self.checker, figures)
        self.reader = self.trusting()
        self.frozen = self.freeze()

    def trusting(self, **changes: Any) -> Reader:
        keys = [trusted_key(self.world.seal_key, "seal"), trusted_key(self.world.event_key, "event")]
        trust = self.world.trust_with(keys=[*keys, {**trusted_key(self.checker, "check"), **changes}])
        return Reader(self.world.store, trust)

    def freeze(self) -> Frozen:
        read = read_spec(self.spec)
        checks = measured(read, self.reader.trust, STORED, None)
        found = freeze_request(
            Gathered(
                namespace="credit",
                name=NAME,
                spec_value=self.spec,
                spec=read,
                cluster="demo",
                submissions=(self.world.submit(self.spec),),
                route=route(read, (self.policy,), History(), checks),
                live=None,
                explanation=self.world_explanation(),
                origin="the example",
            )
        )
        self.world.store.create(layout.freeze(found.freeze.id, found.digest), found.payload)
        return found

    def world_explanation(self) -> bytes:
        from builders import example_explanation

        return example_explanation()

    def promotion(self, **status: Any) -> dict[str, Any]:
        conditions = [{"type": "Ready", "status": "False", "reason": status.pop("reason", "AwaitingDecision")}]
        told = {"tier": "tier-3", "freeze": self.frozen.digest, "conditions": conditions, **status}
        return {"metadata": {"namespace": "credit", "name": NAME}, "spec": self.spec, "status": told}

    def press(self, reader: Reader | None = None, promotion: dict[str, Any] | None = None) -> Press:
        return press(reader or self.reader, "demo", promotion or self.promotion(), STORED)


@pytest.fixture
def waiting(world: World) -> Waiting:
    return Waiting(world)


def test_what_a_check_bears_out_is_pressed_on_the_archived_freeze(waiting: Waiting) -> None:
    made = waiting.press()
    assert made.manifest["metadata"]["name"] == f"engine-{waiting.frozen.digest[7:]}"
    spec = made.manifest["spec"]
    assert (spec["promotion"], spec["freeze"], spec["verdict"]) == (NAME, waiting.frozen.digest, "Approve")
    assert spec["rendition"] in {one.digest for one in waiting.frozen.freeze.renditions}
    check = measured(read_spec(waiting.spec), waiting.reader.trust, STORED, None)[0].digest
    assert check in spec["meaning"]
    assert "weekly-refresh" in spec["meaning"]
    assert json.loads(json.dumps(made.manifest)) == made.manifest
    assert waiting.press().manifest == made.manifest, "the same again, after whatever crash"


@pytest.mark.parametrize("status", [{"tier": "tier-2"}, {"reason": "Promoted"}, {"reason": "Stale"}, {"freeze": None}, {"conditions": []}])
def test_what_does_not_wait_for_the_engine_is_not_looked_at(waiting: Waiting, status: dict[str, Any]) -> None:
    assert awaits(waiting.promotion())
    assert not awaits(waiting.promotion(**status))
    assert not awaits({"metadata": {}})


def test_a_status_that_calls_it_tier_3_does_not_make_it_so(world: World) -> None:
    drifted = Waiting(world, DRIFTED)
    assert drifted.frozen.freeze.route.tier == "tier-2"
    with pytest.raises(NotNow, match="is not the frozen one"):
        drifted.press()


def test_a_freeze_that_the_archive_does_not_hold(waiting: Waiting) -> None:
    with pytest.raises(NotNow, match="no such freeze"):
        waiting.press(promotion=waiting.promotion(freeze="sha256:" + "7" * 64))


def test_a_freeze_of_another_request(waiting: Waiting) -> None:
    changed = waiting.promotion()
    changed["spec"] = {**waiting.spec, "reason": "another"}
    with pytest.raises(NotNow, match="no such freeze"):
        waiting.press(promotion=changed)


@pytest.mark.parametrize(
    "changes", [{"validUntil": "2026-03-01T00:00:00Z"}, {"compromised": {"at": "2026-03-01T00:00:00Z"}}, {"use": "seal"}]
)
def test_a_checker_whose_key_does_not_count_any_more(waiting: Waiting, changes: dict[str, Any]) -> None:
    with pytest.raises(NotNow, match="is not the frozen one"):
        waiting.press(waiting.trusting(**changes))


def test_another_version_that_went_live_meanwhile(waiting: Waiting) -> None:
    world = waiting.world
    frozen = world.freeze(SPEC, name="the-other-one")
    sealed = world.seal(frozen.payload, frozen.freeze, CARLA)
    world.archive_seal(sealed)
    assert commit(world.reader, world.event_key, frozen.freeze, PROMOTION_TYPE, [sealed], STORED + timedelta(hours=1)).promotes
    with pytest.raises(NotNow, match="the live version has changed"):
        waiting.press()


def test_a_freeze_of_another_cluster(waiting: Waiting) -> None:
    with pytest.raises(NotNow, match="another cluster"):
        press(waiting.reader, "west", waiting.promotion(), STORED)


def test_a_route_that_an_operator_made_up(waiting: Waiting) -> None:
    value = json.loads(waiting.frozen.payload)
    value["route"]["inputs"]["valid for"] = "1h"
    from signoff.record.freeze import freeze_bytes

    data, digest = freeze_bytes(value)
    waiting.world.store.create(layout.freeze(waiting.frozen.freeze.id, digest), data)
    with pytest.raises(NotNow, match="is not the frozen one"):
        waiting.press(promotion=waiting.promotion(freeze=digest))
    assert as_json(waiting.frozen.freeze.route) != value["route"]
