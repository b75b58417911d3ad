"""Rules and their conditions: what one policy makes of a request, and which conditions are refused."""

from __future__ import annotations

import json
from copy import deepcopy
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st
from world import CARLA, DAVID, POLICY, SPEC, World

from signoff.policy.conditions import CLAIMS, FACTS, NoAnswer, check_conditions, holds
from signoff.policy.facts import History, facts_of, history_of
from signoff.policy.routing import asks_the_same, derived_again, is_stricter, judge, route
from signoff.policy.schema import TIERS, PolicySpec, Published, read_policy
from signoff.record.canonical import dumps
from signoff.record.freeze import Freeze, LiveIncumbent
from signoff.record.promotion import as_json
from signoff.record.request import Spec, read_spec
from signoff.record.values import RecordError, parse, sha256
from signoff.verify.verifier import Failed, verify

CASES = yaml.safe_load((Path(__file__).parent / "cases" / "rules.yaml").read_text(encoding="utf-8"))
REQUIREMENT = POLICY["tiers"]["tier-2"]
COMMITTEE = {**REQUIREMENT, "quorum": 2}
LIVE = LiveIncumbent(id="a" * 64, event=sha256(b"event"), version="2.3.0", digest=sha256(b"live"))
BOTH_ALIKE = {"tier-1": REQUIREMENT, "tier-2": REQUIREMENT}


def replacing() -> dict[str, Any]:
    """The example, as a request that replaces the live version."""
    spec = deepcopy(SPEC)
    spec["model"]["incumbent"] = {"version": LIVE.version, "digest": LIVE.digest}
    spec["comparison"]["incumbent"] = {**spec["model"]["incumbent"], "metrics": [{"name": "auc", "value": "0.8049"}]}
    return spec


def each(section: str) -> pytest.MarkDecorator:
    return pytest.mark.parametrize("case", [pytest.param(case, id=case["name"]) for case in CASES[section]])


def rules(listed: list[list[str]]) -> list[dict[str, Any]]:
    made: list[dict[str, Any]] = [dict(zip(("name", "tier", "when"), one, strict=False)) for one in listed]
    return [{**rule, "emergency": True} if one[3:] else rule for rule, one in zip(made, listed, strict=True)]


def policy(listed: list[list[str]], raising: list[list[str]] | None = None, **changes: Any) -> dict[str, Any]:
    spec: dict[str, Any] = {
        "models": [{"names": ["credit-*"], "namespaces": ["credit"], "class": "credit decision"}],
        "rules": rules(listed),
        "tiers": {"tier-1": COMMITTEE, "tier-2": REQUIREMENT},
        **changes,
    }
    return {**spec, "raise": rules(raising)} if raising else spec


def published(spec: dict[str, Any], name: str = "credit-models") -> Published:
    return Published(name, read_policy(spec), sha256(dumps(spec)))


def asking(case: dict[str, Any]) -> tuple[Spec, History]:
    spec = replacing() if "live" in case else deepcopy(SPEC)
    spec.pop("validFor", None)
    spec |= {"materiality": case["claims"]} if "claims" in case else {}
    spec |= {"validFor": case["valid"]} if "valid" in case else {}
    return read_spec(spec), History(LIVE.version, case["live"]) if "live" in case else History()


@each("leads")
def test_where_the_rules_lead(case: dict[str, Any]) -> None:
    spec, history = asking(case)
    found = route(spec, [published(policy(case["rules"], case.get("raise")))], history)
    assert (found.tier, found.rule) == (case["tier"], case["rule"])
    assert found.requirement.quorum == {"tier-1": 2, "tier-2": 1}[found.tier]
    assert (found.considered[0].rule, found.considered[0].tier) == (found.rule, found.tier)


@each("leads")
def test_the_gate_knows_every_rule_that_the_record_names(case: dict[str, Any]) -> None:
    spec, history = asking(case)
    followed = published(policy(case["rules"], case.get("raise")))
    found = route(spec, [followed], history)
    assert followed.spec.leads_to(found.rule) == found.tier


@each("refused")
def test_a_condition_that_does_not_compile_is_refused_with_its_position(case: dict[str, Any]) -> None:
    raising = case.get("raise", False)
    spec = policy([["all", "tier-2"]], [["b", "tier-1", case["when"]]]) if raising else policy([["a", "tier-2", case["when"]]])
    with pytest.raises(RecordError) as refused:
        check_conditions(read_policy(spec))
    assert case["why"] in refused.value.what
    assert refused.value.where == f"spec.{'raise' if raising else 'rules'}[0].when"
    assert "model.name, model.version, model.class" in refused.value.mend
    assert ("claims.materiality" in refused.value.mend) is raising


