"""Proof of consent: the ID token of an identity provider, kept in the seal with the key that it verifies under.

1. A proof is two documents, each to the byte: the ID token (JWS in compact form, RFC 7515), and the provider's public key (JWK, RFC 7517).
2. The provider is one that the trust file names; where it lists the provider's keys, the key is one of those (thumbprint by RFC 7638).
   Where it does not, that the key was the provider's rests on the webhook's word. Of the keys that a provider publishes, those count that
   are for signatures, and where the token names a key, those of that name.
3. The token is signed by an algorithm of `ALGORITHMS` (never ``none``, never by a shared secret), issued for one of the provider's clients
   (``aud``; ``azp`` where it stands; OpenID Connect Core 1.0, sections 2 and 3.1.3.7), not before the decision by more than `SKEW`.
4. Who it is: the issuer, and the claim that the trust file names as the subject. An address of mail counts only if the provider verified
   it.
5. ``session``: they signed in at most `SESSION` before they decided; where the token does not say when (``auth_time``), it was issued at
   most so long before. The token says who, and is not bound to what was decided.
6. ``fresh-login``: they signed in at most `FRESH` before they decided, as the token itself says, for this very decision: ``nonce`` is that
   of freeze, rendition and verdict, so that the provider's own signature covers what was consented to. It covers no more: not the
   comment, not the meaning, not what the page around the login said.
7. In which groups they are the token says, where somebody else sent the decision (method ``id-token``); no group counts that it does not
   name.
8. ``passkey``: beside the ID token, of a session at least, stand four more proofs, which are the authenticator's (`passkeys`).
"""

from __future__ import annotations

import hashlib
from base64 import urlsafe_b64decode, urlsafe_b64encode
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Final

from signoff.decision.principals import Resolved
from signoff.decision.seals import NotBelieved
from signoff.record.canonical import Json, b64decode, dumps, loads
from signoff.record.freeze import Assurance, Identity, Principal
from signoff.record.seal import Proof, Seal, Verdict
from signoff.record.trust import IdentityProvider, Trust
from signoff.record.values import Digest, RecordError, parse, parse_time

ASSURANCES: Final[tuple[Assurance, ...]] = ("api-server", "session", "fresh-login", "passkey")
"""From the least that a decision may rest on to the most."""

TOKEN: Final = "application/jwt"  # noqa: S105 - a media type
KEY: Final = "application/jwk+json"
REGISTRATION: Final = "application/vnd.dev.sigstore.bundle.v0.3+json"
CLIENT_DATA: Final = "application/vnd.signoff.webauthn.client-data+json"
AUTHENTICATOR_DATA: Final = "application/vnd.signoff.webauthn.authenticator-data"
SIGNATURE: Final = "application/vnd.signoff.webauthn.signature"
BY_TOKEN: Final = (TOKEN, KEY)
BY_PASSKEY: Final = (*BY_TOKEN, REGISTRATION, CLIENT_DATA, AUTHENTICATOR_DATA, SIGNATURE)
"""What a seal carries, in this order."""

METHOD: Final = "id-token"
ALGORITHMS: Final = ("RS256", "RS384", "RS512", "PS256", "PS384", "PS512", "ES256", "ES384", "ES512", "EdDSA")
SESSION: Final = timedelta(hours=12)
FRESH: Final = timedelta(minutes=5)
SKEW: Final = timedelta(minutes=1)
MAX_TOKEN: Final = 16 * 1024
MAX_KEY: Final = 8 * 1024
MAX_KEYS: Final = 32
MAX_JWKS: Final = 256 * 1024

_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_DOMAIN: Final = "signoff consent/v1"
_PUBLIC: Final = frozenset({"kty", "kid", "alg", "use", "n", "e", "crv", "x", "y"})
"""What is kept of a key: its certificates are not what a token is verified by."""

Keys = Sequence[Mapping[str, Json]]


@dataclass(frozen=True)
class Login:
    """What an ID token says: who, in which groups, when they signed in and when it was issued (aware), and what it was asked for with.

    ``says_when``: whether it says when they signed in; where not, ``signed_in`` is when it was issued. ``until``: when it runs out.
    """

    identity: Identity
    name: str
    groups: tuple[str, ...]
    signed_in: datetime
    issued: datetime
    nonce: str
    says_when: bool
    until: datetime | None


def consent_nonce(freeze: Digest, rendition: Digest, verdict: Verdict) -> str:
    """Return the nonce that a login for this very decision carries (rule 6): base64url(sha256(domain, freeze, rendition, verdict)), by
    0x00.
    """
    said = "\x00".join((_DOMAIN, freeze, rendition, verdict))
    return urlsafe_b64encode(hashlib.sha256(said.encode()).digest()).rstrip(b"=").decode()


def issuer_of(token: str) -> str:
    """Return the issuer that a token names; not believed by that. `NotBelieved` where it is no token."""
    return _text(_claims_unread(token), "iss")


def key_named(token: str) -> str | None:
    """Return the key id (``kid``) in the token's header, not believed; None where there is none."""
    kid = _part(token, 0).get("kid")
    return kid if isinstance(kid, str) else None


