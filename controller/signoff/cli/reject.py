"""`signoff reject`: as `signoff approve`, with the other verdict. A rejection is final for its request."""

from __future__ import annotations

from typing import Final

import click

from signoff.cli import options
from signoff.cli.approve import Press, decision_options, press
from signoff.decision.meanings import REJECTS

_EXAMPLES: Final = """
signoff reject credit-scoring-2.4.0 -n credit --comment 'The calibration for the self-employed is not good enough.'
"""


@options.command("reject", examples=_EXAMPLES)
@decision_options
@click.option("--meaning", default=REJECTS, metavar="TEXT", help=f"What your signature means; default: {REJECTS}")
def command(**given: object) -> int:
    """Show the frozen desk of the ModelPromotion NAME, reject it, and wait for its event.

    A rejection is final: a new try is a new request (spec.attempt).

    Exit code: 0 rejected; 1 refused, or decided otherwise; 2 it could not be done or told.
    """
    return press(Press(verdict="Reject", **given))  # type: ignore[arg-type]
