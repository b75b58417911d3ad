"""Signing in to the portal with the identity provider (`signoff.openid`).

``state`` belongs to one sign-in of one browser, and serves once.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime

from signoff.config import PortalProvider
from signoff.decision.consent import person_of
from signoff.errors import SignoffError
from signoff.openid import Asked, Client, cannot
from signoff.portal.sessions import Flow, Session, SignedIn
from signoff.record.trust import IdentityProvider


@dataclass
class SigningIn:
    """The portal as the client of one identity provider. ``home`` is the portal's own address, without a slash at its end."""

    settings: PortalProvider
    provider: IdentityProvider
    secret: str
    home: str
    client: Client = field(init=False)

    def __post_init__(self) -> None:
        self.client = Client(self.provider, self.settings.clientId, self.secret, self.settings.ca)

    def begin(self, session: Session, flow: Flow) -> str:
        """Return the provider's address at which this sign-in goes on."""
        return self.client.address(self._asked(flow), session.begin(flow))

    def end(self, flow: Flow, code: str, issuer: str | None, now: datetime) -> SignedIn:
        """Return who signed in, of the code that the provider sent back; `CannotSignIn` says why nobody did."""
        login, token = self.client.end(self._asked(flow), code, issuer, now)
        try:
            return SignedIn(person_of(login, self.settings.usernamePrefix, "sign-in"), login, token)
        except SignoffError as error:
            raise cannot(error) from None

    def _asked(self, flow: Flow) -> Asked:
        return Asked(f"{self.home}/callback", flow.verifier, flow.nonce, fresh=flow.pending is not None)
