"""How much of the archive one verdict may cost, and that what was not read admits nothing."""

from __future__ import annotations

import os
import time
from copy import deepcopy
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from world import SPEC, World

from signoff.archive import layout
from signoff.archive.store import Stored
from signoff.gate.lookup import Key, keys, look_up
from signoff.gate.memory import Memory
from signoff.gate.verdict import Archived, Circumstances, Unknown, Verdict, digests_asked, judge
from signoff.record.values import Digest, sha256
from signoff.verify.reader import MAX_POINTERS, Found, Reader
from signoff.verify.verifier import Place
from signoff.webhook.corrections import MAX_ANNOTATIONS
from tests.gate.test_verdict import EVENTS, HERE, IMAGE, digest, event, keep, pod_spec, promoted, workload

NOW = datetime(2026, 3, 4, tzinfo=UTC)
ARTEFACT = sha256(b"weights")
MOUNTED = f"registry.bank.example/weights@{ARTEFACT}"


class Counting:
    """A real store, and how many events were read from it."""

    def __init__(self, world: World) -> None:
        self.world, self.events = world, 0

    def read(self, key: str, *, limit: int) -> Stored:
        self.events += key.startswith(layout.EVENTS_PREFIX)
        return self.world.store.read(key, limit=limit)

    def list(self, prefix: str, *, after: str = "", limit: int | None = None) -> Any:
        return self.world.store.list(prefix, after=after, limit=limit)


def attempt(number: int, **model: Any) -> dict[str, Any]:
    spec: dict[str, Any] = deepcopy(SPEC)
    spec["attempt"] = number
    spec["model"] |= model
    return spec


def asked(world: World, image: str = IMAGE, *, volumes: tuple[str, ...] = (), namespace: str = "credit") -> tuple[Verdict, int]:
    counting = Counting(world)
    reader = Reader(counting, world.trust)  # type: ignore[arg-type]
    uses = workload(pod_spec([image], volumes=volumes))
    around = Circumstances(Place("production", "demo", namespace), NOW, ())
    found: dict[Digest, Found | Unknown] = {}
    memory = Memory(lambda key: look_up(reader, key, "demo", NOW), lambda: 0.0, deadline=60)
    for key in keys(digests_asked(uses, around), uses, around.place):
        found[key.digest] = memory.ask(key)
    return judge(uses, uses.uses, Archived(found, {}), around), counting.events


def pointers(world: World, numbers: range, prefix: str = "0") -> None:
    """Pointers to nothing, put there as whoever writes the folder can: ``prefix`` says whether before or behind the real ones."""
    first = layout.subject_pointer(digest_of(IMAGE), "production", "0" * 64)
    folder = (world.folder / first).parent
    folder.mkdir(parents=True, exist_ok=True)
    for number in numbers:
        (folder / (prefix + f"{number:063x}")).touch(0o444)


def digest_of(image: str) -> Digest:
    return Digest(image.partition("@")[2])


def test_the_first_event_that_admits_settles_an_object_without_volumes(world: World) -> None:
    for number in range(1, 6):
        keep(world, *promoted(world, attempt(number)))
    verdict, events = asked(world)
    assert verdict.admitted
    assert events == 1


