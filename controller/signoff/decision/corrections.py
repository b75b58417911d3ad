"""Corrections of events: how one is signed, and which count.

1. A correction counts when a seal key signed it that may speak for the event's target and was good when the store took it, and when it lies
   under the event that it names and under its own id.
2. What was signed under a key that was not good when the store took it counts for nothing, and is passed over: a stolen key, disowned, must
   not keep a model from running.
3. Anything else that lies there may be a revocation that was altered: whether the event is revoked cannot be told.
4. Of several revocations the first that the store took is the one that is told.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from signoff.archive import layout
from signoff.decision.seals import CouldNotTell, Filed, KeyNotValid, believed, opened_as, require_subjects
from signoff.errors import SignoffError
from signoff.record.bundle import Signer, Subject, sign_bundle, statement_bytes
from signoff.record.correction import CORRECTION_TYPE, Correction, CorrectionSpec, CorrectionStatement, correction_id
from signoff.record.promotion import as_json
from signoff.record.request import Target
from signoff.record.trust import Trust
from signoff.record.values import Digest, RecordError, RequestId

_SHOWN: Final = 160


@dataclass(frozen=True)
class Corrected:
    """A correction that counts, the digest of its statement, and when the store took it (aware; None where unknown)."""

    correction: Correction
    digest: Digest
    stored_at: datetime | None

    @property
    def revokes(self) -> bool:
        """Whether the event is taken back by it."""
        return self.correction.verdict == "Revoke"

    def __str__(self) -> str:
        """Return it in one line, as a denial tells it; the whole reason stands in the record."""
        verb = "revoked" if self.revokes else "annotated"
        said, reason = self.correction, " ".join(self.correction.reason.split())
        return f"{verb} by {said.principal.name} at {said.time}: {reason if len(reason) <= _SHOWN else reason[: _SHOWN - 1] + '…'}"


def correction_bundle(correction: Correction, signer: Signer) -> bytes:
    """Return the bundle of a correction, signed."""
    return sign_bundle(statement_bytes(CORRECTION_TYPE, (Subject.of("event", correction.event),), as_json(correction)), signer)


def read_correction(filed: Filed, trust: Trust, target: Target, key: str) -> Corrected:
    """Return the correction that lies under this key, of an event for this target; it counts (rule 1).

    `KeyNotValid` where it counts for nothing (rule 2), any other `SignoffError` where that cannot be told (rule 3).
    """
    opened = opened_as(filed.bundle, CorrectionStatement, CORRECTION_TYPE, key)
    said = believed(opened, filed, trust, target, key).predicate
    require_subjects(opened.statement, (Subject.of("event", said.event),), key)
    spec = as_json(CorrectionSpec.model_construct(**{name: getattr(said, name) for name in CorrectionSpec.model_fields}))
    hashed = correction_id(said.correction.namespace, said.correction.name, spec)
    if hashed != said.id or layout.correction(said.event, said.id) != key:
        raise RecordError(f"is the correction {said.id[:12]}… of the event {said.event}, and lies in the place of another", where=key)
    return Corrected(said, opened.bundle.digest, filed.stored_at)


def counts(filed: Filed, trust: Trust, target: Target, request: RequestId, key: str) -> Corrected | None:
    """Return what lies under this key, of an event that is the outcome of ``request``; None where it counts for nothing.

    `CouldNotTell` where it may be a revocation that was altered.
    """
    try:
        found = read_correction(filed, trust, target, key)
        if found.correction.request != request:
            raise RecordError(f"says that its event is the outcome of {found.correction.request}", where=key)
    except KeyNotValid:
        return None
    except CouldNotTell:
        raise
    except SignoffError as error:
        what = f"whether the event was revoked cannot be told, for a correction of it is not believed ({error.what})"
        raise CouldNotTell(what, where=key, mend="the archive was altered: call whoever guards it") from error
    return found


def revocation(corrections: Sequence[Corrected]) -> Corrected | None:
    """Return the revocation that is told (rule 4), or None where the event stands; they are given as `in_order` sorts them."""
    return next((one for one in corrections if one.revokes), None)


def in_order(corrections: Sequence[Corrected]) -> tuple[Corrected, ...]:
    """Return corrections in the order in which the store took them; those of unknown time come first."""
    return tuple(sorted(corrections, key=lambda one: (one.stored_at.timestamp() if one.stored_at else 0.0, one.correction.id)))
