"""Keeping what the gate verified, off the way of its verdicts.

1. A thread of its own writes. What waits for it is bounded; what finds no room is not kept this time, and no verdict waits.
2. An answer is written when it is new and then once a minute at most, so a restart finds a grace that is up to a minute shorter.
3. What the archive answered otherwise is removed, and that always finds room. Negative answers are not kept, and neither is what rests on a
   correction: a revocation whose key has ended since would be passed over when it is verified again (`evidence`, rule 2).
4. A folder that cannot be written is logged, once until it can be again, and harms nobody.
"""

from __future__ import annotations

import logging
from collections import OrderedDict
from collections.abc import Callable
from datetime import datetime, timedelta
from threading import Condition, Thread
from typing import Final

from signoff.archive.store import Unavailable
from signoff.errors import SignoffError
from signoff.gate.lookup import Key, look_up
from signoff.verify.reader import Found, Reader
from signoff.webhook.evidence import Evidence, Noting
from signoff.webhook.kept import Answer, Kept

LOG: Final = logging.getLogger("signoff.webhook")

WRITTEN_AGAIN: Final = timedelta(minutes=1)
MAX_WAITING: Final = 64
_MAX_WRITTEN: Final = 10_000


class Keeper:
    """Looks keys up in the archive, and keeps what positive answers rested on. ``now`` is the wall clock: it outlives the process."""

    def __init__(self, kept: Kept, noting: Noting, reader: Reader, cluster: str, now: Callable[[], datetime]) -> None:
        self._kept = kept
        self._noting = noting
        self._reader = reader
        self._cluster = cluster
        self._now = now
        self._waiting: OrderedDict[Key, Answer | None] = OrderedDict()
        self._written: OrderedDict[Key, datetime] = OrderedDict()
        self._writing: Key | None = None
        self._changed = Condition()
        self._failing = False
        Thread(target=self._serve, name="signoff-keeper", daemon=True).start()

    def look_up(self, key: Key) -> Found:
        """Return what the archive holds, as `lookup.look_up`; its evidence is kept by and by."""
        asked_at = self._now()
        with self._noting.noted() as evidence:
            try:
                found = look_up(self._reader, key, self._cluster, asked_at)
            except Unavailable:
                raise
            except SignoffError:
                self.drop(key)
                raise
        if found.is_positive and not evidence.too_large and not evidence.has_corrections:
            self._keep(key, asked_at, evidence)
        else:
            self.drop(key)
        return found

    def _keep(self, key: Key, asked_at: datetime, evidence: Evidence) -> None:
        with self._changed:
            written = self._written.get(key)
            recently = written is not None and timedelta() <= asked_at - written < WRITTEN_AGAIN
            if recently or (key not in self._waiting and len(self._waiting) >= MAX_WAITING):
                return
            self._waiting[key] = Answer(key, asked_at, evidence)
            self._changed.notify()

    def drop(self, key: Key) -> None:
        """Keep an answer no longer (rule 3)."""
        with self._changed:
            self._written.pop(key, None)
            # There are no more of these than files: for what is not kept nothing waits.
            if self._waiting.pop(key, None) is not None or self._writing == key or self._kept.holds(key):
                self._waiting[key] = None
                self._changed.notify()

    def _serve(self) -> None:
        while True:
            with self._changed:
                self._changed.wait_for(lambda: self._waiting)
                key, answer = self._waiting.popitem(last=False)
                self._writing = key
            try:
                self._write(key, answer)
                self._failing = False
            except Exception as error:  # noqa: BLE001 - rule 4
                if not self._failing:
                    LOG.warning("what the gate verifies cannot be kept for a restart: %s", error)
                self._failing = True
            with self._changed:
                self._writing = None

    def _write(self, key: Key, answer: Answer | None) -> None:
        evidence = None if answer is None else self._noting.with_policies(answer.evidence)
        if answer is None or evidence is None:
            self._kept.remove(key)
            return
        self._kept.write(Answer(key, answer.verified_at, evidence))
        with self._changed:
            if key in self._waiting:
                return
            self._written[key] = answer.verified_at
            while len(self._written) > _MAX_WRITTEN:
                self._written.popitem(last=False)
