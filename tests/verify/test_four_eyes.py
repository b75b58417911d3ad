"""Four eyes of publishers: what a second publisher's statement must be, and that the verifier holds it to that."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest
from world import BEN, PAULA, PIA, STORED, World, trusted_key

from signoff.archive import layout
from signoff.decision.seals import CouldNotTell, Filed
from signoff.policy.schema import Published
from signoff.record.bundle import read_bundle, sign_bundle
from signoff.record.canonical import b64decode, b64encode, dumps
from signoff.record.keys import PemSigner
from signoff.record.promotion import as_json
from signoff.record.trust import Trust
from signoff.record.values import format_time, sha256
from signoff.verify.reader import Reader
from signoff.verify.verifier import Failed, verify

Change = Callable[[dict[str, Any]], None]


@pytest.fixture
def strict(world: World) -> World:
    """A world whose trust file asks for two publishers."""
    world.ask_for_four_eyes()
    return world


def event(world: World, policy: Published) -> Any:
    frozen = world.freeze(policies=(policy,))
    return world.outcome(world.bundle(frozen.payload, [world.seal(frozen.payload, frozen.freeze)]), frozen.freeze.id)


def refusal(world: World, policy: Published, trust: Trust | None = None) -> str:
    with pytest.raises(Failed) as caught:
        verify(event(world, policy), trust or world.trust, world.policies)
    assert caught.value.rule.name == "policies"
    return str(caught.value)


def changed(world: World, published: Published, change: Change, signer: PemSigner | None = None) -> Published:
    """Return a policy with a second statement that was altered and signed again."""
    agreed = world.agreed(published)
    assert agreed.second is not None
    statement = json.loads(read_bundle(world.policies[agreed.second].bundle, "policy").payload)
    change(statement)
    bundle = sign_bundle(dumps(statement), signer or world.seal_key)
    digest = read_bundle(bundle, "policy").digest
    world.policies[digest] = Filed(bundle, STORED)
    return replace(published, second=digest)


def another_text(statement: dict[str, Any]) -> None:
    content = dumps({**json.loads(b64decode(statement["predicate"]["content"], "content")), "checkers": {"weekly": ["sha256:" + "0" * 64]}})
    statement["predicate"]["content"] = b64encode(content)
    statement["subject"][0]["digest"]["sha256"] = sha256(content).removeprefix("sha256:")


def another_name(statement: dict[str, Any]) -> None:
    statement["predicate"]["name"] = statement["subject"][0]["name"] = "fraud-models"


def another_cluster(statement: dict[str, Any]) -> None:
    statement["predicate"]["cluster"] = "staging"


def test_rule_11_policies_that_two_publishers_agreed_to(strict: World) -> None:
    verified = verify(event(strict, strict.agreed(strict.published)), strict.trust, strict.policies)
    [considered] = verified.freeze.route.considered
    assert considered.second not in {None, considered.statement}
    reader = Reader(strict.store, strict.trust)
    named = reader.policies_of(event(strict, strict.agreed(strict.published)))
    assert set(named) == {considered.statement, considered.second}, "the archive gives both"


def test_rule_11_policies_to_which_nobody_agreed(strict: World) -> None:
    assert "asks for a second publisher's agreement, and none is named" in refusal(strict, strict.published)


def test_rule_11_policies_whose_second_statement_is_the_first(strict: World) -> None:
    """As an operator would freeze it that wants to do without a second publisher."""
    alone = replace(strict.published, second=strict.published.statement)
    assert "cannot be the second as well" in refusal(strict, alone)


def test_rule_11_policies_of_one_publisher_under_two_printed_names(strict: World) -> None:
    alone = strict.agreed(strict.published, by=PAULA.model_copy(update={"name": "Paula Beyer"}))
    assert alone.second != alone.statement
    assert "cannot be the second as well" in refusal(strict, alone)


@pytest.mark.parametrize("four_eyes", [True, False], ids=["four eyes", "a second that nobody asked for"])
@pytest.mark.parametrize("change", [another_text, another_name])
def test_rule_11_policies_whose_second_agreed_to_something_else(world: World, change: Change, four_eyes: bool) -> None:
    trust = world.trust_with(publishers=(PAULA, PIA))
    if four_eyes:
        world.ask_for_four_eyes()
        trust = world.trust
    assert "agrees to another policy, to another text of it" in refusal(world, changed(world, world.published, change), trust)


def test_rule_11_policies_whose_second_agreed_in_another_cluster(strict: World) -> None:
    assert "but the statement says staging" in refusal(strict, changed(strict, strict.published, another_cluster))
    key = trusted_key(strict.stranger, "seal", cluster="staging", name="seal key of staging")
    policies = json.loads(dumps(as_json(strict.trust)))["policies"]
    keys = [*json.loads(dumps(as_json(strict.trust)))["keys"], key]
    there = changed(strict, strict.published, another_cluster, signer=strict.stranger)
    assert "or in another cluster" in refusal(strict, there, strict.trust_with(keys=keys, policies=policies))


@pytest.mark.parametrize("four_eyes", [True, False], ids=["four eyes", "a second that nobody asked for"])
def test_rule_11_policies_whose_second_is_no_publisher(world: World, four_eyes: bool) -> None:
    if four_eyes:
        world.ask_for_four_eyes()
    assert "is no policy publisher" in refusal(world, world.agreed(world.published, by=BEN))


def trusting(world: World, **validity: str) -> Trust:
    """Paula, and Pia for a time."""
    paula, pia = ({"issuer": one.issuer, "subject": one.subject} for one in (PAULA, PIA))
    return world.trust_with(policies={"publishers": [paula, {**pia, **validity}], "fourEyes": True})


@pytest.mark.parametrize(
    "validity",
    [{"validFrom": format_time(STORED + timedelta(seconds=1))}, {"validUntil": format_time(STORED)}],
    ids=["not yet", "no longer"],
)
def test_rule_11_policies_whose_second_was_no_publisher_when_it_was_stored(world: World, validity: dict[str, str]) -> None:
    trust = trusting(world, **validity)
    assert "or was none when this was stored" in refusal(world, world.agreed(world.published), trust)


def test_rule_11_policies_whose_second_may_have_been_a_publisher(world: World) -> None:
    trust, policy = trusting(world, validUntil="2027-01-01T00:00:00Z"), world.agreed(world.published)
    assert policy.second is not None
    assert verify(event(world, policy), trust, world.policies).promotes
    unknown = {**world.policies, policy.second: Filed(world.policies[policy.second].bundle, None)}
    with pytest.raises(CouldNotTell, match=r"when pia@bank\.example .* published this is not known"):
        verify(event(world, policy), trust, unknown)


def test_rule_11_policies_whose_second_the_operator_signed(strict: World) -> None:
    assert "is for event, not for seal" in refusal(strict, strict.agreed(strict.published, signer=strict.event_key))


def test_rule_11_policies_whose_second_is_another_statement_than_was_named(strict: World) -> None:
    agreed = strict.agreed(strict.published)
    false = sha256(b"another")
    assert agreed.second is not None
    strict.policies[false] = strict.policies[agreed.second]
    assert "this is not the statement" in refusal(strict, replace(agreed, second=false))


def test_rule_11_policies_whose_second_is_not_at_hand(strict: World) -> None:
    policy = strict.agreed(strict.published)
    outcome = event(strict, policy)
    first = {policy.statement: strict.policies[policy.statement]}
    with pytest.raises(CouldNotTell, match="is not at hand"):
        verify(outcome, strict.trust, first)


def test_without_four_eyes_one_suffices_and_the_freeze_says_nothing_of_a_second(world: World) -> None:
    frozen = world.freeze()
    assert b'"second"' not in frozen.payload
    assert verify(event(world, world.published), world.trust, world.policies).promotes
    trust = world.trust_with(publishers=(PAULA, PIA))
    assert verify(event(world, world.agreed(world.published)), trust, world.policies).promotes


def test_without_the_second_statement_in_the_archive_it_cannot_be_told(strict: World) -> None:
    policy = strict.agreed(strict.published)
    assert policy.second is not None
    frozen = strict.freeze(policies=(policy,))
    bundle = strict.bundle(frozen.payload, [strict.seal(frozen.payload, frozen.freeze)])
    strict.store.create(layout.event(frozen.freeze.id), bundle)
    assert strict.reader.outcome(frozen.freeze.id).promotes
    (strict.folder / layout.statement("policy", policy.second)).unlink()
    with pytest.raises(CouldNotTell, match="is not at hand"):
        Reader(strict.store, strict.trust).outcome(frozen.freeze.id)
