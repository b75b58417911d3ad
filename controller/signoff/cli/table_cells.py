"""The cells of what is believed: of freezes, outcomes, seals, corrections, policies, grants, checks. `table_columns` says what each is."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import UTC, datetime

from signoff.cli.table_columns import FIELDS, Cell
from signoff.decision.delegations import grant_of, grantor_of
from signoff.policy.quorum import asked
from signoff.record.bundle import MAX_BUNDLE, read_bundle
from signoff.record.canonical import Json, b64decode, dumps, loads
from signoff.record.check import Check
from signoff.record.correction import Correction
from signoff.record.freeze import Freeze, Principal
from signoff.record.promotion import as_json
from signoff.record.request import Artifact, Dataset
from signoff.record.seal import Decided, Delegation, Passkey, PublishedPolicy, Seal
from signoff.record.values import Digest, parse_time, sha256
from signoff.verify.case import Outcome
from signoff.verify.verifier import Verified

Cells = dict[str, Cell]


def times(name: str, unix: str, moment: datetime | str | None) -> Cells:
    """Return a time's two columns, of an aware moment or of a time as the record writes it: in UTC without a zone, and in whole seconds."""
    known = parse_time(moment) if isinstance(moment, str) else moment
    if known is None:
        return {name: None, unix: None}
    return {name: known.astimezone(UTC).replace(tzinfo=None), unix: int(known.timestamp())}


def frozen_cells(freeze: Freeze, digest: Digest) -> Cells:
    """Return what a freeze says, by its digest: of what, for where, by which route, and who asked."""
    spec, route, shown = freeze.request.spec, freeze.route, freeze.comparison
    model, incumbent, live = spec.model, freeze.incumbent, freeze.live
    asked_at = min((one.time for one in freeze.submissions), default=None)
    return {
        "environment": spec.target.environment,
        "clusters": _listed(spec.target.clusters),
        "namespaces": _listed(spec.target.namespaces),
        "origin_cluster": freeze.cluster,
        "model": model.name,
        "version": model.version,
        "image": model.image,
        "image_digest": model.digest,
        "artefact_digests": _digests(model.artifacts or ()),
        "incumbent_version": incumbent.version if incumbent is not None else None,
        "incumbent_digest": incumbent.digest if incumbent is not None else None,
        "live_version": live.version if live is not None else None,
        "live_event": live.event if live is not None else None,
        "challengers": _listed(f"{one.name} {one.version}" for one in shown.challengers),
        "challenger_count": len(shown.challengers),
        "tier": route.tier,
        "policy": route.policy,
        "policy_statement": next((one.statement for one in route.considered if one.name == route.policy), None),
        "rule": route.rule,
        "quorum": route.requirement.quorum,
        "four_eyes": route.requirement.fourEyes,
        "emergency": "emergency" in route.inputs,
        "request_namespace": freeze.request.namespace,
        "request_name": freeze.request.name,
        "attempt": spec.attempt,
        "supersedes": spec.supersedes,
        "on_expiry": spec.on_expiry if spec.validFor is not None else None,
        "reason": spec.reason,
        "author": spec.author,
        "asked_by": _listed(one.principal.name for one in freeze.submissions),
        "asked_by_keys": _spaced(one.principal.key for one in freeze.submissions),
        **times("asked_at", "asked_unix", asked_at),
        "freeze": digest,
        "explanation_digest": freeze.explanation.digest,
        "dataset_digests": _digests(freeze.datasets),
    }


def outcome_cells(verified: Verified, outcome: Outcome) -> Cells:
    """Return what an outcome says beyond its freeze, and its six fields as they were signed."""
    freeze, decisions = verified.freeze, verified.decisions
    both = [one.principal.name for one in decisions if any(asked(freeze, who) for who in _who(one))]
    held = [b64decode(one.seal, "approver") for one in outcome.statement.predicate.approver]
    return {
        "verdict": "Approve" if verified.promotes else "Reject",
        "decided_by": _listed(one.principal.name for one in decisions),
        "decided_by_keys": _spaced(one.principal.key for one in decisions),
        "deciders": len({one.principal.key for one in decisions}),
        "asked_and_decided": _listed(both),
        **times("decided_at", "decided_unix", max(one.time for one in decisions)),
        "seals": _spaced(read_bundle(one, "approver").digest for one in held),
        **times("valid_until", "valid_until_unix", verified.valid_until if verified.promotes else None),
        "route": _text(as_json(freeze.route)),
        **_six_fields(outcome),
    }


