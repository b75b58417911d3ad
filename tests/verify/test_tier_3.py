"""What a policy decided by itself is believed only over its check, and only by an engine. Tests are named after the rule that refuses."""

from __future__ import annotations

import json
from base64 import b64decode
from collections.abc import Callable
from copy import deepcopy
from datetime import UTC, datetime
from typing import Any

import pytest
from checking import ENGINE_GROUP, QUIET, bring, weekly
from world import CARLA, POLICY, SPEC, STORED, World, trusted_key

from signoff.decision.checks import measured
from signoff.decision.seals import CouldNotTell, KeyNotValid, NotBelieved
from signoff.policy.facts import History
from signoff.policy.routing import route
from signoff.record.bundle import read_bundle
from signoff.record.canonical import dumps
from signoff.record.freeze import Freeze, Principal
from signoff.record.keys import PemSigner, generate_pem
from signoff.record.promotion import REJECTION_TYPE, SealedDecision, as_json
from signoff.record.request import read_spec
from signoff.record.trust import Trust
from signoff.record.values import Digest, parse
from signoff.verify.policies import refuse_underived
from signoff.verify.verifier import Failed, verify

ENGINE = Principal(
    issuer="https://kubernetes.demo.bank.example", subject="signoff-system:signoff-engine", name="signoff-system:signoff-engine"
)
Change = Callable[[dict[str, Any]], None]


class Weekly:
    """A world in which credit models are refreshed by policy, over the check of a checker."""

    def __init__(self, world: World) -> None:
        self.world = world
        self.checker = PemSigner(generate_pem())
        self.stranger = PemSigner(generate_pem())
        self.trust = self.trusting()
        self.policy = world.publish("credit-models", weekly(POLICY, self.checker.key_id))

    def trusting(self, engines: tuple[dict[str, str], ...] = ({},), **changes: Any) -> Trust:
        named = [{"issuer": ENGINE.issuer, "subject": ENGINE.subject, **one} for one in engines]
        policies = as_json(self.world.trust.policies) | ({"engines": named} if named else {})
        keys = [trusted_key(self.world.seal_key, "seal"), trusted_key(self.world.event_key, "event")]
        return self.world.trust_with(keys=[*keys, {**trusted_key(self.checker, "check"), **changes}], policies=policies)

    def payload(self, change: Change = lambda _: None) -> tuple[bytes, Freeze]:
        """Return a payload that was frozen for the engine, with a change to it: what an operator that lies would freeze."""
        spec = deepcopy(SPEC)
        bring(spec, self.checker)
        read = read_spec(spec)
        frozen = self.world.freeze(spec, policies=(self.policy,))
        value = json.loads(frozen.payload)
        value["route"] = as_json(route(read, (self.policy,), History(), measured(read, self.trust, STORED, None)))
        change(value)
        payload = dumps(value)
        return payload, parse(Freeze, payload, "freeze")

    def decided(self, payload: bytes, freeze: Freeze, by: Principal = ENGINE) -> list[SealedDecision]:
        def pressed(value: dict[str, Any]) -> None:
            value["decided"] |= {"method": "token", "roles": ["engine"], "groups": [ENGINE_GROUP]}
            if freeze.route.tier != "tier-3":
                value["decided"] |= {"roles": ["approver"], "groups": ["model-approvers"]}

        return [self.world.seal(payload, freeze, by, change=pressed)]

    def verify(self, payload: bytes, freeze: Freeze, by: Principal = ENGINE, trust: Trust | None = None, **stored: Any) -> bool:
        bundle = self.world.bundle(payload, self.decided(payload, freeze, by))
        return verify(self.world.outcome(bundle, freeze.id, **stored), trust or self.trust, self.world.policies).promotes

    def refused(self, *args: Any, **options: Any) -> tuple[str, str]:
        with pytest.raises(Failed) as caught:
            self.verify(*args, **options)
        return caught.value.rule.name, caught.value.what


@pytest.fixture
def bank(world: World) -> Weekly:
    return Weekly(world)


def test_what_the_engine_decided_over_a_check_is_believed(bank: Weekly) -> None:
    payload, freeze = bank.payload()
    assert freeze.route.tier == "tier-3"
    assert bank.verify(payload, freeze)
    refuse_underived(freeze, bank.world.policies.__getitem__, bank.trust)


