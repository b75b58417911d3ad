"""Policies at the seal's door: applying one is publishing it, by whom the trust file names and by nobody else."""

from __future__ import annotations

import base64
import json
from copy import deepcopy
from typing import Any

import pytest

from signoff.archive import layout
from signoff.decision.seals import CouldNotTell
from signoff.record.bundle import MAX_BUNDLE
from signoff.record.request import read_spec
from signoff.record.values import parse_digest
from signoff.verify.policies import in_force
from tests.webhook.contract import require_contract
from tests.webhook.listening import Answer, Listening
from tests.webhook.reviews import UID, policy, promotion, review, user

SEAL, CHECK = "/seal/policies", "/check/policies"


def ask(listening: Listening, path: str, obj: dict[str, Any], *, who: str = "paula", **changes: Any) -> Answer:
    answered = listening.ask(path, review(obj, "promotionpolicies", userInfo=user(who), **changes))
    require_contract(answered, UID)
    return answered


def publication(answered: Answer) -> dict[str, Any]:
    [operation] = json.loads(base64.b64decode(answered.response["patch"]))
    assert (operation["op"], operation["path"]) == ("add", "/publication")
    written: dict[str, Any] = operation["value"]
    return written


def published(listening: Listening, obj: dict[str, Any] | None = None) -> dict[str, Any]:
    obj = obj or policy()
    return obj | {"publication": publication(ask(listening, SEAL, obj))}


def stricter(final: dict[str, Any]) -> dict[str, Any]:
    changed = deepcopy(final)
    changed["spec"]["tiers"]["tier-2"]["quorum"] = 2
    changed["spec"]["tiers"]["tier-2"]["roles"][0]["count"] = 2
    return changed


def test_a_publication_is_archived_before_it_is_answered_and_counts(listening: Listening) -> None:
    final = published(listening)
    digest = parse_digest(final["publication"]["statement"])
    assert listening.world.store.read(layout.statement("policy", digest), limit=MAX_BUNDLE)
    assert final["publication"]["subject"] == "paula@bank.example"
    assert ask(listening, CHECK, final).response["allowed"]
    target = read_spec(promotion()["spec"])
    assert [one.statement for one in in_force([final], listening.world.reader, target).published] == [digest]
    toys = stricter(final)
    toys["spec"]["models"] = [{"names": ["toy-*"], "namespaces": ["toys"]}]
    with pytest.raises(CouldNotTell):  # what was published spoke of credit models, whatever the text says now
        in_force([toys], listening.world.reader, target)
    unpublished = in_force([policy()], listening.world.reader, target)
    assert (unpublished.published, len(unpublished.ignored)) == ((), 1)
    with pytest.raises(CouldNotTell, match="was edited after it was published"):
        in_force([stricter(final)], listening.world.reader, target)


def test_only_a_publisher_publishes(listening: Listening) -> None:
    final = published(listening)
    for who in ("ben", "carla", "Paula", "paula2"):
        assert "is no policy publisher" in ask(listening, SEAL, policy(), who=who).message
        assert "is no policy publisher" in ask(listening, CHECK, final, who=who).message


def test_a_dry_run_publishes_nothing_and_is_checked_all_the_same(listening: Listening) -> None:
    before = sorted(listening.world.store.list("statements/policy/"))
    fresh = policy()
    fresh["spec"]["models"][0]["names"] = ["dry-*"]
    response = ask(listening, SEAL, fresh, dryRun=True).response
    assert response["allowed"]
    assert "patch" not in response
    assert sorted(listening.world.store.list("statements/policy/")) == before
    assert ask(listening, CHECK, fresh, dryRun=True).response["allowed"]
    assert ask(listening, SEAL, fresh, dryRun=True, who="ben").message


def test_nobody_else_writes_the_publication(listening: Listening) -> None:
    final = published(listening)
    assert "only admission writes this field" in ask(listening, SEAL, final).message
    assert "has not published" in ask(listening, CHECK, policy()).message
    forged = final | {"publication": final["publication"] | {"subject": "carla@bank.example"}}
    for path in (SEAL, CHECK):
        assert ask(listening, path, forged, operation="UPDATE", old=final).message
    assert "says other than what was published" in ask(listening, CHECK, forged).message
    other = final | {"publication": published(listening, stricter(policy()))["publication"]}
    assert "of another policy" in ask(listening, CHECK, other).message
    renamed = deepcopy(final)
    renamed["metadata"]["name"] = "fraud-models"
    assert "of another policy" in ask(listening, CHECK, renamed, name="fraud-models").message


@pytest.mark.parametrize("statement", ["", "sha256:", "sha256:" + "0" * 64, "../../events/x", 7, None])
def test_bypass_18_a_publication_that_is_not_in_the_archive_is_refused(listening: Listening, statement: Any) -> None:
    assert ask(listening, CHECK, policy() | {"publication": {"statement": statement}}).message


def test_a_changed_text_is_a_new_publication(listening: Listening) -> None:
    final = published(listening)
    changed = stricter(final)
    again = publication(ask(listening, SEAL, changed, operation="UPDATE", old=final))
    assert again["statement"] != final["publication"]["statement"]
    assert ask(listening, CHECK, changed | {"publication": again}, operation="UPDATE", old=final).response["allowed"]
    assert ask(listening, CHECK, changed, operation="UPDATE", old=final).message
    assert ask(listening, SEAL, changed, operation="UPDATE", old=final, who="ben").message


def test_what_admission_wrote_stays_where_the_text_does(listening: Listening) -> None:
    final = published(listening)
    labelled = deepcopy(final)
    labelled["metadata"]["labels"] = {"a": "b"}
    for path in (SEAL, CHECK):
        assert ask(listening, path, labelled, operation="UPDATE", old=final, who="ben").response["allowed"]
    bare = {key: value for key, value in labelled.items() if key != "publication"}
    assert publication(ask(listening, SEAL, bare, operation="UPDATE", old=final)) == final["publication"]
    assert ask(listening, CHECK, bare, operation="UPDATE", old=final).message


def test_a_policy_too_large_for_a_record_is_refused(listening: Listening) -> None:
    large = policy()
    names = [f"model-{number}-{'x' * 180}*" for number in range(64)]
    large["spec"]["models"] = [{"names": names, "namespaces": ["credit"]} for _ in range(4)]
    assert ask(listening, SEAL, large).response["allowed"]
    large["spec"]["models"] *= 2
    assert "are more than 65536" in ask(listening, SEAL, large).message


@pytest.mark.parametrize("field", ["rules", "raise"])
def test_a_condition_that_does_not_compile_is_refused_with_its_position(listening: Listening, field: str) -> None:
    broken = policy()
    broken["spec"][field] = [{"name": "by-class", "tier": "tier-2", "when": 'model.clas == "credit"'}]
    answered = ask(listening, SEAL, broken)
    assert f"spec.{field}[0].when: line 1, column 6: undeclared reference to 'model.clas'" in answered.message
    assert "correct the condition of rule by-class" in answered.message
    assert ask(listening, SEAL, broken, dryRun=True).message == answered.message


def test_a_condition_that_compiles_is_published(listening: Listening) -> None:
    conditional = policy()
    conditional["spec"]["rules"].insert(0, {"name": "first", "tier": "tier-2", "when": "!incumbent.exists"})
    conditional["spec"]["raise"] = [{"name": "new", "tier": "tier-2", "when": 'claims.materiality["population"] == "new"'}]
    assert ask(listening, CHECK, published(listening, conditional)).response["allowed"]
