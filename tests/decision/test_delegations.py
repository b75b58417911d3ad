"""Deciding in somebody's name: whose roles count, and who is asked about."""

from __future__ import annotations

import pytest
from world import BEN, CARLA, DAVID, World, person

from signoff.decision.delegations import believe_grant, grant_of, grantor_of
from signoff.decision.eligibility import NotAllowed, Standing, standing
from signoff.decision.principals import Resolved
from signoff.decision.seals import Filed, NotBelieved, read_delegation
from signoff.record.canonical import b64decode
from signoff.record.freeze import Principal
from signoff.record.seal import Delegation
from signoff.record.values import Digest

ANA, ERIK = person("ana"), person("erik")


def resolved(principal: Principal, *groups: str, kind: str = "person") -> Resolved:
    return Resolved(principal, kind, "client-certificate", principal.subject, groups)  # type: ignore[arg-type]


def delegation(world: World, by: Principal = CARLA, **changes: object) -> Delegation:
    granted = world.grant(by=by, to=ERIK, **changes)
    target = world.freeze().freeze.request.spec.target
    return read_delegation(Filed(b64decode(granted["bundle"], "x"), None), world.trust, target, Digest(granted["digest"]))


def test_a_delegate_decides_in_the_grantors_roles_and_in_no_others(world: World) -> None:
    freeze = world.freeze().freeze
    found = standing(freeze, resolved(ERIK, "other"), (), delegation(world))
    assert found == Standing(("approver",), ("model-approvers",))
    with pytest.raises(NotAllowed, match=r"carla@bank.example, in whose name it would be, holds none of the roles"):
        standing(freeze, resolved(ERIK, "model-approvers"), (), delegation(world, groups=["staff"]))


@pytest.mark.parametrize("asker", [ANA, BEN], ids=["the author", "the submitter"])
def test_bypass_14_neither_side_of_a_grant_may_have_asked(world: World, asker: Principal) -> None:
    freeze = world.freeze().freeze
    with pytest.raises(NotAllowed, match="whoever asks cannot approve"):
        standing(freeze, resolved(ERIK), (), delegation(world, by=asker))
    with pytest.raises(NotAllowed, match="whoever asks cannot approve"):
        standing(freeze, resolved(asker), (), delegation(world))
    with pytest.raises(NotAllowed, match=r"carla@bank.example .* submitted the resource"):
        standing(freeze, resolved(ERIK), (CARLA,), delegation(world))


def test_a_service_decides_in_nobodys_name(world: World) -> None:
    with pytest.raises(NotAllowed, match="is a service"):
        standing(world.freeze().freeze, resolved(ERIK, kind="service"), (), delegation(world))


def test_a_seal_says_in_whose_name_it_is(world: World) -> None:
    frozen = world.freeze()
    own = world.seal(frozen.payload, frozen.freeze).seal.decided
    lent = world.seal(frozen.payload, frozen.freeze, change=lambda seal: seal["decided"].update(delegation=[world.grant()])).seal.decided
    assert (grant_of(own), grantor_of(own)) == (None, None)
    assert grantor_of(lent) == DAVID


def test_a_grant_is_read_like_a_seal(world: World) -> None:
    freeze, granted = world.freeze().freeze, world.grant()
    digest, target = Digest(granted["digest"]), freeze.request.spec.target
    with pytest.raises(NotBelieved, match="this is not the statement"):
        read_delegation(Filed(b64decode(granted["bundle"], "x"), None), world.trust, target, Digest("sha256:" + "0" * 64))
    by_operator = world.grant(signer=world.event_key)
    with pytest.raises(NotBelieved, match="is for event, not for seal"):
        read_delegation(Filed(b64decode(by_operator["bundle"], "x"), None), world.trust, target, Digest(by_operator["digest"]))
    assert read_delegation(Filed(b64decode(granted["bundle"], "x"), None), world.trust, target, digest).grantor == DAVID


def test_a_decision_without_a_grant_needs_none(world: World) -> None:
    frozen = world.freeze()
    sealed = world.seal(frozen.payload, frozen.freeze)
    believe_grant(sealed.seal.decided, "demo", Filed(sealed.bundle, None), world.trust, frozen.freeze, "seal")
