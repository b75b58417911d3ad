"""What the rules look at: an outcome as it lay in the archive, taken apart.

Reading here is tolerant on purpose (an unknown field is passed over, a key may stand twice): to refuse that is the business of the rules
`form` and `schema`, so that each rule is the only place where its demand is made, and switching one off shows.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property

from signoff.decision.seals import CouldNotTell, Filed, read_published
from signoff.policy.routing import Published
from signoff.record.bundle import Bundle, open_bundle
from signoff.record.canonical import b64decode
from signoff.record.freeze import Freeze
from signoff.record.promotion import PromotionStatement
from signoff.record.request import Target
from signoff.record.trust import Trust
from signoff.record.values import Digest, RequestId, parse


@dataclass(frozen=True)
class Outcome:
    """An archived outcome: its bundle, when the store took it (aware; None where unknown), and the id under whose key it lay (None where
    it did not come from an archive).
    """

    filed: Filed
    slot: RequestId | None


class Case:
    """One outcome under verification, with what it is judged by."""

    def __init__(self, outcome: Outcome, trust: Trust, policies: Mapping[Digest, Filed]) -> None:
        self.outcome = outcome
        self.trust = trust
        self.policies = policies

    @cached_property
    def bundle(self) -> Bundle:
        """The bundle taken apart."""
        return open_bundle(self.outcome.filed.bundle, "event")

    @cached_property
    def statement(self) -> PromotionStatement:
        """The statement that was signed."""
        return parse(PromotionStatement, self.bundle.payload, "event", unknown_fields="ignore")

    @cached_property
    def payload(self) -> bytes:
        """The exact bytes that were decided on."""
        return b64decode(self.statement.predicate.approvalRequest.content, "event.predicate.approvalRequest.content")

    @cached_property
    def freeze(self) -> Freeze:
        """The payload taken apart."""
        return parse(Freeze, self.payload, "event.predicate.approvalRequest.content", unknown_fields="ignore")

    @cached_property
    def target(self) -> Target:
        """Where the request wants the model to run: what each key must be allowed to speak for."""
        return self.freeze.request.spec.target

    @cached_property
    def seals(self) -> tuple[Filed, ...]:
        """The seals inside the event. They were stored no later than the event was, which is when their keys are judged."""
        stored_at = self.outcome.filed.stored_at
        where = "event.predicate.approver"
        return tuple(Filed(b64decode(one.seal, where), stored_at) for one in self.statement.predicate.approver)

    def published(self, digest: Digest) -> Published:
        """Return the published policy with this statement's digest; raises as `read_published` does."""
        filed = self.policies.get(digest)
        if filed is None:
            raise CouldNotTell(
                f"the published policy {digest} is not at hand", where="event", mend="verify it in the archive, which holds its policies"
            )
        return read_published(filed, self.trust, self.target, digest)
