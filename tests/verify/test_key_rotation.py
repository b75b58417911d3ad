"""Keys come and go, over a real archive: what is believed then, and what is not.

The archive's times are set as a copy restored from a backup has them: the time of storage is the file's.
"""

from __future__ import annotations

import os
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from world import DAVID, SPEC, World, trusted_key

from signoff.archive import layout
from signoff.decision.seals import CouldNotTell
from signoff.desk.freezing import Frozen
from signoff.operator.commit import CannotCommit, commit
from signoff.record.bundle import MAX_BUNDLE
from signoff.record.canonical import dumps
from signoff.record.keys import PemSigner, generate_pem
from signoff.record.promotion import PROMOTION_TYPE, as_json
from signoff.record.rotation import add_key, compromise_key, end_key
from signoff.record.trust import Key, Trust, read_trust
from signoff.record.values import format_time, parse
from signoff.verify.reader import Reader
from signoff.verify.verifier import Failed, Verified, verify

DAY = timedelta(days=1)
START = datetime(2026, 3, 1, 12, 0, tzinfo=UTC)
NEXT = PemSigner(generate_pem())
IMAGE = SPEC["model"]["image"].rpartition("@")[2]


def model(number: int) -> dict[str, Any]:
    """The example's request for a model of its own."""
    return {**SPEC, "model": {**SPEC["model"], "name": f"credit-model-{number}"}}


def stored(world: World, key: str, at: datetime) -> None:
    """Have the archive say that it took an object then."""
    os.utime(world.folder / key, (at.timestamp(), at.timestamp()))


def published(world: World, at: datetime = START) -> None:
    for key in world.store.list(layout.statements_prefix("policy")):
        stored(world, key, at)


def promote(world: World, trust: Trust, at: datetime, number: int = 1, **signers: PemSigner) -> Verified:
    """Have an outcome stored then, and read it under that trust file."""
    frozen = world.freeze(model(number), name=f"request-{number}")
    sealed = world.seal(frozen.payload, frozen.freeze, signer=signers.get("seal"))
    forge(world, frozen, world.bundle(frozen.payload, [sealed], signer=signers.get("event")), at)
    return Reader(world.store, trust).outcome(frozen.freeze.id)


def forge(world: World, frozen: Frozen, bundle: bytes, at: datetime) -> None:
    """Put a bundle where an outcome lies, as somebody with the right to create can, with what the gate looks for."""
    key = layout.event(frozen.freeze.id)
    world.store.create(key, bundle)
    stored(world, key, at)
    world.store.create(layout.subject_pointer(IMAGE, "production", frozen.freeze.id), b"{}")


def rotated(world: World, now: datetime, use: str = "event") -> Trust:
    """The next trust file, with a new key beside the one that is there."""
    value = {**trusted_key(NEXT, use), "name": f"{use} key 2 of demo", "validFrom": format_time(now)}
    return add_key(world.trust, parse(Key, dumps(value), "key"), now)


def of(trust: Trust, signer: PemSigner) -> Key:
    key = trust.key(signer.key_id)
    assert key is not None
    return key


def gate(world: World, trust: Trust) -> set[str]:
    """The requests whose events the gate finds for the image, started with this trust file."""
    return {one.id for one in Reader(world.store, trust).find(IMAGE, "production").admissions}


def test_two_keys_side_by_side_old_events_stay_and_new_ones_verify(world: World) -> None:
    published(world)
    first = promote(world, world.trust, START)
    both = rotated(world, START + DAY)
    second = promote(world, both, START + 2 * DAY, 2, event=NEXT)
    third = promote(world, both, START + 2 * DAY, 3)
    reader = Reader(world.store, both)
    assert {reader.outcome(one.id).promotes for one in (first, second, third)} == {True}
    assert gate(world, both) == {first.id, second.id, third.id}


def test_a_process_keeps_the_trust_file_that_it_was_started_with(world: World) -> None:
    """The gate follows when it is started with the new digest: until then the new key's events are not believed."""
    published(world)
    running = Reader(world.store, world.trust)
    second = promote(world, rotated(world, START), START + DAY, 2, event=NEXT)
    with pytest.raises(Failed, match=r"rule 2 \(signature\).*which the trust file does not name"):
        running.outcome(second.id)
    assert gate(world, world.trust) == set()
    assert gate(world, rotated(world, START)) == {second.id}


