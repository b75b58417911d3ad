"""`Balancer`: what a Service is to the replicas behind it: new connections go to those in turn that are taken in.

Rules:

1. It passes bytes on, and sees no request: TLS and client certificates are the replicas' own affair.
2. A replica that takes no connection is passed over, as a node does with an endpoint that refuses.
3. A replica that is taken out gets no new connections; those it has go on until one of the two ends them.
4. While it follows readiness, it takes out and in by what a probe says, at intervals, as a Service's endpoints follow their Pods. In
   between it knows nothing: a replica that takes no connection is not passed over (rule 2), and the connection fails.
"""

from __future__ import annotations

import asyncio
import itertools
import threading
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING, Self

from controlplane.ports import LOOPBACK

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping
    from types import TracebackType

PIECE = 64 * 1024
PROBE_SECONDS = 0.5


class Balancer:
    """Listens on a loopback port for as long as a `with` block lasts, in front of `replicas` (port by name); see the module's rules."""

    def __init__(self, port: int, replicas: Mapping[str, int]) -> None:
        self.port = port
        self._replicas = dict(replicas)
        self._in = list(self._replicas)
        self._turns = itertools.count()
        self._follows = False
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, daemon=True)
        self._passing: set[asyncio.Task[None]] = set()

    def __enter__(self) -> Self:
        self._thread.start()
        self._server = asyncio.run_coroutine_threadsafe(asyncio.start_server(self._accept, LOOPBACK, self.port), self._loop).result(5)
        return self

    def __exit__(self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None) -> None:
        asyncio.run_coroutine_threadsafe(self._close(), self._loop).result(5)
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(5)
        self._loop.close()

    @property
    def taken_in(self) -> tuple[str, ...]:
        """The replicas that get new connections."""
        return tuple(self._in)

    @contextmanager
    def following(self, ready: Callable[[str], bool]) -> Iterator[None]:
        """Follow readiness for as long as a `with` block lasts (rule 4); ``ready`` is the probe. Afterwards every replica is in."""
        ended = threading.Event()

        def follow() -> None:
            while not ended.is_set():
                for name in self._replicas:
                    (self.take_in if ready(name) else self.take_out)(name)
                ended.wait(PROBE_SECONDS)

        probing = threading.Thread(target=follow, daemon=True)
        self._follows = True
        probing.start()
        try:
            yield
        finally:
            ended.set()
            probing.join()
            self._follows = False
            for name in self._replicas:
                self.take_in(name)

    def take_out(self, name: str) -> None:
        """Send this replica no new connections."""
        self._in = [one for one in self._in if one != name]

    def take_in(self, name: str) -> None:
        """Send this replica connections again."""
        if name not in self._in:
            self._in = [*self._in, name]

    async def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        if task is not None:
            self._passing.add(task)
            task.add_done_callback(self._passing.discard)
        found = await self._connected()
        if found is None:
            writer.transport.abort()
            return
        there, back = found
        with suppress(asyncio.CancelledError):
            await asyncio.gather(_pass(reader, back), _pass(there, writer))

    async def _connected(self) -> tuple[asyncio.StreamReader, asyncio.StreamWriter] | None:
        turn = next(self._turns)
        listed = self._in
        for name in (listed[(turn + at) % len(listed)] for at in range(1 if self._follows and listed else len(listed))):
            with suppress(OSError):
                return await asyncio.open_connection(LOOPBACK, self._replicas[name])
        return None

    async def _close(self) -> None:
        self._server.close()
        for task in tuple(self._passing):
            task.cancel()
        await asyncio.gather(*self._passing, return_exceptions=True)


async def _pass(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    try:
        while piece := await reader.read(PIECE):
            writer.write(piece)
            await writer.drain()
    except OSError:
        writer.transport.abort()
    finally:
        writer.close()
