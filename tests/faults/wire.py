"""A wire between a process and what it talks to, with somebody sitting on it.

1. Each request is read whole before it goes on, and each answer before it goes back; a watch's answer is passed on piece by piece.
2. Whoever sits on the wire is asked before a request goes on and before its answer goes back, and may answer, wait, or cut the connection.
3. Credentials pass through untouched: a ServiceAccount's token, S3's signature (it covers the host that the process was told).
"""

from __future__ import annotations

import asyncio
import ssl
import threading
from contextlib import suppress
from dataclasses import dataclass, replace
from types import TracebackType
from typing import Final, Self
from urllib.parse import unquote, urlsplit

import h11

from controlplane.ports import LOOPBACK, free_ports

PIECE: Final = 256 * 1024
_HOP: Final = {b"connection", b"transfer-encoding", b"content-length", b"keep-alive", b"expect"}


@dataclass(frozen=True, eq=False)
class Asked:
    """A request: which process asks whom (`archive`, `cluster`, `report`) for what."""

    process: str
    whom: str
    method: str
    target: str
    headers: tuple[tuple[bytes, bytes], ...]
    body: bytes

    @property
    def watches(self) -> bool:
        return "watch=true" in self.target

    @property
    def path(self) -> str:
        """The target's path; of S3's listings the prefix that is listed, of its objects the key."""
        parts = urlsplit(self.target)
        if self.whom != "archive":
            return parts.path
        listed = next((one[7:] for one in parts.query.split("&") if one.startswith("prefix=")), None)
        return unquote(listed).removeprefix("signoff/") if listed is not None else unquote(parts.path).partition("/signoff/")[2]

    @property
    def writes(self) -> bool:
        """Whether something is other afterwards: Kubernetes' reviews are questions."""
        return self.method in {"PUT", "POST", "PATCH", "DELETE"} and "reviews" not in self.target

    @property
    def kind(self) -> str:
        """The request without the names in it."""
        path = self.path
        part = path.partition("/")[0] if self.whom == "archive" else "/".join(one for one in path.split("/")[-3:] if not one[-1:].isdigit())
        return f"{self.process}: {self.method} {self.whom} {part}"

    def __str__(self) -> str:
        verb = "LIST" if self.whom == "archive" and "prefix=" in self.target else "WATCH" if self.watches else self.method
        return f"{self.process}: {verb} {self.whom} {self.path}"


@dataclass(frozen=True)
class Reply:
    """An answer. Where `torn` is set that many bytes of the body arrive, and then the connection ends."""

    status: int
    headers: tuple[tuple[bytes, bytes], ...] = ()
    body: bytes = b""
    torn: int | None = None


class Lost(Exception):
    """The connection ends without an answer."""


class Sitter:
    """Lets everything pass. Tests put another one on the wire."""

    async def before(self, asked: Asked) -> Reply | None:  # noqa: ARG002
        """Called when a request has arrived: return an answer to give without passing it on, or raise `Lost`."""
        return None

    async def after(self, asked: Asked, reply: Reply) -> Reply:  # noqa: ARG002
        """Called when the answer has arrived, of a watch its head; return the one to give, or raise `Lost`."""
        return reply


class Seat:
    """Holds who sits on the wires now, so that one is put in the place of another while processes run."""

    def __init__(self) -> None:
        self.sitter = Sitter()


class Loop:
    """The event loop of all wires, in a thread of its own."""

    def __enter__(self) -> Self:
        self.loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self.loop.run_forever, daemon=True)
        self._thread.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None) -> None:
        asyncio.run_coroutine_threadsafe(self._end(), self.loop).result(10)
        self.loop.call_soon_threadsafe(self.loop.stop)
        self._thread.join(5)
        self.loop.close()

    async def _end(self) -> None:
        tasks = [task for task in asyncio.all_tasks() if task is not asyncio.current_task()]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


