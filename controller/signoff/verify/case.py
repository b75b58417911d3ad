"""What the rules look at: an outcome as it lay in the archive, taken apart once.

1. Each document is read strictly first, and what strict reading has against it is kept for the rule whose demand that is: `form` for
   bundles and statements, `schema` for fields.
2. Where strict reading refuses, the document is read again tolerantly (an unknown field is passed over, a key may stand twice), so that
   each rule is the only place where its demand is made, and switching one off shows. What strict reading takes, both read alike.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import TypeVar

from signoff.decision.checks import measured
from signoff.decision.seals import Agreement, CouldNotTell, Filed, Opened, open_seal, read_published
from signoff.errors import SignoffError
from signoff.policy.facts import Measured
from signoff.policy.schema import Published
from signoff.record.bundle import Bundle, open_bundle, read_bundle
from signoff.record.canonical import Json, b64decode, loads
from signoff.record.freeze import ConsideredPolicy, Freeze, freeze_and_value
from signoff.record.promotion import Approver, PromotionStatement
from signoff.record.request import Target
from signoff.record.seal import Decided, Seal, SealStatement
from signoff.record.trust import Trust
from signoff.record.values import Digest, RequestId, parse

_PAYLOAD = "event.predicate.approvalRequest.content"

Value = TypeVar("Value")


@dataclass(frozen=True)
class Flaw:
    """What strict reading has against a document."""

    error: SignoffError


def required(read: Value | Flaw) -> Value:
    """Return what was read strictly; raise what strict reading had against it."""
    if isinstance(read, Flaw):
        raise read.error
    return read


def _strictly(read: Callable[[], Value]) -> Value | Flaw:
    try:
        return read()
    except SignoffError as error:
        return Flaw(error)


@dataclass(frozen=True)
class Outcome:
    """An archived outcome: its bundle, when the store took it (aware; None where unknown), and the id under whose key it lay (None where
    it did not come from an archive). What it holds is read when it is asked for, once; nothing of it is believed by that.
    """

    filed: Filed
    slot: RequestId | None

    @cached_property
    def strict_bundle(self) -> Bundle | Flaw:
        """The bundle, held to its form."""
        return _strictly(lambda: read_bundle(self.filed.bundle, "event"))

    @cached_property
    def bundle(self) -> Bundle:
        """The bundle taken apart."""
        strict = self.strict_bundle
        return open_bundle(self.filed.bundle, "event") if isinstance(strict, Flaw) else strict

    @cached_property
    def strict_statement(self) -> PromotionStatement | Flaw:
        """The statement, held to its schema."""
        return _strictly(lambda: parse(PromotionStatement, self.bundle.payload, "event"))

    @cached_property
    def statement(self) -> PromotionStatement:
        """The statement that was signed."""
        strict = self.strict_statement
        return parse(PromotionStatement, self.bundle.payload, "event", unknown_fields="ignore") if isinstance(strict, Flaw) else strict

    @cached_property
    def payload(self) -> bytes:
        """The exact bytes that were decided on."""
        return b64decode(self.statement.predicate.approvalRequest.content, _PAYLOAD)

    @cached_property
    def strict_freeze(self) -> tuple[Freeze, Mapping[str, Json]] | Flaw:
        """The payload, held to its schema and its one spelling; and its JSON value."""
        return _strictly(lambda: freeze_and_value(self.payload, _PAYLOAD))

    @cached_property
    def freeze(self) -> Freeze:
        """The payload taken apart."""
        strict = self.strict_freeze
        return parse(Freeze, self.payload, _PAYLOAD, unknown_fields="ignore") if isinstance(strict, Flaw) else strict[0]

    @cached_property
    def payload_value(self) -> Json:
        """The payload's JSON value; strict JSON at least."""
        strict = self.strict_freeze
        return loads(self.payload, _PAYLOAD, limit=len(self.payload)) if isinstance(strict, Flaw) else strict[1]


@dataclass(frozen=True)
class Inside:
    """A seal inside an event: the seal filed, and taken apart as far as its form allows."""

    filed: Filed
    opened: Opened[Seal] | Flaw

    def decided(self, where: str) -> Decided:
        """The readable part of the seal, read tolerantly if need be."""
        if isinstance(self.opened, Flaw):
            payload = open_bundle(self.filed.bundle, where).payload
            return parse(SealStatement, payload, where, unknown_fields="ignore").predicate.decided
        return self.opened.statement.predicate.decided


class Case:
    """One outcome under verification, with what it is judged by."""

    def __init__(self, outcome: Outcome, trust: Trust, policies: Mapping[Digest, Filed]) -> None:
        self.outcome = outcome
        self.trust = trust
        self.policies = policies
        self._published: dict[tuple[Digest, Digest | None], Published] = {}

    @property
    def bundle(self) -> Bundle:
        """The bundle taken apart."""
        return self.outcome.bundle

    @property
    def statement(self) -> PromotionStatement:
        """The statement that was signed."""
        return self.outcome.statement

    @property
    def payload(self) -> bytes:
        """The exact bytes that were decided on."""
        return self.outcome.payload

    @property
    def freeze(self) -> Freeze:
        """The payload taken apart."""
        return self.outcome.freeze

    @property
    def target(self) -> Target:
        """Where the request wants the model to run: what each key must be allowed to speak for."""
        return self.freeze.request.spec.target

    @cached_property
    def seals(self) -> tuple[Inside, ...]:
        """The seals inside the event. They were stored no later than the event was, which is when their keys are judged."""
        return tuple(self._inside(index, entry) for index, entry in enumerate(self.statement.predicate.approver))

    def _inside(self, index: int, entry: Approver) -> Inside:
        where = f"event.predicate.approver[{index}].seal"
        bundle = b64decode(entry.seal, where)
        return Inside(Filed(bundle, self.outcome.filed.stored_at), _strictly(lambda: open_seal(bundle, where)))

    @cached_property
    def checks(self) -> tuple[Measured, ...]:
        """The checks that the request brings along, judged like the seals by when the event was stored."""
        freeze = self.freeze
        live = freeze.live.shown if freeze.live is not None else None
        return measured(freeze.request.spec, self.trust, self.outcome.filed.stored_at, live)

    def published(self, considered: ConsideredPolicy) -> Published:
        """Return a published policy by the statements that are named of it; raises as `read_published` does."""
        digest, agreed = considered.statement, considered.second
        known = self._published.get((digest, agreed))
        if known is not None:
            return known
        second = Agreement(agreed, self._policy(agreed)) if agreed is not None else None
        published = read_published(self._policy(digest), self.trust, self.target, digest, second=second)
        self._published[digest, agreed] = published
        return published

    def _policy(self, digest: Digest) -> Filed:
        filed = self.policies.get(digest)
        if filed is None:
            raise CouldNotTell(
                f"the published policy {digest} is not at hand", where="event", mend="verify it in the archive, which holds its policies"
            )
        return filed
