"""The account of an outcome: who, what, where, under which policy, against what. In words for people, and as JSON for machines."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from signoff.decision.consent import issuer_of
from signoff.decision.corrections import Corrected, revocation
from signoff.decision.delegations import grant_of
from signoff.decision.passkeys import passkey_of
from signoff.decision.seals import CouldNotTell, Filed
from signoff.evidence.times import moment, stamp
from signoff.policy.schema import FAILED, UNMATCHED
from signoff.record.bundle import read_bundle
from signoff.record.canonical import Json, b64decode
from signoff.record.check import COUNTS, opened, standing_input
from signoff.record.freeze import ComparisonEntry, Freeze, Requirement
from signoff.record.promotion import as_json
from signoff.record.seal import Decided, PolicyStatement, PublishedPolicy
from signoff.record.values import parse
from signoff.verify.policies import considered
from signoff.verify.reader import Reader
from signoff.verify.verifier import Verified

ASSURANCES: Final = {
    "api-server": "the API server's word: it says who asked, and no proof of consent is kept",
    "session": "a session of the portal, by the identity provider's token",
    "fresh-login": "a fresh login, whose token covers what was consented to",
    "passkey": "a passkey, whose signature covers what was shown",
}
Pair = tuple[str, str]
_SHOWN: Final = 12


@dataclass(frozen=True)
class Account:
    """A believed outcome, and what the archive says beside it: its corrections (``unsure``: why they cannot be told), the full decision
    that answers for an emergency (None: there is none, or none is owed), and who published the policies considered, and agreed to them
    (None: nobody had to, and nobody did).
    """

    verified: Verified
    corrections: tuple[Corrected, ...]
    unsure: str
    full: Verified | None
    published: tuple[PublishedPolicy, ...]
    agreed: tuple[PublishedPolicy | None, ...]

    @property
    def verdict(self) -> str:
        """``promoted`` or ``rejected``."""
        return "promoted" if self.verified.promotes else "rejected"

    @property
    def owed(self) -> bool:
        """Whether it was decided in an emergency, and nobody has decided on it in full since."""
        return self.verified.promotes and self.verified.is_emergency and self.full is None

    @property
    def revoked(self) -> Corrected | None:
        """The correction that took it back; None where it stands."""
        return revocation(self.corrections)

    @property
    def title(self) -> str:
        """Model and version."""
        model = self.verified.freeze.request.spec.model
        return f"{model.name} {model.version}"


def account(reader: Reader, verified: Verified) -> Account:
    """Return the account of a believed outcome."""
    freeze = verified.freeze
    considered(freeze, reader.policy, reader.trust)
    published = tuple(_said(reader.policy(one.statement), one.name) for one in freeze.route.considered)
    agreed = tuple(_said(reader.policy(one.second), one.name) if one.second is not None else None for one in freeze.route.considered)
    full = reader.decided_in_full(verified) if verified.promotes and verified.is_emergency else None
    corrections, unsure = _corrections(reader, verified)
    return Account(verified, corrections, unsure, full, published, agreed)


def _corrections(reader: Reader, verified: Verified) -> tuple[tuple[Corrected, ...], str]:
    """Return the corrections of an outcome; and in words why they cannot be told, which makes nothing else of it less true."""
    try:
        return reader.corrections(verified), ""
    except CouldNotTell as error:
        return (), str(error)


def _said(filed: Filed, where: str) -> PublishedPolicy:
    return parse(PolicyStatement, read_bundle(filed.bundle, where).payload, where).predicate


def place(freeze: Freeze) -> str:
    """Return environment, clusters and namespaces in words."""
    target = freeze.request.spec.target
    return f"{target.environment} in {', '.join(target.clusters)}; namespace {', '.join(target.namespaces)}"


def validity(verified: Verified, now: datetime) -> str:
    """Return in words until when the outcome admits."""
    if not verified.promotes:
        return "never: it was rejected"
    if verified.valid_until is None:
        return "without end"
    over = " (over)" if now >= verified.valid_until else ""
    lets = "; what ran before is started again" if verified.freeze.request.spec.on_expiry == "deny-new-rollouts" else ""
    return f"until {moment(verified.valid_until)}{over}{lets}"


def asks(requirement: Requirement) -> str:
    """Return in words what a tier asks for."""
    roles = " and ".join(f"{role.count} as {role.name} ({', '.join(role.groups)})" for role in requirement.roles)
    eyes = "; nobody who asked" if requirement.fourEyes else ""
    return f"{requirement.quorum} in all, {roles}{eyes}" if not requirement.is_engines else f"the policy engine ({roles})"


def lines(told: Account, now: datetime) -> Iterator[Pair]:
    """Yield labels and values that tell the whole account."""
    verified = told.verified
    freeze = verified.freeze
    model = freeze.request.spec.model
    yield "for", place(freeze)
    yield "image", model.image
    for artifact in model.artifacts or ():
        yield "artefact", f"{artifact.name}  {artifact.digest}"
    for decided in verified.decisions:
        yield from _decision(decided)
    yield from _policy(told)
    yield from _checks(freeze)
    yield from _alternatives(freeze)
    for one in freeze.submissions:
        yield "asked by", f"{one.principal.name} at {one.time}"
        yield "", identity(one.principal.subject, one.principal.issuer)
    yield "author", f"{freeze.request.spec.author} (as the request claims)"
    yield "reason", freeze.request.spec.reason
    yield "valid", validity(verified, now)
    if told.owed:
        yield "EMERGENCY", "decided under an emergency rule; a full approval is owed, and there is none yet"
    elif told.full is not None:
        how = "approved" if told.full.promotes else "rejected"
        yield "emergency", f"decided under an emergency rule; {how} in full since, by {told.full.id}"
    for correction in told.corrections:
        yield from _correction(correction)
    if told.unsure:
        yield "CORRECTED?", f"{told.unsure}; the gate admits nothing by it"
    yield "stored", moment(verified.stored_at)
    yield "request", f"{freeze.request.namespace}/{freeze.request.name}"
    yield "id", verified.id
    yield "event", verified.digest


def _correction(one: Corrected) -> Iterator[Pair]:
    said = one.correction
    yield "REVOKED" if one.revokes else "annotated", f"by {said.principal.name} at {said.time}: {said.reason}"
    yield "", identity(said.principal.subject, said.principal.issuer)
    yield "", f"PromotionCorrection {said.correction.namespace}/{said.correction.name} in {said.cluster}, by {said.method}"
    yield "", one.digest


def identity(subject: str, issuer: str) -> str:
    """Return subject and issuer in words."""
    return f"subject {subject}, by {issuer}"


def _decision(decided: Decided) -> Iterator[Pair]:
    verb = "approved by" if decided.verdict == "Approve" else "rejected by"
    yield verb, f"{decided.principal.name} at {decided.time}"
    yield "", identity(decided.principal.subject, decided.principal.issuer)
    grant = grant_of(decided)
    if grant is not None:
        yield "", f"in the name of {grant.grantor.name}, who granted it at {grant.time} until {grant.validUntil}: {grant.reason}"
        yield "", identity(grant.grantor.subject, grant.grantor.issuer)
        yield "", f"grant {decided.delegation[0].digest}"
    yield "", f"as {', '.join(decided.roles)} ({', '.join(decided.groups)}), by {decided.method}"
    yield "", f"“{decided.meaning}”"
    if decided.comment is not None:
        yield "", f"comment: {decided.comment}"
    if decided.explanationOpened:
        yield "", "says that the explanation was opened"
    yield "", f"rests on {ASSURANCES[decided.consent.assurance]}"
    if decided.consent.proofs:
        token = b64decode(decided.consent.proofs[0].content, "consent").decode("ascii", "replace")
        yield "", f"ID token by {issuer_of(token)}, kept with the key that it verifies under"
    passkey = passkey_of(decided)
    if passkey is not None:
        yield "", f"passkey “{passkey.label}”, registered at {passkey.time} for {passkey.relyingParty}, kept with its registration"


def _policy(told: Account) -> Iterator[Pair]:
    route = told.verified.freeze.route
    yield "policy", f"{route.policy}, rule {route.rule}: {route.tier}"
    yield "", f"asks for {asks(route.requirement)}"
    if route.rule == UNMATCHED:
        yield "", "no rule held, so it is the strictest tier of the policy"
    if route.rule == FAILED:
        yield "", "a condition could not be told, so it is the strictest tier of the policy"
    for one, published, agreed in zip(route.considered, told.published, told.agreed, strict=True):
        also = "" if one.name == route.policy else f"also considered: {one.name}, rule {one.rule}: {one.tier}; "
        yield "", f"{also}published by {published.publisher.name} at {published.time}"
        yield "", one.statement
        if agreed is not None and one.second is not None:
            yield "", f"agreed to by {agreed.publisher.name} at {agreed.time}"
            yield "", one.second
    for number, (name, value) in enumerate(sorted(route.inputs.items())):
        yield "" if number else "rules saw", f"{name}: {value}"


def _checks(freeze: Freeze) -> Iterator[Pair]:
    conditions = [value for name, value in freeze.route.inputs.items() if name.startswith("condition of ")]
    for brought in opened(freeze.request.spec):
        bundle, check = brought.bundle, brought.check
        standing = freeze.route.inputs.get(standing_input(bundle.digest), "the record does not say")
        against = f"against {check.incumbent.version}" if check.incumbent is not None else "against nothing"
        # Those that a rule asked for come first.
        ordered = sorted(check.measured, key=lambda one: not any(f'"{one.name}"' in condition for condition in conditions))
        figures = ", ".join(f"{one.name}={one.value}" for one in ordered[:_SHOWN])
        more = f", and {len(check.measured) - _SHOWN} more" if len(check.measured) > _SHOWN else ""
        yield "check", f"of {check.candidate.version} {against}, by {check.tool} at {check.time}"
        yield "", f"{figures}{more}"
        yield "", f"report {check.report.digest}"
        yield "", f"signed under {bundle.key_id}" if standing == COUNTS else f"DOES NOT COUNT: {standing}; it names {bundle.key_id}"
        yield "", bundle.digest


def _alternatives(freeze: Freeze) -> Iterator[Pair]:
    shown = freeze.comparison
    yield "candidate", _entry(shown.candidate)
    if shown.incumbent is not None:
        yield "incumbent", _entry(shown.incumbent)
        yield "", shown.incumbent.digest
    for challenger in shown.challengers:
        yield "challenger", _entry(challenger)
        yield "", challenger.digest
    if shown.incumbent is None and not shown.challengers:
        yield "against", "nothing: no incumbent and no challenger was shown"
    live = freeze.live
    yield "live then", f"{live.version}  {live.digest}" if live is not None else "none: the archive knew no promotion of this model there"


def _entry(entry: ComparisonEntry) -> str:
    return f"{entry.name} {entry.version}: {', '.join(f'{one.name}={one.value}' for one in entry.metrics)}"


def machine(told: Account, now: datetime) -> dict[str, Json]:
    """Return the account as JSON."""
    verified = told.verified
    freeze = verified.freeze
    spec = freeze.request.spec
    value: dict[str, Json] = {
        "verdict": told.verdict,
        "model": {"name": spec.model.name, "version": spec.model.version, "image": spec.model.image, "digest": spec.model.digest},
        "artifacts": [as_json(one) for one in spec.model.artifacts or ()],
        "target": as_json(spec.target),
        "decisions": [_decision_json(one) for one in verified.decisions],
        "policy": _policy_json(told),
        "comparison": as_json(freeze.comparison),
        "checks": [
            {
                "statement": one.bundle.digest,
                "key": one.bundle.key_id,
                "counts": freeze.route.inputs.get(standing_input(one.bundle.digest)) == COUNTS,
                **as_json(one.check),
            }
            for one in opened(freeze.request.spec)
        ],
        "submissions": [{**as_json(one.principal), "time": one.time} for one in freeze.submissions],
        "author": spec.author,
        "reason": spec.reason,
        "validUntil": stamp(verified.valid_until),
        "valid": verified.promotes
        and told.revoked is None
        and not told.unsure
        and (verified.valid_until is None or now < verified.valid_until),
        "onExpiry": spec.on_expiry if spec.validFor is not None else None,
        "revoked": told.revoked is not None if not told.unsure else None,
        "corrections": [{"statement": one.digest, "storedAt": stamp(one.stored_at), **as_json(one.correction)} for one in told.corrections],
        **({"emergency": {"owed": told.owed, "decidedInFull": told.full.id if told.full else None}} if verified.is_emergency else {}),
        "storedAt": stamp(verified.stored_at),
        "request": {"namespace": freeze.request.namespace, "name": freeze.request.name},
        "id": verified.id,
        "event": verified.digest,
    }
    return value


def _decision_json(decided: Decided) -> dict[str, Json]:
    value, grant = as_json(decided), grant_of(decided)
    value.pop("delegation")
    granted: dict[str, Json] = {"grant": {"statement": decided.delegation[0].digest, **as_json(grant)}} if grant is not None else {}
    return {**value, "consent": decided.consent.assurance, **granted}


def _policy_json(told: Account) -> dict[str, Json]:
    route = told.verified.freeze.route
    listed: list[Json] = [
        {
            **as_json(one),
            "publisher": as_json(published.publisher),
            "time": published.time,
            **({"agreed": {"publisher": as_json(agreed.publisher), "time": agreed.time}} if agreed is not None else {}),
        }
        for one, published, agreed in zip(route.considered, told.published, told.agreed, strict=True)
    ]
    chosen = {"name": route.policy, "rule": route.rule, "tier": route.tier}
    return {**chosen, "requirement": as_json(route.requirement), "considered": listed, "inputs": dict(route.inputs)}
