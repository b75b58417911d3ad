"""What a request is worked on with: the portal's parts, the browser's session, who is signed in; and what ends it with a page."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Annotated, Final
from urllib.parse import urlsplit

from fastapi import Depends, Path, Request

from signoff.decision.consent import SESSION
from signoff.portal import pages
from signoff.portal.cluster import Cluster
from signoff.portal.desks import Desks
from signoff.portal.looking import Looking
from signoff.portal.past import Past
from signoff.portal.sessions import Session, Sessions, SignedIn
from signoff.portal.signing_in import SigningIn

SAFE: Final = "Nothing was decided, and it is safe to try again."
Label = Annotated[str, Path(pattern=r"^[a-z0-9]([-.a-z0-9]{0,251}[a-z0-9])?$")]


@dataclass(frozen=True)
class Portal:
    """What the application works with. ``home`` is its own address, without a slash at its end."""

    cluster_name: str
    home: str
    cluster: Cluster
    desks: Desks
    past: Past
    signing_in: SigningIn
    sessions: Sessions
    looking: Looking
    now: Callable[[], datetime] = lambda: datetime.now(UTC)

    @property
    def relying_party(self) -> str:
        """The host for which passkeys are registered here."""
        return urlsplit(self.home).hostname or ""


@dataclass
class Visit:
    """One request: at which portal, in which session. The session is another one after signing in."""

    portal: Portal
    session: Session

    @property
    def frame(self) -> pages.Frame:
        """What every page of this visit shows around its own content."""
        return pages.Frame(self.portal.cluster_name, self.session)


class Refused(Exception):
    """A request that is answered with a page of its own: what did not come about, and where to go on."""

    def __init__(self, status: int, title: str, what: str, back: tuple[str, str] = ("/", "Back to your queue")) -> None:
        super().__init__(title)
        self.status, self.title, self.what, self.back = status, title, what, back


class NotSignedIn(Exception):
    """A request that only somebody who is signed in may make."""


def visit_of(request: Request) -> Visit:
    """Return the visit that a request is part of, as the guard began it."""
    visit: Visit = request.state.visit
    return visit


def _signed_in(request: Request) -> SignedIn:
    """Return who is signed in. Once their login proves no session any more (`decision.consent`, rule 5), nobody is."""
    visit = visit_of(request)
    person = visit.session.person
    if person is None or visit.portal.now() - person.login.signed_in > SESSION:
        raise NotSignedIn
    return person


Person = Annotated[SignedIn, Depends(_signed_in)]
