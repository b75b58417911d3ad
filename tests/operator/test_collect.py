"""Which decisions count: carried by a resource and archived, by somebody eligible, and a rejection before a quorum."""

from __future__ import annotations

from typing import Any

import pytest
from world import BEN, CARLA, DAVID, POLICY, SPEC, World, person, trusted_key

from signoff.archive import layout
from signoff.operator.commit import collect, outcome_due
from signoff.record.keys import PemSigner, generate_pem
from signoff.record.promotion import PROMOTION_TYPE, REJECTION_TYPE
from signoff.verify.reader import Reader
from tests.operator.deciding import EVE, Change, collected, names, seal, write


def test_an_approval_counts_when_it_is_carried_and_archived(world: World) -> None:
    frozen = world.freeze()
    sealed = seal(world, frozen)
    found = collected(world, frozen, sealed)
    assert (names(found.approvals), found.rejections, found.ignored) == ({"carla"}, (), ())
    assert outcome_due(found) == (PROMOTION_TYPE, found.approvals)


def test_an_archived_approval_that_nobody_carries_does_not_count(world: World) -> None:
    frozen = world.freeze()
    seal(world, frozen)
    found = collected(world, frozen)
    assert (found.approvals, outcome_due(found)) == ((), None)
    assert found.quorum.missing


def test_a_carried_seal_that_is_not_archived_does_not_count_and_is_told(world: World) -> None:
    frozen = world.freeze()
    found = collected(world, frozen, world.seal(frozen.payload, frozen.freeze))
    assert found.ignored == ("promotiondecision decision-0 carries a seal that is not in the archive, or does not count (any more)",)
    assert outcome_due(found) is None


def test_a_carried_seal_must_be_the_archived_one_byte_for_byte(world: World) -> None:
    frozen = world.freeze()
    seal(world, frozen)
    signed_again = world.seal(frozen.payload, frozen.freeze)
    found = collected(world, frozen, signed_again)
    assert (len(found.ignored), outcome_due(found)) == (1, None)


@pytest.mark.parametrize("bundle", ["", "%", "e30", "e30=", "ä"])
def test_what_is_no_seal_is_told(world: World, bundle: str) -> None:
    frozen = world.freeze()
    found = collect(world.reader, frozen.freeze, frozen.digest, [("forged", bundle)])
    assert len(found.ignored) == 1
    assert "forged" in found.ignored[0]


def test_one_seal_carried_twice_is_one_approval(world: World) -> None:
    two = {**POLICY, "tiers": {"tier-2": {**POLICY["tiers"]["tier-2"], "quorum": 2}}}
    frozen = world.freeze(policies=(world.publish("credit-models-2", two),))
    sealed = seal(world, frozen)
    assert outcome_due(collected(world, frozen, sealed, sealed)) is None
    due = outcome_due(collected(world, frozen, sealed, seal(world, frozen, DAVID)))
    assert due is not None
    assert write(world, frozen, *due[:1], *due[1]).promotes


def test_a_rejection_counts_before_a_quorum_carried_or_not(world: World) -> None:
    frozen = world.freeze()
    approval, rejection = seal(world, frozen), seal(world, frozen, DAVID, "Reject")
    for found in (collected(world, frozen, approval), collected(world, frozen, approval, rejection)):
        assert found.quorum.reached
        assert outcome_due(found) == (REJECTION_TYPE, found.rejections)
        assert names(found.rejections) == {"david"}
    assert not write(world, frozen, REJECTION_TYPE, rejection).promotes


def role_without_group(value: dict[str, Any]) -> None:
    value["decided"]["groups"] = ["credit-team"]


def role_of_its_own(value: dict[str, Any]) -> None:
    value["decided"]["roles"] = ["king"]


ANA = person("ana")  # the author whom the request names
INELIGIBLE: dict[str, tuple[Any, Change]] = {
    "who submitted": (BEN, lambda _: None),
    "the author": (ANA, lambda _: None),
    "a role without its group": (EVE, role_without_group),
    "a role that the route does not know": (EVE, role_of_its_own),
}


@pytest.mark.parametrize("name", INELIGIBLE)
def test_bypass_14_the_ineligible_neither_reject_nor_approve(world: World, name: str) -> None:
    by, change = INELIGIBLE[name]
    frozen = world.freeze()
    rejection = seal(world, frozen, by, "Reject", change=change)
    approval = seal(world, frozen)
    found = collected(world, frozen, rejection, approval)
    assert outcome_due(found) == (PROMOTION_TYPE, found.approvals)
    other = world.freeze({**SPEC, "attempt": 2})
    assert outcome_due(collected(world, other, seal(world, other, by, change=change))) is None


def test_bypass_18_a_seal_counts_only_under_its_own_key(world: World) -> None:
    frozen = world.freeze()
    sealed = world.seal(frozen.payload, frozen.freeze, verdict="Reject")
    world.store.create(layout.seal(frozen.digest, DAVID.issuer, DAVID.subject), sealed.bundle)
    assert outcome_due(collected(world, frozen, sealed)) is None
    other = world.freeze({**SPEC, "attempt": 2})
    world.store.create(layout.seal(other.digest, CARLA.issuer, CARLA.subject), sealed.bundle)
    assert outcome_due(collected(world, other, sealed)) is None


def test_bypass_18_a_seal_that_nobody_trusted_signed_does_not_count(world: World) -> None:
    frozen = world.freeze()
    for signer, verdict in ((world.stranger, "Reject"), (world.event_key, "Reject")):
        by = person(f"mallory-{signer.key_id[7:11]}")
        seal(world, frozen, by, verdict, signer=signer)
    world.store.create(layout.seal(frozen.digest, EVE.issuer, EVE.subject), b"{}")
    found = collected(world, frozen, seal(world, frozen))
    assert (names(found.approvals), found.rejections) == ({"carla"}, ())


def test_bypass_17_a_seal_of_another_cluster_does_not_count(world: World) -> None:
    elsewhere = PemSigner(generate_pem())
    staging = trusted_key(elsewhere, "seal", cluster="other", targets={"environments": ["staging"], "clusters": ["other"]})
    world.trust = world.trust_with(keys=[trusted_key(world.seal_key, "seal"), trusted_key(world.event_key, "event"), staging])
    world.reader = Reader(world.store, world.trust)
    frozen = world.freeze()
    seal(world, frozen, EVE, "Reject", signer=elsewhere, change=lambda value: value.update(cluster="other"))
    assert collected(world, frozen).rejections == ()
