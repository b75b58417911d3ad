"""What rules are told of the archive's history: what was decided in full for the whole target, and nothing else."""

from __future__ import annotations

from collections.abc import Callable
from copy import deepcopy
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import pytest
from world import CARLA, POLICY, SPEC, World, trusted_key

from signoff.operator.commit import commit
from signoff.policy.facts import History
from signoff.policy.schema import Published
from signoff.record.freeze import LiveIncumbent
from signoff.record.promotion import PROMOTION_TYPE
from signoff.record.request import Target
from signoff.record.values import sha256
from signoff.verify.reader import Reader, _answers_for
from signoff.verify.verifier import Verified

HURRIED = [{"name": "outage", "tier": "tier-2", "emergency": True}, {"name": "all", "tier": "tier-2"}]
Change = Callable[[dict[str, Any]], None]


class Bank:
    """A bank that promotes one version after the other, each beside what is live."""

    def __init__(self, world: World) -> None:
        self.world = world
        models = [{"names": ["credit-*"], "namespaces": ["*"]}]
        self.policy: Published = world.publish("credit-models", {**POLICY, "models": models, "rules": HURRIED})

    @property
    def live(self) -> LiveIncumbent | None:
        return self.world.reader.incumbent("credit-scoring", "production", "demo")

    def promote(self, version: str, change: Change = lambda _: None) -> Verified:
        spec, live = deepcopy(SPEC), self.live
        digest = sha256(version.encode())
        spec["model"] |= {"version": version, "image": f"registry.bank.example/models/credit-scoring@{digest}"}
        spec["comparison"]["candidate"] |= {"version": version, "digest": digest}
        if live is not None:
            spec["model"]["incumbent"] = {"version": live.version, "digest": live.digest}
            spec["comparison"]["incumbent"] = {**spec["model"]["incumbent"], "metrics": spec["comparison"]["candidate"]["metrics"]}
        change(spec)
        frozen = self.world.freeze(spec, name=f"credit-{version}", policies=(self.policy,), live=live)
        sealed = self.world.seal(frozen.payload, frozen.freeze, CARLA)
        self.world.archive_seal(sealed)
        done = commit(self.world.reader, self.world.event_key, frozen.freeze, PROMOTION_TYPE, [sealed], datetime.now(UTC))
        assert done.promotes
        return done

    def history(self, **target: Any) -> History:
        wanted = Target.model_validate({k: tuple(v) if isinstance(v, list) else v for k, v in {**SPEC["target"], **target}.items()})
        found = self.world.reader.history_for(wanted, self.live)
        assert found.live == (self.live.shown if self.live is not None else None)
        return replace(found, live=None, passed_over=False)


@pytest.fixture
def bank(world: World) -> Bank:
    return Bank(world)


def into(*namespaces: str) -> Change:
    return lambda spec: spec["target"].update(namespaces=list(namespaces))


def hurried(spec: dict[str, Any]) -> None:
    spec["validFor"] = "24h"


def test_a_bank_without_promotions_has_no_history(bank: Bank) -> None:
    assert bank.history() == History()


def test_the_live_version_and_its_tier(bank: Bank) -> None:
    bank.promote("1.0.0")
    assert bank.history() == History("1.0.0", "tier-2")


def test_bypass_17_what_was_let_into_another_namespace_is_no_history_here(bank: Bank) -> None:
    bank.promote("1.0.0", into("lab"))
    assert bank.live is not None
    assert bank.history() == History()
    assert bank.history(namespaces=["lab"]) == History("1.0.0", "tier-2")
    assert bank.history(namespaces=["lab", "credit"]) == History()


def test_bypass_17_what_was_let_into_one_cluster_is_no_history_of_two(bank: Bank) -> None:
    bank.promote("1.0.0")
    assert bank.history(clusters=["demo", "west"]) == History()


def test_what_counted_before_counts_behind_what_is_passed_over(bank: Bank) -> None:
    bank.promote("1.0.0")
    bank.promote("1.1.0", into("lab"))
    assert bank.history() == History("1.0.0", "tier-2")
    bank.promote("1.2.0", hurried)
    assert bank.history() == History("1.0.0", "tier-2", owed=True)


def test_what_was_revoked_is_no_precedent_behind_what_is_passed_over(bank: Bank) -> None:
    bank.promote("1.0.0")
    wrong = bank.promote("1.1.0")
    bank.promote("1.2.0", hurried)
    assert bank.history() == History("1.1.0", "tier-2", owed=True)
    bank.world.correct(wrong)
    assert bank.history() == History("1.0.0", "tier-2", owed=True)


def test_behind_a_key_that_does_not_count_there_is_no_history(bank: Bank) -> None:
    bank.promote("1.0.0")
    bank.promote("1.1.0", into("lab"))
    live = bank.live
    assert live is not None
    world = bank.world
    keys = [trusted_key(world.seal_key, "seal"), trusted_key(world.event_key, "event", compromised={"at": "2026-01-02T00:00:00Z"})]
    disowned = Reader(world.store, world.trust_with(keys=keys))
    target = Target.model_validate({**SPEC["target"], "clusters": ("demo",), "namespaces": ("credit",)})
    assert disowned.history_for(target, live) == History(live=live.shown if live is not None else None, passed_over=True)


def test_what_is_passed_over_is_said(bank: Bank) -> None:
    bank.promote("1.0.0")
    spec = deepcopy(SPEC)["target"]
    target = Target.model_validate({k: tuple(v) if isinstance(v, list) else v for k, v in spec.items()})
    assert not bank.world.reader.history_for(target, bank.live).passed_over
    bank.promote("2.0.0", hurried)
    found = bank.world.reader.history_for(target, bank.live)
    assert (found.version, found.passed_over) == ("1.0.0", True)
    assert found.live is not None
    assert found.live.version == "2.0.0"
    assert bank.live is not None


def test_bypass_14_the_engine_does_not_make_up_for_an_emergency(bank: Bank) -> None:
    """What was hurried past people is decided on in full by people, whatever a check would bear out."""
    bank.promote("1.0.0")
    emergency, full = bank.promote("2.0.0", hurried), bank.promote("2.0.0", lambda spec: spec.update(reason="In full."))
    assert _answers_for(full, emergency)
    route = full.freeze.route.model_copy(update={"tier": "tier-3"})
    by_policy = replace(full, freeze=full.freeze.model_copy(update={"route": route}))
    assert not _answers_for(by_policy, emergency)
