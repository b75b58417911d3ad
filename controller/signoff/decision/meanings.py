"""Words that stand in more than one place: what a decision means, as it is signed; and that it is not known whether something came about.

1. What a decision means is the same sentence wherever it was made, unless whoever decides says something else.
2. Where a door does not know whether something was decided, done or corrected, it says so in words that begin with `NOT_KNOWN`, by which a
   client knows it again: to the API server it is a denial as any other.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:  # the commands' help needs the words alone
    from signoff.record.freeze import Tier
    from signoff.record.seal import Verdict

APPROVES: Final = "I approve this model version for the use described on this desk."
APPROVES_HAVING_READ: Final = "I have read this desk and the explanation on it, and approve this model version for the use described there."
REJECTS: Final = "I reject this promotion."
NOT_KNOWN: Final = "it is not known whether this was"


def meaning_of(tier: Tier, verdict: Verdict) -> str:
    """Return what a decision in this tier means."""
    if verdict == "Reject":
        return REJECTS
    return APPROVES_HAVING_READ if tier == "tier-1" else APPROVES
