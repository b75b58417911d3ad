"""`signoff desk`: the frozen bytes, as they were decided on, and beside them what was signed.

1. Every file is hashed against what the event (or the freeze) says of it before the first is written or served; where one differs, none is.
2. A folder that holds anything is left alone.
"""

from __future__ import annotations

import shutil
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Final
from uuid import uuid4

import click

from signoff.archive.store import Damaged
from signoff.cli import find, options, output, reach
from signoff.cli.program import complain
from signoff.errors import SignoffError
from signoff.evidence.frozen import File, gather
from signoff.evidence.view import view_of
from signoff.record.values import parse_digest, sha256
from signoff.replay.page import page_of
from signoff.verify.verifier import Failed

_EXAMPLES: Final = """
signoff desk 3fd2a9c41b --serve
signoff desk 3fd2a9c41b --out credit-scoring-2.4.0
signoff desk sha256:9f1c… --out evidence
"""


@options.command("desk", examples=_EXAMPLES)
@click.argument("event", metavar="EVENT|ID")
@click.option("--out", type=click.Path(path_type=Path), metavar="DIR", help="Write it into a new or empty folder.")
@click.option("--serve", is_flag=True, help="Show it in a browser on this machine, until Ctrl-C.")
@click.option("--port", type=click.IntRange(0, 65535), default=0, metavar="N", help="For --serve: the port.  [default: a free one]")
@click.option("--freeze", metavar="DIGEST", help="Which desk, where a request was frozen more than once and not decided.")
@options.archive()
@options.trust()
def command(event: str, out: Path | None, serve: bool, port: int, freeze: str | None, archive: str, trust: str) -> int:
    """Show or write out what was shown and what was signed, byte for byte: the desk, the explanation, the exact request, the bundles.

    EVENT is an id, its beginning, or an event's digest. A request that is frozen and not decided yet is shown as well. The folder's
    index.html is what --serve shows: the frozen page in a frame, and beside it who decided, what they signed, and whether it verifies.

    Exit code: 0 written, or served until Ctrl-C; 1 something is not what it must be (nothing is written or served); 2 it could not be done.
    """
    if (out is None) != serve:
        raise SignoffError("give one of --out DIR and --serve", where="--out", mend="see signoff desk --help")
    if out is not None:
        _require_empty(out)
    reader = reach.reader(archive, trust)
    request = find.request(reader.store, event)
    try:
        desk = gather(reader, request, parse_digest(freeze, "--freeze") if freeze else None)
        page = page_of(view_of(reader, desk, datetime.now(UTC)))
    except (Failed, Damaged) as error:
        complain(str(error))
        return 1
    if out is None:
        from signoff.cli.serving import serve as served  # noqa: PLC0415 - a server takes a while to import

        served({**{file.path: file.data for file in desk.files}, "index.html": page}, port)
        return 0
    _write(out, (*desk.files, File("index.html", page, "this view")))
    state = "" if desk.decided else " (not decided yet)"
    output.tell(f"{desk.title}{state}")
    output.table([(file.path, str(sha256(file.data)), file.word) for file in desk.files], margin=2)
    output.tell(f"  index.html shows it in a browser: {(out / 'index.html').absolute().as_uri()}")
    return 0


def _require_empty(out: Path) -> None:
    try:
        if out.exists() and (not out.is_dir() or any(out.iterdir())):
            raise SignoffError("is not an empty folder", where=str(out), mend="name a new one with --out")
    except OSError as error:
        raise SignoffError(f"cannot be looked at: {error.strerror}", where=str(out), mend="name another folder with --out") from None


def _write(out: Path, files: Sequence[File]) -> None:
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
