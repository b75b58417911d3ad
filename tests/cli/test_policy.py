"""`signoff policy`: a table of cases, and one request rule by rule."""

from __future__ import annotations

import json
from copy import deepcopy
from pathlib import Path
from typing import Any

import pytest
import yaml
from archive_fixture import Ran, Site, manifest
from checking import bring, weekly
from world import POLICY, SPEC, trusted_key

from signoff.record.keys import PemSigner, generate_pem
from signoff.record.promotion import as_json

EXAMPLES = Path(__file__).parent.parent.parent / "examples"
EXAMPLE, EXAMPLE_CASES = EXAMPLES / "policies" / "credit-models.yaml", EXAMPLES / "policies" / "credit-models.cases.yaml"
FACTS = {"model.name": "credit-scoring", "target.environment": "production", "target.namespaces": ["credit"]}
LIVE = {"incumbent.version": "2.3.0", "incumbent.tier": "tier-2"}


def policy(rules: list[dict[str, str]], name: str = "credit-models", **changes: Any) -> dict[str, Any]:
    tiers = {"tier-1": POLICY["tiers"]["tier-2"], "tier-2": POLICY["tiers"]["tier-2"]}
    return {"kind": "PromotionPolicy", "metadata": {"name": name}, "spec": {**deepcopy(POLICY), "rules": rules, "tiers": tiers, **changes}}


BY_HISTORY = policy([{"name": "first", "tier": "tier-1", "when": "!incumbent.exists"}, {"name": "later", "tier": "tier-2"}])


def tried(site: Site, tmp_path: Path, table: Any, tested: dict[str, Any] = BY_HISTORY, *flags: str) -> Ran:
    cases = tmp_path / "cases.yaml"
    cases.write_text(table if isinstance(table, str) else yaml.safe_dump(table), encoding="utf-8")
    return site.run("policy", "test", manifest(tmp_path, tested, "policy.yaml"), cases, *flags, archive=False)


def case(tier: str, name: str = "a case", **changes: Any) -> dict[str, Any]:
    return {"name": name, "facts": FACTS, "tier": tier, **changes}


def test_the_example_comes_out_as_its_table_says(site: Site) -> None:
    ran = site.run("policy", "test", EXAMPLE, EXAMPLE_CASES, archive=False)
    assert (ran.code, ran.err) == (0, "")
    assert "13 cases: 13 as expected, 0 not" in ran.out
    assert "no case leads to" not in ran.out


def test_the_example_of_a_weekly_refresh_comes_out_as_its_table_says(site: Site) -> None:
    weekly_refresh, cases = (EXAMPLES / "policies" / f"weekly-refresh{one}.yaml" for one in ("", ".cases"))
    ran = site.run("policy", "test", weekly_refresh, cases, archive=False)
    assert (ran.code, ran.err) == (0, "")
    assert "7 cases: 7 as expected, 0 not" in ran.out
    assert "no case leads to" not in ran.out


def test_a_check_by_somebody_whom_the_policy_does_not_name_is_no_case(site: Site, tmp_path: Path) -> None:
    ran = tried(site, tmp_path, {"cases": [case("tier-1", facts={**FACTS, "checks": {"weekly": {"psi": 0.1}}})]})
    assert ran.code == 2
    assert "says a check by weekly, whom the policy does not name (it names none)" in ran.err


def test_a_case_that_comes_out_otherwise_is_told_step_by_step(site: Site, tmp_path: Path) -> None:
    ran = tried(site, tmp_path, {"cases": [case("tier-2", "the first version", rule="later"), case("tier-1", "also", rule="first")]})
    assert ran.code == 1
    assert "FAIL  the first version  tier-1 by first\n      expected: tier-2 by later\n" in ran.out
    assert "      rule  first (tier-1): holds\n            when !incumbent.exists\n" in ran.out
    assert "      rule  later (tier-2): not asked\n" in ran.out
    assert "ok    also" in ran.out
    assert "2 cases: 1 as expected, 1 not" in ran.out
    assert "no case leads to: later" in ran.out


