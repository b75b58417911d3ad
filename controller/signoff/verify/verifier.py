"""The verifier: whether an archived outcome is what it says, and whether it admits a digest in a place. Without I/O; the time is passed in.

An outcome is believed when all of these hold (`verify`):

 1. form          the bundle, its envelope and its statement are strict JSON of exactly our shape
 2. signature     the one signature verifies under a key that the trust file names
 3. key           that key is for use ``event``, of the freezing cluster, may speak for the target, and was valid when stored
 4. predicate     the type is promotion/v1 or rejection/v1
 5. schema        six fields, closed all the way down, and a payload in canonical form
 6. payload       the payload hashes to its digest, shows what its request asks for, and gives the subjects
 7. projections   the other fields equal the payload and the seals
 8. identity      the request hashes to the id, and the id is the key under which the outcome lies
 9. submission    who asked is what admission signed for this request
10. seals         each verifies, is on this freeze and one of its renditions, bears the verdict, and rests on a sufficient consent and grant
11. policies      every policy considered was published by a policy publisher, and a second agreed where the trust file asks for one
12. route         tier, rule and requirement are those of the strictest policy considered, and tier 3 rests on a check that counts
13. quorum        distinct people as the route asks (tier 3: the engine), in roles that they hold; nobody who asked, nobody's word twice

A believed outcome admits a digest in a place when all of these hold too (`admits`):

14. promotion     it is a promotion, not a rejection
15. subject       the digest is the image, one of its platform manifests, or an artefact; never the approval request
16. target        environment, cluster and namespace are those that were consented to
17. expiry        the place's time lies before the latest counted seal plus ``validFor``, or what asks was there before and may go on
18. corrections   no correction that counts revokes it
19. tier          it was decided in the namespace's minimum tier, or a stricter one

Where a rule needs what was not given (a policy, the time of storage), the answer is `CouldNotTell`, which admits nothing.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

from signoff.decision.corrections import Corrected, revocation
from signoff.decision.seals import CouldNotTell, Filed, NotBelieved
from signoff.errors import SignoffError
from signoff.record.freeze import EMERGENCY, Freeze, Tier
from signoff.record.promotion import PROMOTION_TYPE, artifact_subjects, image_subjects
from signoff.record.request import OnExpiry
from signoff.record.seal import Decided
from signoff.record.trust import Trust
from signoff.record.values import Digest, RequestId, parse_time
from signoff.verify import rules
from signoff.verify.case import Case, Outcome


@dataclass(frozen=True)
class Rule:
    """A numbered rule and its name."""

    number: int
    name: str
    check: Callable[[Case], None]


RULES: Final = (
    Rule(1, "form", rules.form),
    Rule(2, "signature", rules.signature),
    Rule(3, "key", rules.key),
    Rule(4, "predicate", rules.predicate_type),
    Rule(5, "schema", rules.schema),
    Rule(6, "payload", rules.payload),
    Rule(7, "projections", rules.projections),
    Rule(8, "identity", rules.identity),
    Rule(9, "submission", rules.submission),
    Rule(10, "seals", rules.seals),
    Rule(11, "policies", rules.policies),
    Rule(12, "route", rules.route),
    Rule(13, "quorum", rules.quorum),
)


class Failed(SignoffError):
    """A rule does not hold; ``rule`` says which."""

    def __init__(self, rule: Rule | PlaceRule, error: SignoffError) -> None:
        super().__init__(error.what, error.where, error.mend)
        self.rule = rule

    def __str__(self) -> str:
        return f"rule {self.rule.number} ({self.rule.name}): {super().__str__()}"


@dataclass(frozen=True)
class Verified:
    """An outcome that is believed. ``valid_until`` is aware, None where it does not expire."""

    id: RequestId
    digest: Digest
    promotes: bool
    freeze: Freeze
    payload: bytes
    decisions: tuple[Decided, ...]
    images: frozenset[Digest]
    artifacts: frozenset[Digest]
    valid_until: datetime | None
    stored_at: datetime | None

    @property
    def is_emergency(self) -> bool:
        """Whether an emergency rule led to it, so that it is owed a full decision (rule 12)."""
        return EMERGENCY in self.freeze.route.inputs


@dataclass(frozen=True)
class Place:
    """A place in which a workload is to run. ``minimum_tier``: what it takes at least to run there; None takes any."""

    environment: str
    cluster: str
    namespace: str
    minimum_tier: Tier | None = None


@dataclass(frozen=True)
class Admission:
    """What a believed outcome says about places: all that the gate must keep in memory of it. ``revoked`` says by whom, when and why; it is
    empty where the event stands.
    """

    id: RequestId
    event: Digest
    promotes: bool
    model: str
    version: str
    image: str
    images: frozenset[Digest]
    artifacts: frozenset[Digest]
    environment: str
    clusters: frozenset[str]
    namespaces: frozenset[str]
    valid_until: datetime | None
    on_expiry: OnExpiry = "deny-all"
    tier: Tier = "tier-1"
    revoked: str = ""


@dataclass(frozen=True)
class Question:
    """May this digest run in this place at this time (aware)? ``since``: from when on what asks has been there with this image, as the API
    server says (a ReplicaSet whose Pod is made again); None where it is new.
    """

    digest: Digest
    place: Place
    now: datetime
    since: datetime | None = None


def policies_named(outcome: Outcome) -> tuple[Digest, ...]:
    """Return the statements of policies that `verify` will ask for, of an outcome that nobody has verified yet; raises `SignoffError`."""
    considered = outcome.freeze.route.considered
    return tuple(digest for one in considered for digest in (one.statement, one.second) if digest is not None)


def verify(outcome: Outcome, trust: Trust, policies: Mapping[Digest, Filed]) -> Verified:
    """Return the outcome, believed; `Failed` names the first rule that does not hold, `CouldNotTell` what was missing (rules 1 to 13)."""
    case = Case(outcome, trust, policies)
    for rule in RULES:
        try:
            rule.check(case)
        except CouldNotTell:
            raise
        except SignoffError as error:
            raise Failed(rule, error) from error
    return _verified(case)


def admission(verified: Verified, corrections: Sequence[Corrected]) -> Admission:
    """Return what the gate keeps of a believed outcome; ``corrections`` are those of it that count."""
    spec, revoked = verified.freeze.request.spec, revocation(corrections)
    return Admission(
        id=verified.id,
        event=verified.digest,
        promotes=verified.promotes,
        model=spec.model.name,
        version=spec.model.version,
        image=spec.model.image,
        images=verified.images,
        artifacts=verified.artifacts,
        environment=spec.target.environment,
        clusters=frozenset(spec.target.clusters),
        namespaces=frozenset(spec.target.namespaces),
        valid_until=verified.valid_until,
        on_expiry=spec.on_expiry,
        tier=verified.freeze.route.tier,
        revoked=str(revoked) if revoked is not None else "",
    )


def _promotion(event: Admission, _: Question) -> None:
    if not event.promotes:
        raise NotBelieved("the request was rejected")


def _subject(event: Admission, question: Question) -> None:
    if question.digest not in event.images and question.digest not in event.artifacts:
        raise NotBelieved("the event is about another digest")


def _target(event: Admission, question: Question) -> None:
    place = question.place
    for word, asked_for, consented in (
        ("environment", place.environment, (event.environment,)),
        ("cluster", place.cluster, event.clusters),
        ("namespace", place.namespace, event.namespaces),
    ):
        if asked_for not in consented:
            raise NotBelieved(f"promoted for {word} {', '.join(sorted(consented))}, not for {asked_for or 'an unnamed one'}")


def _expiry(event: Admission, question: Question) -> None:
    if event.valid_until is None or question.now < event.valid_until:
        return
    goes_on = event.on_expiry == "deny-new-rollouts" and question.since is not None and question.since < event.valid_until
    if not goes_on:
        told = ", and only what ran before is started again" if event.on_expiry == "deny-new-rollouts" else ""
        raise NotBelieved(f"the promotion expired at {event.valid_until:%Y-%m-%d %H:%M} UTC{told}")


def _corrections(event: Admission, _: Question) -> None:
    if event.revoked:
        raise NotBelieved(event.revoked)


def _tier(event: Admission, question: Question) -> None:
    wanted = question.place.minimum_tier
    if wanted is not None and event.tier > wanted:  # tier-1 is the strictest
        raise NotBelieved(f"promoted in {event.tier}, and the namespace takes {wanted} or stricter")


@dataclass(frozen=True)
class PlaceRule:
    """A numbered rule about a place."""

    number: int
    name: str
    check: Callable[[Admission, Question], None]


PLACE_RULES: Final = (
    PlaceRule(14, "promotion", _promotion),
    PlaceRule(15, "subject", _subject),
    PlaceRule(16, "target", _target),
    PlaceRule(17, "expiry", _expiry),
    PlaceRule(18, "corrections", _corrections),
    PlaceRule(19, "tier", _tier),
)


def admits(event: Admission, question: Question) -> None:
    """Return where the event admits the digest in the place; `Failed` names the first rule that does not hold (rules 14 to 19)."""
    for rule in PLACE_RULES:
        try:
            rule.check(event, question)
        except SignoffError as error:
            raise Failed(rule, error) from error


def _verified(case: Case) -> Verified:
    freeze = case.freeze
    decisions = tuple(entry.decided for entry in case.statement.predicate.approver)
    hours = freeze.request.spec.hours
    latest = max(parse_time(decided.time) for decided in decisions)
    return Verified(
        id=freeze.id,
        digest=case.bundle.digest,
        promotes=case.statement.predicateType == PROMOTION_TYPE,
        freeze=freeze,
        payload=case.payload,
        decisions=decisions,
        images=frozenset(Digest(f"sha256:{one.digest.sha256}") for one in image_subjects(freeze)),
        artifacts=frozenset(Digest(f"sha256:{one.digest.sha256}") for one in artifact_subjects(freeze)),
        valid_until=latest + timedelta(hours=hours) if hours else None,
        stored_at=case.outcome.filed.stored_at,
    )
