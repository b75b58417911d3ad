"""Whether what the portal works with answers: asked beside the requests, told as of the last look.

1. Whoever asks is answered at once, from what the last look found. Where that is older than some seconds, a look is begun, by one thread,
   and told to whoever asks next.
2. What was never looked at, and what does not end, does not answer.
3. What is told names the part, and no address or word of its error: whoever reaches the portal may ask.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from threading import Lock, Thread
from typing import Final

from signoff.errors import SignoffError

FRESH: Final = 5.0
LONGEST: Final = 15.0


class Looking:
    """Asks parts, by name, by functions that raise `SignoffError` where they do not answer. ``clock`` is in seconds. Safe in threads."""

    def __init__(self, parts: Mapping[str, Callable[[], None]], clock: Callable[[], float]) -> None:
        self._parts = parts
        self._clock = clock
        self._lock = Lock()
        self._began = -FRESH
        self._under_way = False
        self._away: tuple[str, ...] = tuple(f"{name}: not asked yet" for name in parts)

    def away(self) -> tuple[str, ...]:
        """Return in words what does not answer (rules 1 and 2)."""
        with self._lock:
            now = self._clock()
            lasts = now - self._began
            if self._under_way:
                return self._away if lasts < LONGEST else (f"no answer for {LONGEST:.0f} s",)
            if lasts >= FRESH:
                self._began, self._under_way = now, True
                Thread(target=self._look, name="looking", daemon=True).start()
            return self._away

    def _look(self) -> None:
        found: list[str] = []
        for name, ask in self._parts.items():
            try:
                ask()
            except SignoffError:
                found.append(f"{name}: does not answer")
            except Exception:  # noqa: BLE001 - whatever it is, it is no answer
                found.append(f"{name}: could not be asked")
        with self._lock:
            self._away, self._under_way = tuple(found), False
