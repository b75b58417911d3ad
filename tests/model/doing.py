# ruff: noqa: PT017 - a refusal that ought not to be is what these assertions are about
"""How a step is done: by the real code, judged by `promises`; and how a history ends."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Any

from hypothesis import event as noted
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine

from signoff.archive import layout
from signoff.archive.write import read_blob
from signoff.cli.audit import Audit, Finding
from signoff.cli.audit_hands import Place
from signoff.desk.freezing import refuse_other_desk
from signoff.record.values import Digest, RequestId, parse_time
from signoff.verify.reader import Reader
from tests.model import bank, reading
from tests.model.apiserver import Refusal, Value
from tests.model.archive import STRUCK, Archive, Clock, Died
from tests.model.promises import Correcting, Look, Press, Promises
from tests.model.reading import Frozen
from tests.model.simulation import Simulation
from tests.model.weighing import NOT_BY, Grant

ANY = st.integers(0, 99)
WHO = st.sampled_from(bank.PEOPLE)
FAULT = st.sampled_from(("", "", "", *STRUCK))
AFTER = st.integers(0, 15)
"""A look that commits asks the archive some fourteen times, a press eight times."""
NOTHING = "sha256:" + "0" * 64


class Doing(RuleBasedStateMachine):
    """One history of one bank, without its steps."""

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

    # --- how a history ends -------------------------------------------------------------------------------------------------

    def _recover(self) -> None:
        self.archive.faults.disarm()
        self.archive.faults.down = False
        self.archive.restore()
        self._restart()
        self.promises.nothing_changed()
        for _ in range(2):
            for name in self.names():
                self._look(0, name)
        for model in bank.MODELS:
            for version in range(1, 4):
                self._deploy(bank.image_of(model, version), "credit")
        if not self.keyring.has_ended("seal", "event"):
            found = [one for one in _audit(self.world.reader()).findings(lambda _: None) if one.kind != "note"]
            lost = {layout.event(RequestId(one.id)) for one in self.promises.events.values() if not self.promises.verifies(one)}
            assert not lost or self.keyring.has_ended("check", how="compromised"), f"promise 5: {lost} count no more"
            assert lost <= {one.key for one in found}, f"promise 6: the audit passes over {lost}"
            found = [one for one in found if one.key not in lost]
            assert not found, f"promise 6: the audit of what is as it was written finds {found}"
            self._show_again()
            self._rebuild()

    def _show_again(self) -> None:
        reader = self.world.reader()
        for digest, _ in sorted(self.promises.presses)[:1]:
            frozen = self.promises.freezes[digest]
            freeze, payload = reader.freeze(RequestId(frozen.id), Digest(digest))
            explanation = read_blob(reader.store, freeze.explanation.digest, limit=100_000)
            refuse_other_desk(freeze, payload, explanation, reader.last_approved(freeze.live))

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

    def in_tier(self, *tiers: str) -> list[tuple[str, str]]:
        """Those of them that are in one of these tiers; of these those that await a decision, if any do."""
        found = [(name, freeze) for name, freeze in self.frozen() if self.promises.freezes[freeze].tier in tiers]
        return [one for one in found if self._reason(one[0]) == "AwaitingDecision"] or found

    def granted(self) -> list[str]:
        """The grants that nobody has taken back."""
        return sorted(key[2] for key in self.world.api.objects if key[0] == "promotiondelegations")

    def _is_weekly(self) -> bool:
        """Whether some policy lets a check decide."""
        return any("tier-3" in self.world.api.objects[("promotionpolicies", "", name)]["spec"]["tiers"] for name in self.policies())

    def _checker(self, number: int) -> int:
        """The checker's key by which a check is signed: mostly the one in use, else one that has ended or is not in use yet."""
        return self.keyring.current["check"] if number else (self.keyring.current["check"] + 3) % 4

    def _restart(self) -> None:
        self.world.restart()
        self.promises.remembered.clear()

    def _end_key(self, use: str, how: str, ago: int) -> None:
        self.archive.clock.go_on(2)
        now = self.archive.clock.now()
        self.keyring.end(use, how, now if how == "ended" else now - timedelta(seconds=ago), now)
        self._restart()
        self._noted(f"a key ended: {use}")

    def _who_may_approve(self, name: str, freeze: str) -> list[str]:
        """Who has not decided on a freeze, and may approve it."""
        undecided = (who for who in bank.PEOPLE if (freeze, who) not in self.promises.presses)
        return [who for who in undecided if self.promises.may(who, freeze, "Approve", name)]

    def _submit(self, who: str, model: str, version: int, attempt: int, check: tuple[str, int] | None, valid_for: str | None = None) -> str:
        """Somebody asks, against the version that is live; returns the promotion's name."""
        live = self.promises.live(model)
        frozen = self.promises.freezes[live.freeze] if live is not None else None
        incumbent = int(frozen.spec["model"]["version"].partition(".")[0]) if frozen is not None else None
        manifest = bank.promotion(model, version, incumbent, attempt, "demo", valid_for, check)
        self._apply(who, manifest)
        return str(manifest["metadata"]["name"])

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

    def _press(
        self,
        who: str,
        name: str,
        freeze: str,
        verdict: str,
        fault: str = "",
        after: int = 0,
        manner: str = "",
        grant: str = "",
        user: Value | None = None,
        made: Value | None = None,
    ) -> None:
        """Send a decision through the door: by ``who``, or in the name of whoever granted ``grant``; ``made`` is one made already."""
        self.count += 1
        promotion, frozen = self.promises.promotion(name), self.promises.freezes[freeze]
        if promotion is None:
            return
        may = self.promises.may(who, freeze, verdict, name, grant)
        given, new = self.promises.grants.get(grant), (freeze, who) not in self.promises.presses
        spec = {
            "promotion": name,
            "freeze": freeze,
            "rendition": NOTHING if manner == "blind" else frozen.renditions[0],
            "verdict": verdict,
            "meaning": "I decide on this model version for the use described on this desk.",
            "explanationOpened": True,
            **({"delegation": grant} if grant else {}),
        }
        metadata = {"name": f"decision-{self.count}", "namespace": "credit"}
        decision = made or {"apiVersion": "signoff.dev/v1alpha1", "kind": "PromotionDecision", "metadata": metadata, "spec": spec}
        exists = ("promotiondecisions", "credit", decision["metadata"]["name"]) in self.world.api.objects
        calm, before = self.promises.is_calm and not self.promises.lost_its_precedent(freeze), self.archive.written
        self.promises.pressing = Press(who, freeze, verdict, may and not (manner == "blind" and new and calm), given)
        strike = self.archive.faults.arm("" if fault == "meanwhile" else fault, after)
        try:
            sender = user or bank.person(who)
            self.world.api.create(sender, "promotiondecisions", decision, dry_run=manner == "dry", loses=manner == "lost")
        except Refusal as refusal:
            struck = strike.struck or exists or manner in {"lost", "blind"}
            assert not (may and calm) or struck, f"promise 5: {who} may {verdict} {name}, and was refused: {refusal}"
            self._noted("a press was refused")
            if grant and not may:
                self._noted("a grant did not count")
        else:
            let = may and not (manner == "blind" and new)
            assert let or not calm, f"promise 4: {who} may not {verdict} {name}, and was let"
            sealed = self.promises.presses.get((freeze, who))
            assert manner == "dry" or (sealed is not None and sealed[0] == verdict), "promise 4: decided without an archived seal"
            if grant and manner != "dry":
                self._noted("decided in somebody's name")
        finally:
            self.archive.faults.disarm()
            self.promises.pressing = None
        assert manner != "dry" or self.archive.written == before, "a dry run wrote to the archive"

    def _engine_looks(self, name: str, fault: str = "", after: int = 0, fault_at_the_door: str = "") -> None:
        """Have the engine look at a promotion, and send what it makes of it through the door."""
        shown = dict(self.frozen()).get(name)
        if shown is None:
            return
        calm, awaits = self.promises.is_calm, self._reason(name) == "AwaitingDecision"
        due = calm and awaits and self.promises.may("engine", shown, "Approve", name)
        strike = self.archive.faults.arm("" if fault == "meanwhile" else fault, after)
        made = None
        try:
            made = self.world.what_the_engine_makes(name)
        except Died:
            self.world.restart_engine()
        finally:
            self.archive.faults.disarm()
        assert made is not None or not due or strike.struck, f"promise 5: the engine leaves {name}, which its policy lets it approve"
        if made is not None:
            assert (made["spec"]["freeze"], made["spec"]["verdict"]) == (shown, "Approve")
            self._press("engine", name, shown, "Approve", fault_at_the_door, after, made=made)

    def _grant(
        self, by: str, to: str, tiers: tuple[str, ...], models: str, begins: datetime, ends: datetime, fault: str = "", after: int = 0
    ) -> str | None:
        """Have somebody grant; returns the grant's name if it is there, and signed."""
        self.count += 1
        obj, sender = bank.delegation(f"grant-{self.count}", to, tiers, models, begins, ends), bank.person(by)
        name, spec = obj["metadata"]["name"], {key: value for key, value in obj["spec"].items() if key != "to"}
        grantor = {"issuer": obj["spec"]["to"]["issuer"], "subject": bank.subject_of(by), "name": bank.subject_of(by)}
        told = {"grantor": grantor, "username": sender["username"], "groups": sorted(sender["groups"]), "grantee": obj["spec"]["to"]}
        self.promises.granting = {"cluster": "demo", "name": name, **told, **spec}
        calm = self.promises.is_calm
        strike = self.archive.faults.arm("" if fault == "meanwhile" else fault, after)
        try:
            made = self.world.api.create(sender, "promotiondelegations", obj)
        except Refusal as refusal:
            assert by == to or not calm or strike.struck, f"{by} may grant: {refusal}"
            return None
        finally:
            self.archive.faults.disarm()
            self.promises.granting = None
        assert by != to, f"promise 4: {by} granted something to themselves"
        statement = made["grant"]["statement"]
        assert layout.statement("delegation", statement) in self.archive.ledger, "promise 4: granted without an archived statement"
        whole = (parse_time(spec["validFrom"]), parse_time(spec["validUntil"]))
        self.promises.grants[name] = Grant(name, by, to, models, tiers, *whole, statement)
        self._noted("somebody granted")
        return str(name)

    def _correct(self, who: str, request: str, verdict: str, reason: str, fault: str = "", after: int = 0) -> None:
        """Have somebody revoke or annotate an event; the name of the object follows from what is said, as the command makes it."""
        event = self.promises.events[request]
        may, calm = self.promises.may_correct(who, event, verdict, reason), self.promises.is_calm
        name = f"{verdict.lower()}-{event.digest[7:19]}-{reason}"
        obj = bank.correction(name, event.id, event.digest, verdict, reason)
        there = ("promotioncorrections", "credit", name) in self.world.api.objects
        before = len(self.promises.corrections)
        self.promises.correcting = Correcting(who, event.digest, verdict, may)
        strike = self.archive.faults.arm("" if fault == "meanwhile" else fault, after)
        try:
            self.world.api.create(bank.person(who), "promotioncorrections", obj)
        except Refusal as refusal:
            assert not (may and calm) or strike.struck or there, f"{who} may {verdict} {request[:12]}: {refusal}"
            written = len(self.promises.corrections) > before
            assert not (written and "nothing was corrected" in str(refusal)), f"promise 5: told {refusal}, and the archive holds it"
        else:
            assert may or not calm, f"promise 4: {who} may not {verdict} {request[:12]}, and was let"
            assert verdict != "Revoke" or not calm or self.promises.is_revoked(event), "promise 1: revoked without an archived correction"
            self._noted("revoked" if verdict == "Revoke" else "annotated")
        finally:
            self.archive.faults.disarm()
            self.promises.correcting = None

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
            self._judge_route(name, reason)
            ended = expected in {"Promoted", "ExpiresSoon", "Expired", "Revoked", "Rejected"}
            assert not ended or any(self.promises.freezes[one.freeze].name == name for one in self.promises.events.values())
        if len(self.promises.events) > before:
            self._noted("an event was written" if not strike.struck else f"an event was written although: {fault}")

    def _judge_route(self, name: str, reason: str) -> None:
        """What awaits a decision is asked of whom the policies in force ask, over what the rules may see."""
        promotion = self.promises.promotion(name)
        if reason != "AwaitingDecision" or promotion is None:
            return
        fitting = [one.digest for one in self.promises.fitting(promotion)]
        assert promotion["status"]["freeze"] in fitting, f"promise 4: {name} is routed otherwise than its policies say"

    def _between(self, number: int, name: str, between: str, who: int) -> Callable[[], None]:
        """What somebody else does in the middle of a look."""

        def act() -> None:
            if between in {"Approve", "Reject"}:
                shown = dict(self.frozen()).get(name)
                if shown is not None:
                    self._press(pick(["carla", "rita", "uma", "ben"], who), name, shown, between)
                return
            self.promises.looks[-1].raced = True
            other = name if between == "the other operator" or not self.names() else pick(self.names(), who)
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
        for what in sorted(self.told | kinds | self._deeds() | {f"{len(self.promises.events)} events"}):
            noted(what)
            COUNTS[what] = COUNTS.get(what, 0) + 1
        COUNTS["histories"] = COUNTS.get("histories", 0) + 1

    def _deeds(self) -> set[str]:
        """What the record tells of checks and grants."""
        told: set[str] = set()
        for frozen in self.promises.freezes.values():
            if frozen.checks and any(key.startswith(NOT_BY) for key in frozen.routed.inputs):
                told.add("a check did not count")
            people = [who for digest, who in self.promises.presses if digest == frozen.digest]
            if len({self.promises.holder(frozen.digest, who) for who in people}) < len(people):
                told.add("one word was given twice")
        for event in self.promises.events.values():
            kind = "promoted" if event.promotes else "rejected"
            if self.promises.freezes[event.freeze].tier == "tier-3":
                told.add(f"{kind} by the engine")
            if any(reading.grant_in(one) for one in event.seals):
                told.add(f"{kind} in somebody's name")
        return told


COUNTS: dict[str, int] = {}
"""How many histories came to what."""


def _audit(reader: Reader) -> Audit:
    return Audit(reader, Place("", ""), jobs=1)  # one process opens nothing by its address


def pick(values: Any, which: int) -> Any:
    return values[which % len(values)]
