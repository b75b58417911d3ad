"""Who decides, at the door: whoever sent the decision, or whoever's ID token a portal brings along; and how far that proves consent.

1. A decision without an ID token is its sender's, and rests on the API server's word. A portal decides nothing by itself.
2. An ID token is verified under the provider's keys, fetched from where configuration says and kept for a few minutes; a key that is not
   among them is asked for once more, and not more often than every few seconds.
3. Of a decision that a person sends the token must be of the same person. Of one that a portal sends it alone says who decides, and in
   which groups; Kubernetes is asked about that person, and the portal's own rights count for nothing.
4. What the route asks for must be proven; what proves more is kept as it is.
5. The provider out of reach: nothing is decided, and it is safe to press again.
6. What a passkey gave stands beside the ID token. It counts only with the registration, which is asked of cluster and archive at this press
   (`webhook.passkeys`).
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from threading import Lock
from typing import Annotated, Final

from pydantic import Field, StringConstraints

from signoff.config import IdentityProviderSettings
from signoff.decision.consent import (
    BY_PASSKEY,
    BY_TOKEN,
    MAX_JWKS,
    Keys,
    Login,
    assurance_of,
    consent_nonce,
    issuer_of,
    key_named,
    keys_in,
    keys_named,
    login_under,
    person_of,
    suffices,
)
from signoff.decision.passkeys import Assertion, challenge_of, require_assertion, require_owner
from signoff.decision.principals import Resolved
from signoff.decision.seals import NotBelieved
from signoff.errors import SignoffError
from signoff.record.canonical import Json, b64decode, b64encode, loads
from signoff.record.freeze import Assurance, Freeze, Identity
from signoff.record.seal import Passkey, Verdict
from signoff.record.trust import Trust
from signoff.record.values import Base64, Closed, Digest, ObjectName, RecordError, format_time

FRESH: Final = 300.0
ASKED_AGAIN: Final = 5.0
_SAFE: Final = "nothing was decided; it is safe to press again"
_WHERE: Final = "spec.consent.idToken"
_PASSKEY: Final = "spec.consent.passkey"
_MENDS: Final[Mapping[str, str]] = {
    "session": "sign in: decide in the portal, or with kubectl signoff approve",
    "fresh-login": "sign in anew for this very decision: in the portal, or with kubectl signoff approve",
    "passkey": "use your passkey for this very decision: in the portal, for kubectl has no way to ask for it",
}


class Unproven(SignoffError):
    """What the decision rests on does not prove what the route asks for."""


class OutOfReach(SignoffError):
    """The identity provider does not say which keys are its own; safe to try again."""


class TokenSpec(Closed):
    """The ID token of whoever decides, or registers a passkey."""

    idToken: Annotated[str, StringConstraints(max_length=16 * 1024, pattern=r"^[A-Za-z0-9_-]+[.][A-Za-z0-9_-]+[.][A-Za-z0-9_-]*$")]


class AssertionSpec(Closed):
    """What a passkey gave: the PromotionPasskey's name, and the authenticator's answer (Web Authentication Level 3, section 5.2.2)."""

    name: ObjectName
    clientDataJSON: Annotated[Base64, Field(max_length=8 * 1024)]
    authenticatorData: Annotated[Base64, Field(max_length=8 * 1024)]
    signature: Annotated[Base64, Field(max_length=8 * 1024)]

    @property
    def assertion(self) -> Assertion:
        """The answer's bytes."""
        told = {"clientDataJSON": self.clientDataJSON, "authenticatorData": self.authenticatorData, "signature": self.signature}
        return Assertion(*(b64decode(text, f"{_PASSKEY}.{name}") for name, text in told.items()))


class ConsentSpec(TokenSpec):
    """``PromotionDecision.spec.consent``."""

    passkey: AssertionSpec | None = None


@dataclass(frozen=True)
class About:
    """What is decided on, and when (aware)."""

    freeze: Freeze
    digest: Digest
    rendition: Digest
    verdict: Verdict
    now: datetime

    @property
    def nonce(self) -> str:
        """What a login for this very decision was asked for with."""
        return consent_nonce(self.digest, self.rendition, self.verdict)


