"""Why a desk cannot be drawn."""

from __future__ import annotations

from signoff.errors import SignoffError


class DeskError(SignoffError):
    """The freeze or its explanation cannot be shown as it is: what is wrong, and what the requester does about it."""
