"""Mutations of the product, each by replacing named functions or constants: what the histories must notice, and why it matters."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

from signoff.archive.file import FileStore
from signoff.decision import checks, delegations, eligibility, seals
from signoff.gate import memory
from signoff.operator import commit, reconcile
from signoff.policy import quorum, routing
from signoff.policy.facts import facts_of
from signoff.policy.quorum import Quorum
from signoff.policy.routing import Step
from signoff.policy.schema import PolicySpec
from signoff.record.canonical import dumps
from signoff.record.promotion import PROMOTION_TYPE, SealedDecision, as_json
from signoff.record.values import sha256
from signoff.verify import rules, verifier
from signoff.verify.reader import Reader
from signoff.webhook import corrections, decisions, policies, promotions

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
    real = seals.read_seal
    real_archived = commit.sealed_on

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

    patch.setattr(commit, "sealed_on", archived)
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
        lambda spec, history, checks=(): facts_of(spec, replace(history, version=history.version or "1"), checks),
    )


def unheard_claims(patch: Patch) -> None:
    """What the requester says of the request makes no route stricter."""
    real = routing._asked
    patch.setattr(
        routing,
        "_asked",
        lambda policy, rule, seen, *, raising: Step(rule, raising, "does not hold") if raising else real(policy, rule, seen, raising=False),
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


class Anything:
    """Equal to everything, and holds everything."""

    def __eq__(self, _: object) -> bool:
        return True

    def __ne__(self, _: object) -> bool:
        return False

    def __hash__(self) -> int:
        return 0

    def __contains__(self, _: object) -> bool:
        return True


def check_by_any_key(patch: Patch) -> None:
    """A check counts by whichever key it is signed."""
    for name in ("_key_flaw", "_known_flaw"):
        patch.setattr(checks, name, lambda *_: "")
    patch.setattr(PolicySpec, "keys_of", lambda *_: Anything())


def check_by_an_ended_key(patch: Patch) -> None:
    """A check counts though its key has ended, or was in other hands."""
    from signoff.record import trust

    real = checks.require_key

    def require(*arguments: Any) -> None:
        with patch.context() as meanwhile:
            meanwhile.setattr(seals, "valid_when_stored", lambda *_: trust.Answer.YES)
            real(*arguments)

    patch.setattr(checks, "require_key", require)


def foreign_check(patch: Patch) -> None:
    """A check counts whatever candidate it measured."""
    patch.setattr(checks, "candidate_of", lambda _: Anything())


def old_check(patch: Patch) -> None:
    """A check counts whatever it compared the candidate with."""
    real = checks._flaw
    patch.setattr(checks, "_flaw", lambda check, spec, _: real(check, spec, check.incumbent))


def any_figures(patch: Patch) -> None:
    """A condition on figures holds whatever they are."""
    real = routing.holds
    patch.setattr(routing, "holds", lambda *arguments, check=None, **named: check is not None or real(*arguments, check=check, **named))


def person_in_tier_3(patch: Patch) -> None:
    """Whoever bears the engine's group decides in tier 3."""
    real = eligibility._require_kind
    patch.setattr(eligibility, "_require_kind", lambda tier, *rest, **named: None if tier == "tier-3" else real(tier, *rest, **named))


def engine_among_people(patch: Patch) -> None:
    """The engine decides in any tier, if it bears the groups."""
    real = eligibility._require_kind
    patch.setattr(eligibility, "_require_kind", lambda *arguments, is_engine: None if is_engine else real(*arguments, is_engine=is_engine))


def idle_engine(patch: Patch) -> None:
    """The engine leaves alone what its policy lets it approve."""
    from tests.model import simulation

    patch.setattr(simulation, "awaits", lambda _: False)


def endless_grant(patch: Patch) -> None:
    """A grant counts after its end."""
    real = decisions.require_scope

    def scope(grant: Any, grantee: Any, freeze: Any, _: Any, *where: Any) -> None:
        real(grant, grantee, freeze, grant.validFrom, *where)

    for room in (decisions, delegations):
        patch.setattr(room, "require_scope", scope)


