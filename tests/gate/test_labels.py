"""What a namespace's labels say to the gate."""

from __future__ import annotations

import pytest

from signoff.gate.labels import place_of, unclear
from signoff.verify.verifier import Place

ENVIRONMENT = {"signoff.dev/environment": "production"}


@pytest.mark.parametrize(
    ("labels", "place"),
    [
        ({}, Place("", "demo", "credit")),
        (ENVIRONMENT, Place("production", "demo", "credit")),
        ({**ENVIRONMENT, "signoff.dev/minimum-tier": "tier-1"}, Place("production", "demo", "credit", "tier-1")),
    ],
)
def test_a_namespace_is_a_place(labels: dict[str, str], place: Place) -> None:
    assert place_of(labels, "demo", "credit") == place


def test_without_an_environment_or_with_a_tier_that_is_none_it_cannot_be_told() -> None:
    assert unclear(ENVIRONMENT, "credit") is None
    assert unclear({**ENVIRONMENT, "signoff.dev/minimum-tier": "tier-3"}, "credit") is None
    told = unclear({}, "credit")
    assert told is not None
    assert "bears no label signoff.dev/environment" in told.reason
    for slip in ("", "gold", "TIER-1", "tier-4"):
        told = unclear({**ENVIRONMENT, "signoff.dev/minimum-tier": slip}, "credit")
        assert told is not None, "what may have been meant to be strict is not taken for nothing"
        assert "and tiers are tier-1, tier-2, tier-3" in told.reason