@pytest.mark.parametrize(
    ("changes", "why"),
    [
        ({"use": "seal"}, "no key that is trusted for checks here"),
        ({"validUntil": "2026-03-01T00:00:00Z"}, "was not valid when this was stored"),
        ({"compromised": {"at": "2026-03-01T00:00:00Z"}}, "was not valid when this was stored"),
        ({"targets": {"environments": ["staging"], "clusters": ["demo"]}}, "no key that is trusted for checks here"),
    ],
)
def test_rule_12_route_over_a_check_whose_key_does_not_count(bank: Weekly, changes: dict[str, Any], why: str) -> None:
    payload, freeze = bank.payload()
    rule, what = bank.refused(payload, freeze, trust=bank.trusting(**changes))
    assert (rule, why in what) == ("route", True), what


def brought_by(bank: Weekly, signer: PemSigner, change: Change = lambda _: None, count: int = 1) -> tuple[bytes, Freeze]:
    """Return a payload whose request brings other checks than the route says: the operator routed it to tier 3 all the same."""
    spec = deepcopy(SPEC)
    for number in range(count):
        bring(spec, signer, {**QUIET, "rows": str(number)}, change)
    right = bank.payload()[1].route
    inputs = {**right.inputs}
    digest = (
        read_bundle(b64decode(spec["checks"][0]["bundle"]), "check").digest if count else inputs["check of weekly-refresh, credit-models"]
    )
    inputs["check of weekly-refresh, credit-models"] = digest
    frozen = bank.world.freeze(spec, policies=(bank.policy,), name=f"credit-scoring-{count}")
    value = json.loads(frozen.payload)
    value["route"] = {**as_json(right), "inputs": inputs}
    payload = dumps(value)
    return payload, parse(Freeze, payload, "freeze")


@pytest.mark.parametrize(
    ("case", "why"),
    [
        ("foreign", "no check by the checker weekly"),
        ("none", "no check by the checker weekly"),
        ("several", "several checks"),
        ("another candidate", "another candidate"),
        ("against another version", "another version than is live"),
        ("other data", "that the request does not show"),
    ],
)
def test_rule_12_route_to_tier_3_without_a_check_that_counts(bank: Weekly, case: str, why: str) -> None:
    other: Digest = Digest("sha256:" + "7" * 64)
    changes: dict[str, Change] = {
        "another candidate": lambda value: value["candidate"].update(digest=other),
        "against another version": lambda value: value.update(incumbent={"version": "9.9", "digest": other}),
        "other data": lambda value: value["datasets"][0].update(digest=other),
    }
    signer = bank.stranger if case == "foreign" else bank.checker
    count = {"none": 0, "several": 2}.get(case, 1)
    rule, what = bank.refused(*brought_by(bank, signer, changes.get(case, lambda _: None), count))
    assert (rule, why in what) == ("route", True), what


def test_rule_12_route_names_another_check_than_it_rests_on(bank: Weekly) -> None:
    name = "check of weekly-refresh, credit-models"
    other = "sha256:" + "7" * 64
    rule, what = bank.refused(*bank.payload(lambda value: value["route"]["inputs"].update({name: other})))
    assert (rule, "does not name the check" in what) == ("route", True), what


def test_a_condition_that_the_check_does_not_meet_is_no_numbered_rule_and_is_found_by_deriving_again(bank: Weekly) -> None:
    """The gate evaluates no conditions. The door did, and whoever audits does."""
    payload, freeze = brought_by(bank, bank.checker, lambda value: value["measured"][0].update(value="0.9"))
    assert bank.verify(payload, freeze)
    with pytest.raises(NotBelieved, match="does not follow"):
        refuse_underived(freeze, bank.world.policies.__getitem__, bank.trust)


@pytest.mark.parametrize("name", ["owed", "passed over"])
def test_rule_12_route_over_what_does_not_count_as_live(bank: Weekly, name: str) -> None:
    rule, what = bank.refused(*bank.payload(lambda value: value["route"]["inputs"].update({name: "x"})))
    assert (rule, "what does not count as live" in what) == ("route", True), what


def test_what_people_decided_stands_whatever_becomes_of_the_check_that_would_have_spared_them(bank: Weekly) -> None:
    """Two policies; people were followed. The checker's key turns out to have been in other hands, and changes nothing."""
    house = bank.world.publish("a-house-rule", POLICY)
    spec = deepcopy(SPEC)
    bring(spec, bank.checker)
    read = read_spec(spec)
    frozen = bank.world.freeze(spec, policies=(bank.policy, house))
    value = json.loads(frozen.payload)
    value["route"] = as_json(route(read, (bank.policy, house), History(), measured(read, bank.trust, STORED, None)))
    payload = dumps(value)
    freeze = parse(Freeze, payload, "freeze")
    assert (freeze.route.tier, freeze.route.policy) == ("tier-2", "a-house-rule")
    for changes in ({}, {"compromised": {"at": "2026-02-01T00:00:00Z"}}, {"validUntil": "2026-02-01T00:00:00Z"}, {"name": "renamed"}):
        assert bank.verify(payload, freeze, CARLA, bank.trusting(**changes))
        refuse_underived(freeze, bank.world.policies.__getitem__, bank.trusting(**changes))


