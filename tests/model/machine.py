# ruff: noqa: PT017 - a refusal that ought not to be is what these assertions are about
"""Histories: what people, processes and an enemy do in any order, over the real code, judged after every step by `promises`.

1. A step is a deed of somebody. What must come of it is computed beforehand, in plain Python, from what was done before.
2. Where nothing is wrong in the world (no fault struck, nothing is touched, no key has ended), what happens must be exactly what was
   expected; otherwise nothing may happen that the promises forbid.
3. Each history ends in recovery: the archive is back, what the enemy touched is restored, every process starts anew. Then what was approved
   must be promoted, the audit must find nothing, and a cluster made anew must come to the same outcomes.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from datetime import timedelta
from typing import Any

from hypothesis import event as noted
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from signoff.archive import layout
from signoff.archive.write import read_blob
from signoff.cli.audit import Audit, Finding
from signoff.cli.audit_hands import Place
from signoff.desk.freezing import refuse_other_desk
from signoff.record.canonical import b64encode, dumps
from signoff.record.values import Digest, RequestId
from signoff.verify.reader import Reader
from tests.model import bank
from tests.model.apiserver import Refusal, Value
from tests.model.archive import STRUCK, Archive, Clock, Died
from tests.model.promises import Look, Press, Promises
from tests.model.reading import Frozen
from tests.model.simulation import Simulation

ANY = st.integers(0, 99)
WHO = st.sampled_from(bank.PEOPLE)
FAULT = st.sampled_from(("", "", "", *STRUCK))
AFTER = st.integers(0, 15)
"""A look that commits asks the archive some fourteen times, a press eight times."""
BETWEEN = st.sampled_from(("the other operator", "another promotion", "Reject", "Approve"))
PAUSES = st.sampled_from((1, 3, 11, 60, 901, 3700, 90_000))
NOTHING = "sha256:" + "0" * 64


class Histories(RuleBasedStateMachine):
    """One history of one bank."""

    def __init__(self) -> None:
        super().__init__()
        self.archive = Archive(Clock())
        self.keyring = bank.Keyring()
        self.promises = Promises(self.archive, self.keyring)
        self.archive.watch = self.promises.watch
        self.world = Simulation(self.archive, self.keyring, self.promises.reported)
        self.promises.objects = self.world.api.objects
        self.asked: dict[str, tuple[Value, str]] = {}
        self.told: set[str] = set()
        self.count = 0

    # --- asking -------------------------------------------------------------------------------------------------------------

    @initialize(text=st.sampled_from(("one", "one", "two", "mixed")), fault=FAULT, after=AFTER, between=BETWEEN, who=ANY)
    def begin(self, text: str, fault: str, after: int, between: str, who: int) -> None:
        """A policy is published; most banks have promoted something already."""
        self._publish("paula", "credit-models", text)
        if who % 4:
            self.promote("credit-a", 1, fault, after, between, who)

    @rule(
        model=st.sampled_from(bank.MODELS),
        version=st.integers(1, 3),
        follows=st.integers(0, 9),
        attempt=st.integers(1, 2),
        who=ANY,
        kind=ANY,
    )
    def submit(self, model: str, version: int, follows: int, attempt: int, who: int, kind: int) -> None:
        """Somebody asks; mostly against the version that is live."""
        live = self.promises.live(model)
        frozen = self.promises.freezes[live.freeze] if live is not None else None
        incumbent = int(frozen.spec["model"]["version"].partition(".")[0]) if frozen is not None else None
        if follows == 0:
            incumbent = 3
        cluster = "elsewhere" if kind == 7 else "demo"
        manifest = bank.promotion(model, version, incumbent, attempt, cluster, "24h" if kind % 5 == 1 else None)
        self._apply("flux" if who % 4 == 3 else "ben" if who % 4 else "david", manifest)

    @precondition(lambda self: self.asked)
    @rule(which=ANY, who=st.sampled_from(("ben", "flux", "carla")))
    def apply_again(self, which: int, who: str) -> None:
        """The same manifest comes again: as an update, or anew after it was deleted."""
        self._apply(who, _pick(sorted(self.asked.items()), which)[1][0])

    @precondition(lambda self: self.names())
    @rule(which=ANY, anew=st.booleans())
    def delete(self, which: int, anew: bool) -> None:
        name = _pick(self.names(), which)
        self.world.api.delete(bank.person("ben"), "modelpromotions", "credit", name)
        if anew:
            self._apply("ben", self.asked[name][0])

    @precondition(lambda self: self.names())
    @rule(which=ANY, deed=st.sampled_from(("spec", "submission", "dropped")))
    def edit(self, which: int, deed: str) -> None:
        """What was asked is changed afterwards: refused, whatever it is."""
        before = self.world.api.get("modelpromotions", "credit", _pick(self.names(), which))
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
        name, freeze = _pick(self.frozen(), which)
        people = self._who_may_approve(name, freeze)
        self._publish("paula", "credit-models", text)
        if people:
            self._press(_pick(people, which), name, freeze, "Approve")

    @precondition(lambda self: self.policies())
    @rule(which=ANY, who=st.sampled_from(("paula", "ben")))
    def delete_policy(self, which: int, who: str) -> None:
        name = _pick(self.policies(), which)
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
        name = _pick(self.policies(), which)
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
        name, freeze = _pick(self.frozen(), which)
        people = self._who_may_approve(name, freeze)
        if people:
            self._press(_pick(people, which // 7), name, freeze, "Approve", fault, after)

    @precondition(lambda self: self.frozen())
    @rule(which=ANY, who=WHO, verdict=st.sampled_from(("Approve", "Reject")), manner=st.sampled_from(("", "", "dry", "lost", "blind")))
    def decide(self, which: int, who: str, verdict: str, manner: str) -> None:
        """Whoever it is decides, on whatever freeze of the request there is."""
        name, freeze = _pick(self.frozen(), which)
        older = sorted(one.digest for one in self.promises.freezes.values() if one.name == name)
        self._press(who, name, _pick([freeze, freeze, *older], which // 3), verdict, "", 0, manner)

    @precondition(lambda self: self.frozen())
    @rule(which=ANY, who=st.sampled_from(("carla", "rita", "uma")), fault=FAULT, after=AFTER)
    def reject(self, which: int, who: str, fault: str, after: int) -> None:
        name, freeze = _pick(self.frozen(), which)
        self._press(who, name, freeze, "Reject", fault, after)

    @precondition(lambda self: self.decisions())
    @rule(which=ANY)
    def delete_decision(self, which: int) -> None:
        """A PromotionDecision goes; its seal does not."""
        self.world.api.delete(bank.person("ben"), "promotiondecisions", "credit", _pick(self.decisions(), which))

    # --- the processes ------------------------------------------------------------------------------------------------------

    @precondition(lambda self: self.names())
    @rule(which=ANY, number=st.integers(0, 1), fault=FAULT, after=AFTER, between=BETWEEN, who=ANY)
    def look(self, which: int, number: int, fault: str, after: int, between: str, who: int) -> None:
        name = _pick(self.names(), which)
        self._look(number, name, fault, after, self._between(number, name, between, who))

    @precondition(lambda self: self.names())
    @rule()
    def resync(self) -> None:
        for name in self.names():
            self._look(0, name)

    @rule(model=st.sampled_from(bank.MODELS), version=st.integers(1, 3), fault=FAULT, after=AFTER, between=BETWEEN, who=ANY)
    def promote(self, model: str, version: int, fault: str, after: int, between: str, who: int) -> None:
        """The main job in one step: ask, freeze, decide, mostly for it; a fault may strike the commit."""
        self.submit(model, version, 1, 1, who, who % 3)
        name = next((name for name in self.names() if name.startswith(f"{model}-{version}-")), None)
        if name is None:
            return
        self._look(0, name)
        for number in range(2):
            shown = dict(self.frozen()).get(name, NOTHING)
            people = self._who_may_approve(name, shown)
            if people:
                verdict = "Reject" if who % 6 == number else "Approve"
                self._press(people[-1 - who % len(people)], name, shown, verdict)
        self._look(who % 2, name, fault, after, self._between(who % 2, name, between, who))

    @rule()
    def restart(self) -> None:
        self.world.restart()
        self.promises.remembered.clear()

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
        use=st.sampled_from(("seal", "event")),
        how=st.sampled_from(("ended", "compromised")),
        ago=st.sampled_from((0, 0, 60, 4000)),
        which=ANY,
    )
    def key_ends(self, use: str, how: str, ago: int, which: int) -> None:
        """A key ends, or turns out to have been in other hands for a while; the next one takes over, and everything starts anew."""
        if which % 4 == 0 and self.keyring.can_go_on(use):
            self.archive.clock.go_on(2)
            now = self.archive.clock.now()
            at = now if how == "ended" else now - timedelta(seconds=ago)
            self.keyring.end(use, how, at, now)
            self.restart()

    # --- the enemy ----------------------------------------------------------------------------------------------------------

    @precondition(lambda self: self.archive.ledger and not self.archive.faults.down)
    @rule(which=ANY, at=st.integers(0, 10_000), bit=st.integers(0, 7), folder=st.sampled_from(("", "events/", "seals/", "events/")))
    def flip(self, which: int, at: int, bit: int, folder: str) -> None:
        """A byte of an object is not what it was."""
        keys = self._untouched(folder)
        if keys:
            key = _pick(keys, which)
            data = bytearray(self.archive.ledger[key].data)
            data[at % len(data)] ^= 1 << bit
            self.archive.overwrite(key, bytes(data))
            self._audited(key)

    @precondition(lambda self: self.archive.ledger and not self.archive.faults.down)
    @rule(which=ANY, other=ANY, folder=st.sampled_from(("events/", "seals/", "freezes/", "statements/")))
    def swap(self, which: int, other: int, folder: str) -> None:
        """Two objects change places."""
        keys = self._untouched(folder)
        first, second = (_pick(keys, which), _pick(keys, other)) if keys else ("", "")
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
        key = _pick(keys, which)
        named = {one for event in self.promises.events.values() if self.promises.verifies(event) for one in self._named(event.id)}
        self.archive.delete(key)
        if key in named:
            self._audited(key)

    @precondition(lambda self: self.promises.events and not self.archive.faults.down)
    @rule(which=ANY, other=ANY)
    def misplace_event(self, which: int, other: int) -> None:
        """An old event under the id of another request, with a pointer to it from its own digest."""
        event = _pick(sorted(self.promises.events.values(), key=lambda one: one.id), which)
        requests = sorted({one.id for one in self.promises.freezes.values()} - set(self.promises.events))
        entry = self.archive.ledger.get(layout.event(event.id))
        if requests and entry is not None:
            request = _pick(requests, other)
            image = self.promises.freezes[event.freeze].image
            self.archive.overwrite(layout.event(request), entry.data)
            self.archive.overwrite(layout.subject_pointer(image, "production", request), _pointer(request))
            self._audited(layout.event(request))

    @precondition(lambda self: self.promises.events and not self.archive.faults.down)
    @rule(which=ANY, model=st.sampled_from(bank.MODELS), version=st.integers(1, 3))
    def misplace_pointer(self, which: int, model: str, version: int) -> None:
        """A pointer from a digest to the event of another."""
        event = _pick(sorted(self.promises.events.values(), key=lambda one: one.id), which)
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
        (digest, who), (_, entry) = _pick(sorted(self.promises.presses.items(), key=lambda one: one[0]), which)
        freezes = sorted(one for one in self.promises.freezes if one != digest and (one, who) not in self.promises.presses)
        if not freezes:
            return
        freeze = self.promises.freezes[_pick(freezes, other)]
        key = layout.seals_prefix(freeze.digest) + entry.key.rpartition("/")[2]
        self.archive.overwrite(key, entry.data)
        self._force_decision(freeze, "Approve", {"bundle": b64encode(entry.data)})
        self._audited(key)
        self._look(0, freeze.name)

    @precondition(lambda self: self.promises.freezes)
    @rule(which=ANY, other=ANY)
    def forge_decision(self, which: int, other: int) -> None:
        """An administrator makes a PromotionDecision past admission: without a seal, or with that of another freeze."""
        freeze = self.promises.freezes[_pick(sorted(self.promises.freezes), which)]
        seals = sorted(entry.data for _, entry in self.promises.presses.values())
        self._force_decision(freeze, "Approve", {"bundle": b64encode(_pick(seals, other))} if seals else None)

    @precondition(lambda self: self.archive.touched)
    @rule()
    def restore(self) -> None:
        self.archive.restore()
        self.restart()

    # --- the gate -----------------------------------------------------------------------------------------------------------

    @rule(model=st.sampled_from(bank.MODELS), version=st.integers(1, 3), namespace=st.sampled_from(("credit", "credit", "credit", "batch")))
    def deploy(self, model: str, version: int, namespace: str) -> None:
        self._deploy(bank.image_of(model, version), namespace)

    @precondition(lambda self: self.promises.events)
    @rule(which=ANY, pause=st.sampled_from((0, 0, 1, 5, 11, 600, 901)))
    def deploy_promoted(self, which: int, pause: int) -> None:
        event = _pick(sorted(self.promises.events.values(), key=lambda one: one.id), which)
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
        event = _pick(promoted, which)
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

    def _recover(self) -> None:
        self.archive.faults.disarm()
        self.archive.faults.down = False
        self.archive.restore()
        self.restart()
        self.promises.nothing_changed()
        for _ in range(2):
            for name in self.names():
                self._look(0, name)
        for model in bank.MODELS:
            for version in range(1, 4):
                self._deploy(bank.image_of(model, version), "credit")
        if not self.keyring.ended:
            found = [one for one in _audit(self.world.reader()).findings(lambda _: None) if one.kind != "note"]
            assert not found, f"promise 6: the audit of what is as it was written finds {found}"
            self._show_again()
            self._rebuild()

    def _show_again(self) -> None:
        reader = self.world.reader()
        for digest, _ in sorted(self.promises.presses)[:1]:
            frozen = self.promises.freezes[digest]
            freeze, payload = reader.freeze(RequestId(frozen.id), Digest(digest))
            refuse_other_desk(freeze, payload, read_blob(reader.store, freeze.explanation.digest, limit=100_000))

    def _rebuild(self) -> None:
        """Lose the cluster: a new one, the same manifests, the same archive (promise 6)."""
        if not self.promises.events or self.promises.edited:
            return
        texts = [(name, self.world.api.objects[("promotionpolicies", "", name)]["spec"]) for name in self.policies()]
        self.world = Simulation(self.archive, self.keyring, self.promises.reported)
        self.promises.objects = self.world.api.objects
        for name, text in texts:
            self.promises.publishing = "paula"
            self.world.api.create(bank.person("paula"), "promotionpolicies", {**bank.policy(name, "one"), "spec": text})
        for manifest, who in self.asked.values():
            self.world.api.create(bank.person(who), "modelpromotions", manifest)
        for name in self.names():
            self._look(0, name)

    # --- how it is done -----------------------------------------------------------------------------------------------------

    def names(self) -> list[str]:
        return sorted(key[2] for key in self.world.api.objects if key[0] == "modelpromotions")

    def policies(self) -> list[str]:
        return sorted(key[2] for key in self.world.api.objects if key[0] == "promotionpolicies")

    def decisions(self) -> list[str]:
        return sorted(key[2] for key in self.world.api.objects if key[0] == "promotiondecisions")

    def frozen(self) -> list[tuple[str, str]]:
        """The promotions whose status names a freeze, and which."""
        found = ((name, self.world.api.objects[("modelpromotions", "credit", name)].get("status", {})) for name in self.names())
        return [(name, status["freeze"]) for name, status in found if "freeze" in status]

    def _who_may_approve(self, name: str, freeze: str) -> list[str]:
        """Who has not decided on a freeze, and may approve it."""
        undecided = (who for who in bank.PEOPLE if (freeze, who) not in self.promises.presses)
        return [who for who in undecided if self.promises.may(who, freeze, "Approve", name)]

    def _apply(self, who: str, manifest: Value) -> None:
        name = manifest["metadata"]["name"]
        existing = self.promises.promotion(name)
        user = bank.person(who)
        try:
            if existing is None:
                self.world.api.create(user, "modelpromotions", manifest)
                self.asked[name] = (manifest, who)
            else:
                self.world.api.replace(user, "modelpromotions", manifest)
        except Refusal as refusal:
            raise AssertionError(f"{who} may submit: {refusal}") from None

    def _publish(self, who: str, name: str, text: str) -> None:
        self.promises.publishing, policy, user = who, bank.policy(name, text), bank.person(who)
        calm = self.promises.is_calm
        had = ("promotionpolicies", "", name) in self.world.api.objects
        same = had and self.world.api.objects[("promotionpolicies", "", name)]["spec"] == policy["spec"]
        try:
            if had:
                self.world.api.replace(user, "promotionpolicies", policy)
            else:
                self.world.api.create(user, "promotionpolicies", policy)
            if not same:
                assert who == "paula", f"promise 4: {who} published a policy"
                self.promises.edited.discard(name)
        except Refusal as refusal:
            assert who != "paula" or not calm, f"a publisher may publish: {refusal}"
        finally:
            self.promises.publishing = ""

    def _press(self, who: str, name: str, freeze: str, verdict: str, fault: str = "", after: int = 0, manner: str = "") -> None:
        self.count += 1
        promotion, frozen = self.promises.promotion(name), self.promises.freezes[freeze]
        if promotion is None:
            return
        may = self.promises.may(who, freeze, verdict, name) and not (manner == "blind" and (freeze, who) not in self.promises.presses)
        spec = {
            "promotion": name,
            "freeze": freeze,
            "rendition": NOTHING if manner == "blind" else frozen.renditions[0],
            "verdict": verdict,
            "meaning": "I decide on this model version for the use described on this desk.",
        }
        metadata = {"name": f"decision-{self.count}", "namespace": "credit"}
        decision = {"apiVersion": "signoff.dev/v1alpha1", "kind": "PromotionDecision", "metadata": metadata, "spec": spec}
        calm, before = self.promises.is_calm, self.archive.written
        self.promises.pressing = Press(who, freeze, verdict, may or (not calm and self.promises.may(who, freeze, verdict, name)))
        strike = self.archive.faults.arm("" if fault == "meanwhile" else fault, after)
        try:
            self.world.api.create(bank.person(who), "promotiondecisions", decision, dry_run=manner == "dry", loses=manner == "lost")
        except Refusal as refusal:
            struck = strike.struck or manner in {"lost", "blind"}
            assert not (may and calm) or struck, f"promise 5: {who} may {verdict} {name}, and was refused: {refusal}"
            self._noted("a press was refused")
        else:
            assert may or not calm, f"promise 4: {who} may not {verdict} {name}, and was let"
            sealed = self.promises.presses.get((freeze, who))
            assert manner == "dry" or (sealed is not None and sealed[0] == verdict), "promise 4: decided without an archived seal"
        finally:
            self.archive.faults.disarm()
            self.promises.pressing = None
        assert manner != "dry" or self.archive.written == before, "a dry run wrote to the archive"

    def _look(self, number: int, name: str, fault: str = "", after: int = 0, between: Callable[[], None] | None = None) -> None:
        if self.promises.promotion(name) is None:
            return
        calm, expected = self.promises.is_calm, ""
        if calm:
            expected = self.promises.expected(name)
        before = len(self.promises.events)
        self.promises.looks.append(Look(self.archive.written))
        strike = self.archive.faults.arm(fault, after, between)
        try:
            self.world.look(number, name)
        except Died:
            self.world.restart_operator(number)
            self._noted_death(name)
        finally:
            self.archive.faults.disarm()
            self.promises.looks.pop()
        if calm and not strike.struck:
            reason = self._reason(name)
            assert reason == expected, f"promise 5: {name} came to {reason}, not to {expected}"
            ended = expected in {"Promoted", "Rejected"}
            assert not ended or any(self.promises.freezes[one.freeze].name == name for one in self.promises.events.values())
        if len(self.promises.events) > before:
            self._noted("an event was written" if not strike.struck else f"an event was written although: {fault}")

    def _between(self, number: int, name: str, between: str, who: int) -> Callable[[], None]:
        """What somebody else does in the middle of a look."""

        def act() -> None:
            if between in {"Approve", "Reject"}:
                shown = dict(self.frozen()).get(name)
                if shown is not None:
                    self._press(_pick(["carla", "rita", "uma", "ben"], who), name, shown, between)
                return
            self.promises.looks[-1].raced = True
            other = name if between == "the other operator" or not self.names() else _pick(self.names(), who)
            self._look(1 - number, other)
            self._noted("two operators at once")

        return act

    def _reason(self, name: str) -> str:
        status = self.world.api.objects[("modelpromotions", "credit", name)].get("status", {})
        return next((one["reason"] for one in status.get("conditions", ()) if one["type"] == "Ready"), "")

    def _deploy(self, digest: str, namespace: str) -> None:
        reply = self.world.deploy(digest, namespace)
        self.promises.ran(digest, namespace, admitted=reply.denial is None)
        if reply.denial is None:
            self._noted("a model runs" if not self.archive.faults.down else "a model runs while the archive is down")

    def _force_decision(self, freeze: Frozen, verdict: str, seal: Value | None) -> None:
        self.count += 1
        named = {"promotion": freeze.name, "freeze": freeze.digest, "rendition": freeze.renditions[0]}
        spec = {**named, "verdict": verdict, "meaning": "forged"}
        metadata = {"name": f"decision-{self.count}", "namespace": "credit"}
        value: Value = {"apiVersion": "signoff.dev/v1alpha1", "kind": "PromotionDecision", "metadata": metadata, "spec": spec}
        self.world.api.force("promotiondecisions", {**value, **({"seal": seal} if seal else {})})

    def _untouched(self, folder: str) -> list[str]:
        return [key for key in self.archive.keys(folder) if key not in self.archive.touched]

    def _named(self, request: str) -> list[str]:
        """What an event names, as keys."""
        event = self.promises.events[request]
        frozen = self.promises.freezes[event.freeze]
        seals = [self.promises.presses[(event.freeze, bank.name_of(subject))][1].key for subject, _ in event.decisions]
        blobs = [layout.blob(one) for one in frozen.named]
        return [layout.freeze(frozen.id, frozen.digest), *blobs, *seals, *self.promises.pointers(frozen, promotes=event.promotes)]

    def _audited(self, key: str) -> None:
        """The audit names the key."""
        found: list[Finding] = list(_audit(self.world.reader()).findings(lambda _: None))
        assert any(one.key == key and one.kind != "note" for one in found), f"promise 6: the audit does not name {key}: {found}"
        self._noted("tampering was found")

    def _noted(self, what: str) -> None:
        self.told.add(what)

    def _noted_death(self, name: str) -> None:
        self._noted("an operator died")
        pointed = {key.rpartition("/")[2] for key in self.archive.ledger if key.startswith("models/")}
        if any(one.name == name and one.id in pointed and one.id not in self.promises.events for one in self.promises.freezes.values()):
            self._noted("an operator died in a commit")

    def _tell(self) -> None:
        kinds = {"promotion" if one.promotes else "rejection" for one in self.promises.events.values()}
        for what in sorted(self.told | kinds | {f"{len(self.promises.events)} events"}):
            noted(what)
            COUNTS[what] = COUNTS.get(what, 0) + 1
        COUNTS["histories"] = COUNTS.get("histories", 0) + 1


COUNTS: dict[str, int] = {}
"""How many histories came to what."""


def _audit(reader: Reader) -> Audit:
    return Audit(reader, Place("", ""), jobs=1)  # one process opens nothing by its address


def _pick(values: Any, which: int) -> Any:
    return values[which % len(values)]


def _pointer(request: str) -> bytes:
    return dumps({"event": layout.event(RequestId(request))}) + b"\n"
