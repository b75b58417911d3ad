# ruff: noqa: PT018 - what cannot be read on is no use to say apart
"""The promises of signoff, as invariants over a history. Each is judged in plain Python, from what people did and what the archive took.

 1. No event, no promotion. A digest runs only by an event that was written for it, and a status says Promoted only of such an event.
    Whatever fails on the way leaves nothing promoted.
 2. One outcome per request. A key is written once and its bytes never change; who comes second reports the outcome that won. An eligible
    Reject that was archived before the look that fills the slot began goes before a quorum.
 3. What was shown can be shown again. When a freeze is written, its explanation and renditions lie in the archive, and they stay.
 4. No single principal promotes what the policy gives to others. Each seal is a press of that person, who was eligible, on that freeze,
    which asked for no less than the policies in force; an event holds as many of them as its freeze asks for, each archived before it and
    carried by a PromotionDecision; nobody who asked counts; of two approved against one incumbent the first goes live (by one operator:
    two at once are one too many, and only the slot of one request is decided between them).
    In tier 3 the engine alone decides, and it decides nothing else; such an event holds a check by the checker's key, of this very
    candidate against what was live, with figures that meet the condition. Who decides in somebody's name does so by a grant that is
    there, that names them, this model and this tier, and whose time it is; both are apart from who asked; the roles and the verb are
    those of who granted it, and nobody's word counts twice.
 5. Every promotion has its event. A quorum leads to its event by the next look that nothing disturbs, and the pointers by which the gate
    finds it lie there before it.
 6. The archive alone suffices. A cluster made anew from the same manifests comes to the same outcomes.
 Whoever revokes an event may, and from then on it admits nothing, is live no more, and no status says Promoted of it; nothing undoes that.
 7. The gate answers from verified memory: a positive answer for 10 s, a negative one for 2 s; while the archive is out of reach a positive
    one for 15 minutes; after that it denies.

What an enemy wrote into the archive counts for nothing: it is no event, no seal and no freeze of these invariants.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

from signoff.archive import layout
from signoff.record.canonical import b64decode
from signoff.record.values import Digest, parse_time
from tests.model import bank, reading
from tests.model.archive import Archive, Entry
from tests.model.reading import Event, Frozen, Routed, digest_of, suffices
from tests.model.weighing import COUNTS, NOT_BY, RULE, Grant, is_of, is_quiet, standings, weighed

Value = dict[str, Any]
FRESH, FRESH_NEGATIVE, GRACE = 10.0, 2.0, 900.0


@dataclass(frozen=True)
class Press:
    """What somebody asks the door to seal."""

    who: str
    freeze: str
    verdict: str
    may: bool
    grant: Grant | None = None


@dataclass(frozen=True)
class Correcting:
    """What somebody asks the door to say of an event, and whether it must be refused."""

    who: str
    event: str
    verdict: str
    may: bool


@dataclass(frozen=True)
class Correction:
    """A correction that the archive took."""

    event: str
    verdict: str
    entry: Entry


@dataclass
class Look:
    """A look of an operator: how much had been written when it began, and whether another operator came between."""

    began: int
    raced: bool = False


@dataclass
class Promises:
    """The judge of one history."""

    archive: Archive
    keyring: bank.Keyring
    freezes: dict[str, Frozen] = field(default_factory=dict)
    events: dict[str, Event] = field(default_factory=dict)
    presses: dict[tuple[str, str], tuple[str, Entry]] = field(default_factory=dict)
    pressing: Press | None = None
    publishing: str = ""
    granting: Value | None = None
    """The statement that somebody asks the door to sign, but for its time and method."""
    correcting: Correcting | None = None
    corrections: dict[str, Correction] = field(default_factory=dict)
    """What was said of events afterwards, by the key under which it lies."""
    grants: dict[str, Grant] = field(default_factory=dict)
    """What was granted, by the grant's name, whether or not it was taken back."""
    looks: list[Look] = field(default_factory=list)
    objects: dict[Any, Value] = field(default_factory=dict)
    """The API server's objects."""
    edited: set[str] = field(default_factory=set)
    """Policies that somebody edited past admission."""
    remembered: dict[tuple[str, str], tuple[float, tuple[Event, ...]]] = field(default_factory=dict)

    # --- what is so ---------------------------------------------------------------------------------------------------------

    @property
    def is_calm(self) -> bool:
        """Whether nothing is wrong in the world, so that it is known exactly what must happen."""
        lost = self.keyring.has_ended("seal", "event")
        return not (self.archive.touched or lost or self.edited or self.archive.faults.down)

    def promotion(self, name: str) -> Value | None:
        return self.objects.get(("modelpromotions", "credit", name))

    def has_event(self, request: str) -> bool:
        return request in self.events and self.archive.is_honest(layout.event(request))

    def live(self, model: str) -> Event | None:
        """The model's promotion that the archive took last, of those whose keys are good."""
        ours = (one for one in self.events.values() if self.freezes[one.freeze].model == model)
        promoted = [one for one in ours if one.promotes and self.counts(one) and not self.is_revoked(one)]
        return max(promoted, key=lambda one: one.stored_at, default=None)

    def is_revoked(self, event: Event) -> bool:
        """Whether somebody took the event back, by a key that counts, and what they said lies there as it was written."""
        said = [(key, one.entry) for key, one in self.corrections.items() if self._same(one, event, "Revoke")]
        good = [self.keyring.is_good(reading.signed(entry.data).key, entry.stored_at) for key, entry in said if self.archive.is_honest(key)]
        return any(good)

    def may_be_revoked(self, event: Event) -> bool:
        """Whether a revocation of it lies there, as it was written or altered: what cannot be believed is not passed over."""
        return any(
            self.archive.bytes_at(key) is not None and self.keyring.is_good(reading.signed(one.entry.data).key, one.entry.stored_at)
            for key, one in self.corrections.items()
            if self._same(one, event, "Revoke")
        )

    def may_correct(self, who: str, event: Event, verdict: str, reason: str) -> bool:
        """Whether the door must sign this correction, in a calm world."""
        if not self.has_event(event.id) or not self.counts(event) or (verdict == "Revoke" and not event.promotes):
            return False
        known = {reading.signed(one.entry.data).predicate["reason"] for one in self.corrections.values() if self._same(one, event, verdict)}
        if reason in known:
            return True  # it is given back
        return bank.lets_correct(who) and not (verdict == "Revoke" and self.is_revoked(event))

    def _same(self, one: Correction, event: Event, verdict: str) -> bool:
        return (one.event, one.verdict) == (event.digest, verdict)

    def lost_its_precedent(self, freeze: str) -> bool:
        """Whether what was live for a freeze was taken back since: what its route comes to now is not foretold."""
        shown = self.freezes[freeze].live if freeze in self.freezes else None
        return any(one.digest == shown and self.is_revoked(one) for one in self.events.values())

    def route(self, spec: Value, live: Event | None) -> Routed | None:
        """Who is asked by the policies in force, and why; None where there are none, or where they cannot be reconciled."""
        model, promoted = spec["model"]["name"], self.freezes[live.freeze] if live else None
        major = spec.get("materiality", {}).get("change") == "major"
        inputs = {"environment": "production", "model": model, "namespaces": "credit"}
        inputs |= standings(self.keyring, spec, self._shown(promoted), self.archive.clock.now())
        covering: list[tuple[str, int, str, str, dict[str, int]]] = []
        for plural, _, name in sorted(self.objects):
            if plural != "promotionpolicies":
                continue
            text = self.objects[(plural, "", name)]["spec"]
            if text["models"][0]["names"][0] not in {"credit-*", model}:
                continue
            tier, rule = "tier-2", "named-individual"
            if set(text["tiers"]) != {"tier-2"}:
                inputs["incumbent"] = f"{promoted.spec['model']['version']} ({promoted.tier})" if promoted else "none"
                inputs["valid for"] = spec.get("validFor") or "no end"
            if "tier-3" in text["tiers"]:
                how, said = weighed(self.keyring, spec, self._shown(promoted), self.archive.clock.now())
                inputs[f"{how}, {name}"] = said
                if how == COUNTS:
                    tier, rule = "tier-3", RULE
                    inputs[f"condition of {rule}, {name}"] = text["rules"][0]["when"]
            if "tier-1" in text["tiers"]:
                tier, rule = ("tier-2", "later") if live else ("tier-1", "first")
                if major and live:
                    tier, rule = "tier-1", "major"
                    inputs[f"raised by {name}"] = "later (tier-2) to tier-1 by major"
                whens = {one["name"]: one.get("when") for one in (*text["rules"], *text["raise"])}
                if whens[rule]:
                    inputs[f"condition of {rule}, {name}"] = whens[rule]
            asks = {role["name"]: role["count"] for role in text["tiers"][tier]["roles"]}
            covering.append((tier, -sum(asks.values()), name, rule, asks))
        if not covering:
            return None
        tier, _, name, rule, asks = min(covering, key=lambda one: one[:3])
        return Routed(name, tier, rule, asks, inputs) if all(_includes(asks, other) for *_, other in covering) else None

    def fitting(self, promotion: Value) -> list[Frozen]:
        """The freezes of a promotion that still say what would be frozen now."""
        spec, name = promotion["spec"], promotion["metadata"]["name"]
        live = self.live(spec["model"]["name"])
        route = self.route(spec, live)
        return [
            one
            for _, one in sorted(self.freezes.items())
            if (one.name, one.spec) == (name, spec)
            and one.live == (live.digest if live else None)
            and route == one.routed
            and self.archive.is_honest(layout.freeze(one.id, one.digest))
        ]

    def carried(self, freeze: Frozen) -> list[str]:
        """Who approved a freeze, by an archived seal that a PromotionDecision carries."""
        bundles = {
            b64decode(one["seal"]["bundle"], "seal")
            for key, one in self.objects.items()
            if key[0] == "promotiondecisions" and one["spec"]["freeze"] == freeze.digest and "seal" in one
        }
        return [who for who, entry in self._seals(freeze, "Approve") if entry.data in bundles]

    def rejections(self, freeze: Frozen) -> list[Entry]:
        return [entry for _, entry in self._seals(freeze, "Reject")]

    def holder(self, freeze: str, who: str) -> str:
        """Whose word it was that somebody gave: by a grant the grantor's."""
        grant = reading.grant_in(self.presses[(freeze, who)][1].data)
        return bank.name_of(grant.predicate["grantor"]["subject"]) if grant else who

    def suffices(self, freeze: Frozen, people: list[str]) -> bool:
        """Whether those who approved are enough: voices are counted, and each but once."""
        voices = {self.holder(freeze.digest, who) for who in people}
        return suffices(freeze.asks, [self._roles(freeze, voice) for voice in sorted(voices)])

    def may(self, who: str, freeze: str, verdict: str, name: str, grant: str = "") -> bool:
        """Whether the door must seal this press, in a calm world."""
        frozen, promotion = self.freezes.get(freeze), self.promotion(name)
        if frozen is None or promotion is None or (frozen.name, frozen.spec) != (name, promotion["spec"]):
            return False
        given = self.grants.get(grant)
        if grant and not (given is not None and self._is_granted(given) and given.fits(who, frozen, self.archive.clock.now())):
            return False
        voice = given.grantor if given is not None else who
        if (who == "engine") != (frozen.tier == "tier-3") or who in {"flux", "operator"}:
            return False
        if any(self._asked(one, frozen, promotion) for one in (who, voice)):
            return False
        if not bank.lets_approve(voice) or not self._roles(frozen, voice) or not self._holds_still(frozen):
            return False
        stored = self.presses.get((freeze, who))
        if stored is not None and (stored[0] != verdict or not self._is_by(stored[1], given)):
            return False
        if self.has_event(frozen.id):
            return stored is not None
        live = self.live(frozen.model)
        return frozen.live == (live.digest if live else None)

    def _roles(self, frozen: Frozen, who: str) -> frozenset[str]:
        return frozenset(role for role, groups in frozen.roles.items() if groups & bank.groups_of(who))

    def _asked(self, who: str, frozen: Frozen, promotion: Value) -> bool:
        asked = frozen.claimants | {promotion["submission"]["subject"]}
        return bank.subject_of(who) in asked or (who == "flo" and bank.FLUX in asked)

    def _is_granted(self, grant: Grant) -> bool:
        """Whether a grant is there and archived."""
        there = ("promotiondelegations", "", grant.name) in self.objects
        return there and self.archive.is_honest(layout.statement("delegation", Digest(grant.statement)))

    def _is_by(self, entry: Entry, grant: Grant | None) -> bool:
        carried = reading.grant_in(entry.data)
        return (carried.digest if carried else None) == (grant.statement if grant else None)

    def _holds_still(self, frozen: Frozen) -> bool:
        """Whether a freeze's route follows still from what was frozen, and the policies in force ask for no more."""
        live = next((one for one in self.events.values() if one.digest == frozen.live), None)
        if live is not None and not self.counts(live):
            if "incumbent" in frozen.routed.inputs:
                return False
            live = None
        route = self.route(frozen.spec, live)
        if route is None or route.tier < frozen.tier or not _includes(frozen.asks, route.asks):
            return False
        return self._weighs(frozen, self.archive.clock.now())

    def _weighs(self, frozen: Frozen, at: datetime) -> bool:
        """Whether the checks weigh at a time as the frozen inputs say."""
        stood = {key: value for key, value in frozen.routed.inputs.items() if key.startswith("check sha256:")}
        if stood != standings(self.keyring, frozen.spec, frozen.shown, at):
            return False
        said = {(key.partition(",")[0], value) for key, value in frozen.routed.inputs.items() if key.startswith((COUNTS, NOT_BY))}
        return not said or said == {weighed(self.keyring, frozen.spec, frozen.shown, at)}

    def _shown(self, promoted: Frozen | None) -> tuple[str, str] | None:
        return (promoted.spec["model"]["version"], promoted.image) if promoted else None

    def expected(self, name: str) -> str:
        """The state that a look must come to in a calm world."""
        promotion = self.objects[("modelpromotions", "credit", name)]
        spec = promotion["spec"]
        if "demo" not in spec["target"]["clusters"]:
            return "OtherCluster"
        of_request = [one for one in self.freezes.values() if (one.name, one.spec) == (name, spec)]
        for one in of_request:
            if self.has_event(one.id) and not self.counts(self.events[one.id]):
                return "ArchiveAltered"
            if self.has_event(one.id):
                return self._stands(self.events[one.id])
        live, named = self.live(spec["model"]["name"]), spec["model"].get("incumbent")
        if self.route(spec, live) is None:
            return "NoPolicy"
        if live is not None and (named is None or named["digest"] != self.freezes[live.freeze].image):
            return "Stale"
        fitting = self.fitting(promotion)
        if fitting and self.rejections(fitting[0]):
            return "Rejected"
        if not fitting or not self.suffices(fitting[0], self.carried(fitting[0])):
            return "AwaitingDecision"
        return "ExpiresSoon" if spec.get("validFor") else "Promoted"  # all that expires here does so within a day

    def _stands(self, event: Event) -> str:
        """How an event stands now."""
        until = self.valid_until(event)
        if not event.promotes:
            return "Rejected"
        if self.is_revoked(event):
            return "Revoked"
        if until is not None and self.archive.clock.now() >= until:
            return "Expired"
        return "Promoted" if until is None else "ExpiresSoon"

    def _seals(self, freeze: Frozen, verdict: str) -> list[tuple[str, Entry]]:
        return [
            (who, entry)
            for (digest, who), (said, entry) in sorted(self.presses.items(), key=lambda one: one[0])
            if (digest, said) == (freeze.digest, verdict) and self.archive.is_honest(entry.key)
        ]

    # --- what is written ----------------------------------------------------------------------------------------------------

    def watch(self, entry: Entry) -> None:
        """Judge a write, before its writer is told of it."""
        before = self.archive.ledger.get(entry.key)
        assert before is None or entry.key in self.archive.touched, f"promise 2: {entry.key} was written twice"
        folder = entry.key.partition("/")[0]
        if folder == "blobs":
            assert digest_of(entry.data).endswith(entry.key.rpartition("/")[2]), "promise 3: a blob lies under another digest"
        elif folder == "freezes":
            self._watch_freeze(entry)
        elif folder == "seals":
            self._watch_seal(entry)
        elif entry.key.startswith("statements/delegation/"):
            self._watch_grant(entry)
        elif folder == "statements":
            assert self.publishing == "paula", f"promise 4: {self.publishing or 'nobody'} published a policy"
        elif folder == "corrections":
            self._watch_correction(entry)
        elif folder == "events":
            self._watch_event(entry)

    def _watch_freeze(self, entry: Entry) -> None:
        frozen = reading.frozen(entry.data)
        assert entry.key == layout.freeze(frozen.id, frozen.digest), "promise 2: a freeze lies under another key"
        for digest in frozen.named:
            found = self.archive.ledger.get(layout.blob(digest))
            assert found is not None and digest_of(found.data) == digest, f"promise 3: {digest} was shown and is not archived"
        self.freezes[frozen.digest] = frozen

    def _watch_grant(self, entry: Entry) -> None:
        said = {name: value for name, value in reading.signed(entry.data).predicate.items() if name not in {"time", "method"}}
        assert said == self.granting, f"promise 4: nobody granted {said}"

    def _watch_correction(self, entry: Entry) -> None:
        said, asked = reading.signed(entry.data), self.correcting
        told = (bank.name_of(said.predicate["principal"]["subject"]), said.predicate["event"], said.predicate["verdict"])
        assert said.type == "correction"
        assert asked is not None and told == (asked.who, asked.event, asked.verdict), f"promise 4: nobody said {told}"
        assert asked.may, f"promise 4: {told} was signed, and ought to have been refused"
        assert entry.key == layout.correction(Digest(asked.event), said.predicate["id"])
        self.corrections[entry.key] = Correction(asked.event, asked.verdict, entry)
        if asked.verdict != "Revoke":
            return  # the gate is not told of a remark
        # The gate of the same process forgets what rests on it.
        for key in [key for key, (_, view) in self.remembered.items() if any(one.digest == asked.event for one in view)]:
            del self.remembered[key]

    def _watch_seal(self, entry: Entry) -> None:
        seal = reading.signed(entry.data).predicate
        said = (bank.name_of(seal["decided"]["principal"]["subject"]), seal["freeze"], seal["decided"]["verdict"])
        press = self.pressing
        assert press is not None and said == (press.who, press.freeze, press.verdict), f"promise 4: nobody pressed {said}"
        assert press.may or self._history_is_short, f"promise 4: {said} was sealed, and ought to have been refused"
        assert self._is_by(entry, press.grant), f"promise 4: {said} was sealed in another's name"
        tier = self.freezes[press.freeze].tier
        assert (press.who == "engine") == (tier == "tier-3"), f"promise 4: {press.who} was sealed in {tier}"
        assert seal["rendition"] in self.freezes[press.freeze].renditions, "promise 3: sealed what was not shown"
        assert entry.key == layout.seal(press.freeze, seal["decided"]["principal"]["issuer"], seal["decided"]["principal"]["subject"])
        self.presses[(press.freeze, press.who)] = (press.verdict, entry)

    @property
    def _history_is_short(self) -> bool:
        """Whether a pointer of some model's history is gone: what was live before looks live again, and nobody can tell without a log."""
        return any(key.startswith("models/") and self.archive.bytes_at(key) is None for key in self.archive.touched)

    def _watch_event(self, entry: Entry) -> None:
        event = reading.event(entry.data, entry.stored_at)
        assert entry.key == layout.event(event.id), "promise 2: an outcome lies under another id"
        frozen = self.freezes.get(event.freeze)
        assert frozen is not None and frozen.id == event.id and digest_of(event.payload) == event.freeze, "promise 1: of no freeze"
        look = self.looks[-1]
        people = [bank.name_of(subject) for subject, _ in event.decisions]
        assert len(set(people)) == len(people), "promise 4: one person counted twice"
        wanted = "Approve" if event.promotes else "Reject"
        for (subject, verdict), bundle in zip(event.decisions, event.seals, strict=True):
            who = bank.name_of(subject)
            pressed = self.presses.get((event.freeze, who))
            assert pressed is not None and pressed[0] == verdict == wanted, f"promise 4: {who} did not {wanted} this freeze"
            assert pressed[1].data == bundle, f"promise 4: the seal of {who} is not the archived one"
            assert subject not in frozen.claimants, f"promise 4: {who} asked for it"
            self._judge_grant(frozen, who, bundle)
        voices = [self.holder(event.freeze, who) for who in people]
        assert len(set(voices)) == len(voices), "promise 4: somebody's word counted twice"
        self._judge_tier(frozen, people, entry.stored_at)
        if event.promotes:
            assert self.suffices(frozen, people), f"promise 4: {people} do not suffice"
            assert set(people) <= set(self.carried(frozen)), "promise 4: a seal that no PromotionDecision carries"
            rejected = [one for one in self.rejections(frozen) if one.number <= look.began]
            assert not rejected, "promise 2: an archived Reject lost"
            live = self.live(frozen.model)
            unsure = look.raced or self.archive.touched
            assert unsure or frozen.live == (live.digest if live else None), "promise 4: approved against another incumbent"
        for key in self.pointers(frozen, promotes=event.promotes):
            assert key in self.archive.ledger, f"promise 5: {key} was not there before the event"
        self.events[event.id] = event

    def _judge_grant(self, frozen: Frozen, who: str, seal: bytes) -> None:
        carried = reading.grant_in(seal)
        if carried is None:
            return
        given = next((one for one in self.grants.values() if one.statement == carried.digest), None)
        pressed = parse_time(reading.signed(seal).predicate["decided"]["time"])
        assert given is not None and given.fits(who, frozen, pressed), f"promise 4: {who} decided by a grant that does not let them"
        assert bank.subject_of(given.grantor) not in frozen.claimants, f"promise 4: {given.grantor} asked for it"

    def _judge_tier(self, frozen: Frozen, people: list[str], at: datetime) -> None:
        """In tier 3 the engine decided, on what a check bears out; in no other did it."""
        assert ("engine" in people) == (frozen.tier == "tier-3"), f"promise 4: {people} decided in {frozen.tier}"
        if frozen.tier == "tier-3":
            assert people == ["engine"], f"promise 4: {people} decided in tier-3"
            theirs = [one for one in frozen.checks if one.key in bank.CHECKERS and self.keyring.is_good(one.key, at)]
            good = [one for one in theirs if not is_of(one, frozen.spec, frozen.shown) and is_quiet(one)]
            assert good, "promise 4: in tier-3 without a check that bears it out"

    def pointers(self, frozen: Frozen, *, promotes: bool) -> list[str]:
        history = layout.model_pointer(frozen.model, "production", frozen.id)
        return [history, layout.subject_pointer(frozen.image, "production", frozen.id)] if promotes else [history]

    def reported(self, _: Any, status: Any) -> None:
        """Judge a status that an operator wrote."""
        conditions = {one["type"]: one for one in status["conditions"]}
        if conditions["Promoted"]["status"] == "True":
            event = self.events.get(status["id"])
            assert event is not None and event.promotes, "promise 1: the status says Promoted without an event"
            assert not self.is_revoked(event), "promise 1: the status says Promoted of what was revoked"
            assert status["event"] == event.digest, "promise 1: the status names another event"

    # --- what runs ----------------------------------------------------------------------------------------------------------

    def counts(self, event: Event) -> bool:
        """Whether an event counts, by its bytes and by the trust file as it is.

        A policy's statement counts even where the enemy touched it: it is content-addressed, and a reader may have kept it.
        """
        frozen, at = self.freezes[event.freeze], event.stored_at
        grants = (reading.grant_in(one) for one in event.seals)
        inside = [one.key for one in (*(reading.signed(one) for one in event.seals), *grants, *frozen.submissions) if one is not None]
        if any(one.startswith(COUNTS) for one in frozen.routed.inputs):
            inside += [one.key for one in frozen.checks if one.key in bank.CHECKERS]
        statements = [self.archive.ledger.get(layout.statement("policy", one)) for one in frozen.statements]
        return (
            self.has_event(event.id)
            and all(self.keyring.is_good(key, at) for key in (event.key, *inside))
            and all(one is not None and self.keyring.is_good(reading.signed(one.data).key, one.stored_at) for one in statements)
        )

    def believed(self, event: Event) -> bool:
        """Whether an event counts, and whoever has a digest alone can find it."""
        pointer = layout.subject_pointer(self.freezes[event.freeze].image, "production", event.id)
        return self.counts(event) and self.archive.path(pointer).exists()

    def verifies(self, event: Event) -> bool:
        """Whether who remembers nothing, as the audit does, believes an event and so looks for what it names."""
        frozen = self.freezes[event.freeze]
        whole = all(self.archive.is_honest(layout.statement("policy", one)) for one in frozen.statements)
        return self.counts(event) and whole

    def ran(self, digest: str, namespace: str, *, admitted: bool) -> None:
        """Judge an answer of the gate (promises 1 and 7)."""
        key, now = (digest, namespace), self.archive.clock.monotonic()
        view = self._view(key, now)
        expected = any(self._admits(one, namespace) for one in view)
        if admitted and not expected:
            raise AssertionError(f"promise 1: {digest[:19]} runs in {namespace} without an event")
        if expected and not admitted and not self.archive.touched:
            raise AssertionError(f"promise 5: {digest[:19]} has its event, and the gate refuses it in {namespace}")

    def _view(self, key: tuple[str, str], now: float) -> tuple[Event, ...]:
        verified_at, remembered = self.remembered.get(key, (-GRACE, ()))
        if now - verified_at < (FRESH if remembered else FRESH_NEGATIVE) and key in self.remembered:
            return remembered
        if self.archive.faults.down:
            return remembered if now - verified_at < GRACE else ()
        believed = (one for one in self.events.values() if one.promotes and self.freezes[one.freeze].image == key[0] and self.believed(one))
        # The first that admits there settles it: the others are not read, and not remembered.
        view = tuple(one for one in sorted(believed, key=lambda one: one.id) if self._admits(one, key[1]))[:1]
        self.remembered[key] = (now, view)
        return view

    def _admits(self, event: Event, namespace: str) -> bool:
        until = self.valid_until(event)
        in_time = until is None or self.archive.clock.now() < until
        return namespace == "credit" and in_time and not self.may_be_revoked(event)

    def valid_until(self, event: Event) -> datetime | None:
        valid_for = self.freezes[event.freeze].spec.get("validFor")
        times = [parse_time(reading.signed(one).predicate["decided"]["time"]) for one in event.seals]
        return max(times) + timedelta(hours=int(valid_for.removesuffix("h"))) if valid_for else None

    # --- what remains -------------------------------------------------------------------------------------------------------

    def nothing_changed(self) -> None:
        """Every object is, byte for byte, what was written (promises 2 and 3)."""
        for key, entry in self.archive.ledger.items():
            assert key in self.archive.touched or self.archive.bytes_at(key) == entry.data, f"promise 2: {key} has changed"


def _includes(asks: dict[str, int], other: dict[str, int]) -> bool:
    if other == {"engine": 1} and asks != other:
        return True  # people stand in for the engine
    return sum(asks.values()) >= sum(other.values()) and all(asks.get(role, 0) >= count for role, count in other.items())
