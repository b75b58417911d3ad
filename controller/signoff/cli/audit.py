"""The audit of a whole archive: every object against the rules of its place.

 1. An event verifies, lies under its id, and everything that it names is there: its freeze, its desk and explanation, its seals.
 2. An event has all its pointers, and a pointer is one that its event makes. A pointer without an event is no finding: it promotes nothing,
    and a writer may have been stopped between the two.
 3. A blob hashes to its key, a freeze to its key and under its request's id.
 4. A seal is signed by a key that the trust file names, and lies under its freeze and its principal.
 5. A statement lies under its type and digest; a policy is signed by a key that the trust file names, a trust file reads as one.
 6. What has no place in the layout is a finding.

Whether something is missing cannot be told without a log.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Final, Literal

from signoff.archive import layout
from signoff.archive.file import MARKER
from signoff.archive.findings import findings_of
from signoff.archive.store import BadKey, Missing, Refused, Stored, Unavailable
from signoff.archive.write import read_blob
from signoff.decision.seals import CouldNotTell, Filed, signed_by
from signoff.errors import SignoffError
from signoff.operator.commit import pointers
from signoff.record.bundle import MAX_BUNDLE, read_bundle, read_statement
from signoff.record.canonical import b64decode, dumps
from signoff.record.promotion import PROMOTION_TYPE, REJECTION_TYPE, PromotionStatement
from signoff.record.seal import POLICY_TYPE, SEAL_TYPE, PolicyStatement, SealStatement
from signoff.record.trust import MAX_TRUST, read_trust
from signoff.record.values import Digest, RequestId, parse, sha256
from signoff.verify.case import Outcome
from signoff.verify.reader import Reader
from signoff.verify.verifier import Verified, verify

MAX_OBJECT: Final = 64 * 1024 * 1024
_ALTERED: Final = "keep it as evidence, restore it from a copy of the archive, and find out who changed it"
_DIGEST_KEY: Final = re.compile(r"[0-9a-f]{64}")

Kind = Literal["finding", "unsure", "note"]


@dataclass(frozen=True)
class Finding:
    """Something about a key: what is wrong, and what to do. ``unsure``: could not be told; ``note``: good to know, and nothing wrong."""

    kind: Kind
    key: str
    what: str
    mend: str = ""


@dataclass
class Audit:
    """One pass over an archive. ``counts`` are the objects seen, by folder, and ``promotions`` and ``rejections`` among the events."""

    reader: Reader
    counts: dict[str, int] = field(default_factory=dict)
    promotions: int = 0
    rejections: int = 0
    _pointers: dict[RequestId, frozenset[str]] = field(default_factory=dict)

    def findings(self, step: Callable[[str], None]) -> Iterator[Finding]:
        """Yield the findings as they come; ``step`` is told how far it is. `Unavailable` ends it."""
        # In the order of keys events come before models, repositories and subjects: what they point to is known by then.
        for number, key in enumerate(self.reader.store.list(""), 1):
            folder = key.partition("/")[0]
            self.counts[folder] = self.counts.get(folder, 0) + 1
            step(f"{number:,} objects, at {key[:60]}")
            try:
                yield from self._object(folder, key)
            except Unavailable:
                raise
            except (CouldNotTell, Refused) as error:
                yield Finding("unsure", key, _said(error, key), error.mend)
            except SignoffError as error:
                yield Finding("finding", key, _said(error, key), error.mend or _ALTERED)
        for told in findings_of(self.reader.store):
            yield Finding("finding", told.key, told.what, told.mend)

    def _object(self, folder: str, key: str) -> Iterator[Finding]:
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
        self.promotions += verified.promotes
        self.rejections += not verified.promotes
        yield from self._named(verified)
        yield from self._sealed(key, stored.data, verified)
        expected = frozenset(pointers(verified.freeze, PROMOTION_TYPE if verified.promotes else REJECTION_TYPE))
        self._pointers[slot] = expected
        for pointer in sorted(expected):
            yield from self._pointed(pointer, slot)

    def _named(self, verified: Verified) -> Iterator[Finding]:
        """Look for the freeze and the blobs that an event names (rule 1)."""
        freeze = verified.freeze
        payload = layout.freeze(verified.id, sha256(verified.payload))
        named = [freeze.explanation.digest, *(one.digest for one in freeze.renditions)]
        for key in (payload, *(layout.blob(digest) for digest in named)):
            try:
                data = self._read(key, MAX_OBJECT).data
            except Missing:
                yield Finding("finding", key, f"is missing, and the event {verified.id} names it", "restore it from a copy of the archive")
                continue
            if sha256(data).removeprefix("sha256:") != key.rpartition("/")[2]:
                yield Finding("finding", key, f"does not hash to its key, and the event {verified.id} names it", _ALTERED)

    def _sealed(self, key: str, bundle: bytes, verified: Verified) -> Iterator[Finding]:
        """Look for the seals that an event holds (rule 1)."""
        statement = read_statement(PromotionStatement, read_bundle(bundle, key).payload, _type(bundle, key), key)
        for entry in statement.predicate.approver:
            principal = entry.decided.principal
            place = layout.seal(sha256(verified.payload), principal.issuer, principal.subject)
            try:
                data = self._read(place).data
            except Missing:
                yield Finding("finding", place, f"is missing, and the event {verified.id} holds it", "restore it from the event")
                continue
            if data != b64decode(entry.seal, key):
                yield Finding("finding", place, f"is another seal than the event {verified.id} holds", _ALTERED)

    def _pointed(self, pointer: str, slot: RequestId) -> Iterator[Finding]:
        """Look for a pointer that an event should have (rule 2)."""
        try:
            self._read(pointer)
        except Missing:
            mend = f"without it the gate does not find the event; restore it: its bytes are {_pointer_bytes(slot)!r}"
            yield Finding("finding", pointer, f"is missing: the event {slot} has no such pointer", mend)

    def _pointer(self, key: str) -> Iterator[Finding]:
        request = RequestId(layout.pointed_id(key))
        if self._read(key).data != _pointer_bytes(request):
            yield Finding("finding", key, f"does not point to {layout.event(request)}", _ALTERED)
        expected = self._pointers.get(request)
        if expected is None and not self._has_event(request):
            yield Finding("note", key, "points to a request without an event: nothing was promoted by it")
        elif expected is not None and key not in expected:
            yield Finding(
                "finding", key, f"is no pointer of the event {request}", "find out who wrote it; the gate believes the event alone"
            )

    def _has_event(self, request: RequestId) -> bool:
        try:
            self._read(layout.event(request))
        except Missing:
            return False
        return True

    def _blob(self, key: str) -> Iterator[Finding]:
        read_blob(self.reader.store, _hex_digest(key), limit=MAX_OBJECT)
        yield from ()

    def _freeze(self, key: str) -> Iterator[Finding]:
        _, request, _ = _parts(key, 3)
        freeze, _ = self.reader.freeze(RequestId(request), _hex_digest(key))
        if freeze.id != request:
            yield Finding("finding", key, f"is a freeze of the request {freeze.id}", _ALTERED)

    def _seal(self, key: str) -> Iterator[Finding]:
        bundle = read_bundle(self._read(key).data, key)
        signed_by(bundle, self.reader.trust, key)
        seal = read_statement(SealStatement, bundle.payload, SEAL_TYPE, key).predicate
        principal = seal.decided.principal
        if layout.seal(seal.freeze, principal.issuer, principal.subject) != key:
            yield Finding("finding", key, f"is a seal of {principal.name} on the freeze {seal.freeze}", _ALTERED)

    def _statement(self, key: str) -> Iterator[Finding]:
        _, kind, _ = _parts(key, 3)
        digest = _hex_digest(key)
        if kind == "trust":
            data = self._read(key, MAX_TRUST).data
            if sha256(data) != digest:
                yield Finding("finding", key, "does not hash to its key", _ALTERED)
            read_trust(data, key)
            return
        bundle = read_bundle(self._read(key).data, key)
        if bundle.digest != digest:
            yield Finding("finding", key, f"is the statement {bundle.digest}", _ALTERED)
        signed_by(bundle, self.reader.trust, key)
        if kind == "policy":
            read_statement(PolicyStatement, bundle.payload, POLICY_TYPE, key)
        else:
            yield Finding("note", key, f"is a statement of the type {kind}, which this version cannot read further")

    def _correction(self, key: str) -> Iterator[Finding]:
        yield Finding("note", key, "is a correction, which this version cannot read; the gate admits nothing by the event that it is about")


def _type(bundle: bytes, where: str) -> str:
    return parse(PromotionStatement, read_bundle(bundle, where).payload, where).predicateType


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
