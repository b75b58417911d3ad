"""A frozen desk with everything that was signed over it, gathered from the archive.

1. Every file is hashed against what the event (or the freeze) says of it, or is the very statement that is named; where one differs,
   nothing is returned and `Damaged` names it.
2. What lies among an event's corrections and does not count is gathered as well, and told as that.
3. A file that a browser would run is named ``.txt``, so that nobody opens it by accident: its bytes are somebody else's.
4. A path is made of safe parts alone, whatever a record says.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from signoff.archive import layout
from signoff.archive.store import Damaged, Missing, Stored
from signoff.decision.corrections import counts
from signoff.decision.frozen import believe_submissions
from signoff.decision.passkeys import registration_of
from signoff.decision.seals import CouldNotTell, Filed
from signoff.desk.explanation import ENDINGS
from signoff.desk.render import MAX_RENDITION
from signoff.errors import SignoffError
from signoff.record.bundle import MAX_BUNDLE, read_bundle
from signoff.record.canonical import b64decode
from signoff.record.check import opened
from signoff.record.freeze import MAX_PAYLOAD, Freeze
from signoff.record.promotion import SealedDecision, as_json
from signoff.record.request import request_id, request_value
from signoff.record.seal import Decided, Seal, SealStatement
from signoff.record.values import Digest, RequestId, hex_of, parse, sha256
from signoff.verify.case import Case, Outcome
from signoff.verify.reader import MAX_CORRECTIONS, Reader
from signoff.verify.sealed import sealed_on
from signoff.verify.verifier import Verified, verify

PAGE: Final = "desk.html"
TEXT: Final = "desk.txt"
_NAMES: Final = {"text/html": PAGE, "text/plain": TEXT}
_ALTERED: Final = "the archive was altered: call whoever guards it"
_SAFE: Final = re.compile(r"[a-z0-9][a-z0-9.-]{0,199}")


@dataclass(frozen=True)
class File:
    """A file to write: its path below the folder, its bytes, and what vouches for them."""

    path: str
    data: bytes
    word: str


@dataclass(frozen=True)
class Sealed:
    """A seal that was gathered: what it says, the digest of its statement, the key that it names, and its file's path."""

    seal: Seal
    digest: Digest
    key: Digest
    path: str

    @property
    def decided(self) -> Decided:
        """The decision."""
        return self.seal.decided


@dataclass(frozen=True)
class Corrections:
    """What lies among an event's corrections: the files, when the store took the latest, and in words what does not count."""

    files: tuple[File, ...]
    latest: datetime | None
    uncounted: tuple[str, ...]


@dataclass(frozen=True)
class Desk:
    """A frozen desk: what it froze, its files, its seals; and the outcome with its corrections, where it was decided (else None)."""

    freeze: Freeze
    payload: bytes
    files: tuple[File, ...]
    seals: tuple[Sealed, ...]
    outcome: Outcome | None
    verified: Verified | None
    corrections: Corrections

    @property
    def decided(self) -> bool:
        """Whether it was decided."""
        return self.verified is not None

    @property
    def title(self) -> str:
        """Model, version and environment."""
        model = self.freeze.request.spec.model
        return f"{model.name} {model.version} for {self.freeze.request.spec.target.environment}"


_NOTHING: Final = Corrections((), None, ())


def gather(reader: Reader, request: RequestId, chosen: Digest | None = None) -> Desk:
    """Return the desk of a request, every file checked; `Failed` and `Damaged` name what is not as it must be."""
    try:
        stored = reader.store.read(layout.event(request), limit=MAX_BUNDLE)
    except Missing:
        return _undecided(reader, request, chosen)
    return decided_desk(reader, request, stored)


