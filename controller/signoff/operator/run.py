"""The operator's process: kopf watches, a queue reconciles.

1. What kopf reports only says which promotion to look at again; what is done follows from the resource and the archive as they are then.
   Nothing is kept in annotations, and there are no finalizers: a stopped operator holds nobody up.
2. One promotion is reconciled by one worker at a time; while it is, another report asks for one more look afterwards.
3. What is not ended is looked at again by itself: soon where something was out of reach (with growing pauses), at the resync otherwise.
4. What runs is audited beside it, by one worker of its own.
5. Where nothing is to be done the API server is asked all the same at each resync, so that its absence shows.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Mapping
from contextlib import suppress
from datetime import UTC, datetime
from typing import Any, Final

import kopf

from signoff import watching
from signoff.api import GROUP, VERSION
from signoff.errors import SignoffError
from signoff.operator.audit import Auditor
from signoff.operator.reconcile import LATER, OUT_OF_REACH, SOON, Operator, reconcile
from signoff.operator.status import State, status_of
from signoff.record.canonical import Json
from signoff.record.values import format_time

LOG: Final = logging.getLogger("signoff.operator")
_WORKERS: Final = 4
_LONGEST_PAUSE: Final = 60.0

Key = tuple[str, str]


class Queue:
    """Promotions to look at (rule 2 and 3)."""

    def __init__(self, operator: Operator, resync: float) -> None:
        self._operator = operator
        self._resync = resync
        self._waiting: asyncio.Queue[Key] = asyncio.Queue()
        self._queued: set[Key] = set()
        self._running: set[Key] = set()
        self._again: set[Key] = set()
        self._timers: dict[Key, asyncio.TimerHandle] = {}
        self._tries: dict[Key, int] = {}
        self._stand: set[Key] = set()
        self._ids: dict[Key, str] = {}

    def look_at(self, key: Key) -> None:
        """Ask for a look at a promotion."""
        timer = self._timers.pop(key, None)
        if timer is not None:
            timer.cancel()
        if key in self._running:
            self._again.add(key)
        elif key not in self._queued:
            self._queued.add(key)
            self._waiting.put_nowait(key)

    def depth(self) -> int:
        """Return how many promotions wait for a look."""
        return self._waiting.qsize()

    def look_at_all(self) -> None:
        """Ask for a look at every promotion that has not ended."""
        for key in {*self._timers, *self._running} - self._stand:
            self.look_at(key)

    def look_at_request(self, request: str) -> None:
        """Ask for a look at the promotion that is this request, if one is known."""
        for key in [key for key, known in list(self._ids.items()) if known == request]:  # a copy: workers add to it
            self.look_at(key)

    async def work(self) -> None:
        """Reconcile one promotion after another, for ever."""
        while True:
            key = await self._waiting.get()
            self._queued.discard(key)
            self._running.add(key)
            pause: float | None = SOON
            try:
                pause = await asyncio.to_thread(self._look, key)
            except Exception:
                LOG.exception("looking at %s/%s failed; it is tried again", *key)
            finally:
                self._running.discard(key)
            self._schedule(key, pause)

    def _schedule(self, key: Key, pause: float | None) -> None:
        if key in self._again:
            self._again.discard(key)
            self.look_at(key)
            return
        if pause is None:
            self._tries.pop(key, None)
            return
        tries = self._tries[key] = self._tries.get(key, 0) + 1 if pause < LATER else 0
        # What stands is looked at when its state says so, everything else at the resync.
        later = pause if key in self._stand else self._resync
        delay = min(pause * 2 ** min(tries, 5), _LONGEST_PAUSE) if pause < LATER else later
        self._timers[key] = asyncio.get_running_loop().call_later(delay, self.look_at, key)

    def _know(self, key: Key, state: State | None) -> None:
        ended = state is not None and state.event is not None
        (self._stand.add if ended else self._stand.discard)(key)
        if state is None:
            self._ids.pop(key, None)
        elif state.id is not None:
            self._ids[key] = state.id

    def _look(self, key: Key) -> float | None:
        metrics = self._operator.metrics
        with metrics.looking():
            promotion = self._operator.cluster.promotion(*key)
            state = None if promotion is None else reconcile(self._operator, promotion)
        if promotion is not None and state is not None and state.reason == OUT_OF_REACH and _has_outcome(promotion):
            return state.retry  # what was told of it stands: an outcome does not go away with the archive
        metrics.known.saw(key, state)
        self._know(key, state)
        if promotion is None or state is None:
            return None
        try:
            _report(self._operator, promotion, state)
        except SignoffError as error:
            LOG.warning("%s/%s: %s", *key, error)
            return SOON
        return state.retry


def _report(operator: Operator, promotion: Mapping[str, Json], state: State) -> None:
    metadata, old = promotion.get("metadata"), promotion.get("status")
    generation = metadata.get("generation") if isinstance(metadata, Mapping) else None
    before = old if isinstance(old, Mapping) else {}
    status = status_of(state, generation if isinstance(generation, int) else 0, before, format_time(operator.now()))
    if status == before:
        return
    operator.cluster.set_status(promotion, status)
    if state.reason != _reason(before):
        warning = state.phase in {"stalled", "rejected", "revoked", "expired"} or state.owed or state.soon
        operator.cluster.tell(promotion, "Warning" if warning else "Normal", state.reason, state.message)
        LOG.info("%s/%s: %s: %s", *_name(promotion), state.reason, state.message)


def _has_outcome(promotion: Mapping[str, Json]) -> bool:
    status = promotion.get("status")
    return isinstance(status, Mapping) and bool(status.get("event"))


def _reason(status: Mapping[str, Json]) -> str:
    conditions = status.get("conditions")
    for one in conditions if isinstance(conditions, list) else ():
        if isinstance(one, Mapping) and one.get("type") == "Ready":
            reason = one.get("reason")
            return reason if isinstance(reason, str) else ""
    return ""


def _name(promotion: Mapping[str, Json]) -> Key:
    metadata = promotion.get("metadata")
    return (str(metadata.get("namespace")), str(metadata.get("name"))) if isinstance(metadata, Mapping) else ("", "")


def registry(operator: Operator, resync: float, auditor: Auditor | None = None) -> kopf.OperatorRegistry:
    """Return kopf's handlers for an operator, which audits what runs where there is an ``auditor``."""
    handlers = kopf.OperatorRegistry()
    queue = Queue(operator, resync)
    operator.metrics.queue(queue.depth)
    workers: list[asyncio.Task[None]] = []

    @kopf.on.startup(registry=handlers)
    async def start(settings: kopf.OperatorSettings, **_: Any) -> None:
        watching.settle(settings)
        workers.extend(asyncio.create_task(queue.work()) for _ in range(_WORKERS))
        workers.append(asyncio.create_task(_ask_regularly(operator, resync)))
        if auditor is not None:
            workers.append(asyncio.create_task(_audit_regularly(auditor)))

    @kopf.on.cleanup(registry=handlers)
    async def stop(**_: Any) -> None:
        if auditor is not None:
            auditor.stop()
        for worker in workers:
            worker.cancel()

    @kopf.on.event(GROUP, VERSION, "modelpromotions", registry=handlers)
    async def promotion(namespace: str | None, name: str | None, **_: Any) -> None:
        if namespace and name:  # one that was deleted, too: a look forgets it
            queue.look_at((namespace, name))

    @kopf.on.event(GROUP, VERSION, "promotiondecisions", registry=handlers)
    async def decision(namespace: str | None, spec: kopf.Spec, event: kopf.RawEvent, **_: Any) -> None:
        if namespace and isinstance(spec.get("promotion"), str) and event["type"] != "DELETED":
            queue.look_at((namespace, spec["promotion"]))

    @kopf.on.event(GROUP, VERSION, "promotioncorrections", registry=handlers)
    async def correction(spec: kopf.Spec, event: kopf.RawEvent, **_: Any) -> None:
        if isinstance(spec.get("request"), str) and event["type"] != "DELETED":
            queue.look_at_request(spec["request"])

    @kopf.on.event(GROUP, VERSION, "promotionpolicies", registry=handlers)
    async def policy(**_: Any) -> None:
        queue.look_at_all()

    return handlers


async def _ask_regularly(operator: Operator, pause: float) -> None:
    while True:
        # Its failure shows in that the moment of the last answer grows old, and in what is looked at.
        with suppress(SignoffError):
            await asyncio.to_thread(operator.cluster.policies)
        await asyncio.sleep(pause)


async def _audit_regularly(auditor: Auditor) -> None:
    while True:
        await asyncio.to_thread(auditor.run)
        await asyncio.sleep(auditor.pause)


def now() -> datetime:
    """Return the time, aware and in UTC."""
    return datetime.now(UTC)
