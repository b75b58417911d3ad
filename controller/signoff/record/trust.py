"""The trust file: who may sign what, for where, and when. Strict JSON, versioned, archived by digest; configuration names the active one.

1. A key has one use. ``seal``: what admission witnesses (seals, submissions, published policies). ``event``: events. ``check``: checks.
   ``checkpoint``: the log's checkpoints.
2. A key belongs to one cluster and speaks for the targets that stand beside it: environments and clusters.
3. A key's validity is judged by the time at which the store took the object, never by the signer's clock. Where that time is unknown and
   the key has since ended, the answer is "could not tell".
4. A compromised key speaks only for what was stored before the stated moment.
5. A policy counts only if one of ``policies.publishers`` applied it while they were one; with ``policies.fourEyes`` a second of them
   must have agreed.
6. What a policy decides by itself (tier 3) counts only if one of ``policies.engines`` pressed while they were one; whoever is one decides
   nothing else.
7. An ID token proves who decided only if one of ``identityProviders`` issued it, for a client and, where keys are listed, by a key of
   theirs.
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime
from enum import Enum
from typing import Annotated, Final, Literal, Self

from pydantic import Field, StringConstraints, model_validator

from signoff.record.canonical import loads, refuse_ambiguous
from signoff.record.keys import key_id
from signoff.record.values import Closed, Digest, DigestField, Label, Line, RecordError, TimeField, parse, parse_time

FORMAT: Final = "signoff.dev/trust/v1"
MAX_TRUST: Final = 1024 * 1024

Use = Literal["seal", "event", "check", "checkpoint"]


class Answer(Enum):
    """Whether a key may be believed."""

    YES = "yes"
    NO = "no"
    UNKNOWN = "could not tell"


class Targets(Closed):
    """The places that a key may speak for."""

    environments: Annotated[tuple[Label, ...], Field(min_length=1, max_length=64)]
    clusters: Annotated[tuple[Label, ...], Field(min_length=1, max_length=256)]


class Compromised(Closed):
    """From when on a key may be in other hands."""

    at: TimeField


class Key(Closed):
    """A public key and what it is trusted for."""

    id: DigestField
    name: Line
    use: Use
    algorithm: Literal["ecdsa-p256-sha256"]
    publicKey: Annotated[
        str, StringConstraints(max_length=1024, pattern=r"^-----BEGIN PUBLIC KEY-----\n[A-Za-z0-9+/=\n]+-----END PUBLIC KEY-----\n$")
    ]
    cluster: Label
    targets: Targets
    validFrom: TimeField
    validUntil: TimeField | None = None
    compromised: Compromised | None = None

    @model_validator(mode="after")
    def _id_is_the_keys(self) -> Self:
        try:
            own = key_id(self.publicKey)
        except RecordError as error:
            raise ValueError(str(error)) from None
        if own != self.id:
            raise ValueError(f"id does not belong to publicKey, whose id is {own}")
        return self


class TrustedPrincipal(Closed):
    """A principal and from when until when they are trusted. What they did in that time stays done."""

    issuer: Line
    subject: Line
    validFrom: TimeField | None = None
    validUntil: TimeField | None = None


class Policies(Closed):
    """Who may publish policies, whether two of them must agree, and which services decide what a policy decides by itself."""

    publishers: Annotated[tuple[TrustedPrincipal, ...], Field(min_length=1, max_length=64)]
    fourEyes: bool
    engines: Annotated[tuple[TrustedPrincipal, ...], Field(min_length=1, max_length=16)] | None = None


class IdentityProvider(Closed):
    """An OpenID provider whose ID tokens prove who decided: issued for one of these clients, and under one of these keys, if any are
    listed.

    ``subjectClaim`` is the claim that is a principal's subject, as the API server takes it (``--oidc-username-claim``); ``keys`` are
    thumbprints (RFC 7638), as ``sha256:`` and hex.
    """

    issuer: Annotated[str, StringConstraints(pattern=r"^https://[!-~]{1,500}$")]
    clients: Annotated[tuple[Line, ...], Field(min_length=1, max_length=16)]
    subjectClaim: Literal["sub", "email", "preferred_username"]
    groupsClaim: Line | None = None
    groupsPrefix: Line | None = None
    keys: Annotated[tuple[DigestField, ...], Field(min_length=1, max_length=64)] | None = None


class Trust(Closed):
    """The trust file. ``version`` counts up with every change."""

    format: Literal["signoff.dev/trust/v1"]
    version: Annotated[int, Field(ge=1, le=1_000_000)]
    keys: Annotated[tuple[Key, ...], Field(min_length=1, max_length=256)]
    policies: Policies
    identityProviders: Annotated[tuple[IdentityProvider, ...], Field(min_length=1, max_length=16)] | None = None

    @model_validator(mode="after")
    def _one_use_each(self) -> Self:
        ids = [key.id for key in self.keys]
        if len(set(ids)) != len(ids):
            raise ValueError("a key stands twice: each has one use, named once")
        return self

    @model_validator(mode="after")
    def _one_entry_each(self) -> Self:
        issuers = [one.issuer for one in self.identityProviders or ()]
        if len(set(issuers)) != len(issuers):
            raise ValueError("an identity provider stands twice: name it once, with all of its clients and keys")
        return self

    def provider(self, issuer: str) -> IdentityProvider | None:
        """Return the identity provider with this issuer, or None."""
        return next((one for one in self.identityProviders or () if one.issuer == issuer), None)

    def key(self, key_id: Digest) -> Key | None:
        """Return the key with this id, or None."""
        return next((key for key in self.keys if key.id == key_id), None)

    def publisher(self, issuer: str, subject: str, stored_at: datetime | None) -> Answer:
        """Return whether this principal might publish policies when the store took the statement (rules 3 and 5)."""
        return _one_of(self.policies.publishers, issuer, subject, stored_at)

    def engine(self, issuer: str, subject: str, stored_at: datetime | None) -> Answer:
        """Return whether this principal might decide for a policy when the store took the decision (rule 6)."""
        return _one_of(self.policies.engines or (), issuer, subject, stored_at)

    def was_engine(self, issuer: str, subject: str) -> bool:
        """Whether this principal stands among the engines, whenever they were one."""
        return any((one.issuer, one.subject) == (issuer, subject) for one in self.policies.engines or ())


def read_trust(data: bytes, where: str = "trust file") -> Trust:
    """Return the trust file of its exact bytes; `RecordError` names what is wrong with it."""
    refuse_ambiguous(loads(data, where, limit=MAX_TRUST), where)
    return parse(Trust, data, where)


def _one_of(trusted: Iterable[TrustedPrincipal], issuer: str, subject: str, stored_at: datetime | None) -> Answer:
    answers = {_within(one, stored_at) for one in trusted if (one.issuer, one.subject) == (issuer, subject)}
    return next((answer for answer in (Answer.YES, Answer.UNKNOWN) if answer in answers), Answer.NO)


def _within(principal: TrustedPrincipal, stored_at: datetime | None) -> Answer:
    if principal.validFrom is None and principal.validUntil is None:
        return Answer.YES
    if stored_at is None:
        return Answer.YES if principal.validUntil is None else Answer.UNKNOWN
    begun = principal.validFrom is None or stored_at >= parse_time(principal.validFrom)
    ended = principal.validUntil is not None and stored_at >= parse_time(principal.validUntil)
    return Answer.YES if begun and not ended else Answer.NO


def valid_when_stored(key: Key, stored_at: datetime | None) -> Answer:
    """Whether the key was good when the store took the object; ``stored_at`` is aware, None where unknown (rules 3 and 4)."""
    ends = [moment.at for moment in (key.compromised,) if moment is not None] + ([key.validUntil] if key.validUntil else [])
    if stored_at is None:
        return Answer.UNKNOWN if ends else Answer.YES
    if stored_at < parse_time(key.validFrom):
        return Answer.NO
    return Answer.NO if any(stored_at >= parse_time(end) for end in ends) else Answer.YES


def speaks_for(key: Key, environment: str, clusters: Iterable[str]) -> bool:
    """Whether the key may speak for this environment in all of these clusters (rule 2)."""
    return environment in key.targets.environments and set(clusters) <= set(key.targets.clusters)
