"""What replaying a promotion comes to: as values that are kept, sent from process to process, and told to machines as they stand."""

from __future__ import annotations

from typing import Literal

from signoff.evidence.account import asks
from signoff.record.freeze import Requirement, Tier
from signoff.record.values import Closed

Verdict = Literal["same", "stricter", "laxer", "not covered", "could not tell"]
Passed = Literal["rejected", "undecided", "elsewhere"]
"""Of what is no promotion that was asked about: rejected, without an event, or for another environment."""


class Side(Closed):
    """A route, then or now: the tier, the policy and rule that led to it, what it asks for, and whether it was for an emergency."""

    tier: Tier
    policy: str
    rule: str
    requirement: Requirement
    emergency: bool

    @property
    def asks(self) -> str:
        """What it asks for, in words."""
        return asks(self.requirement)


class Approver(Closed):
    """Who approved then, in which roles by which groups, and in whose name (absent: their own)."""

    name: str
    issuer: str
    subject: str
    time: str
    roles: tuple[str, ...]
    groups: tuple[str, ...]
    grantor: str | None = None


class Alternative(Closed):
    """What the candidate was compared with."""

    role: Literal["incumbent", "challenger"]
    name: str
    version: str
    digest: str


class Promoted(Closed):
    """A believed promotion as it was then, and whether it is admitted today (absent: that cannot be told, ``unsure`` says why)."""

    event: str
    model: str
    version: str
    image: str
    digests: tuple[str, ...]
    environment: str
    clusters: tuple[str, ...]
    namespaces: tuple[str, ...]
    request: str
    storedAt: str | None = None
    validUntil: str | None = None
    revoked: str | None = None
    admitted: bool | None = None
    unsure: str | None = None
    approvers: tuple[Approver, ...]
    alternatives: tuple[Alternative, ...]
    then: Side


class Replayed(Closed):
    """What became of one event. ``why`` says what differs, or why it cannot be told; ``promotion`` is absent where the event is not
    believed, ``now`` where there is no route. ``missing`` says who would be missing now of those who approved then (empty: they suffice).
    """

    id: str
    verdict: Verdict
    why: tuple[str, ...] = ()
    promotion: Promoted | None = None
    now: Side | None = None
    missing: tuple[str, ...] | None = None
