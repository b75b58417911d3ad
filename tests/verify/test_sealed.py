"""A decision as it lies in the archive, without an event: the same ones count for the operator, the auditor's table and the verifier."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from authenticator import Authenticator, consenting, registered
from signing_in import CLIENT, ISSUER, Provider
from world import CARLA, POLICY, SPEC, World

from signoff.archive import layout
from signoff.decision.consent import KEY, TOKEN, consent_nonce
from signoff.decision.passkeys import challenge_of
from signoff.decision.seals import NotBelieved, passkey_bundle
from signoff.desk.freezing import Frozen
from signoff.errors import SignoffError
from signoff.record.canonical import b64encode, dumps
from signoff.record.promotion import SealedDecision
from signoff.record.values import sha256
from signoff.verify.reader import Reader
from signoff.verify.sealed import sealed_on
from signoff.verify.statements import believe_decision

AT = datetime(2026, 3, 2, 10, 2, 51, tzinfo=UTC)
PROVIDER = Provider()
KEY_OF_CARLA = Authenticator()
Change = Callable[[dict[str, Any]], None]


@dataclass
class Bank:
    """A world whose trust file names an identity provider, and a frozen desk."""

    world: World
    frozen: Frozen

    def seal(self, change: Change) -> SealedDecision:
        """Seal Carla's approval, and lay it where her decision on the desk lies."""
        sealed = self.world.seal(self.frozen.payload, self.frozen.freeze, CARLA, change=change)
        self.world.store.create(layout.seal(self.frozen.digest, CARLA.issuer, CARLA.subject), sealed.bundle)
        return sealed

    def in_the_table(self) -> bool:
        stored = self.world.store.read(layout.seal(self.frozen.digest, CARLA.issuer, CARLA.subject), limit=1 << 20)
        try:
            believe_decision(stored, self.world.reader)
        except NotBelieved:
            return False
        return True

    def for_the_operator(self) -> bool:
        return bool(sealed_on(self.world.reader, self.frozen.freeze, self.frozen.digest))

    def in_an_event(self, sealed: SealedDecision) -> bool:
        event = self.world.bundle(self.frozen.payload, [sealed])
        self.world.store.create(layout.event(self.frozen.freeze.id), event)
        try:
            self.world.reader.outcome(self.frozen.freeze.id)
        except SignoffError:
            return False
        return True


def bank(world: World, assurance: str) -> Bank:
    provider = {"issuer": ISSUER, "clients": [CLIENT], "subjectClaim": "email", "groupsClaim": "groups"}
    world.trust = world.trust_with(identityProviders=[provider])
    world.reader = Reader(world.store, world.trust)
    policy = json.loads(json.dumps(POLICY))
    for tier in policy["tiers"].values():
        tier["assurance"] = assurance
    return Bank(world, world.freeze(SPEC, policies=(world.publish("credit-models", policy),)))


def proven(bank: Bank, assurance: str) -> Change:
    """Carla's ID token stands in the seal, for this very decision where the login is a fresh one."""
    nonce = consent_nonce(bank.frozen.digest, bank.frozen.freeze.renditions[0].digest, "Approve") if assurance == "fresh-login" else ""
    token = PROVIDER.token(CARLA.subject.partition("@")[0], AT, nonce=nonce, email=CARLA.subject)

    def change(seal: dict[str, Any]) -> None:
        proofs = [(TOKEN, token.encode()), (KEY, dumps(PROVIDER.public))]
        seal["decided"]["consent"] = {
            "assurance": assurance,
            "proofs": [{"mediaType": kind, "content": b64encode(data)} for kind, data in proofs],
        }

    return change


def by_passkey(bank: Bank, verdict: Any = "Approve") -> Change:
    """Carla's passkey signed for this very decision, or for the other verdict."""
    digest, rendition = bank.frozen.digest, bank.frozen.freeze.renditions[0].digest
    registration = passkey_bundle(registered(KEY_OF_CARLA, PROVIDER, AT - timedelta(days=30)), bank.world.seal_key)
    used = KEY_OF_CARLA.use(challenge_of(digest, rendition, verdict, CARLA))
    return lambda seal: seal["decided"].update(consent=consenting(PROVIDER.token("carla", AT), PROVIDER, registration, used))


CASES = {
    "none is asked for, and none is there": ("api-server", lambda _: lambda _: None, True),
    "more than is asked for": ("api-server", lambda bank: proven(bank, "session"), True),
    "a session is asked for, and there": ("session", lambda bank: proven(bank, "session"), True),
    "a fresh login is asked for, and there": ("fresh-login", lambda bank: proven(bank, "fresh-login"), True),
    "a passkey is asked for, and there": ("passkey", by_passkey, True),
    "a passkey where a fresh login is asked for": ("fresh-login", by_passkey, True),
    "a fresh login where a passkey is asked for": ("passkey", lambda bank: proven(bank, "fresh-login"), False),
    "a passkey that was used for the other verdict": ("passkey", lambda bank: by_passkey(bank, "Reject"), False),
    "a passkey that was used, where nobody asks for one": ("api-server", lambda bank: by_passkey(bank, "Reject"), False),
    "less than is asked for": ("fresh-login", lambda bank: proven(bank, "session"), False),
    "no proof where one is asked for": ("session", lambda _: lambda _: None, False),
    "a rendition of another desk": ("api-server", lambda _: lambda seal: seal.update(rendition=sha256(b"x")), False),
    "another desk": ("api-server", lambda _: lambda seal: seal.update(freeze=sha256(b"x")), False),
    "another request": ("api-server", lambda _: lambda seal: seal.update(id="0" * 64), False),
}


@pytest.mark.parametrize("case", CASES)
def test_a_decision_counts_for_all_or_for_nobody(world: World, case: str) -> None:
    assurance, made, counts = CASES[case]
    place = bank(world, assurance)
    sealed = place.seal(made(place))
    assert place.for_the_operator() is counts
    assert place.in_an_event(sealed) is counts
    if (sealed.seal.id, sealed.seal.freeze) == (place.frozen.freeze.id, place.frozen.digest):  # the table reads what a seal itself names
        assert place.in_the_table() is counts