def test_every_variable_can_be_asked_for_and_is_given() -> None:
    facts = facts_of(read_spec(replacing()), History(LIVE.version, "tier-2")).by_name
    assert set(facts) == {*FACTS, *CLAIMS}
    kinds = {**FACTS, **CLAIMS}
    asks = {
        "text": '{} != "?"',
        "yes or no": "{} || !{}",
        "whole number": "{} >= 0",
        "list of text": "{}.size() > 0",
        "text by name": "{}.size() >= 0",
        "figure by name": "{}.size() > 0",
    }
    for name, kind in kinds.items():
        assert holds(asks[kind].format(name, name), facts, claims=True), name
    for name, kind in FACTS.items():
        assert holds(asks[kind].format(name, name), facts, claims=False), name


@pytest.mark.parametrize("name", CLAIMS)
def test_rules_do_not_see_claims(name: str) -> None:
    with pytest.raises(NoAnswer, match="undeclared reference"):
        holds(f"{name}.size() >= 0", facts_of(read_spec(SPEC), History()).by_name, claims=False)


CONDITIONS = st.sampled_from(
    ["true", "false", "nothing", '{"a": true}["b"]', "incumbent.exists", 'claims.materiality["a"] == "b"', '"a" in claims.materiality']
)
TIER = st.sampled_from(["tier-1", "tier-2"])
LISTED = st.lists(st.tuples(TIER, CONDITIONS), max_size=4)


@given(LISTED.filter(bool), LISTED, st.dictionaries(st.sampled_from("ab"), st.sampled_from("bc")), st.booleans())
def test_claims_and_raising_rules_only_make_it_stricter(
    listed: list[tuple[str, str]], raising: list[tuple[str, str]], claims: dict[str, str], live: bool
) -> None:
    named = [[f"r{index}", *one] for index, one in enumerate(listed)]
    raised = [[f"s{index}", *one] for index, one in enumerate(raising)]
    spec, history = asking({"claims": claims, **({"live": "tier-2"} if live else {})})
    without_claims, _ = asking({"live": "tier-2"} if live else {})
    before = route(spec, [published(policy(named))], history)
    found = route(spec, [published(policy(named, raised))], history)
    assert before.tier == route(without_claims, [published(policy(named))], history).tier
    assert TIERS.index(found.tier) <= TIERS.index(before.tier)
    assert found == route(spec, [published(policy(named, raised))], history)


def test_what_was_looked_at_is_told_step_by_step() -> None:
    judged = judge(
        published(policy([["a", "tier-2", "false"], ["b", "tier-2"], ["c", "tier-1"]], [["d", "tier-1", 'claims.materiality["x"] == ""']])),
        facts_of(read_spec(SPEC), History()),
    )
    told = [(step.rule.name, step.raising, step.answer) for step in judged.steps]
    assert told == [("a", False, "does not hold"), ("b", False, "holds"), ("c", False, "not asked"), ("d", True, "cannot be told")]
    assert "x" in judged.steps[3].why
    assert (judged.rule, judged.tier, judged.before) == ("d", "tier-1", "b (tier-2)")


@pytest.mark.parametrize(
    ("entries", "namespaces", "classes"),
    [
        ([(["credit-*"], ["credit"], "a")], ["credit"], ("a",)),
        ([(["credit-*"], ["credit"], None)], ["credit"], ("",)),
        ([(["credit-*"], ["cards"], "a"), (["*"], ["*"], "b")], ["credit"], ("b",)),
        ([(["credit-*"], ["cards"], "a"), (["*"], ["*"], "b")], ["credit", "cards"], ("a", "b")),
        ([(["credit-*"], ["credit"], "a"), (["*"], ["cards"], None)], ["credit", "cards"], ("", "a")),
        ([(["credit-*"], ["credit"], "a"), (["*"], ["*"], "b")], ["credit"], ("a",)),
        ([(["other"], ["*"], "a")], ["credit"], ()),
    ],
)
def test_the_first_entry_that_fits_gives_the_class_in_each_namespace(
    entries: list[tuple[list[str], list[str], str | None]], namespaces: list[str], classes: tuple[str, ...]
) -> None:
    models = [{"names": names, "namespaces": spaces, **({"class": given} if given is not None else {})} for names, spaces, given in entries]
    read = read_policy(policy([["a", "tier-2"]], models=models))
    assert read.classes_of("credit-scoring", namespaces) == classes


