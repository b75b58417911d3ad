"""From policies to a route: which cover a request, which of them is the strictest, and when a route no longer holds."""

from __future__ import annotations

import itertools
import json
import random
from collections.abc import Sequence
from copy import deepcopy
from pathlib import Path
from typing import Any

import pytest
import yaml
from world import POLICY, SPEC, World

from signoff.policy.facts import History
from signoff.policy.routing import NoRoute, asks_the_same, includes, is_stricter
from signoff.policy.routing import route as route_by
from signoff.policy.schema import Published, read_policy
from signoff.record.canonical import dumps
from signoff.record.freeze import Freeze, Requirement, Route
from signoff.record.request import Spec, read_spec
from signoff.record.values import RecordError, parse, sha256
from signoff.verify.verifier import Failed, verify

CASES = yaml.safe_load((Path(__file__).parent / "cases" / "routing.yaml").read_text(encoding="utf-8"))


def route(spec: Spec, policies: Sequence[Published]) -> Route:
    return route_by(spec, policies, History())


def each(section: str) -> pytest.MarkDecorator:
    return pytest.mark.parametrize("case", [pytest.param(case, id=case["name"]) for case in CASES[section]])


def requirement(quorum: int = 1, groups: list[str] | None = None, **changes: Any) -> dict[str, Any]:
    roles = [{"name": "approver", "groups": groups or ["model-approvers"], "count": 1}]
    return {"quorum": quorum, "roles": roles, "fourEyes": True, "assurance": "api-server", **changes}


def policy_spec(models: list[tuple[list[str], list[str]]], tiers: list[str], needed: dict[str, Any]) -> dict[str, Any]:
    return {
        "models": [{"names": names, "namespaces": namespaces} for names, namespaces in models],
        "rules": [{"name": f"rule-{tier}", "tier": tier} for tier in tiers],
        "tiers": dict.fromkeys(tiers, needed),
    }


def published(name: str, spec: dict[str, Any]) -> Published:
    return Published(name, read_policy(spec), sha256(dumps([name, spec])))


def policies_of(case: dict[str, Any]) -> list[Published]:
    if "entries" in case:
        return [published("a", policy_spec([([model], [space]) for model, space in case["entries"]], ["tier-2"], requirement()))]
    return [
        published(
            name,
            policy_spec(
                [(one["names"], one["namespaces"])],
                one.get("rules", [one.get("tier", "tier-2")]),
                requirement(one.get("quorum", 1), one.get("groups")),
            ),
        )
        for name, one in case["policies"].items()
    ]


def asking(model: str, *namespaces: str) -> Spec:
    spec = deepcopy(SPEC)
    spec["model"]["name"] = model
    spec["target"]["namespaces"] = list(namespaces)
    return read_spec(spec)


@each("routes")
def test_the_policy_that_routes(case: dict[str, Any]) -> None:
    policies = policies_of(case)
    found = route(asking(*case["asks"]), policies)
    assert found.policy == case["route"]
    assert [one.name for one in found.considered] == case.get("considered", [case["route"]])
    followed = next(one for one in policies if one.name == found.policy)
    assert found.tier == followed.spec.rules[0].tier == case.get("tier", found.tier)
    assert found.rule == f"rule-{found.tier}"
    assert found.requirement == followed.spec.tiers[found.tier]
    assert {one.statement for one in found.considered} <= {one.statement for one in policies}


@each("routes")
def test_the_order_of_policies_does_not_change_a_route(case: dict[str, Any]) -> None:
    policies = policies_of(case)
    found = {route(asking(*case["asks"]), order).model_dump_json() for order in itertools.permutations(policies)}
    assert len(found) == 1


@each("no_route")
def test_where_no_policy_covers_there_is_no_route(case: dict[str, Any]) -> None:
    with pytest.raises(NoRoute, match="no published policy covers the model") as refused:
        route(asking(*case["asks"]), policies_of(case))
    assert "ask a policy publisher" in refused.value.mend


def test_more_policies_than_can_be_considered_route_nothing() -> None:
    policies = [published(f"p{index}", policy_spec([(["*"], ["*"])], ["tier-2"], requirement())) for index in range(33)]
    random.Random(7).shuffle(policies)  # noqa: S311 - an order, not a secret
    assert len(route(asking("m", "credit"), policies[:32]).considered) == 32
    with pytest.raises(NoRoute, match="33 published policies cover the model m, and at most 32"):
        route(asking("m", "credit"), policies)


@each("at_odds")
def test_bypass_14_policies_that_ask_for_different_people_lead_nowhere(case: dict[str, Any]) -> None:
    with pytest.raises(NoRoute, match="ask for different people"):
        route(asking(*case["asks"]), policies_of(case))


