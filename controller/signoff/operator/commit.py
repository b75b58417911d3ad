"""Writing the outcome: the one conditional write that is the promotion.

1. Only seals count that an existing PromotionDecision carries and the archive holds, byte for byte. An archived Reject of somebody eligible
   goes before a quorum until the slot is filled.
2. What would not verify is never written: the event is verified by the one verifier before it is put.
3. A promotion whose desk shows an incumbent that is live no more is not written: of two approved against one, the first goes live.
4. Pointers first, then the event, if absent. On "exists" it is read, verified and compared: the same verdict on the same freeze is done;
   anything else is the outcome that won, and stands.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime

from signoff.archive import layout
from signoff.archive.store import Exists
from signoff.archive.write import create_or_same
from signoff.decision.delegations import grantor_of
from signoff.decision.seals import CouldNotTell, Filed
from signoff.desk.freezing import Stale
from signoff.errors import SignoffError
from signoff.policy.quorum import Quorum, Vote, tally
from signoff.record.bundle import Signer, sign_bundle
from signoff.record.canonical import b64decode, dumps
from signoff.record.freeze import Freeze
from signoff.record.promotion import (
    PROMOTION_TYPE,
    REJECTION_TYPE,
    OutcomeType,
    SealedDecision,
    artifact_subjects,
    image_subjects,
    outcome_bytes,
)
from signoff.record.values import Digest
from signoff.verify.case import Outcome
from signoff.verify.reader import Reader
from signoff.verify.sealed import sealed_on
from signoff.verify.verifier import Failed, Verified, verify


class CannotCommit(SignoffError):
    """The decisions suffice, but what would be written would not verify: a key or a publisher has ended meanwhile."""


@dataclass(frozen=True)
class Collected:
    """The decisions on a freeze that count, how far they go, and in words what does not count."""

    approvals: tuple[SealedDecision, ...]
    rejections: tuple[SealedDecision, ...]
    quorum: Quorum
    ignored: tuple[str, ...]


def collect(reader: Reader, freeze: Freeze, digest: Digest, carried: Iterable[tuple[str, str]]) -> Collected:
    """Return the decisions on a freeze; ``carried`` are (name, base64 bundle) of the PromotionDecisions that name it (rule 1)."""
    archived = sealed_on(reader, freeze, digest)
    approvals: dict[str, SealedDecision] = {}
    ignored: list[str] = []
    for name, bundle in carried:
        try:
            data = b64decode(bundle, f"promotiondecision {name}")
        except SignoffError as error:
            ignored.append(str(error))
            continue
        sealed = next((one for one in archived if one.bundle == data), None)
        if sealed is None:
            ignored.append(f"promotiondecision {name} carries a seal that is not in the archive, or does not count (any more)")
        elif sealed.seal.decided.verdict == "Approve":
            approvals[sealed.seal.decided.principal.key] = sealed
    rejections = tuple(one for one in archived if one.seal.decided.verdict == "Reject" and _in_role(freeze, one))
    counted = tuple(one for one in approvals.values() if _in_role(freeze, one))
    quorum = tally(freeze, [_vote(one) for one in counted])
    return Collected(_of(quorum, counted), _of(tally(freeze, [_vote(one) for one in rejections]), rejections), quorum, tuple(ignored))


def outcome_due(collected: Collected) -> tuple[OutcomeType, Sequence[SealedDecision]] | None:
    """Return which outcome the decisions lead to, and by which seals; None while more are awaited."""
    if collected.rejections:
        return REJECTION_TYPE, collected.rejections
    if collected.quorum.reached:
        return PROMOTION_TYPE, collected.approvals
    return None


def commit(
    reader: Reader, signer: Signer, freeze: Freeze, kind: OutcomeType, decisions: Sequence[SealedDecision], now: datetime
) -> Verified:
    """Write the outcome and return it as the archive has it, or the other outcome that won the slot (rules 2 to 4)."""
    target, model = freeze.request.spec.target, freeze.request.spec.model
    live = reader.incumbent(model.name, target.environment, freeze.cluster)
    if kind == PROMOTION_TYPE and live != freeze.live and (live is None or live.id != freeze.id):
        raise Stale(
            "another version went live after this desk was decided on",
            where="spec.model.incumbent",
            mend="make a new request that compares with the live version",
        )
    payload = _payload(reader, freeze, decisions)
    bundle = sign_bundle(outcome_bytes(kind, payload, freeze, decisions), signer)
    unwritten = Outcome(Filed(bundle, now), freeze.id)
    try:
        verify(unwritten, reader.trust, reader.policies_of(unwritten))
    except (Failed, CouldNotTell) as error:
        raise CannotCommit(f"the outcome would not verify, and was not written: {error}", mend="ask whoever runs signoff") from error
    for key in pointers(freeze, kind):
        create_or_same(reader.store, key, dumps({"event": layout.event(freeze.id)}) + b"\n")
    with suppress(Exists):  # by whomever: what lies there is the outcome
        reader.store.create(layout.event(freeze.id), bundle)
    return reader.outcome(freeze.id)


def pointers(freeze: Freeze, kind: OutcomeType) -> tuple[str, ...]:
    """Return the keys of the pointers to a freeze's outcome.

    A rejection is part of the model's history and admits no digest: pointers from digests to it would let whoever is rejected often enough
    fill up what the gate must look through.
    """
    model, environment = freeze.request.spec.model, freeze.request.spec.target.environment
    if kind == REJECTION_TYPE:
        return (layout.model_pointer(model.name, environment, freeze.id),)
    digests = {f"sha256:{one.digest.sha256}" for one in (*image_subjects(freeze), *artifact_subjects(freeze))}
    return (
        layout.model_pointer(model.name, environment, freeze.id),
        layout.repository_pointer(model.repository, environment, freeze.id),
        *(layout.subject_pointer(digest, environment, freeze.id) for digest in sorted(digests)),
    )


def _payload(reader: Reader, freeze: Freeze, decisions: Sequence[SealedDecision]) -> bytes:
    _, payload = reader.freeze(freeze.id, decisions[0].seal.freeze)
    return payload


def _of(quorum: Quorum, decisions: Iterable[SealedDecision]) -> tuple[SealedDecision, ...]:
    """Return the decisions that count: of several who spoke for one person one does, and what an event holds must all count."""
    people = {one.key for one in quorum.counted}
    return tuple(one for one in decisions if one.seal.decided.principal.key in people)


def _vote(sealed: SealedDecision) -> Vote:
    decided = sealed.seal.decided
    return Vote(decided.principal, decided.roles, grantor_of(decided))


def _in_role(freeze: Freeze, sealed: SealedDecision) -> bool:
    decided = sealed.seal.decided
    roles = {role.name: set(role.groups) for role in freeze.route.requirement.roles}
    return all(roles.get(role, set()) & set(decided.groups) for role in decided.roles)
