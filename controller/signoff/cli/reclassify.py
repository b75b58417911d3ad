"""`signoff reclassify`: what was promoted, replayed against a new policy: what would it have asked?

1. Events are read and verified by as many processes as are asked for, and a few by this one. What they come to is the same for any number.
2. Nothing is written but to stdout: not to the archive, and not to the cluster.
"""

from __future__ import annotations

import os
import time
from collections.abc import Iterator, Sequence
from contextlib import closing
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Final

import click

from signoff.archive import layout
from signoff.archive.store import BadKey, Store
from signoff.cli import find, options, output, reach
from signoff.cli.audit_hands import Place, of_each, reader_of
from signoff.cli.policy_files import policy_or_spec_in, refuse_twice
from signoff.cli.progress import progress
from signoff.cli.replay import Question, replay
from signoff.cli.replay_forms import FORMS, Told
from signoff.cli.replay_spool import Spool
from signoff.cli.replayed import Passed, Replayed
from signoff.errors import SignoffError
from signoff.record.values import RequestId, format_time
from signoff.verify.reader import Reader

if TYPE_CHECKING:  # the API server's client takes a second to import
    from signoff.cli.kube import Cluster

_EXAMPLES: Final = """
signoff reclassify --policy credit-models.yaml credit-scoring
signoff reclassify --policy credit-models.yaml --policy retail-models.yaml
signoff reclassify --policy credit-models.yaml --running
signoff reclassify --policy credit-models.yaml -o html > reclassified.html
"""


@options.command("reclassify", examples=_EXAMPLES)
@click.argument("model", required=False)
@click.option(
    "--policy",
    "policies",
    type=click.Path(path_type=Path),
    multiple=True,
    required=True,
    metavar="FILE",
    help="A PromotionPolicy, or its spec alone; several: all that shall be in force.",
)
@click.option("--environment", metavar="NAME", help="Only promotions for this environment.")
@click.option("--running", is_flag=True, help="Tell which Pods of this cluster run what would be routed more strictly.")
@click.option("--jobs", type=click.IntRange(1, 256), metavar="N", help="Read the archive by N processes.  [default: as many as cores]")
@options.archive()
@options.trust()
@options.kubeconfig()
@options.context()
@click.option(
    "-o",
    "--output",
    "form",
    type=click.Choice(list(FORMS)),
    default="text",
    show_default=True,
    help="For people, as JSON lines, as a table, as a page.",
)
def command(
    model: str | None,
    policies: Sequence[Path],
    environment: str | None,
    running: bool,
    jobs: int | None,
    archive: str,
    trust: str,
    kubeconfig: str | None,
    context: str | None,
    form: str,
) -> int:
    """Replay what was promoted against other policies: of MODEL, or of the whole archive. Nothing is changed by it.

    For each promotion it tells the route then and now (tier, rule, who is asked), who approved then and whether they would suffice now, and
    against which alternative. At the end: what is admitted today, and would be routed more strictly.

    Exit code: 0 nothing would be routed more strictly, 1 something would, 2 something could not be told.
    """
    tried = tuple(map(policy_or_spec_in, policies))
    refuse_twice(tried, "--policy")
    reader, now = reach.reader(archive, trust), datetime.now(UTC)
    asked, place = Question(tried, environment, now), Place(archive, trust)
    keys = iter(_of_model(reader.store, model, environment)) if model is not None else reader.store.list(layout.EVENTS_PREFIX)
    cluster = _cluster(kubeconfig, context) if running else None  # before the archive is read, which may take a while
    with closing(Spool()) as spool:
        _gather(spool, _replayed(reader, place, jobs or len(os.sched_getaffinity(0)), keys, asked))
        untold = _running(spool, cluster) if cluster is not None else None
        what = (model or "the whole archive") + (f" for {environment}" if environment else "")
        FORMS[form](Told(spool, what, tuple((one.name, one.statement) for one in tried), format_time(now), untold))
        if spool.verdicts["stricter"]:
            return 1
        return 2 if spool.verdicts["could not tell"] or untold else 0


def replay_all(asked: Question, place: Place, keys: Sequence[str]) -> list[Replayed | Passed]:
    """Replay the events under these keys, by this process's own reader."""
    reader = reader_of(place)
    return [_one(reader, key, asked) for key in keys]


def _of_model(store: Store, model: str, environment: str | None) -> tuple[str, ...]:
    found = find.of_model(store, model, environment)
    if not found:
        raise find.NotFound("the archive knows no promotion of this model", where=model, mend="give its name as it was asked for")
    return tuple(map(layout.event, found))


def _replayed(reader: Reader, place: Place, jobs: int, keys: Iterator[str], asked: Question) -> Iterator[Replayed | Passed]:
    for _, found in of_each(place, jobs, keys, lambda key: _one(reader, key, asked), partial(replay_all, asked)):
        if found is not None:
            yield found


def _one(reader: Reader, key: str, asked: Question) -> Replayed | Passed:
    try:
        request = RequestId(layout.event_id(key))
    except BadKey as error:
        return Replayed(id=key, verdict="could not tell", why=(str(error),))
    return replay(reader, request, asked)


def _gather(spool: Spool, replayed: Iterator[Replayed | Passed]) -> None:
    begun = time.monotonic()
    with progress("replaying") as shown:
        for number, found in enumerate(replayed, 1):
            spool.add(found)
            rate = number / max(time.monotonic() - begun, 0.001)
            shown.step(f"{output.count(number, 'event')}, {spool.verdicts['stricter']:,} stricter; {rate:,.0f} events a second")


def _cluster(kubeconfig: str | None, context: str | None) -> Cluster:
    from signoff.cli.kube import Cluster as Reached  # noqa: PLC0415 - the client is imported when it is needed

    return Reached(kubeconfig, context)


def _running(spool: Spool, cluster: Cluster) -> tuple[tuple[str, str], ...]:
    """Look for Pods that run what is due, in the namespaces for which it was promoted; return of which that could not be told, and why."""
    untold: list[tuple[str, str]] = []
    for namespace in list(spool.namespaces):
        try:
            for name, digests in cluster.pods(namespace):
                spool.running(f"{namespace}/{name}", digests)
        except SignoffError as error:
            untold.append((namespace, str(error)))
    return tuple(untold)