def keys_in(jwks: Json, where: str) -> Keys:
    """Return the keys for signatures in a provider's JWK Set (RFC 7517, section 5), `MAX_KEYS` at most; `NotBelieved` where it is none."""
    keys = jwks.get("keys") if isinstance(jwks, Mapping) else None
    if not isinstance(keys, list):
        raise NotBelieved("says something else than its keys", where=where)
    return tuple(one for one in keys if isinstance(one, Mapping) and one.get("use") in (None, "sig"))[:MAX_KEYS]


def keys_named(keys: Keys, named: str | None) -> Keys:
    """Return the keys of a key id; all of them where a token names none."""
    return tuple(one for one in keys if named is None or one.get("kid") == named)


def login_under(token: str, keys: Keys, provider: IdentityProvider, where: str) -> tuple[Login, bytes]:
    """Return what an ID token says, and the one of a provider's keys under which it verifies; `NotBelieved` as `login_of`."""
    wrong: NotBelieved | None = None
    for key in keys_named(keys, key_named(token)):
        public = dumps({name: value for name, value in key.items() if name in _PUBLIC})
        try:
            return login_of(token, public, provider, where), public
        except NotBelieved as error:
            wrong = error
    raise wrong or NotBelieved("the ID token is by a key that the identity provider does not name", where=where, mend="sign in again")


def person_of(login: Login, prefix: str, where: str) -> Resolved:
    """Return whoever signed in, as the API server knows them: their username is the subject behind the provider's prefix."""
    name: Json = {"issuer": login.identity.issuer, "subject": login.identity.subject, "name": login.name}
    username = f"{prefix}{login.identity.subject}"
    return Resolved(parse(Principal, dumps(name), where), "person", METHOD, username, login.groups)


def login_of(token: str, key: bytes, provider: IdentityProvider, where: str = "consent") -> Login:
    """Return what an ID token says, verified under a provider's public key (rules 2 to 4); `NotBelieved` says why it says nothing."""
    claims = _verified(token, key, provider, where)
    if claims.get("iss") != provider.issuer:
        raise NotBelieved(f"the token is by {str(claims.get('iss'))[:200]!r}, not by {provider.issuer}", where=where)
    audience = claims.get("aud")
    audiences = audience if isinstance(audience, list) else [audience]
    party = claims.get("azp")
    if not set(map(str, audiences)) & set(provider.clients) or (party is not None and party not in provider.clients):
        raise NotBelieved("the token was issued for another client", where=where, mend="sign in again")
    if provider.subjectClaim == "email" and claims.get("email_verified") is not True:
        raise NotBelieved("the provider has not verified the address of mail", where=where, mend="have it verified, then sign in again")
    groups = claims.get(provider.groupsClaim) if provider.groupsClaim is not None else None
    listed = groups if isinstance(groups, list) else []
    issued = _moment(claims, "iat", where)
    nonce, subject = claims.get("nonce"), _text(claims, provider.subjectClaim)
    name = claims.get("name")
    try:
        identity = Identity(issuer=provider.issuer, subject=subject)
    except ValueError:
        raise NotBelieved(f"the subject {subject[:200]!r} cannot be written into a record", where=where) from None
    return Login(
        identity=identity,
        name=name if isinstance(name, str) and name else subject,
        groups=tuple(f"{provider.groupsPrefix or ''}{one}" for one in listed if isinstance(one, str)),
        signed_in=_moment(claims, "auth_time", where) if "auth_time" in claims else issued,
        issued=issued,
        nonce=nonce if isinstance(nonce, str) else "",
        says_when="auth_time" in claims,
        until=_moment(claims, "exp", where) if "exp" in claims else None,
    )


def assurance_of(login: Login, nonce: str, at: datetime) -> Assurance:
    """Return how far a login proves a decision of a moment (aware); `NotBelieved` where it proves nothing (rules 3, 5 and 6)."""
    if login.issued > at + SKEW or login.signed_in > at + SKEW:
        raise NotBelieved("the token is from after the decision", where="consent", mend="set the clocks right, and sign in again")
    if login.nonce == nonce:
        if not login.says_when:
            raise NotBelieved("the token does not say when you signed in", where="consent", mend="have the provider put auth_time into it")
        if at - login.signed_in > FRESH:
            raise NotBelieved(
                f"you signed in more than {FRESH.seconds // 60} minutes before this decision", where="consent", mend="sign in again"
            )
        return "fresh-login"
    if at - login.signed_in > SESSION:
        raise NotBelieved(f"you signed in more than {SESSION.seconds // 3600} hours ago", where="consent", mend="sign in again")
    return "session"


def suffices(assurance: Assurance, asked: Assurance) -> bool:
    """Whether a decision that rests on one level may stand where another is asked for."""
    return ASSURANCES.index(assurance) >= ASSURANCES.index(asked)


