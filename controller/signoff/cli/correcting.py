"""What `signoff revoke` and `signoff annotate` share: from the event to its correction in the archive.

1. The event is read from the archive and told before anything is asked.
2. A correction's name follows from the event, the verdict and the reason, so that a second press meets the first.
3. "revoked" is said only once the correction is in the archive and counts.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Final, Literal

import click

from signoff.api import API_VERSION
from signoff.archive.store import Missing
from signoff.cli import find, options, output, reach
from signoff.decision.corrections import Corrected
from signoff.errors import SignoffError
from signoff.evidence.account import account, lines
from signoff.record.canonical import text_at
from signoff.record.values import Digest
from signoff.verify.reader import Reader
from signoff.verify.verifier import Verified

if TYPE_CHECKING:  # the API server's client takes a second to import
    from signoff.cli.kube import Cluster, Object

CorrectionVerdict = Literal["Revoke", "Annotate"]
_DONE: Final[dict[CorrectionVerdict, str]] = {"Revoke": "revoked", "Annotate": "annotated"}
_SHOWN: Final = 20


@dataclass(frozen=True)
class Wanted:
    """What somebody wants to say of which event."""

    event: str
    verdict: CorrectionVerdict
    reason: str
    namespace: str | None
    yes: bool
    archive: str
    trust: str
    kubeconfig: str | None
    context: str | None


def correction_options(function: Callable[..., int]) -> Callable[..., int]:
    """Add the options that both commands share."""
    for option in (
        options.context(),
        options.kubeconfig(),
        options.trust(),
        options.archive(),
        click.option("--yes", is_flag=True, help="Do not ask; the event is told all the same."),
        options.namespace("Where the PromotionCorrection is made; default: the request's."),
        click.argument("event"),
    ):
        function = option(function)
    return function


def correct(wanted: Wanted) -> int:
    """Carry a correction to the archive, and return the exit code."""
    from signoff.cli.kube import Cluster, Denied  # noqa: PLC0415 - the client is imported when it is needed
    from signoff.cli.program import complain  # noqa: PLC0415

    reader = reach.reader(wanted.archive, wanted.trust)
    verified = _event(reader, wanted.event)
    told = account(reader, verified)
    output.tell(f"{told.title}  {told.verdict}{', revoked' if told.revoked else ''}")
    output.facts(lines(told, datetime.now(UTC)), margin=2, label=14)
    output.tell()
    if wanted.verdict == "Revoke" and told.revoked is not None:
        output.tell(f"{output.word('revoked', 'green')} already, {str(told.revoked).removeprefix('revoked ')}")
        return 0
    if not wanted.yes and not _sure(verified, wanted.verdict):
        click.echo("nothing was corrected", err=True)
        return 1
    cluster = Cluster(wanted.kubeconfig, wanted.context)
    manifest = _manifest(verified, wanted)
    try:
        made = cluster.correct(text_at(manifest, "metadata", "namespace"), manifest)
    except Denied as error:
        complain(str(error))
        return 1
    found = _archived(reader, verified, made)
    spec = verified.freeze.request.spec
    output.tell(f"{output.word(_DONE[wanted.verdict], 'green')}  {spec.model.name} {spec.model.version}")
    facts = [("by", f"{found.correction.principal.name} at {found.correction.time}"), ("reason", found.correction.reason)]
    output.facts([*facts, ("event", verified.digest), ("statement", found.digest)], margin=2)
    if wanted.verdict == "Revoke":
        _tell_running(cluster, verified)
    return 0


def _event(reader: Reader, text: str) -> Verified:
    request = find.request(reader.store, text)
    try:
        return reader.outcome(request)
    except Missing:
        mend = f"there is nothing to correct; see: signoff why {request}"
        raise find.NotFound("has no event: nothing was promoted or rejected", where=request, mend=mend) from None


def _sure(verified: Verified, verdict: CorrectionVerdict) -> bool:
    version = verified.freeze.request.spec.model.version
    if verdict == "Annotate":
        return click.confirm("Add this remark for good?", err=True)
    click.echo("A revocation is not taken back: what is to run again is promoted anew.", err=True)
    typed = click.prompt(f"To revoke this, type the model's version ({version})", default="", show_default=False, err=True)
    return str(typed).strip() == version


def _manifest(verified: Verified, wanted: Wanted) -> Object:
    request = verified.freeze.request
    digest = hashlib.sha256("\x00".join((verified.digest, wanted.verdict, wanted.reason)).encode()).hexdigest()
    name = f"{request.name[:200].rstrip('.-')}-{wanted.verdict.lower()}-{digest[:12]}"
    return {
        "apiVersion": API_VERSION,
        "kind": "PromotionCorrection",
        "metadata": {"name": name, "namespace": wanted.namespace or request.namespace},
        "spec": {"request": verified.id, "event": verified.digest, "verdict": wanted.verdict, "reason": wanted.reason},
    }


def _archived(reader: Reader, verified: Verified, made: Object) -> Corrected:
    """Return the correction that admission signed, out of the archive (rule 3)."""
    statement = Digest(text_at(made, "seal", "statement"))
    found = next((one for one in reader.corrections(verified) if one.digest == statement), None)
    if found is None:
        raise SignoffError(
            "the archive does not hold this correction: nothing was corrected",
            where=f"promotioncorrection {text_at(made, 'metadata', 'name')}",
            mend="ask whoever runs signoff whether its webhooks are installed",
        )
    return found


def _tell_running(cluster: Cluster, verified: Verified) -> None:
    """Tell which Pods go on: nobody kills them."""
    spec = verified.freeze.request.spec
    running: list[str] = []
    untold: list[tuple[str, str]] = []
    for namespace in spec.target.namespaces:
        try:
            running += [f"{namespace}/{name}" for name, named in cluster.pods(namespace) if named & (verified.images | verified.artifacts)]
        except SignoffError as error:
            untold.append((namespace, str(error)))
    output.tell()
    if running:
        output.paragraph(f"{output.count(len(running), 'Pod')} of it run on; they are not killed, and not started again when they go:")
        for one in running[:_SHOWN]:
            output.tell(f"  {one}")
        if len(running) > _SHOWN:
            output.tell(f"  and {len(running) - _SHOWN} more")
    for namespace, why in untold:
        output.paragraph(f"What runs of it in namespace {namespace} could not be told: {why}")
    if not running and not untold:
        output.paragraph("No Pod of it runs in its namespaces of this cluster.")
