"""What a decision means, as it is signed."""

from __future__ import annotations

import pytest

from signoff.decision.meanings import meaning_of
from signoff.record.freeze import Tier
from signoff.record.seal import Verdict

APPROVES = "I approve this model version for the use described on this desk."
HAVING_READ = "I have read this desk and the explanation on it, and approve this model version for the use described there."


@pytest.mark.parametrize(
    ("tier", "verdict", "means"),
    [
        ("tier-1", "Approve", HAVING_READ),
        ("tier-2", "Approve", APPROVES),
        ("tier-3", "Approve", APPROVES),
        ("tier-1", "Reject", "I reject this promotion."),
        ("tier-2", "Reject", "I reject this promotion."),
    ],
)
def test_what_a_decision_means_depends_on_its_tier(tier: Tier, verdict: Verdict, means: str) -> None:
    assert meaning_of(tier, verdict) == means
