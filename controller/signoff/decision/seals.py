"""What admission signs: seals, submissions, published policies, delegations and passkeys, and how each is read again.

1. A statement names what it is about as its subject, so that it cannot be moved to another freeze, request or policy.
2. It is read under the trust file: signature, a key for use ``seal``, the key's own cluster, a target that the key may speak for, and
   valid when the store took it. Where that time is unknown and the key has ended: could not tell.
3. A published policy counts only if its publisher stands in the trust file. Where that asks for four eyes, a second publisher must have
   agreed by a statement of their own, which is read like the first: of the same name, text and cluster, and by somebody else. Where it asks
   for one, a second that is named is held to the same all the same.
4. One published policy stands behind many events: what its bytes say, and whether a key signed them, is computed once and kept, for that
   follows from the bytes alone. Whether it counts (its key, its publisher, this target, now) is asked each time.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import lru_cache
from typing import Final, Generic, TypeVar

from signoff.errors import SignoffError
from signoff.policy.schema import MAX_POLICY, PolicySpec, Published, read_policy
from signoff.record.bundle import Bundle, Signer, Statement, Subject, pae, read_bundle, read_statement, sign_bundle, statement_bytes
from signoff.record.canonical import b64decode, dumps, loads
from signoff.record.keys import verifies
from signoff.record.promotion import SealedDecision, as_json
from signoff.record.request import Target
from signoff.record.seal import (
    DELEGATION_TYPE,
    PASSKEY_TYPE,
    POLICY_TYPE,
    SEAL_TYPE,
    SUBMISSION_TYPE,
    Delegation,
    DelegationStatement,
    Passkey,
    PasskeyKey,
    PasskeyStatement,
    PolicyStatement,
    PublishedPolicy,
    Seal,
    SealStatement,
    Submission,
    SubmissionStatement,
    Witnessed,
)
from signoff.record.trust import Answer, Key, Trust, Use, speaks_for, valid_when_stored
from signoff.record.values import Digest, RecordError, RequestId, sha256

_KEPT: Final = 256


class NotBelieved(SignoffError):
    """A statement that does not count, and why."""


class KeyNotValid(NotBelieved):
    """What rests on a key, or on a policy engine, before it began, after it ended, or after it was compromised."""


class CouldNotTell(SignoffError):
    """Whether a statement counts cannot be told from what was given."""


@dataclass(frozen=True)
class Filed:
    """A bundle as it lay in the archive, and when the store took it (None where unknown)."""

    bundle: bytes
    stored_at: datetime | None


@dataclass(frozen=True)
class Agreement:
    """The statement of a second publisher: its digest, and the statement filed."""

    digest: Digest
    filed: Filed


Predicate = TypeVar("Predicate", bound=Witnessed)


@dataclass(frozen=True)
class Opened(Generic[Predicate]):
    """A statement of admission's taken apart. Its form holds; nothing of it is believed yet."""

    bundle: Bundle
    statement: Statement[Predicate]


def seal_bundle(seal: Seal, signer: Signer) -> bytes:
    """Return the bundle of a seal, signed."""
    subjects = (Subject.of("freeze", seal.freeze), Subject.of("rendition", seal.rendition))
    return sign_bundle(statement_bytes(SEAL_TYPE, subjects, as_json(seal)), signer)


def submission_bundle(submission: Submission, signer: Signer) -> bytes:
    """Return the bundle of a submission, signed."""
    return sign_bundle(statement_bytes(SUBMISSION_TYPE, (_request_subject(submission.id),), as_json(submission)), signer)


def policy_bundle(policy: PublishedPolicy, content: bytes, signer: Signer) -> bytes:
    """Return the bundle of a published policy, signed; ``content`` are the JCS bytes of its spec."""
    return sign_bundle(statement_bytes(POLICY_TYPE, (Subject.of(policy.name, sha256(content)),), as_json(policy)), signer)


def open_seal(bundle: bytes, where: str = "seal") -> Opened[Seal]:
    """Return a seal taken apart; `RecordError` where the bytes are none."""
    return opened_as(bundle, SealStatement, SEAL_TYPE, where)


def read_seal(filed: Filed, trust: Trust, target: Target, where: str = "seal") -> SealedDecision:
    """Return a seal that counts; `NotBelieved` or `CouldNotTell` says why not (rules 1 and 2)."""
    return believe_seal(open_seal(filed.bundle, where), filed, trust, target, where)


def believe_seal(opened: Opened[Seal], filed: Filed, trust: Trust, target: Target, where: str = "seal") -> SealedDecision:
    """Return a seal that counts, of the same taken apart by `open_seal`; raises as `read_seal`."""
    seal = believed(opened, filed, trust, target, where)
    expected = (Subject.of("freeze", seal.predicate.freeze), Subject.of("rendition", seal.predicate.rendition))
    require_subjects(seal, expected, where)
    return SealedDecision(seal.predicate, filed.bundle)


