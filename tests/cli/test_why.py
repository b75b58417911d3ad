from __future__ import annotations

from typing import Any

import pytest
from archive_fixture import Site
from world import BEN, CARLA, DAVID, POLICY, SPEC

from signoff.archive import layout
from signoff.policy.facts import History
from signoff.record.canonical import dumps
from signoff.record.values import sha256

TAIL = [
    "for",
    "image",
    "artefact",
    "approved by",
    "policy",
    "candidate",
    "challenger",
    "live then",
    "asked by",
    "author",
    "reason",
    "valid",
    "event",
]
ANSWERS = ["credit-scoring", SPEC["model"]["image"], SPEC["model"]["image"].partition("@")[2], SPEC["model"]["artifacts"][0]["digest"]]


@pytest.mark.parametrize(
    "what", [*ANSWERS, "registry.bank.example/models/credit-scoring:2.4.0", "registry.bank.example/models/credit-scoring"]
)
def test_a_promotion_is_told_by_model_image_digest_and_repository(site: Site, what: str) -> None:
    verified = site.promoted()
    ran = site.run("why", what)
    assert (ran.code, ran.err) == (0, "")
    assert ran.out.startswith("credit-scoring 2.4.0  promoted\n")
    assert verified.digest in ran.out
    assert site.run("why", what, "--environment", "production").out == ran.out
    assert site.run("why", what, "--environment", "staging").code == 1


def test_it_says_who_under_which_policy_against_what(site: Site) -> None:
    verified = site.promoted()
    out = site.run("why", verified.id).out
    for label in TAIL:
        assert f"\n  {label}  " in out
    for told in (
        "carla@bank.example at 2026-03-02T10:02:51Z",
        "subject carla@bank.example, by https://login.bank.example",
        "as approver (model-approvers), by client-certificate",
        "“I approve this model version for the use described on this desk.”",
        "rests on the API server's word",
        "credit-models, rule named-individual: tier-2",
        "asks for 1 in all, 1 as approver (model-approvers); nobody who asked",
        "published by paula@bank.example at 2026-02-01T08:00:00Z",
        verified.freeze.route.considered[0].statement,
        "logistic-regression scorecard 5.1.0: auc=0.7786",
        "none: the archive knew no promotion",
        "ben@bank.example at 2026-03-02T09:14:07Z",
        "ana@bank.example (as the request claims)",
        "until 2027-03-02 10:02:51 UTC",
        verified.id,
    ):
        assert told in out
    assert max(len(line) for line in out.splitlines() if "sha256:" not in line) <= 100


def test_machines_read_the_same(site: Site) -> None:
    verified = site.promoted()
    value = site.run("why", "credit-scoring", "-o", "json").json
    (one,) = value["outcomes"]
    assert value["untold"] == []
    assert (one["verdict"], one["id"], one["event"], one["valid"]) == ("promoted", verified.id, verified.digest, True)
    assert one["decisions"][0]["principal"]["subject"] == "carla@bank.example"
    assert one["policy"]["considered"][0]["publisher"]["subject"] == "paula@bank.example"
    assert one["comparison"]["challengers"][1]["metrics"][0] == {"name": "auc", "value": "0.7786", "source": "claimed"}


def test_all_of_a_models_history_is_told_oldest_first(site: Site) -> None:
    first = site.decided(site.frozen(), DAVID, verdict="Reject")
    second = site.decided(site.frozen(lambda spec: spec.update(attempt=2), name="again"))
    out = site.run("why", "credit-scoring").out
    assert (
        out.index("credit-scoring 2.4.0  rejected")
        < out.index(first.id)
        < out.index("credit-scoring 2.4.0  promoted")
        < out.index(second.id)
    )
    assert "rejected by   david@bank.example" in out
    assert "valid         never: it was rejected" in out


def test_an_event_that_is_not_believed_is_told(site: Site) -> None:
    frozen = site.frozen()
    believed = site.decided(site.frozen(lambda spec: spec.update(attempt=2), name="again"))
    site.world.store.create(
        layout.event(frozen.freeze.id),
        site.world.bundle(frozen.payload, [site.world.seal(frozen.payload, frozen.freeze, CARLA)], signer=site.world.stranger),
    )
    key = layout.model_pointer("credit-scoring", "production", frozen.freeze.id)
    site.world.store.create(key, dumps({"event": layout.event(frozen.freeze.id)}) + b"\n")
    ran = site.run("why", "credit-scoring")
    assert ran.code == 1
    assert f"request {frozen.freeze.id}  not believed\n  rule 2 (signature)" in ran.out
    assert believed.id in ran.out