@each("refused")
def test_a_policy_that_nobody_can_meet_or_read_is_refused(case: dict[str, Any]) -> None:
    spec = policy_spec([(["*"], ["*"])], [case.get("tier", "tier-2")], requirement(**case.get("requirement", {})))
    spec |= case.get("change", {})
    with pytest.raises(RecordError) as refused:
        read_policy(spec)
    assert case["why"] in refused.value.what
    assert refused.value.where.startswith("spec")


def test_the_example_policy_is_read() -> None:
    assert read_policy(POLICY).tiers["tier-2"].quorum == 1


def route_with(tier: str = "tier-2", policy: str = "a", **changes: Any) -> Route:
    return route(asking("m", "credit"), [published(policy, policy_spec([(["*"], ["*"])], [tier], requirement(**changes)))])


def lax(found: Route, **changes: Any) -> Route:
    """What no policy of this version may ask for, and a later one may."""
    value = json.loads(found.model_dump_json())
    value["requirement"] |= changes
    return parse(Route, dumps(value), "route")


BASE = route_with(quorum=2)
TWO_ROLES = [{"name": "approver", "groups": ["model-approvers"], "count": 1}, {"name": "risk", "groups": ["model-risk"], "count": 1}]


@pytest.mark.parametrize(
    ("now", "stricter", "same"),
    [
        pytest.param(route_with(quorum=2), False, True, id="the same"),
        pytest.param(route_with(quorum=3), True, False, id="a larger quorum"),
        pytest.param(route_with(quorum=1), False, False, id="a smaller quorum"),
        pytest.param(route_with("tier-1", quorum=2), True, False, id="a lower tier"),
        pytest.param(route_with("tier-1", quorum=1), True, False, id="a lower tier with a smaller quorum"),
        pytest.param(route_with(quorum=2, groups=["model-risk"]), True, False, id="other people"),
        pytest.param(route_with(quorum=1, groups=["model-risk"]), True, False, id="fewer, but other people"),
        pytest.param(route_with(quorum=2, groups=["model-approvers", "more"]), True, False, id="more groups"),
        pytest.param(route_with(quorum=2, roles=TWO_ROLES), True, False, id="a further role"),
        pytest.param(lax(route_with(quorum=2, roles=[{**TWO_ROLES[0], "count": 2}])), True, False, id="more in one role"),
        pytest.param(lax(BASE, fourEyes=False), False, False, id="without four eyes"),
        pytest.param(lax(BASE, assurance="passkey"), True, False, id="a higher assurance"),
        pytest.param(route_with(policy="b", quorum=2), False, False, id="another policy that asks the same"),
    ],
)
def test_a_route_holds_while_nothing_stricter_is_in_force(now: Route, stricter: bool, same: bool) -> None:
    assert is_stricter(now, BASE) is stricter
    assert asks_the_same(now, BASE) is same


def test_a_policy_that_was_published_again_asks_the_same() -> None:
    value = json.loads(BASE.model_dump_json())
    value["considered"][0]["statement"] = sha256(b"published again")
    again = parse(Route, dumps(value), "route")
    assert asks_the_same(again, BASE)
    assert not is_stricter(again, BASE)


def test_rule_12_the_stricter_of_two_policies_of_one_tier_must_have_been_followed(world: World) -> None:
    two = {**deepcopy(POLICY), "tiers": {"tier-2": {**POLICY["tiers"]["tier-2"], "quorum": 2}}}
    stricter = world.publish("two-approvers", two)
    frozen = world.freeze()
    value = json.loads(frozen.payload)
    value["route"]["considered"].append(
        {"name": "two-approvers", "statement": stricter.statement, "rule": "named-individual", "tier": "tier-2"}
    )
    payload = dumps(value)
    event = world.bundle(payload, [world.seal(payload, parse(Freeze, payload, "freeze"))])
    with pytest.raises(Failed, match="the policy two-approvers asks for people whom the route does not") as refused:
        verify(world.outcome(event), world.trust, world.policies)
    assert refused.value.rule.name == "route"


@pytest.mark.parametrize(
    ("asked", "other", "includes_it"),
    [
        ({}, {}, True),
        ({"quorum": 3, "count": 3}, {}, True),
        ({}, {"quorum": 2}, False),
        ({"quorum": 2, "count": 1}, {"quorum": 2, "count": 2}, False),
        ({"groups": ["x"]}, {"groups": ["y"]}, False),
        ({"groups": ["x"]}, {"groups": ["x", "y"]}, False),
    ],
)
def test_what_one_requirement_includes_of_another(asked: dict[str, Any], other: dict[str, Any], includes_it: bool) -> None:
    def made(changes: dict[str, Any]) -> Requirement:
        base = deepcopy(POLICY["tiers"]["tier-2"])
        base["quorum"] = changes.get("quorum", 1)
        base["roles"][0] |= {"count": changes.get("count", 1), "groups": changes.get("groups", ["model-approvers"])}
        return parse(Requirement, dumps(base), "requirement")

    assert includes(made(asked), made(other)) is includes_it
