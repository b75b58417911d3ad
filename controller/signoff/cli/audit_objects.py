"""Looking at one object of an archive: the rules of its place, as `audit` lists them.

1. What one object comes to follows from the archive and the trust file alone, not from what was looked at before: many processes can look
   at once.
2. What does need the others is left to whoever collects: whether a pointer is one that its event makes, and whether a blob that an event
   names is there and hashes to its key.
3. An event that verifies speaks for what it holds: a freeze that is its payload, byte for byte and at its key; a seal that is the one
   inside it, byte for byte and at its key; a pointer that holds the bytes that it should. Each has met all rules of its place, for the
   event would not have been verified otherwise. They are told as ``judged`` and need no look of their own. An event that fails speaks for
   nothing.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Final, Literal

from signoff.archive import layout
from signoff.archive.file import MARKER
from signoff.archive.store import BadKey, Missing, Refused, Stored, Unavailable
from signoff.archive.write import read_blob
from signoff.decision.corrections import counts
from signoff.decision.seals import CouldNotTell, Filed, opened_as, signed_by
from signoff.errors import SignoffError
from signoff.operator.commit import pointers
from signoff.record.bundle import MAX_BUNDLE, read_bundle, read_statement
from signoff.record.canonical import b64decode, dumps
from signoff.record.check import reports_of
from signoff.record.correction import CORRECTION_TYPE, CorrectionStatement
from signoff.record.promotion import PROMOTION_TYPE, REJECTION_TYPE, PromotionStatement
from signoff.record.seal import (
    DELEGATION_TYPE,
    PASSKEY_TYPE,
    POLICY_TYPE,
    SEAL_TYPE,
    DelegationStatement,
    PasskeyStatement,
    PolicyStatement,
    SealStatement,
)
from signoff.record.trust import MAX_TRUST, read_trust
from signoff.record.values import Digest, RequestId, sha256
from signoff.verify.case import Outcome
from signoff.verify.policies import refuse_underived
from signoff.verify.reader import Reader
from signoff.verify.verifier import Verified, verify

MAX_OBJECT: Final = 64 * 1024 * 1024
ALTERED: Final = "keep it as evidence, restore it from a copy of the archive, and find out who changed it"
_DIGEST_KEY: Final = re.compile(r"[0-9a-f]{64}")

Kind = Literal["finding", "unsure", "note"]


@dataclass(frozen=True)
class Finding:
    """Something about a key: what is wrong, and what to do. ``unsure``: could not be told; ``note``: good to know, and nothing wrong."""

    kind: Kind
    key: str
    what: str
    mend: str = ""


@dataclass(frozen=True)
class Looked:
    """What looking at one object came to. ``promotes`` is that of an event that verifies, ``pointers`` are those that it makes, if all that
    it names could be looked for; ``begun`` are those that a promotion of a rejected request would have made besides; ``whole`` says that
    nothing ended the look before its end. ``judged`` are the keys of objects that were held to all rules of their places together with it;
    ``blobs`` are those that it names.
    """

    key: str
    findings: tuple[Finding, ...]
    promotes: bool | None = None
    pointers: frozenset[str] | None = None
    begun: frozenset[str] = frozenset()
    judged: tuple[str, ...] = ()
    blobs: tuple[Digest, ...] = ()
    whole: bool = True


class Look:
    """A look at one object. `Unavailable` ends it, and the audit."""

    def __init__(self, reader: Reader, key: str) -> None:
        self.reader = reader
        self.key = key
        self.promotes: bool | None = None
        self.pointers: frozenset[str] | None = None
        self.begun: frozenset[str] = frozenset()
        self.judged: list[str] = []
        self.blobs: tuple[Digest, ...] = ()

    def looked(self) -> Looked:
        """Return what the look came to."""
        findings, whole = guarded(self.key, self._object())
        return Looked(self.key, findings, self.promotes, self.pointers, self.begun, tuple(self.judged), self.blobs, whole)

    def _object(self) -> Iterator[Finding]:
        key, folder = self.key, self.key.partition("/")[0]
        if key == MARKER:
            return
        looks: Mapping[str, Callable[[str], Iterator[Finding]]] = {
            "blobs": self._blob,
            "corrections": self._correction,
            "events": self._event,
            "freezes": self._freeze,
            "models": self._pointer,
            "repositories": self._pointer,
            "seals": self._seal,
            "statements": self._statement,
            "subjects": self._pointer,
        }
        look = looks.get(folder)
        if look is None:
            yield Finding("finding", key, "has no place in the layout", "find out who wrote it")
            return
        yield from look(key)

    def _read(self, key: str, limit: int = MAX_BUNDLE) -> Stored:
        return self.reader.store.read(key, limit=limit)

    def _event(self, key: str) -> Iterator[Finding]:
        slot = RequestId(layout.event_id(key))
        stored = self._read(key)
        outcome = Outcome(Filed(stored.data, stored.stored_at), slot)
        verified = verify(outcome, self.reader.trust, self.reader.policies_of(outcome))
        self.promotes = verified.promotes
        freeze = verified.freeze
        self.blobs = (freeze.explanation.digest, *reports_of(freeze.request.spec), *(one.digest for one in freeze.renditions))
        refuse_underived(verified.freeze, self.reader.policy, self.reader.trust)
        payload = sha256(verified.payload)
        yield from self._frozen(payload, verified)
        yield from self._sealed(payload, outcome.statement, verified)
        expected = frozenset(pointers(verified.freeze, PROMOTION_TYPE if verified.promotes else REJECTION_TYPE))
        self.pointers, self.begun = expected, frozenset(pointers(verified.freeze, PROMOTION_TYPE)) - expected
        for pointer in sorted(expected):
            yield from self._pointed(pointer, slot)

    def _frozen(self, payload: Digest, verified: Verified) -> Iterator[Finding]:
        """Look for the freeze that an event holds (rule 1)."""
        place = layout.freeze(verified.id, payload)
        try:
            data = self._read(place, MAX_OBJECT).data
        except Missing:
            yield missing(place, verified.id)
            return
        if data != verified.payload:
            yield altered(place, verified.id)
        else:
            self.judged.append(place)

    def _sealed(self, payload: Digest, statement: PromotionStatement, verified: Verified) -> Iterator[Finding]:
        """Look for the seals that an event holds (rule 1)."""
        for entry in statement.predicate.approver:
            principal = entry.decided.principal
            place = layout.seal(payload, principal.issuer, principal.subject)
            try:
                data = self._read(place).data
            except Missing:
                yield Finding("finding", place, f"is missing, and the event {verified.id} holds it", "restore it from the event")
                continue
            if data != b64decode(entry.seal, place):
                yield Finding("finding", place, f"is another seal than the event {verified.id} holds", ALTERED)
            else:
                self.judged.append(place)

    def _pointed(self, pointer: str, slot: RequestId) -> Iterator[Finding]:
        """Look for a pointer that an event should have (rule 2). One that holds other bytes is told when it is looked at itself."""
        try:
            data = self._read(pointer).data
        except Missing:
            mend = f"without it the gate does not find the event; restore it: its bytes are {_pointer_bytes(slot)!r}"
            yield Finding("finding", pointer, f"is missing: the event {slot} has no such pointer", mend)
            return
        if data == _pointer_bytes(slot):
            self.judged.append(pointer)

    def _pointer(self, key: str) -> Iterator[Finding]:
        request = RequestId(layout.pointed_id(key))
        if self._read(key).data != _pointer_bytes(request):
            yield Finding("finding", key, f"does not point to {layout.event(request)}", ALTERED)

    def _blob(self, key: str) -> Iterator[Finding]:
        read_blob(self.reader.store, _hex_digest(key), limit=MAX_OBJECT)
        yield from ()

    def _freeze(self, key: str) -> Iterator[Finding]:
        _, request, _ = _parts(key, 3)
        freeze, _ = self.reader.freeze(RequestId(request), _hex_digest(key))
        if freeze.id != request:
            yield Finding("finding", key, f"is a freeze of the request {freeze.id}", ALTERED)

    def _seal(self, key: str) -> Iterator[Finding]:
        bundle = read_bundle(self._read(key).data, key)
        signed_by(bundle, self.reader.trust, key)
        seal = read_statement(SealStatement, bundle.payload, SEAL_TYPE, key).predicate
        principal = seal.decided.principal
        if layout.seal(seal.freeze, principal.issuer, principal.subject) != key:
            yield Finding("finding", key, f"is a seal of {principal.name} on the freeze {seal.freeze}", ALTERED)

    def _statement(self, key: str) -> Iterator[Finding]:
        _, kind, _ = _parts(key, 3)
        digest = _hex_digest(key)
        if kind == "trust":
            data = self._read(key, MAX_TRUST).data
            if sha256(data) != digest:
                yield Finding("finding", key, "does not hash to its key", ALTERED)
            read_trust(data, key)
            return
        bundle = read_bundle(self._read(key).data, key)
        if bundle.digest != digest:
            yield Finding("finding", key, f"is the statement {bundle.digest}", ALTERED)
        signed_by(bundle, self.reader.trust, key)
        if kind == "policy":
            read_statement(PolicyStatement, bundle.payload, POLICY_TYPE, key)
        elif kind == "delegation":
            read_statement(DelegationStatement, bundle.payload, DELEGATION_TYPE, key)
        elif kind == "passkey":
            read_statement(PasskeyStatement, bundle.payload, PASSKEY_TYPE, key)
        else:
            yield Finding("note", key, f"is a statement of the type {kind}, which this version cannot read further")

    def _correction(self, key: str) -> Iterator[Finding]:
        stored = self._read(key)
        request = opened_as(stored.data, CorrectionStatement, CORRECTION_TYPE, key).statement.predicate.request
        try:
            verified = self.reader.outcome(request)
        except Missing:
            yield Finding("finding", key, f"corrects the outcome of {request}, which has no event", "find out who wrote it")
            return
        if not key.startswith(layout.corrections_prefix(verified.digest)):
            yield Finding("finding", key, f"corrects the outcome of {request}, and lies under another event", ALTERED)
            return
        trust, target = self.reader.trust, verified.freeze.request.spec.target
        if counts(Filed(stored.data, stored.stored_at), trust, target, request, key) is None:
            yield Finding("note", key, "was signed under a key that was not good when this was stored, and counts for nothing")


def missing(key: str, event: RequestId) -> Finding:
    """Return what to say of an object that an event names, and that is not there."""
    return Finding("finding", key, f"is missing, and the event {event} names it", "restore it from a copy of the archive")


def altered(key: str, event: RequestId) -> Finding:
    """Return what to say of an object that an event names, and that holds other bytes."""
    return Finding("finding", key, f"does not hash to its key, and the event {event} names it", ALTERED)


def guarded(key: str, looking: Iterator[Finding]) -> tuple[tuple[Finding, ...], bool]:
    """Return the findings, with the error that ended them as the last, and whether they came to their end. `Unavailable` is raised."""
    found: list[Finding] = []
    try:
        found.extend(looking)
    except Unavailable:
        raise
    except (CouldNotTell, Refused) as error:
        return (*found, Finding("unsure", key, _said(error, key), error.mend)), False
    except SignoffError as error:
        return (*found, Finding("finding", key, _said(error, key), error.mend or ALTERED)), False
    return tuple(found), True


def _pointer_bytes(request: RequestId) -> bytes:
    return dumps({"event": layout.event(request)}) + b"\n"


def _hex_digest(key: str) -> Digest:
    digits = key.rpartition("/")[2]
    if not _DIGEST_KEY.fullmatch(digits):
        raise BadKey("does not end in a digest", key, "find out who wrote it")
    return Digest(f"sha256:{digits}")


def _parts(key: str, number: int) -> list[str]:
    parts = key.split("/")
    if len(parts) != number:
        raise BadKey("has no place in the layout", key, "find out who wrote it")
    return parts


def _said(error: SignoffError, key: str) -> str:
    text = str(error).removesuffix(f"; {error.mend}") if error.mend else str(error)
    return text.removeprefix(f"{key}: ")
