"""What an archive may do wrong while a model is promoted: the right outcome or none, and words that say what to do.

1. A fault that passes is not seen: one outcome, and nobody had to act.
2. While a fault lasts nothing is promoted, and the status (of a press: the refusal) says what is wrong. Afterwards it goes on by itself; a
   press is repeated.
"""

from __future__ import annotations

import re

import pytest
from deeds import CUT, CUT_AFTER, HANGS, NOT_WRITTEN, TAKEN_BY_NOBODY, TORN, Deed, Faulty, picks, s3_says, says_after, slow
from request import Object, Request
from stand import Stand

pytestmark = [pytest.mark.cluster, pytest.mark.timeout(900)]

FREEZE = picks("operator", "archive", "PUT", "freezes/")
COMMIT = picks("operator", "archive", "PUT", "events/")
SEAL = picks("webhook", "archive", "PUT", "seals/")
READ = picks("operator", "archive", "GET")

PASSING = {
    "slow": slow(1.5),
    "hangs": HANGS,
    "500": s3_says(500, "InternalError"),
    "503": s3_says(503, "SlowDown"),
    "409": s3_says(409, "ConditionalRequestConflict"),
    "cut before the write": CUT,
    "cut after the write": CUT_AFTER,
    "500 after the write": says_after(500),
    "503 after the write": says_after(503),
}

AGAIN = "tried again"
LASTING: dict[str, tuple[Deed, str]] = {
    "hangs": (HANGS, AGAIN),
    "500": (s3_says(500, "InternalError"), AGAIN),
    "503": (s3_says(503, "SlowDown"), AGAIN),
    "409": (s3_says(409, "ConditionalRequestConflict"), AGAIN),
    "full: 507": (s3_says(507, "InsufficientStorage"), "the store is full.*give it room"),
    "no right: 403": (s3_says(403, "AccessDenied"), "give this process the right"),
    "says 412, and nothing is there": (TAKEN_BY_NOBODY, "the store says that the key is taken, and lists nothing there.*tried again"),
    "says 200, and nothing is written": (NOT_WRITTEN, AGAIN),
    "cut after the write": (CUT_AFTER, "|".join((AGAIN, "promoted"))),
}
REFUSALS = {LASTING["full: 507"][0], LASTING["no right: 403"][0]}


@pytest.mark.parametrize("name", PASSING)
def test_a_fault_that_passes_is_not_seen(stand: Stand, name: str) -> None:
    faults = [Faulty(pick, PASSING[name], times=1) for pick in (FREEZE, COMMIT)]
    request = Request(stand)
    stand.seats["operator"].sitter = faults[0]
    request.submit()
    request.until("Frozen")
    stand.seats["operator"].sitter = faults[1]
    sealing = stand.seats["webhook"].sitter = Faulty(SEAL, PASSING[name], times=1)
    decision = request.press()
    request.until("Promoted")
    assert [one.done for one in (*faults, sealing)] == [1, 1, 1]
    request.ended("Approve", decision)
    request.gone()


@pytest.mark.parametrize("name", LASTING)
def test_while_the_freeze_cannot_be_written(stand: Stand, name: str) -> None:
    deed, words = LASTING[name]
    fault = stand.seats["operator"].sitter = Faulty(FREEZE, deed)
    request = Request(stand)
    request.submit()
    if name.endswith("after the write"):
        request.until("Frozen")
    else:
        request.says(words)
        request.undecided()
        assert request.condition("Frozen")["status"] == "False"
    fault.lift()
    request.until("Frozen")
    _ends(request, fault, request.press())


@pytest.mark.parametrize("name", LASTING)
def test_while_the_event_cannot_be_written(stand: Stand, name: str) -> None:
    deed, words = LASTING[name]
    request = Request(stand)
    request.submit()
    request.until("Frozen")
    fault = stand.seats["operator"].sitter = Faulty(COMMIT, deed)
    decision = request.press()
    request.says(words)
    if name.endswith("after the write"):
        request.until("Promoted")
    else:
        assert request.condition("Promoted")["status"] == "False"
        assert not request.admitted()
    _ends(request, fault, decision)


@pytest.mark.parametrize("name", LASTING)
def test_while_the_seal_cannot_be_written(stand: Stand, name: str) -> None:
    deed, _ = LASTING[name]
    request = Request(stand)
    request.submit()
    request.until("Frozen")
    fault = stand.seats["webhook"].sitter = Faulty(SEAL, deed)
    said = request.refused_press()
    told = "nothing was decided" if deed in REFUSALS else "it is not known whether this was decided"
    assert said is not None
    assert re.search(f"{told}.*safe to press again|context deadline exceeded", said), said
    assert request.condition("Decided")["status"] == "False"
    fault.lift()
    _ends(request, fault, request.press())


@pytest.mark.parametrize("times", [1, None], ids=["once", "as long as it lasts"])
def test_half_a_body(stand: Stand, times: int | None) -> None:
    request = Request(stand)
    request.submit()
    request.until("Frozen")
    fault = stand.seats["operator"].sitter = Faulty(READ, TORN, times)
    decision = request.press()
    if times is None:
        request.says(AGAIN)
        request.undecided()
    _ends(request, fault, decision)


def _ends(request: Request, fault: Faulty, decision: Object) -> None:
    fault.lift()
    assert fault.done
    request.until("Promoted")
    request.wait(request.admitted, "the gate", 5)
    request.ended("Approve", decision)
    request.gone()
