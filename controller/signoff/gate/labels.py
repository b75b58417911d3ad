"""What a namespace's labels say to the gate.

1. ``signoff.dev/environment`` names the environment; without it nothing can be promoted for the namespace.
2. ``signoff.dev/minimum-tier`` asks for that tier or a stricter one. What names no tier may have been meant to be strict: nothing is
   admitted until it is corrected.
3. ``signoff.dev/gate`` chooses the webhook, by its namespace selector. A verdict does not depend on it.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final, Literal, TypeAlias, cast, get_args

from signoff.gate.verdict import Unknown
from signoff.record.freeze import Tier
from signoff.verify.verifier import Place

Mode: TypeAlias = Literal["enforce", "warn", "audit"]

LABELS: Final = "signoff.dev/"
GATE_LABEL: Final = f"{LABELS}gate"
ENVIRONMENT_LABEL: Final = f"{LABELS}environment"
MINIMUM_TIER_LABEL: Final = f"{LABELS}minimum-tier"
MODES: Final[tuple[Mode, ...]] = get_args(Mode)


def place_of(labels: Mapping[str, str], cluster: str, namespace: str) -> Place:
    """Return the place that a namespace is; its environment is empty where none is named (rule 1)."""
    tier = labels.get(MINIMUM_TIER_LABEL)
    minimum = cast("Tier", tier) if tier in get_args(Tier) else None
    return Place(labels.get(ENVIRONMENT_LABEL, ""), cluster, namespace, minimum)


def unclear(labels: Mapping[str, str], namespace: str) -> Unknown | None:
    """Return why it cannot be told what a namespace asks for (rules 1 and 2); None where it can."""
    if not labels.get(ENVIRONMENT_LABEL):
        return Unknown(f"namespace {namespace} bears no label {ENVIRONMENT_LABEL}")
    tier = labels.get(MINIMUM_TIER_LABEL)
    if tier is not None and tier not in get_args(Tier):
        wanted = ", ".join(get_args(Tier))
        return Unknown(f"namespace {namespace} is labelled {MINIMUM_TIER_LABEL}={tier[:63]}, and tiers are {wanted}")
    return None
