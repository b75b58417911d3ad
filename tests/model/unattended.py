"""What happens without a person, and who tries to have it so: checks that requests bring along, the policy engine, and its place."""

from __future__ import annotations

from hypothesis import strategies as st
from hypothesis.stateful import precondition, rule

from tests.model import bank
from tests.model.doing import AFTER, ANY, FAULT, Doing, pick

BROUGHT = st.sampled_from(("good", "good", "good", "", *bank.CHECKS))


class Unattended(Doing):
    """The steps of tier 3."""

    @precondition(lambda self: self.in_tier("tier-3"))
    @rule(which=ANY, fault=FAULT, after=AFTER, at_the_door=st.booleans())
    def engine_looks(self, which: int, fault: str, after: int, at_the_door: bool) -> None:
        """The engine looks at what waits for it; the next look of the operator promotes it."""
        name, _ = pick(self.in_tier("tier-3"), which)
        self._engine_looks(name, "" if at_the_door else fault, after, fault if at_the_door else "")
        if which % 2:
            self._look(which % 4 // 2, name)

    @precondition(lambda self: self.in_tier("tier-3"))
    @rule(
        which=ANY,
        who=st.sampled_from(("carla", "uma", "mallory", "operator", "flux", "ben")),
        verdict=st.sampled_from(("Approve", "Reject")),
    )
    def press_in_the_engines_place(self, which: int, who: str, verdict: str) -> None:
        """A person decides on what is the engine's, or another service of its namespace."""
        name, _ = pick(self.in_tier("tier-3"), which)
        self._press_in_the_engines_place(name, who, verdict)

    @precondition(lambda self: self.in_tier("tier-1", "tier-2"))
    @rule(which=ANY, verdict=st.sampled_from(("Approve", "Reject")))
    def engine_presses_in_a_persons_place(self, which: int, verdict: str) -> None:
        """The engine's account decides on what is given to people, and bears their groups."""
        name, freeze = pick(self.in_tier("tier-1", "tier-2"), which)
        self._press("engine", name, freeze, verdict, user=bank.person("engine", "model-approvers", "risk-approvers"))
        self._noted("the engine pressed in a person's place")

    @rule(model=st.sampled_from(bank.MODELS), version=st.integers(1, 3), check=BROUGHT, which=ANY, number=st.integers(0, 3))
    def refresh(self, model: str, version: int, check: str, which: int, number: int) -> None:
        """The weekly refresh: under a policy that knows checks, a request with one, the engine, and the operator."""
        if not self._is_weekly():
            self._publish("paula", "credit-models", "weekly")
        brings = (check, self._checker(number)) if check else None
        name = self._submit("flux" if which % 2 else "ben", model, version, 1, brings, "24h" if which % 7 == 0 else None)
        self._look(0, name)
        if which % 5 == 0:
            self._press_in_the_engines_place(name, pick(["mallory", "operator", "carla", "uma"], which // 5), "Approve")
        self._engine_looks(name)
        self._look(which % 2, name)

    @precondition(lambda self: self._is_weekly())
    @rule(model=st.sampled_from(bank.MODELS), version=st.integers(1, 3), check=st.sampled_from(bank.CHECKS[1:]), which=ANY)
    def bring_another_check(self, model: str, version: int, check: str, which: int) -> None:
        """A request brings a check along that ought not to count, or two; and the engine looks."""
        name = self._submit("ben", model, version, 1, (check, self._checker(1)))
        self._look(which % 2, name)
        self._engine_looks(name)

    @precondition(lambda self: self.in_tier("tier-3"))
    @rule(which=ANY, how=st.sampled_from(("ended", "compromised")), ago=st.sampled_from((0, 60)), pressed=st.booleans())
    def checker_ends(self, which: int, how: str, ago: int, pressed: bool) -> None:
        """The checker's key ends while something waits that rests on it, or was pressed already."""
        name, _ = pick(self.in_tier("tier-3"), which)
        if which % 3 == 0 and self.keyring.can_go_on("check"):
            if pressed:
                self._engine_looks(name)
            self._end_key("check", how, ago)
            self._engine_looks(name)
            self._look(0, name)

    def _press_in_the_engines_place(self, name: str, who: str, verdict: str) -> None:
        shown = dict(self.in_tier("tier-3")).get(name)
        if shown is not None:
            self._press(who, name, shown, verdict, user=bank.person(who, bank.ENGINE_GROUP))
            self._noted("somebody pressed in the engine's place")
