"""Sessions, kept in this process: the browser holds a random name and nothing else.

1. A session ends after an hour without a request, and after twelve hours in any case; with the process all of them do.
2. Signing in gives it a new name, so that nobody rides on a name that they planted before.
3. Their number is bounded; the one that was used longest ago goes first.
"""

from __future__ import annotations

import secrets
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass, field
from threading import Lock
from typing import Final

from signoff.decision.consent import Login
from signoff.decision.principals import Resolved
from signoff.record.canonical import Json
from signoff.record.values import Digest

IDLE: Final = 3600.0
LONGEST: Final = 12 * 3600.0
MOST: Final = 10_000
MOST_FLOWS: Final = 8


@dataclass(frozen=True)
class SignedIn:
    """Who signed in, by which ID token."""

    who: Resolved
    login: Login
    token: str


@dataclass(frozen=True)
class Pending:
    """A decision that waits for its login: on which promotion, and what the decision will say."""

    namespace: str
    name: str
    spec: dict[str, Json]


@dataclass(frozen=True)
class Flow:
    """A sign-in under way: what proves that its end belongs to its beginning, and where it leads."""

    verifier: str
    nonce: str
    then: str
    pending: Pending | None = None


@dataclass
class Session:
    """What is known of one browser. ``opened`` are the freezes whose explanation was opened in it."""

    name: str
    begun: float
    seen: float
    csrf: str = field(default_factory=lambda: secrets.token_urlsafe(24))
    person: SignedIn | None = None
    opened: set[Digest] = field(default_factory=set)
    flows: OrderedDict[str, Flow] = field(default_factory=OrderedDict)

    def begin(self, flow: Flow) -> str:
        """Remember a sign-in under way, and return its state."""
        state = secrets.token_urlsafe(24)
        self.flows[state] = flow
        while len(self.flows) > MOST_FLOWS:
            self.flows.popitem(last=False)
        return state


class Sessions:
    """All sessions of this process (rules 1 and 3). Safe to use from many threads."""

    def __init__(self, clock: Callable[[], float]) -> None:
        self._clock = clock
        self._held: OrderedDict[str, Session] = OrderedDict()
        self._lock = Lock()

    def of(self, name: str | None) -> Session:
        """Return the session of this name, or a new one."""
        now = self._clock()
        with self._lock:
            held = self._held.get(name) if name is not None else None
            if held is not None and (now - held.seen > IDLE or now - held.begun > LONGEST):
                del self._held[held.name]
                held = None
            if held is None:
                held = Session(_name(), now, now)
                self._held[held.name] = held
            held.seen = now
            self._held.move_to_end(held.name)
            while len(self._held) > MOST:
                self._held.popitem(last=False)
        return held

    def renamed(self, session: Session) -> Session:
        """Give a session another name, and return it (rule 2)."""
        with self._lock:
            self._held.pop(session.name, None)
            session.name = _name()
            session.csrf = secrets.token_urlsafe(24)
            self._held[session.name] = session
        return session

    def end(self, session: Session) -> None:
        """Forget a session."""
        with self._lock:
            self._held.pop(session.name, None)


def _name() -> str:
    return secrets.token_urlsafe(32)
