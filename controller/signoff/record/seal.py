"""What admission witnesses, signed by the webhook's key: a seal, a submission, a published policy, a grant, a passkey.

1. A seal is one person's decision on one freeze. It names the freeze, the rendition that was shown, the verdict, what it means, who, by
   which method, in which roles, when, in which cluster, and what the identity rests on (``consent``).
2. ``consent.assurance: api-server`` says that who decided rests on the API server's word; the other levels carry a proof
   (`decision.consent`).
3. A submission binds a request's id to who submitted it and when.
4. A policy counts only as a statement: its exact text, and who applied it. Whoever agrees to it makes a statement of their own of the same
   kind: the same name, the same text, another publisher.
5. A delegation is a grant: who lets whom decide in their name, on which models and tiers, from when until when, and what the API server
   said of who grants. It is not passed on: whoever decides by one holds it from a person who decides by their own roles.
6. A passkey is a registration: whose public key it is, for which relying party and at which origins it may sign, from when until when; and
   the proof that its owner registered it. Who made the authenticator, and how it keeps the key, nobody attests.
"""

from __future__ import annotations

from base64 import urlsafe_b64decode, urlsafe_b64encode
from typing import Annotated, Final, Literal

from pydantic import AfterValidator, Field, StringConstraints

from signoff.record.bundle import Statement
from signoff.record.freeze import Assurance, Identity, Principal, RoleName
from signoff.record.values import (
    Base64,
    Closed,
    DigestField,
    Glob,
    IdField,
    Label,
    Line,
    MediaType,
    ObjectName,
    Text,
    TimeField,
)

SEAL_TYPE: Final = "https://signoff.dev/seal/v1"
SUBMISSION_TYPE: Final = "https://signoff.dev/submission/v1"
POLICY_TYPE: Final = "https://signoff.dev/policy/v1"
MAX_GROUPS: Final = 256
DELEGATION_TYPE: Final = "https://signoff.dev/delegation/v1"
PASSKEY_TYPE: Final = "https://signoff.dev/passkey/v1"

Verdict = Literal["Approve", "Reject"]
Method = Annotated[str, StringConstraints(pattern=r"^[a-zA-Z0-9][a-zA-Z0-9-]{0,63}$")]


class PromotionName(Closed):
    """The resource that was decided on."""

    namespace: Label
    name: ObjectName


class Proof(Closed):
    """Evidence of consent that can be checked without us, such as an ID token: its media type and bytes."""

    mediaType: MediaType
    content: Base64


class Consent(Closed):
    """What the identity rests on, and the proofs of it."""

    assurance: Assurance
    proofs: Annotated[tuple[Proof, ...], Field(max_length=8)]


class Grant(Closed):
    """A delegation, by digest, with its statement."""

    digest: DigestField
    bundle: Base64


class Decided(Closed):
    """The readable part of a seal: it stands in the event as well. ``explanationOpened`` is the decider's own word, and no proof."""

    principal: Principal
    verdict: Verdict
    meaning: Text
    comment: Text | None = None
    explanationOpened: bool | None = None
    method: Method
    roles: Annotated[tuple[RoleName, ...], Field(min_length=1, max_length=8)]
    groups: Annotated[tuple[Line, ...], Field(max_length=64)]
    delegation: Annotated[tuple[Grant, ...], Field(max_length=8)]
    consent: Consent
    time: TimeField


class Witnessed(Closed):
    """What every predicate of admission's says: the cluster whose API server was believed."""

    cluster: Label


class Seal(Witnessed):
    """The predicate of a seal. Its subjects are ``freeze`` and ``rendition``."""

    id: IdField
    freeze: DigestField
    rendition: DigestField
    promotion: PromotionName
    decided: Decided


class Submission(Witnessed):
    """The predicate of a submission. Its subject is ``request``, whose digest is the id."""

    id: IdField
    promotion: PromotionName
    principal: Principal
    method: Method
    time: TimeField


class PublishedPolicy(Witnessed):
    """The predicate of a published policy. Its subject is the policy's name with the sha256 of ``content``, the JCS bytes of its spec."""

    name: ObjectName
    content: Base64
    publisher: Principal
    method: Method
    time: TimeField


class DelegationScope(Closed):
    """What is granted, as the grantor writes it: on which models and tiers, from when until when, and why."""

    models: Annotated[tuple[Glob, ...], Field(min_length=1, max_length=64)]
    tiers: Annotated[tuple[Literal["tier-1", "tier-2"], ...], Field(min_length=1, max_length=2)]
    validFrom: TimeField
    validUntil: TimeField
    reason: Text


class Delegation(Witnessed, DelegationScope):
    """The predicate of a delegation. Its subject is ``grantee``, whose digest is the grantee's key.

    ``username`` and ``groups`` are the API server's word of the grantor when they granted: by these it is asked again, at the press, what
    the grantor may do.
    """

    name: ObjectName
    grantor: Principal
    username: Line
    groups: Annotated[tuple[Line, ...], Field(max_length=MAX_GROUPS)]
    grantee: Identity
    method: Method
    time: TimeField


def _one_spelling(text: str) -> str:
    if len(text) % 4 == 1 or urlsafe_b64encode(urlsafe_b64decode(text + "=" * (-len(text) % 4))).rstrip(b"=").decode() != text:
        raise ValueError("is not the one base64url spelling of its bytes")
    return text


CredentialId = Annotated[str, StringConstraints(min_length=1, max_length=1364, pattern=r"^[A-Za-z0-9_-]+$"), AfterValidator(_one_spelling)]
"""The id of a credential, base64url without padding; at most 1,023 bytes (Web Authentication Level 3, section 4)."""
RelyingParty = Annotated[str, StringConstraints(max_length=253, pattern=r"^[a-z0-9]([-.a-z0-9]*[a-z0-9])?$")]
Origin = Annotated[str, StringConstraints(max_length=300, pattern=r"^https://[a-z0-9.-]+(:[0-9]{1,5})?$")]


class PasskeyKey(Closed):
    """What is registered, as its owner's browser gives it: a public key (SubjectPublicKeyInfo, PEM) by its id, at a relying party.

    ``label`` is what its owner calls it.
    """

    label: Line
    relyingParty: RelyingParty
    credential: CredentialId
    publicKey: Annotated[
        str, StringConstraints(max_length=2048, pattern=r"^-----BEGIN PUBLIC KEY-----\n[A-Za-z0-9+/=\n]+-----END PUBLIC KEY-----\n$")
    ]


class Passkey(Witnessed, PasskeyKey):
    """The predicate of a passkey's registration. Its subject is ``credential``, whose digest is that of id and public key.

    ``proofs`` are the ID token of the login by which its owner registered it, and the provider's key (`decision.passkeys`).
    """

    name: ObjectName
    principal: Principal
    origins: Annotated[tuple[Origin, ...], Field(min_length=1, max_length=8)]
    attestation: Literal["none"]
    proofs: Annotated[tuple[Proof, ...], Field(min_length=2, max_length=2)]
    method: Method
    time: TimeField
    validUntil: TimeField


SealStatement = Statement[Seal]
SubmissionStatement = Statement[Submission]
PolicyStatement = Statement[PublishedPolicy]
DelegationStatement = Statement[Delegation]
PasskeyStatement = Statement[Passkey]
