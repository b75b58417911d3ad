"""Histories: what people, processes and an enemy do in any order, over the real code, judged after every step by `promises`.

1. A step is a deed of somebody. What must come of it is computed beforehand, in plain Python, from what was done before.
2. Where nothing is wrong in the world (no fault struck, nothing is touched, no key has ended), what happens must be exactly what was
   expected; otherwise nothing may happen that the promises forbid.
3. Each history ends in recovery: the archive is back, what the enemy touched is restored, every process starts anew. Then what was approved
   must be promoted, the audit must find nothing, and a cluster made anew must come to the same outcomes.
"""

from __future__ import annotations

from contextlib import suppress

from hypothesis import strategies as st
from hypothesis.stateful import initialize, invariant, precondition, rule

from signoff.archive import layout
from signoff.record.canonical import b64encode, dumps
from signoff.record.values import RequestId
from tests.model import bank
from tests.model.apiserver import Refusal, Value
from tests.model.deputies import Deputies
from tests.model.doing import AFTER, ANY, FAULT, NOTHING, WHO, pick
from tests.model.unattended import BROUGHT, Unattended

BETWEEN = st.sampled_from(("the other operator", "another promotion", "Reject", "Approve"))
PAUSES = st.sampled_from((1, 3, 11, 60, 901, 3700, 90_000))


