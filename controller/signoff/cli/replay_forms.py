"""What was replayed, written out: for people, for machines, for a table, as a page; each is written as it is read, one by one.

1. JSON are lines: one for each promotion (``kind: promotion``), and at the end one (``kind: summary``) with what all of them come to.
2. CSV is RFC 4180 with a header. A cell that a spreadsheet would take for a formula (it begins with = + - @, their wide twins, a tab or a
   line's end) gets a ' before it (OWASP, CSV injection).
3. The page stands alone: no script, no request; every value is escaped by the template, and legible.
4. Text and page begin with the summary, and tell only what differs; JSON and CSV tell every promotion.
"""

from __future__ import annotations

import csv
import json
import sys
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from signoff.cli import output
from signoff.cli.output import Colour
from signoff.cli.replay_spool import Spool
from signoff.cli.replayed import Approver, Promoted, Replayed, Side
from signoff.desk.legible import legible
from signoff.desk.markup import environment
from signoff.evidence.account import Pair
from signoff.evidence.times import moment
from signoff.record.canonical import Json

VERDICTS: Final = ("same", "stricter", "laxer", "not covered", "could not tell")
_COLOURS: Final[Mapping[str, Colour]] = {"stricter": "red", "not covered": "yellow", "could not tell": "yellow", "laxer": "green"}
_SECURITY: Final = "default-src 'none'; style-src 'unsafe-inline'; form-action 'none'; base-uri 'none'"
_FORMULAS: Final = tuple("=+-@\t\r\n\uff1d\uff0b\uff0d\uff20")
_PASSED: Final = {"rejected": "rejection", "undecided": "undecided request", "elsewhere": "outcome for other environments"}
_LABEL: Final = 14


@dataclass(frozen=True)
class Told:
    """What is written: what was replayed, against which policies (name and digest of the text), at which time, and of which namespaces it
    could not be told what runs, with why (None: nobody asked).
    """

    spool: Spool
    what: str
    policies: tuple[tuple[str, str], ...]
    at: str
    untold: tuple[tuple[str, str], ...] | None = None


def as_text(told: Told) -> None:
    """Write it for people."""
    output.paragraph(f"{told.what}, as {', '.join(name for name, _ in told.policies)} would route it")
    output.tell()
    output.facts(summary(told), margin=2)
    for replayed, _ in told.spool.told("differing"):
        output.tell()
        one = replayed.promotion
        title = f"{one.model} {one.version}" if one is not None else f"request {replayed.id}"
        output.tell(f"{output.plain(title)}  {output.word(replayed.verdict, _COLOURS[replayed.verdict])}")
        output.facts(details(replayed), margin=2, label=_LABEL)
    if told.spool.due:
        output.tell()
        output.paragraph("Admitted today, and would be routed more strictly:")
        for replayed, pods in told.spool.told("due"):
            if replayed.promotion is not None and replayed.now is not None:
                _due(replayed.promotion, replayed.now, pods, asked=told.untold is not None)


def _due(one: Promoted, now: Side, pods: tuple[str, ...], *, asked: bool) -> None:
    output.tell(f"  {output.plain(one.image)}")
    output.paragraph(
        f"{one.model} {one.version} for {place(one)}: {one.then.tier} then, {now.tier} now; request {one.request}", first="    "
    )
    if asked:
        output.paragraph(f"runs as {', '.join(pods)}" if pods else "no Pod of it runs", first="    ")


def summary(told: Told) -> Iterator[Pair]:
    """Yield what all promotions come to."""
    spool = told.spool
    yield "promotions", f"{spool.total:,}"
    for verdict in VERDICTS:
        yield verdict, f"{spool.verdicts[verdict]:,}"
    passed = [output.count(spool.passed[name], word) for name, word in _PASSED.items() if spool.passed[name]]
    if passed:
        yield "passed over", ", ".join(passed)
    yield "due", f"{output.count(spool.due, 'promotion')} of {output.count(spool.images, 'image')}: admitted today, and stricter"
    if told.untold is not None:
        yield "running", f"{output.count(spool.pods, 'Pod')} of these"
        for namespace, why in told.untold:
            yield "", f"what runs in namespace {namespace} could not be told: {why}"


def details(replayed: Replayed) -> Iterator[Pair]:
    """Yield labels and values that tell of one event, then and now."""
    one, now = replayed.promotion, replayed.now
    for number, why in enumerate(replayed.why):
        yield "" if number else "why", why
    if one is not None:
        yield "for", place(one)
        yield "image", one.image
        yield "then", _side(one.then)
        yield "", f"asked for {one.then.asks}"
    if now is not None:
        yield "now", _side(now)
        yield "", f"asks for {now.asks}"
    if one is not None:
        yield "approved by", "; ".join(map(approver, one.approvers))
        if replayed.missing is not None:
            yield "would suffice", suffices(replayed)
        yield "against", against(one)
        yield "admitted", admitted(one)
        yield "event", one.event
    yield "id", replayed.id


