"""Consent by passkey: what a registration and an assertion prove, and what does not pass for one. Tests are named after the rules."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from authenticator import ORIGIN, PARTY, PRESENT, VERIFIED, Authenticator, consenting, ed25519_key, p256, registered, rsa_key
from cryptography.hazmat.primitives.asymmetric import ec, ed448
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from hypothesis import given
from hypothesis import strategies as st
from signing_in import CLIENT, ISSUER, Provider
from world import CARLA, DAVID, STORED, World

from signoff.decision.consent import BY_PASSKEY, BY_TOKEN, consent_nonce
from signoff.decision.frozen import believe_on
from signoff.decision.passkeys import (
    MAX_AUTHENTICATOR_DATA,
    MAX_CLIENT_DATA,
    MAX_REGISTRATION,
    MAX_SIGNATURE,
    Assertion,
    believe_registration,
    challenge_of,
    passkey_of,
    pem_of_der,
    public_key_of,
    registration_nonce,
    require_assertion,
    require_owner,
)
from signoff.decision.seals import Filed, NotBelieved, passkey_bundle
from signoff.errors import SignoffError
from signoff.record.canonical import dumps
from signoff.record.promotion import SealedDecision, as_json
from signoff.record.seal import Passkey, PasskeyKey
from signoff.record.trust import Trust
from signoff.record.values import format_time, parse, sha256

AT = datetime(2026, 3, 2, 10, 2, 51, tzinfo=UTC)
REGISTERED = AT - timedelta(days=30)
PROVIDER, OTHER = Provider(), Provider(kid="other")
FREEZE, RENDITION = sha256(b"freeze"), sha256(b"rendition")
CHALLENGE = challenge_of(FREEZE, RENDITION, "Approve", CARLA)
KEY = Authenticator()
GOLDEN = "-----BEGIN PUBLIC KEY-----\nMCowBQYDK2VwAyEAA6EHv/POEL4dcN0Y50vAmWfk1jCbpQ1fHdyGZBJVMbg=\n-----END PUBLIC KEY-----\n"
"""Of Ed25519, from the bytes 0 to 31."""


def key_of(authenticator: Authenticator) -> PasskeyKey:
    return parse(PasskeyKey, dumps(authenticator.spec), "passkey")


def token_for(authenticator: Authenticator, who: str = "carla", at: datetime = REGISTERED, **claims: Any) -> str:
    return PROVIDER.token(who, at, **{"nonce": registration_nonce(key_of(authenticator)), **claims})


def passkey(authenticator: Authenticator = KEY, *, provider: Provider = PROVIDER, token: str | None = None, **changes: Any) -> Passkey:
    return registered(authenticator, provider, REGISTERED, token=token or token_for(authenticator), **changes)


def trusting(world: World, **changes: Any) -> Trust:
    provider = {"issuer": ISSUER, "clients": [CLIENT], "subjectClaim": "email", "groupsClaim": "groups"}
    return world.trust_with(identityProviders=[provider], **changes)


# --- what is registered (rules 1 to 3) -------------------------------------------------------------------------------


def test_rule_1_the_nonce_of_a_registration_is_of_relying_party_credential_and_key() -> None:
    nonces = {
        registration_nonce(key_of(Authenticator(key, party, credential)))
        for key in (KEY.key, p256())
        for party in (PARTY, "elsewhere.example")
        for credential in ("AAAA", "AAAB")
    }
    assert len(nonces) == 8
    fixed = {"label": "any", "relyingParty": PARTY, "credential": "AQID", "publicKey": GOLDEN}
    assert registration_nonce(parse(PasskeyKey, dumps(fixed), "passkey")) == "reXPZNqYDhr5tGmnhqAHIp8WxBGBD4naukSLYhA-tCQ"
    assert (
        registration_nonce(parse(PasskeyKey, dumps({**fixed, "label": "another"}), "passkey"))
        == "reXPZNqYDhr5tGmnhqAHIp8WxBGBD4naukSLYhA-tCQ"
    ), "a label is a label"


def test_rule_1_the_provider_says_whose_key_it_is(world: World) -> None:
    login = believe_registration(passkey(), trusting(world))
    assert login.identity.is_same(CARLA)


NOT_REGISTERED: dict[str, tuple[dict[str, Any], str]] = {
    "a login for another key": ({"token": token_for(Authenticator())}, "the login was not for this passkey"),
    "a login for nothing": ({"token": token_for(KEY, nonce="x")}, "the login was not for this passkey"),
    "a login for a decision": ({"token": token_for(KEY, nonce=consent_nonce(FREEZE, RENDITION, "Approve"))}, "was not for this passkey"),
    "a login of somebody else": ({"token": token_for(KEY, "david")}, "registered by david@bank.example, as the passkey of carla"),
    "a login hours before": ({"token": token_for(KEY, at=REGISTERED - timedelta(hours=1))}, "more than 5 minutes"),
    "a login afterwards": ({"token": token_for(KEY, at=REGISTERED + timedelta(hours=1))}, "from after"),
    "a token renewed without a login": ({"token": token_for(KEY, auth_time=int(REGISTERED.timestamp()) - 3600)}, "more than 5 minutes"),
    "a login that does not say when": ({"token": token_for(KEY, auth_time=None)}, "does not say when"),
    "another key of the provider beside it": ({"provider": OTHER}, "does not verify"),
    "another credential id": ({"credential": "AAAA"}, "the login was not for this passkey"),
    "another public key": ({"publicKey": Authenticator().spec["publicKey"]}, "the login was not for this passkey"),
    "another relying party": ({"relyingParty": "elsewhere.example"}, "the login was not for this passkey"),
    "other proofs": ({"proofs": [{"mediaType": "text/plain", "content": "AAAA"}] * 2}, "carries no proof"),
}


@pytest.mark.parametrize(("changes", "why"), [pytest.param(*one, id=name) for name, one in NOT_REGISTERED.items()])
def test_rule_1_a_key_is_nobodys_that_no_login_registered(world: World, changes: dict[str, Any], why: str) -> None:
    with pytest.raises(NotBelieved, match=why):
        believe_registration(passkey(**changes), trusting(world))


def test_rule_1_a_provider_that_nobody_trusts_registers_nothing(world: World) -> None:
    with pytest.raises(NotBelieved, match="the trust file does not name"):
        believe_registration(passkey(), world.trust)


@pytest.mark.parametrize("make", [p256, ed25519_key, rsa_key], ids=["ES256", "EdDSA", "RS256"])
def test_rule_2_three_kinds_of_keys_count_and_sign(make: Callable[[], Any]) -> None:
    authenticator = Authenticator(make())
    require_assertion(authenticator.use(CHALLENGE), passkey(authenticator), CHALLENGE)
    der = authenticator.key.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
    assert pem_of_der(der) == authenticator.spec["publicKey"]


def pem(key: Any) -> str:
    return key.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo).decode()  # type: ignore[no-any-return]


NO_KEYS: dict[str, str] = {
    "another curve": pem(ec.generate_private_key(ec.SECP384R1())),
    "a curve of coins": pem(ec.generate_private_key(ec.SECP256K1())),
    "another Edwards curve": pem(ed448.Ed448PrivateKey.generate()),
    "short RSA": pem(rsa_key(1024)),
    "no key": "-----BEGIN PUBLIC KEY-----\nAAAA\n-----END PUBLIC KEY-----\n",
    "another spelling": KEY.spec["publicKey"].replace("\n", "", 2).replace("KEY-----", "KEY-----\n", 1),
}


@pytest.mark.parametrize("text", [pytest.param(one, id=name) for name, one in NO_KEYS.items()])
def test_rule_2_no_other_key_counts(text: str) -> None:
    with pytest.raises(NotBelieved):
        public_key_of(key_of(KEY).model_copy(update={"publicKey": text}))


@given(st.binary(max_size=200))
def test_rule_2_whatever_a_browser_sends_as_a_key_is_refused_in_words(der: bytes) -> None:
    with pytest.raises(NotBelieved):
        pem_of_der(der)


def test_rule_3_a_registration_counts_for_its_owner_in_its_cluster_in_its_time() -> None:
    one = passkey()
    for time in (one.time, format_time(AT)):
        require_owner(one, CARLA, "demo", time)
    before, ended = format_time(REGISTERED - timedelta(seconds=1)), one.validUntil
    for who, cluster, time, why in (
        (DAVID, "demo", format_time(AT), "is the passkey of carla@bank.example, not of david"),
        (CARLA, "west", format_time(AT), "registered in cluster demo, not in west"),
        (CARLA, "demo", before, "is registered from"),
        (CARLA, "demo", ended, "is registered from"),
    ):
        with pytest.raises(NotBelieved, match=why):
            require_owner(one, who, cluster, time)


# --- what the key signed (rules 4 to 8) ------------------------------------------------------------------------------


def signed(data: bytes | None = None, **client: Any) -> Assertion:
    return KEY.answer(KEY.client_data(**{"challenge": CHALLENGE, **client}), data if data is not None else KEY.data())


def said(client_data: bytes) -> Assertion:
    return KEY.answer(client_data, KEY.data())


def altered(assertion: Assertion, **changes: bytes) -> Assertion:
    return dataclasses.replace(assertion, **changes)


GOOD: dict[str, Assertion] = {
    "as Chromium has it": signed(),
    "as older browsers have it": signed(crossOrigin=None),
    "with fields that browsers may add": signed(other_keys_can_be_added_here="do not compare"),
    "with extensions": signed(KEY.data(flags=PRESENT | VERIFIED | 0x80, more=b"\xa1\x63abc\x01")),
    "by a synced passkey": signed(KEY.data(flags=PRESENT | VERIFIED | 0x18)),
    "with a counter": signed(KEY.data(count=7)),
}
BAD: dict[str, tuple[Assertion, str]] = {
    "rule 4: no JSON": (said(b"webauthn.get"), "cannot be read"),
    "rule 4: no object": (said(b'["webauthn.get"]'), "cannot be read"),
    "rule 4: a field twice": (
        said(KEY.client_data(CHALLENGE)[:-1] + b',"challenge":"x"}'),
        "cannot be read",
    ),
    "rule 4: a registration taken for a use": (signed(type="webauthn.create"), "no use of a passkey"),
    "rule 4: no type": (signed(type=None), "no use of a passkey"),
    "rule 4: another challenge": (signed(challenge="x"), "another desk, verdict or person"),
    "rule 4: no challenge": (signed(challenge=None), "another desk, verdict or person"),
    "rule 4: the challenge with padding": (signed(challenge=f"{CHALLENGE}="), "another desk, verdict or person"),
    "rule 4: another origin": (signed(origin="https://signoff.bank.example.evil.example"), "was used at 'https://signoff.bank"),
    "rule 4: another port": (signed(origin=f"{ORIGIN}:8443"), "and is registered for https://signoff.bank.example"),
    "rule 4: without TLS": (signed(origin=f"http://{PARTY}"), "was used at"),
    "rule 4: no origin": (signed(origin=None), "was used at"),
    "rule 4: in another site's page": (signed(crossOrigin=True), "within another site's page"),
    "rule 4: in another site's page, in words": (signed(crossOrigin="false"), "within another site's page"),
    "rule 4: in another site's page, as a number": (signed(crossOrigin=0), "within another site's page"),
    "rule 4: below another site's page": (signed(topOrigin="https://evil.example"), "within another site's page"),
    "rule 5: nothing": (signed(b""), "what the authenticator says cannot be read"),
    "rule 5: cut short": (signed(KEY.data()[:-1]), "what the authenticator says cannot be read"),
    "rule 5: more than its flags announce": (signed(KEY.data(more=b"x")), "what the authenticator says cannot be read"),
    "rule 5: another relying party": (signed(KEY.data(party="bank.example")), "another place than signoff.bank.example"),
    "rule 5: nobody there": (signed(KEY.data(flags=VERIFIED)), "nobody was there"),
    "rule 5: somebody, whoever it was": (signed(KEY.data(flags=PRESENT)), "did not verify who used the passkey"),
    "rule 6: another key": (Authenticator().use(CHALLENGE), "not by the registered key"),
    "rule 6: a key of another kind": (Authenticator(ed25519_key()).use(CHALLENGE), "not by the registered key"),
    "rule 6: no signature": (altered(signed(), signature=b""), "not by the registered key"),
    "rule 6: user verification, claimed afterwards": (
        altered(signed(KEY.data(flags=PRESENT)), authenticator_data=KEY.data()),
        "not by the registered key",
    ),
    "rule 6: other client data": (
        altered(signed(challenge="x"), client_data=KEY.client_data(CHALLENGE)),
        "not by the registered key",
    ),
    "client data like a book": (signed(x="x" * MAX_CLIENT_DATA), "larger than is read"),
    "authenticator data like a book": (signed(KEY.data(flags=0x85, more=b"x" * MAX_AUTHENTICATOR_DATA)), "larger than is read"),
    "a signature like a book": (altered(signed(), signature=b"x" * (MAX_SIGNATURE + 1)), "larger than is read"),
}


@pytest.mark.parametrize("assertion", [pytest.param(one, id=name) for name, one in GOOD.items()])
def test_an_assertion_for_this_decision_counts(assertion: Assertion) -> None:
    require_assertion(assertion, passkey(), CHALLENGE)


@pytest.mark.parametrize(("assertion", "why"), [pytest.param(*one, id=name) for name, one in BAD.items()])
def test_no_other_assertion_counts(assertion: Assertion, why: str) -> None:
    with pytest.raises(NotBelieved, match=why):
        require_assertion(assertion, passkey(), CHALLENGE)


def test_rule_6_any_altered_byte_is_another_assertion() -> None:
    good = signed()
    for name in ("client_data", "authenticator_data", "signature"):
        data = getattr(good, name)
        for at in range(len(data)):
            wrong = altered(good, **{name: data[:at] + bytes([data[at] ^ 1]) + data[at + 1 :]})
            with pytest.raises(NotBelieved):
                require_assertion(wrong, passkey(), CHALLENGE)


def test_rule_7_the_challenge_is_of_freeze_rendition_verdict_and_person() -> None:
    challenges = {
        challenge_of(freeze, rendition, verdict, who)  # type: ignore[arg-type]
        for freeze in (FREEZE, RENDITION)
        for rendition in (FREEZE, RENDITION)
        for verdict in ("Approve", "Reject")
        for who in (CARLA, DAVID)
    }
    assert len(challenges) == 16
    assert challenge_of(FREEZE, RENDITION, "Approve", CARLA) == "HL1YHygoj1wC5m_zdsU_qdujJK_qz263fq-rzeNUofc"
    assert consent_nonce(FREEZE, RENDITION, "Approve") not in challenges, "a login's nonce is no challenge"


def test_rule_8_the_counter_decides_nothing() -> None:
    for count in (9, 3, 0):
        require_assertion(signed(KEY.data(count=count)), passkey(), CHALLENGE)


# --- a seal (rules 1 to 7, and `consent`) ----------------------------------------------------------------------------


class Desk:
    """One frozen desk, on which Carla decides by her passkey."""

    def __init__(self, world: World) -> None:
        self.world, self.frozen = world, world.freeze()
        self.digest, self.rendition = sha256(self.frozen.payload), self.frozen.freeze.renditions[0].digest
        self.trust = trusting(world)

    def used(self, verdict: Any = "Approve", who: Any = CARLA) -> Assertion:
        return KEY.use(challenge_of(self.digest, self.rendition, verdict, who))

    def sealed(
        self, registration: bytes, assertion: Assertion, *, token: str = "", kinds: Any = BY_PASSKEY, **decided: Any
    ) -> SealedDecision:
        consent = consenting(token or PROVIDER.token("carla", AT), PROVIDER, registration, assertion, kinds)

        def change(seal: dict[str, Any]) -> None:
            seal["decided"] |= {"consent": consent, "method": "id-token", "time": format_time(AT), **decided}

        return self.world.seal(self.frozen.payload, self.frozen.freeze, CARLA, change=change)

    def registration(self, one: Passkey | None = None) -> bytes:
        return passkey_bundle(one or passkey(), self.world.seal_key)

    def believe(self, sealed: SealedDecision) -> None:
        believe_on(sealed.seal, Filed(sealed.bundle, STORED), self.trust, self.frozen.freeze, self.digest)


def test_a_seal_is_believed_that_rests_on_a_passkey(world: World) -> None:
    desk = Desk(world)
    desk.believe(desk.sealed(desk.registration(), desk.used()))


def test_bypass_14_a_seal_is_not_believed_whose_passkey_proves_something_else(world: World) -> None:
    desk = Desk(world)
    good, used = desk.registration(), desk.used()
    wrong: dict[str, Callable[[], SealedDecision]] = {
        "for the other verdict": lambda: desk.sealed(good, used, verdict="Reject"),
        "for another desk": lambda: desk.sealed(good, KEY.use(challenge_of(FREEZE, desk.rendition, "Approve", CARLA))),
        "for another rendition": lambda: desk.sealed(good, KEY.use(challenge_of(desk.digest, RENDITION, "Approve", CARLA))),
        "by one key for two people": lambda: desk.sealed(good, desk.used(who=DAVID)),
        "for a fresh login": lambda: desk.sealed(good, KEY.use(consent_nonce(desk.digest, desk.rendition, "Approve"))),
        "somebody else's passkey": lambda: desk.sealed(
            desk.registration(passkey(principal=as_json(DAVID), token=token_for(KEY, "david"))), used
        ),
        "a registration that nobody signed": lambda: desk.sealed(passkey_bundle(passkey(), world.stranger), used),
        "a registration by the operator": lambda: desk.sealed(passkey_bundle(passkey(), world.event_key), used),
        "a registration without its login": lambda: desk.sealed(desk.registration(passkey(token=token_for(KEY, nonce="x"))), used),
        "a registration of another cluster": lambda: desk.sealed(desk.registration(passkey(cluster="west")), used),
        "a registration that has ended": lambda: desk.sealed(desk.registration(passkey(validUntil=format_time(AT))), used),
        "a registration to come": lambda: desk.sealed(
            desk.registration(passkey(token=token_for(KEY, at=AT + timedelta(hours=1)), time=format_time(AT + timedelta(hours=1)))), used
        ),
        "no registration": lambda: desk.sealed(b"{}", used),
        "no sign-in beside it": lambda: desk.sealed(good, used, kinds=BY_PASSKEY[2:]),
        "a sign-in of yesterday": lambda: desk.sealed(good, used, token=PROVIDER.token("carla", AT - timedelta(hours=13))),
        "a sign-in of somebody else": lambda: desk.sealed(good, used, token=PROVIDER.token("david", AT)),
        "a group that the sign-in does not name": lambda: desk.sealed(good, used, token=PROVIDER.token("carla", AT, groups=["staff"])),
        "the sign-in alone": lambda: desk.sealed(good, used, kinds=BY_TOKEN),
        "proofs in another order": lambda: desk.sealed(good, used, kinds=(*BY_PASSKEY[:3], BY_PASSKEY[4], BY_PASSKEY[3], BY_PASSKEY[5])),
        "the same said of a session": lambda: desk.sealed(
            good, used, consent={"assurance": "session", "proofs": as_json(desk.sealed(good, used).seal.decided.consent)["proofs"]}
        ),
    }
    for name, make in wrong.items():
        try:
            desk.believe(make())
        except SignoffError:
            continue
        pytest.fail(f"believed: {name}")


def test_a_registration_like_a_book_is_not_believed_though_all_of_it_is_signed(world: World) -> None:
    desk = Desk(world)
    wordy = Provider(kid="k" * 7000, key=PROVIDER.key)
    bundle = desk.registration(registered(KEY, wordy, REGISTERED))
    assert len(bundle) > MAX_REGISTRATION
    with pytest.raises(NotBelieved, match="a larger registration than is read"):
        desk.believe(desk.sealed(bundle, desk.used()))


def test_what_a_seal_says_of_its_passkey_is_told_or_refused_in_words(world: World) -> None:
    desk = Desk(world)
    sealed = desk.sealed(desk.registration(), desk.used()).seal.decided
    told = passkey_of(sealed)
    assert told is not None
    assert told.label == "blue key"
    without = sealed.consent.model_copy(update={"assurance": "session"})
    assert passkey_of(sealed.model_copy(update={"consent": without})) is None
    for proofs in ((), sealed.consent.proofs[:5], sealed.consent.proofs[::-1]):
        with pytest.raises(NotBelieved, match="other proofs than a passkey gives"):
            passkey_of(sealed.model_copy(update={"consent": sealed.consent.model_copy(update={"proofs": proofs})}))


def test_a_passkey_stands_where_less_is_asked_and_nothing_else_where_it_is(world: World) -> None:
    from signoff.decision.consent import suffices

    assert all(suffices("passkey", one) for one in ("api-server", "session", "fresh-login", "passkey"))
    assert not suffices("fresh-login", "passkey")
