"""The one conditional write: one outcome under however many committers, through any crash, and never one that would not verify."""

from __future__ import annotations

import itertools
import json
import subprocess
import sys
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from world import BEN, DAVID, SPEC, World

from signoff.archive import layout
from signoff.archive.file import FileStore
from signoff.archive.store import Damaged, Exists, Missing, Stored, Unavailable
from signoff.desk.freezing import Stale
from signoff.operator.commit import CannotCommit, commit, outcome_due, pointers
from signoff.record.keys import PemSigner, generate_pem
from signoff.record.promotion import PROMOTION_TYPE, REJECTION_TYPE, OutcomeType
from signoff.verify.verifier import Failed, Verified
from tests.operator.deciding import collected, keys, of_model, seal, write


def test_pointers_lie_there_before_the_event(world: World) -> None:
    frozen = world.freeze()
    recording, sealed = Recording(world.store), seal(world, frozen)
    outcome = write(world, frozen, PROMOTION_TYPE, sealed, store=recording)
    assert recording.created[-1] == layout.event(frozen.freeze.id)
    assert set(recording.created[:-1]) == set(pointers(frozen.freeze, PROMOTION_TYPE))
    assert {key.split("/")[0] for key in recording.created} == {"events", "models", "repositories", "subjects"}
    assert len(recording.created) == 1 + 2 + 3, "one image and two artefacts"
    assert outcome.promotes
    again = Recording(world.store)
    assert write(world, frozen, PROMOTION_TYPE, sealed, store=again).digest == outcome.digest
    assert again.created == []


class Recording:
    """A store that notes what it created, in order."""

    def __init__(self, store: FileStore) -> None:
        self._store = store
        self.created: list[str] = []

    def create(self, key: str, data: bytes) -> Stored:
        stored = self._store.create(key, data)
        self.created.append(key)
        return stored

    def __getattr__(self, name: str) -> Any:
        return getattr(self._store, name)


def test_a_rejection_is_pointed_to_from_the_models_history_alone(world: World) -> None:
    frozen = world.freeze()
    recording = Recording(world.store)
    assert not write(world, frozen, REJECTION_TYPE, seal(world, frozen, verdict="Reject"), store=recording).promotes
    assert recording.created == [*pointers(frozen.freeze, REJECTION_TYPE), layout.event(frozen.freeze.id)]
    assert [key.split("/")[0] for key in recording.created] == ["models", "events"]


def test_of_two_approved_against_one_incumbent_the_first_goes_live(world: World) -> None:
    first, second = world.freeze(), world.freeze({**SPEC, "attempt": 2})
    sealed, late = seal(world, first), seal(world, second)
    live = write(world, first, PROMOTION_TYPE, sealed)
    before = keys(world)
    with pytest.raises(Stale, match="another version went live"):
        write(world, second, PROMOTION_TYPE, late)
    assert keys(world) == before
    assert write(world, first, PROMOTION_TYPE, sealed) == live
    assert not write(world, second, REJECTION_TYPE, seal(world, second, DAVID, "Reject")).promotes


def test_the_loser_reads_the_winners_outcome(world: World) -> None:
    frozen = world.freeze()
    approval, rejection = seal(world, frozen), seal(world, frozen, DAVID, "Reject")
    won = write(world, frozen, PROMOTION_TYPE, approval)
    lost = write(world, frozen, REJECTION_TYPE, rejection)
    assert lost == won
    assert lost.promotes
    other = world.freeze(of_model(2))
    approval, rejection = seal(world, other), seal(world, other, DAVID, "Reject")
    write(world, other, REJECTION_TYPE, rejection)
    assert not write(world, other, PROMOTION_TYPE, approval).promotes


def test_two_committers_say_the_same_of_the_same_decisions(world: World) -> None:
    frozen = world.freeze()
    first, second = seal(world, frozen), seal(world, frozen, DAVID)
    one = world.bundle(frozen.payload, [first, second])
    other = world.bundle(frozen.payload, [second, first])
    assert json.loads(one)["dsseEnvelope"]["payload"] == json.loads(other)["dsseEnvelope"]["payload"]
    assert write(world, frozen, PROMOTION_TYPE, second, first).digest == write(world, frozen, PROMOTION_TYPE, first, second).digest


def stranger_signs(world: World) -> PemSigner:
    return world.stranger


def seal_key_signs(world: World) -> PemSigner:
    return world.seal_key


