"""Signing in with the identity provider: OpenID Connect, authorization code with PKCE (RFC 7636), by Authlib's client.

1. The provider's addresses come from its discovery document (OpenID Connect Discovery 1.0), which must be of the configured issuer.
2. ``state`` belongs to one sign-in of one browser, and serves once. Where the answer names an issuer (RFC 9207), it must be ours; and it
   names one where the discovery document says that answers do.
3. The ID token is verified as the seal's door verifies it (`decision.consent`), under the keys that the provider names now; its nonce is
   the one that was asked for, and its time has begun and has not run out.
4. A login for one decision asks the provider to authenticate anew (``prompt=login``, ``max_age=0``), with the decision's own nonce.
5. Any other sign-in asks for a login of the last hours (``max_age``), so that what is decided by it does not soon rest on too old a one.
   Since an age was asked for, the token says when they signed in (``auth_time``; OpenID Connect Core 1.0, section 3.1.2.1).
"""

from __future__ import annotations

import ssl
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Final

import httpx
from authlib.integrations.httpx_client import OAuth2Client

from signoff.config import PortalProvider
from signoff.decision.consent import MAX_JWKS, SESSION, SKEW, Keys, Login, keys_in, login_under, person_of
from signoff.errors import SignoffError
from signoff.portal.sessions import Flow, Session, SignedIn
from signoff.record.canonical import Json, loads
from signoff.record.trust import IdentityProvider

FRESH: Final = 300.0
OLDEST: Final = SESSION / 2
_AGAIN: Final = "sign in again"


class CannotSignIn(SignoffError):
    """The sign-in came to nothing."""


class ProviderAway(CannotSignIn):
    """The identity provider does not answer; safe to try again."""


@dataclass
class SigningIn:
    """The client of one identity provider. ``home`` is the portal's own address, without a slash at its end."""

    settings: PortalProvider
    provider: IdentityProvider
    secret: str
    home: str
    _discovered: Mapping[str, Json] | None = None
    _asked_at: float = 0.0
    _context: ssl.SSLContext = field(init=False)

    def __post_init__(self) -> None:
        self._context = ssl.create_default_context(cafile=self.settings.ca)

    def begin(self, session: Session, flow: Flow) -> str:
        """Return the provider's address at which this sign-in goes on."""
        more = {"prompt": "login", "max_age": "0"} if flow.pending is not None else {"max_age": str(int(OLDEST.total_seconds()))}
        with self._client() as client:
            address, _ = client.create_authorization_url(
                self._address("authorization_endpoint"),
                state=session.begin(flow),
                code_verifier=flow.verifier,
                nonce=flow.nonce,
                **more,
            )
        return str(address)

    def end(self, flow: Flow, code: str, issuer: str | None, now: datetime) -> SignedIn:
        """Return who signed in, of the code that the provider sent back (rules 2, 3 and 5); `CannotSignIn` says why nobody did."""
        try:
            return self._ended(flow, code, issuer, now)
        except CannotSignIn:
            raise
        except SignoffError as error:
            raise CannotSignIn(error.what, error.where, error.mend or _AGAIN) from None

    def _ended(self, flow: Flow, code: str, issuer: str | None, now: datetime) -> SignedIn:
        named = issuer if issuer is not None or self._names_issuer() else self.provider.issuer
        if named != self.provider.issuer:
            what = (
                f"the answer is of another identity provider, {named!r}" if named is not None else "the answer names no identity provider"
            )
            raise CannotSignIn(what, where="sign-in", mend=_AGAIN)
        try:
            with self._client() as client:
                given = client.fetch_token(self._address("token_endpoint"), code=code, code_verifier=flow.verifier)
        except httpx.HTTPError as error:
            raise self._away(error) from None
        except Exception as error:  # noqa: BLE001 - Authlib raises errors of many families; each of them is a sign-in that failed
            raise CannotSignIn(f"the identity provider gave no token ({type(error).__name__})", where="sign-in", mend=_AGAIN) from None
        token = given.get("id_token")
        if not isinstance(token, str):
            raise CannotSignIn("the identity provider gave no ID token", where="sign-in", mend="ask whoever runs it")
        login, _ = login_under(token, self._keys(), self.provider, "sign-in")
        if login.nonce != flow.nonce:
            raise CannotSignIn("the ID token is of another sign-in", where="sign-in", mend=_AGAIN)
        _require_time(login, flow, now)
        return SignedIn(person_of(login, self.settings.usernamePrefix, "sign-in"), login, token)

    def _keys(self) -> Keys:
        return keys_in(self._get(self._address("jwks_uri")), f"identity provider {self.provider.issuer}")

    def _client(self) -> OAuth2Client:
        return OAuth2Client(
            self.settings.clientId,
            self.secret,
            scope="openid profile email",
            redirect_uri=f"{self.home}/callback",
            code_challenge_method="S256",
            verify=self._context,
            timeout=10,
            trust_env=False,
        )

    def _names_issuer(self) -> bool:
        return self._document().get("authorization_response_iss_parameter_supported") is True

    def _document(self) -> Mapping[str, Json]:
        now = time.monotonic()
        if self._discovered is None or now - self._asked_at > FRESH:
            found = self._get(f"{self.provider.issuer}/.well-known/openid-configuration")
            if found.get("issuer") != self.provider.issuer:
                raise CannotSignIn(
                    "the discovery document is of another issuer", where=self.provider.issuer, mend="ask whoever runs signoff"
                )
            self._discovered, self._asked_at = found, now
        return self._discovered

    def _address(self, name: str) -> str:
        address = self._document().get(name)
        if not isinstance(address, str) or not address.startswith("https://"):
            raise CannotSignIn(f"the discovery document has no {name}", where=self.provider.issuer, mend="ask whoever runs it")
        return address

    def _get(self, address: str) -> Mapping[str, Json]:
        try:
            answer = httpx.get(address, verify=self._context, timeout=10, follow_redirects=False, trust_env=False)
            answer.raise_for_status()
        except (httpx.HTTPError, OSError) as error:
            raise self._away(error) from None
        value = loads(answer.content, address, limit=MAX_JWKS)
        return value if isinstance(value, Mapping) else {}

    def _away(self, error: Exception) -> ProviderAway:
        return ProviderAway(f"the identity provider does not answer ({type(error).__name__})", where=self.provider.issuer)


def _require_time(login: Login, flow: Flow, now: datetime) -> None:
    """Raise unless a login is of now, and not older than was asked for (rules 3 and 5). `deciding` asks more."""
    if login.until is None or now > login.until + SKEW:
        raise CannotSignIn("the ID token has run out", where="sign-in", mend=_AGAIN)
    if login.issued > now + SKEW:
        raise CannotSignIn("the ID token is from after now", where="sign-in", mend="have the clocks set right")
    if not login.says_when:
        mend = "have whoever runs it put auth_time into its ID tokens"
        raise CannotSignIn("the identity provider does not say when you signed in", where="sign-in", mend=mend)
    if flow.pending is None and now - login.signed_in > OLDEST + SKEW:
        what = f"you signed in there more than {int(OLDEST.total_seconds()) // 3600} hours ago, and it did not ask you anew"
        raise CannotSignIn(what, where="sign-in", mend="sign out there, then sign in again")
