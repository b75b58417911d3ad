"""The auditor's view of a frozen desk, put into words: how it stands, who signed what, by which policies, and whether it is true."""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import datetime
from typing import Final

from signoff.decision.consent import issuer_of
from signoff.decision.delegations import grant_of
from signoff.decision.passkeys import passkey_of
from signoff.desk.changes import changes_section
from signoff.desk.comparison import comparison_section, live_section
from signoff.desk.content import Fact, Facts, Prose
from signoff.evidence.account import ASSURANCES, Account, account, asks, identity, lines, place, validity
from signoff.evidence.answers import Step, derivation, places, steps
from signoff.evidence.frozen import PAGE, TEXT, Desk, File
from signoff.evidence.times import moment
from signoff.record.canonical import b64decode
from signoff.record.values import sha256
from signoff.replay.content import Named, Part, Piece, Source, Table, View
from signoff.verify.reader import Reader

LONGEST_WORDS: Final = 512 * 1024
"""Bytes of the longest text rendition that stands on the page; a longer one is in its file alone."""

_VERDICTS: Final = {"Approve": "approved", "Reject": "rejected"}
_LEFT: Final = frozenset(
    {"approved by", "rejected by", "policy", "rules saw", "REVOKED", "annotated", "CORRECTED?"}  # they stand in parts of their own
    | {"candidate", "incumbent", "challenger", "against", "live then"}
)


def view_of(reader: Reader, desk: Desk, now: datetime, back: str = "") -> View:
    """Return the view of a desk as it stands at ``now`` (aware)."""
    told = account(reader, desk.verified) if desk.verified is not None else None
    files = {file.path: file for file in desk.files}
    words = files[TEXT].data if TEXT in files else b""
    return View(
        title=desk.title,
        verdict=_verdict(told),
        standing=tuple(_standing(desk, told, now)),
        grave=told is not None and (told.revoked is not None or bool(told.unsure) or bool(desk.corrections.uncounted)),
        page=named(files[PAGE]),
        words=words.decode("utf-8", "replace") if len(words) <= LONGEST_WORDS else "",
        parts=tuple(_parts(reader, desk, told, now)),
        files=tuple(named(file) for file in desk.files),
        back=back,
    )


def named(file: File) -> Named:
    """Return a file as a page names it."""
    return Named(file.path, len(file.data), sha256(file.data), file.word)


def _verdict(told: Account | None) -> str:
    if told is None:
        return "not decided yet"
    return f"{told.verdict}, and revoked" if told.revoked is not None else told.verdict


def _standing(desk: Desk, told: Account | None, now: datetime) -> Iterator[str]:
    if told is None:
        yield f"Nothing was promoted or rejected by it as of {moment(now)}: there is no event."
        return
    if told.unsure:
        yield f"Whether it was revoked cannot be told: {told.unsure}. The gate admits nothing by it."
    elif told.revoked is not None:
        said = told.revoked.correction
        yield f"REVOKED by {said.principal.name} at {said.time}: {said.reason}"
    if desk.corrections.uncounted:
        yield f"{len(desk.corrections.uncounted)} of what lies among its corrections does not count: see there."
    if told.owed:
        yield "It was decided under an emergency rule. A full approval is owed, and there is none yet."
    yield f"For {place(desk.freeze)}. Stored {moment(told.verified.stored_at)}. Valid {validity(told.verified, now)}."
    yield f"Everything here that depends on the time is told as of {moment(now)}."


def _parts(reader: Reader, desk: Desk, told: Account | None, now: datetime) -> Iterator[Part]:
    yield Part("seals", "Who decided, and what they signed", tuple(_seals(desk)) or (Prose(("Nobody has decided.",)),))
    if told is not None:
        yield Part("corrections", "What was said of it afterwards", tuple(_corrections(told, desk)))
    yield Part("policies", "Under which policy", tuple(_policies(desk, told)))
    if told is not None:
        rest = [pair for pair in _labelled(lines(told, now)) if pair[0] not in _LEFT]
        yield Part("decided", "What was decided on", (Facts(tuple(Fact(_capital(label), values) for label, values in rest)),))
    yield Part("compared", "Against what", comparison_section(desk.freeze).blocks)
    changes = changes_section(desk.freeze)
    yield Part("changed-then", changes.title, changes.blocks)
    yield Part("live-then", "What was live", live_section(desk.freeze).blocks)
    yield Part("verification", "Is it true?", tuple(_verification(reader, desk, now)))
    payload = json.dumps(json.loads(desk.payload), indent=2, ensure_ascii=False)
    yield Part("payload", "The exact request", (Prose((_PAYLOAD,)), Source("request.json, spaced out to be read", payload)))


_PAYLOAD: Final = (
    "The bytes that were decided on are in request.json. Their sha256 names the freeze; each seal names it, "
    "and the event is signed over it."
)


