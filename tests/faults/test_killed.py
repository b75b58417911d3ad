"""A process killed at any request that it makes: one outcome, the right one, and nothing lost.

1. Before the request goes on, or when its answer is there and has not been given: what was written then, the process never learned.
2. For every n of the way from submitting to the gate's answer, until the way is gone without reaching n. Without `SIGNOFF_FAULTS=all` at
   the writes of `SAMPLE` alone: there a half-done freeze, commit, report or press is left behind.
3. What must be the case afterwards says `Request.ended`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import Literal

import pytest
from request import Request
from stand import Killer, Moment, Stand
from wire import Asked

pytestmark = [pytest.mark.cluster, pytest.mark.timeout(1800)]

Verdict = Literal["Approve", "Reject"]
MOST = 500

At = int | Callable[[Asked], bool]
Way = Callable[[Stand, Killer | None], Request]


def approved(stand: Stand, killer: Killer | None = None) -> Request:
    return _decided(stand, "Approve", killer)


def rejected(stand: Stand, killer: Killer | None = None) -> Request:
    return _decided(stand, "Reject", killer)


def _decided(stand: Stand, verdict: Verdict, killer: Killer | None) -> Request:
    request = Request(stand)
    request.submit()
    request.until("Frozen")
    request.undecided()
    decision = request.press(verdict=verdict)
    request.until("Decided")
    _end(request, verdict, decision, killer)
    return request


def revoked(stand: Stand, killer: Killer | None = None) -> Request:
    """A promotion that stands, and is taken back."""
    request = Request(stand)
    request.submit()
    request.until("Frozen")
    request.press()
    request.until("Promoted")
    correction = request.revoke()
    if killer is not None:
        killer.quiet()
    stand.revive()
    request.revoked(correction)
    request.gone()
    return request


def resumed(stand: Stand, killer: Killer | None = None) -> Request:
    """An operator that was away while the decision was made, and is killed while it comes up and does what is due."""
    request = Request(stand)
    request.submit()
    request.until("Frozen")
    stand.kill("operator")
    stand.await_end("operator")
    decision = request.press(revive=False)
    request.undecided()
    stand.start("operator", killer)
    request.until("Decided")
    _end(request, "Approve", decision, killer)
    return request


def _end(request: Request, verdict: Verdict, decision: dict[str, object], killer: Killer | None) -> None:
    if killer is not None:
        killer.quiet()
    request.stand.revive()
    request.ended(verdict, decision)
    request.gone()


WAYS: dict[str, tuple[Way, str]] = {
    "the operator": (approved, "operator"),
    "the webhook": (approved, "webhook"),
    "the operator, at a rejection": (rejected, "operator"),
    "the webhook, at a rejection": (rejected, "webhook"),
    "the webhook, at a revocation": (revoked, "webhook"),
    "the operator, as it comes up": (resumed, "operator"),
}


SAMPLE: dict[tuple[str, Moment], tuple[str, ...]] = {
    ("the operator", "before"): ("PUT archive subjects", "PUT archive events"),
    ("the operator", "after"): ("PUT archive freezes", "PUT archive subjects", "PUT archive events", "PUT cluster modelpromotions/status"),
    ("the webhook", "before"): ("PUT archive seals",),
    ("the webhook", "after"): ("PUT archive seals",),
    ("the webhook, at a revocation", "before"): ("PUT archive corrections",),
    ("the webhook, at a revocation", "after"): ("PUT archive corrections",),
    ("the operator, as it comes up", "after"): ("PUT archive events",),
}
"""The writes that a plain run kills at."""


def strike(stand: Stand, name: str, at: At, moment: Moment) -> Killer:
    """Go the way with a killer on it."""
    way, process = WAYS[name]
    killer = stand.hired(process, at, moment)
    if way is not resumed:
        stand.seats[process].sitter = killer
    try:
        way(stand, killer)
    finally:
        stand.calm()
    return killer


@pytest.mark.parametrize("moment", ["before", "after"])
@pytest.mark.parametrize("name", WAYS)
def test_killed_at_any_request(stand: Stand, every_point: bool, name: str, moment: Moment, subtests: pytest.Subtests) -> None:
    found: list[Asked] = []

    def at_any(points: Iterable[int | str]) -> None:
        for at in points:
            killer: Killer | None = None
            with subtests.test(f"{name}, {moment} {at}"):
                killer = strike(stand, name, at if isinstance(at, int) else _of(at), moment)
            if killer is not None and killer.struck is None:
                return  # the way was gone without reaching this request
            found.extend([killer.struck] if killer and killer.struck else [])

    asked_for = _writes(name) if every_point else {f"{WAYS[name][1]}: {kind}" for kind in SAMPLE[name, moment]}
    if every_point:
        at_any(range(1, MOST))
    if not every_point or moment == "after":
        # The n-th request is not the same each time: what was missed by counting is found by name.
        at_any(sorted(asked_for - {one.kind for one in found}))
        assert asked_for <= {one.kind for one in found}
    assert found
    _tell(name, moment, found)


def _of(kind: str) -> At:
    return lambda asked: asked.kind == kind


def _writes(name: str) -> set[str]:
    operator = {"PUT archive blobs", "PUT archive freezes", "PUT archive events", "PUT archive models"}
    kinds = operator if WAYS[name][1] == "operator" else {"PUT archive seals"}
    if WAYS[name][0] is revoked:
        kinds = kinds | {"PUT archive corrections"}
    if WAYS[name][0] is resumed:
        kinds = kinds - {"PUT archive blobs", "PUT archive freezes"}
    if WAYS[name] == (approved, "operator"):
        kinds = kinds | {"PUT archive repositories", "PUT archive subjects"}
    return {f"{WAYS[name][1]}: {kind}" for kind in kinds}


def _tell(name: str, moment: Moment, found: Sequence[Asked]) -> None:
    print(f"\n{name}: killed {moment} {len(found)} requests")
    for one in found:
        print(f"  {moment} {one}")
