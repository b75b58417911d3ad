"""Deciding in somebody's name: the grants that admission signs, and what one is worth.

1. A grant is read under the trust file like a seal: signed by a seal key of its cluster that may speak for the target, valid when stored.
2. It is worth something for one grantee, on models and tiers that it names, for decisions made from ``validFrom`` until ``validUntil``.
3. Who decides by it does so in the grantor's roles, by groups that the API server said the grantor was in, and in no others.
4. It is not passed on: a decision rests on one grant at most, and a grant on none.
5. Whether the grantor may approve still, and whether the grant was taken back, is asked at the press; the archive keeps what was granted.
"""

from __future__ import annotations

from fnmatch import fnmatchcase

from signoff.decision.seals import Filed, NotBelieved, read_delegation
from signoff.record.bundle import read_bundle, read_statement
from signoff.record.canonical import b64decode
from signoff.record.freeze import Freeze, Principal
from signoff.record.seal import DELEGATION_TYPE, Decided, Delegation, DelegationStatement
from signoff.record.trust import Trust
from signoff.record.values import parse_time


def require_scope(grant: Delegation, grantee: Principal, freeze: Freeze, time: str, where: str = "delegation") -> None:
    """Raise `NotBelieved` unless the grant lets this principal decide on this freeze at this time (rule 2)."""
    if not grant.grantee.is_same(grantee):
        raise NotBelieved(f"lets {grant.grantee.subject} decide, and not {grantee.subject}", where=where)
    model, tier = freeze.request.spec.model.name, freeze.route.tier
    if not any(fnmatchcase(model, glob) for glob in grant.models):
        raise NotBelieved(f"is for models {', '.join(grant.models)}, not for {model}", where=where)
    if tier not in grant.tiers:
        raise NotBelieved(f"is for {', '.join(grant.tiers)}, not for {tier}", where=where)
    if not parse_time(grant.validFrom) <= parse_time(time) < parse_time(grant.validUntil):
        raise NotBelieved(f"holds from {grant.validFrom} until {grant.validUntil}, not at {time}", where=where)


def grant_of(decided: Decided, where: str = "seal.delegation") -> Delegation | None:
    """Return the grant that a decision says it rests on, None where it rests on none; nothing of it is believed by that."""
    if not decided.delegation:
        return None
    bundle = read_bundle(b64decode(decided.delegation[0].bundle, where), where)
    return read_statement(DelegationStatement, bundle.payload, DELEGATION_TYPE, where).predicate


def grantor_of(decided: Decided) -> Principal | None:
    """Return in whose name a decision says that it was made, None where in the decider's own; as `grant_of`."""
    grant = grant_of(decided)
    return grant.grantor if grant is not None else None


def believe_grant(decided: Decided, cluster: str, filed: Filed, trust: Trust, freeze: Freeze, where: str) -> None:
    """Raise unless a decision that rests on a grant may rest on it (rules 1 to 4); ``filed`` is the seal, ``cluster`` the seal's."""
    if not decided.delegation:
        return
    where = f"{where}.delegation"
    if len(decided.delegation) != 1:
        raise NotBelieved("rests on several grants, and a grant is not passed on", where=where)
    [one] = decided.delegation
    inside = Filed(b64decode(one.bundle, where), filed.stored_at)
    grant = read_delegation(inside, trust, freeze.request.spec.target, one.digest, where)
    if grant.cluster != cluster:
        raise NotBelieved(f"was granted in cluster {grant.cluster}, and the decision was made in {cluster}", where=where)
    require_scope(grant, decided.principal, freeze, decided.time, where)
    beyond = sorted(set(decided.groups) - set(grant.groups))
    if beyond:
        raise NotBelieved(f"{grant.grantor.name}, who granted it, was not in {', '.join(beyond)}", where=where)