def test_an_event_that_cannot_be_told_is_told_so(site: Site) -> None:
    verified = site.promoted()
    site.object_at(layout.statement("policy", verified.freeze.route.considered[0].statement)).unlink()
    ran = site.run("why", "credit-scoring")
    assert (ran.code, f"request {verified.id}  could not tell" in ran.out) == (2, True)


def test_a_request_without_an_event_promoted_nothing(site: Site) -> None:
    frozen = site.frozen()
    ran = site.run("why", frozen.freeze.id)
    assert (ran.code, f"request {frozen.freeze.id}  undecided" in ran.out) == (0, True)
    assert "nothing was promoted or rejected" in " ".join(ran.out.split())


def test_of_what_is_undecided_route_quorum_and_who_decided_are_told(site: Site) -> None:
    committee = {"tiers": {"tier-2": {**POLICY["tiers"]["tier-2"], "quorum": 2}}}
    frozen = site.frozen(policies=(site.world.publish("credit-models", {**POLICY, **committee}),))
    site.world.archive_seal(site.world.seal(frozen.payload, frozen.freeze, CARLA))
    told = " ".join(site.run("why", frozen.freeze.id).out.split())
    assert "is tier-2 by policy credit-models, rule named-individual" in told
    assert "approved by carla@bank.example at 2026-03-02T10:02:51Z, awaiting 1 more of 2" in told


def test_an_expired_promotion_says_so(site: Site) -> None:
    verified = site.decided(site.frozen(lambda spec: spec.update(validFor="1h")))
    assert "until 2026-03-02 11:02:51 UTC (over)" in site.run("why", verified.id).out
    assert site.run("why", verified.id, "-o", "json").json["outcomes"][0]["valid"] is False


def test_a_corrected_event_says_so_and_what_was_decided_as_before(site: Site) -> None:
    verified = site.promoted()
    site.world.correct(verified, "Annotate", reason="Eleven months only.", by=BEN)
    told = site.run("why", verified.id)
    assert told.code == 0
    assert "annotated     by ben@bank.example at 2026-03-04T08:00:00Z: Eleven months only." in told.out
    [outcome] = site.run("why", verified.id, "-o", "json").json["outcomes"]
    assert (outcome["valid"], outcome["revoked"]) == (True, False)
    site.world.correct(verified)
    told = site.run("why", verified.id)
    assert "credit-scoring 2.4.0  promoted, revoked" in told.out
    assert "REVOKED       by carla@bank.example at 2026-03-04T08:00:00Z: The evaluation data were wrong." in told.out
    assert "approved by   carla@bank.example" in told.out
    [outcome] = site.run("why", verified.id, "-o", "json").json["outcomes"]
    assert (outcome["valid"], outcome["revoked"]) == (False, True)
    assert {one["verdict"] for one in outcome["corrections"]} == {"Annotate", "Revoke"}


def test_where_a_correction_is_not_believed_the_decision_is_told_and_that_it_cannot_be_told(site: Site) -> None:
    verified = site.promoted()
    site.world.store.create(layout.correction(verified.digest, "0" * 64), b"{}")
    told = site.run("why", verified.id)
    assert told.code == 2
    assert "CORRECTED?" in told.out
    assert "approved by   carla@bank.example" in told.out
    [outcome] = site.run("why", verified.id, "-o", "json").json["outcomes"]
    assert (outcome["valid"], outcome["revoked"]) == (False, None)


UNKNOWN = {
    "model": "unknown-model",
    "digest": sha256(b"unknown"),
    "image": f"registry.bank.example/x@{sha256(b'unknown')}",
    "id": "0" * 64,
    "version": "registry.bank.example/models/credit-scoring:9",
}


@pytest.mark.parametrize("what", UNKNOWN.values(), ids=UNKNOWN)
def test_what_is_not_known_is_said(site: Site, what: str) -> None:
    site.promoted()
    ran = site.run("why", what)
    assert (ran.code, "holds no outcome" in ran.out) == (1, True)


