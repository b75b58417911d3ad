"""Rules that rest on a signed check: tier 3 where it bears them out, people where anything is missing, and the reason in the record."""

from __future__ import annotations

from collections.abc import Sequence
from copy import deepcopy
from typing import Any

import pytest
from checking import DRIFTED, ENGINE_GROUP, QUIET, WHEN, weekly
from world import POLICY, SPEC

from signoff.policy.conditions import check_conditions
from signoff.policy.facts import History, Measured
from signoff.policy.routing import asks_the_same, is_stricter, route
from signoff.policy.schema import Published, read_policy
from signoff.record.freeze import Route
from signoff.record.request import read_spec
from signoff.record.values import Digest, RecordError, sha256

KEY, OTHER = sha256(b"the checker's key"), sha256(b"another key")
CHECK, REFERENCE = sha256(b"a check"), sha256(b"the reference population")


def check(figures: dict[str, str] | None = None, *, key: Digest = KEY, flaw: str = "", digest: Digest = CHECK) -> Measured:
    return Measured(digest, key, dict(QUIET) if figures is None else figures, (REFERENCE,), flaw)


def published(spec: dict[str, Any], name: str = "credit-models") -> Published:
    return Published(name, read_policy(spec), sha256(name.encode()))


def routed(*checks: Measured, policies: Sequence[Published] = (), when: str = WHEN, **changes: Any) -> Route:
    return route(read_spec({**SPEC, **changes}), policies or [published(weekly(POLICY, KEY, when=when))], History(), checks)


def why(found: Route) -> str:
    return found.inputs["not by weekly-refresh, credit-models"]


def test_a_check_that_bears_the_rule_out_leads_to_tier_3_and_is_named() -> None:
    found = routed(check())
    assert (found.tier, found.rule) == ("tier-3", "weekly-refresh")
    assert found.inputs[f"check {CHECK}"] == "counts"
    assert found.inputs["check of weekly-refresh, credit-models"] == CHECK
    assert found.requirement.roles[0].groups == (ENGINE_GROUP,)
    assert not any(name.startswith("not by") for name in found.inputs)


@pytest.mark.parametrize(
    ("checks", "told"),
    [
        pytest.param((), "no check by the checker weekly", id="missing"),
        pytest.param((check(key=OTHER),), "no check by the checker weekly", id="foreign"),
        pytest.param((check(), check(digest=OTHER)), "several checks by the checker weekly", id="several, of which one could be picked"),
        pytest.param((check(flaw="it is stale"),), "the check by weekly does not count: it is stale", id="one that does not count"),
        pytest.param((check(dict(DRIFTED)),), "its condition does not hold: psi.max is 0.31, auc.change is 0.0009", id="drift"),
        pytest.param((check({"auc": "0.9"}),), "its condition cannot be told", id="without the figures that are asked for"),
    ],
)
def test_whatever_the_check_does_not_bear_out_goes_to_people_and_says_why(checks: tuple[Measured, ...], told: str) -> None:
    found = routed(*checks)
    assert (found.tier, found.rule) == ("tier-2", "named-individual")
    assert why(found) == told


def test_what_the_requester_claims_opens_no_tier_3() -> None:
    """Claimed figures, materiality and words of the request are not in the table that a rule for tier 3 sees."""
    for claim in ('claims.candidate["auc"] > 0.8', 'claims.materiality["change"] == "none"', "claims.incumbent.size() == 0"):
        with pytest.raises(RecordError, match="undeclared reference"):
            check_conditions(read_policy(weekly(POLICY, KEY, when=claim)))
    claiming = deepcopy(SPEC)
    claiming["comparison"]["candidate"]["metrics"] = [{"name": "psi.max", "value": "0.01"}, {"name": "auc.change", "value": "0.5"}]
    assert route(read_spec(claiming), [published(weekly(POLICY, KEY))], History(), ()).tier == "tier-2"