def test_what_was_wrong_with_a_key_then_stays_what_the_record_says(bank: Weekly) -> None:
    spec = deepcopy(SPEC)
    bring(spec, bank.checker)
    read, staging = read_spec(spec), bank.trusting(targets={"environments": ["staging"], "clusters": ["demo"]})
    frozen = bank.world.freeze(spec, policies=(bank.policy,))
    value = json.loads(frozen.payload)
    value["route"] = as_json(route(read, (bank.policy,), History(), measured(read, staging, STORED, None)))
    freeze = parse(Freeze, dumps(value), "freeze")
    assert freeze.route.tier == "tier-2"
    refuse_underived(freeze, bank.world.policies.__getitem__, staging)
    refuse_underived(freeze, bank.world.policies.__getitem__, bank.trust)


def test_behind_a_key_that_was_disowned_there_is_no_history_and_the_model_goes_on(bank: Weekly) -> None:
    """Like an event whose own key does not count: passed over, not a wall."""
    payload, freeze = bank.payload()
    outcome = bank.world.outcome(bank.world.bundle(payload, bank.decided(payload, freeze)), freeze.id)
    for trust in (bank.trusting(compromised={"at": "2026-02-01T00:00:00Z"}), bank.trusting(({"validUntil": "2026-02-01T00:00:00Z"},))):
        with pytest.raises(Failed) as caught:
            verify(outcome, trust, bank.world.policies)
        assert isinstance(caught.value.__cause__, KeyNotValid)


def test_rule_13_quorum_an_engine_that_rejects_or_decides_in_somebodys_name(bank: Weekly) -> None:
    payload, freeze = bank.payload()
    rejecting = bank.world.seal(
        payload, freeze, ENGINE, "Reject", change=lambda v: v["decided"].update(roles=["engine"], groups=[ENGINE_GROUP])
    )
    bundle = bank.world.bundle(payload, [rejecting], kind=REJECTION_TYPE)
    with pytest.raises(Failed, match="rejects nothing") as caught:
        verify(bank.world.outcome(bundle, freeze.id), bank.trust, bank.world.policies)
    assert caught.value.rule.name == "quorum"


def test_rule_13_quorum_a_person_in_the_engines_place(bank: Weekly) -> None:
    rule, what = bank.refused(*bank.payload(), by=CARLA)
    assert (rule, "is no policy engine in the trust file" in what) == ("quorum", True), what


@pytest.mark.parametrize(
    "engines",
    [
        pytest.param((), id="none is named"),
        pytest.param(({"subject": "signoff-system:signoff-operator"},), id="another account"),
        pytest.param(({"issuer": "https://elsewhere"},), id="of another issuer"),
        pytest.param(({"validUntil": "2026-03-01T00:00:00Z"},), id="one that ended before"),
        pytest.param(({"validFrom": "2026-04-01T00:00:00Z"},), id="one that came later"),
    ],
)
def test_rule_13_quorum_an_engine_that_the_trust_file_does_not_name(bank: Weekly, engines: tuple[dict[str, str], ...]) -> None:
    rule, what = bank.refused(*bank.payload(), trust=bank.trusting(engines))
    assert (rule, "no policy engine" in what) == ("quorum", True), what


def test_rule_13_quorum_the_engine_in_the_place_of_people(bank: Weekly) -> None:
    frozen = bank.world.freeze()
    rule, what = bank.refused(frozen.payload, frozen.freeze)
    assert (rule, "is a policy engine, and no person" in what) == ("quorum", True), what


def test_rule_13_quorum_could_not_tell_when_an_engine_that_has_ended_decided(bank: Weekly) -> None:
    trust = bank.trusting(({"validUntil": "2026-12-01T00:00:00Z"},))
    payload, freeze = bank.payload()
    assert bank.verify(payload, freeze, trust=trust)
    with pytest.raises(CouldNotTell):
        bank.verify(payload, freeze, trust=trust, stored_at=None)


def test_what_was_decided_stays_decided_when_checker_and_engine_end(bank: Weekly) -> None:
    payload, freeze = bank.payload()
    ended = {"validUntil": "2026-12-01T00:00:00Z"}
    assert bank.verify(payload, freeze, trust=bank.trusting((ended,), **ended))
    late = datetime(2026, 12, 2, tzinfo=UTC)
    assert bank.refused(payload, freeze, trust=bank.trusting((ended,)), stored_at=late)[0] == "quorum"
    assert bank.refused(payload, freeze, trust=bank.trusting(**ended), stored_at=late)[0] == "route"