@dataclass
class Wire:
    """Listens on a port of its own, by TLS where `tls` is given, and passes on to `there` (a URL), whose CA is `ca`."""

    seat: Seat
    process: str
    whom: str
    there: str
    tls: ssl.SSLContext | None = None
    ca: str | None = None

    def open(self, loop: Loop) -> str:
        """Begin to listen, and return the URL to give to the process."""
        (port,) = free_ports(1)
        asyncio.run_coroutine_threadsafe(asyncio.start_server(self._serve, LOOPBACK, port, ssl=self.tls), loop.loop).result(5)
        return f"{'https' if self.tls else 'http'}://{LOOPBACK}:{port}"

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        client, server = _Side(h11.SERVER, reader, writer), _Upstream(self.there, self.ca)
        try:
            while (asked := await self._asked(client)) is not None:
                await self._answer(client, server, asked)
                if not client.next():
                    break
        except (Lost, OSError, h11.ProtocolError, asyncio.IncompleteReadError, ssl.SSLError):
            writer.transport.abort()
        finally:
            server.close()
            writer.close()

    async def _asked(self, client: _Side) -> Asked | None:
        head = await client.event()
        if not isinstance(head, h11.Request):
            return None
        if client.machine.they_are_waiting_for_100_continue:
            await client.send(h11.InformationalResponse(status_code=100, headers=[]))
        body = await client.body()
        return Asked(self.process, self.whom, head.method.decode(), head.target.decode(), tuple(head.headers), body)

    async def _answer(self, client: _Side, server: _Upstream, asked: Asked) -> None:
        reply = await self.seat.sitter.before(asked)
        if reply is None and asked.watches:
            return await self._stream(client, server, asked)
        if reply is None:
            head = await server.ask(asked)
            reply = await self.seat.sitter.after(asked, Reply(head.status_code, tuple(head.headers), await server.side.body()))
            server.done()
        await _give(client, asked, reply)
        return None

    async def _stream(self, client: _Side, server: _Upstream, asked: Asked) -> None:
        head = await server.ask(asked)
        reply = await self.seat.sitter.after(asked, Reply(head.status_code, tuple(head.headers)))
        if reply.status != head.status_code:
            return await _give(client, asked, reply)
        gone = asyncio.ensure_future(client.reader.read(1))
        try:
            await client.send(h11.Response(status_code=head.status_code, headers=_kept(reply.headers)))
            while True:
                piece = asyncio.ensure_future(server.side.event())
                await asyncio.wait((piece, gone), return_when=asyncio.FIRST_COMPLETED)
                if not piece.done():
                    piece.cancel()
                    raise Lost
                if not isinstance(piece.result(), h11.Data):
                    break
                await client.send(piece.result())
        finally:
            gone.cancel()
            server.close()
        await client.send(h11.EndOfMessage())
        raise Lost  # the read that noticed a client who left may have eaten a byte of its next request


class _Side:
    """One end of a connection."""

    def __init__(self, role: type[h11.SERVER | h11.CLIENT], reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.machine = h11.Connection(role, max_incomplete_event_size=256 * 1024)
        self.reader, self.writer = reader, writer

    async def event(self) -> h11.Event:
        while (found := self.machine.next_event()) is h11.NEED_DATA:
            self.machine.receive_data(await self.reader.read(PIECE))
        if found is h11.PAUSED:
            raise Lost
        return found  # type: ignore[return-value]

    async def body(self) -> bytes:
        parts = []
        while isinstance(one := await self.event(), h11.Data):
            parts.append(bytes(one.data))
        return b"".join(parts)

    async def send(self, event: h11.Event) -> None:
        data = self.machine.send(event)
        if data:
            self.writer.write(data)
            await self.writer.drain()

    def next(self) -> bool:
        if self.machine.our_state is not h11.DONE or self.machine.their_state is not h11.DONE:
            return False
        self.machine.start_next_cycle()
        return True


class _Upstream:
    """The connection onwards, kept for the next request."""

    def __init__(self, there: str, ca: str | None) -> None:
        self._there = urlsplit(there)
        self._ca = ca
        self.side: _Side

    async def ask(self, asked: Asked) -> h11.Response:
        if not hasattr(self, "side") or self.side.reader.at_eof() or self.side.machine.our_state is not h11.IDLE:
            self.close()
            context = ssl.create_default_context(cafile=self._ca) if self._there.scheme == "https" else None
            self.side = _Side(h11.CLIENT, *await asyncio.open_connection(self._there.hostname, self._there.port, ssl=context))
        headers = [one for one in asked.headers if one[0] not in _HOP]
        if asked.body or asked.method in {"PUT", "POST", "PATCH"}:
            headers.append((b"content-length", str(len(asked.body)).encode()))
        await self.side.send(h11.Request(method=asked.method, target=asked.target, headers=headers))
        if asked.body:
            await self.side.send(h11.Data(data=asked.body))
        await self.side.send(h11.EndOfMessage())
        while isinstance(head := await self.side.event(), h11.InformationalResponse):
            pass
        if not isinstance(head, h11.Response):
            raise Lost
        return head

    def done(self) -> None:
        if not self.side.next():
            self.close()

    def close(self) -> None:
        if hasattr(self, "side"):
            self.side.writer.close()
            del self.side


async def _give(client: _Side, asked: Asked, reply: Reply) -> None:
    length = next((value for name, value in reply.headers if name == b"content-length"), b"0") if asked.method == "HEAD" else None
    headers = [*_kept(reply.headers), (b"content-length", length or str(len(reply.body)).encode())]
    await client.send(h11.Response(status_code=reply.status, headers=headers))
    if asked.method != "HEAD" and reply.body:
        await client.send(h11.Data(data=reply.body if reply.torn is None else reply.body[: reply.torn]))
    if reply.torn is not None:
        raise Lost
    await client.send(h11.EndOfMessage())


def _kept(headers: tuple[tuple[bytes, bytes], ...]) -> list[tuple[bytes, bytes]]:
    return [one for one in headers if one[0] not in _HOP]


def tls(certificate: str, key: str) -> ssl.SSLContext:
    """The serving side's context."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate, key)
    return context


def torn(reply: Reply) -> Reply:
    """Half of the body arrives."""
    return replace(reply, torn=len(reply.body) // 2)


async def hang() -> None:
    """Wait longer than anybody does."""
    with suppress(asyncio.CancelledError):
        await asyncio.sleep(600)
    raise Lost
