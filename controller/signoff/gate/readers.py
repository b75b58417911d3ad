"""Threads of their own for what may hang.

1. At most so many threads, and at most so much work that waits for one: what is beyond is turned away at once.
2. A thread begins when there is work that no idle one takes, and is a daemon: one that hangs keeps no process from ending.
3. Work does not raise: it hands its failure to whoever waits for it.
"""

from __future__ import annotations

from collections.abc import Callable
from queue import Empty, Full, Queue
from threading import Lock, Semaphore, Thread

Work = Callable[[], None]


class Readers:
    """A bounded pool of threads (rules 1 and 2)."""

    def __init__(self, threads: int, waiting: int) -> None:
        self._most = threads
        self._threads = 0
        self._lock = Lock()
        self._idle = Semaphore(0)
        self._queue: Queue[Work] = Queue(waiting)

    def begin(self, work: Work) -> bool:
        """Take on work that does not raise; False where there is no room."""
        try:
            self._queue.put_nowait(work)
        except Full:
            return False
        if not self._idle.acquire(blocking=False):
            self._grow()
        return True

    def _grow(self) -> None:
        with self._lock:
            if self._threads == self._most:
                return
            self._threads += 1
        Thread(target=self._serve, name="signoff-reader", daemon=True).start()

    def _serve(self) -> None:
        while True:
            try:
                work = self._queue.get_nowait()
            except Empty:
                self._idle.release()
                work = self._queue.get()
            work()