def test_a_bad_digest_is_an_error(site: Site) -> None:
    ran = site.run("why", "registry.bank.example/x@sha256:12")
    assert (ran.code, ran.err.startswith("error: IMAGE: ")) == (2, True)


def conditional(when: str) -> dict[str, Any]:
    rules = [{"name": "by-class", "tier": "tier-2", "when": when}]
    return {**POLICY, "models": [{**POLICY["models"][0], "class": "credit decision"}], "rules": rules}


@pytest.mark.parametrize(
    ("when", "rule", "told"),
    [
        ('model.class ==\n  "credit decision"', "by-class", 'condition of by-class, credit-models: model.class == "credit decision"'),
        ("incumbent.exists", "unmatched", "no rule held, so it is the strictest tier of the policy"),
        ('{"a": true}["b"]', "failed", "a condition could not be told, so it is the strictest tier of the policy"),
    ],
)
def test_it_says_which_rule_led_to_the_tier_and_what_the_rules_saw(site: Site, when: str, rule: str, told: str) -> None:
    followed = site.world.publish("credit-models", conditional(when))
    verified = site.decided(site.frozen(policies=(followed,)))
    out = " ".join(site.run("why", verified.id).out.split())
    assert f"credit-models, rule {rule}: tier-2" in out
    assert told in out
    assert "rules saw class by credit-models: credit decision" in out
    assert " incumbent: none" in out
    [one] = site.run("why", verified.id, "-o", "json").json["outcomes"]
    assert one["policy"]["inputs"]["class by credit-models"] == "credit decision"


def hasty(site: Site) -> dict[str, Any]:
    rules = [{"name": "outage", "tier": "tier-2", "emergency": True}, {"name": "all", "tier": "tier-2"}]
    return {"policies": (site.world.publish("credit-models", {**POLICY, "rules": rules}),)}


def replaced(spec: dict[str, Any], attempt: int, valid_for: str) -> None:
    """The same version again, beside itself: it is what is live."""
    model = spec["model"]
    model["incumbent"] = {"version": model["version"], "digest": model["image"].partition("@")[2]}
    spec["comparison"]["incumbent"] = {**model["incumbent"], "metrics": spec["comparison"]["candidate"]["metrics"]}
    spec |= {"attempt": attempt, "validFor": valid_for}


@pytest.mark.parametrize("verdict", ["Approve", "Reject"])
def test_an_emergency_is_told_until_somebody_decided_in_full(site: Site, verdict: str) -> None:
    first = site.decided(site.frozen(lambda spec: spec.update(validFor="24h"), **hasty(site)))
    assert first.is_emergency
    out = site.run("why", first.id).out
    assert "EMERGENCY" in out
    assert "a full approval is owed, and there is none yet" in " ".join(out.split())
    live = site.world.reader.incumbent("credit-scoring", "production", "demo")
    assert live is not None
    others = {**hasty(site), "live": live}
    again = site.decided(site.frozen(lambda spec: replaced(spec, 2, "12h"), name="again", **others), DAVID)
    assert again.is_emergency
    assert site.world.reader.decided_in_full(first) is None, "another emergency answers for none"
    assert site.world.reader.history_for(first.freeze.request.spec.target, live) == History(owed=True, live=live.shown, passed_over=True), (
        "nobody is routed as a further version for having hurried with the first"
    )
    live = site.world.reader.incumbent("credit-scoring", "production", "demo")
    full = site.decided(
        site.frozen(lambda spec: replaced(spec, 3, "8760h"), name="full", **{**others, "live": live}), DAVID, verdict=verdict
    )
    assert not full.is_emergency
    gone_live = site.world.reader.incumbent("credit-scoring", "production", "demo")
    assert gone_live is not None
    assert site.world.reader.history_for(full.freeze.request.spec.target, gone_live) == (
        History("2.4.0", "tier-2", live=gone_live.shown) if verdict == "Approve" else History(live=gone_live.shown, passed_over=True)
    )
    out = " ".join(site.run("why", first.id).out.split())
    assert "EMERGENCY" not in out
    assert f"{'approved' if verdict == 'Approve' else 'rejected'} in full since, by {full.id}" in out
    [one] = site.run("why", first.id, "-o", "json").json["outcomes"]
    assert one["emergency"] == {"owed": False, "decidedInFull": full.id}