@pytest.mark.parametrize("namespaces", [["credit"], ["credit", "lab"], ["lab", "credit"]])
def test_bypass_14_a_further_namespace_gives_no_laxer_class(namespaces: list[str]) -> None:
    models = [
        {"names": ["credit-*"], "namespaces": ["lab"], "class": "experiment"},
        {"names": ["credit-*"], "namespaces": ["credit"], "class": "credit decision"},
    ]
    rules_by_class = [["experiment", "tier-2", 'model.class == "experiment"'], ["decision", "tier-1"]]
    spec = deepcopy(SPEC)
    spec["target"]["namespaces"] = namespaces
    found = route(read_spec(spec), [published(policy(rules_by_class, models=models))], History())
    assert (found.tier, found.rule) == ("tier-1", "decision")
    assert found.inputs["class by credit-models"] == "credit decision"


def test_a_route_says_what_the_rules_saw() -> None:
    raised = published(policy([["again", "tier-2", "incumbent.exists"]], [["pop", "tier-1", 'claims.materiality["p"] == "new"']]))
    spec, history = asking({"claims": {"p": "new"}, "live": "tier-2", "valid": "24h"})
    assert route(spec, [raised], history).inputs == {
        "environment": "production",
        "model": "credit-scoring",
        "namespaces": "credit",
        "incumbent": "2.3.0 (tier-2)",
        "valid for": "24h",
        "class by credit-models": "credit decision",
        "condition of pop, credit-models": 'claims.materiality["p"] == "new"',
        "raised by credit-models": "again (tier-2) to tier-1 by pop",
    }


def test_a_policy_without_conditions_routes_as_it_always_did() -> None:
    found = route(read_spec(SPEC), [published(POLICY)], History(LIVE.version, "tier-2"))
    assert set(found.inputs) == {"environment", "model", "namespaces"}


def test_a_policys_bytes_are_its_own_again() -> None:
    spec = policy([["a", "tier-2", "true"]], [["b", "tier-1", "false"]])
    assert as_json(read_policy(spec)) == spec
    assert isinstance(read_policy(as_json(read_policy(POLICY))), PolicySpec)


def test_a_frozen_route_follows_from_the_payload_alone(world: World) -> None:
    followed = world.publish("credit-models", policy([["again", "tier-2", 'incumbent.tier == "tier-2"']], [["pop", "tier-1", "false"]]))
    frozen = world.freeze(replacing(), policies=(followed,), live=LIVE, live_tier="tier-2")
    assert history_of(frozen.freeze) == History(LIVE.version, "tier-2", live=LIVE.shown)
    assert frozen.freeze.route.tier == "tier-2"
    assert derived_again(frozen.freeze, [followed], ())


@pytest.mark.parametrize(
    "change",
    [
        {"inputs": {"incumbent": "2.3.0 (tier-1)"}},
        {"inputs": {"incumbent": "2.3.0 (tier-9)"}},
        {"inputs": {"incumbent": "none"}},
        {"inputs": {"valid for": "24h"}},
        {"rule": "other", "considered": {"rule": "other"}},
    ],
    ids=["another tier of the live version", "no such tier", "no live version", "another validity", "a rule that did not match"],
)
def test_a_route_that_does_not_follow_is_found(world: World, change: dict[str, Any]) -> None:
    listed = [["again", "tier-2", 'incumbent.tier == "tier-2"'], ["other", "tier-2", "false"]]
    followed = world.publish("credit-models", policy(listed))
    frozen = world.freeze(replacing(), policies=(followed,), live=LIVE, live_tier="tier-2")
    value = json.loads(frozen.payload)
    value["route"]["inputs"] |= change.get("inputs", {})
    value["route"] |= {"rule": change["rule"]} if "rule" in change else {}
    value["route"]["considered"][0] |= change.get("considered", {})
    assert not derived_again(parse(Freeze, dumps(value), "freeze"), [followed], ())


@pytest.mark.parametrize(
    ("rule", "tier", "believed"),
    [
        ("a", "tier-2", True),
        ("b", "tier-1", True),
        ("unmatched", "tier-1", True),
        ("failed", "tier-1", True),
        ("a", "tier-1", False),
        ("b", "tier-2", False),
        ("unmatched", "tier-2", False),
        ("failed", "tier-2", False),
        ("c", "tier-2", False),
    ],
)
def test_rule_12_a_rule_of_either_list_and_what_stands_for_none_lead_where_the_policy_says(
    world: World, rule: str, tier: str, believed: bool
) -> None:
    followed = world.publish("credit-models", policy([["a", "tier-2", "true"]], [["b", "tier-1", "true"]], tiers=BOTH_ALIKE))
    frozen = world.freeze(policies=(followed,))
    value = json.loads(frozen.payload)
    value["route"] |= {"rule": rule, "tier": tier}
    value["route"]["considered"][0] |= {"rule": rule, "tier": tier}
    payload = dumps(value)
    event = world.bundle(payload, [world.seal(payload, parse(Freeze, payload, "freeze"), CARLA)])
    if believed:
        assert verify(world.outcome(event), world.trust, world.policies).freeze.route.rule == rule
        return
    with pytest.raises(Failed, match=f"has no rule {rule} for {tier}") as refused:
        verify(world.outcome(event), world.trust, world.policies)
    assert refused.value.rule.name == "route"