def test_what_a_key_signs_after_its_end_is_refused_by_the_time_of_storage(world: World) -> None:
    published(world)
    first = promote(world, world.trust, START)
    last = promote(world, world.trust, START + DAY - timedelta(seconds=1), 2)
    ended = end_key(rotated(world, START), of(world.trust, world.event_key), START + DAY, START)
    frozen = world.freeze(model(3), name="request-3")
    forge(world, frozen, world.bundle(frozen.payload, [world.seal(frozen.payload, frozen.freeze)]), START + DAY)
    reader = Reader(world.store, ended)
    with pytest.raises(Failed, match=r"rule 3 \(key\).*event key of demo was not valid when this was stored"):
        reader.outcome(frozen.freeze.id)
    assert gate(world, ended) == {first.id, last.id}


def test_a_seal_made_after_its_keys_end_is_refused_by_rule_10(world: World) -> None:
    published(world)
    first = promote(world, world.trust, START)
    ended = end_key(rotated(world, START, "seal"), of(world.trust, world.seal_key), START + DAY, START)
    frozen = world.freeze(model(2), name="request-2")
    late = world.seal(frozen.payload, frozen.freeze)
    forge(world, frozen, world.bundle(frozen.payload, [late]), START + DAY)
    reader = Reader(world.store, ended)
    with pytest.raises(Failed, match=r"seal key of demo was not valid when this was stored") as refused:
        reader.outcome(frozen.freeze.id)
    assert refused.value.rule.number in {9, 10}
    assert reader.outcome(first.id).promotes


def test_rule_10_alone_refuses_a_late_seal_on_a_submission_of_the_new_key(world: World) -> None:
    published(world)
    ended = end_key(rotated(world, START, "seal"), of(world.trust, world.seal_key), START + DAY, START)
    old_key, world.seal_key = world.seal_key, NEXT
    frozen = world.freeze(model(2), name="request-2")
    forge(world, frozen, world.bundle(frozen.payload, [world.seal(frozen.payload, frozen.freeze, signer=old_key)]), START + DAY)
    with pytest.raises(Failed, match=r"rule 10 \(seals\).*seal key of demo was not valid when this was stored"):
        Reader(world.store, ended).outcome(frozen.freeze.id)


def test_a_seal_whose_key_ended_before_the_event_takes_the_event_along(world: World) -> None:
    """Nothing is promoted and nothing lost: the person presses again, under the new key, and the same request is promoted."""
    published(world)
    now = START + 2 * DAY
    ended = end_key(rotated(world, START, "seal"), of(world.trust, world.seal_key), START + DAY, START)
    reader = Reader(world.store, ended)
    old_key, world.seal_key = world.seal_key, NEXT
    frozen = world.freeze()
    before = world.seal(frozen.payload, frozen.freeze, signer=old_key)
    listed = list(world.store.list(""))
    with pytest.raises(CannotCommit, match=r"would not verify, and was not written: rule 10 \(seals\)"):
        commit(reader, world.event_key, frozen.freeze, PROMOTION_TYPE, [before], now)
    assert list(world.store.list("")) == listed
    again = world.seal(frozen.payload, frozen.freeze, DAVID)
    assert commit(reader, world.event_key, frozen.freeze, PROMOTION_TYPE, [again], now).promotes


def test_an_ended_event_key_writes_nothing(world: World) -> None:
    published(world)
    ended = end_key(rotated(world, START), of(world.trust, world.event_key), START + DAY, START)
    frozen = world.freeze()
    sealed = world.seal(frozen.payload, frozen.freeze)
    reader, now = Reader(world.store, ended), START + 2 * DAY
    with pytest.raises(CannotCommit, match=r"rule 3 \(key\)"):
        commit(reader, world.event_key, frozen.freeze, PROMOTION_TYPE, [sealed], now)
    assert commit(reader, NEXT, frozen.freeze, PROMOTION_TYPE, [sealed], now).promotes


