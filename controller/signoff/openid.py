"""Signing in at an identity provider, as its client: OpenID Connect, authorization code with PKCE (RFC 7636), by Authlib's client.

1. The provider's addresses come from its discovery document (OpenID Connect Discovery 1.0), which must be of the configured issuer.
2. Where the answer names an issuer (RFC 9207), it must be ours; and it names one where the discovery document says that answers do.
3. The ID token is verified as the seal's door verifies it (`decision.consent`), under the keys that the provider names now; its nonce is
   the one that was asked for, and its time has begun and has not run out.
4. A login for one decision asks the provider to authenticate anew (``prompt=login``, ``max_age=0``), with the decision's own nonce. Whoever
   signed in before it was asked for did not sign in anew.
5. Any other sign-in asks for a login of the last hours (``max_age``), so that what is decided by it does not soon rest on too old a one.
   Since an age was asked for, the token says when they signed in (``auth_time``; OpenID Connect Core 1.0, section 3.1.2.1).
6. A client without a secret is a public one (RFC 8252, section 8.4): that a code is worth something to nobody else rests on PKCE.
"""

from __future__ import annotations

import re
import ssl
import time
import warnings
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Final

import httpx
from authlib.deprecate import AuthlibDeprecationWarning

from signoff.decision.consent import MAX_JWKS, SESSION, SKEW, Keys, Login, keys_in, login_under
from signoff.errors import SignoffError
from signoff.record.canonical import Json, loads
from signoff.record.trust import IdentityProvider

with warnings.catch_warnings():  # that it would rather have another library beneath it is no concern of whoever signs in
    warnings.simplefilter("ignore", AuthlibDeprecationWarning)
    from authlib.integrations.httpx_client import OAuth2Client

FRESH: Final = 300.0
OLDEST: Final = SESSION / 2
CLOCKS: Final = timedelta(seconds=10)
"""How far the provider's clock may be behind ours."""
_AGAIN: Final = "sign in again"
_ADDRESS: Final = re.compile(r"https://[!-~]{1,1000}")


class CannotSignIn(SignoffError):
    """The sign-in came to nothing."""


class ProviderAway(CannotSignIn):
    """The identity provider does not answer; safe to try again."""


@dataclass(frozen=True)
class Asked:
    """A sign-in that was asked for: where browsers are led back to, and what proves that its end belongs to its beginning; ``fresh`` says
    whether it is for one decision.
    """

    back: str
    verifier: str
    nonce: str
    fresh: bool


@dataclass
class Client:
    """The client of one identity provider. ``ca`` is a file with the CA of the provider's certificate, if that is no public one."""

    provider: IdentityProvider
    id: str
    secret: str | None
    ca: str | None = None
    _discovered: Mapping[str, Json] | None = None
    _asked_at: float = 0.0
    _context: ssl.SSLContext = field(init=False)

    def __post_init__(self) -> None:
        try:
            self._context = ssl.create_default_context(cafile=self.ca)
        except OSError as error:  # ssl.SSLError is one
            what = f"no certificates can be read there: {error.strerror or error}"
            raise SignoffError(what, where=str(self.ca), mend="name a file with the CA of the identity provider, PEM") from None

    def address(self, asked: Asked, state: str) -> str:
        """Return the provider's address at which this sign-in goes on (rules 4 and 5)."""
        more = {"prompt": "login", "max_age": "0"} if asked.fresh else {"max_age": str(int(OLDEST.total_seconds()))}
        with self._client(asked) as client:
            address, _ = client.create_authorization_url(
                self._endpoint("authorization_endpoint"), state=state, code_verifier=asked.verifier, nonce=asked.nonce, **more
            )
        return str(address)

    def end(self, asked: Asked, code: str, issuer: str | None, now: datetime) -> tuple[Login, str]:
        """Return what the ID token says for which a code was exchanged, and the token (rules 2, 3 and 5); `CannotSignIn` says why there is
        none. ``issuer`` is whom the answer named.
        """
        try:
            return self._ended(asked, code, issuer, now)
        except CannotSignIn:
            raise
        except SignoffError as error:
            raise cannot(error) from None

    def _ended(self, asked: Asked, code: str, issuer: str | None, now: datetime) -> tuple[Login, str]:
        named = issuer if issuer is not None or self._names_issuer() else self.provider.issuer
        if named != self.provider.issuer:
            what = (
                f"the answer is of another identity provider, {named!r}" if named is not None else "the answer names no identity provider"
            )
            raise CannotSignIn(what, where="sign-in", mend=_AGAIN)
        endpoint = self._endpoint("token_endpoint")
        try:
            with self._client(asked) as client:
                given = client.fetch_token(endpoint, code=code, code_verifier=asked.verifier)
        except httpx.HTTPError as error:
            raise self._away(error) from None
        except Exception as error:  # noqa: BLE001 - Authlib raises errors of many families; each of them is a sign-in that failed
            raise CannotSignIn(f"the identity provider gave no token ({type(error).__name__})", where="sign-in", mend=_AGAIN) from None
        token = given.get("id_token")
        if not isinstance(token, str):
            raise CannotSignIn("the identity provider gave no ID token", where="sign-in", mend="ask whoever runs it")
        login, _ = login_under(token, self._keys(), self.provider, "sign-in")
        if login.nonce != asked.nonce:
            raise CannotSignIn("the ID token is of another sign-in", where="sign-in", mend=_AGAIN)
        _require_time(login, asked, now)
        return login, token

    def _keys(self) -> Keys:
        return keys_in(self._get(self._endpoint("jwks_uri")), f"identity provider {self.provider.issuer}")

    def _client(self, asked: Asked) -> OAuth2Client:
        return OAuth2Client(
            self.id,
            self.secret,
            token_endpoint_auth_method="none" if self.secret is None else None,  # rule 6
            scope="openid profile email",
            redirect_uri=asked.back,
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

    def _endpoint(self, name: str) -> str:
        address = self._document().get(name)
        if not isinstance(address, str) or not _ADDRESS.fullmatch(address):
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


def cannot(error: SignoffError) -> CannotSignIn:
    """Return what an error means for whoever signs in."""
    return CannotSignIn(error.what, error.where, error.mend or _AGAIN)


def was_anew(login: Login, begun: datetime) -> bool:
    """Whether somebody signed in after they were asked to (rule 4), as far as clocks agree; ``begun`` is aware."""
    return login.signed_in >= begun - CLOCKS


def _require_time(login: Login, asked: Asked, now: datetime) -> None:
    """Raise unless a login is of now, and not older than was asked for (rules 3 and 5). `was_anew` asks more."""
    if login.until is None or now > login.until + SKEW:
        raise CannotSignIn("the ID token has run out", where="sign-in", mend=_AGAIN)
    if login.issued > now + SKEW:
        raise CannotSignIn("the ID token is from after now", where="sign-in", mend="have the clocks set right")
    if not login.says_when:
        mend = "have whoever runs it put auth_time into its ID tokens"
        raise CannotSignIn("the identity provider does not say when you signed in", where="sign-in", mend=mend)
    if not asked.fresh and now - login.signed_in > OLDEST + SKEW:
        what = f"you signed in there more than {int(OLDEST.total_seconds()) // 3600} hours ago, and it did not ask you anew"
        raise CannotSignIn(what, where="sign-in", mend="sign out there, then sign in again")
