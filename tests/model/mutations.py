"""Mutations of the product, each by replacing named functions or constants: what the histories must notice, and why it matters."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

from signoff.archive.file import FileStore
from signoff.decision import eligibility, seals
from signoff.gate import memory
from signoff.operator import commit, reconcile
from signoff.policy import quorum, routing
from signoff.policy.facts import facts_of
from signoff.policy.quorum import Quorum
from signoff.policy.routing import Step
from signoff.record.canonical import dumps
from signoff.record.promotion import PROMOTION_TYPE, SealedDecision, as_json
from signoff.record.values import sha256
from signoff.verify import rules, verifier
from signoff.verify.reader import Reader
from signoff.webhook import decisions, policies, promotions

Patch = pytest.MonkeyPatch


def nothing(*_: Any, **__: Any) -> None:
    return None


def unsealed(patch: Patch) -> None:
    """The door answers before the seal is archived (and its twin does not look)."""

    class Deaf:
        def __init__(self, store: Any) -> None:
            self._store = store

        def create(self, key: str, data: bytes) -> None:
            """Lose it."""

        def __getattr__(self, name: str) -> Any:
            return getattr(self._store, name)

    real = decisions._seal

    def seal(witness: Any, review: Any, checked: Any) -> SealedDecision:
        import dataclasses

        return real(dataclasses.replace(witness, store=Deaf(witness.store)), review, checked)

    patch.setattr(decisions, "_seal", seal)
    patch.setattr(decisions, "check", nothing)
    from signoff.webhook.review import Reply
    from tests.model import apiserver

    patch.setitem(apiserver.CHECK, "promotiondecisions", lambda *_: Reply())


def one_eye(patch: Patch) -> None:
    """Whoever asks may approve."""
    for room in (quorum, commit, eligibility):
        patch.setattr(room, "asked", nothing)


def overwritten(patch: Patch) -> None:
    """The store writes over what is there."""
    real = FileStore.create

    def create(self: FileStore, key: str, data: bytes) -> Any:
        if key.startswith("events/"):
            (self._path / key).unlink(missing_ok=True)
        return real(self, key, data)

    patch.setattr(FileStore, "create", create)


def endless_grace(patch: Patch) -> None:
    """The gate goes on for ever on what it once verified."""
    patch.setattr(memory, "GRACE", float("inf"))


def no_grace(patch: Patch) -> None:
    """The gate denies as soon as the archive is down."""
    patch.setattr(memory.Memory, "_within_grace", nothing)


def never_asked_again(patch: Patch) -> None:
    """The gate does not look again at what it once verified."""
    patch.setattr(memory, "FRESH_POSITIVE", float("inf"))


def no_incumbent(patch: Patch) -> None:
    """Nobody looks which version is live."""
    patch.setattr(Reader, "incumbent", nothing)


def foreign_seal(patch: Patch) -> None:
    """A seal counts wherever it lies, and whatever freeze it names."""
    real = commit.read_seal
    real_archived = commit._archived

    def archived(reader: Any, freeze: Any, digest: Any) -> Any:
        found = list(real_archived(reader, freeze, digest))
        for key in reader.store.list(f"seals/{digest.removeprefix('sha256:')}/"):
            stored = reader.store.read(key, limit=10**6)
            sealed = real(seals.Filed(stored.data, stored.stored_at), reader.trust, freeze.request.spec.target, key)
            if all(one.bundle != sealed.bundle for one in found):
                found.append(sealed)
        return tuple(found)

    def payload(reader: Any, freeze: Any, _: Any) -> bytes:
        found: bytes = reader.freeze(freeze.id, sha256(dumps(as_json(freeze))))[1]
        return found

    patch.setattr(commit, "_archived", archived)
    patch.setattr(commit, "_payload", payload)
    without(patch, "seals")


def lost_rejection(patch: Patch) -> None:
    """A quorum goes before an archived Reject."""

    def due(collected: Any) -> Any:
        if collected.quorum.reached:
            return PROMOTION_TYPE, collected.approvals
        return None

    patch.setattr(reconcile, "outcome_due", due)


def any_quorum(patch: Patch) -> None:
    """One approval suffices, whatever the policy asks for."""

    def tally(freeze: Any, votes: Any) -> Quorum:
        people = tuple(vote.principal for vote in votes)
        return Quorum(people, () if people else ("somebody",))

    patch.setattr(commit, "tally", tally)
    patch.setattr(rules, "tally", tally)


def no_pointers(patch: Patch) -> None:
    """The event is written and nothing points to it."""
    patch.setattr(commit, "pointers", lambda *_: ())


def desk_not_archived(patch: Patch) -> None:
    """What was shown is not kept."""
    patch.setattr(reconcile, "write_blob", nothing)


def any_signature(patch: Patch) -> None:
    """Signatures are not verified."""
    patch.setattr(seals, "verifies", lambda *_: True)


def any_publisher(patch: Patch) -> None:
    """Whoever applies a policy publishes it."""
    patch.setattr(policies, "_publisher", lambda witness, review: witness.who(review))


def no_history(patch: Patch) -> None:
    """Rules are told that something is live, whatever is."""
    patch.setattr(
        routing,
        "facts_of",
        lambda spec, history: facts_of(spec, replace(history, version=history.version or "1")),
    )


def unheard_claims(patch: Patch) -> None:
    """What the requester says of the request makes no route stricter."""
    real = routing._asked
    patch.setattr(
        routing,
        "_asked",
        lambda rule, seen, *, raising: Step(rule, raising, "does not hold") if raising else real(rule, seen, raising=False),
    )


def laxer_route(patch: Patch) -> None:
    """The door seals though the policies in force ask for more."""
    patch.setattr(decisions, "_require_route", nothing)


def any_key(patch: Patch) -> None:
    """A key that has ended, or was in other hands, is believed all the same."""
    from signoff.record import trust

    patch.setattr(seals, "valid_when_stored", lambda *_: trust.Answer.YES)


def promoted_too_soon(patch: Patch) -> None:
    """The operator takes an archive that does not answer for one that took the event."""
    real = reconcile.commit

    def hasty(reader: Any, signer: Any, freeze: Any, kind: Any, sealed: Any, now: Any) -> Any:
        from signoff.operator.commit import _payload
        from signoff.record.bundle import sign_bundle
        from signoff.record.promotion import outcome_bytes
        from signoff.verify.case import Outcome

        bundle = seals.Filed(sign_bundle(outcome_bytes(kind, _payload(reader, freeze, sealed), freeze, sealed), signer), now)
        believed = verifier.verify(Outcome(bundle, freeze.id), reader.trust, reader.policies_of(bundle))
        try:
            return real(reader, signer, freeze, kind, sealed, now)
        except reconcile.Unavailable:
            return believed

    patch.setattr(reconcile, "commit", hasty)


def second_verdict(patch: Patch) -> None:
    """Who has decided may decide otherwise."""
    patch.setattr(decisions, "_require_same", nothing)


def changed_request(patch: Patch) -> None:
    """A request may be changed after it was submitted."""
    from signoff.webhook.review import Reply
    from tests.model import apiserver

    patch.setitem(apiserver.SEAL, "modelpromotions", lambda witness, review: _unless_update(promotions.seal, witness, review, Reply))
    patch.setitem(apiserver.CHECK, "modelpromotions", lambda witness, review: _unless_update(promotions.check, witness, review, Reply))


def without(patch: Patch, name: str) -> None:
    """Switch a rule of the verifier off."""
    import dataclasses

    changed = tuple(dataclasses.replace(one, check=nothing) if one.name == name else one for one in verifier.RULES)
    patch.setattr(verifier, "RULES", changed)


def no_expiry(patch: Patch) -> None:
    """A promotion never expires."""
    import dataclasses

    changed = tuple(dataclasses.replace(one, check=nothing) if one.name == "expiry" else one for one in verifier.PLACE_RULES)
    patch.setattr(verifier, "PLACE_RULES", changed)


def _unless_update(real: Callable[..., Any], witness: Any, review: Any, reply: Any) -> Any:
    return reply() if review.operation == "UPDATE" else real(witness, review)


MUTATIONS: dict[str, Callable[[Patch], None]] = {
    one.__name__.replace("_", "-"): one
    for one in (
        unsealed,
        one_eye,
        overwritten,
        endless_grace,
        no_grace,
        never_asked_again,
        no_incumbent,
        foreign_seal,
        lost_rejection,
        any_quorum,
        no_pointers,
        desk_not_archived,
        any_signature,
        any_publisher,
        no_history,
        unheard_claims,
        laxer_route,
        any_key,
        promoted_too_soon,
        second_verdict,
        changed_request,
        no_expiry,
    )
}