def decided_desk(reader: Reader, request: RequestId, stored: Stored) -> Desk:
    """Return the desk of a request whose event was read; raises as `gather`, and `CouldNotTell`."""
    outcome = Outcome(Filed(stored.data, stored.stored_at), request)
    verified = verify(outcome, reader.trust, reader.policies_of(outcome))
    freeze, digest = verified.freeze, sha256(verified.payload)
    payload = _named(reader, layout.freeze(request, digest), digest)
    case = Case(outcome, reader.trust, {})
    held = [_seal(reader, digest, decided, inside.filed.bundle) for decided, inside in zip(verified.decisions, case.seals, strict=True)]
    event = File("event.sigstore.json", stored.data, f"the event {verified.digest[:19]}…, verified")
    corrections = _corrections(reader, verified)
    files = (*_shown(reader, freeze, payload, "as the event says"), event, *_signed(freeze, held), *corrections.files)
    return Desk(freeze, payload, files, tuple(one for one, _ in held), outcome, verified, corrections)


def _undecided(reader: Reader, request: RequestId, chosen: Digest | None) -> Desk:
    freezes = [Digest(f"sha256:{key.rpartition('/')[2]}") for key in reader.store.list(layout.freezes_prefix(request), limit=100)]
    if chosen is not None:
        freezes = [one for one in freezes if one == chosen]
    if len(freezes) != 1:
        what = f"was frozen {len(freezes)} times: {', '.join(freezes)}" if freezes else "has no such desk"
        raise SignoffError(what, where=request, mend="choose one with --freeze; the promotion's status names the one in use")
    key = layout.freeze(request, freezes[0])
    freeze, payload = reader.freeze(request, freezes[0])
    stored_at = reader.store.read(key, limit=MAX_PAYLOAD).stored_at
    _require_asked(reader, freeze, request, stored_at, key)
    held = [_counted(freezes[0], one) for one in sealed_on(reader, freeze, freezes[0])]
    files = (*_shown(reader, freeze, payload, "as the freeze says"), *_signed(freeze, held))
    return Desk(freeze, payload, files, tuple(one for one, _ in held), None, None, _NOTHING)


def _require_asked(reader: Reader, freeze: Freeze, request: RequestId, stored_at: datetime, key: str) -> None:
    """Raise unless the freeze is of this request, and admission signed who submitted it; no event vouches for it yet."""
    asked = freeze.request
    hashed = request_id(request_value(asked.namespace, asked.name, as_json(asked.spec)))
    if not freeze.id == hashed == request:
        raise Damaged("the freeze is of another request", key, _ALTERED)
    believe_submissions(freeze, reader.trust, stored_at, key)


def _shown(reader: Reader, freeze: Freeze, payload: bytes, word: str) -> list[File]:
    files = [File(_NAMES[one.mediaType], _blob(reader, one.digest), word) for one in freeze.renditions if one.mediaType in _NAMES]
    ending = ENDINGS[freeze.explanation.mediaType]
    files.append(File(f"explanation.{ending}", _blob(reader, freeze.explanation.digest), word))
    files.append(File("request.json", payload, word))
    for number, brought in enumerate(opened(freeze.request.spec), 1):
        report = brought.check.report
        files.append(File(f"checks/{number}.sigstore.json", brought.bytes, f"the statement {brought.bundle.digest[:19]}…"))
        files.append(File(f"checks/{number}.{ENDINGS[report.mediaType]}", _blob(reader, report.digest), "as the check says"))
    for considered in freeze.route.considered:
        name = considered.name if _SAFE.fullmatch(considered.name) else hex_of(considered.statement)
        files.append(_statement(reader, considered.statement, f"policies/{name}.sigstore.json"))
        if considered.second is not None:
            files.append(_statement(reader, considered.second, f"policies/agreed/{name}.sigstore.json"))
    return files


