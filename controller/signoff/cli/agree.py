"""`signoff policy agree`: look at a published policy, and agree to it as its second publisher.

1. What is agreed to is the statement whose digest the resource's publication names. The digest goes into the request, and admission signs
   for this text alone: a policy that was changed since it was shown is agreed to by nobody.
2. "agreed" is said only once admission has signed, as the resource then shows.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Final

import click
import yaml

from signoff.cli import options, output
from signoff.desk.legible import legible
from signoff.errors import SignoffError
from signoff.evidence.account import Pair, identity
from signoff.record.canonical import Json

if TYPE_CHECKING:  # the API server's client takes a second to import
    from signoff.cli.kube import Object

ANNOTATION: Final = "signoff.dev/agrees"
_EXAMPLES: Final = """
signoff policy agree credit-models
kubectl signoff policy agree credit-models
"""


@options.command("agree", examples=_EXAMPLES)
@click.argument("name")
@click.option("--yes", is_flag=True, help="Do not ask; the policy is printed all the same.")
@options.kubeconfig()
@options.context()
def command(name: str, yes: bool, kubeconfig: str | None, context: str | None) -> int:
    """Show the published PromotionPolicy NAME, who published it and when, and agree to it as a second publisher.

    Where the trust file asks for four eyes, a policy is in force once two publishers have agreed to its very text.

    Exit code: 0 agreed, or somebody had agreed already; 1 refused, or not agreed; 2 it could not be done or told.
    """
    from signoff.cli.kube import Cluster, Denied  # noqa: PLC0415 - the client is imported when it is needed
    from signoff.cli.program import complain  # noqa: PLC0415

    cluster = Cluster(kubeconfig, context)
    policy = cluster.policy(name)
    publication = _publication(policy, name)
    _show(policy, publication)
    if "second" in publication:
        _tell("agreed already", name, _member(publication, "second"))
        return 0
    if not yes and not _sure(name):
        click.echo("nobody has agreed", err=True)
        return 1
    try:
        made = cluster.annotate_policy(name, {ANNOTATION: publication["statement"]})
    except Denied as error:
        complain(str(error))
        return 1
    after = _publication(made, name)
    if "second" not in after or after["statement"] != publication["statement"]:
        mend = "ask whoever runs signoff whether its webhooks are installed"
        raise SignoffError("admission did not sign, so nobody has agreed", f"promotionpolicy {name}", mend)
    _tell("agreed", name, _member(after, "second"))
    return 0


def _publication(policy: Object, name: str) -> Mapping[str, Json]:
    publication = _member(policy, "publication")
    if not isinstance(publication.get("statement"), str):
        raise SignoffError("is not published", where=f"promotionpolicy {name}", mend="a policy publisher must apply it first")
    return publication


def _show(policy: Object, publication: Mapping[str, Json]) -> None:
    text = yaml.safe_dump(policy.get("spec"), sort_keys=False, allow_unicode=True, width=output.WIDTH)
    click.echo(legible(text))
    pairs = list(_by("published by", publication))
    before = _member(publication, "inForce")
    if before:
        pairs.append(("in force", f"until somebody agrees: what was agreed to before, {before.get('statement')}"))
    output.facts(pairs, label=14)


def _sure(name: str) -> bool:
    typed = click.prompt(f"\nTo agree to this, type the policy's name ({legible(name)})", default="", show_default=False, err=True)
    return str(typed).strip() == name


def _tell(head: str, name: str, second: Mapping[str, Json]) -> None:
    output.tell(f"{output.word(head, 'green')}  {output.plain(name)} is in force as it stands here")
    output.facts(_by("agreed to by", second), label=14)


def _by(label: str, said: Mapping[str, Json]) -> Iterator[Pair]:
    yield label, f"{said.get('name')} at {said.get('time')}"
    yield "", identity(str(said.get("subject")), str(said.get("issuer")))
    yield "", str(said.get("statement"))


def _member(value: Mapping[str, Json], name: str) -> Mapping[str, Json]:
    found = value.get(name)
    return found if isinstance(found, Mapping) else {}