@dataclass(frozen=True)
class Used:
    """A passkey that was used: its registration as it lies in the archive, believed; and what it gave."""

    passkey: Passkey
    bundle: bytes
    assertion: Assertion

    def proofs(self, who: Identity, about: About) -> tuple[bytes, ...]:
        """Return what the seal keeps of it; `NotBelieved` unless it is of this person, and was used for this very decision."""
        require_owner(self.passkey, who, about.freeze.cluster, format_time(about.now), _PASSKEY)
        require_assertion(self.assertion, self.passkey, challenge_of(about.digest, about.rendition, about.verdict, who), _PASSKEY)
        return self.bundle, self.assertion.client_data, self.assertion.authenticator_data, self.assertion.signature


@dataclass(frozen=True)
class SignedIn:
    """Who signed in, by which login, and the documents that prove it: the ID token, and the provider's key."""

    who: Resolved
    login: Login
    documents: tuple[bytes, ...]

    @property
    def proofs(self) -> tuple[Json, ...]:
        """The documents as the record keeps them."""
        return _proofs(BY_TOKEN, self.documents)


@dataclass(frozen=True)
class Acting:
    """Who decides, as whom the API server is asked about, and what the seal keeps of it."""

    who: Resolved
    user: Mapping[str, Json]
    assurance: Assurance
    proofs: tuple[Json, ...]


@dataclass(frozen=True)
class _Known:
    keys: Keys
    asked_at: float


@dataclass
class Providers:
    """The identity providers of configuration, and their keys as they were last asked for. Safe to use from many threads."""

    settings: Sequence[IdentityProviderSettings]
    portals: Sequence[Identity]
    fetch: Callable[[IdentityProviderSettings], Keys]
    clock: Callable[[], float] = time.monotonic
    _known: dict[str, _Known] = field(default_factory=dict)
    _lock: Lock = field(default_factory=Lock)

    def is_portal(self, who: Resolved) -> bool:
        """Whether this is a portal's account, which brings decisions of others along."""
        return any(one.is_same(who.principal) for one in self.portals)

    def settings_of(self, issuer: str) -> IdentityProviderSettings:
        """Return the settings of a provider; `Unproven` where there are none."""
        found = next((one for one in self.settings if one.issuer == issuer), None)
        if found is None:
            raise Unproven(f"{issuer[:200]!r} is no identity provider here", where=_WHERE, mend="sign in where you are asked to")
        return found

    def keys(self, settings: IdentityProviderSettings, named: str | None) -> Keys:
        """Return the provider's keys that a token may be by: of this key id, where it names one (rule 2)."""
        with self._lock:
            known = self._known.get(settings.issuer)
        now = self.clock()
        found = keys_named(known.keys, named) if known is not None and now - known.asked_at < FRESH else ()
        if not found and (known is None or now - known.asked_at >= ASKED_AGAIN):
            fresh = self.fetch(settings)
            with self._lock:
                self._known[settings.issuer] = _Known(fresh, now)
            found = keys_named(fresh, named)
        if not found:
            raise Unproven("the ID token is by a key that the provider does not name", where=_WHERE, mend="sign in again")
        return found


def acting(
    providers: Providers,
    trust: Trust,
    sender: Resolved,
    user: Mapping[str, Json],
    consent: ConsentSpec | None,
    about: About,
    used: Used | None = None,
) -> Acting:
    """Return who decides (rules 1 to 4 and 6); raises `Unproven`, `OutOfReach` or `NotBelieved`."""
    if consent is None:
        if providers.is_portal(sender):
            raise Unproven("a portal decides nothing by itself", where="spec.consent", mend="bring the ID token of whoever decides along")
        _require(about, "api-server")
        return Acting(sender, user, "api-server", ())
    signed_in = whose(providers, trust, sender, consent)
    who, assurance = signed_in.who, assurance_of(signed_in.login, about.nonce, about.now)
    proofs = signed_in.proofs
    if used is not None:
        assurance, proofs = "passkey", _proofs(BY_PASSKEY, (*signed_in.documents, *used.proofs(who.principal, about)))
    _require(about, assurance)
    asked = user if who is sender else {"username": who.username, "groups": [*who.groups, "system:authenticated"]}
    return Acting(who, asked, assurance, proofs)


