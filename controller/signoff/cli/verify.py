"""`signoff verify`: one event, rule by rule, or the whole archive."""

from __future__ import annotations

import os
import time
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

import click

from signoff.archive import layout
from signoff.archive.store import Missing
from signoff.cli import find, options, output, reach
from signoff.cli.audit import Audit
from signoff.cli.audit_hands import Place
from signoff.cli.audit_objects import Finding
from signoff.cli.progress import progress
from signoff.decision.seals import Filed
from signoff.errors import SignoffError
from signoff.evidence.account import account, lines, machine
from signoff.evidence.answers import Step, derivation, steps
from signoff.evidence.times import moment
from signoff.record.bundle import MAX_BUNDLE
from signoff.record.canonical import Json
from signoff.record.trust import Trust
from signoff.record.values import Digest
from signoff.verify.case import Outcome
from signoff.verify.reader import Reader
from signoff.verify.verifier import RULES, Verified, verify

_EXAMPLES: Final = """
signoff verify                      everything that the archive holds
signoff verify 3fd2a9c41b           one event, by the beginning of its id
signoff verify sha256:9f1c…         one event, by its digest
signoff verify --bundle event.sigstore.json
signoff verify --bundle event.sigstore.json --trust-file trust.json
"""
_NO_LOG: Final = "hether something is missing cannot be told without a log."


@options.command("verify", examples=_EXAMPLES)
@click.argument("event", required=False)
@click.option("--bundle", type=click.Path(path_type=Path), metavar="FILE", help="Verify the bundle in this file.")
@click.option("--trust-file", type=click.Path(path_type=Path), metavar="FILE", help="For --bundle without an archive: the trust file.")
@click.option(
    "--jobs", type=click.IntRange(1, 256), metavar="N", help="Verify the archive by N processes.  [default: as many as there are cores]"
)
@options.archive(required=False)
@options.trust(required=False)
@options.output()
def command(
    event: str | None, bundle: Path | None, trust_file: Path | None, jobs: int | None, archive: str | None, trust: str | None, form: str
) -> int:
    """Verify EVENT (an id, its beginning, or the event's digest), a bundle, or without either the whole archive.

    Exit code: 0 all of it verifies, 1 something does not, 2 it could not be told.
    """
    as_json = form == "json"
    if bundle is not None:
        return _lone(bundle, trust_file, archive, trust, as_json=as_json)
    if archive is None or trust is None:
        missing = "--archive" if archive is None else "--trust"
        raise SignoffError("is missing", where=missing, mend=f"give {missing}, or a bundle with --bundle and --trust-file")
    reader = reach.reader(archive, trust)
    if event is not None:
        return _one(reader, event, as_json=as_json)
    audit = Audit(reader, Place(archive, trust), jobs or len(os.sched_getaffinity(0)))
    return _whole(audit, as_json=as_json)


def _one(reader: Reader, event: str, *, as_json: bool) -> int:
    request = find.request(reader.store, event)
    key = layout.event(request)
    try:
        stored = reader.store.read(key, limit=MAX_BUNDLE)
    except Missing:
        raise find.NotFound("has no event: nothing was promoted or rejected", where=request, mend=f"see: signoff why {request}") from None
    outcome = Outcome(Filed(stored.data, stored.stored_at), request)
    return _tell(outcome, reader.trust, reader.policies_of(outcome), reader, key, as_json=as_json)


def _lone(path: Path, trust_file: Path | None, archive: str | None, trust: str | None, *, as_json: bool) -> int:
    outcome = Outcome(Filed(reach.file_bytes(path, MAX_BUNDLE), None), None)
    if archive is not None and trust is not None:
        reader = reach.reader(archive, trust)
        return _tell(outcome, reader.trust, reader.policies_of(outcome), reader, str(path), as_json=as_json)
    if trust_file is None:
        raise SignoffError("is missing", where="--trust-file", mend="give the trust file, or --archive and --trust")
    return _tell(outcome, reach.trust_file(trust_file, trust), {}, None, str(path), as_json=as_json)


def _tell(outcome: Outcome, trust: Trust, policies: Mapping[Digest, Filed], reader: Reader | None, where: str, *, as_json: bool) -> int:
    told = steps(outcome, trust, policies)
    answers = {step.answer for step in told}
    verified = verify(outcome, trust, policies) if answers == {"ok"} else None
    derived = derivation(verified, trust, policies) if verified is not None else None
    answers |= {derived} if derived is not None else set()
    if as_json:
        output.as_machine(_machine(told, verified, reader, where, derived))
    else:
        _print(told, verified, reader, outcome, where, derived)
    return 1 if "FAILED" in answers else 2 if "could not tell" in answers else 0