class Histories(Unattended, Deputies):
    """One history of one bank."""

    # --- asking -------------------------------------------------------------------------------------------------------------

    @initialize(text=st.sampled_from(("one", "two", "mixed", "first", "weekly")), fault=FAULT, after=AFTER, between=BETWEEN, who=ANY)
    def begin(self, text: str, fault: str, after: int, between: str, who: int) -> None:
        """A policy is published; most banks have promoted something already."""
        self._publish("paula", "credit-models", text)
        if who % 4:
            self.promote("credit-a", 1, "good", fault, after, between, who)

    @rule(
        model=st.sampled_from(bank.MODELS),
        version=st.integers(1, 3),
        follows=st.integers(0, 9),
        attempt=st.integers(1, 2),
        who=ANY,
        kind=ANY,
        check=BROUGHT,
    )
    def submit(self, model: str, version: int, follows: int, attempt: int, who: int, kind: int, check: str) -> None:
        """Somebody asks; mostly against the version that is live, and where a policy may rest on a check, mostly with one."""
        live = self.promises.live(model)
        frozen = self.promises.freezes[live.freeze] if live is not None else None
        incumbent = int(frozen.spec["model"]["version"].partition(".")[0]) if frozen is not None else None
        if follows == 0:
            incumbent = 3
        cluster = "elsewhere" if kind == 7 else "demo"
        brings = (check, self._checker(kind % 4)) if check and self._is_weekly() else None
        manifest = bank.promotion(model, version, incumbent, attempt, cluster, "24h" if kind % 5 == 1 else None, brings)
        self._apply("flux" if who % 4 == 3 else "ben" if who % 4 else "david", manifest)

    @precondition(lambda self: self.asked)
    @rule(which=ANY, who=st.sampled_from(("ben", "flux", "carla")))
    def apply_again(self, which: int, who: str) -> None:
        """The same manifest comes again: as an update, or anew after it was deleted."""
        self._apply(who, pick(sorted(self.asked.items()), which)[1][0])

    @precondition(lambda self: self.names())
    @rule(which=ANY, anew=st.booleans())
    def delete(self, which: int, anew: bool) -> None:
        name = pick(self.names(), which)
        self.world.api.delete(bank.person("ben"), "modelpromotions", "credit", name)
        if anew:
            self._apply("ben", self.asked[name][0])

    @precondition(lambda self: self.names())
    @rule(which=ANY, deed=st.sampled_from(("spec", "submission", "dropped")))
    def edit(self, which: int, deed: str) -> None:
        """What was asked is changed afterwards: refused, whatever it is."""
        before = self.world.api.get("modelpromotions", "credit", pick(self.names(), which))
        assert before is not None
        changed: Value = {**before}
        if deed == "spec":
            changed["spec"] = {**before["spec"], "reason": "another"}
        elif deed == "submission" and "submission" in before:
            changed["submission"] = {**before["submission"], "subject": "eve@bank.example"}
        else:
            changed.pop("submission", None)
        with suppress(Refusal):
            self.world.api.replace(bank.person("ben"), "modelpromotions", changed)
        after = self.world.api.get("modelpromotions", "credit", before["metadata"]["name"])
        assert after is not None
        assert (after["spec"], after.get("submission")) == (before["spec"], before.get("submission")), "promise 3: the request changed"

    # --- policies -----------------------------------------------------------------------------------------------------------

    @rule(
        who=st.sampled_from(("paula", "paula", "ben", "carla")),
        name=st.sampled_from(bank.POLICY_NAMES),
        text=st.sampled_from(sorted(bank.TEXTS)),
    )
    def publish(self, who: str, name: str, text: str) -> None:
        self._publish(who, name, text)

    @precondition(lambda self: self.frozen())
    @rule(which=ANY, text=st.sampled_from(("two", "mixed")))
    def tighten(self, which: int, text: str) -> None:
        """The policy becomes stricter between the look at the desk and the press."""
        name, freeze = pick(self.frozen(), which)
        people = self._who_may_approve(name, freeze)
        self._publish("paula", "credit-models", text)
        if people:
            self._press(pick(people, which), name, freeze, "Approve")

    @precondition(lambda self: self.policies())
    @rule(which=ANY, who=st.sampled_from(("paula", "ben")))
    def delete_policy(self, which: int, who: str) -> None:
        name = pick(self.policies(), which)
        if len(self.policies()) == 1 and which % 3:
            return  # without a policy a history stands still
        try:
            self.world.api.delete(bank.person(who), "promotionpolicies", "", name)
        except Refusal:
            assert who != "paula", "a publisher may delete a policy"
        else:
            assert who == "paula", "promise 4: who is no publisher deleted a policy"
            self.promises.edited.discard(name)

    @precondition(lambda self: self.policies())
    @rule(which=ANY)
    def edit_policy_past_admission(self, which: int) -> None:
        """An administrator makes a policy laxer behind the door's back: what it covers is not routed."""
        name = pick(self.policies(), which)
        found = self.world.api.get("promotionpolicies", "", name)
        assert found is not None
        laxer = bank.policy_text({"approver": 1}, found["spec"]["models"][0]["names"][0])
        if laxer != found["spec"]:
            self.world.api.force("promotionpolicies", {**found, "spec": laxer})
            self.promises.edited.add(name)

    # --- deciding -----------------------------------------------------------------------------------------------------------

    @precondition(lambda self: self.frozen())
    @rule(which=ANY, fault=FAULT, after=AFTER)
    def approve(self, which: int, fault: str, after: int) -> None:
        """The next person who may approves what a status shows."""
        name, freeze = pick(self.frozen(), which)
        people = self._who_may_approve(name, freeze)
        if people:
            self._press(pick(people, which // 7), name, freeze, "Approve", fault, after)

    @precondition(lambda self: self.frozen())
    @rule(which=ANY, who=WHO, verdict=st.sampled_from(("Approve", "Reject")), manner=st.sampled_from(("", "", "dry", "lost", "blind")))
    def decide(self, which: int, who: str, verdict: str, manner: str) -> None:
        """Whoever it is decides, on whatever freeze of the request there is."""
        name, freeze = pick(self.frozen(), which)
        older = sorted(one.digest for one in self.promises.freezes.values() if one.name == name)
        self._press(who, name, pick([freeze, freeze, *older], which // 3), verdict, "", 0, manner)

    @precondition(lambda self: self.frozen())
    @rule(which=ANY, who=st.sampled_from(("carla", "rita", "uma")), fault=FAULT, after=AFTER)
    def reject(self, which: int, who: str, fault: str, after: int) -> None:
        name, freeze = pick(self.frozen(), which)
        self._press(who, name, freeze, "Reject", fault, after)

    @precondition(lambda self: self.decisions())
    @rule(which=ANY)
    def delete_decision(self, which: int) -> None:
        """A PromotionDecision goes; its seal does not."""
        self.world.api.delete(bank.person("ben"), "promotiondecisions", "credit", pick(self.decisions(), which))

    @precondition(lambda self: self.promises.events)
    @rule(
        which=ANY,
        who=st.sampled_from(("rita", "rita", "uma", "carla", "ben")),
        verdict=st.sampled_from(("Revoke", "Annotate")),
        reason=st.sampled_from(("wrong", "again")),
        fault=FAULT,
        after=AFTER,
    )
    def correct(self, which: int, who: str, verdict: str, reason: str, fault: str, after: int) -> None:
        """Somebody revokes an event, or adds a remark; what ran by it is asked for again, and so is what it was."""
        event = pick(sorted(self.promises.events.values(), key=lambda one: one.id), which)
        frozen = self.promises.freezes[event.freeze]
        if which % 3 == 0:
            self._deploy(frozen.image, "credit")
        self._correct(who, event.id, verdict, reason, fault, after % 8)
        self._deploy(frozen.image, "credit")
        if which % 2:
            self._look(0, frozen.name)

    @precondition(lambda self: self.promises.corrections)
    @rule(which=ANY)
    def delete_correction(self, which: int) -> None:
        """A PromotionCorrection goes; what it said does not."""
        names = sorted(key[2] for key in self.world.api.objects if key[0] == "promotioncorrections")
        if names:
            self.world.api.delete(bank.person("rita"), "promotioncorrections", "credit", pick(names, which))

    # --- the processes ------------------------------------------------------------------------------------------------------

    @precondition(lambda self: self.names())
    @rule(which=ANY, number=st.integers(0, 1), fault=FAULT, after=AFTER, between=BETWEEN, who=ANY)
    def look(self, which: int, number: int, fault: str, after: int, between: str, who: int) -> None:
        name = pick(self.names(), which)
        self._look(number, name, fault, after, self._between(number, name, between, who))

    @precondition(lambda self: self.names())
    @rule()
    def resync(self) -> None:
        for name in self.names():
            self._look(0, name)

    @rule(
        model=st.sampled_from(bank.MODELS),
        version=st.integers(1, 3),
        check=BROUGHT,
        fault=FAULT,
        after=AFTER,
        between=BETWEEN,
        who=ANY,
    )
    def promote(self, model: str, version: int, check: str, fault: str, after: int, between: str, who: int) -> None:
        """The main job in one step: ask, freeze, decide, mostly for it; a fault may strike the commit."""
        brings = (check, self._checker(who % 4)) if check and self._is_weekly() else None
        name = self._submit("flux" if who % 4 == 3 else "ben" if who % 4 else "david", model, version, 1, brings)
        self._look(0, name)
        self._engine_looks(name)
        for number in range(2):
            shown = dict(self.frozen()).get(name, NOTHING)
            people = self._who_may_approve(name, shown)
            if people:
                verdict = "Reject" if who % 6 == number else "Approve"
                self._press(people[-1 - who % len(people)], name, shown, verdict)
        self._look(who % 2, name, fault, after, self._between(who % 2, name, between, who))

    @rule()
    def restart(self) -> None:
        self._restart()

    @rule(seconds=PAUSES)
    def time_goes_on(self, seconds: int) -> None:
        self.archive.clock.go_on(seconds)

    @rule(which=ANY)
    def archive_goes_or_comes(self, which: int) -> None:
        self.archive.faults.down = not self.archive.faults.down and which % 2 == 0

    @precondition(lambda self: self.archive.faults.down)
    @rule()
    def archive_comes_back(self) -> None:
        self.archive.faults.down = False

    @rule(
        use=st.sampled_from(("seal", "event", "check")),
        how=st.sampled_from(("ended", "compromised")),
        ago=st.sampled_from((0, 0, 60, 4000)),
        which=ANY,
    )
    def key_ends(self, use: str, how: str, ago: int, which: int) -> None:
        """A key ends, or turns out to have been in other hands for a while; the next one takes over, and everything starts anew."""
        if which % 4 == 0 and self.keyring.can_go_on(use):
            self._end_key(use, how, ago)

    # --- the enemy ----------------------------------------------------------------------------------------------------------

    @precondition(lambda self: self.archive.ledger and not self.archive.faults.down)
    @rule(which=ANY, at=st.integers(0, 10_000), bit=st.integers(0, 7), folder=st.sampled_from(("", "events/", "seals/", "events/")))
    def flip(self, which: int, at: int, bit: int, folder: str) -> None:
        """A byte of an object is not what it was."""
        keys = self._untouched(folder)
        if keys:
            key = pick(keys, which)
            data = bytearray(self.archive.ledger[key].data)
            data[at % len(data)] ^= 1 << bit
            self.archive.overwrite(key, bytes(data))
            self._audited(key)

    @precondition(lambda self: self.archive.ledger and not self.archive.faults.down)
    @rule(which=ANY, other=ANY, folder=st.sampled_from(("events/", "seals/", "freezes/", "statements/")))
    def swap(self, which: int, other: int, folder: str) -> None:
        """Two objects change places."""
        keys = self._untouched(folder)
        first, second = (pick(keys, which), pick(keys, other)) if keys else ("", "")
        if first != second:
            one, two = self.archive.ledger[first].data, self.archive.ledger[second].data
            self.archive.overwrite(first, two)
            self.archive.overwrite(second, one)
            self._audited(first)
            self._audited(second)

    @precondition(lambda self: self.archive.ledger and not self.archive.faults.down)
    @rule(which=ANY)
    def remove(self, which: int) -> None:
        """An object is gone. Whether an event or a freeze nobody decided on is missing cannot be told; what an event names can."""
        keys = self._untouched("")
        if not keys:
            return
        key = pick(keys, which)
        named = {one for event in self.promises.events.values() if self.promises.verifies(event) for one in self._named(event.id)}
        self.archive.delete(key)
        if key in named:
            self._audited(key)

    @precondition(lambda self: self.promises.events and not self.archive.faults.down)
    @rule(which=ANY, other=ANY)
    def misplace_event(self, which: int, other: int) -> None:
        """An old event under the id of another request, with a pointer to it from its own digest."""
        event = pick(sorted(self.promises.events.values(), key=lambda one: one.id), which)
        requests = sorted({one.id for one in self.promises.freezes.values()} - set(self.promises.events))
        entry = self.archive.ledger.get(layout.event(event.id))
        if requests and entry is not None:
            request = pick(requests, other)
            image = self.promises.freezes[event.freeze].image
            self.archive.overwrite(layout.event(request), entry.data)
            self.archive.overwrite(layout.subject_pointer(image, "production", request), _pointer(request))
            self._audited(layout.event(request))

    @precondition(lambda self: self.promises.events and not self.archive.faults.down)
    @rule(which=ANY, model=st.sampled_from(bank.MODELS), version=st.integers(1, 3))
    def misplace_pointer(self, which: int, model: str, version: int) -> None:
        """A pointer from a digest to the event of another."""
        event = pick(sorted(self.promises.events.values(), key=lambda one: one.id), which)
        image = bank.image_of(model, version)
        key = layout.subject_pointer(image, "production", event.id)
        if event.promotes and key not in self.archive.ledger:
            self.archive.overwrite(key, _pointer(event.id))
            if self.promises.verifies(event):
                self._audited(key)

    @precondition(lambda self: self.promises.presses and not self.archive.faults.down)
    @rule(which=ANY, other=ANY)
    def plant_seal(self, which: int, other: int) -> None:
        """A seal lies under a freeze that it does not name, and an administrator makes a PromotionDecision that carries it."""
        (digest, who), (_, entry) = pick(sorted(self.promises.presses.items(), key=lambda one: one[0]), which)
        freezes = sorted(one for one in self.promises.freezes if one != digest and (one, who) not in self.promises.presses)
        if not freezes:
            return
        freeze = self.promises.freezes[pick(freezes, other)]
        key = layout.seals_prefix(freeze.digest) + entry.key.rpartition("/")[2]
        self.archive.overwrite(key, entry.data)
        self._force_decision(freeze, "Approve", {"bundle": b64encode(entry.data)})
        self._audited(key)
        self._look(0, freeze.name)

    @precondition(lambda self: self.promises.freezes)
    @rule(which=ANY, other=ANY)
    def forge_decision(self, which: int, other: int) -> None:
        """An administrator makes a PromotionDecision past admission: without a seal, or with that of another freeze."""
        freeze = self.promises.freezes[pick(sorted(self.promises.freezes), which)]
        seals = sorted(entry.data for _, entry in self.promises.presses.values())
        self._force_decision(freeze, "Approve", {"bundle": b64encode(pick(seals, other))} if seals else None)

    @precondition(lambda self: self.archive.touched)
    @rule()
    def restore(self) -> None:
        self.archive.restore()
        self._restart()

    # --- the gate -----------------------------------------------------------------------------------------------------------

    @rule(model=st.sampled_from(bank.MODELS), version=st.integers(1, 3), namespace=st.sampled_from(("credit", "credit", "credit", "batch")))
    def deploy(self, model: str, version: int, namespace: str) -> None:
        self._deploy(bank.image_of(model, version), namespace)

    @precondition(lambda self: self.promises.events)
    @rule(which=ANY, pause=st.sampled_from((0, 0, 1, 5, 11, 600, 901)))
    def deploy_promoted(self, which: int, pause: int) -> None:
        event = pick(sorted(self.promises.events.values(), key=lambda one: one.id), which)
        self._deploy(self.promises.freezes[event.freeze].image, "credit")
        self.archive.clock.go_on(pause)
        self._deploy(self.promises.freezes[event.freeze].image, "credit")

    @precondition(lambda self: self.promises.events and not self.archive.faults.down)
    @rule(which=ANY, pause=st.sampled_from((0, 5, 11, 600, 901)), trouble=st.sampled_from(("down", "down", "altered", "none")))
    def deploy_in_trouble(self, which: int, pause: int, trouble: str) -> None:
        """What ran before the archive went down, or its event was altered, or it expired, is asked for again."""
        promoted = sorted((one for one in self.promises.events.values() if one.promotes), key=lambda one: one.id)
        if not promoted:
            return
        event = pick(promoted, which)
        image = self.promises.freezes[event.freeze].image
        self._deploy(image, "credit")
        self.archive.faults.down = trouble == "down"
        if trouble == "altered" and self.promises.has_event(event.id):
            data = bytearray(self.archive.ledger[layout.event(event.id)].data)
            data[len(data) // 2] ^= 1
            self.archive.overwrite(layout.event(event.id), bytes(data))
        self.archive.clock.go_on(90_000 if trouble == "none" else pause)
        self._deploy(image, "credit")

    # --- after every step, and at the end -----------------------------------------------------------------------------------

    @invariant()
    def events_stand(self) -> None:
        for event in self.promises.events.values():
            key = layout.event(event.id)
            entry = self.archive.ledger[key]
            assert key in self.archive.touched or self.archive.bytes_at(key) == entry.data, f"promise 2: {key} has changed"

    def teardown(self) -> None:
        try:
            self._recover()
            self._tell()
        finally:
            self.archive.remove()


def _pointer(request: str) -> bytes:
    return dumps({"event": layout.event(RequestId(request))}) + b"\n"
