"""`signoff why`: every promotion and rejection of a model or an image, from the archive alone."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Final

import click

from signoff.archive import layout
from signoff.archive.store import Missing, Unavailable
from signoff.cli import find, options, output, reach
from signoff.cli.progress import progress
from signoff.decision.seals import CouldNotTell
from signoff.errors import SignoffError
from signoff.evidence.account import Account, account, lines, machine
from signoff.record.bundle import MAX_BUNDLE
from signoff.record.canonical import Json, b64encode
from signoff.record.values import Digest, RequestId
from signoff.verify.reader import Reader

_EXAMPLES: Final = """
signoff why credit-scoring
signoff why credit-scoring --environment production
signoff why registry.bank.example/models/credit-scoring@sha256:2ded94…
signoff why registry.bank.example/models/credit-scoring:2.4.0
signoff why 3fd2a9c41b -o json
"""


_DESKS: Final = 5


@dataclass(frozen=True)
class Untold:
    """A request of which no outcome can be told, and why. ``state``: ``undecided``, ``not believed`` or ``could not tell``."""

    id: RequestId
    state: str
    why: str


@options.command("why", examples=_EXAMPLES)
@click.argument("what", metavar="IMAGE|MODEL|ID")
@click.option("--environment", metavar="NAME", help="Only promotions for this environment.")
@options.archive()
@options.trust()
@options.output()
def command(what: str, environment: str | None, archive: str, trust: str, form: str) -> int:
    """Tell of every promotion and rejection: who approved, under which policy, against which alternative.

    WHAT is an image or its digest, a model's name, or a request's id (or its beginning). Oldest first. Events that do not verify are told
    as such, never left out.

    Exit code: 0 told, 1 nothing is known of it or something does not verify, 2 something could not be told.
    """
    reader = reach.reader(archive, trust)
    told, untold = gather(reader, find.requests(reader.store, what, environment), find.tag_of(what), environment)
    if form == "json":
        accounts: list[Json] = [machine(one, datetime.now(UTC)) for one in told]
        others: list[Json] = [{"id": one.id, "state": one.state, "why": one.why} for one in untold]
        output.as_machine({"asked": what, "outcomes": accounts, "untold": others})
    else:
        _print(what, told, untold)
    states = {one.state for one in untold}
    if "not believed" in states or not (told or untold):
        return 1
    return 2 if "could not tell" in states or any(one.unsure for one in told) else 0


def gather(
    reader: Reader, requests: Iterable[RequestId], version: str | None, environment: str | None
) -> tuple[tuple[Account, ...], tuple[Untold, ...]]:
    """Return the accounts of requests, oldest first, and of which there is none; ``version`` and ``environment`` leave others out."""
    told: list[Account] = []
    untold: list[Untold] = []
    with progress("reading the archive") as shown:
        for number, request in enumerate(requests, 1):
            shown.step(output.count(number, "request"))
            found = _outcome(reader, request)
            if isinstance(found, Untold):
                untold.append(found)
                continue
            spec = found.verified.freeze.request.spec
            if version in {None, spec.model.version} and environment in {None, spec.target.environment}:
                told.append(found)
    epoch = datetime.min.replace(tzinfo=UTC)
    return tuple(sorted(told, key=lambda one: (one.verified.stored_at or epoch, one.verified.id))), tuple(untold)


def _outcome(reader: Reader, request: RequestId) -> Account | Untold:
    try:
        return account(reader, reader.outcome(request))
    except Unavailable:
        raise
    except Missing:
        return _undecided(reader, request)
    except CouldNotTell as error:
        return Untold(request, "could not tell", str(error))
    except SignoffError as error:
        return Untold(request, "not believed", str(error))


def _undecided(reader: Reader, request: RequestId) -> Untold:
    freezes = list(reader.store.list(layout.freezes_prefix(request), limit=100))
    seals = sum(1 for key in freezes for _ in reader.store.list(layout.seals_prefix(f"sha256:{key.rpartition('/')[2]}"), limit=100))
    if not freezes:
        return Untold(request, "undecided", "the archive points to this request and has no event of it: nothing was promoted")
    frozen = f"frozen ({output.count(len(freezes), 'desk')}, {output.count(seals, 'decision')} sealed) and without an event: "
    standing = "".join(f"; desk {one.rpartition('/')[2][:12]}… {_standing(reader, request, one)}" for one in freezes[:_DESKS])
    mend = f"look at it with: signoff desk {request} --out DIR"
    return Untold(request, "undecided", f"{frozen}nothing was promoted or rejected{standing}; {mend}")


def _standing(reader: Reader, request: RequestId, key: str) -> str:
    """Return in words how a frozen desk is routed, who decided on it, and who is awaited; by the archive alone."""
    from signoff.operator.commit import collect  # noqa: PLC0415 - needed for what is undecided alone

    digest = Digest(f"sha256:{key.rpartition('/')[2]}")
    try:
        freeze, _ = reader.freeze(request, digest)
        stored = [reader.store.read(one, limit=MAX_BUNDLE) for one in reader.store.list(layout.seals_prefix(digest), limit=100)]
        found = collect(reader, freeze, digest, [(one.key, b64encode(one.data)) for one in stored])
    except Unavailable:
        raise
    except SignoffError as error:
        return f"cannot be told: {error}"
    route = freeze.route
    by = [f"{one.seal.decided.principal.name} at {one.seal.decided.time}" for one in found.approvals]
    rejected = [f"{one.seal.decided.principal.name} at {one.seal.decided.time}" for one in found.rejections]
    told = [f"is {route.tier} by policy {route.policy}, rule {route.rule}"]
    told += [f"approved by {', '.join(by)}"] if by else []
    told += [f"rejected by {', '.join(rejected)}"] if rejected else []
    told += [f"awaiting {', '.join(found.quorum.missing)}"] if found.quorum.missing and not rejected else []
    return ", ".join(told)


def _print(what: str, told: Iterable[Account], untold: Iterable[Untold]) -> None:
    now = datetime.now(UTC)
    some = False
    for one in told:
        if some:
            output.tell()
        some = True
        revoked = f", {output.word('revoked', 'red')}" if one.revoked is not None else ""
        output.tell(f"{one.title}  {output.word(one.verdict, 'green' if one.verified.promotes else 'red')}{revoked}")
        output.facts(lines(one, now), margin=2, label=14)
    for other in untold:
        if some:
            output.tell()
        some = True
        state = output.word(other.state, "yellow" if other.state != "not believed" else "red")
        output.tell(f"request {other.id}  {state}")
        output.paragraph(other.why, first="  ")
    if not some:
        output.paragraph(f"The archive holds no outcome of {what}: nothing of it was promoted or rejected.")