def _side(side: Side) -> str:
    return f"{side.tier} by {side.policy}, rule {side.rule}{' (emergency)' if side.emergency else ''}"


def place(one: Promoted) -> str:
    """Return environment, clusters and namespaces in words."""
    return f"{one.environment} in {', '.join(one.clusters)}; namespace {', '.join(one.namespaces)}"


def approver(one: Approver) -> str:
    """Return who approved, when and as what, in words."""
    named = f" in the name of {one.grantor}" if one.grantor is not None else ""
    return f"{one.name}{named} at {one.time} as {', '.join(one.roles)} ({', '.join(one.groups)})"


def suffices(replayed: Replayed) -> str:
    """Return in words whether those who approved then would suffice now; empty where there is no route."""
    if replayed.missing is None:
        return ""
    return f"no: {', '.join(replayed.missing)}" if replayed.missing else "yes"


def against(one: Promoted) -> str:
    """Return in words what the candidate was compared with."""
    return "; ".join(f"{other.role} {other.name} {other.version}" for other in one.alternatives) or "nothing"


def admitted(one: Promoted) -> str:
    """Return in words whether the event is admitted today."""
    if one.admitted is None:
        return f"could not tell: {one.unsure}"
    end = None if one.validUntil is None else moment(datetime.fromisoformat(one.validUntil))
    until = f"until {end}" if end is not None else "without end"
    return until if one.admitted else f"no: {one.revoked or f'expired at {end}'}"


def as_json(told: Told) -> None:
    """Write it for machines, line by line (rule 1)."""
    for replayed, pods in told.spool.told():
        running: dict[str, Json] = {"running": list[Json](pods)} if told.untold is not None else {}
        _line({"kind": "promotion", **replayed.model_dump(mode="json", exclude_none=True), **running})
    spool = told.spool
    _line(
        {
            "kind": "summary",
            "asked": told.what,
            "at": told.at,
            "policies": [{"name": name, "text": digest} for name, digest in told.policies],
            "promotions": spool.total,
            "verdicts": {verdict: spool.verdicts[verdict] for verdict in VERDICTS},
            "passedOver": {name: spool.passed[name] for name in _PASSED},
            "due": {"promotions": spool.due, "images": spool.images},
            "running": {"pods": spool.pods, "untold": [list[Json](one) for one in told.untold]} if told.untold is not None else None,
        }
    )


def _line(value: dict[str, Json]) -> None:
    sys.stdout.write(f"{json.dumps(value)}\n")


_COLUMNS: Final[Mapping[str, Callable[[Replayed, Promoted], object]]] = {
    "model": lambda _, one: one.model,
    "version": lambda _, one: one.version,
    "image": lambda _, one: one.image,
    "place": lambda _, one: place(one),
    "stored": lambda _, one: one.storedAt,
    "admitted": lambda _, one: admitted(one),
    "then tier": lambda _, one: one.then.tier,
    "then policy": lambda _, one: one.then.policy,
    "then rule": lambda _, one: one.then.rule,
    "then asked for": lambda _, one: one.then.asks,
    "now tier": lambda row, _: row.now and row.now.tier,
    "now policy": lambda row, _: row.now and row.now.policy,
    "now rule": lambda row, _: row.now and row.now.rule,
    "now asks for": lambda row, _: row.now and row.now.asks,
    "approved by": lambda _, one: "; ".join(map(approver, one.approvers)),
    "would suffice": lambda row, _: suffices(row),
    "against": lambda _, one: against(one),
    "event": lambda _, one: one.event,
}


def as_csv(told: Told) -> None:
    """Write it as a table (rule 2)."""
    rows = csv.writer(sys.stdout)
    asked = told.untold is not None
    rows.writerow(["id", "verdict", "why", *_COLUMNS, *(["running"] if asked else [])])
    for replayed, pods in told.spool.told():
        one = replayed.promotion
        cells = [column(replayed, one) if one is not None else None for column in _COLUMNS.values()]
        rows.writerow(map(cell, [replayed.id, replayed.verdict, "; ".join(replayed.why), *cells, *([", ".join(pods)] if asked else [])]))


def cell(value: object) -> str:
    """Return a cell that no spreadsheet takes for a formula, and no terminal for a command (rule 2)."""
    text = legible(str(value)) if value is not None else ""
    return f"'{text}" if text.startswith(_FORMULAS) else text


def as_html(told: Told) -> None:
    """Write it as one page (rule 3)."""
    page = _PAGE.stream(
        told=told,
        security=_SECURITY,
        summary=list(summary(told)),
        differing=((one, pods) for one, pods in told.spool.told("differing")),
        due=((one, pods) for one, pods in told.spool.told("due")),
        words={"place": place, "approver": approver, "suffices": suffices, "against": against, "admitted": admitted},
    )
    page.enable_buffering(64)
    sys.stdout.writelines(page)


_PAGE: Final = environment("signoff.cli").get_template("reclassify.html.j2")
FORMS: Final[Mapping[str, Callable[[Told], None]]] = {"text": as_text, "json": as_json, "csv": as_csv, "html": as_html}
