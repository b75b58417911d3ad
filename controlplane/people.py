"""Who works at the bank, in which groups, and how they sign in: throw-away people, known to no system but these on loopback."""

from __future__ import annotations

import uuid
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

ANA, BEN, CARLA, DAVID, ERIK, PAULA, PETRA, PIA, RITA = (
    f"{name}@bank.example" for name in ("ana", "ben", "carla", "david", "erik", "paula", "petra", "pia", "rita")
)
GROUPS: Final[Mapping[str, Sequence[str]]] = {
    ANA: ("credit-team", "model-approvers"),  # the author: an approver too, but never of her own model
    BEN: ("credit-team",),
    CARLA: ("model-approvers",),
    DAVID: ("model-approvers",),
    ERIK: ("deputies",),
    PAULA: ("policy-publishers",),
    PETRA: ("platform",),
    PIA: ("policy-publishers",),  # a second one, where four eyes are asked for
    RITA: ("model-risk",),
}


@dataclass(frozen=True)
class Person:
    """Somebody with an account at an identity provider; `subject` is what the provider calls them, and never changes."""

    email: str
    groups: tuple[str, ...]

    @property
    def first_name(self) -> str:
        """The name that a page greets them by."""
        return self.email.partition("@")[0].capitalize()

    @property
    def name(self) -> str:
        """Their full name."""
        return f"{self.first_name} Example"

    @property
    def subject(self) -> str:
        """The same at every provider and in every run, so that tests may name it beforehand."""
        return str(uuid.uuid5(uuid.NAMESPACE_URL, f"mailto:{self.email}"))

    @property
    def password(self) -> str:
        """Derived, so that tests and the demo's visitors know it; these accounts exist on loopback alone."""
        return f"{self.first_name.lower()}-signs-in"


PEOPLE: Final[Mapping[str, Person]] = {email: Person(email, tuple(groups)) for email, groups in GROUPS.items()}
