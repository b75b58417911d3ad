"""A process killed at any request that it makes: one outcome, the right one, and nothing lost.

1. Before the request goes on, or when its answer is there and has not been given: what was written then, the process never learned.
2. For every n of the way from submitting to the gate's answer, until the way is gone without reaching n. Without `SIGNOFF_FAULTS=all` a
   fixed sample: every seventh request before it goes on, and after each kind of write.
3. What must be the case afterwards says `Request.ended`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Literal

import pytest
from request import Request
from stand import Killer, Moment, Stand
from wire import Asked

pytestmark = [pytest.mark.cluster, pytest.mark.timeout(1800)]

Verdict = Literal["Approve", "Reject"]
EVERY = 7
MOST = 500

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


def resumed(stand: Stand, killer: Killer | None = None) -> Request:
    """An operator that was away while the decision was made, and is killed while it comes up and does what is due."""
    request = Request(stand)
    request.submit()
    request.until("Frozen")
    stand.kill("operator")
    request.wait_gone("operator")
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
    "the operator, as it comes up": (resumed, "operator"),
}


def points(stand: Stand, name: str, moment: Moment, every_point: bool) -> Iterator[int | Callable[[Asked], bool]]:
    way, process = WAYS[name]
    if every_point:
        yield from range(1, MOST)
        return
    killer = stand.hired(process, MOST, moment)
    if way is not resumed:
        stand.seats[process].sitter = killer
    way(stand, killer)
    if moment == "before":
        yield from range(EVERY, len(killer.asked), EVERY)
        return
    for kind in dict.fromkeys(one.kind for one in killer.asked if one.writes):
        yield lambda asked, kind=kind: asked.kind == kind


def struck(stand: Stand, name: str, at: int | Callable[[Asked], bool], moment: Moment) -> Asked | None:
    """Go the way with a killer on it, and return where he struck."""
    way, process = WAYS[name]
    killer = stand.hired(process, at, moment)
    if way is not resumed:
        stand.seats[process].sitter = killer
    way(stand, killer)
    return killer.struck


@pytest.mark.parametrize("moment", ["before", "after"])
@pytest.mark.parametrize("name", WAYS)
def test_killed_at_any_request(stand: Stand, every_point: bool, name: str, moment: Moment, subtests: pytest.Subtests) -> None:
    found: list[Asked] = []
    for at in points(stand, name, moment, every_point):
        where: Asked | None = None
        with subtests.test(f"{name}, {moment} {at if isinstance(at, int) else 'a kind of write'}"):
            try:
                where = struck(stand, name, at, moment)
            finally:
                stand.calm()
        if where is None and every_point:
            break
        found += [where] if where else []
    _tell(name, moment, found)
    assert found
    if moment == "after" or every_point:
        assert _writes(name) <= {one.kind for one in found if one.writes}


def _writes(name: str) -> set[str]:
    operator = {"PUT archive blobs", "PUT archive freezes", "PUT archive events", "PUT archive models"}
    kinds = operator if WAYS[name][1] == "operator" else {"PUT archive seals"}
    if WAYS[name][0] is resumed:
        kinds = kinds - {"PUT archive blobs", "PUT archive freezes"}
    if WAYS[name] == (approved, "operator"):
        kinds = kinds | {"PUT archive repositories", "PUT archive subjects"}
    return {f"{WAYS[name][1]}: {kind}" for kind in kinds}


def _tell(name: str, moment: Moment, found: Sequence[Asked]) -> None:
    print(f"\n{name}: killed {moment} {len(found)} requests")
    for one in found:
        print(f"  {moment} {one}")