def test_a_claim_makes_what_a_check_bears_out_stricter() -> None:
    policy = weekly(POLICY, KEY)
    policy["raise"] = [{"name": "new-population", "tier": "tier-2", "when": 'claims.materiality["population"] != "unchanged"'}]
    found = routed(check(), policies=[published(policy)], materiality={"population": "self-employed"})
    assert (found.tier, found.rule) == ("tier-2", "new-population")
    assert found.inputs["raised by credit-models"] == "weekly-refresh (tier-3) to tier-2 by new-population"
    assert routed(check(), policies=[published(policy)], materiality={"population": "unchanged"}).tier == "tier-3"


def test_a_check_may_make_stricter_and_so_does_its_absence() -> None:
    policy = deepcopy(POLICY)
    policy["checkers"] = {"weekly": {"keys": [KEY]}}
    policy["tiers"]["tier-1"] = {**policy["tiers"]["tier-2"], "quorum": 2}
    policy["raise"] = [{"name": "drifted", "tier": "tier-1", "check": "weekly", "when": 'check["psi.max"] > 0.25'}]
    drifted = routed(check(dict(DRIFTED)), policies=[published(policy)])
    assert (drifted.tier, drifted.inputs["check of drifted, credit-models"]) == ("tier-1", CHECK)
    assert routed(check(), policies=[published(policy)]).tier == "tier-2"
    assert routed(policies=[published(policy)]).tier == "tier-1", "what cannot be told raises"


def test_a_rule_for_people_whose_check_is_missing_cannot_be_told_and_is_strict() -> None:
    policy = deepcopy(POLICY)
    policy["checkers"] = {"weekly": {"keys": [KEY]}}
    policy["tiers"]["tier-1"] = {**policy["tiers"]["tier-2"], "quorum": 2}
    policy["rules"] = [{"name": "quiet", "tier": "tier-2", "check": "weekly", "when": WHEN}]
    assert (routed(check(), policies=[published(policy)]).rule, routed(policies=[published(policy)]).rule) == ("quiet", "failed")
    assert routed(policies=[published(policy)]).tier == "tier-1"


def test_of_overlapping_policies_people_win_over_the_engine() -> None:
    people = published(POLICY, "a-house-rule")
    for policies in ([published(weekly(POLICY, KEY)), people], [people, published(weekly(POLICY, KEY))]):
        found = routed(check(), policies=policies)
        assert (found.tier, found.policy) == ("tier-2", "a-house-rule")
        assert [one.tier for one in found.considered] == ["tier-2", "tier-3"]


def test_from_the_engine_to_people_is_stricter_and_not_the_other_way_round() -> None:
    engine, people = routed(check()), routed()
    assert is_stricter(people, engine)
    assert not is_stricter(engine, people)
    assert not asks_the_same(engine, people)
    assert not asks_the_same(engine, routed(check(digest=OTHER))), "another check is another desk"


def twice(policy: dict[str, Any]) -> None:
    policy["tiers"]["tier-3"]["roles"][0]["groups"].append("model-approvers")


