"""Sessions, kept in this process: the browser holds a random name and nothing else.

1. A session ends after an hour without a request, and after twelve hours in any case; with the process all of them do.
2. Signing in gives it a new name, so that nobody rides on a name that they planted before.
   What the browser was remembered for before is not theirs: sign-ins under way end, and what another person opened was not opened by them.
3. One is held from when somebody begins to sign in, and not before. Their number is bounded; the one that was used longest ago goes first,
   and however many begin to sign in, nobody who has signed in goes for that.
"""

from __future__ import annotations

import secrets
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime
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
class Registering:
    """A passkey that waits for its login: what the PromotionPasskey will say."""

    spec: dict[str, Json]


@dataclass(frozen=True)
class Flow:
    """A sign-in under way: since when (aware), what proves that its end belongs to its beginning, and where it leads."""

    begun: datetime
    verifier: str
    nonce: str
    then: str
    pending: Pending | Registering | None = None

    @classmethod
    def new(cls, begun: datetime, then: str, nonce: str = "", pending: Pending | Registering | None = None) -> Flow:
        """Return a sign-in that begins now, with a nonce of its own where none is named."""
        return cls(begun, secrets.token_urlsafe(48), nonce or secrets.token_urlsafe(24), then, pending)


@dataclass
class Session:
    """What is known of one browser. ``opened`` are the freezes whose explanation was opened in it by whoever is signed in."""

    name: str
    begun: float
    seen: float
    is_held: bool = False
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

    def __init__(self, clock: Callable[[], float], most: int = MOST) -> None:
        self._clock = clock
        self._most = most
        self._beginning: OrderedDict[str, Session] = OrderedDict()
        self._signed_in: OrderedDict[str, Session] = OrderedDict()
        self._lock = Lock()

    def of(self, name: str | None) -> Session:
        """Return the session of this name, or a new one that is not held."""
        now = self._clock()
        with self._lock:
            for held in (self._signed_in, self._beginning):
                session = held.get(name) if name is not None else None
                if session is None:
                    continue
                if now - session.seen > IDLE or now - session.begun > LONGEST:
                    self._forget(session)
                    break
                session.seen = now
                held.move_to_end(session.name)
                return session
        return Session(_name(), now, now)

    def hold(self, session: Session) -> None:
        """Hold the session of somebody who begins to sign in."""
        with self._lock:
            if not session.is_held:
                self._put(self._beginning, session)

    def sign_in(self, session: Session, person: SignedIn) -> Session:
        """End a session, and return the one of whoever signed in in it (rule 2)."""
        now = self._clock()
        before = session.person
        same = before is not None and before.who.principal.is_same(person.who.principal)
        new = Session(_name(), now, now, person=person, opened=set(session.opened) if same else set())
        with self._lock:
            self._forget(session)
            self._put(self._signed_in, new)
        return new

    def end(self, session: Session) -> None:
        """Forget a session."""
        with self._lock:
            self._forget(session)

    def _put(self, held: OrderedDict[str, Session], session: Session) -> None:
        session.is_held = True
        held[session.name] = session
        while len(held) > self._most:
            held.popitem(last=False)[1].is_held = False

    def _forget(self, session: Session) -> None:
        session.is_held = False
        self._signed_in.pop(session.name, None)
        self._beginning.pop(session.name, None)


def _name() -> str:
    return secrets.token_urlsafe(32)
