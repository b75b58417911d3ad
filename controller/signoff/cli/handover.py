"""What goes into a pack: each event with everything that was signed over it, and what lies there and is not believed.

1. An event is gathered with every file checked (`frozen`). Where one differs from what the event says of it, nothing is handed over.
2. An event that the verifier refuses, or of which it could not tell, is handed over as it lies there, with the verifier's words.
3. Whatever depends on the time is told as of when the archive took the event or its latest correction, so that the same archive gives the
   same pack.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Final

from signoff.archive import layout
from signoff.archive.store import ArchiveError, Missing, Stored, Unavailable
from signoff.decision.seals import CouldNotTell
from signoff.desk.legible import legible
from signoff.errors import SignoffError
from signoff.evidence.account import Account, account, machine
from signoff.evidence.answers import Step, derivation, places, steps
from signoff.evidence.entries import entries_of, second, titled
from signoff.evidence.frozen import Desk, File, decided_desk
from signoff.evidence.times import stamp
from signoff.evidence.view import named, view_of
from signoff.record.bundle import MAX_BUNDLE
from signoff.record.canonical import Json
from signoff.record.promotion import PROMOTION_TYPE, REJECTION_TYPE
from signoff.record.seal import SEAL_TYPE
from signoff.record.values import Digest, RequestId, hex_of
from signoff.replay.content import Commands, Part
from signoff.replay.page import page_of
from signoff.replay.statement import statement_of
from signoff.replay.timeline import Entry
from signoff.verify.case import Outcome
from signoff.verify.reader import Reader
from signoff.verify.verifier import Failed

EPOCH: Final = datetime(1980, 1, 1, tzinfo=UTC)


@dataclass(frozen=True)
class Handed:
    """One request as it is handed over: its files, below its folder; when the archive took the latest of it; its entries in the timeline.

    ``state``: ``believed``, ``undecided``, ``not believed`` or ``could not tell``. ``why``: in words, where it is not believed.
    """

    id: RequestId
    state: str
    why: str
    files: tuple[File, ...]
    time: datetime
    entries: tuple[Entry, ...]


def folder_of(request: RequestId) -> str:
    """Return where a request's files lie in a pack."""
    return f"events/{request}"


def handed(reader: Reader, request: RequestId, version: str | None, environment: str | None) -> Handed | None:
    """Return a request as it is handed over; None where it is of another version or environment than is asked for (None asks for all).

    `Damaged` names what differs from what an event says of it (rule 1); `Unavailable` where the archive is out of reach.
    """
    try:
        stored = reader.store.read(layout.event(request), limit=MAX_BUNDLE)
    except Missing:
        return _undecided(request)
    except Unavailable:
        raise
    except ArchiveError as error:
        return _refused(request, None, error)
    try:
        desk = decided_desk(reader, request, stored)
    except (Failed, CouldNotTell) as error:
        return _refused(request, stored, error)
    spec = desk.freeze.request.spec
    if version not in {None, spec.model.version} or environment not in {None, spec.target.environment}:
        return None
    return _believed(reader, desk)


def _believed(reader: Reader, desk: Desk) -> Handed:
    outcome, verified = desk.outcome, desk.verified
    if outcome is None or verified is None or verified.stored_at is None:
        raise CouldNotTell("the archive does not say when it took the event", where=layout.event(desk.freeze.id))
    now = max(verified.stored_at, desk.corrections.latest or verified.stored_at)
    told = account(reader, verified)
    kind = PROMOTION_TYPE if verified.promotes else REJECTION_TYPE
    view = view_of(reader, desk, now, back="../../index.html")
    commands = Part("commands", "Verify it with cosign, in this folder", (Commands(tuple(_commands(desk, kind))),))
    files = (
        *desk.files,
        File("event.pub", _public(reader, outcome.bundle.key_id), "the event's key, from the trust file"),
        File("predicate-type.txt", f"{kind}\n".encode(), "what cosign is asked for"),
        File("statement.json", _statement(reader, outcome, told, now), "this view for machines"),
    )
    view = replace(view, parts=(*view.parts, commands), files=tuple(named(file) for file in files))
    text = File("statement.txt", statement_of(view), "this view as text")
    page = page_of(replace(view, files=(*view.files, named(text))))
    files = tuple(sorted((*files, text, File("index.html", page, "this view")), key=lambda one: one.path))
    why = told.unsure or "; ".join(desk.corrections.uncounted)
    entries = tuple(entries_of(told, f"{folder_of(verified.id)}/index.html"))
    return Handed(verified.id, "could not tell" if told.unsure else "believed", why, files, now, entries)


def _commands(desk: Desk, kind: str) -> Iterator[str]:
    signed = [("event.pub", "event.sigstore.json", kind)]
    signed += [(f"../../keys/{hex_of(one.key)}.pub", one.path, SEAL_TYPE) for one in desk.seals]
    for key, bundle, predicate_type in signed:
        yield (
            f"cosign verify-blob-attestation --key {key} --bundle {bundle} --type {predicate_type} --insecure-ignore-tlog=true request.json"
        )


def _public(reader: Reader, key_id: Digest) -> bytes:
    key = reader.trust.key(key_id)
    if key is None:
        raise CouldNotTell("the trust file does not name the key of a verified event", where=key_id)
    return key.publicKey.encode()


def _statement(reader: Reader, outcome: Outcome, told: Account, now: datetime) -> bytes:
    policies = reader.policies_of(outcome)
    value: dict[str, Json] = {
        "asOf": stamp(now),
        "account": machine(told, now),
        "rules": [_answer(step) for step in steps(outcome, reader.trust, policies)],
        "derivation": derivation(told.verified, reader.trust, policies),
        "gate": [_answer(step) for step in places(reader, told.verified, now)],
        "correctionsUntold": told.unsure or None,
    }
    return (json.dumps(value, indent=2) + "\n").encode("ascii")


def _answer(step: Step) -> dict[str, Json]:
    return {"number": step.number, "name": step.name, "answer": step.answer, "why": step.why or None}


def _undecided(request: RequestId) -> Handed:
    words = "the archive knows this request and has no event of it: nothing was promoted or rejected"
    return Handed(request, "undecided", "", (), EPOCH, (Entry("", "undecided", titled(request), "", request, (words,), ""),))


def _refused(request: RequestId, stored: Stored | None, error: SignoffError) -> Handed:
    """Return what lies in an event's place and is not believed, as it lies there (rule 2)."""
    state = "could not tell" if isinstance(error, CouldNotTell) else "not believed"
    time = stored.stored_at if stored is not None else EPOCH
    text = f"{state.upper()}: nothing rests on what lies here.\n\n{legible(str(error))}\n".encode("utf-8", "replace")
    files = [File("statement.txt", text, "why")]
    if stored is not None:
        files.insert(0, File("event.sigstore.json", stored.data, "as it lies in the archive"))
    address = f"{folder_of(request)}/statement.txt"
    entry = Entry(second(stored.stored_at if stored else None), state, titled(request), "", request, (str(error),), address)
    return Handed(request, state, str(error), tuple(files), time, (entry,))
