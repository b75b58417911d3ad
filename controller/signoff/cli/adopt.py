"""`signoff adopt`: drafts of promotions for what runs in a namespace without one.

1. What the cluster knows is filled in: image, namespace, environment, cluster, who uses it. Everything else is a place to fill in, as
   `signoff draft` leaves it, and admission refuses the manifest until somebody has.
2. It is a decision of the day on which people take it, and never backdated: that something ran before is told as a claim, in the reason.
3. Nothing is written over, in the cluster nothing is written at all.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

import click

from signoff.cli import kube, options, output, reach
from signoff.cli.adopting import Gathered, Unpromoted, gather
from signoff.cli.draft import Draft
from signoff.cli.progress import progress
from signoff.config import GateSettings, read_config
from signoff.errors import SignoffError
from signoff.gate.labels import ENVIRONMENT_LABEL
from signoff.record.request import UNFILLED
from signoff.running.coverage import Coverage
from signoff.running.judging import Look, Space, Told, space
from signoff.running.listing import Listing

_EXAMPLES: Final = """
signoff adopt credit > adopted.yaml
signoff adopt credit --out drafts/ --exemptions exemptions.yaml
"""
_ANNOTATION: Final = "signoff.dev/adopted"
_NAMED: Final = 10


@options.command("adopt", examples=_EXAMPLES)
@click.argument("namespace")
@click.option("--environment", metavar="NAME", help=f"Default: the namespace's label {ENVIRONMENT_LABEL}.")
@click.option("--out", type=click.Path(path_type=Path), metavar="DIR", help="Write one file for each draft; default: all to stdout.")
@options.exemptions()
@options.cluster()
@options.kubeconfig()
@options.context()
@options.archive()
@options.trust()
def command(
    namespace: str,
    environment: str | None,
    out: Path | None,
    exemptions: Path | None,
    cluster: str,
    kubeconfig: str | None,
    context: str | None,
    archive: str,
    trust: str,
) -> int:
    """Draft a ModelPromotion for each image that runs in NAMESPACE without an event, whatever gate the namespace meets.

    What people must say stands as {FILL-IN: …}. An image that is no model is not promoted: exempt its repository, and leave its draft out.

    Exit code: 0 all that runs without an event is drafted, 1 something must be mended before it can be, 2 something could not be told.
    """
    settings = read_config(GateSettings, exemptions) if exemptions is not None else GateSettings()
    listing = Listing(kube.Cluster(kubeconfig, context).api)
    there = _asked_for(space(listing, namespace), environment)
    look = Look(reach.reader(archive, trust), cluster, settings.exemptions, datetime.now(UTC))
    with progress("looking", elsewhere=False) as shown:
        found = gather(_stepping(look.at(listing, there), shown.step))
    given = {"namespace": namespace, "environment": there.labels[ENVIRONMENT_LABEL], "cluster": cluster, "archive": archive, "trust": trust}
    drafts = {name: _draft(one, name, dict(given)) for name, one in _named(found).items()}
    if out is not None:
        _write(out, drafts)
    else:
        click.echo("---\n".join(drafts.values()), nl=False)
    _tell(found, there, out)
    return 2 if found.untold else 1 if found.undraftable else 0


def _stepping(all_told: Iterable[Told], step: Callable[[str], None]) -> Iterator[Told]:
    for number, told in enumerate(all_told, 1):
        step(output.count(number, "object"))
        yield told


def _asked_for(there: Space, environment: str | None) -> Space:
    """Return the namespace as one that is looked at whatever gate it meets, in the environment that was given or is its own."""
    chosen = environment or there.labels.get(ENVIRONMENT_LABEL)
    if not chosen:
        what = f"namespace {there.name} bears no label {ENVIRONMENT_LABEL}, so that no event counts there"
        raise SignoffError(what, where="--environment", mend="give it, or have the namespace labelled")
    return replace(there, labels={**there.labels, ENVIRONMENT_LABEL: chosen}, coverage=Coverage("audit"))


def _named(found: Gathered) -> dict[str, Unpromoted]:
    """Return the images by the name of their draft: model and version, as far as that is known, and no two alike."""
    named: dict[str, Unpromoted] = {}
    for one in found.images.values():
        reference = one.reference
        version = str(reference.digest).partition(":")[2][:12] if one.is_pinned else reference.tag or "untagged"
        base = f"{reference.path.rpartition('/')[2]}-{version}".lower().replace("_", "-")[:190].strip("-.")
        name, number = base, 2
        while name in named:
            name, number = f"{base}-{number}", number + 1
        named[name] = one
    return named


def _draft(one: Unpromoted, name: str, given: dict[str, object]) -> str:
    users = [str(user) for user in one.users]
    told = ", ".join(users[:_NAMED]) + (f" and {len(users) - _NAMED} more" if len(users) > _NAMED else "")
    place = f"{given['cluster']}/{given['namespace']}"
    since = f"since {one.since} (when {one.since_of} was made there)" if one.since else "for an unknown time"
    claim = f"Adopted: it ran in {place} before anybody decided on it, as the cluster claims {since}; used by {told}."
    never = "This is decided on the day on which it is approved, and holds for no day before."
    given |= {"name": name, "reason": f"{UNFILLED}why it shall run on, in place of this line\n{claim}\n{never}"}
    notes = [f"It runs in {place} without an event; used by {told}."]
    notes += ["It is mounted: promote it with the image beside it, as spec.model.artifacts, if they belong together."] * one.is_mounted
    notes += ["An image that is no model is exempted by the gate's configuration, not promoted: leave it out then."]
    draft = Draft(one.text, given, "" if one.is_pinned else _pin(one, told))
    return draft.text(notes, {_ANNOTATION: f"ran in {place} before it was promoted; decided when it is approved, not earlier"})


def _pin(one: Unpromoted, told: str) -> str:
    repository, tag = one.reference.repository, one.reference.tag
    named = f"{repository}:{tag}" if tag else repository
    said = list(one.kubelets_say)
    if not said:
        return f"{repository}@sha256:… of what {named} is meant to be (crane digest {named}); no kubelet says; then pin it in {told}"
    candidates = " or ".join(f"{repository}@{digest}" for digest in said)
    return f"{candidates}, if the registry says so too: that {named} is this is the kubelet's word alone; then pin it in {told}"


def _write(out: Path, drafts: dict[str, str]) -> None:
    taken = [name for name in drafts if (out / f"{name}.yaml").exists()]
    if taken:
        raise SignoffError("is there already", where=str(out / f"{taken[0]}.yaml"), mend="name another folder with --out, or move it away")
    try:
        out.mkdir(parents=True, exist_ok=True)
        for name, text in drafts.items():
            with (out / f"{name}.yaml").open("x", encoding="utf-8") as file:
                file.write(text)
    except OSError as error:
        raise SignoffError(f"cannot be written: {error.strerror}", where=str(out), mend="name another folder with --out") from None


def _tell(found: Gathered, there: Space, out: Path | None) -> None:
    """Tell what was found on stderr, so that stdout holds manifests alone."""
    for one in found.images.values():
        kept = "" if one.is_pinned else " (a tag: fill in its digest)"
        output.tell(f"drafted  {output.plain(one.text)}{kept}: {', '.join(str(user) for user in one.users)}", err=True)
    for why in found.undraftable:
        output.tell(f"not drafted  {output.plain(why)}", err=True)
    for why in found.untold:
        output.tell(f"could not tell  {output.plain(why)}", err=True)
    where = f" in {out}" if out is not None and found.images else ""
    nothing = not (found.images or found.undraftable or found.untold)
    drafted = f"{output.count(len(found.images), 'draft')}{where} for what runs in {there.name} without an event"
    output.tell(f"all that runs in {there.name} has its event" if nothing else drafted, err=True)
