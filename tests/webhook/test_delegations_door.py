"""Delegations at the seal's door: applying one lets somebody decide in one's name, and in nobody else's."""

from __future__ import annotations

import base64
import json
from copy import deepcopy
from types import SimpleNamespace
from typing import Any

import pytest
from world import PEOPLE_ISSUER

from signoff.archive import layout
from signoff.decision.seals import Filed, read_delegation
from signoff.record.bundle import MAX_BUNDLE
from signoff.record.request import read_spec
from signoff.record.values import parse_digest
from signoff.webhook.once import Once
from signoff.webhook.witness import Refused
from tests.webhook.contract import require_contract
from tests.webhook.listening import Answer, Listening
from tests.webhook.reviews import UID, promotion, review, user

SEAL, CHECK = "/seal/delegations", "/check/delegations"


def delegation(**changes: Any) -> dict[str, Any]:
    spec = {
        "to": {"issuer": PEOPLE_ISSUER, "subject": "erik@bank.example"},
        "models": ["credit-*"],
        "tiers": ["tier-2"],
        "validFrom": "2020-08-01T00:00:00Z",
        "validUntil": "2020-08-15T00:00:00Z",
        "reason": "Two weeks in the mountains.",
        **changes,
    }
    return {
        "apiVersion": "signoff.dev/v1alpha1",
        "kind": "PromotionDelegation",
        "metadata": {"name": "carla-in-august"},
        "spec": {name: value for name, value in spec.items() if value is not None},
    }


@pytest.fixture
def now(listening: Listening) -> dict[str, str]:
    """From when until when, around now."""
    from datetime import UTC, datetime, timedelta

    from signoff.record.values import format_time

    moment = datetime.now(UTC)
    return {"validFrom": format_time(moment - timedelta(hours=1)), "validUntil": format_time(moment + timedelta(days=14))}


def ask(
    listening: Listening, path: str, obj: dict[str, Any], *, who: str = "carla", groups: tuple[str, ...] = (), **changes: Any
) -> Answer:
    told = user(who, "model-approvers", "system:masters", *groups)
    answered = listening.ask(path, review(obj, "promotiondelegations", userInfo=told, **changes))
    require_contract(answered, UID)
    return answered


def granted(listening: Listening, obj: dict[str, Any]) -> dict[str, Any]:
    [operation] = json.loads(base64.b64decode(ask(listening, SEAL, obj).response["patch"]))
    assert (operation["op"], operation["path"]) == ("add", "/grant")
    return obj | {"grant": operation["value"]}


def test_a_grant_is_archived_before_it_is_answered_and_says_what_the_api_server_said(listening: Listening, now: dict[str, str]) -> None:
    final = granted(listening, delegation(**now))
    digest = parse_digest(final["grant"]["statement"])
    stored = listening.world.store.read(layout.statement("delegation", digest), limit=MAX_BUNDLE)
    target = read_spec(promotion()["spec"]).target
    read = read_delegation(Filed(stored.data, stored.stored_at), listening.world.reader.trust, target, digest)
    assert (read.grantor.subject, read.username, read.grantee.subject) == ("carla@bank.example",) * 2 + ("erik@bank.example",)
    assert read.groups == ("model-approvers", "system:authenticated", "system:masters"), "the press asks about all of them"
    assert final["grant"]["subject"] == "carla@bank.example"
    assert ask(listening, CHECK, final).response["allowed"]


def test_what_was_granted_is_archived_again_as_the_same_and_nothing_else_is_taken_for_it(listening: Listening, now: dict[str, str]) -> None:
    store = listening.world.store
    digests = [parse_digest(granted(listening, delegation(**{**now, "reason": text}))["grant"]["statement"]) for text in ("one", "two")]
    one, two = (store.read(layout.statement("delegation", digest), limit=MAX_BUNDLE).data for digest in digests)
    once, witness = Once("delegation", "grant", "grant", ""), SimpleNamespace(store=store)
    once.archive(witness, digests[0], one)  # type: ignore[arg-type]
    file = listening.world.folder / layout.statement("delegation", digests[0])
    file.chmod(0o600)
    file.write_bytes(two)
    with pytest.raises(Refused, match="something else in its place; call whoever guards the archive"):
        once.archive(witness, digests[0], one)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("changes", "why"),
    [
        ({"to": {"issuer": PEOPLE_ISSUER, "subject": "carla@bank.example"}}, "is yourself"),
        ({"to": {"issuer": "https://elsewhere.example", "subject": "erik"}}, "vouches for nobody who decides here"),
        ({"to": {"issuer": PEOPLE_ISSUER}}, "to.subject"),
        ({"to": None}, "to"),
        ({"models": []}, "models"),
        ({"tiers": ["tier-3"]}, "tiers"),
        ({"validUntil": "2019-01-01T00:00:00Z"}, "ends before it begins"),
        ({"validFrom": "2099-01-02T00:00:00Z", "validUntil": "2099-01-01T00:00:00Z"}, "ends before it begins"),
        ({"validFrom": "2099-01-01T00:00:00Z", "validUntil": "2099-01-01T00:00:00Z"}, "ends before it begins"),
        ({"validFrom": "2019-01-01T00:00:00Z", "validUntil": "2020-01-01T00:00:00Z"}, "has ended already"),
        ({"validUntil": "2999-01-01T00:00:00Z"}, "more than a year and a day"),
        ({"validUntil": "soon"}, "validUntil"),
        ({"reason": ""}, "reason"),
        ({"colour": "red"}, "colour"),
    ],
)
def test_a_grant_that_cannot_be_meant_is_refused(listening: Listening, now: dict[str, str], changes: dict[str, Any], why: str) -> None:
    before = sorted(listening.world.store.list("statements/delegation/"))
    for path in (SEAL, CHECK):
        assert why in ask(listening, path, delegation(**{**now, **changes})).message
    assert sorted(listening.world.store.list("statements/delegation/")) == before


