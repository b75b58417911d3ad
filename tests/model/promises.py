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
 5. Every promotion has its event. A quorum leads to its event by the next look that nothing disturbs, and the pointers by which the gate
    finds it lie there before it.
 6. The archive alone suffices. A cluster made anew from the same manifests comes to the same outcomes.
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
from signoff.record.values import parse_time
from tests.model import bank, reading
from tests.model.archive import Archive, Entry
from tests.model.reading import Event, Frozen, Routed, digest_of, suffices

Value = dict[str, Any]
FRESH, FRESH_NEGATIVE, GRACE = 10.0, 2.0, 900.0


@dataclass(frozen=True)
class Press:
    """What somebody asks the door to seal."""

    who: str
    freeze: str
    verdict: str
    may: bool


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
        return not (self.archive.touched or self.keyring.ended or self.edited or self.archive.faults.down)

    def promotion(self, name: str) -> Value | None:
        return self.objects.get(("modelpromotions", "credit", name))

    def has_event(self, request: str) -> bool:
        return request in self.events and self.archive.is_honest(layout.event(request))

    def live(self, model: str) -> Event | None:
        """The model's promotion that the archive took last."""
        ours = (one for one in self.events.values() if self.freezes[one.freeze].model == model)
        promoted = [one for one in ours if one.promotes and self.has_event(one.id)]
        return max(promoted, key=lambda one: one.stored_at, default=None)

    def route(self, spec: Value) -> Routed | None:
        """Who is asked by the policies in force, and why; None where there are none, or where they cannot be reconciled."""
        model, live = spec["model"]["name"], self.live(spec["model"]["name"])
        major = spec.get("materiality", {}).get("change") == "major"
        inputs = {"environment": "production", "model": model, "namespaces": "credit"}
        covering: list[tuple[str, int, str, str, dict[str, int]]] = []
        for plural, _, name in sorted(self.objects):
            if plural != "promotionpolicies":
                continue
            text = self.objects[(plural, "", name)]["spec"]
            if text["models"][0]["names"][0] not in {"credit-*", model}:
                continue
            tier, rule = "tier-2", "named-individual"
            if "tier-1" in text["tiers"]:
                promoted = self.freezes[live.freeze] if live else None
                inputs["incumbent"] = f"{promoted.spec['model']['version']} ({promoted.tier})" if promoted else "none"
                inputs["valid for"] = spec.get("validFor") or "no end"
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
        live, route = self.live(spec["model"]["name"]), self.route(spec)
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

    def suffices(self, freeze: Frozen, people: list[str]) -> bool:
        holders = [frozenset(role for role, groups in freeze.roles.items() if groups & set(bank.GROUPS[who])) for who in people]
        return suffices(freeze.asks, holders)

    def may(self, who: str, freeze: str, verdict: str, name: str) -> bool:
        """Whether the door must seal this press, in a calm world."""
        frozen, promotion = self.freezes.get(freeze), self.promotion(name)
        if frozen is None or promotion is None or who not in bank.GROUPS or (frozen.name, frozen.spec) != (name, promotion["spec"]):
            return False
        asked = frozen.claimants | {promotion["submission"]["subject"]}
        if f"{who}@bank.example" in asked or (who == "flo" and bank.FLUX in asked) or f"{who}@bank.example" not in bank.MAY_APPROVE:
            return False
        route = self.route(frozen.spec)
        if not any(groups & set(bank.GROUPS[who]) for groups in frozen.roles.values()):
            return False
        if route is None or route.tier < frozen.tier or not _includes(frozen.asks, route.asks):
            return False
        stored = self.presses.get((freeze, who))
        if stored is not None and stored[0] != verdict:
            return False
        if self.has_event(frozen.id):
            return stored is not None
        live = self.live(frozen.model)
        return frozen.live == (live.digest if live else None)

    def expected(self, name: str) -> str:
        """The state that a look must come to in a calm world."""
        promotion = self.objects[("modelpromotions", "credit", name)]
        spec = promotion["spec"]
        if "demo" not in spec["target"]["clusters"]:
            return "OtherCluster"
        of_request = [one for one in self.freezes.values() if (one.name, one.spec) == (name, spec)]
        for one in of_request:
            if self.has_event(one.id):
                return "Promoted" if self.events[one.id].promotes else "Rejected"
        if self.route(spec) is None:
            return "NoPolicy"
        live, named = self.live(spec["model"]["name"]), spec["model"].get("incumbent")
        if live is not None and (named is None or named["digest"] != self.freezes[live.freeze].image):
            return "Stale"
        fitting = self.fitting(promotion)
        if fitting and self.rejections(fitting[0]):
            return "Rejected"
        return "Promoted" if fitting and self.suffices(fitting[0], self.carried(fitting[0])) else "AwaitingDecision"

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
        elif folder == "statements":
            assert self.publishing == "paula", f"promise 4: {self.publishing or 'nobody'} published a policy"
        elif folder == "events":
            self._watch_event(entry)

    def _watch_freeze(self, entry: Entry) -> None:
        frozen = reading.frozen(entry.data)
        assert entry.key == layout.freeze(frozen.id, frozen.digest), "promise 2: a freeze lies under another key"
        for digest in frozen.named:
            found = self.archive.ledger.get(layout.blob(digest))
            assert found is not None and digest_of(found.data) == digest, f"promise 3: {digest} was shown and is not archived"
        self.freezes[frozen.digest] = frozen

    def _watch_seal(self, entry: Entry) -> None:
        seal = reading.signed(entry.data).predicate
        said = (bank.name_of(seal["decided"]["principal"]["subject"]), seal["freeze"], seal["decided"]["verdict"])
        press = self.pressing
        assert press is not None and said == (press.who, press.freeze, press.verdict), f"promise 4: nobody pressed {said}"
        assert press.may, f"promise 4: {said} was sealed, and ought to have been refused"
        assert seal["rendition"] in self.freezes[press.freeze].renditions, "promise 3: sealed what was not shown"
        assert entry.key == layout.seal(press.freeze, seal["decided"]["principal"]["issuer"], seal["decided"]["principal"]["subject"])
        self.presses[(press.freeze, press.who)] = (press.verdict, entry)

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

    def pointers(self, frozen: Frozen, *, promotes: bool) -> list[str]:
        history = layout.model_pointer(frozen.model, "production", frozen.id)
        return [history, layout.subject_pointer(frozen.image, "production", frozen.id)] if promotes else [history]

    def reported(self, _: Any, status: Any) -> None:
        """Judge a status that an operator wrote."""
        conditions = {one["type"]: one for one in status["conditions"]}
        if conditions["Promoted"]["status"] == "True":
            event = self.events.get(status["id"])
            assert event is not None and event.promotes, "promise 1: the status says Promoted without an event"
            assert status["event"] == event.digest, "promise 1: the status names another event"

    # --- what runs ----------------------------------------------------------------------------------------------------------

    def believed(self, event: Event) -> bool:
        """Whether an event counts, by the archive and the trust file as they are.

        A policy's statement counts even where the enemy touched it: it is content-addressed, and a reader may have kept it.
        """
        frozen, at = self.freezes[event.freeze], event.stored_at
        keys = [event.key, *(reading.signed(one).key for one in event.seals), *(one.key for one in frozen.submissions)]
        statements = [self.archive.ledger.get(layout.statement("policy", one)) for one in frozen.statements]
        return (
            self.has_event(event.id)
            and all(self.keyring.is_good(key, at) for key in keys)
            and all(one is not None and self.keyring.is_good(reading.signed(one.data).key, one.stored_at) for one in statements)
            and self.archive.path(layout.subject_pointer(frozen.image, "production", event.id)).exists()
        )

    def verifies(self, event: Event) -> bool:
        """Whether who remembers nothing, as the audit does, believes an event and so looks for what it names."""
        statements = self.freezes[event.freeze].statements
        return self.believed(event) and all(self.archive.is_honest(layout.statement("policy", one)) for one in statements)

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
        return namespace == "credit" and (until is None or self.archive.clock.now() < until)

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
    return sum(asks.values()) >= sum(other.values()) and all(asks.get(role, 0) >= count for role, count in other.items())
