"""What may go wrong with a request: who sits on a wire and does it, to the requests that a test picks, as often as it says."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, replace

from wire import Asked, Lost, Reply, Sitter, hang, torn

Pick = Callable[[Asked], bool]
Before = Callable[[Asked], Awaitable[Reply | None]]
After = Callable[[Asked, Reply], Awaitable[Reply]]


@dataclass(frozen=True)
class Deed:
    """What is done to a request, before it goes on or to its answer."""

    before: Before | None = None
    after: After | None = None


class Faulty(Sitter):
    """Does `deed` to what `pick` says yes to, `times` times; `lift` ends it."""

    def __init__(self, pick: Pick, deed: Deed, times: int | None = None) -> None:
        self._pick, self._deed, self._left = pick, deed, times
        self._picked: set[int] = set()
        self.done = 0

    def lift(self) -> None:
        self._left = 0

    async def before(self, asked: Asked) -> Reply | None:
        if self._left == 0 or not self._pick(asked):
            return None
        self._left = None if self._left is None else self._left - 1
        self._picked.add(id(asked))
        self.done += 1
        return await self._deed.before(asked) if self._deed.before else None

    async def after(self, asked: Asked, reply: Reply) -> Reply:
        picked = id(asked) in self._picked
        self._picked.discard(id(asked))
        return await self._deed.after(asked, reply) if picked and self._deed.after else reply


def says(status: int, body: bytes = b"", *headers: tuple[str, str]) -> Deed:
    """The answer, without that the request was passed on."""
    given = tuple((name.lower().encode(), value.encode()) for name, value in headers)

    async def before(_: Asked) -> Reply:
        return Reply(status, given, body)

    return Deed(before)


def s3_says(status: int, code: str) -> Deed:
    """The error in the store's own words."""
    return says(status, f"<Error><Code>{code}</Code><Message>said</Message></Error>".encode(), ("Content-Type", "application/xml"))


def cluster_says(status: int, reason: str) -> Deed:
    """The error in the API server's own words."""
    body = f'{{"kind":"Status","apiVersion":"v1","status":"Failure","reason":"{reason}","message":"said","code":{status}}}'
    return says(status, body.encode(), ("Content-Type", "application/json"))


def says_after(status: int) -> Deed:
    """It is done, and the answer says that it was not."""

    async def after(_: Asked, reply: Reply) -> Reply:
        return replace(reply, status=status, headers=(), body=b"")

    return Deed(after=after)


def slow(seconds: float) -> Deed:
    """It takes longer."""

    async def before(_: Asked) -> None:
        await asyncio.sleep(seconds)

    return Deed(before)


async def _hang(_: Asked) -> None:
    await hang()


async def _cut(_: Asked) -> Reply | None:
    raise Lost


async def _cut_after(_: Asked, __: Reply) -> Reply:
    raise Lost


async def _torn(_: Asked, reply: Reply) -> Reply:
    return torn(reply)


HANGS = Deed(_hang)
CUT = Deed(_cut)
CUT_AFTER = Deed(after=_cut_after)
TORN = Deed(after=_torn)
TAKEN_BY_NOBODY = s3_says(412, "PreconditionFailed")
NOT_WRITTEN = says(200, b"", ("ETag", '"0"'), ("x-amz-version-id", "0123456789abcdef"))
EXPIRED_IN_STREAM = says(
    200,
    b'{"type":"ERROR","object":{"kind":"Status","apiVersion":"v1","status":"Failure","reason":"Expired","message":"said","code":410}}\n',
    ("Content-Type", "application/json"),
)


def picks(process: str, whom: str, method: str = "", path: str = "") -> Pick:
    """Requests of a process by what they begin with."""

    def pick(asked: Asked) -> bool:
        alike = (asked.process, asked.whom) == (process, whom) and asked.method.startswith(method)
        return alike and path in asked.path and not asked.watches

    return pick


def watches(asked: Asked) -> bool:
    """An operator's watches."""
    return asked.watches
