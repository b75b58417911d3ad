"""`signoff request`: a promotion's manifest from a model registry."""

from __future__ import annotations

from typing import Final

import click

from signoff.cli import options
from signoff.cli.from_mlflow import from_mlflow

_ALL: Final = "  signoff request from-mlflow credit-scoring 3 --image-tag-key image --incumbent 2 --out promotion.yaml"


@click.group("request", context_settings=options.SETTINGS, epilog=f"\b\nExamples:\n{_ALL}")
def command() -> None:
    """Write the manifest of a promotion from what a model registry says now.

    The registry is read and never changed. It stays a catalogue that can be edited: the manifest names versions and digests, and what is
    shown and decided on is the manifest.
    """


command.add_command(from_mlflow)
