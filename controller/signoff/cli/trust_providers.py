"""`signoff trust add-provider`: trust an identity provider's ID tokens as proof of who decided."""

from __future__ import annotations

from typing import Final, Literal

import click

from signoff.archive.open import open_store
from signoff.cli import options, output, reach
from signoff.cli.trust_files import created, tell_unchanged
from signoff.record.canonical import Json, dumps
from signoff.record.rotation import add_provider
from signoff.record.trust import IdentityProvider
from signoff.record.values import parse

_EXAMPLES: Final = """
signoff trust add-provider https://login.bank.example/realms/bank --client signoff --subject-claim email --groups-claim groups
signoff trust add-provider https://login.bank.example/realms/bank --client signoff --subject-claim email --groups-claim groups \\
    --key sha256:5f1d…
"""


@options.command("add-provider", examples=_EXAMPLES)
@click.argument("issuer")
@click.option("--client", "clients", multiple=True, required=True, metavar="ID", help="A client that tokens are issued for; several times.")
@click.option(
    "--subject-claim",
    type=click.Choice(["sub", "email", "preferred_username"]),
    required=True,
    help="What a person's subject is: the claim that the API server takes.",
)
@click.option("--groups-claim", metavar="NAME", help="Where the token names the person's groups; without it none come from a token.")
@click.option("--groups-prefix", metavar="TEXT", help="What stands before them, as the API server has it.")
@click.option("--key", "keys", multiple=True, metavar="DIGEST", help="A key's thumbprint (RFC 7638); several times. Then no other counts.")
@options.archive()
@options.trust()
@options.output()
def command(
    issuer: str,
    clients: tuple[str, ...],
    subject_claim: Literal["sub", "email", "preferred_username"],
    groups_claim: str | None,
    groups_prefix: str | None,
    keys: tuple[str, ...],
    archive: str,
    trust: str,
    form: str,
) -> int:
    """Trust the ID tokens of the identity provider ISSUER as proof of who decided; of one that is trusted, further clients and keys.

    Use a client of signoff's own, which the API server does not know: an ID token lies in the archive for as long as the decision.
    """
    store = open_store(archive)
    value: dict[str, Json] = {"issuer": issuer, "clients": list(clients), "subjectClaim": subject_claim}
    value |= {"groupsClaim": groups_claim} if groups_claim is not None else {}
    value |= {"groupsPrefix": groups_prefix} if groups_prefix is not None else {}
    value |= {"keys": list(keys)} if keys else {}
    later = add_provider(reach.trust_in(store, trust), parse(IdentityProvider, dumps(value), "identity provider"))
    digest = created(store, later)
    if form == "json":
        output.as_machine({"archive": archive, "trust": digest, "version": later.version, "provider": issuer})
        return 0
    output.facts([("provider", issuer), ("archived", f"version {later.version}"), ("trust", digest)])
    tell_unchanged()
    return 0