def _signed(freeze: Freeze, held: list[tuple[Sealed, File]]) -> Iterator[File]:
    """Yield the seals, the grants and passkeys that they rest on, and the statements of who asked; the verifier asked all (9, 10)."""
    grants, passkeys = dict[Digest, bytes](), dict[Digest, bytes]()
    for sealed, file in held:
        yield file
        grants |= {one.digest: b64decode(one.bundle, "seal.delegation") for one in sealed.decided.delegation}
        registration = registration_of(sealed.decided)
        if registration is not None:
            passkeys[read_bundle(registration, "seal.consent").digest] = registration
    for folder, statements in (("grants", grants), ("passkeys", passkeys)):
        for digest, bundle in sorted(statements.items()):
            yield File(f"{folder}/{hex_of(digest)}.sigstore.json", bundle, f"the statement {digest[:19]}…")
    for number, one in enumerate(freeze.submissions, 1):
        bundle = b64decode(one.bundle, "freeze.submissions")
        yield File(f"submissions/{number}.sigstore.json", bundle, f"asked by {one.principal.name}")


def _corrections(reader: Reader, verified: Verified) -> Corrections:
    """Return whatever lies among the corrections of an outcome (rule 2), as far as an event may have them."""
    files: list[File] = []
    uncounted: list[str] = []
    latest: datetime | None = None
    target = verified.freeze.request.spec.target
    prefix = layout.corrections_prefix(verified.digest)
    for key in reader.store.list(prefix, limit=MAX_CORRECTIONS):
        stored = reader.store.read(key, limit=MAX_BUNDLE)
        latest = max(latest, stored.stored_at) if latest is not None else stored.stored_at
        name = key.removeprefix(prefix)
        try:
            one = counts(Filed(stored.data, stored.stored_at), reader.trust, target, verified.id, key)
            word = str(one) if one is not None else "counts for nothing: its key was not valid when the store took it"
        except CouldNotTell as error:
            one, word = None, f"NOT BELIEVED: {error}"
        if one is None:
            uncounted.append(f"{name}: {word}")
        path = f"corrections/{name if _SAFE.fullmatch(name) else hex_of(sha256(key.encode()))}.sigstore.json"
        files.append(File(path, stored.data, word))
    return Corrections(tuple(files), latest, tuple(uncounted))


def _statement(reader: Reader, digest: Digest, path: str) -> File:
    bundle = reader.policy(digest).bundle
    if read_bundle(bundle, path).digest != digest:
        raise Damaged("is another statement", layout.statement("policy", digest), _ALTERED)
    return File(path, bundle, f"the statement {digest[:19]}…")


def _blob(reader: Reader, digest: Digest) -> bytes:
    return _named(reader, layout.blob(digest), digest)


def _named(reader: Reader, key: str, digest: Digest) -> bytes:
    try:
        data = reader.store.read(key, limit=MAX_RENDITION).data
    except Missing:
        raise Damaged("is missing", key, "restore it from a copy of the archive") from None
    if sha256(data) != digest:
        raise Damaged(f"hashes to {sha256(data)}", key, _ALTERED)
    return data


def _seal(reader: Reader, freeze: Digest, decided: Decided, held: bytes) -> tuple[Sealed, File]:
    key = layout.seal(freeze, decided.principal.issuer, decided.principal.subject)
    try:
        data = reader.store.read(key, limit=MAX_BUNDLE).data
    except Missing:
        raise Damaged("is missing, and the event holds it", key, "restore it from the event") from None
    if data != held:
        raise Damaged("is another seal than the event holds", key, _ALTERED)
    return _sealed(key, data, parse(SealStatement, read_bundle(data, key).payload, key).predicate)


def _counted(freeze: Digest, sealed: SealedDecision) -> tuple[Sealed, File]:
    principal = sealed.seal.decided.principal
    return _sealed(layout.seal(freeze, principal.issuer, principal.subject), sealed.bundle, sealed.seal)


def _sealed(key: str, data: bytes, seal: Seal) -> tuple[Sealed, File]:
    bundle, path = read_bundle(data, key), f"seals/{key.rpartition('/')[2][:12]}.sigstore.json"
    word = f"{seal.decided.verdict} by {seal.decided.principal.name}"
    return Sealed(seal, bundle.digest, bundle.key_id, path), File(path, data, word)
