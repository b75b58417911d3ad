"""What was verified is kept, and nothing else is: not the archive, not what failed, not what was judged by other inputs."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any

import pytest
from world import SPEC, STORED, World

from signoff.archive import layout
from signoff.decision.seals import CouldNotTell, Filed
from signoff.record.values import Digest, RequestId
from signoff.verify import kept as module
from signoff.verify.case import Outcome
from signoff.verify.kept import Kept
from signoff.verify.reader import Reader
from signoff.verify.verifier import Failed, Verified, verify


@dataclass
class Counted:
    """`Kept`, its verifications counted, and the policies that it is given."""

    world: World
    monkeypatch: pytest.MonkeyPatch
    most: int = 8
    most_bytes: int = 2**24
    times: int = 0
    policies: dict[Digest, Filed] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.policies = dict(self.world.policies)
        self.kept = Kept(self.world.trust, self.most, self.most_bytes)
        self.monkeypatch.setattr(module, "verify", self._verify)

    def _verify(self, *given: Any) -> Verified:
        self.times += 1
        return verify(*given)

    def ask(self, outcome: Outcome) -> Verified:
        return self.kept.verified(outcome, lambda _: dict(self.policies), lambda named: {one: self.policies[one] for one in named})


def outcome(world: World, attempt: int = 1, **changes: Any) -> Outcome:
    frozen = world.freeze({**SPEC, "attempt": attempt})
    bundle = world.bundle(frozen.payload, [world.seal(frozen.payload, frozen.freeze)])
    return Outcome(Filed(bundle, changes.get("stored_at", STORED)), changes.get("slot", frozen.freeze.id))


def same(one: Outcome) -> Outcome:
    return Outcome(Filed(bytes(bytearray(one.filed.bundle)), one.filed.stored_at), one.slot)


def test_the_same_bytes_are_verified_once(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    counted, event = Counted(world, monkeypatch), outcome(world)
    first = counted.ask(event)
    assert counted.ask(same(event)) == first
    assert counted.times == 1


def test_other_bytes_are_verified(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    counted, event = Counted(world, monkeypatch), outcome(world)
    counted.ask(event)
    altered = event.filed.bundle.replace(b'"sig":"M', b'"sig":"N')
    with pytest.raises(Failed, match="signature"):
        counted.ask(Outcome(Filed(altered, STORED), event.slot))


def test_another_slot_is_verified(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    counted, event = Counted(world, monkeypatch), outcome(world)
    counted.ask(event)
    with pytest.raises(Failed, match="identity"):
        counted.ask(Outcome(event.filed, RequestId("0" * 64)))


def test_another_time_of_storage_is_verified(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    counted, event = Counted(world, monkeypatch), outcome(world)
    counted.ask(event)
    long_ago = Filed(event.filed.bundle, STORED - timedelta(days=3650))
    with pytest.raises(Failed, match="key"):
        counted.ask(Outcome(long_ago, event.slot))


def test_other_policies_are_verified(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    counted, event = Counted(world, monkeypatch), outcome(world)
    counted.ask(event)
    digest, filed = next(iter(counted.policies.items()))
    counted.policies[digest] = Filed(filed.bundle.replace(b'"sig":"M', b'"sig":"N'), filed.stored_at)
    with pytest.raises(Failed, match="policies"):
        counted.ask(same(event))


def test_what_failed_or_could_not_be_told_is_asked_again(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    counted, event = Counted(world, monkeypatch), outcome(world)
    policies, counted.policies = counted.policies, {}
    for _ in range(2):
        with pytest.raises(CouldNotTell):
            counted.ask(event)
    counted.policies = policies
    assert counted.ask(event).promotes
    assert counted.times == 3


def test_no_more_than_allowed_is_kept_and_the_longest_unasked_goes_first(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    counted = Counted(world, monkeypatch, most=2)
    one, two, three = (outcome(world, attempt) for attempt in (1, 2, 3))
    for event in (one, two, one, three, one, two):
        counted.ask(same(event))
    assert counted.times == 4


def test_no_more_bytes_than_allowed_are_kept(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    one, two, three = (outcome(world, attempt) for attempt in (1, 2, 3))
    counted = Counted(world, monkeypatch, most_bytes=len(one.filed.bundle) + len(two.filed.bundle))
    for event in (one, two, one, two):
        counted.ask(same(event))
    assert counted.times == 2
    for event in (three, two, one):
        counted.ask(same(event))
    assert counted.times == 4


def test_a_reader_believes_what_lies_in_the_archive_now(world: World) -> None:
    event = outcome(world)
    assert event.slot is not None
    world.store.create(layout.event(event.slot), event.filed.bundle)
    reader = Reader(world.store, world.trust)
    assert reader.outcome(event.slot).promotes
    path = world.folder / layout.event(event.slot)
    path.chmod(0o644)
    path.write_bytes(event.filed.bundle.replace(b'"sig":"M', b'"sig":"N'))
    with pytest.raises(Failed, match="signature"):
        reader.outcome(event.slot)
    path.unlink()
    with pytest.raises(Exception, match="not in the archive"):
        reader.outcome(event.slot)


def test_a_policy_that_was_damaged_when_it_was_read_is_read_again_once_it_is_mended(world: World) -> None:
    event = outcome(world)
    assert event.slot is not None
    world.store.create(layout.event(event.slot), event.filed.bundle)
    path = world.folder / layout.statement("policy", world.published.statement)
    whole = path.read_bytes()
    path.chmod(0o644)
    for damage in (b"{", whole.replace(b'"sig":"M', b'"sig":"N')):
        path.write_bytes(damage)
        reader = Reader(world.store, world.trust)
        with pytest.raises(Failed, match="policies"):
            reader.outcome(event.slot)
        path.write_bytes(whole)
        assert reader.outcome(event.slot).promotes


def test_what_nobody_trusted_signed_has_no_policy_read(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    frozen = world.freeze()
    seals = [world.seal(frozen.payload, frozen.freeze)]
    asked: list[str] = []
    read = Reader.policy
    monkeypatch.setattr(Reader, "policy", lambda reader, digest: asked.append(digest) or read(reader, digest))
    for signer, most in ((world.stranger, 0), (world.event_key, 1)):
        bundle = world.bundle(frozen.payload, seals, signer=signer)
        Reader(world.store, world.trust).policies_of(Outcome(Filed(bundle, STORED), frozen.freeze.id))
        assert len(asked) == most
