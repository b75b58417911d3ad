"""What is done in somebody's name: people grant, take back, and decide by what was granted to them."""

from __future__ import annotations

from datetime import timedelta

from hypothesis import strategies as st
from hypothesis.stateful import precondition, rule

from tests.model import bank
from tests.model.doing import AFTER, ANY, FAULT, Doing, pick

GRANTORS = st.sampled_from(("carla", "carla", "rita", "uma", "uma", "ben", "flo", "gil", "erik"))
DEPUTIES = st.sampled_from(("erik", "erik", "erik", "david", "ben", "eve", "flo", "carla"))
VERDICT = st.sampled_from(("Approve", "Approve", "Approve", "Reject"))
TROUBLE = st.sampled_from(("", "", "", "both", "both", "both", "two deputies", "ended", "ended", "taken back", "taken back", "ended later"))


class Deputies(Doing):
    """The steps of delegations."""

    @rule(
        by=GRANTORS,
        to=DEPUTIES,
        tiers=st.sampled_from((("tier-2",), ("tier-2",), ("tier-1", "tier-2"), ("tier-1",))),
        models=st.sampled_from(("credit-*", "credit-*", "credit-a")),
        begins=st.sampled_from((0, 0, -3600, 3600)),
        hours=st.sampled_from((1, 2, 24)),
        fault=FAULT,
        after=AFTER,
    )
    def grant(self, by: str, to: str, tiers: tuple[str, ...], models: str, begins: int, hours: int, fault: str, after: int) -> None:
        """Somebody lets somebody else decide in their name, for some hours."""
        begin = self.archive.clock.now() + timedelta(seconds=begins)
        self._grant(by, to, tiers, models, begin, begin + timedelta(hours=hours, seconds=60), fault, after % 3)

    @precondition(lambda self: self.granted())
    @rule(which=ANY)
    def take_back(self, which: int) -> None:
        name = pick(self.granted(), which)
        self.world.api.delete(bank.person(self.promises.grants[name].grantor), "promotiondelegations", "", name)

    @precondition(lambda self: self.promises.grants and self.frozen())
    @rule(which=ANY, other=ANY, verdict=VERDICT, fault=FAULT, after=AFTER)
    def decide_by_a_grant(self, which: int, other: int, verdict: str, fault: str, after: int) -> None:
        """Whoever was granted something decides by it, whether it holds or not; now and then somebody else does."""
        name, freeze = pick(self.in_tier("tier-1", "tier-2") or self.frozen(), which)
        grant = self.promises.grants[pick(sorted(self.promises.grants), other)]
        who = "engine" if which % 11 == 0 else pick(bank.PEOPLE, other) if which % 3 == 0 else grant.grantee
        self._press(who, name, freeze, verdict, fault, after, grant=grant.name)

    @precondition(lambda self: self.frozen())
    @rule(which=ANY, to=DEPUTIES, trouble=TROUBLE, verdict=VERDICT)
    def deputise(self, which: int, to: str, trouble: str, verdict: str) -> None:
        """Somebody grants it to a deputy, who presses."""
        name, freeze = pick(self.in_tier("tier-1", "tier-2") or self.frozen(), which)
        self._deputise(name, freeze, which, to, trouble, verdict)

    @rule(model=st.sampled_from(bank.MODELS), version=st.integers(1, 3), which=ANY, to=DEPUTIES, trouble=TROUBLE, verdict=VERDICT)
    def promote_by_deputy(self, model: str, version: int, which: int, to: str, trouble: str, verdict: str) -> None:
        """The main job in one step, while an approver is away."""
        if which % 4 == 0:
            self._publish("paula", "credit-models", "two")
        name = self._submit("flux" if which % 3 == 0 else "ben", model, version, 1, None)
        self._look(0, name)
        shown = dict(self.frozen()).get(name)
        if shown is not None:
            self._deputise(name, shown, which, to, trouble, verdict)
            for who in self._who_may_approve(name, shown)[: which % 2]:
                self._press(who, name, shown, "Approve")
            self._look(which % 2, name)

    def _deputise(self, name: str, freeze: str, which: int, to: str, trouble: str, verdict: str) -> None:
        """Somebody who may approve (now and then: who may not) grants it to a deputy, who presses; and what may be wrong with that."""
        people = [who for who in self._who_may_approve(name, freeze) if who != to]
        if not people:
            return
        by, now = pick(people if which % 5 else ["gil", "flo", "ben", "erik"], which // 5), self.archive.clock.now()
        tier = self.promises.freezes[freeze].tier
        grant = self._grant(by, to, (tier,), "credit-*", now, now + timedelta(hours=1))
        if grant is None:
            return
        if trouble == "ended":
            self.archive.clock.go_on(3600)
        elif trouble == "taken back":
            self._press(to, name, freeze, "Approve", manner="dry", grant=grant)
            self.world.api.delete(bank.person(by), "promotiondelegations", "", grant)
        self._press(to, name, freeze, verdict, grant=grant)
        if trouble == "both":
            self._press(by, name, freeze, verdict)
        elif trouble == "two deputies" and to != "david" != by:
            other = self._grant(by, "david", (tier,), "credit-*", now, now + timedelta(hours=1))
            self._press("david", name, freeze, verdict, grant=other or "")
        elif trouble == "ended later":
            self.archive.clock.go_on(3600)
        if which % 3:
            self._look(which % 2, name)