@pytest.mark.parametrize(
    ("change", "told"),
    [
        pytest.param(lambda p: p["rules"][0].pop("check"), "without a signed check to rest on", id="tier 3 without a check"),
        pytest.param(lambda p: p["rules"][0].pop("when"), "asks nothing of it", id="tier 3 without a condition"),
        pytest.param(lambda p: p["rules"][0].update(check="monthly"), "whom checkers does not name", id="an unknown checker"),
        pytest.param(lambda p: p["rules"][0].update(emergency=True), "is for an emergency", id="an emergency for the engine"),
        pytest.param(lambda p: p["tiers"]["tier-3"].update(quorum=2), "by the policy engine alone", id="a quorum of engines"),
        pytest.param(twice, "by the policy engine alone", id="people beside the engine"),
        pytest.param(
            lambda p: p["tiers"]["tier-3"]["roles"][0].update(groups=["model-approvers"]), "names the group of", id="people for the engine"
        ),
        pytest.param(
            lambda p: p["tiers"]["tier-3"]["roles"][0].update(groups=["system:serviceaccounts"]), "names the group of", id="every account"
        ),
        pytest.param(
            lambda p: p["tiers"]["tier-2"]["roles"][0].update(groups=[ENGINE_GROUP]), "names a system: group", id="the engine in 2"
        ),
        pytest.param(
            lambda p: p.update({"raise": [{"name": "x", "tier": "tier-3", "check": "weekly", "when": "true"}]}),
            "stricter than nothing",
            id="raising to tier 3",
        ),
        pytest.param(lambda p: p["checkers"]["weekly"].update(keys=[]), "checkers", id="a checker without keys"),
        pytest.param(lambda p: p["checkers"].update(monthly={"keys": [KEY]}), "a key stands twice", id="a key of two checkers"),
        pytest.param(lambda p: p["checkers"]["weekly"].update(keys=["sha256:1"]), "checkers", id="a key that is none"),
    ],
)
def test_a_policy_whose_tier_3_is_not_sound_is_refused(change: Any, told: str) -> None:
    policy = weekly(POLICY, KEY)
    change(policy)
    with pytest.raises(RecordError, match=told):
        read_policy(policy)


def test_a_policy_of_tier_3_alone_is_refused() -> None:
    policy = weekly(POLICY, KEY)
    policy["rules"].pop()
    policy["tiers"].pop("tier-2")
    with pytest.raises(RecordError, match="describes tier-3 alone"):
        read_policy(policy)


def test_check_is_known_to_rules_that_rest_on_one_and_to_no_other() -> None:
    policy = deepcopy(POLICY)
    policy["rules"] = [{"name": "a", "tier": "tier-2", "when": 'check["psi.max"] < 0.1'}]
    with pytest.raises(RecordError, match="undeclared reference to 'check'"):
        check_conditions(read_policy(policy))
    check_conditions(read_policy(weekly(POLICY, KEY)))


@pytest.mark.parametrize("name", ["Credit-scoring", "crеdit-scoring", "credit\u200b-scoring", "credit-scoring ", "CREDIT-SCORING"])
def test_a_model_whose_name_only_looks_covered_is_no_model(name: str) -> None:
    """Homoglyphs (the second bears a Cyrillic е), case and characters that nobody sees: a name is what its letters are, or none."""
    spec = deepcopy(SPEC)
    spec["model"]["name"] = name
    with pytest.raises(RecordError, match=r"model\.name"):
        read_spec(spec)


def test_a_renamed_model_is_another_model_without_a_policy_or_history() -> None:
    spec = deepcopy(SPEC)
    spec["model"]["name"] = "marketing-scoring"
    with pytest.raises(Exception, match="no published policy covers"):
        route(read_spec(spec), [published(weekly(POLICY, KEY))], History(), (check(),))


def test_reference_data_that_the_policy_does_not_name_bear_nothing_out() -> None:
    policy = weekly(POLICY, KEY)
    policy["checkers"]["weekly"]["reference"] = [OTHER]
    assert why(routed(check(), policies=[published(policy)])) == "the check by weekly used other reference data than the policy names"
    policy["checkers"]["weekly"]["reference"] = [OTHER, REFERENCE]
    assert routed(check(), policies=[published(policy)]).tier == "tier-3"


@pytest.mark.parametrize("history", [History(passed_over=True), History("1.0.0", "tier-1", passed_over=True)])
def test_bypass_14_nothing_is_measured_against_what_does_not_count(history: History) -> None:
    """What went live in an emergency, or in a smaller place, is not what a refresh is measured against: people decide."""
    found = route(read_spec(SPEC), [published(weekly(POLICY, KEY))], history, (check(),))
    assert found.tier == "tier-2"
    assert why(found).startswith("what is live went live in an emergency, or for less than this target")
    assert found.inputs["passed over"]


def test_what_is_wrong_with_each_check_stands_in_the_record_whoever_decides() -> None:
    found = routed(check(flaw="it is of another candidate"), policies=[published(POLICY)])
    assert found.inputs[f"check {CHECK}"] == "it is of another candidate"
