"""`signoff export`: the evidence of an event, or of a model, in one file that others verify without us.

1. Every file is checked before it goes in (`handover`); where one differs, no file is made, and the message names it.
2. The same archive gives the same bytes: entries by request, each with the time at which the archive took its event (`packing`).
3. One event is held in memory at a time; of the others there remain the lines of the timeline and of the checksums.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Final

import click

from signoff.archive import layout
from signoff.archive.store import Damaged
from signoff.cli import find, options, output, reach
from signoff.cli.handover import EPOCH, Handed, folder_of, handed
from signoff.cli.packing import Pack, packed
from signoff.cli.program import complain
from signoff.cli.progress import progress
from signoff.evidence.times import moment
from signoff.record.trust import MAX_TRUST
from signoff.record.values import Digest, RequestId, hex_of, parse_digest
from signoff.replay.readme import Contents, readme_of
from signoff.replay.timeline import Entry, timeline_pages
from signoff.verify.reader import Reader

_EXAMPLES: Final = """
signoff export 3fd2a9c41b --out credit-scoring-2.4.0.zip
signoff export credit-scoring --environment production --out credit-scoring.zip
"""


@dataclass
class _Told:
    """What is kept of the events that went in: their entries, and which are not believed."""

    believed: int = 0
    undecided: int = 0
    refused: list[tuple[RequestId, str, str]] = field(default_factory=list)
    states: set[str] = field(default_factory=set)
    entries: list[Entry] = field(default_factory=list)
    latest: datetime = EPOCH
    example: str = ""

    def add(self, one: Handed) -> None:
        self.states.add(one.state)
        self.believed += one.state == "believed"
        self.undecided += one.state == "undecided"
        self.refused += [(one.id, one.state, one.why)] if one.why else []
        self.entries += one.entries
        self.latest = max(self.latest, one.time)
        self.example = self.example or (folder_of(one.id) if one.state == "believed" else "")


@options.command("export", examples=_EXAMPLES)
@click.argument("what", metavar="EVENT|MODEL")
@click.option("--out", type=click.Path(path_type=Path), metavar="PACK.zip", required=True, help="A new file.")
@click.option("--environment", metavar="NAME", help="Only what was decided for this environment.")
@options.archive()
@options.trust()
def command(what: str, out: Path, environment: str | None, archive: str, trust: str) -> int:
    """Write an evidence pack: events with all that was signed over them, to be verified offline with cosign and sha256sum alone.

    WHAT is a request's id or its beginning, an event's digest, a model's name, or an image. Events that do not verify are in it and told as
    such; where a file differs from what its event says of it, nothing is written. The README.md in the pack says how to verify it.

    Exit code: 0 written; 1 nothing is known of it, or something is not what it must be: nothing is written then, but for events that do
    not verify by themselves; 2 it could not be done, or something in the pack could not be told.
    """
    reader = reach.reader(archive, trust)
    requests = find.requests(reader.store, what, environment)
    told = _Told()
    try:
        with packed(out) as pack:
            for one in _handed(reader, requests, find.tag_of(what), environment):
                told.add(one)
                for file in one.files:
                    pack.add(f"{folder_of(one.id)}/{file.path}", file.data, one.time)
            _require_some(told, what)
            _close(pack, told, reader, what, parse_digest(trust, "--trust"))
    except Damaged as error:
        complain(f"{error}; nothing was written")
        return 1
    except find.NotFound as error:
        complain(str(error))
        return 1
    return _tell(out, told)


def _require_some(told: _Told, what: str) -> None:
    if not told.states:
        raise find.NotFound("the archive holds no outcome of this; nothing was written", where=what, mend="see: signoff why")


def _handed(reader: Reader, requests: tuple[RequestId, ...], version: str | None, environment: str | None) -> Iterator[Handed]:
    with progress("gathering") as shown:
        for number, request in enumerate(requests, 1):
            shown.step(output.count(number, "request"))
            one = handed(reader, request, version, environment)
            if one is not None:
                yield one


def _close(pack: Pack, told: _Told, reader: Reader, what: str, trust: Digest) -> None:
    entries = sorted(told.entries, key=lambda one: (one.at, one.id, one.kind))
    latest = told.latest
    refused = tuple(f"`{request}`: {state}" for request, state, _ in told.refused)
    contents = Contents(what, trust, told.believed, told.undecided, refused, told.example)
    pack.add("README.md", readme_of(contents), latest)
    for key in sorted(reader.trust.keys, key=lambda one: one.id):
        pack.add(f"keys/{hex_of(key.id)}.pub", key.publicKey.encode(), latest)
    read = f"By the archive as of {moment(latest)}, judged by the trust file {trust}."
    for path, page in timeline_pages(f"{what}: what was decided", read, entries):
        pack.add(path, page, latest)
    pack.add("trust.json", reader.store.read(layout.statement("trust", trust), limit=MAX_TRUST).data, latest)
    pack.close(latest)


def _tell(out: Path, told: _Told) -> int:
    output.tell(f"{out}: {output.count(told.believed, 'event')} that verify, with all that was signed over them")
    if told.undecided:
        output.paragraph(f"{output.count(told.undecided, 'request')} without an event: told in it")
    for request, state, why in told.refused:
        output.paragraph(f"request {request}: {state}: {why}", first="told in it: ", indent=2)
    output.paragraph("README.md in it says how to verify it; the trust file's digest is to be had by another way.")
    return 1 if "not believed" in told.states else 2 if "could not tell" in told.states else 0
