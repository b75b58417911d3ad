"""Waiting for work that may hang: in a thread of its own pool, and so long and no longer.

1. Work that found no thread in time is never begun: whoever asked for it has been told that it failed (`NotBegun`).
2. Work that was begun goes on, for nobody can stop it, and may still come to its end (`NotInTime` alone).
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from concurrent.futures import Future
from typing import TypeVar

from signoff.errors import SignoffError
from signoff.gate.readers import Readers

T = TypeVar("T")


class NotInTime(SignoffError):
    """The work did not come to its end in time; it may still do so, unless it is `NotBegun`."""


class NotBegun(NotInTime):
    """There was no room or no time for the work, and it will not be done."""


async def within(seconds: float, readers: Readers, work: Callable[[], T], whom: str) -> T:
    """Return what ``work`` returns; `NotInTime` after so many seconds, `NotBegun` where ``readers`` has no room."""
    done: Future[T] = Future()

    def run() -> None:
        if not done.set_running_or_notify_cancel():
            return
        try:
            done.set_result(work())
        except BaseException as error:  # noqa: BLE001 - for whoever waits
            done.set_exception(error)

    if not readers.begin(run):
        raise _no_room(whom)
    waiting = asyncio.wrap_future(done)
    await asyncio.wait((waiting,), timeout=max(0.0, seconds))
    if not waiting.done():
        if done.cancel():
            raise _no_room(whom)
        waiting.add_done_callback(lambda late: late.exception())  # nobody waits for it any more, and it is no fault of the loop's
        raise NotInTime(f"{whom} did not answer within {seconds:g} s", mend="try again")
    return waiting.result()


def _no_room(whom: str) -> NotBegun:
    return NotBegun(f"more is asked of {whom} than it answers, and this was not begun", mend="try again")