def believe_consent(seal: Seal, trust: Trust, where: str) -> None:
    """Return where the seal's ID token proves what the seal rests on; `NotBelieved` says why not. A passkey `passkeys` judges (rule 8)."""
    decided = seal.decided
    consent = decided.consent
    if consent.assurance == "api-server":
        if consent.proofs or decided.method == METHOD:
            raise NotBelieved("rests on the API server's word, and carries a proof", where=where)
        return
    by_passkey = consent.assurance == "passkey"
    token, key = _documents(consent.proofs, BY_PASSKEY if by_passkey else BY_TOKEN, where)
    provider = trust.provider(issuer_of(token))
    if provider is None:
        raise NotBelieved("rests on an identity provider that the trust file does not name", where=where)
    login = login_of(token, key, provider, where)
    if not login.identity.is_same(decided.principal):
        raise NotBelieved(f"the ID token is of {login.identity.subject}, and the seal of {decided.principal.subject}", where=where)
    nonce = consent_nonce(seal.freeze, seal.rendition, decided.verdict)
    if assurance_of(login, nonce, parse_time(decided.time)) != consent.assurance and not by_passkey:
        raise NotBelieved(f"the ID token does not prove a {consent.assurance}", where=where)
    if decided.method == METHOD and not decided.delegation and not set(decided.groups) <= set(login.groups):
        raise NotBelieved("bears a group that the ID token does not name", where=where)


def _documents(proofs: tuple[Proof, ...], kinds: tuple[str, ...], where: str) -> tuple[str, bytes]:
    """Return the ID token among a seal's proofs, and the key that it verifies under."""
    if tuple(one.mediaType for one in proofs) != kinds:
        raise NotBelieved(f"carries other proofs than {', '.join(kinds)}", where=where)
    token, key = (b64decode(one.content, where) for one in proofs[:2])
    if len(token) > MAX_TOKEN or len(key) > MAX_KEY:
        raise NotBelieved("carries a larger proof than is read", where=where)
    try:
        return token.decode("ascii"), key
    except UnicodeDecodeError:
        raise NotBelieved("carries what is no ID token", where=where) from None


def _verified(token: str, key: bytes, provider: IdentityProvider, where: str) -> Mapping[str, Json]:
    """Return the claims of a token whose signature verifies (rules 2 and 3)."""
    from joserfc import jws  # noqa: PLC0415 - what needs no proof does without, in time and memory
    from joserfc.errors import JoseError  # noqa: PLC0415
    from joserfc.jwk import ECKey, OKPKey, RSAKey  # noqa: PLC0415

    public = loads(key, where, limit=MAX_KEY)
    if not isinstance(public, Mapping) or not all(isinstance(value, str | list) for value in public.values()):
        raise NotBelieved("carries no public key of the provider", where=where)
    kinds = {"RSA": RSAKey, "EC": ECKey, "OKP": OKPKey}
    kind = kinds.get(str(public.get("kty")))
    if kind is None or "d" in public:
        raise NotBelieved("carries no public key of the provider", where=where)
    try:
        read = kind.import_key(dict(public))  # type: ignore[attr-defined]
        told = jws.deserialize_compact(token, read, algorithms=list(ALGORITHMS))
    except (JoseError, ValueError, TypeError) as error:
        raise NotBelieved(f"the ID token does not verify: {type(error).__name__}", where=where, mend="sign in again") from None
    thumbprint = "sha256:" + urlsafe_b64decode(read.thumbprint() + "=").hex()
    if provider.keys is not None and thumbprint not in provider.keys:
        raise NotBelieved(f"the ID token is by the key {thumbprint}, which the trust file does not list", where=where)
    claims = loads(bytes(told.payload), where, limit=MAX_TOKEN)
    if not isinstance(claims, Mapping):
        raise NotBelieved("the ID token says nothing", where=where)
    return claims


def _claims_unread(token: str) -> Mapping[str, Json]:
    return _part(token, 1)


def _part(token: str, number: int) -> Mapping[str, Json]:
    parts = token.split(".")
    if len(token) > MAX_TOKEN or len(parts) != 3:
        raise NotBelieved("is no ID token", where="consent", mend="sign in again")
    try:
        data = urlsafe_b64decode(parts[number] + "=" * (-len(parts[number]) % 4))
        value = loads(data, "consent", limit=MAX_TOKEN)
    except (ValueError, RecordError):
        raise NotBelieved("is no ID token", where="consent", mend="sign in again") from None
    if not isinstance(value, Mapping):
        raise NotBelieved("is no ID token", where="consent", mend="sign in again")
    return value


def _text(claims: Mapping[str, Json], name: str) -> str:
    value = claims.get(name)
    if not isinstance(value, str) or not value:
        raise NotBelieved(f"the ID token has no {name}", where="consent")
    return value


def _moment(claims: Mapping[str, Json], name: str, where: str) -> datetime:
    value = claims.get(name)
    if not isinstance(value, int | float) or isinstance(value, bool) or not 0 < value < 2**33:
        raise NotBelieved(f"the ID token has no {name}", where=where)
    return _EPOCH + timedelta(seconds=int(value))
