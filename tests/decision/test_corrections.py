"""Corrections: which count, which count for nothing, and of which it cannot be told."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from world import BEN, CARLA, SPEC, World, trusted_key

from signoff.archive import layout
from signoff.archive.file import FileStore
from signoff.decision.corrections import revocation
from signoff.decision.seals import CouldNotTell
from signoff.operator.commit import pointers
from signoff.record.bundle import read_bundle, sign_bundle
from signoff.record.canonical import dumps
from signoff.record.correction import correction_id
from signoff.record.promotion import PROMOTION_TYPE, REJECTION_TYPE
from signoff.record.values import sha256
from signoff.verify.reader import MAX_CORRECTIONS, Reader
from signoff.verify.verifier import Verified


def event(world: World, **changes: Any) -> Verified:
    """Return a promotion that is in the archive, with its pointers."""
    frozen = world.freeze({**SPEC, **changes})
    bundle = world.bundle(frozen.payload, [world.seal(frozen.payload, frozen.freeze)])
    for key in pointers(frozen.freeze, PROMOTION_TYPE):
        if not (world.folder / key).exists():
            world.store.create(key, b"")
    world.store.create(layout.event(frozen.freeze.id), bundle)
    return world.reader.outcome(frozen.freeze.id)


def test_an_event_without_corrections_stands(world: World) -> None:
    verified = event(world)
    assert world.reader.corrections(verified) == ()
    assert world.reader.revoked(verified) is None


def test_a_revocation_is_told_with_who_when_and_why(world: World) -> None:
    verified = event(world)
    world.correct(verified)
    revoked = world.reader.revoked(verified)
    assert revoked is not None
    assert str(revoked) == "revoked by carla@bank.example at 2026-03-04T08:00:00Z: The evaluation data were wrong."


def test_a_remark_revokes_nothing(world: World) -> None:
    verified = event(world)
    world.correct(verified, "Annotate")
    assert [one.correction.verdict for one in world.reader.corrections(verified)] == ["Annotate"]
    assert world.reader.revoked(verified) is None


def test_of_several_revocations_the_first_that_the_store_took_is_told(world: World) -> None:
    verified = event(world)
    reasons = [f"Reason {number}." for number in range(6)]
    for reason in reasons:
        world.correct(verified, by=BEN, reason=reason)
    found = world.reader.corrections(verified)
    assert [one.correction.reason for one in found] == reasons
    assert revocation(found) is found[0]


def test_a_long_reason_is_told_in_one_short_line(world: World) -> None:
    verified = event(world)
    world.correct(verified, reason="A line.\nAnother, as long as they come: " + "x" * 3000)
    told = str(world.reader.revoked(verified))
    assert told.isprintable()
    assert len(told) < 300


LIES: dict[str, dict[str, Any]] = {
    "of another event": {"event": sha256(b"another")},
    "of another request": {"request": "9" * 64},
    "under another id": {"id": "8" * 64},
    "under another name": {"correction": {"namespace": "credit", "name": "other"}},
    "another reason than its id was made of": {"verdict": "Annotate"},
    "of a cluster that the key is not of": {"cluster": "other"},
}


@pytest.mark.parametrize("changes", [pytest.param(value, id=name) for name, value in LIES.items()])
def test_what_says_other_than_its_place_makes_the_event_untellable(world: World, changes: dict[str, Any]) -> None:
    verified = event(world)
    spec = {"request": verified.id, "event": verified.digest, "verdict": "Revoke", "reason": "The evaluation data were wrong."}
    own = correction_id("credit", "credit-revoke", spec)
    world.correct(verified, key=layout.correction(verified.digest, own), **changes)
    with pytest.raises(CouldNotTell, match="whether the event was revoked cannot be told"):
        world.reader.corrections(verified)


def test_a_correction_that_names_another_request_than_its_events_makes_it_untellable(world: World) -> None:
    verified = event(world)
    spec = {"request": "9" * 64, "event": verified.digest, "verdict": "Revoke", "reason": "The evaluation data were wrong."}
    own = correction_id("credit", "credit-revoke", spec)
    world.correct(verified, request="9" * 64, id=own, key=layout.correction(verified.digest, own))
    with pytest.raises(CouldNotTell, match="says that its event is the outcome of 999"):
        world.reader.corrections(verified)


def test_a_correction_whose_statement_is_about_another_event_makes_it_untellable(world: World) -> None:
    verified = event(world)
    stored = world.store.read(world.correct(verified), limit=10_000)
    statement = json.loads(read_bundle(stored.data, "correction").payload)
    statement["subject"][0]["digest"]["sha256"] = "0" * 64
    path = world.folder / stored.key
    path.chmod(0o600)
    path.write_bytes(sign_bundle(dumps(statement), world.seal_key))
    with pytest.raises(CouldNotTell, match="its subjects are not what it speaks of"):
        world.reader.corrections(verified)


def test_a_correction_by_a_stranger_makes_the_event_untellable(world: World) -> None:
    verified = event(world)
    world.correct(verified, "Annotate", signer=world.stranger)
    with pytest.raises(CouldNotTell, match="which the trust file does not name"):
        world.reader.corrections(verified)


def test_a_correction_by_the_operators_key_makes_the_event_untellable(world: World) -> None:
    verified = event(world)
    world.correct(verified, "Annotate", signer=world.event_key)
    with pytest.raises(CouldNotTell, match="is for event, not for seal"):
        world.reader.corrections(verified)


def test_bypass_17_a_seal_of_the_development_cluster_revokes_nothing_in_production(world: World) -> None:
    """Nor does it pass for nothing: whoever may write there must not be passed over."""
    verified = event(world)
    dev = {"cluster": "dev", "targets": {"environments": ["development"], "clusters": ["dev"]}}
    keys = [trusted_key(world.seal_key, "seal"), trusted_key(world.event_key, "event"), trusted_key(world.stranger, "seal", **dev)]
    reader = Reader(world.store, world.trust_with(keys=keys))
    world.correct(verified, cluster="dev", signer=world.stranger)
    with pytest.raises(CouldNotTell, match="may not speak for production in demo"):
        reader.corrections(verified)


def test_an_altered_revocation_does_not_un_revoke(world: World) -> None:
    verified = event(world)
    path = Path(world.folder / world.correct(verified))
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 1
    path.chmod(0o600)
    path.write_bytes(bytes(data))
    with pytest.raises(CouldNotTell):
        world.reader.revoked(verified)


def test_bypass_18_an_old_correction_put_under_another_event_is_no_correction_of_it(world: World) -> None:
    """A replay: a remark on one event, copied over the revocation of another."""
    first, second = event(world), event(world, attempt=2)
    remark = world.store.read(world.correct(first, "Annotate"), limit=10_000).data
    key = world.correct(second)
    path = world.folder / key
    path.chmod(0o600)
    path.write_bytes(remark)
    with pytest.raises(CouldNotTell, match="lies in the place of another"):
        world.reader.revoked(second)
    assert [one.revokes for one in world.reader.corrections(first)] == [False]


def test_a_disowned_key_revokes_nothing_that_was_stored_after_it_was_stolen(world: World) -> None:
    verified = event(world)
    world.correct(verified)
    keys = [trusted_key(world.seal_key, "seal", compromised={"at": "2026-01-02T00:00:00Z"}), trusted_key(world.event_key, "event")]
    reader = Reader(world.store, world.trust_with(keys=keys))
    assert reader.corrections(verified) == ()


def test_more_corrections_than_are_read_make_the_event_untellable(world: World) -> None:
    verified = event(world)
    for number in range(MAX_CORRECTIONS):
        world.correct(verified, "Annotate", reason=f"Remark {number}.")
    assert len(world.reader.corrections(verified)) == MAX_CORRECTIONS
    world.correct(verified)
    with pytest.raises(CouldNotTell, match=f"more than {MAX_CORRECTIONS} corrections of one event"):
        world.reader.corrections(verified)


def test_what_was_revoked_is_live_no_more_and_what_was_before_it_is_again(world: World) -> None:
    first = event(world)
    second = event(world, attempt=2)
    name = first.freeze.request.spec.model.name
    live = world.reader.incumbent(name, "production", "demo")
    assert live is not None
    assert live.id == second.id
    world.correct(second)
    live = world.reader.incumbent(name, "production", "demo")
    assert live is not None
    assert live.id == first.id
    world.correct(first)
    assert world.reader.incumbent(name, "production", "demo") is None


def test_a_correction_of_a_correction_has_no_place(world: World) -> None:
    """It would name the correction's digest as its event; nothing reads corrections of those."""
    verified = event(world)
    world.correct(verified)
    revoked = world.reader.revoked(verified)
    assert revoked is not None
    world.correct(verified, "Annotate", event=revoked.digest, key=layout.correction(revoked.digest, "7" * 64))
    again = Reader(FileStore(world.folder), world.trust)
    assert again.revoked(again.outcome(verified.id)) is not None


def test_a_rejection_can_bear_a_remark(world: World) -> None:
    frozen = world.freeze()
    bundle = world.bundle(frozen.payload, [world.seal(frozen.payload, frozen.freeze, CARLA, "Reject")], kind=REJECTION_TYPE)
    world.store.create(layout.event(frozen.freeze.id), bundle)
    verified = world.reader.outcome(frozen.freeze.id)
    world.correct(verified, "Annotate")
    assert len(world.reader.corrections(verified)) == 1
