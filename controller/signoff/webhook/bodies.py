"""Reading the bodies of reviews from whoever reaches the port.

1. A review has at most 16 MiB; nothing is read beyond it.
2. Whoever begins a body need not end it: it must come within 10 s, as no API server waits longer.
3. What large bodies hold in memory is bounded over all of them. Ordinary reviews, up to 64 KiB, are not counted, so that nobody's large
   ones keep them out.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Final

from starlette.requests import Request

from signoff.errors import SignoffError
from signoff.webhook.review import MAX_REVIEW

BODY_SECONDS: Final = 10.0
UNCOUNTED: Final = 64 * 1024
IN_MEMORY: Final = 64 * 1024 * 1024


class TooLarge(SignoffError):
    """The body has more bytes than a review may have."""


class TooSlow(SignoffError):
    """The body did not come in time."""


class Busy(SignoffError):
    """Large bodies hold as much memory as they may."""


class Bodies:
    """The bytes that large bodies hold in memory, all together. For one event loop."""

    def __init__(self) -> None:
        self._held = 0

    @contextmanager
    def share(self) -> Iterator[Callable[[int], None]]:
        """Return what a body tells its size as it grows; what it held is given back at the end."""
        counted = 0

        def hold(size: int) -> None:
            nonlocal counted
            more = max(0, size - UNCOUNTED) - counted
            if self._held + more > IN_MEMORY:
                raise Busy("too many large reviews at once", mend="try again")
            self._held += more
            counted += more

        try:
            yield hold
        finally:
            self._held -= counted


async def read_body(request: Request, hold: Callable[[int], None]) -> bytes:
    """Return the body of a request; `TooLarge`, `TooSlow` or `Busy` where there is none to be had."""
    declared = request.headers.get("content-length", "0")
    if not declared.isdecimal() or int(declared) > MAX_REVIEW:
        raise _too_large()
    body = bytearray()
    try:
        async with asyncio.timeout(BODY_SECONDS):
            async for chunk in request.stream():
                body += chunk
                if len(body) > MAX_REVIEW:
                    raise _too_large()
                hold(len(body))
    except TimeoutError:
        raise TooSlow(f"the review did not come within {BODY_SECONDS:.0f} s", mend="send it at once") from None
    return bytes(body)


def _too_large() -> TooLarge:
    return TooLarge(f"a review has at most {MAX_REVIEW} bytes", mend="make the object smaller")
