"""A desk that was frozen while one publisher sufficed is frozen anew once two must agree: nobody could decide on the old one."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

from builders import example_explanation
from world import NAME, POLICY, SPEC, World

from signoff.config import ExplanationSettings
from signoff.operator.reconcile import Operator, reconcile

NOW = datetime(2026, 3, 4, 9, 0, tzinfo=UTC)


class Cluster:
    """What the operator asks the API server for: one policy, no decisions, and the explanation."""

    def __init__(self, publication: Mapping[str, Any]) -> None:
        self.publication = publication

    def policies(self) -> list[dict[str, Any]]:
        return [{"metadata": {"name": "credit-models"}, "spec": POLICY, "publication": self.publication}]

    def decisions(self, _: str) -> list[dict[str, Any]]:
        return []

    def config_map_key(self, *_: str) -> bytes:
        return example_explanation()


def operator(world: World, publication: Mapping[str, Any]) -> Operator:
    settings = ExplanationSettings(sources=())
    cluster: Any = Cluster(publication)
    return Operator("demo", cluster, world.store, world.reader, world.event_key, settings, lambda: NOW)


def test_a_desk_of_one_publisher_is_not_used_again_under_four_eyes(world: World) -> None:
    promotion = {
        "metadata": {"namespace": "credit", "name": NAME},
        "spec": SPEC,
        "submission": {"bundle": world.submit().bundle},
    }
    alone = {"statement": world.published.statement}
    before = reconcile(operator(world, alone), promotion)
    assert before.reason == "AwaitingDecision", before.message
    assert before.freeze is not None
    assert before.freeze.route.considered[0].second is None
    world.ask_for_four_eyes()
    waiting = reconcile(operator(world, alone), promotion)
    assert (waiting.reason, waiting.freeze) == ("NoPolicy", None)
    assert "policy credit-models: publication: awaits the agreement of a second publisher" in waiting.message
    assert "kubectl signoff policy agree credit-models" in waiting.message
    second = world.agreed(world.published).second
    after = reconcile(operator(world, {**alone, "second": {"statement": second}}), promotion)
    assert after.reason == "AwaitingDecision", after.message
    assert after.freeze is not None
    assert after.freeze.route.considered[0].second == second
    again = reconcile(operator(world, {**alone, "second": {"statement": second}}), promotion)
    assert again.freeze_digest == after.freeze_digest != before.freeze_digest