def decider(providers: Providers, trust: Trust, sender: Resolved, consent: ConsentSpec | None) -> Resolved:
    """Return who decides, without asking how far it is proven; raises as `acting`."""
    return sender if consent is None else whose(providers, trust, sender, consent).who


def whose(providers: Providers, trust: Trust, sender: Resolved, consent: TokenSpec) -> SignedIn:
    """Return whose ID token was brought along (rules 2 and 3); raises `Unproven`, `OutOfReach` or `NotBelieved`."""
    login, key = _login(providers, trust, consent.idToken)
    return SignedIn(_whose(providers, sender, login), login, (consent.idToken.encode(), key))


def _whose(providers: Providers, sender: Resolved, login: Login) -> Resolved:
    """Return whose decision it is (rule 3)."""
    if providers.is_portal(sender):
        return person_of(login, providers.settings_of(login.identity.issuer).usernamePrefix, _WHERE)
    if not login.identity.is_same(sender.principal):
        you = sender.principal
        what = f"the ID token is of {login.identity.subject} ({login.identity.issuer}), and you are {you.subject} ({you.issuer})"
        same = login.identity.subject == you.subject
        mend = "ask whoever runs signoff to have one issuer vouch for you in both places" if same else "sign in as yourself"
        raise Unproven(what, where=_WHERE, mend=mend)
    return sender


def make_ready() -> None:
    """Load what it takes to judge a proof: half a second, for which the first who presses would wait."""
    import httpcore  # noqa: F401, PLC0415 - where no provider is configured the process does without all of this
    import httpx  # noqa: F401, PLC0415
    from joserfc import errors, jwk, jws  # noqa: F401, PLC0415


def fetched(settings: IdentityProviderSettings) -> Keys:
    """Return a provider's keys from its ``jwks_uri`` (RFC 7517, section 5); `OutOfReach` where it does not say (rule 5)."""
    import ssl  # noqa: PLC0415 - where no provider is configured the process does without all of this

    import httpx  # noqa: PLC0415

    where = f"identity provider {settings.issuer}"
    try:
        verify = ssl.create_default_context(cafile=settings.ca)
        answer = httpx.get(settings.jwks, timeout=5.0, verify=verify, follow_redirects=False, trust_env=False)
        answer.raise_for_status()
        value = loads(answer.content, where, limit=MAX_JWKS)
    except (httpx.HTTPError, RecordError, OSError) as error:
        raise OutOfReach(f"does not say which keys are its own: {type(error).__name__}", where=where, mend=_SAFE) from None
    try:
        return keys_in(value, where)
    except NotBelieved as error:
        raise OutOfReach(error.what, error.where, _SAFE) from None


def _proofs(kinds: Sequence[str], documents: Sequence[bytes]) -> tuple[Json, ...]:
    return tuple({"mediaType": kind, "content": b64encode(data)} for kind, data in zip(kinds, documents, strict=True))


def _login(providers: Providers, trust: Trust, token: str) -> tuple[Login, bytes]:
    """Return what a token says, and the public key under which it verifies."""
    issuer = issuer_of(token)
    settings, provider = providers.settings_of(issuer), trust.provider(issuer)
    if provider is None:
        raise NotBelieved(f"the trust file names no identity provider {issuer}", mend="ask whoever runs signoff to add it")
    return login_under(token, providers.keys(settings, key_named(token)), provider, _WHERE)


def _require(about: About, assurance: Assurance) -> None:
    asked = about.freeze.route.requirement.assurance
    if not suffices(assurance, asked):
        what = f"{about.freeze.route.tier} asks for {asked}, and this decision rests on {assurance}"
        raise Unproven(what, where="spec.consent", mend=_MENDS.get(asked, "decide in the portal"))