def seal_cells(seal: Seal) -> Cells:
    """Return what a seal says beyond its freeze."""
    decided, grant = seal.decided, grant_of(seal.decided)
    return {
        "origin_cluster": seal.cluster,
        "verdict": decided.verdict,
        "meaning": decided.meaning,
        "comment": decided.comment,
        "explanation_opened": decided.explanationOpened,
        **person_cells(decided.principal, decided.time),
        "method": decided.method,
        "assurance": decided.consent.assurance,
        "as_roles": _listed(decided.roles),
        "by_groups": _listed(decided.groups),
        "in_name_of": grant.grantor.name if grant is not None else None,
        "in_name_of_key": grant.grantor.key if grant is not None else None,
        "delegation": decided.delegation[0].digest if grant is not None else None,
    }


def correction_cells(correction: Correction, freeze: Freeze) -> Cells:
    """Return what a correction says, and which outcome's freeze it speaks of."""
    spec = freeze.request.spec
    return {
        "corrects": correction.event,
        "verdict": correction.verdict,
        "reason": correction.reason,
        "environment": spec.target.environment,
        "clusters": _listed(spec.target.clusters),
        "model": spec.model.name,
        "version": spec.model.version,
        "origin_cluster": correction.cluster,
        "request_namespace": correction.correction.namespace,
        "request_name": correction.correction.name,
        **person_cells(correction.principal, correction.time),
        "method": correction.method,
    }


def policy_cells(policy: PublishedPolicy, statement: Digest) -> Cells:
    """Return what a published policy says, but for who published it."""
    return {
        "policy": policy.name,
        "policy_statement": statement,
        "policy_text": sha256(b64decode(policy.content, "content")),
        "origin_cluster": policy.cluster,
        "method": policy.method,
    }


def grant_cells(grant: Delegation) -> Cells:
    """Return what a delegation says, but for who granted it."""
    return {
        "origin_cluster": grant.cluster,
        "reason": grant.reason,
        "method": grant.method,
        "grantee": grant.grantee.subject,
        "grantee_key": grant.grantee.key,
        "models": _listed(grant.models),
        "tiers": _listed(grant.tiers),
        **times("valid_from", "valid_from_unix", grant.validFrom),
        **times("valid_until", "valid_until_unix", grant.validUntil),
    }


def check_cells(check: Check) -> Cells:
    """Return what a check says."""
    candidate, incumbent = check.candidate, check.incumbent
    return {
        "model": candidate.name,
        "version": candidate.version,
        "image_digest": candidate.digest,
        "artefact_digests": _digests(candidate.artifacts or ()),
        "incumbent_version": incumbent.version if incumbent is not None else None,
        "incumbent_digest": incumbent.digest if incumbent is not None else None,
        "explanation_digest": check.report.digest,
        "dataset_digests": _digests(check.datasets),
        "decided_by": check.tool,
        **times("decided_at", "decided_unix", check.time),
        "measured": _text([as_json(one) for one in check.measured]),
    }


def person_cells(person: Principal, time: str) -> Cells:
    """Return who decided, published, granted or corrected, and when."""
    return {
        "decided_by": person.name,
        "decided_by_keys": person.key,
        "decided_by_subject": person.subject,
        "decided_by_issuer": person.issuer,
        **times("decided_at", "decided_unix", time),
    }


def _six_fields(outcome: Outcome) -> Cells:
    """Return each field of the predicate in canonical form, which is how it was signed."""
    statement = loads(outcome.bundle.payload, "event", limit=MAX_BUNDLE)
    predicate = statement["predicate"] if isinstance(statement, dict) else {}
    return {name: _text(predicate[name]) for name in FIELDS}


def passkey_cells(passkey: Passkey) -> Cells:
    """Return what a passkey's registration says, but for whose it is."""
    return {
        "origin_cluster": passkey.cluster,
        "method": passkey.method,
        "assurance": "fresh-login",
        **times("valid_from", "valid_from_unix", passkey.time),
        **times("valid_until", "valid_until_unix", passkey.validUntil),
    }


def _who(decided: Decided) -> tuple[Principal, ...]:
    grantor = grantor_of(decided)
    return (decided.principal,) if grantor is None else (decided.principal, grantor)


def _listed(names: Iterable[str]) -> str | None:
    return ", ".join(names) or None


def _spaced(names: Iterable[str]) -> str | None:
    return " ".join(names) or None


def _digests(named: Iterable[Artifact | Dataset]) -> str | None:
    return _spaced(sorted({one.digest for one in named}))


def _text(value: Json) -> str:
    return dumps(value).decode("utf-8")