@pytest.mark.parametrize("signer", [stranger_signs, seal_key_signs])
def test_an_event_under_a_key_that_is_not_trusted_for_it_is_never_written(world: World, signer: Callable[[World], PemSigner]) -> None:
    frozen = world.freeze()
    sealed = seal(world, frozen)
    before = keys(world)
    with pytest.raises(CannotCommit):
        write(world, frozen, PROMOTION_TYPE, sealed, signer=signer(world))
    assert keys(world) == before


def test_an_event_that_would_not_verify_is_never_written(world: World) -> None:
    frozen = world.freeze()
    approval, own, rejection = seal(world, frozen), seal(world, frozen, BEN), seal(world, frozen, DAVID, "Reject")
    before = keys(world)
    mixed = [approval, rejection]
    for kind, decisions in ((PROMOTION_TYPE, [own]), (PROMOTION_TYPE, [rejection]), (REJECTION_TYPE, [approval]), (PROMOTION_TYPE, mixed)):
        with pytest.raises(CannotCommit):
            write(world, frozen, kind, *decisions)
    assert keys(world) == before


def test_an_event_before_its_keys_time_is_never_written(world: World) -> None:
    frozen = world.freeze()
    sealed = seal(world, frozen)
    with pytest.raises(CannotCommit, match="not valid when this was stored"):
        commit(world.reader, world.event_key, frozen.freeze, PROMOTION_TYPE, [sealed], datetime(2025, 12, 31, tzinfo=UTC))
    with pytest.raises(Missing):
        world.reader.outcome(frozen.freeze.id)


def test_bypass_18_a_pointer_of_other_bytes_stops_the_commit(world: World) -> None:
    frozen = world.freeze()
    sealed = seal(world, frozen)
    world.store.create(pointers(frozen.freeze, PROMOTION_TYPE)[0], b'{"event":"events/elsewhere"}\n')
    with pytest.raises(Damaged):
        write(world, frozen, PROMOTION_TYPE, sealed)
    with pytest.raises(Missing):
        world.reader.outcome(frozen.freeze.id)


def test_bypass_18_a_slot_filled_with_what_does_not_verify_is_told(world: World) -> None:
    frozen = world.freeze()
    sealed = seal(world, frozen)
    world.store.create(layout.event(frozen.freeze.id), world.bundle(frozen.payload, [sealed], signer=world.stranger))
    with pytest.raises(Failed, match=r"rule 2 \(signature\)"):
        write(world, frozen, PROMOTION_TYPE, sealed)


# --- crashes --------------------------------------------------------------------------------------------------------------


class Crash(BaseException):
    """The process is gone: nothing catches this."""


class Dying:
    """A store under a process that dies before or after a write, or that is told that it is out of reach though it was written."""

    def __init__(self, store: FileStore, writes: int, manner: str) -> None:
        self._store = store
        self._left = writes
        self._manner = manner
        self.died = False

    def create(self, key: str, data: bytes) -> Stored:
        if self._left:
            self._left -= 1
            return self._store.create(key, data)
        self.died = True
        if self._manner == "before":
            raise Crash
        try:
            self._store.create(key, data)
        except Exists:
            if self._manner != "unavailable":
                raise
        if self._manner == "after":
            raise Crash
        raise Unavailable("the answer was lost", key)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._store, name)


WRITES = {PROMOTION_TYPE: 6, REJECTION_TYPE: 2}


@pytest.mark.parametrize("manner", ["before", "after", "unavailable"])
@pytest.mark.parametrize("kind", [PROMOTION_TYPE, REJECTION_TYPE], ids=["promotion", "rejection"])
def test_a_crash_at_any_write_ends_in_one_right_outcome(world: World, manner: str, kind: OutcomeType) -> None:
    verdict = "Approve" if kind == PROMOTION_TYPE else "Reject"
    for writes in range(WRITES[kind]):
        frozen = world.freeze(of_model(writes))
        sealed = seal(world, frozen, verdict=verdict)
        dying = Dying(world.store, writes, manner)
        with pytest.raises((Crash, Unavailable)):
            write(world, frozen, kind, sealed, store=dying)
        assert dying.died
        is_written = writes == WRITES[kind] - 1 and manner != "before"
        assert (layout.event(frozen.freeze.id) in keys(world, "events/")) == is_written
        for one in world.reader.find(frozen.freeze.request.spec.model.digest, "production").admissions:
            assert one.id != frozen.freeze.id or is_written, "a pointer alone promotes nothing"
        done = write(world, frozen, kind, sealed)
        assert (done.promotes, done.id) == (kind == PROMOTION_TYPE, frozen.freeze.id)
    frozen = world.freeze(of_model(99))
    unhurt = Dying(world.store, WRITES[kind], manner)
    write(world, frozen, kind, seal(world, frozen, verdict=verdict), store=unhurt)
    assert not unhurt.died, "the crashes above were at every write that there is"


