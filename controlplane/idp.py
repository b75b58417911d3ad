"""`EmbeddedProvider`: an OpenID provider in this process, for the demo and where Java is missing; and one that lies, for tests.

Rules:

1. Authorization code with PKCE (S256) alone, for a confidential client and a public one; the pages and endpoints are in `idp_pages`.
2. A code lives a minute, is spent by the first who shows it, right or wrong, and serves the client and address it was made for.
3. A person is asked for the password when there is no session, at `prompt=login`, and when the session's login is older than `max_age`.
   Only then does `auth_time` move.
4. It is honest unless a test says otherwise: `with provider.telling(Lie.WRONG_NONCE): ...`.
5. Keys, accounts, sessions and codes are in memory; they outlive `stop` and `start`, as does the port.
"""

from __future__ import annotations

import secrets
import threading
import time
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final, TypeVar

import uvicorn
from joserfc.jwk import KeySet

from controlplane import lies as tokens
from controlplane.errors import ComponentError
from controlplane.idp_pages import application
from controlplane.lies import Lie
from controlplane.oidc import Provider
from controlplane.people import PEOPLE
from controlplane.pki import Authority
from controlplane.ports import LOOPBACK, free_ports

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path

    from controlplane.idp_requests import Request
    from controlplane.people import Person

CODE_SECONDS: Final = 60.0
READY_SECONDS: Final = 15.0
MAX_KEPT: Final = 1000
"""How many sessions, waiting requests or codes it holds at most; the oldest go first."""

_T = TypeVar("_T")


@dataclass(frozen=True)
class Session:
    """Somebody who signed in, in one browser."""

    person: Person
    auth_time: int
    id: str = field(default_factory=lambda: secrets.token_urlsafe(24))


@dataclass(frozen=True)
class Grant:
    """What a code stands for."""

    request: Request
    session: Session
    until: float


class EmbeddedProvider(Provider):
    """An OpenID provider beneath the folder `work`, for as long as a `with` block lasts; see the module's rules."""

    def __init__(self, work: Path, *, people: Mapping[str, Person] = PEOPLE, algorithm: str = "ES256") -> None:
        self.people = people
        self.algorithm = algorithm
        self.redirect_uris: set[str] = set()
        self.loopback_uris: set[str] = set()
        self.sessions: dict[str, Session] = {}
        self.waiting: dict[str, tuple[str, Request]] = {}
        self.lies: frozenset[Lie] = frozenset()
        self._grants: dict[str, Grant] = {}
        self._keys = [tokens.new_key(algorithm)]
        self._authority = Authority("identity", work / "pki")
        self._serving = self._authority.serving("provider", [LOOPBACK])
        [self.port] = free_ports(1)
        self._server: uvicorn.Server | None = None
        self._thread: threading.Thread | None = None

    @property
    def issuer(self) -> str:
        """See `Provider`."""
        return f"https://{LOOPBACK}:{self.port}/realms/bank"

    @property
    def ca(self) -> Path:
        """See `Provider`."""
        return self._authority.path

    def start(self) -> None:
        """See `Provider`. Raises ComponentError if it does not come up."""
        if self._thread is not None:
            return
        config = uvicorn.Config(
            application(self),
            host=LOOPBACK,
            port=self.port,
            ssl_certfile=self._serving.certificate,
            ssl_keyfile=self._serving.key,
            lifespan="off",
            log_config=None,
            access_log=False,
            loop="asyncio",
            timeout_graceful_shutdown=1,
        )
        self._server = uvicorn.Server(config)
        self._thread = threading.Thread(target=self._server.run, name="identity provider", daemon=True)
        self._thread.start()
        deadline = time.monotonic() + READY_SECONDS
        while not self._server.started:
            if time.monotonic() > deadline or not self._thread.is_alive():
                raise ComponentError(f"the identity provider does not answer at {self.issuer}; see whether its port is taken")
            time.sleep(0.01)

    def stop(self) -> None:
        """See `Provider`."""
        if self._server is not None and self._thread is not None:
            self._server.should_exit = True
            self._thread.join(READY_SECONDS)
        self._server = self._thread = None

    def allow(self, redirect_uri: str) -> None:
        """See `Provider`."""
        self.redirect_uris.add(redirect_uri)

    def allow_public(self, redirect_uri: str) -> None:
        """See `Provider`."""
        self.loopback_uris.add(redirect_uri)

    def end_sessions(self, email: str) -> None:
        """See `Provider`."""
        self.sessions = {key: session for key, session in self.sessions.items() if session.person.email != email}

    def rotate_key(self) -> None:
        """See `Provider`."""
        self._keys.insert(0, tokens.new_key(self.algorithm))

    @contextmanager
    def telling(self, *lies: Lie) -> Iterator[None]:
        """Within this block the provider tells these lies; it signs in whoever it is asked to all the same."""
        before, self.lies = self.lies, frozenset(lies)
        try:
            yield
        finally:
            self.lies = before

    def published(self) -> dict[str, Any]:
        """The key set, public parts alone, newest first."""
        return {"keys": [key | {"alg": self.algorithm, "use": "sig"} for key in KeySet(list(self._keys)).as_dict(private=False)["keys"]]}

    def id_token(self, email: str, *, nonce: str | None = None, auth_time: int | None = None, **changes: object) -> str:
        """An ID token for somebody without a login, with `changes` to its claims: for tests of what is done with tokens."""
        session = Session(self.people[email], int(time.time()) if auth_time is None else auth_time)
        return self._token(session, nonce, self.client_id, changes)

    def sign_in(self, email: str, password: str) -> Session | None:
        """A new session for whoever knows the password."""
        person = self.people.get(email.strip().lower())
        if not secrets.compare_digest(password.encode(), (person.password if person else secrets.token_hex(8)).encode()) or person is None:
            return None
        session = Session(person, int(time.time()))
        _keep(self.sessions, session.id, session)
        return session

    def wait_for_login(self, browser: str, request: Request) -> str:
        """The handle under which this browser's request waits for a password."""
        handle = secrets.token_urlsafe(24)
        _keep(self.waiting, handle, (browser, request))
        return handle

    def code(self, request: Request, session: Session) -> str:
        """A fresh code for this request."""
        code = secrets.token_urlsafe(32)
        _keep(self._grants, code, Grant(request, session, time.monotonic() + CODE_SECONDS))
        return code

    def spend(self, code: str) -> Grant | None:
        """What the code stands for; never a second time."""
        grant = self._grants.pop(code, None)
        return grant if grant is not None and time.monotonic() < grant.until else None

    def token_for(self, grant: Grant) -> str:
        """The ID token that the code of this grant is worth."""
        return self._token(grant.session, grant.request.nonce, grant.request.client, {})

    def _token(self, session: Session, nonce: str | None, client: str, changes: Mapping[str, object]) -> str:
        said = tokens.claims(self.issuer, client, session.person, nonce, session.auth_time, session.id)
        other = next(person for email, person in self.people.items() if email != session.person.email)
        return tokens.signed(tokens.bent(said, self.lies, other) | dict(changes), self._keys[0], self.algorithm, self.lies)


def _keep(held: dict[str, _T], key: str, value: _T) -> None:
    held[key] = value
    while len(held) > MAX_KEPT:
        del held[next(iter(held))]