def _seals(desk: Desk) -> Iterator[Piece]:
    shown = {one.digest: one.mediaType for one in desk.freeze.renditions}
    for sealed in desk.seals:
        decided, grant = sealed.decided, grant_of(sealed.decided)
        facts = [
            Fact("Printed name", (decided.principal.name,), identity(decided.principal.subject, decided.principal.issuer)),
            Fact("Decision", (_VERDICTS[decided.verdict],)),
            Fact("Date and time", (moment_of(decided.time),)),
            Fact("Meaning", (f"“{decided.meaning}”",)),
        ]
        if decided.comment is not None:
            facts.append(Fact("Comment", tuple(decided.comment.split("\n"))))
        if grant is not None:
            name = f"{grant.grantor.name}, who granted it at {grant.time} until {grant.validUntil}: {grant.reason}"
            facts.append(Fact("In the name of", (name,), identity(grant.grantor.subject, grant.grantor.issuer)))
        facts += [
            Fact("Role", (f"{', '.join(decided.roles)} ({', '.join(decided.groups)})",)),
            Fact("Method", (decided.method,)),
            Fact("Rests on", (ASSURANCES[decided.consent.assurance],)),
            Fact("Was shown", (_shown(shown.get(sealed.seal.rendition, "")),), sealed.seal.rendition),
        ]
        if decided.consent.proofs:
            token = b64decode(decided.consent.proofs[0].content, "consent").decode("ascii", "replace")
            facts.append(Fact("Proof", (f"ID token by {issuer_of(token)}",), "in the seal, with the key that it verifies under"))
        passkey = passkey_of(decided)
        if passkey is not None:
            registered = f"“{passkey.label}”, registered at {passkey.time} for {passkey.relyingParty}"
            facts.append(Fact("Passkey", (registered,), "in the seal, with its registration and what it signed"))
        if decided.explanationOpened:
            facts.append(Fact("Says", ("that the explanation was opened",)))
        facts.append(Fact("Seal", (sealed.digest,), f"{sealed.path}, signed under {sealed.key}", exact=True))
        yield Facts(tuple(facts))


def _shown(media_type: str) -> str:
    return {"text/html": f"the page ({PAGE})", "text/plain": f"the text ({TEXT})"}.get(
        media_type, "a rendition that the freeze does not name"
    )


def moment_of(time: str) -> str:
    """Return a time of the record for people."""
    return f"{time[:10]} {time[11:19]} UTC"


def _corrections(told: Account, desk: Desk) -> Iterator[Piece]:
    for one in told.corrections:
        said = one.correction
        yield Facts(
            (
                Fact(
                    "REVOKED by" if one.revokes else "Annotated by",
                    (said.principal.name,),
                    identity(said.principal.subject, said.principal.issuer),
                ),
                Fact("Date and time", (moment_of(said.time),), f"the archive took it {moment(one.stored_at)}"),
                Fact("Reason", tuple(said.reason.split("\n"))),
                Fact("Method", (said.method,)),
                Fact("Statement", (one.digest,), exact=True),
            )
        )
    if told.unsure:
        yield Prose((f"Whether it was revoked cannot be told: {told.unsure}.",))
    if desk.corrections.uncounted:
        yield Prose(("These lie there and do not count:", *desk.corrections.uncounted))
    if not (told.corrections or told.unsure or desk.corrections.uncounted):
        yield Prose(("Nothing: it was neither revoked nor annotated.",))


def _policies(desk: Desk, told: Account | None) -> Iterator[Piece]:
    route = desk.freeze.route
    yield Facts(
        (
            Fact("Policy", (route.policy,)),
            Fact("Rule", (f"{route.rule}: {route.tier}",)),
            Fact("Asks for", (asks(route.requirement),)),
        )
    )
    rows = []
    for number, one in enumerate(route.considered):
        published, agreed = (told.published[number], told.agreed[number]) if told is not None else (None, None)
        by = f"{published.publisher.name}, {moment_of(published.time)}" if published is not None else "not told before there is an event"
        by += f"; agreed to by {agreed.publisher.name}, {moment_of(agreed.time)}" if agreed is not None else ""
        rows.append((one.name, one.rule, one.tier, by, one.statement))
    yield Table(
        "Policies considered; the strictest counts", ("Policy", "Rule", "Tier", "Published by", "Statement"), tuple(rows), exact=(4,)
    )
    if route.inputs:
        inputs = tuple(sorted(route.inputs.items()))
        yield Table("What the rules saw", ("Input", "Value"), inputs, exact=(1,))


def _verification(reader: Reader, desk: Desk, now: datetime) -> Iterator[Piece]:
    if desk.outcome is None or desk.verified is None:
        yield Prose((_NO_EVENT,))
        return
    policies = reader.policies_of(desk.outcome)
    derived = derivation(desk.verified, reader.trust, policies)
    told = (*steps(desk.outcome, reader.trust, policies), Step(0, "derivation", derived, "" if derived == "ok" else UNDERIVED))
    yield _rules("The event, by the numbered rules", told)
    yield _rules(
        f"What the gate would say of its image at {moment(now)} in each place that it was promoted for", places(reader, desk.verified, now)
    )


_NO_EVENT: Final = (
    "There is no event to verify yet. Of this desk it was asked that its bytes are those that its digest names, that admission signed who "
    "asked for it, and that each seal shown counts: a decision on this very desk, signed by a trusted key, with the consent that is asked "
    "for. A seal that does not count decides nothing, and is not shown."
)
UNDERIVED: Final = "the route does not follow from the policies that it names and what was frozen"


def _rules(caption: str, told: tuple[Step, ...]) -> Table:
    rows = tuple((f"{step.number or '+'} {step.name}", step.answer, step.why) for step in told)
    return Table(caption, ("Rule", "Answer", "Why"), rows, grave=tuple(n for n, step in enumerate(told) if step.answer != "ok"))


def _capital(label: str) -> str:
    return label[:1].upper() + label[1:]


def _labelled(pairs: Iterator[tuple[str, str]]) -> list[tuple[str, tuple[str, ...]]]:
    found: list[tuple[str, tuple[str, ...]]] = []
    for label, value in pairs:
        if label:
            found.append((label, tuple(value.split("\n"))))
        else:
            found[-1] = (found[-1][0], (*found[-1][1], *value.split("\n")))
    return found
