"""Statements that stand for themselves in the archive: a policy, a grant, a passkey, a decision, a correction. Whether each is believed as
it lies.

1. A published policy, a grant and a passkey belong to no one target. They are held to their form, their signature, a key for use ``seal``
   of their own cluster that was valid when they were stored, and the digest under which they lie.
2. A policy's publisher must have been one. Whether a second publisher agreed is said by another statement; which of them a route needed is
   asked where a route names them (rule 11 of `verifier`).
3. A decision is held to what rule 10 of `verifier` asks of a seal inside an event, to the freeze that it names, which is read from the
   archive by its digest, and to the key under which it lies. Whether it went into an outcome is not asked: that is the outcome's to say.
4. A correction is held to what `decision.corrections` asks, and lies under the event that is the outcome of the request that it names.
   Where that event is not believed, nothing can be told of its correction either.
5. A passkey is held to the login by which it was registered (`decision.passkeys`, rules 1 and 2). Whether it was withdrawn no statement
   says.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from signoff.archive import layout
from signoff.archive.store import Damaged, Missing, Stored
from signoff.decision.corrections import read_correction
from signoff.decision.frozen import believe_on
from signoff.decision.passkeys import believe_registration
from signoff.decision.seals import (
    CouldNotTell,
    Filed,
    NotBelieved,
    believe_seal,
    open_seal,
    opened_as,
    read_delegation,
    read_passkey,
    read_published,
    signed_by,
)
from signoff.record.bundle import Bundle, read_bundle, read_statement
from signoff.record.correction import CORRECTION_TYPE, Correction, CorrectionStatement
from signoff.record.freeze import MAX_PAYLOAD, Freeze, read_freeze
from signoff.record.request import Target
from signoff.record.seal import POLICY_TYPE, Delegation, Passkey, PolicyStatement, PublishedPolicy, Seal
from signoff.record.trust import Trust
from signoff.record.values import Digest, sha256
from signoff.verify.reader import Reader
from signoff.verify.verifier import Failed, Verified

_ALTERED = "the archive was altered: call whoever guards it"


@dataclass(frozen=True)
class Decision:
    """A seal that is believed, and the freeze that it is on; ``frozen_at`` is when the store took that (aware)."""

    bundle: Bundle
    seal: Seal
    freeze: Freeze
    frozen_at: datetime


def believe_policy(stored: Stored, trust: Trust) -> tuple[Bundle, PublishedPolicy]:
    """Return a published policy as it lies (rules 1 and 2); `NotBelieved` or `CouldNotTell` says why it is not believed."""
    bundle = read_bundle(stored.data, stored.key)
    alone = trust.model_copy(update={"policies": trust.policies.model_copy(update={"fourEyes": False})})
    read_published(_filed(stored), alone, _own_target(bundle, trust, stored.key), _named(stored.key), stored.key)
    return bundle, read_statement(PolicyStatement, bundle.payload, POLICY_TYPE, stored.key).predicate


def believe_delegation(stored: Stored, trust: Trust) -> tuple[Bundle, Delegation]:
    """Return a grant as it lies (rule 1); `NotBelieved` or `CouldNotTell` says why it is not believed."""
    bundle = read_bundle(stored.data, stored.key)
    return bundle, read_delegation(_filed(stored), trust, _own_target(bundle, trust, stored.key), _named(stored.key), stored.key)


def believe_registered(stored: Stored, trust: Trust) -> tuple[Bundle, Passkey]:
    """Return a passkey's registration as it lies (rules 1 and 5); `NotBelieved` or `CouldNotTell` says why it is not believed."""
    bundle = read_bundle(stored.data, stored.key)
    passkey = read_passkey(_filed(stored), trust, _own_target(bundle, trust, stored.key), stored.key)
    if bundle.digest != _named(stored.key):
        raise NotBelieved(f"is the statement {bundle.digest}", where=stored.key, mend=_ALTERED)
    believe_registration(passkey, trust, stored.key)
    return bundle, passkey


def believe_decision(stored: Stored, reader: Reader) -> Decision:
    """Return a decision as it lies (rule 3); `NotBelieved`, `Damaged` or `CouldNotTell` says why it is not believed."""
    where, filed = stored.key, _filed(stored)
    opened = open_seal(stored.data, where)
    freeze, frozen_at = _freeze(reader, opened.statement.predicate)
    seal = believe_seal(opened, filed, reader.trust, freeze.request.spec.target, where).seal
    principal = seal.decided.principal
    if layout.seal(seal.freeze, principal.issuer, principal.subject) != where:
        raise NotBelieved(f"is a seal of {principal.name} on the freeze {seal.freeze}", where=where, mend=_ALTERED)
    believe_on(seal, filed, reader.trust, freeze, seal.freeze, where)
    return Decision(opened.bundle, seal, freeze, frozen_at)


def believe_correction(stored: Stored, reader: Reader) -> tuple[Bundle, Correction, Verified]:
    """Return a correction as it lies, and the outcome that it is of (rule 4); `NotBelieved`, `CouldNotTell` say why it is not believed."""
    opened = opened_as(stored.data, CorrectionStatement, CORRECTION_TYPE, stored.key)
    request = opened.statement.predicate.request
    try:
        verified = reader.outcome(request)
    except Missing:
        raise NotBelieved(f"corrects the outcome of {request}, which has no event", where=stored.key) from None
    except Failed as error:
        raise CouldNotTell(f"corrects the outcome of {request}, which is not believed ({error})", where=stored.key) from error
    if not stored.key.startswith(layout.corrections_prefix(verified.digest)):
        raise NotBelieved(f"corrects the outcome of {request}, and lies under another event", where=stored.key, mend=_ALTERED)
    found = read_correction(_filed(stored), reader.trust, verified.freeze.request.spec.target, stored.key)
    return opened.bundle, found.correction, verified


def _freeze(reader: Reader, seal: Seal) -> tuple[Freeze, datetime]:
    key = layout.freeze(seal.id, seal.freeze)
    try:
        stored = reader.store.read(key, limit=MAX_PAYLOAD)
    except Missing:
        raise CouldNotTell("the freeze that it names is missing", where=key, mend="restore it from a copy of the archive") from None
    if sha256(stored.data) != seal.freeze:
        raise Damaged("the bytes are not those of the freeze", key, _ALTERED)
    freeze = read_freeze(stored.data, key)
    if freeze.id != seal.id:
        raise Damaged(f"is a freeze of the request {freeze.id}", key, _ALTERED)
    return freeze, stored.stored_at


def _filed(stored: Stored) -> Filed:
    return Filed(stored.data, stored.stored_at)


def _own_target(bundle: Bundle, trust: Trust, where: str) -> Target:
    """Return a target that the statement's own key may speak for: who stands for no one target is asked about none (rule 1)."""
    targets = signed_by(bundle, trust, where).targets
    return Target(environment=targets.environments[0], clusters=targets.clusters[:1], namespaces=("any",))


def _named(key: str) -> Digest:
    """Return the digest that a statement must have to lie under its key."""
    return Digest(f"sha256:{key.rpartition('/')[2]}")
