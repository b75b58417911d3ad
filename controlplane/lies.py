"""ID tokens as a provider signs them, and as one would that lies: each `Lie` breaks one thing, and nothing else, of an honest answer."""

from __future__ import annotations

import base64
import enum
import hashlib
import hmac
import json
import secrets
import time
from typing import TYPE_CHECKING, Any, Final

from joserfc import jwt
from joserfc.jwk import ECKey, RSAKey

if TYPE_CHECKING:
    from collections.abc import Mapping

    from controlplane.people import Person

VALID_SECONDS: Final = 300
LONG_AGO_SECONDS: Final = 24 * 3600
ELSEWHERE: Final = "https://elsewhere.example/bank"
_RSA_BITS: Final = 2048

Key = ECKey | RSAKey


class Lie(enum.Enum):
    """What a hostile or broken provider may do; the value says it in words."""

    WRONG_NONCE = "the nonce of somebody else's request"
    NO_NONCE = "no nonce, though one was asked for"
    WRONG_ISSUER = "another issuer's name in the token"
    WRONG_AUDIENCE = "a token for another client"
    UNSIGNED = "alg: none"
    FOREIGN_KEY = "signed by another key under the published key's id"
    UNKNOWN_KEY = "signed by a key that is not published"
    SHARED_SECRET = "an HMAC whose secret is the published key"  # noqa: S105 - a lie in words
    EXPIRED = "valid until ten minutes ago"
    NOT_YET = "issued an hour from now"
    STALE_LOGIN = "a login of yesterday, though a fresh one was asked for"
    NO_LOGIN_TIME = "no auth_time"
    ANOTHER_PERSON = "a token for another person than the one who signed in"
    UNVERIFIED_EMAIL = "an e-mail address that nobody verified"
    UNASKED = "no login form: whoever has a session gets a code, whatever prompt and max_age say"
    MIXED_UP = "another issuer's name beside the code (RFC 9207)"
    SILENT_ISSUER = "no issuer beside the code, though the discovery document promises one"


def new_key(algorithm: str) -> Key:
    """A fresh signing key for ES256 or RS256, with its thumbprint as its id."""
    if algorithm == "ES256":
        return ECKey.generate_key("P-256", auto_kid=True)
    if algorithm == "RS256":
        return RSAKey.generate_key(_RSA_BITS, auto_kid=True)
    raise ValueError(f"{algorithm!r}: the provider signs by ES256 or RS256")


def claims(issuer: str, audience: str, person: Person, nonce: str | None, auth_time: int, session: str) -> dict[str, Any]:
    """What an honest ID token says of somebody who signed in at `auth_time`."""
    now = int(time.time())
    said: dict[str, Any] = {
        "iss": issuer,
        "sub": person.subject,
        "aud": audience,
        "azp": audience,
        "iat": now,
        "exp": now + VALID_SECONDS,
        "auth_time": auth_time,
        "jti": secrets.token_hex(8),
        "sid": session,
        "email": person.email,
        "email_verified": True,
        "name": person.name,
        "preferred_username": person.email,
        "groups": list(person.groups),
    }
    return said if nonce is None else said | {"nonce": nonce}


def bent(said: Mapping[str, Any], lies: frozenset[Lie], other: Person) -> dict[str, Any]:
    """The claims with what these lies change in them; `other` is whom the token names instead."""
    now = int(said["iat"])
    changes: dict[Lie, dict[str, Any]] = {
        Lie.WRONG_NONCE: {"nonce": secrets.token_urlsafe(32)},
        Lie.WRONG_ISSUER: {"iss": ELSEWHERE},
        Lie.WRONG_AUDIENCE: {"aud": "another-client", "azp": "another-client"},
        Lie.EXPIRED: {"iat": now - VALID_SECONDS - 600, "exp": now - 600},
        Lie.NOT_YET: {"iat": now + 3600, "exp": now + 3600 + VALID_SECONDS, "nbf": now + 3600},
        Lie.STALE_LOGIN: {"auth_time": now - LONG_AGO_SECONDS},
        Lie.ANOTHER_PERSON: {"sub": other.subject, "email": other.email, "preferred_username": other.email, "name": other.name}
        | {"groups": list(other.groups)},
        Lie.UNVERIFIED_EMAIL: {"email_verified": False},
    }
    told = dict(said)
    for lie in lies:
        told |= changes.get(lie, {})
    gone = {Lie.NO_NONCE: "nonce", Lie.NO_LOGIN_TIME: "auth_time"}
    return {name: value for name, value in told.items() if name not in {gone.get(lie) for lie in lies}}


def signed(said: Mapping[str, Any], key: Key, algorithm: str, lies: frozenset[Lie]) -> str:
    """The token, signed by `key`, or as these lies have it."""
    header: dict[str, Any] = {"alg": algorithm, "kid": key.kid, "typ": "JWT"}
    if Lie.UNSIGNED in lies:
        return f"{_by_hand(header | {'alg': 'none'}, said)}."
    if Lie.SHARED_SECRET in lies:
        text = _by_hand(header | {"alg": "HS256"}, said)
        return f"{text}.{_base64(hmac.digest(key.as_pem(private=False), text.encode(), hashlib.sha256))}"
    if Lie.UNKNOWN_KEY in lies:
        key = new_key(algorithm)
        header["kid"] = key.kid
    if Lie.FOREIGN_KEY in lies:
        key = new_key(algorithm)
    return jwt.encode(header, dict(said), key, algorithms=[algorithm])


def _by_hand(header: Mapping[str, Any], said: Mapping[str, Any]) -> str:
    """Header and claims as text: what no library would sign, for good reasons."""
    return ".".join(_base64(json.dumps(part, separators=(",", ":")).encode()) for part in (header, said))


def _base64(content: bytes) -> str:
    return base64.urlsafe_b64encode(content).rstrip(b"=").decode()