def _machine(told: tuple[Step, ...], verified: Verified | None, reader: Reader | None, where: str, derived: str | None) -> Json:
    rules: list[Json] = [
        {"number": step.number, "name": step.name, "answer": step.answer, **({"why": step.why} if step.why else {})} for step in told
    ]
    value: dict[str, Json] = {"bundle": where, "verified": derived == "ok", "rules": rules, "derivation": derived}
    if verified is not None and reader is not None:
        value["account"] = machine(account(reader, verified), datetime.now(UTC))
    return value


def _print(
    told: tuple[Step, ...], verified: Verified | None, reader: Reader | None, outcome: Outcome, where: str, derived: str | None
) -> None:
    output.facts([("bundle", where), ("stored", moment(outcome.filed.stored_at))], label=14)
    output.tell()
    for step in told:
        colour: output.Colour = "green" if step.answer == "ok" else "red" if step.answer == "FAILED" else "yellow"
        output.tell(f"{step.number:>2}  {step.name:<13}{output.word(step.answer, colour)}")
        if step.why:
            output.paragraph(step.why, first=" " * 4)
    left = [rule for rule in RULES if rule.number > told[-1].number]
    if left:
        output.tell(f"    not looked at: {', '.join(f'{rule.number} {rule.name}' for rule in left)}")
    if verified is None:
        return
    output.tell(f" +  {'derivation':<13}{output.word(str(derived), 'green' if derived == 'ok' else 'red')}")
    if derived != "ok":
        output.paragraph("the route does not follow from the policies that it names and what was frozen", first=" " * 4)
    output.tell()
    spec = verified.freeze.request.spec
    promoted = "promoted" if verified.promotes else "rejected"
    output.tell(f"{spec.model.name} {spec.model.version}  {output.word(promoted, 'green' if verified.promotes else 'red')}")
    pairs = lines(account(reader, verified), datetime.now(UTC)) if reader is not None else _short(verified)
    output.facts(pairs, margin=2, label=14)


def _short(verified: Verified) -> list[tuple[str, str]]:
    names = ", ".join(f"{one.principal.name} at {one.time}" for one in verified.decisions)
    return [("decided by", names), ("id", verified.id), ("event", verified.digest)]


def _whole(audit: Audit, *, as_json: bool) -> int:
    with progress("verifying", elsewhere=False) as shown:
        begun = time.monotonic()

        def step(objects: int) -> None:
            rate = objects / max(time.monotonic() - begun, 0.001)
            shown.step(f"{objects:,} objects, {audit.promotions + audit.rejections:,} events; {rate:,.0f} objects a second")

        found = list(audit.findings(step))
    if as_json:
        listed: list[Json] = [{"kind": one.kind, "key": one.key, "what": one.what, "mend": one.mend} for one in found]
        counted: dict[str, Json] = {**audit.counts, "promotions": audit.promotions, "rejections": audit.rejections}
        output.as_machine({"clean": not _wrong(found), "counts": counted, "findings": listed, "complete": None})
    else:
        _print_findings(audit, found)
    wrong = _wrong(found)
    return 1 if any(one.kind == "finding" for one in wrong) else 2 if wrong else 0


def _print_findings(audit: Audit, found: list[Finding]) -> None:
    headings = {"finding": output.word("FINDING", "red"), "unsure": output.word("COULD NOT TELL", "yellow"), "note": "note"}
    for one in found:
        output.tell(f"{headings[one.kind]}")
        output.paragraph(one.key, first="  ")
        output.paragraph(one.what, first="  ")
        if one.mend:
            output.paragraph(one.mend, first="  to do: ")
        output.tell()
    outcomes = f"{output.count(audit.promotions, 'promotion')}, {output.count(audit.rejections, 'rejection')}"
    folders = ", ".join(f"{name} {number:,}" for name, number in sorted(audit.counts.items()) if "." not in name)
    output.paragraph(f"{outcomes} verify. Objects: {folders or 'none'}.")
    wrong = _wrong(found)
    counted = f"{output.count(len(wrong), 'finding')}. W" if wrong else "No findings: what is here verifies; w"
    output.paragraph(f"{counted}{_NO_LOG}")


def _wrong(found: list[Finding]) -> list[Finding]:
    return [one for one in found if one.kind != "note"]