def read_submission(filed: Filed, trust: Trust, target: Target, where: str = "submission") -> Submission:
    """Return a submission that counts; `NotBelieved` or `CouldNotTell` says why not."""
    statement = believed(opened_as(filed.bundle, SubmissionStatement, SUBMISSION_TYPE, where), filed, trust, target, where)
    require_subjects(statement, (_request_subject(statement.predicate.id),), where)
    return statement.predicate


def delegation_bundle(delegation: Delegation, signer: Signer) -> bytes:
    """Return the bundle of a delegation, signed."""
    return sign_bundle(statement_bytes(DELEGATION_TYPE, (_grantee_subject(delegation),), as_json(delegation)), signer)


def read_delegation(filed: Filed, trust: Trust, target: Target, digest: Digest, where: str = "delegation") -> Delegation:
    """Return a delegation that counts, by the digest of its statement; `NotBelieved` or `CouldNotTell` says why not."""
    opened = opened_as(filed.bundle, DelegationStatement, DELEGATION_TYPE, where)
    statement = believed(opened, filed, trust, target, where)
    if opened.bundle.digest != digest:
        raise NotBelieved(f"this is not the statement {digest}", where=where, mend="the archive was altered: call whoever guards it")
    require_subjects(statement, (_grantee_subject(statement.predicate),), where)
    return statement.predicate


def passkey_bundle(passkey: Passkey, signer: Signer) -> bytes:
    """Return the bundle of a passkey's registration, signed."""
    return sign_bundle(statement_bytes(PASSKEY_TYPE, (_credential_subject(passkey),), as_json(passkey)), signer)


def read_passkey(filed: Filed, trust: Trust, target: Target, where: str = "passkey") -> Passkey:
    """Return a registration that admission signed; `NotBelieved` or `CouldNotTell` says why not. Whose key it is `passkeys` believes."""
    statement = believed(opened_as(filed.bundle, PasskeyStatement, PASSKEY_TYPE, where), filed, trust, target, where)
    require_subjects(statement, (_credential_subject(statement.predicate),), where)
    return statement.predicate


def credential_digest(key: PasskeyKey) -> Digest:
    """Return the digest of what is registered: sha256(id, public key), by 0x00."""
    return sha256("\x00".join((key.credential, key.publicKey)).encode())


def read_published(
    filed: Filed, trust: Trust, target: Target, digest: Digest, where: str = "policy", second: Agreement | None = None
) -> Published:
    """Return a policy that counts, by the digest of its statement; `NotBelieved` or `CouldNotTell` says why not (rule 3)."""
    first = _by_publisher(filed, trust, target, digest, where)
    policy = first.opened.statement.predicate
    if second is not None:
        agreed = _by_publisher(second.filed, trust, target, second.digest, f"{where}.second")
        _require_agreement(policy, agreed.opened.statement.predicate, f"{where}.second")
    elif trust.policies.fourEyes:
        raise NotBelieved(
            "the trust file asks for a second publisher's agreement, and none is named",
            where=where,
            mend=f"have a second publisher agree: kubectl signoff policy agree {policy.name}",
        )
    return Published(policy.name, _policy_spec(first.content, where), digest, second.digest if second is not None else None)


def _by_publisher(filed: Filed, trust: Trust, target: Target, digest: Digest, where: str) -> _Publication:
    """Return a policy's statement that one publisher made; `NotBelieved` or `CouldNotTell` says why it is none."""
    publication = _publication(filed.bundle, where)
    opened, policy = publication.opened, publication.opened.statement.predicate
    key = signed_by(opened.bundle, trust, where, _kept_check)
    require_key(key, "seal", policy.cluster, target, filed.stored_at, where)
    if publication.digest != digest:
        raise NotBelieved(f"this is not the statement {digest}", where=where, mend="the archive was altered: call whoever guards it")
    publisher = f"{policy.publisher.subject} ({policy.publisher.issuer})"
    answer = trust.publisher(policy.publisher.issuer, policy.publisher.subject, filed.stored_at)
    if answer is Answer.NO:
        raise NotBelieved(
            f"{publisher} is no policy publisher in the trust file, or was none when this was stored",
            where=where,
            mend="have a policy publisher apply the policy",
        )
    if answer is Answer.UNKNOWN:
        raise CouldNotTell(f"when {publisher} published this is not known", where=where, mend="verify it in the archive")
    return publication


