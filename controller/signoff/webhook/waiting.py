"""Waiting for work that may hang: in a thread of its own pool, and so long and no longer."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from concurrent.futures import Future
from typing import TypeVar

from signoff.errors import SignoffError
from signoff.gate.readers import Readers

T = TypeVar("T")


class NotInTime(SignoffError):
    """The work did not come to its end in time, or found no room; it may still come to its end."""


async def within(seconds: float, readers: Readers, work: Callable[[], T], whom: str) -> T:
    """Return what ``work`` returns; `NotInTime` after so many seconds, or at once where ``readers`` has no room."""
    done: Future[T] = Future()

    def run() -> None:
        try:
            done.set_result(work())
        except BaseException as error:  # noqa: BLE001 - for whoever waits
            done.set_exception(error)

    if not readers.begin(run):
        raise NotInTime(f"more is asked of {whom} than it answers", mend="try again")
    waiting = asyncio.wrap_future(done)
    await asyncio.wait((waiting,), timeout=max(0.0, seconds))
    if not waiting.done():
        waiting.add_done_callback(lambda late: late.exception())  # nobody waits for it any more, and it is no fault of the loop's
        raise NotInTime(f"{whom} did not answer within {seconds:g} s", mend="try again")
    return waiting.result()
