"""`signoff desk`: the frozen bytes, as they were decided on.

1. Every file is hashed against what the event (or the freeze) says of it before the first is written; where one differs, none is.
2. A folder that holds anything is left alone.
"""

from __future__ import annotations

import shutil
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Final
from uuid import uuid4

import click

from signoff.archive import layout
from signoff.archive.store import Damaged, Missing
from signoff.cli import find, options, output, reach
from signoff.cli.program import complain
from signoff.decision.seals import Filed, read_seal, read_submission
from signoff.desk.render import MAX_RENDITION
from signoff.errors import SignoffError
from signoff.record.bundle import MAX_BUNDLE, read_bundle
from signoff.record.canonical import b64decode
from signoff.record.check import opened
from signoff.record.freeze import MAX_PAYLOAD, Freeze
from signoff.record.promotion import as_json
from signoff.record.request import request_id, request_value
from signoff.record.seal import Decided
from signoff.record.values import Digest, RequestId, parse_digest, sha256
from signoff.verify.case import Case, Outcome
from signoff.verify.reader import Reader
from signoff.verify.verifier import Failed, verify

_EXAMPLES: Final = """
signoff desk 3fd2a9c41b --out credit-scoring-2.4.0
signoff desk sha256:9f1c… --out evidence
"""
_NAMES: Final = {"text/html": "desk.html", "text/plain": "desk.txt"}
_ENDINGS: Final = {"text/html": "html", "text/markdown": "md", "text/plain": "txt"}
_ALTERED: Final = "the archive was altered: call whoever guards it"


@dataclass(frozen=True)
class File:
    """A file to write: its path below the folder, its bytes, and what vouches for them."""

    path: str
    data: bytes
    word: str


@dataclass(frozen=True)
class Desk:
    """A frozen desk: whether it was decided, its title, and its files."""

    decided: bool
    title: str
    files: tuple[File, ...]


@options.command("desk", examples=_EXAMPLES)
@click.argument("event", metavar="EVENT|ID")
@click.option("--out", type=click.Path(path_type=Path), metavar="DIR", required=True, help="A new or empty folder.")
@click.option("--freeze", metavar="DIGEST", help="Which desk, where a request was frozen more than once and not decided.")
@options.archive()
@options.trust()
def command(event: str, out: Path, freeze: str | None, archive: str, trust: str) -> int:
    """Write out what was shown and what was signed, byte for byte: the desk, the explanation, the exact request, and the bundles.

    EVENT is an id, its beginning, or an event's digest. A request that is frozen and not decided yet is written as well.

    Exit code: 0 written, 1 something is not what it must be (nothing is written), 2 it could not be done.
    """
    _require_empty(out)
    reader = reach.reader(archive, trust)
    request = find.request(reader.store, event)
    try:
        desk = gather(reader, request, parse_digest(freeze, "--freeze") if freeze else None)
    except (Failed, Damaged) as error:
        complain(str(error))
        return 1
    _write(out, desk.files)
    state = "" if desk.decided else " (not decided yet)"
    output.tell(f"{desk.title}{state}")
    output.table([(file.path, str(sha256(file.data)), file.word) for file in desk.files], margin=2)
    return 0


def gather(reader: Reader, request: RequestId, chosen: Digest | None) -> Desk:
    """Return the desk of a request, every file checked; `Failed` and `Damaged` name what is not as it must be."""
    try:
        stored = reader.store.read(layout.event(request), limit=MAX_BUNDLE)
    except Missing:
        return _undecided(reader, request, chosen)
    outcome = Outcome(Filed(stored.data, stored.stored_at), request)
    verified = verify(outcome, reader.trust, reader.policies_of(outcome))
    freeze, digest = verified.freeze, sha256(verified.payload)
    payload = _named(reader, layout.freeze(request, digest), digest)
    case = Case(outcome, reader.trust, {})
    seals = [_seal(reader, digest, decided, held.filed.bundle) for decided, held in zip(verified.decisions, case.seals, strict=True)]
    event = File("event.sigstore.json", stored.data, f"the event {verified.digest[:19]}…, verified")
    return Desk(True, _title(freeze), (*_shown(reader, freeze, payload, "as the event says"), event, *seals))


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
    seals = [_archived_seal(reader, one, freeze) for one in reader.store.list(layout.seals_prefix(freezes[0]), limit=100)]
    return Desk(False, _title(freeze), (*_shown(reader, freeze, payload, "as the freeze says"), *seals))