def wide_grant(patch: Patch) -> None:
    """A grant counts on whatever model and tier."""
    real = decisions.require_scope

    def scope(grant: Any, grantee: Any, freeze: Any, time: Any, *where: Any) -> None:
        wide = grant.model_copy(update={"models": ("*",), "tiers": ("tier-1", "tier-2")})
        real(wide, grantee, freeze, time, *where)

    for room in (decisions, delegations):
        patch.setattr(room, "require_scope", scope)


def anybodys_grant(patch: Patch) -> None:
    """A grant counts for whoever names it."""
    real = decisions.require_scope
    for room in (decisions, delegations):
        patch.setattr(room, "require_scope", lambda grant, _, *rest: real(grant, grant.grantee, *rest))


def lasting_grant(patch: Patch) -> None:
    """A grant that was taken back counts."""
    from tests.model.apiserver import NotFound, WebhooksCluster

    real, seen = WebhooksCluster.delegation, dict[str, Any]()

    def delegation(self: Any, name: str) -> Any:
        try:
            seen[name] = real(self, name)
        except NotFound:
            if name not in seen:
                raise
        return seen[name]

    patch.setattr(WebhooksCluster, "delegation", delegation)


def two_voices(patch: Patch) -> None:
    """Who granted and who decides by the grant count as two."""
    patch.setattr(quorum, "_each_word_once", list)


def own_roles(patch: Patch) -> None:
    """By a grant somebody decides in their own roles, and not in those of whoever granted it."""
    real = decisions.standing
    patch.setattr(decisions, "standing", lambda freeze, who, also, _, **named: real(freeze, who, also, None, **named))


def deaf_to_the_grantor(patch: Patch) -> None:
    """Nobody asks what Kubernetes lets a grantor approve, nor whether they could be the pipeline."""
    for name in ("_require_verb", "_require_apart"):
        patch.setattr(decisions, name, _of_presser(getattr(decisions, name)))


def _of_presser(real: Callable[..., None]) -> Callable[..., None]:
    # A grantor is asked about by name and groups alone; whoever presses comes with how they signed in.
    def require(witness: Any, *rest: Any) -> None:
        if all("extra" in one for one in rest if isinstance(one, dict)):
            real(witness, *rest)

    return require


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


def deaf_to_corrections(patch: Patch) -> None:
    """Nobody reads what was said of an event afterwards."""
    patch.setattr(Reader, "corrections", lambda *_: ())


def altered_passes(patch: Patch) -> None:
    """A correction that is not believed is passed over, and so an altered revocation is none."""
    from signoff.errors import SignoffError
    from signoff.verify import reader

    real = reader.counts

    def counts(*arguments: Any) -> Any:
        try:
            return real(*arguments)
        except SignoffError:
            return None

    patch.setattr(reader, "counts", counts)


def anybody_corrects(patch: Patch) -> None:
    """Nobody asks whether whoever corrects may."""
    patch.setattr(corrections, "_require_allowed", nothing)


def revoked_is_live(patch: Patch) -> None:
    """What was revoked is live all the same."""
    patch.setattr(Reader, "revoked", nothing)


def gate_not_told(patch: Patch) -> None:
    """The gate of the process that signed a revocation goes on for as long as any other."""
    patch.setattr(memory.Memory, "revoke", lambda *_: ())


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
        check_by_any_key,
        check_by_an_ended_key,
        foreign_check,
        old_check,
        any_figures,
        person_in_tier_3,
        engine_among_people,
        idle_engine,
        endless_grant,
        wide_grant,
        anybodys_grant,
        lasting_grant,
        two_voices,
        own_roles,
        deaf_to_the_grantor,
        deaf_to_corrections,
        altered_passes,
        anybody_corrects,
        revoked_is_live,
        gate_not_told,
    )
}