def test_a_crash_of_one_verdict_does_not_decide_against_the_other(world: World) -> None:
    for writes in range(WRITES[PROMOTION_TYPE] - 1):
        frozen = world.freeze(of_model(writes))
        approval = seal(world, frozen)
        with pytest.raises(Crash):
            write(world, frozen, PROMOTION_TYPE, approval, store=Dying(world.store, writes, "after"))
        due = outcome_due(collected(world, frozen, approval, seal(world, frozen, DAVID, "Reject")))
        assert due is not None
        assert not write(world, frozen, due[0], *due[1]).promotes


# --- races ----------------------------------------------------------------------------------------------------------------


def test_many_threads_of_either_verdict_end_in_one_outcome(world: World) -> None:
    frozen = world.freeze()
    approval, rejection = seal(world, frozen), seal(world, frozen, DAVID, "Reject")
    gate = threading.Barrier(8)

    def race(number: int) -> Verified:
        kind, decision = (PROMOTION_TYPE, approval) if number % 2 else (REJECTION_TYPE, rejection)
        gate.wait(30)
        return write(world, frozen, kind, decision)

    with ThreadPoolExecutor(8) as pool:
        outcomes = list(pool.map(race, range(8)))
    assert len({(one.digest, one.promotes) for one in outcomes}) == 1
    assert keys(world, "events/") == [layout.event(frozen.freeze.id)]


RACER = """
import json, sys, base64
from pathlib import Path
from signoff.archive.file import FileStore
from signoff.operator.commit import commit
from signoff.decision.seals import Filed, read_seal
from signoff.record.keys import PemSigner
from signoff.record.promotion import PROMOTION_TYPE, REJECTION_TYPE
from signoff.record.trust import read_trust
from signoff.verify.reader import Reader
from datetime import datetime, UTC
archive, keys, request, digest, seal, kind = sys.argv[1:]
folder = Path(keys)
reader = Reader(FileStore(Path(archive)), read_trust((folder / "trust.json").read_bytes()))
freeze, _ = reader.freeze(request, digest)
stored = reader.store.read(seal, limit=10**6)
decision = read_seal(Filed(stored.data, stored.stored_at), reader.trust, freeze.request.spec.target)
print("ready", flush=True)
sys.stdin.readline()
kinds = {"promotion": PROMOTION_TYPE, "rejection": REJECTION_TYPE}
done = commit(reader, PemSigner((folder / "event.pem").read_bytes()), freeze, kinds[kind], [decision], datetime.now(UTC))
print(json.dumps([done.digest, done.promotes]))
"""


@pytest.fixture
def keyed(tmp_path: Path) -> World:
    """A world whose event key and trust file lie in the folder beside the archive, for other processes to read."""
    pem = generate_pem()
    world = World(tmp_path / "archive", event_key=PemSigner(pem))
    (tmp_path / "event.pem").write_bytes(pem)
    (tmp_path / "trust.json").write_text(world.trust.model_dump_json(exclude_none=True))
    return world


def test_operators_in_processes_of_their_own_end_in_one_outcome(keyed: World, tmp_path: Path) -> None:
    frozen = keyed.freeze()
    keys_of = {"promotion": seal(keyed, frozen), "rejection": seal(keyed, frozen, DAVID, "Reject")}
    command = [sys.executable, "-c", RACER, str(tmp_path / "archive"), str(tmp_path), frozen.freeze.id, frozen.digest]
    racers = []
    try:
        for kind in itertools.islice(itertools.cycle(keys_of), 4):
            principal = keys_of[kind].seal.decided.principal
            arguments = [*command, layout.seal(frozen.digest, principal.issuer, principal.subject), kind]
            racers.append(subprocess.Popen(arguments, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True))
        for racer in racers:
            assert racer.stdout is not None
            assert racer.stdout.readline() == "ready\n"
        for racer in racers:
            assert racer.stdin is not None
            racer.stdin.write("go\n")
            racer.stdin.flush()
        said = {racer.communicate(timeout=60)[0] for racer in racers}
    finally:
        for racer in racers:
            if racer.poll() is None:
                racer.kill()
                racer.wait(10)
    assert len(said) == 1, said
    digest, promotes = json.loads(said.pop())
    outcome = keyed.reader.outcome(frozen.freeze.id)
    assert (outcome.digest, outcome.promotes) == (digest, promotes)
