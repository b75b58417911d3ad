"""Signing in with the identity provider: OpenID Connect, authorization code with PKCE (RFC 7636), by Authlib's client.

1. The provider's addresses come from its discovery document (OpenID Connect Discovery 1.0), which must be of the configured issuer.
2. ``state`` belongs to one sign-in of one browser, and serves once. Where the answer names an issuer (RFC 9207), it must be ours.
3. The ID token is verified as the seal's door verifies it (`decision.consent`), under the keys that the provider names now; its nonce is
   the one that was asked for, and its time has not run out.
4. A login for one decision asks the provider to authenticate anew (``prompt=login``, ``max_age=0``), with the decision's own nonce.
"""

from __future__ import annotations

import ssl
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final

import httpx
from authlib.integrations.httpx_client import OAuth2Client

from signoff.config import PortalProvider
from signoff.decision.consent import METHOD, Login, key_named, login_of
from signoff.decision.principals import Resolved
from signoff.decision.seals import NotBelieved
from signoff.errors import SignoffError
from signoff.portal.sessions import Flow, Session, SignedIn
from signoff.record.canonical import Json, dumps, loads
from signoff.record.freeze import Principal
from signoff.record.trust import IdentityProvider
from signoff.record.values import parse

FRESH: Final = 300.0
_PUBLIC: Final = frozenset({"kty", "kid", "alg", "use", "n", "e", "crv", "x", "y"})
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
        more = {"prompt": "login", "max_age": "0"} if flow.pending is not None else {}
        with self._client() as client:
            address, _ = client.create_authorization_url(
                self._address("authorization_endpoint"),
                state=session.begin(flow),
                code_verifier=flow.verifier,
                nonce=flow.nonce,
                **more,
            )
        return str(address)

    def end(self, flow: Flow, code: str, issuer: str | None) -> SignedIn:
        """Return who signed in, of the code that the provider sent back (rules 2 and 3)."""
        if issuer is not None and issuer != self.provider.issuer:
            raise CannotSignIn("the answer is of another identity provider", where="sign-in", mend=_AGAIN)
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
        login = self._verified(token)
        if login.nonce != flow.nonce:
            raise CannotSignIn("the ID token is of another sign-in", where="sign-in", mend=_AGAIN)
        return SignedIn(self._resolved(login), login, token)

    def _verified(self, token: str) -> Login:
        wrong: NotBelieved | None = None
        for key in self._keys(key_named(token)):
            try:
                return login_of(token, dumps({name: value for name, value in key.items() if name in _PUBLIC}), self.provider, "sign-in")
            except NotBelieved as error:
                wrong = error
        raise wrong or CannotSignIn("the ID token is by a key that the identity provider does not name", where="sign-in", mend=_AGAIN)

    def _keys(self, named: str | None) -> list[Mapping[str, Json]]:
        found = self._get(self._address("jwks_uri")).get("keys")
        keys = [one for one in found if isinstance(one, Mapping)] if isinstance(found, list) else []
        return [one for one in keys if named is None or one.get("kid") == named]

    def _resolved(self, login: Login) -> Resolved:
        name: Json = {"issuer": login.identity.issuer, "subject": login.identity.subject, "name": login.name}
        username = f"{self.settings.usernamePrefix}{login.identity.subject}"
        return Resolved(parse(Principal, dumps(name), "sign-in"), "person", METHOD, username, login.groups)

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

    def _address(self, name: str) -> str:
        now = time.monotonic()
        if self._discovered is None or now - self._asked_at > FRESH:
            found = self._get(f"{self.provider.issuer}/.well-known/openid-configuration")
            if found.get("issuer") != self.provider.issuer:
                raise CannotSignIn(
                    "the discovery document is of another issuer", where=self.provider.issuer, mend="ask whoever runs signoff"
                )
            self._discovered, self._asked_at = found, now
        address = self._discovered.get(name)
        if not isinstance(address, str) or not address.startswith("https://"):
            raise CannotSignIn(f"the discovery document has no {name}", where=self.provider.issuer, mend="ask whoever runs it")
        return address

    def _get(self, address: str) -> Mapping[str, Json]:
        try:
            answer = httpx.get(address, verify=self._context, timeout=10, follow_redirects=False, trust_env=False)
            answer.raise_for_status()
        except (httpx.HTTPError, OSError) as error:
            raise self._away(error) from None
        value = loads(answer.content, address, limit=256 * 1024)
        return value if isinstance(value, Mapping) else {}

    def _away(self, error: Exception) -> ProviderAway:
        what = f"the identity provider does not answer ({type(error).__name__}); nothing was decided"
        return ProviderAway(what, where=self.provider.issuer, mend="it is safe to try again")