@pytest.mark.parametrize("use", ["event", "seal"])
def test_a_compromised_key_speaks_only_for_what_was_stored_before(world: World, use: str) -> None:
    published(world)
    honest = promote(world, world.trust, START)
    frozen = world.freeze(model(2), name="request-2")
    stolen = {"event": world.event_key, "seal": world.seal_key}[use]
    forge(world, frozen, world.bundle(frozen.payload, [world.seal(frozen.payload, frozen.freeze)]), START + 3 * DAY)
    assert gate(world, world.trust) == {honest.id, frozen.freeze.id}, "until it is known, the thief's event admits"
    disowned = compromise_key(rotated(world, START, use), of(world.trust, stolen), START + 2 * DAY, START + 5 * DAY)
    reader = Reader(world.store, disowned)
    with pytest.raises(Failed, match=f"{use} key of demo was not valid when this was stored"):
        reader.outcome(frozen.freeze.id)
    assert reader.outcome(honest.id).promotes
    assert gate(world, disowned) == {honest.id}


def test_a_policy_published_under_a_stolen_key_stops_counting_from_that_moment(world: World) -> None:
    published(world, START + 3 * DAY)
    disowned = compromise_key(rotated(world, START, "seal"), of(world.trust, world.seal_key), START + 2 * DAY, START + 5 * DAY)
    old_key, world.seal_key = world.seal_key, NEXT
    frozen = world.freeze()
    forge(world, frozen, world.bundle(frozen.payload, [world.seal(frozen.payload, frozen.freeze)]), START + 4 * DAY)
    with pytest.raises(Failed, match=r"rule 11 \(policies\)"):
        Reader(world.store, disowned).outcome(frozen.freeze.id)
    published(world, START)
    assert Reader(world.store, disowned).outcome(frozen.freeze.id).promotes
    assert old_key.key_id != NEXT.key_id


@pytest.mark.parametrize("use", ["event", "seal"])
def test_a_disowned_event_does_not_end_its_models_history(world: World, use: str) -> None:
    """What it replaced is the incumbent again, and the model can be promoted on; until then the answer is the thief's."""
    published(world)
    honest = promote(world, world.trust, START)
    frozen = world.freeze({**model(1), "attempt": 2}, name="request-2")
    stolen = {"event": world.event_key, "seal": world.seal_key}[use]
    forge(world, frozen, world.bundle(frozen.payload, [world.seal(frozen.payload, frozen.freeze)]), START + 3 * DAY)
    for request in (honest.id, frozen.freeze.id):
        world.store.create(layout.model_pointer("credit-model-1", "production", request), b"{}")
    before = Reader(world.store, world.trust).incumbent("credit-model-1", "production", "demo")
    assert before is not None
    assert before.id == frozen.freeze.id
    disowned = compromise_key(rotated(world, START, use), of(world.trust, stolen), START + 2 * DAY, START + 5 * DAY)
    after = Reader(world.store, disowned).incumbent("credit-model-1", "production", "demo")
    assert after is not None
    assert after.id == honest.id


def test_an_event_that_does_not_verify_for_another_reason_still_makes_the_history_unknown(world: World) -> None:
    published(world)
    frozen = world.freeze(model(1))
    forge(world, frozen, world.bundle(frozen.payload, [world.seal(frozen.payload, frozen.freeze)], signer=world.stranger), START)
    world.store.create(layout.model_pointer("credit-model-1", "production", frozen.freeze.id), b"{}")
    with pytest.raises(Failed, match=r"rule 2 \(signature\)"):
        Reader(world.store, world.trust).incumbent("credit-model-1", "production", "demo")


ENDINGS = {
    "ended": lambda trust, key: end_key(trust, key, START + DAY, START),
    "compromised": lambda trust, key: compromise_key(trust, key, START - DAY, START),
}


@pytest.mark.parametrize("ending", ENDINGS)
def test_of_a_lone_bundle_under_an_ended_key_nothing_can_be_told(world: World, ending: str) -> None:
    published(world)
    first = promote(world, world.trust, START - 2 * DAY)
    lone = world.outcome(world.store.read(layout.event(first.id), limit=MAX_BUNDLE).data, None, None)
    assert verify(lone, world.trust, world.policies).promotes, "a key without an end vouches by itself"
    ended = ENDINGS[ending](rotated(world, START), of(world.trust, world.event_key))
    with pytest.raises(CouldNotTell, match="has ended, and when this was stored is not known"):
        verify(lone, ended, world.policies)
    assert Reader(world.store, ended).outcome(first.id).promotes, "in the archive it is known"


def test_the_versions_are_files_like_any_other(world: World) -> None:
    """What the commands archive is what the processes read."""
    later = end_key(rotated(world, START), of(world.trust, world.event_key), START + DAY, START)
    assert read_trust(dumps(as_json(later))) == later
