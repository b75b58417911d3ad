"""`signoff approve` and `signoff reject`: look at the frozen desk, decide, and wait for the event.

Where the policy asks for more than the API server's word, or the caller wants it so, they sign in anew once they have decided.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from shutil import get_terminal_size
from typing import TYPE_CHECKING, Final

import click

from signoff.cli import options, output
from signoff.decision.meanings import APPROVES, meaning_of
from signoff.evidence.times import moment

if TYPE_CHECKING:  # the API server's client takes a second to import
    from signoff.cli.deciding import Desk, Sealed, Verdict
    from signoff.record.seal import Decided
    from signoff.record.trust import Trust
    from signoff.verify.verifier import Verified

_EXAMPLES: Final = """
signoff approve credit-scoring-2.4.0 -n credit
signoff approve credit-scoring-2.4.0 -n credit --comment 'Cut-off for the self-employed stays at 620.'
signoff approve credit-scoring-2.4.0 -n credit --delegation carla-in-august
signoff approve credit-scoring-2.4.0 -n credit --sign-in --no-browser
kubectl signoff approve credit-scoring-2.4.0 -n credit
"""
_DONE: Final = {"Approve": "approved", "Reject": "rejected"}


@dataclass(frozen=True)
class Press:
    """What somebody wants: which promotion, and what they say of it."""

    name: str
    namespace: str | None
    verdict: Verdict
    meaning: str | None
    comment: str | None
    delegation: str | None
    yes: bool
    timeout: float
    archive: str
    trust: str
    kubeconfig: str | None
    context: str | None
    sign_in: bool = False
    no_browser: bool = False
    issuer: str | None = None
    client: str = ""
    provider_ca: str | None = None


def decision_options(function: Callable[..., int]) -> Callable[..., int]:
    """Add the options that approve and reject share."""
    for option in (
        options.context(),
        options.kubeconfig(),
        options.trust(),
        options.archive(),
        options.provider_ca(),
        options.client(),
        options.issuer(),
        click.option("--no-browser", is_flag=True, help="Print the address at which to sign in, and open nothing."),
        click.option("--sign-in", is_flag=True, help="Sign in anew for this decision, also where the policy does not ask for it."),
        click.option("--timeout", type=click.FloatRange(0, 3600), default=60, show_default=True, metavar="SECONDS", help="For the event."),
        click.option("--yes", is_flag=True, help="Do not ask; the desk is printed all the same."),
        click.option("--comment", metavar="TEXT", help="A remark for the record."),
        click.option("--delegation", metavar="NAME", help="Decide in the name of whoever made this PromotionDelegation to you."),
        options.namespace("Of the ModelPromotion; default: the context's."),
        click.argument("name"),
    ):
        function = option(function)
    return function


@options.command("approve", examples=_EXAMPLES)
@decision_options
@click.option(
    "--meaning",
    metavar="TEXT",
    help=f"What your signature means; default: {APPROVES} In tier 1 that you have read desk and explanation, too.",
)
def command(**given: object) -> int:
    """Show the frozen desk of the ModelPromotion NAME, approve it, and wait for its event.

    Where the policy asks for a sign-in (assurance), the browser opens once you have decided, and you sign in anew, as whoever you are to
    kubectl; without that nothing is decided.

    "approved" is printed only once the event is in the archive and verifies. Pressing again is always safe.

    Exit code: 0 approved, or sealed while others are awaited; 1 refused, or decided otherwise; 2 it could not be done or told.
    """
    return press(Press(verdict="Approve", **given))  # type: ignore[arg-type]


def press(wanted: Press) -> int:
    """Carry a decision from the desk to the receipt, and return the exit code."""
    from signoff.archive.store import ArchiveError  # noqa: PLC0415 - the client is imported when it is needed
    from signoff.cli import deciding, reach  # noqa: PLC0415
    from signoff.cli.kube import Cluster, Denied  # noqa: PLC0415
    from signoff.cli.program import complain  # noqa: PLC0415
    from signoff.cli.progress import progress  # noqa: PLC0415
    from signoff.operator.commit import Collected  # noqa: PLC0415

    cluster = Cluster(wanted.kubeconfig, wanted.context)
    namespace = wanted.namespace or cluster.namespace
    promotion = cluster.promotion(namespace, wanted.name)
    try:
        reader = reach.reader(wanted.archive, wanted.trust)
        ended = deciding.outcome(reader, deciding.identity(promotion, namespace, wanted.name))
        if ended is not None:
            return _ended(ended, wanted.verdict, None)
        shown = deciding.desk(reader, promotion, namespace, wanted.name)
    except ArchiveError as error:
        raise deciding.safe(error) from None
    login = _login(wanted, shown, reader.trust)
    _show(shown)
    if not wanted.yes and not _sure(shown, wanted.verdict):
        click.echo("nothing was decided", err=True)
        return 1
    token = login(cluster.username()) if login is not None else None
    meaning = _meaning(wanted, shown)
    try:
        sealed = deciding.decide(cluster, reader, shown, wanted.verdict, meaning, wanted.comment, wanted.delegation, token)
    except Denied as error:
        complain(str(error))
        return 1
    with progress("your decision is sealed; waiting for the event") as waiting:
        found = deciding.wait(reader, shown, wanted.timeout, waiting.step)
    if found is None:
        output.tell("your decision is sealed; the event is not there yet; nothing is lost", err=True)
        output.tell(f"look later with: signoff why {shown.id}", err=True)
        return 2
    if isinstance(found, Collected):
        _awaiting(shown, sealed, found.quorum.missing)
        return 0
    return _ended(found, wanted.verdict, sealed)


def _meaning(wanted: Press, shown: Desk) -> str:
    """Return what the signature means: what was said, or what the tier makes of it."""
    return wanted.meaning if wanted.meaning is not None else meaning_of(shown.freeze.route.tier, wanted.verdict)


def _login(wanted: Press, shown: Desk, trust: Trust) -> Callable[[str], str] | None:
    """Return what signs somebody in for this decision: it takes their username and gives an ID token. None where nobody asks for that."""
    if shown.freeze.route.requirement.assurance == "api-server" and not wanted.sign_in:
        return None
    from signoff.cli import fresh_login  # noqa: PLC0415 - it brings a listener and a client along

    client = fresh_login.client_for(shown, trust, fresh_login.Way(wanted.issuer, wanted.client, wanted.provider_ca))
    return partial(fresh_login.token_for, shown, wanted.verdict, client, browser=not wanted.no_browser)


def _show(shown: Desk) -> None:
    """Print exactly the bytes of the rendition; in a pager where they are longer than the terminal."""
    if sys.stdout.isatty() and shown.text.count(b"\n") >= get_terminal_size().lines:
        click.echo_via_pager(shown.text.decode())
        return
    sys.stdout.buffer.write(shown.text)
    sys.stdout.flush()


def _sure(shown: Desk, verdict: Verdict) -> bool:
    version = shown.freeze.request.spec.model.version
    click.echo(f"\nfreeze {shown.digest}", err=True)
    typed = click.prompt(f"To {verdict.lower()} this, type the model's version ({version})", default="", show_default=False, err=True)
    return str(typed).strip() == version


def spoke(decided: Decided) -> str:
    """Return who decided, and in whose name."""
    from signoff.decision.delegations import grantor_of  # noqa: PLC0415 - needed after a decision alone

    grantor = grantor_of(decided)
    return decided.principal.name if grantor is None else f"{decided.principal.name} in the name of {grantor.name}"


def _awaiting(shown: Desk, sealed: Sealed, missing: tuple[str, ...]) -> None:
    decided = sealed.decision.seal.decided
    output.tell(f"your decision is sealed{' already' if sealed.again else ''}, awaiting: {', '.join(missing)}")
    output.facts(
        [("decided", f"{decided.verdict} by {spoke(decided)} at {decided.time}"), ("freeze", shown.digest), ("id", shown.id)],
        margin=2,
    )
    output.tell(f"  look later: signoff why {shown.id}")


def _ended(found: Verified, verdict: Verdict, sealed: Sealed | None) -> int:
    """Tell the outcome that the archive holds, and return the exit code for whoever wanted ``verdict``."""
    route, spec = found.freeze.route, found.freeze.request.spec
    got: Verdict = "Approve" if found.promotes else "Reject"
    names = ", ".join(f"{spoke(one)} at {one.time}" for one in found.decisions)
    own = sealed is not None and any(one.principal.is_same(sealed.decision.seal.decided.principal) for one in found.decisions)
    head = _DONE[got] if got == verdict else f"not {_DONE[verdict]}: it was {_DONE[got]}"
    already = " already, before you decided" if sealed is None else "" if own else "; your decision was not needed for it"
    output.tell(f"{output.word(head, 'green' if got == verdict else 'red')}{already}  {spec.model.name} {spec.model.version}")
    output.facts(
        [
            (f"{_DONE[got]} by", names),
            ("policy", f"{route.policy}, rule {route.rule}: {route.tier}"),
            ("stored", moment(found.stored_at)),
            ("id", found.id),
            ("event", found.digest),
        ],
        margin=2,
    )
    output.tell(f"\n  signoff verify {found.id}\n  signoff desk {found.id} --out DIR")
    return 0 if got == verdict else 1