@pytest.mark.parametrize(
    ("given", "code"),
    [
        ({"cases": [case("tier-1")]}, 0),
        ({"cases": [case("tier-1", rule="first")]}, 0),
        ({"cases": [case("tier-1", rule="later")]}, 1),
        ({"cases": [case("tier-2", facts={**FACTS, **LIVE})]}, 0),
        ({"defaults": {**FACTS, **LIVE}, "cases": [case("tier-2", facts={})]}, 0),
        ({"defaults": {**FACTS, **LIVE}, "cases": [case("tier-1", facts=dict.fromkeys(LIVE))]}, 0),
        ({"cases": [case("none", facts={**FACTS, "target.namespaces": ["cards"]})]}, 0),
        ({"cases": [case("none", facts={**FACTS, "target.namespaces": ["credit", "cards"]})]}, 0),
        ({"cases": [case("tier-1", facts={**FACTS, "target.namespaces": ["cards"]})]}, 1),
        ({"cases": [case("none")]}, 1),
    ],
)
def test_what_a_case_may_say_and_expect(site: Site, tmp_path: Path, given: dict[str, Any], code: int) -> None:
    assert tried(site, tmp_path, given).code == code


def test_claims_reach_the_raising_rules_as_figures_and_as_text(site: Site, tmp_path: Path) -> None:
    weaker = {"name": "weaker", "tier": "tier-1", "when": 'claims.candidate["auc"] < claims.incumbent["auc"]'}
    tested = policy([{"name": "all", "tier": "tier-2"}], **{"raise": [weaker]})
    for figure in (0.79, "0.79", 0):
        facts = {**FACTS, "claims.candidate": {"auc": figure}, "claims.incumbent": {"auc": "0.80"}}
        assert tried(site, tmp_path, {"cases": [case("tier-1", facts=facts, rule="weaker")]}, tested).code == 0


def test_the_outcome_for_machines(site: Site, tmp_path: Path) -> None:
    given = {"cases": [case("tier-2"), case("none", "elsewhere", facts={**FACTS, "target.namespaces": ["x"]})]}
    told = tried(site, tmp_path, given, BY_HISTORY, "-o", "json").json
    steps = [
        {"rule": "first", "tier": "tier-1", "list": "rules", "answer": "holds", "why": ""},
        {"rule": "later", "tier": "tier-2", "list": "rules", "answer": "not asked", "why": ""},
    ]
    assert told == {
        "cases": [
            {"name": "a case", "expected": False, "covered": True, "tier": "tier-1", "rule": "first", "steps": steps},
            {"name": "elsewhere", "expected": True, "covered": False},
        ],
        "failed": 1,
        "unreached": ["later"],
    }


BAD_TABLES: dict[str, tuple[Any, str]] = {
    "no cases": ({"cases": []}, "at least 1"),
    "not a table": ([1], "cases.yaml"),
    "two documents": ("cases: []\n---\ncases: []\n", "holds 2 documents, and one is wanted"),
    "nothing": ("", "holds 0 documents"),
    "a name twice": ({"cases": [case("tier-1"), case("tier-2")]}, "two cases bear the name 'a case'"),
    "an unknown fact": ({"cases": [case("tier-1", facts={**FACTS, "model.colour": "red"})]}, "model.colour"),
    "a fact that follows from others": ({"cases": [case("tier-1", facts={**FACTS, "incumbent.exists": True})]}, "incumbent.exists"),
    "half a live version": ({"cases": [case("tier-1", facts={**FACTS, "incumbent.version": "1"})]}, "only one of incumbent.version"),
    "too little": ({"cases": [case("tier-1", facts={"model.name": "credit-scoring"})]}, "does not say model.name, target.environment"),
    "no such tier": ({"cases": [case("tier-4")]}, "tier-1"),
    "no figure": ({"cases": [case("tier-1", facts={**FACTS, "claims.candidate": {"auc": "high"}})]}, "claims.candidate"),
    "not a number": ({"cases": [case("tier-1", facts={**FACTS, "claims.candidate": {"auc": float("nan")}})]}, "cases.yaml"),
}


@pytest.mark.parametrize("name", BAD_TABLES)
def test_a_table_that_cannot_be_read_is_told_in_one_line(site: Site, tmp_path: Path, name: str) -> None:
    table, why = BAD_TABLES[name]
    ran = tried(site, tmp_path, table)
    assert (ran.code, ran.out) == (2, "")
    assert ran.err.startswith("error: ")
    assert why in ran.err
    assert ran.err.count("\n") == 1


BAD_POLICIES: dict[str, tuple[dict[str, Any], str]] = {
    "another kind": ({"kind": "Pod"}, "holds 0 documents of kind PromotionPolicy"),
    "no name": ({**BY_HISTORY, "metadata": {}}, "metadata.name: the policy bears no name"),
    "no spec": ({"kind": "PromotionPolicy", "metadata": {"name": "a"}}, "spec"),
    "a tier that is not described": (policy([{"name": "a", "tier": "tier-3"}]), "rule a leads to tier-3"),
    "a condition that does not compile": (
        policy([{"name": "a", "tier": "tier-1", "when": "model.nam"}]),
        "spec.rules[0].when: line 1, column 6",
    ),
}