def test_an_event_that_ends_within_a_week_settles_nothing(world: World) -> None:
    """Another may last longer, and then nobody is warned."""
    sealed = datetime(2026, 3, 2, 10, 2, 51, tzinfo=UTC)
    hours = int((NOW + timedelta(days=6) - sealed).total_seconds() // 3600)
    for number in range(1, 4):
        keep(world, *promoted(world, {**attempt(number), "validFor": f"{hours}h"}))
    verdict, events = asked(world)
    assert (verdict.admitted, events) == (True, 3)
    assert "its promotion expires at" in verdict.warnings[0]
    spec = attempt(4)
    del spec["validFor"]
    keep(world, *promoted(world, spec))
    assert asked(world)[0].warnings == ()


@pytest.mark.parametrize(("on_expiry", "positive"), [("deny-new-rollouts", True), ("deny-all", False)])
def test_an_answer_is_positive_where_what_ran_before_may_go_on(world: World, on_expiry: str, *, positive: bool) -> None:
    """So that it is remembered, and kept over an outage."""
    keep(world, *promoted(world, {**attempt(1), "validFor": "1h", "onExpiry": on_expiry}))
    found = look_up(world.reader, Key(digest_of(IMAGE), "production", "credit", together=False), "demo", NOW)
    assert (len(found.admissions), found.is_positive) == (1, positive)


def test_an_event_that_does_not_admit_here_settles_nothing(world: World) -> None:
    for number in range(1, 4):
        keep(world, *promoted(world, attempt(number)))
    verdict, events = asked(world, namespace="elsewhere")
    assert events == 3
    assert "no promotion event for this digest for production in demo/elsewhere" in verdict.findings[0].why


@pytest.mark.parametrize(("namespace", "positive"), [("credit", True), ("elsewhere", False)])
@pytest.mark.parametrize("together", [True, False], ids=["beside-a-volume", "alone"])
def test_an_answer_is_positive_where_an_event_admits(world: World, namespace: str, *, positive: bool, together: bool) -> None:
    keep(world, *promoted(world))
    found = look_up(world.reader, Key(digest_of(IMAGE), "production", namespace, together), "demo", NOW)
    assert (len(found.admissions), found.is_positive) == (1, positive)


def test_beside_a_volume_every_event_is_read(world: World) -> None:
    """One promotion names artefacts and another does not: which goes first must not decide (rule 7)."""
    artifacts = [{"name": "weights", "digest": ARTEFACT}]
    for number in range(1, 5):
        keep(world, *promoted(world, attempt(number)))
    request, bundle = promoted(world, attempt(5, artifacts=artifacts))
    keep(world, request, bundle)
    world.store.create(layout.subject_pointer(ARTEFACT, "production", request), b"")
    verdict, events = asked(world, volumes=(MOUNTED,))
    assert verdict.admitted, verdict.findings
    assert events == 5 + 1


def test_bypass_12_ten_thousand_pointers_cost_no_more_than_the_bound(world: World) -> None:
    pointers(world, range(10_000))
    began = time.process_time()
    verdict, events = asked(world)
    assert time.process_time() - began < 5
    assert events == MAX_POINTERS
    assert verdict.unsure
    assert f"more than {MAX_POINTERS} pointers" in verdict.findings[0].why


def test_bypass_12_a_hundred_thousand_corrections_of_other_events_cost_a_verdict_nothing(world: World) -> None:
    """The archive of years: the gate lists the corrections of the events that it is asked about, and no others."""
    request, bundle = promoted(world)
    keep(world, request, bundle)
    asked(world)  # what is read once in a process is read
    began = time.process_time()
    verdict, _ = asked(world)
    before = time.process_time() - began
    root = world.folder / "corrections"
    for number in range(100_000):
        if number % 1_000 == 0:  # a hundred events with a thousand each: more than the door lets come about
            folder = root / f"{number:064x}"
            folder.mkdir(parents=True)
        os.close(os.open(folder / f"{number:064x}", os.O_CREAT | os.O_WRONLY, 0o444))
    began = time.process_time()
    again, _ = asked(world)
    assert (verdict.admitted, again.admitted) == (True, True)
    assert time.process_time() - began < 5 * before + 0.05
    world.correct(world.reader.outcome(request))
    assert "revoked by carla@bank.example" in asked(world)[0].findings[0].why


def test_bypass_12_as_many_remarks_as_the_door_lets_come_about_are_read_in_time(world: World) -> None:
    request, bundle = promoted(world)
    keep(world, request, bundle)
    verified = world.reader.outcome(request)
    for number in range(MAX_ANNOTATIONS):
        world.correct(verified, "Annotate", reason=f"Remark {number}.")
    began = time.process_time()
    assert asked(world)[0].admitted
    assert time.process_time() - began < 2


def test_an_event_within_the_bound_admits_though_there_are_more_pointers(world: World) -> None:
    keep(world, *promoted(world))
    pointers(world, range(1, MAX_POINTERS + 50), prefix="f")
    verdict, events = asked(world)
    assert (verdict.admitted, events) == (True, 1)
    found = look_up(world.reader, Key(digest_of(IMAGE), "production", "credit", together=True), "demo", NOW)
    assert (len(found.admissions), len(found.refused)) == (1, MAX_POINTERS - 1)
    assert "more than 200 pointers" in found.partial


def test_bypass_12_an_event_beyond_the_bound_does_not_admit_and_is_no_plain_no(world: World) -> None:
    keep(world, *promoted(world))
    pointers(world, range(MAX_POINTERS), prefix="0")
    verdict, _ = asked(world)
    assert verdict.unsure
    assert "could not tell" in verdict.findings[0].why


def test_as_many_pointers_as_the_bound_are_all_read_and_the_answer_is_whole(world: World) -> None:
    pointers(world, range(MAX_POINTERS))
    verdict, events = asked(world)
    assert events == MAX_POINTERS
    assert not verdict.unsure
    assert "no promotion event" in verdict.findings[0].why


def test_an_event_that_settled_it_and_has_expired_since_is_not_the_last_word() -> None:
    admission = replace(event("A"), valid_until=NOW + timedelta(seconds=5))
    uses = workload(pod_spec(["<a>"]))
    archived = Archived({digest("a"): Found((admission,), (), "no further events were looked at")}, {})
    at = [Circumstances(Place(*HERE), NOW + timedelta(seconds=seconds), ()) for seconds in (4, 5)]
    assert judge(uses, uses.uses, archived, at[0]).admitted
    assert judge(uses, uses.uses, archived, at[1]).unsure


@pytest.mark.parametrize("untold", [Unknown("away"), Found((), (), "not all were read"), None], ids=["unknown", "partial", "not asked"])
def test_a_new_volume_beside_an_old_image_that_could_not_be_told_is_refused(untold: Found | Unknown | None) -> None:
    """The old image's event might claim other artefacts. On an UPDATE it is not asked about itself."""
    uses = workload(pod_spec(["<a>"], volumes=("<c>",)))
    found: dict[Digest, Found | Unknown] = {digest("c"): Found((event("C"),), ())}
    new = [use for use in uses.uses if use.role == "imageVolume"]
    around = Circumstances(Place(*HERE), NOW, ())
    assert judge(uses, new, Archived({**found, digest("a"): Found((event("A"),), ())}, {}), around).admitted
    verdict = judge(uses, new, Archived(found if untold is None else {**found, digest("a"): untold}, {}), around)
    assert verdict.unsure
    assert "could not tell what the image that runs beside" in verdict.findings[0].why


def test_a_volume_whose_image_was_read_in_part_is_not_plainly_refused() -> None:
    """Of the image's two events the one that names the artefact was not read."""
    uses = workload(pod_spec(["<a>"], volumes=("<c>",)))
    around = Circumstances(Place(*HERE), NOW, ())
    volume = Found((event("AX"),), ())
    whole = Archived({digest("a"): Found((event("A"), event("AX")), ()), digest("c"): volume}, {})
    part = Archived({digest("a"): Found((event("A"),), (), "not all were read"), digest("c"): volume}, {})
    assert judge(uses, uses.uses, whole, around).admitted
    assert judge(uses, uses.uses, part, around).unsure


IMAGES = st.lists(st.sampled_from(["<a>", "<b>", "<c>", "<d>"]), min_size=1, max_size=3)


@settings(max_examples=400, deadline=None)
@given(
    st.tuples(IMAGES, st.lists(st.sampled_from(["<c>", "<d>"]), max_size=2), st.integers(0, 3)),
    st.fixed_dictionaries(dict.fromkeys("abcd", EVENTS)),
    st.fixed_dictionaries(dict.fromkeys("abcd", st.integers(0, 3))),
)
def test_what_part_of_the_events_admits_all_of_them_admit(
    named: tuple[list[str], list[str], int], held: dict[str, list[str]], read: dict[str, int]
) -> None:
    """Over any part that was read: never an admission, and never a plain refusal, that reading on would have changed."""
    images, volumes, old = named
    uses = workload(pod_spec(images, volumes=tuple(volumes)))
    around = Circumstances(Place(*HERE), NOW, ())
    part: dict[Digest, Found | Unknown] = {}
    whole: dict[Digest, Found | Unknown] = {}
    for letter, names in held.items():
        events = tuple(map(event, names))
        whole[digest(letter)] = Found(events, ())
        part[digest(letter)] = Found(events[: read[letter]], (), "not all were read" if read[letter] < len(events) else "")
    new = uses.uses[old:]
    in_part, in_all = judge(uses, new, Archived(part, {}), around), judge(uses, new, Archived(whole, {}), around)
    assert not in_part.admitted or in_all.admitted
    assert in_part.admitted or in_part.unsure or not in_all.admitted
