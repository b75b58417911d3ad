"""A promotion of the archive, then and now: how it was routed, and how it would be by other policies. Pure but for the archive's reading.

1. Then is what the event says, and it is believed first. Now is the real routing (`policy.routing.route`) over what the event holds: the
   request, the checks as they counted then, and the history of then. A payload whose policies asked for no history holds none: it is read
   from the archive as it stood when it took the event.
2. ``stricter`` is what admission calls so when a policy changes (`routing.is_stricter`): a lower tier, more people, or people who were not
   asked then. ``laxer`` is the same the other way round; whatever is neither is the ``same``, by whatever policy and rule.
3. Whether those who approved then would suffice now is asked of their seals: of the groups that gave them their roles. Other groups of
   theirs are not known.
4. What cannot be told is told so: an event that does not verify, a history that cannot be read, policies that ask for different people.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime

from signoff.archive.store import Missing, Unavailable
from signoff.cli.replayed import Alternative, Approver, Passed, Promoted, Replayed, Side, Verdict
from signoff.decision.checks import measured_then
from signoff.decision.corrections import revocation
from signoff.decision.delegations import grantor_of
from signoff.decision.seals import CouldNotTell
from signoff.errors import SignoffError
from signoff.evidence.account import asks
from signoff.evidence.times import stamp
from signoff.policy.facts import INCUMBENT, History, history_of
from signoff.policy.quorum import Vote, tally
from signoff.policy.routing import NoRoute, covering, is_stricter, route
from signoff.policy.schema import Published
from signoff.record.freeze import EMERGENCY, Freeze, Requirement, Route
from signoff.record.seal import Decided
from signoff.record.values import RequestId
from signoff.verify.reader import Reader
from signoff.verify.verifier import Verified


@dataclass(frozen=True)
class Question:
    """What is replayed: against which policies, for which environment (None: all), and the time (aware) by which validity is judged."""

    policies: tuple[Published, ...]
    environment: str | None
    now: datetime


def replay(reader: Reader, request: RequestId, asked: Question) -> Replayed | Passed:
    """Return what the outcome of a request comes to, then and now; `Unavailable` where the archive is out of reach."""
    try:
        verified = reader.outcome(request)
    except Unavailable:
        raise
    except Missing:
        return "undecided"
    except SignoffError as error:
        return Replayed(id=request, verdict="could not tell", why=(str(error),))
    if asked.environment not in {None, verified.freeze.request.spec.target.environment}:
        return "elsewhere"
    if not verified.promotes:
        return "rejected"
    return _replayed(reader, verified, asked)


def _replayed(reader: Reader, verified: Verified, asked: Question) -> Replayed:
    promoted, freeze = _promoted(reader, verified, asked.now), verified.freeze
    spec = freeze.request.spec
    try:
        covering(spec, asked.policies)
    except NoRoute as error:
        return Replayed(id=verified.id, verdict="not covered", why=(error.what,), promotion=promoted)
    try:
        history = _history_then(reader, verified, asked.policies)
        now = route(spec, asked.policies, history, measured_then(freeze, reader.trust))
    except Unavailable:
        raise
    except SignoffError as error:
        return Replayed(id=verified.id, verdict="could not tell", why=(str(error),), promotion=promoted)
    return Replayed(
        id=verified.id,
        verdict=verdict_of(now, freeze.route),
        why=tuple(_differences(freeze.route, now)),
        promotion=promoted,
        now=_side(now),
        missing=missing_now(freeze, now, verified.decisions),
    )


def verdict_of(now: Route, then: Route) -> Verdict:
    """Return how a route of now stands to that of then (rule 2)."""
    if is_stricter(now, then):
        return "stricter"
    return "laxer" if is_stricter(then, now) else "same"


def missing_now(freeze: Freeze, now: Route, decisions: Sequence[Decided]) -> tuple[str, ...]:
    """Return in words who would be missing of those who approved then, by the groups that their seals name (rule 3)."""
    if now.requirement.is_engines and not freeze.route.requirement.is_engines:
        return ()  # people stand in for the engine
    votes = [Vote(one.principal, _roles_now(one, now.requirement), grantor_of(one)) for one in decisions]
    return tally(freeze.model_copy(update={"route": now}), votes).missing


def _roles_now(decided: Decided, requirement: Requirement) -> tuple[str, ...]:
    return tuple(role.name for role in requirement.roles if set(role.groups) & set(decided.groups))


def _history_then(reader: Reader, verified: Verified, policies: Sequence[Published]) -> History:
    """Return the history of then: as the payload says it, or as the archive stood where it says nothing (rule 1)."""
    freeze = verified.freeze
    if INCUMBENT in freeze.route.inputs or freeze.live is None or not any(one.spec.asks_facts for one in policies):
        return history_of(freeze)
    if verified.stored_at is None:
        raise CouldNotTell("when this was stored is not known, nor then what counted as live")
    return reader.history_for(freeze.request.spec.target, freeze.live, verified.stored_at)


def _promoted(reader: Reader, verified: Verified, now: datetime) -> Promoted:
    freeze = verified.freeze
    request, spec = freeze.request, freeze.request.spec
    revoked, unsure = None, None
    try:
        revoked = revocation(reader.corrections(verified))
    except CouldNotTell as error:
        unsure = str(error)
    valid = verified.valid_until is None or now < verified.valid_until
    return Promoted(
        event=verified.digest,
        model=spec.model.name,
        version=spec.model.version,
        image=spec.model.image,
        digests=tuple(sorted(verified.images | verified.artifacts)),
        environment=spec.target.environment,
        clusters=spec.target.clusters,
        namespaces=spec.target.namespaces,
        request=f"{request.namespace}/{request.name}",
        storedAt=stamp(verified.stored_at),
        validUntil=stamp(verified.valid_until),
        revoked=str(revoked) if revoked is not None else None,
        admitted=None if unsure and valid else valid and revoked is None,
        unsure=unsure,
        approvers=tuple(map(_approver, verified.decisions)),
        alternatives=tuple(_alternatives(freeze)),
        then=_side(freeze.route),
    )


def _approver(decided: Decided) -> Approver:
    who, grantor = decided.principal, grantor_of(decided)
    return Approver(
        name=who.name,
        issuer=who.issuer,
        subject=who.subject,
        time=decided.time,
        roles=decided.roles,
        groups=decided.groups,
        grantor=grantor.name if grantor is not None else None,
    )


def _alternatives(freeze: Freeze) -> Iterator[Alternative]:
    shown = freeze.comparison
    if shown.incumbent is not None:
        one = shown.incumbent
        yield Alternative(role="incumbent", name=one.name, version=one.version, digest=one.digest)
    for one in shown.challengers:
        yield Alternative(role="challenger", name=one.name, version=one.version, digest=one.digest)


def _side(found: Route) -> Side:
    return Side(tier=found.tier, policy=found.policy, rule=found.rule, requirement=found.requirement, emergency=EMERGENCY in found.inputs)


def _differences(then: Route, now: Route) -> Iterator[str]:
    if then.tier != now.tier:
        yield f"{now.tier} instead of {then.tier}"
    if asks(then.requirement) != asks(now.requirement):
        yield f"asks for {asks(now.requirement)} instead of {asks(then.requirement)}"
    if then.requirement.assurance != now.requirement.assurance:
        yield f"identity by {now.requirement.assurance} instead of {then.requirement.assurance}"
    if (EMERGENCY in then.inputs) != (EMERGENCY in now.inputs):
        yield "by an emergency rule, as it was not then" if EMERGENCY in now.inputs else "by no emergency rule, as it was then"
