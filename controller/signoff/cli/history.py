"""`signoff history`: the whole timeline of a model, from the archive alone."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Final

import click

from signoff.archive.store import Unavailable
from signoff.cli import options, output, reach
from signoff.cli.output import Colour
from signoff.cli.past import Past, gathered
from signoff.cli.timeline import Entry, Timeline, timeline
from signoff.errors import SignoffError
from signoff.evidence.account import machine
from signoff.evidence.times import moment, stamp
from signoff.record.canonical import Json
from signoff.record.promotion import as_json
from signoff.verify.reader import Reader

_EXAMPLES: Final = """
signoff history credit-scoring
signoff history credit-scoring --environment production
signoff history credit-scoring -o json
"""
_COLOURS: Final[dict[str, Colour]] = {"promoted": "green", "rejected": "red", "revoked": "red", "not believed": "red"}
_LABEL: Final = 16


@options.command("history", examples=_EXAMPLES)
@click.argument("model")
@click.option("--environment", metavar="NAME", help="Only what was asked for this environment.")
@options.archive()
@options.trust()
@options.output()
def command(model: str, environment: str | None, archive: str, trust: str, form: str) -> int:
    """Tell all that was asked, decided and corrected of MODEL, oldest first, and what was live when.

    Requests that are undecided, promotions, rejections, revocations, remarks, expiries. Where a digest was asked for again after it had
    been rejected or revoked, or while it was undecided, it says what differs: policy, tier, approvers, name or version.
    Events that do not verify are told as such, never left out.

    Exit code: 0 told, 1 nothing is known of it or something does not verify, 2 something could not be told.
    """
    reader, now = reach.reader(archive, trust), datetime.now(UTC)
    past = gathered(reader, model, environment)
    told = timeline(past, now)
    live = dict(_live(reader, model, told))
    if form == "json":
        output.as_machine(
            {
                "asked": model,
                "environment": environment,
                "entries": [_machine(one, now) for one in told.entries],
                "live": [{"environment": place[0], "cluster": place[1], **said} for place, (said, _) in live.items()],
                "unread": list[Json](past.unread),
            }
        )
    else:
        _print(model, told, past, live)
    states = {one.kind for one in told.entries}
    unsure = past.unread or any(one.asked and one.asked.account and one.asked.account.unsure for one in told.entries)
    if "not believed" in states or not (told.entries or past.unread):
        return 1
    return 2 if "could not tell" in states or unsure else 0


def _live(reader: Reader, model: str, told: Timeline) -> Iterator[tuple[tuple[str, str], tuple[dict[str, Json], str]]]:
    """Yield what is live in each place, by the archive's reader, which asks all of the history to verify; and in words."""
    for environment, cluster in told.live.now:
        try:
            found = reader.incumbent(model, environment, cluster)
        except Unavailable:
            raise
        except SignoffError as error:
            yield (environment, cluster), ({"untold": str(error)}, f"cannot be told: {error}")
            continue
        said: Json = as_json(found) if found is not None else None
        yield (environment, cluster), ({"promotion": said}, f"{model} {found.version} ({found.id})" if found else "nothing")


def _print(model: str, told: Timeline, past: Past, live: dict[tuple[str, str], tuple[dict[str, Json], str]]) -> None:
    for number, one in enumerate(told.entries):
        if number:
            output.tell()
        kind = output.word(one.kind, _COLOURS.get(one.kind, "yellow"))
        output.tell(f"{moment(one.at)}  {output.plain(one.title)}  {kind}")
        output.facts(one.detail, margin=2, label=_LABEL)
    if live:
        output.tell()
        output.tell("live now")
        output.facts(((f"{environment} in {cluster}", said) for (environment, cluster), (_, said) in live.items()), margin=2)
    for number, unread in enumerate(past.unread):
        if not number:
            output.tell()
            output.paragraph("Whether these belong to this history cannot be told:")
        output.paragraph(unread, first="  ")
    if not told.entries:
        output.paragraph(f"The archive holds nothing of {model}: nothing of it was asked for, promoted or rejected.")


def _machine(one: Entry, now: datetime) -> dict[str, Json]:
    asked = one.asked
    value: dict[str, Json] = {"time": stamp(one.at), "kind": one.kind, "id": one.id, "detail": [list[Json](pair) for pair in one.detail]}
    if asked is None:
        return value
    model, route = asked.freeze.request.spec.model, asked.freeze.route
    value["model"] = {"name": model.name, "version": model.version, "image": model.image, "digest": model.digest}
    if one.correction is not None:
        value["correction"] = {"statement": one.correction.digest, **as_json(one.correction.correction)}
    value["live"] = [
        {
            "environment": change.environment,
            "clusters": list[Json](change.clusters),
            "now": change.now.verified.id if change.now is not None else None,
            "before": change.before.verified.id if change.before is not None else None,
        }
        for change in one.changes
    ]
    if one.kind not in {"promoted", "rejected", "undecided"}:
        return value
    value["askedAt"] = stamp(asked.at)
    value["askedAgain"] = [
        {"request": again.before.id, "after": again.after, "differs": [name for name, _ in again.differs], "shopping": again.shopping}
        for again in one.again
    ]
    value["approvedLater"] = [later.id for later in one.later]
    value["desks"] = [{"freeze": digest, "route": as_json(desk.route)} for digest, desk in asked.desks]
    value["supersedes"], value["attempt"] = asked.freeze.request.spec.supersedes, asked.freeze.request.spec.attempt
    value["route"] = as_json(route)
    value["outcome"] = machine(asked.account, now) if asked.account is not None else None
    return value
