"""`signoff revoke`: take back the promotion that an event is."""

from __future__ import annotations

from typing import Final

import click

from signoff.cli import options
from signoff.cli.correcting import Wanted, correct, correction_options

_EXAMPLES: Final = """
signoff revoke 3fd2a9c41b --reason 'The evaluation data held applicants of the year after.'
kubectl signoff revoke sha256:9f1c… --reason 'Superseded after the incident of 14 March.'
"""


@options.command("revoke", examples=_EXAMPLES)
@correction_options
@click.option("--reason", required=True, metavar="TEXT", help="Why, for whoever reads it years later.")
def command(**given: object) -> int:
    """Tell the EVENT (an id, its beginning, or the event's digest), revoke it, and list what runs on.

    From then on no gate admits its image by it, within 10 seconds everywhere. What runs is not killed. A revocation is not taken back.

    Exit code: 0 revoked, or revoked already; 1 refused; 2 it could not be done or told.
    """
    return correct(Wanted(verdict="Revoke", **given))  # type: ignore[arg-type]
