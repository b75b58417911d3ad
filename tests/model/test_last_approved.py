"""What a desk says of the version before it: door and operator ask the archive, and take no freeze's word for it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pytest

from signoff.archive import layout
from signoff.desk.freezing import Frozen, Gathered, freeze_request
from signoff.record.canonical import dumps
from signoff.record.freeze import LastApproved
from signoff.record.promotion import as_json
from signoff.record.values import Digest, RequestId, parse, sha256
from tests.model import bank
from tests.model.apiserver import Refusal
from tests.model.machine import Histories
from tests.model.test_scenes import asked, promoted

Lie = Callable[[dict[str, Any]], object]


@pytest.fixture
def history() -> Iterator[Histories]:
    history = Histories()
    yield history
    history.archive.remove()


class Second:
    """A second version on its frozen desk, after the first was promoted."""

    def __init__(self, history: Histories) -> None:
        self.history = history
        self.first = promoted(history, 1)
        self.name, self.digest = asked(history, "one", version=2)
        self.id = RequestId(history.promises.freezes[self.digest].id)
        self.freeze, self.payload = history.world.reader().freeze(self.id, Digest(self.digest))

    def frozen(self, approved: LastApproved | None) -> Frozen:
        """Return the freeze of an operator that says this of the version before."""
        request = self.freeze.request
        return freeze_request(
            Gathered(
                namespace=request.namespace,
                name=request.name,
                spec_value=as_json(request.spec),
                spec=request.spec,
                cluster=self.freeze.cluster,
                submissions=self.freeze.submissions,
                route=self.freeze.route,
                live=self.freeze.live,
                explanation=bank.REPORT.encode(),
                origin=self.freeze.explanation.origin,
                approved=approved,
            )
        )

    def put_instead(self, frozen: Frozen) -> None:
        """Put a freeze, with all that it takes, where the honest one was."""
        archive = self.history.archive
        archive.delete(layout.freeze(self.id, Digest(self.digest)))
        for one in frozen.renditions:
            archive.overwrite(layout.blob(sha256(one.content)), one.content)
        archive.overwrite(layout.freeze(self.id, frozen.digest), frozen.payload)

    def press(self, frozen: Frozen) -> None:
        spec = {
            "promotion": self.name,
            "freeze": frozen.digest,
            "rendition": frozen.freeze.renditions[0].digest,
            "verdict": "Approve",
            "meaning": "I decide on this model version for the use described on this desk.",
        }
        metadata = {"name": "a-decision", "namespace": "credit"}
        decision = {"apiVersion": "signoff.dev/v1alpha1", "kind": "PromotionDecision", "metadata": metadata, "spec": spec}
        self.history.world.api.create(bank.person("carla"), "promotiondecisions", decision)


def lied(approved: LastApproved | None, lie: Lie) -> LastApproved:
    assert approved is not None
    value: dict[str, Any] = as_json(approved)
    lie(value)
    return parse(LastApproved, dumps(value), "lie")


LIES: dict[str, Lie] = {
    "a worse figure then": lambda then: then["candidate"]["metrics"][0].update(value="0.5"),
    "another freeze": lambda then: then.update(freeze="sha256:" + "0" * 64),
    "the same explanation": lambda then: then["explanation"].update(digest="sha256:" + "0" * 64),
    "a stricter tier then": lambda then: then.update(tier="tier-1"),
    "another submitter": lambda then: then["submitters"][0].update(name="nobody@bank.example"),
}


def test_the_desk_says_what_the_version_before_was_approved_on(history: Histories) -> None:
    second = Second(history)
    then = second.freeze.lastApproved
    first = history.world.reader().outcome(RequestId(history.promises.freezes[next(iter(history.promises.events.values())).freeze].id))
    assert then is not None
    assert (then.freeze, then.candidate) == (sha256(first.payload), first.freeze.comparison.candidate)
    assert second.frozen(then).payload == second.payload


@pytest.mark.parametrize("case", [*LIES, "nothing"])
def test_the_door_seals_nothing_on_a_desk_that_lies_of_the_version_before(case: str, history: Histories) -> None:
    second = Second(history)
    lie = second.frozen(lied(second.freeze.lastApproved, LIES[case]) if case != "nothing" else None)
    second.put_instead(lie)
    with pytest.raises(Refusal, match="made again from its request, is not the one that was shown"):
        second.press(lie)
    assert not list(history.archive.files.list(layout.seals_prefix(lie.digest)))


def test_and_an_honest_one_put_there_by_the_same_hands_is_sealed(history: Histories) -> None:
    second = Second(history)
    honest = second.frozen(second.freeze.lastApproved)
    second.put_instead(honest)
    history.archive.watch = lambda _: None  # whoever watches a history has not been told of this press
    second.press(honest)
    assert len(list(history.archive.files.list(layout.seals_prefix(honest.digest)))) == 1


@pytest.mark.parametrize("case", [*LIES, "nothing"])
def test_the_operator_uses_no_freeze_again_that_lies_of_the_version_before(case: str, history: Histories) -> None:
    second = Second(history)
    lie = second.frozen(lied(second.freeze.lastApproved, LIES[case]) if case != "nothing" else None)
    second.put_instead(lie)
    history.world.restart_operator(0)
    history.world.look(0, second.name)
    assert history.world.api.objects["modelpromotions", "credit", second.name]["status"]["freeze"] == second.digest
