"""Why a measurement could not be made."""

from __future__ import annotations


class BenchError(Exception):
    """A measurement could not be made, or measured something else than it says; the message says which and why."""
