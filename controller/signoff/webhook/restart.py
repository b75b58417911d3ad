"""Starting while the archive is away, on what an earlier process kept.

1. Only with a kept trust file of the digest that the configuration names. Without one the process does not start, as ever.
2. What was kept is verified anew by the one verifier under that trust file, as if the store had taken it now (`evidence`); what does not
   verify, and what is not positive any more, is dropped and logged. The latest come first, and there is a bound to the time it may take.
3. Until the process has proven its own rights in the archive nothing is written to it: what the start could not prove is proven before the
   first write, and a proof that fails refuses every write.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator
from concurrent.futures import Future
from datetime import datetime
from functools import partial
from threading import Lock, Thread
from typing import Final, TypeVar

from signoff.archive import layout
from signoff.archive.open import store_at
from signoff.archive.store import Proof, Store, Stored, Unavailable
from signoff.config import Common
from signoff.errors import SignoffError
from signoff.gate.lookup import look_up
from signoff.gate.memory import Memory
from signoff.metrics.archive import ArchiveMetrics, MeteredStore
from signoff.record.trust import MAX_TRUST, Trust, read_trust
from signoff.record.values import sha256
from signoff.start import open_archive, prove
from signoff.verify.reader import Reader
from signoff.webhook.evidence import Again
from signoff.webhook.kept import Answer, Kept

LOG: Final = logging.getLogger("signoff.webhook")

OPEN_SECONDS: Final = 10.0
RESTORE_SECONDS: Final = 5.0

T = TypeVar("T")


class ProvenFirst:
    """A store that is not written before this process has proven its rights in it (rule 3)."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._proven = False
        self._lock = Lock()

    def create(self, key: str, data: bytes) -> Stored:
        """As `Store.create`; and raises what `Store.prove` raises."""
        with self._lock:
            if not self._proven:
                prove(self._store)
                self._proven = True
        return self._store.create(key, data)

    def read(self, key: str, *, limit: int) -> Stored:
        """As `Store.read`."""
        return self._store.read(key, limit=limit)

    def list(self, prefix: str, *, after: str = "", limit: int | None = None) -> Iterator[str]:
        """As `Store.list`."""
        return self._store.list(prefix, after=after, limit=limit)

    def check(self) -> None:
        """As `Store.check`."""
        self._store.check()

    def prove(self) -> Proof:
        """As `Store.prove`."""
        return self._store.prove()


def opened(config: Common, kept: Kept | None, metrics: ArchiveMetrics) -> tuple[Store, Trust]:
    """Return the archive and the active trust file; where it is out of reach, on what was kept (rule 1)."""
    if kept is None:
        return _opened(config, metrics)
    try:
        store, trust = _in_time(partial(_opened, config, metrics))
    except Unavailable as error:
        data = kept.trust(config.trust)
        if data is None:
            raise
        LOG.warning("the archive is out of reach, so the gate starts on what it kept: %s", error)
        return ProvenFirst(MeteredStore(store_at(config.archive), metrics)), read_trust(data, "kept trust file")
    _keep_trust(store, config, kept)
    return store, trust


def restore(memory: Memory, kept: Kept, trust: Trust, cluster: str, now: Callable[[], datetime], clock: Callable[[], float]) -> None:
    """Give a memory what was kept and verifies again (rule 2)."""
    until = clock() + RESTORE_SECONDS
    restored = 0
    for answer in kept.answers(now()):
        if clock() >= until:
            LOG.warning("no more of what was kept is verified again: it takes too long")
            break
        if _verifies(answer, memory, trust, cluster, now()):
            restored += 1
        else:
            kept.remove(answer.key)
    LOG.info("%d kept answers were verified again", restored)


def _verifies(answer: Answer, memory: Memory, trust: Trust, cluster: str, now: datetime) -> bool:
    try:
        found = look_up(Reader(Again(answer.evidence, now), trust), answer.key, cluster, now)
    except SignoffError as error:
        LOG.warning("kept answer about %s is dropped: %s", answer.key.digest, error)
        return False
    if not found.is_positive:
        LOG.warning("kept answer about %s is dropped: %s", answer.key.digest, "; ".join(found.refused[:2]) or "it holds no event")
        return False
    memory.restore(answer.key, found, (now - answer.verified_at).total_seconds())
    return True


def _opened(config: Common, metrics: ArchiveMetrics) -> tuple[Store, Trust]:
    store, reader = open_archive(config, metrics)
    prove(store)
    return store, reader.trust


def _keep_trust(store: Store, config: Common, kept: Kept) -> None:
    try:
        data = store.read(layout.statement("trust", config.trust), limit=MAX_TRUST).data
        if sha256(data) == config.trust:
            kept.keep_trust(data)
    except SignoffError as error:
        LOG.warning("the trust file cannot be kept for a restart: %s", error)


def _in_time(work: Callable[[], T]) -> T:
    """Return what ``work`` returns; `Unavailable` where it hangs, in a thread that keeps no process from ending."""
    done: Future[T] = Future()

    def run() -> None:
        try:
            done.set_result(work())
        except BaseException as error:  # noqa: BLE001 - for whoever waits
            done.set_exception(error)

    Thread(target=run, name="signoff-opening", daemon=True).start()
    try:
        return done.result(OPEN_SECONDS)
    except TimeoutError:
        raise Unavailable(f"the archive did not answer within {OPEN_SECONDS:g} s") from None