def _require_asked(reader: Reader, freeze: Freeze, request: RequestId, stored_at: datetime, key: str) -> None:
    """Raise unless the freeze is of this request, and admission signed who submitted it; no event vouches for it yet."""
    asked = freeze.request
    hashed = request_id(request_value(asked.namespace, asked.name, as_json(asked.spec)))
    if not freeze.id == hashed == request:
        raise Damaged("the freeze is of another request", key, _ALTERED)
    for index, one in enumerate(freeze.submissions):
        where = f"{key}.submissions[{index}]"
        submission = read_submission(Filed(b64decode(one.bundle, where), stored_at), reader.trust, asked.spec.target, where)
        if submission.id != request:
            raise Damaged("the submission is of another request", where, _ALTERED)


def _shown(reader: Reader, freeze: Freeze, payload: bytes, word: str) -> list[File]:
    files = [File(_NAMES[one.mediaType], _blob(reader, one.digest), word) for one in freeze.renditions if one.mediaType in _NAMES]
    ending = _ENDINGS[freeze.explanation.mediaType]
    files.append(File(f"explanation.{ending}", _blob(reader, freeze.explanation.digest), word))
    files.append(File("request.json", payload, word))
    for number, brought in enumerate(opened(freeze.request.spec), 1):
        report = brought.check.report
        files.append(File(f"checks/{number}.sigstore.json", brought.bytes, f"the statement {brought.bundle.digest[:19]}…"))
        files.append(File(f"checks/{number}.{_ENDINGS[report.mediaType]}", _blob(reader, report.digest), "as the check says"))
    for considered in freeze.route.considered:
        files.append(_statement(reader, considered.statement, f"policies/{considered.name}.sigstore.json"))
        if considered.second is not None:
            files.append(_statement(reader, considered.second, f"policies/agreed/{considered.name}.sigstore.json"))
    return files


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


def _seal(reader: Reader, freeze: Digest, decided: Decided, held: bytes) -> File:
    key = layout.seal(freeze, decided.principal.issuer, decided.principal.subject)
    try:
        data = reader.store.read(key, limit=MAX_BUNDLE).data
    except Missing:
        raise Damaged("is missing, and the event holds it", key, "restore it from the event") from None
    if data != held:
        raise Damaged("is another seal than the event holds", key, _ALTERED)
    return _seal_file(key, data, decided)


def _archived_seal(reader: Reader, key: str, freeze: Freeze) -> File:
    stored = reader.store.read(key, limit=MAX_BUNDLE)
    seal = read_seal(Filed(stored.data, stored.stored_at), reader.trust, freeze.request.spec.target, key).seal
    return _seal_file(key, stored.data, seal.decided)


def _seal_file(key: str, data: bytes, decided: Decided) -> File:
    name = key.rpartition("/")[2][:12]
    return File(f"seals/{name}.sigstore.json", data, f"{decided.verdict} by {decided.principal.name}")


def _title(freeze: Freeze) -> str:
    model = freeze.request.spec.model
    return f"{model.name} {model.version} for {freeze.request.spec.target.environment}"


def _require_empty(out: Path) -> None:
    try:
        if out.exists() and (not out.is_dir() or any(out.iterdir())):
            raise SignoffError("is not an empty folder", where=str(out), mend="name a new one with --out")
    except OSError as error:
        raise SignoffError(f"cannot be looked at: {error.strerror}", where=str(out), mend="name another folder with --out") from None


def _write(out: Path, files: tuple[File, ...]) -> None:
    """Write everything beside the folder first, so that the folder holds all of it or nothing."""
    beside = out.absolute().with_name(f".{out.absolute().name}.{uuid4().hex[:8]}")
    try:
        for file in files:
            path = beside / file.path
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(file.data)
        beside.replace(out)
    except OSError as error:
        what = f"cannot be written: {error.strerror}; nothing was written"
        raise SignoffError(what, where=str(out), mend="name another folder with --out") from None
    finally:
        shutil.rmtree(beside, ignore_errors=True)