@pytest.mark.parametrize("name", BAD_POLICIES)
def test_a_policy_that_cannot_be_read_is_told_in_one_line(site: Site, tmp_path: Path, name: str) -> None:
    tested, why = BAD_POLICIES[name]
    ran = tried(site, tmp_path, {"cases": [case("tier-1")]}, tested)
    assert ran.code == 2
    assert why in ran.err


def explained(site: Site, tmp_path: Path, *arguments: str, tested: tuple[dict[str, Any], ...] = (BY_HISTORY,)) -> Ran:
    files = [str(manifest(tmp_path, one, f"policy-{number}.yaml")) for number, one in enumerate(tested)]
    promotion = manifest(tmp_path, {"kind": "ModelPromotion", "spec": SPEC}, "promotion.yaml")
    return site.run("policy", "explain", *files, "--promotion", promotion, *arguments, archive=False)


def test_a_request_is_explained_rule_by_rule(site: Site, tmp_path: Path) -> None:
    ran = explained(site, tmp_path, "--live", "2.3.0", "tier-2")
    assert ran.code == 0
    assert "      rule  first (tier-1): does not hold\n            when !incumbent.exists\n" in ran.out
    assert "      leads to tier-2 by later" in ran.out
    assert "routed by   credit-models, rule later: tier-2" in ran.out
    assert "incumbent: 2.3.0 (tier-2)" in ran.out
    assert "routed by   credit-models, rule first: tier-1" in explained(site, tmp_path).out


def test_of_several_policies_the_strictest_is_told(site: Site, tmp_path: Path) -> None:
    other = policy([{"name": "all", "tier": "tier-1"}], name="house-rule")
    elsewhere = policy([{"name": "all", "tier": "tier-1"}], name="cards", models=[{"names": ["*"], "namespaces": ["cards"]}])
    ran = explained(site, tmp_path, "--live", "2.3.0", "tier-2", tested=(BY_HISTORY, other, elsewhere))
    assert "routed by   house-rule, rule all: tier-1" in ran.out
    assert "cards\n      does not cover this promotion" in ran.out
    told = explained(site, tmp_path, "--live", "2.3.0", "tier-2", "-o", "json", tested=(BY_HISTORY, other, elsewhere)).json
    assert told["route"]["policy"] == "house-rule"
    assert [one["name"] for one in told["policies"]] == ["credit-models", "house-rule"]


def test_where_there_is_no_route_it_is_an_error(site: Site, tmp_path: Path) -> None:
    elsewhere = policy([{"name": "all", "tier": "tier-1"}], models=[{"names": ["*"], "namespaces": ["cards"]}])
    ran = explained(site, tmp_path, tested=(elsewhere,))
    assert ran.code == 2
    assert "no published policy covers the model credit-scoring in namespace credit" in ran.err
    twice = explained(site, tmp_path, tested=(BY_HISTORY, BY_HISTORY))
    assert (twice.code, twice.out) == (2, "")
    assert "two policies bear the name credit-models" in twice.err


def test_a_requests_checks_are_explained_under_a_trust_file_and_not_believed_without(site: Site, tmp_path: Path) -> None:
    checker = PemSigner(generate_pem())
    spec = deepcopy(SPEC)
    bring(spec, checker)
    asked = manifest(tmp_path, {"kind": "ModelPromotion", "metadata": {"name": "m"}, "spec": spec}, "promotion.yaml")
    tested = manifest(
        tmp_path, {"kind": "PromotionPolicy", "metadata": {"name": "credit-models"}, "spec": weekly(POLICY, checker.key_id)}, "policy.yaml"
    )
    trust = tmp_path / "trust.json"
    named = [trusted_key(site.world.seal_key, "seal"), trusted_key(site.world.event_key, "event"), trusted_key(checker, "check")]
    trust.write_text(json.dumps(as_json(site.world.trust_with(keys=named))))
    believed = site.run("policy", "explain", tested, "--promotion", asked, "--trust", trust, archive=False)
    assert (believed.code, believed.err) == (0, "")
    assert "weekly-refresh: tier-3" in believed.out
    without = site.run("policy", "explain", tested, "--promotion", asked, archive=False)
    assert "named-individual: tier-2" in without.out
    assert "nobody has looked at its signature; name the trust file (--trust)" in " ".join(without.out.split())
