"""`signoff annotate`: add a remark to an event."""

from __future__ import annotations

from typing import Final

import click

from signoff.cli import options
from signoff.cli.correcting import Wanted, correct, correction_options

_EXAMPLES: Final = """
signoff annotate 3fd2a9c41b --reason 'The figure for 2025 rests on 11 months; see incident 4711.'
"""


@options.command("annotate", examples=_EXAMPLES)
@correction_options
@click.option("--reason", required=True, metavar="TEXT", help="The remark, for whoever reads it years later.")
def command(**given: object) -> int:
    """Tell the EVENT (an id, its beginning, or the event's digest), and add a signed remark to it. What it admits does not change.

    Exit code: 0 annotated; 1 refused; 2 it could not be done or told.
    """
    return correct(Wanted(verdict="Annotate", **given))  # type: ignore[arg-type]