def test_a_service_grants_nothing(listening: Listening, now: dict[str, str]) -> None:
    pipeline = {
        "username": "system:serviceaccount:flux-system:kustomize-controller",
        "groups": ["system:serviceaccounts"],
        "extra": {"authentication.kubernetes.io/credential-id": ["JTI=7"]},
    }
    answered = listening.ask(SEAL, review(delegation(**now), "promotiondelegations", userInfo=pipeline))
    assert not answered.response["allowed"]


def test_a_dry_run_grants_nothing_and_is_checked_all_the_same(listening: Listening, now: dict[str, str]) -> None:
    before = sorted(listening.world.store.list("statements/delegation/"))
    response = ask(listening, SEAL, delegation(**now), dryRun=True).response
    assert response["allowed"]
    assert "patch" not in response
    assert ask(listening, CHECK, delegation(**now), dryRun=True).response["allowed"]
    assert sorted(listening.world.store.list("statements/delegation/")) == before


def test_bypass_14_nobody_grants_in_somebody_elses_name(listening: Listening, now: dict[str, str]) -> None:
    final = granted(listening, delegation(**now))
    assert "only admission writes this field" in ask(listening, SEAL, final).message
    assert "has not signed" in ask(listening, CHECK, delegation(**now)).message
    assert "by somebody else" in ask(listening, CHECK, final, who="david").message
    wider = deepcopy(final)
    wider["spec"]["models"] = ["*"]
    assert "is another grant" in ask(listening, CHECK, wider).message
    renamed = deepcopy(final)
    renamed["metadata"]["name"] = "carla-for-ever"
    assert "is another grant" in ask(listening, CHECK, renamed, name="carla-for-ever").message
    shown = final | {"grant": final["grant"] | {"subject": "david@bank.example"}}
    assert "says other than what was signed" in ask(listening, CHECK, shown).message


@pytest.mark.parametrize("statement", ["", "sha256:", "sha256:" + "0" * 64, "../../events/x", 7, None])
def test_bypass_18_a_grant_that_is_not_in_the_archive_is_refused(listening: Listening, now: dict[str, str], statement: Any) -> None:
    assert ask(listening, CHECK, delegation(**now) | {"grant": {"statement": statement}}).message


def test_a_grant_is_made_once_and_not_changed(listening: Listening, now: dict[str, str]) -> None:
    final = granted(listening, delegation(**now))
    longer = deepcopy(final)
    longer["spec"]["validUntil"] = "2999-01-01T00:00:00Z"
    other = final | {"grant": final["grant"] | {"statement": "sha256:" + "0" * 64}}
    for path in (SEAL, CHECK):
        assert "delete it to take it back" in ask(listening, path, longer, operation="UPDATE", old=final).message
        assert ask(listening, path, other, operation="UPDATE", old=final).message
    bare = {key: value for key, value in final.items() if key != "grant"}
    [operation] = json.loads(base64.b64decode(ask(listening, SEAL, bare, operation="UPDATE", old=final).response["patch"]))
    assert operation["value"] == final["grant"]
    assert ask(listening, CHECK, final, operation="UPDATE", old=final, who="ben").response["allowed"]


def test_a_grant_that_is_too_large_for_many_to_carry_is_refused(listening: Listening, now: dict[str, str]) -> None:
    groups = tuple(f"{number:03}-{'g' * 250}" for number in range(120))
    answered = ask(listening, SEAL, delegation(**now), groups=groups)
    assert "has more than 32768 bytes" in answered.message