def _require_agreement(first: PublishedPolicy, second: PublishedPolicy, where: str) -> None:
    """Raise unless the second statement agrees to the first: the same name, text and cluster, by somebody else."""
    if (second.name, second.content, second.cluster) != (first.name, first.content, first.cluster):
        raise NotBelieved("agrees to another policy, to another text of it, or in another cluster", where=where)
    if second.publisher.is_same(first.publisher):
        raise NotBelieved(
            f"{first.publisher.subject} published it, and cannot be the second as well", where=where, mend="have another publisher agree"
        )


@dataclass(frozen=True)
class _Publication:
    opened: Opened[PublishedPolicy]
    content: bytes
    digest: Digest


@lru_cache(maxsize=_KEPT)
def _publication(bundle: bytes, where: str) -> _Publication:
    opened = opened_as(bundle, PolicyStatement, POLICY_TYPE, where)
    content = b64decode(opened.statement.predicate.content, f"{where}.content")
    if len(content) > MAX_POLICY:  # what is refused is not kept, so that what is kept is bounded in bytes too
        raise RecordError(f"{len(content)} bytes are more than the {MAX_POLICY} allowed", where=f"{where}.content")
    require_subjects(opened.statement, (Subject.of(opened.statement.predicate.name, sha256(content)),), where)
    return _Publication(opened, content, opened.bundle.digest)


@lru_cache(maxsize=_KEPT)
def _policy_spec(content: bytes, where: str) -> PolicySpec:
    value = loads(content, where, limit=MAX_POLICY)
    if dumps(value) != content:
        raise RecordError("the policy's text is not in canonical form", where=where)
    return read_policy(value, where)


def opened_as(data: bytes, model: type[Statement[Predicate]], predicate_type: str, where: str) -> Opened[Predicate]:
    """Return a statement of this type taken apart; `RecordError` where the bytes are none."""
    bundle = read_bundle(data, where)
    return Opened(bundle, read_statement(model, bundle.payload, predicate_type, where))


def believed(opened: Opened[Predicate], filed: Filed, trust: Trust, target: Target, where: str) -> Statement[Predicate]:
    """Return a statement under a seal key that may speak for this target and was good when it was stored (rule 2)."""
    key = signed_by(opened.bundle, trust, where)
    require_key(key, "seal", opened.statement.predicate.cluster, target, filed.stored_at, where)
    return opened.statement


def _check(public_key: str, bundle: Bundle) -> bool:
    return verifies(public_key, bundle.signature, pae(bundle.payload))


_kept_check = lru_cache(maxsize=_KEPT)(_check)


def signed_by(bundle: Bundle, trust: Trust, where: str, check: Callable[[str, Bundle], bool] = _check) -> Key:
    """Return the trusted key under which the bundle's one signature verifies; `NotBelieved` where there is none."""
    key = trust.key(bundle.key_id)
    if key is None:
        raise NotBelieved(f"signed under the key {bundle.key_id}, which the trust file does not name", where=where)
    if not check(key.publicKey, bundle):
        raise NotBelieved(f"the signature does not verify under the key {key.name}", where=where, mend="the bytes were altered")
    return key


def require_key(key: Key, use: Use, cluster: str, target: Target, stored_at: datetime | None, where: str) -> None:
    """Raise unless the key is for this use, of this cluster, may speak for this target, and was good when stored."""
    if key.use != use:
        raise NotBelieved(f"the key {key.name} is for {key.use}, not for {use}", where=where)
    if key.cluster != cluster:
        raise NotBelieved(f"the key {key.name} is of cluster {key.cluster}, but the statement says {cluster}", where=where)
    if not speaks_for(key, target.environment, target.clusters):
        place = f"{target.environment} in {', '.join(target.clusters)}"
        raise NotBelieved(f"the key {key.name} of cluster {key.cluster} may not speak for {place}", where=where)
    answer = valid_when_stored(key, stored_at)
    if answer is Answer.NO:
        raise KeyNotValid(f"the key {key.name} was not valid when this was stored", where=where)
    if answer is Answer.UNKNOWN:
        raise CouldNotTell(
            f"the key {key.name} has ended, and when this was stored is not known",
            where=where,
            mend="verify it in the archive, which says when it stored it",
        )


def _request_subject(request: RequestId) -> Subject:
    return Subject.of("request", Digest(f"sha256:{request}"))


def _grantee_subject(delegation: Delegation) -> Subject:
    return Subject.of("grantee", Digest(f"sha256:{delegation.grantee.key}"))


def _credential_subject(passkey: Passkey) -> Subject:
    return Subject.of("credential", credential_digest(passkey))


def require_subjects(statement: Statement[Predicate], expected: Sequence[Subject], where: str) -> None:
    """Raise `NotBelieved` unless the statement is about these subjects, in this order (rule 1)."""
    if statement.subject != tuple(expected):
        raise NotBelieved("its subjects are not what it speaks of", where=f"{where}.subject")