EMERGENCY = [["outage", "tier-2", "true", "emergency"], ["all", "tier-1"]]


def test_an_emergency_says_so_of_itself_and_what_it_owes(world: World) -> None:
    followed = world.publish("credit-models", policy(EMERGENCY))
    hasty = world.freeze({**SPEC, "validFor": "24h"}, policies=(followed,)).freeze
    assert hasty.route.inputs["emergency"] == "for 24 hours; a full approval is owed"
    assert derived_again(hasty, [followed], ())
    assert "emergency" not in world.freeze(policies=(followed,)).freeze.route.inputs


def hastened(route: dict[str, Any]) -> None:
    route |= {"rule": "outage", "tier": "tier-2"}
    route["considered"][0] |= {"rule": "outage", "tier": "tier-2"}
    route["inputs"]["emergency"] = "for 25 hours; a full approval is owed"


@pytest.mark.parametrize(
    ("valid_for", "change", "why"),
    [
        ("24h", lambda route: route["inputs"].pop("emergency"), "does not say of itself whether it is an emergency"),
        ("8760h", lambda route: route["inputs"].update(emergency="now"), "does not say of itself whether it is an emergency"),
        ("25h", hastened, "an emergency is promoted for at most 24 hours"),
    ],
    ids=["an emergency that hides", "what is no emergency says that it is", "an emergency that lasts"],
)
def test_rule_12_route_of_an_emergency(world: World, valid_for: str, change: Any, why: str) -> None:
    followed = world.publish("credit-models", policy(EMERGENCY, tiers=BOTH_ALIKE))
    frozen = world.freeze({**SPEC, "validFor": valid_for}, policies=(followed,))
    value = json.loads(frozen.payload)
    change(value["route"])
    payload = dumps(value)
    event = world.bundle(payload, [world.seal(payload, parse(Freeze, payload, "freeze"), CARLA)])
    with pytest.raises(Failed, match=why) as refused:
        verify(world.outcome(event), world.trust, world.policies)
    assert refused.value.rule.name == "route"


@pytest.mark.parametrize("quorum", [1, 2])
def test_bypass_14_an_emergency_is_marked_whichever_policy_is_followed(world: World, quorum: int) -> None:
    floor = {**policy([["floor", "tier-2"]]), "tiers": {"tier-2": {**REQUIREMENT, "quorum": quorum}}}
    both = (world.publish("credit-models", policy(EMERGENCY)), world.publish("all-models", floor))
    frozen = world.freeze({**SPEC, "validFor": "24h"}, policies=both)
    assert frozen.freeze.route.policy == "all-models"
    assert "emergency" in frozen.freeze.route.inputs
    value = json.loads(frozen.payload)
    del value["route"]["inputs"]["emergency"]
    payload = dumps(value)
    people = [world.seal(payload, parse(Freeze, payload, "freeze"), one) for one in (CARLA, DAVID)[:quorum]]
    with pytest.raises(Failed, match="does not say of itself whether it is an emergency"):
        verify(world.outcome(world.bundle(payload, people)), world.trust, world.policies)


def test_bypass_14_an_emergency_is_not_renewed_before_somebody_decided_in_full() -> None:
    spec = read_spec({**deepcopy(replacing()), "validFor": "24h"})
    hasty = [published(policy(EMERGENCY))]
    assert route(spec, hasty, History("2.2.0", "tier-1")).rule == "outage"
    owing = route(spec, hasty, History("2.2.0", "tier-1", owed=True))
    assert (owing.rule, owing.tier) == ("all", "tier-1")
    assert "owed" in owing.inputs


def test_a_rule_that_becomes_one_for_an_emergency_ends_the_old_desk() -> None:
    spec = read_spec({**SPEC, "validFor": "24h"})
    before = route(spec, [published(policy([["outage", "tier-2", "true"], ["all", "tier-1"]]))], History())
    after = route(spec, [published(policy(EMERGENCY))], History())
    assert is_stricter(after, before)
    assert not asks_the_same(after, before)
    assert not is_stricter(before, after)
