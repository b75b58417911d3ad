"""Proof of consent: what an ID token proves of a decision, and what does not pass for one."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from joserfc import jws
from joserfc.jwk import OctKey
from signing_in import CLIENT, ISSUER, Provider, encoded
from world import CARLA, World

from signoff.decision.consent import (
    FRESH,
    KEY,
    MAX_KEYS,
    MAX_TOKEN,
    SESSION,
    SKEW,
    TOKEN,
    assurance_of,
    believe_consent,
    consent_nonce,
    issuer_of,
    key_named,
    keys_in,
    login_of,
    login_under,
    person_of,
    suffices,
)
from signoff.decision.seals import NotBelieved
from signoff.errors import SignoffError
from signoff.record.canonical import Json, b64encode, dumps
from signoff.record.seal import Seal
from signoff.record.trust import IdentityProvider, Trust
from signoff.record.values import RecordError, format_time, parse, sha256

AT = datetime(2026, 3, 2, 10, 2, 51, tzinfo=UTC)
PROVIDER, ELLIPTIC, OTHER = Provider(), Provider.elliptic(), Provider(kid="other")
FREEZE, RENDITION = sha256(b"freeze"), sha256(b"rendition")


def named(**changes: Any) -> IdentityProvider:
    value = {"issuer": ISSUER, "clients": [CLIENT], "subjectClaim": "email", "groupsClaim": "groups", **changes}
    return parse(IdentityProvider, dumps(value), "provider")


def public(provider: Provider = PROVIDER) -> bytes:
    return dumps(provider.public)


@pytest.mark.parametrize("provider", [PROVIDER, ELLIPTIC], ids=["RSA", "EC"])
def test_a_token_says_who_in_which_groups_and_when(provider: Provider) -> None:
    login = login_of(provider.token("carla", AT, nonce="n"), public(provider), named())
    assert (login.identity.issuer, login.identity.subject, login.name) == (ISSUER, "carla@bank.example", "Carla")
    assert (login.groups, login.signed_in, login.nonce) == (("model-approvers",), AT, "n")


@pytest.mark.parametrize(("claim", "subject"), [("email", "carla@bank.example"), ("sub", "id-of-carla"), ("preferred_username", "carla")])
def test_the_trust_file_says_which_claim_is_the_subject(claim: str, subject: str) -> None:
    token = PROVIDER.token("carla", AT, preferred_username="carla")
    assert login_of(token, public(), named(subjectClaim=claim)).identity.subject == subject


def test_groups_bear_the_prefix_of_the_api_server_and_without_a_claim_there_are_none() -> None:
    token = PROVIDER.token("carla", AT)
    assert login_of(token, public(), named(groupsPrefix="oidc:")).groups == ("oidc:model-approvers",)
    without = {"issuer": ISSUER, "clients": [CLIENT], "subjectClaim": "email"}
    assert login_of(token, public(), parse(IdentityProvider, dumps(without), "provider")).groups == ()


LIES: dict[str, tuple[Any, str]] = {
    "another issuer": (PROVIDER.token("carla", AT, iss="https://evil.example"), "not by https://login.bank.example"),
    "for another client": (PROVIDER.token("carla", AT, aud="kubernetes"), "another client"),
    "for several clients, by another": (PROVIDER.token("carla", AT, aud=[CLIENT, "x"], azp="x"), "another client"),
    "no audience": (PROVIDER.token("carla", AT, aud=None), "another client"),
    "an address that nobody verified": (PROVIDER.token("carla", AT, email_verified=False), "has not verified"),
    "an address verified in words": (PROVIDER.token("carla", AT, email_verified="true"), "has not verified"),
    "no subject": (PROVIDER.token("carla", AT, email=None), "has no email"),
    "an empty subject": (PROVIDER.token("carla", AT, email=""), "has no email"),
    "a subject with a line break": (PROVIDER.token("carla", AT, email="carla\n@bank.example"), "cannot be written into a record"),
    "a subject that reads otherwise": (PROVIDER.token("carla", AT, email="carla\u202e"), "cannot be written into a record"),
    "no time": (PROVIDER.token("carla", AT, iat=None), "has no iat"),
    "a time that is none": (PROVIDER.token("carla", AT, iat="today"), "has no iat"),
    "a time beyond time": (PROVIDER.token("carla", AT, auth_time=10**12), "has no auth_time"),
    "by another key": (dataclasses.replace(OTHER, kid="one").token("carla", AT), "does not verify"),
    "by no key": (f"{encoded({'alg': 'none'})}.{encoded(PROVIDER.claims('carla', AT))}.", "does not verify"),
    "claims that are no object": (PROVIDER.signed(b'["carla"]'), "says nothing"),
    "claims that are no JSON": (PROVIDER.signed(b"carla"), "not strict JSON"),
    "a claim twice": (PROVIDER.signed(b'{"iss":"a","iss":"b"}'), "strict JSON"),
    "two parts": ("a.b", "does not verify"),
    "nothing": ("", "does not verify"),
}


@pytest.mark.parametrize(("token", "why"), [pytest.param(*one, id=name) for name, one in LIES.items()])
def test_what_is_no_token_of_theirs_says_nothing(token: str, why: str) -> None:
    with pytest.raises(SignoffError, match=why):
        login_of(token, public(), named())


def test_a_shared_secret_is_no_signature_though_it_is_the_public_key() -> None:
    """The classic: the verifier's public key taken as the secret of an HMAC."""
    secret = OctKey.import_key(public())
    forged = jws.serialize_compact({"alg": "HS256"}, json.dumps(PROVIDER.claims("carla", AT)).encode(), secret, algorithms=["HS256"])
    with pytest.raises(NotBelieved, match="does not verify"):
        login_of(forged, public(), named())
    with pytest.raises(NotBelieved, match="no public key"):
        login_of(forged, dumps({"kty": "oct", "k": encoded(public())}), named())


def test_a_private_key_is_no_public_one() -> None:
    with pytest.raises(NotBelieved, match="no public key"):
        login_of(PROVIDER.token("carla", AT), dumps({**PROVIDER.key.as_dict(private=True)}), named())


def test_where_the_trust_file_lists_keys_no_other_counts() -> None:
    token = PROVIDER.token("carla", AT)
    login_of(token, public(), named(keys=[OTHER.thumbprint, PROVIDER.thumbprint]))
    with pytest.raises(NotBelieved, match="which the trust file does not list"):
        login_of(token, public(), named(keys=[OTHER.thumbprint]))


def test_of_published_keys_those_for_signatures_count_and_no_more_than_the_bound() -> None:
    one: Json = {**PROVIDER.public}
    without = {name: value for name, value in PROVIDER.public.items() if name != "use"}
    others: list[Json] = [{**PROVIDER.public, "use": "enc"}, {**PROVIDER.public, "use": ["sig"]}, "key", None]
    assert list(keys_in({"keys": [*others, without, *[one] * MAX_KEYS]}, "provider")) == [without, *[one] * (MAX_KEYS - 1)]


@pytest.mark.parametrize("jwks", [None, [], {}, {"keys": {}}, {"keys": None}, "keys"])
def test_what_is_no_set_of_keys_is_refused(jwks: Json) -> None:
    with pytest.raises(NotBelieved, match="something else than its keys"):
        keys_in(jwks, "provider")


def test_a_token_verifies_under_the_key_that_it_names_and_under_any_where_it_names_none() -> None:
    other: dict[str, Json] = {**OTHER.public, "x5c": ["certificate"]}
    keys: list[Mapping[str, Json]] = [other, {**PROVIDER.public, "x5c": ["certificate"]}]
    token = PROVIDER.token("carla", AT)
    login, key = login_under(token, keys, named(), "consent")
    assert (login.identity.subject, key) == ("carla@bank.example", public())
    unnamed = jws.serialize_compact({"alg": "RS256"}, json.dumps(PROVIDER.claims("carla", AT)).encode(), PROVIDER.key, algorithms=["RS256"])
    assert login_under(unnamed, keys, named(), "consent") == (login, key)
    with pytest.raises(NotBelieved, match="does not verify"):
        login_under(PROVIDER.signed(PROVIDER.claims("carla", AT), kid="other"), keys, named(), "consent")
    for none in (keys[:1], []):
        with pytest.raises(NotBelieved, match="by a key that the identity provider does not name"):
            login_under(token, none, named(), "consent")


def test_who_signed_in_is_known_to_the_api_server_by_the_providers_prefix() -> None:
    who = person_of(login_of(PROVIDER.token("carla", AT), public(), named()), "oidc:", "consent")
    assert (who.principal.issuer, who.principal.subject, who.principal.name) == (ISSUER, "carla@bank.example", "Carla")
    assert (who.kind, who.method, who.username, who.groups) == ("person", "id-token", "oidc:carla@bank.example", ("model-approvers",))


@given(st.text(max_size=60))
def test_whatever_is_sent_as_a_token_is_refused_in_words(text: str) -> None:
    for ask in (issuer_of, key_named, lambda token: login_of(token, public(), named())):
        with pytest.raises(SignoffError):
            ask(text)


def test_the_nonce_is_of_freeze_rendition_and_verdict() -> None:
    nonces = {
        consent_nonce(freeze, rendition, verdict)  # type: ignore[arg-type]
        for freeze in (FREEZE, RENDITION)
        for rendition in (FREEZE, RENDITION)
        for verdict in ("Approve", "Reject")
    }
    assert len(nonces) == 8
    assert consent_nonce(FREEZE, RENDITION, "Approve") == "9AoRrJn7FlyLXvl60n_qS8gGDZ3MyGXZLuHs4mQ99bM"


NONCE = consent_nonce(FREEZE, RENDITION, "Approve")
REJECTS = consent_nonce(FREEZE, RENDITION, "Reject")


@pytest.mark.parametrize(
    ("ago", "nonce", "proves"),
    [
        (timedelta(0), NONCE, "fresh-login"),
        (FRESH, NONCE, "fresh-login"),
        (FRESH + timedelta(seconds=1), NONCE, "more than 5 minutes"),
        (timedelta(0), REJECTS, "session"),
        (timedelta(0), "", "session"),
        (SESSION, "", "session"),
        (SESSION + timedelta(seconds=1), "", "more than 12 hours"),
        (-SKEW, NONCE, "fresh-login"),
        (-SKEW - timedelta(seconds=1), NONCE, "from after the decision"),
    ],
)
def test_how_far_a_login_proves_a_decision(ago: timedelta, nonce: str, proves: str) -> None:
    login = login_of(PROVIDER.token("carla", AT - ago, nonce=nonce), public(), named())
    if " " in proves:
        with pytest.raises(NotBelieved, match=proves):
            assurance_of(login, NONCE, AT)
    else:
        assert assurance_of(login, NONCE, AT) == proves


def test_a_token_renewed_without_a_new_sign_in_is_no_fresh_login() -> None:
    """A refreshed token is issued now, and its person signed in long ago: ``auth_time`` decides."""
    token = PROVIDER.token("carla", AT, nonce=NONCE, auth_time=int((AT - timedelta(hours=1)).timestamp()))
    with pytest.raises(NotBelieved, match="more than 5 minutes"):
        assurance_of(login_of(token, public(), named()), NONCE, AT)


def test_a_login_whose_time_is_not_said_is_no_fresh_one() -> None:
    """A provider may issue a token now for a login of yesterday; for a session the time of issue is what there is."""
    login = login_of(PROVIDER.token("carla", AT, nonce=NONCE, auth_time=None), public(), named())
    with pytest.raises(NotBelieved, match="does not say when you signed in"):
        assurance_of(login, NONCE, AT)
    assert assurance_of(login, REJECTS, AT) == "session"


@pytest.mark.parametrize(
    ("has", "asked", "enough"),
    [
        ("api-server", "api-server", True),
        ("session", "api-server", True),
        ("session", "fresh-login", False),
        ("fresh-login", "session", True),
    ],
)
def test_what_proves_more_may_stand_for_less(has: Any, asked: Any, enough: bool) -> None:
    assert suffices(has, asked) is enough


def trusting(world: World, **changes: Any) -> Trust:
    return world.trust_with(identityProviders=[{**named().model_dump(mode="json", exclude_none=True), **changes}])


class Desk:
    """One frozen desk, on which Carla decides."""

    def __init__(self, world: World) -> None:
        self.world, self.frozen = world, world.freeze()
        nonce = consent_nonce(sha256(self.frozen.payload), self.frozen.freeze.renditions[0].digest, "Approve")
        self.bound = PROVIDER.token("carla", AT, nonce=nonce)

    def sealed(self, assurance: str, token: str | None, *, key: bytes | None = None, **decided: Any) -> Seal:
        kinds = [] if token is None else [(TOKEN, token.encode()), (KEY, key or public())]

        def change(seal: dict[str, Any]) -> None:
            proofs = [{"mediaType": kind, "content": b64encode(data)} for kind, data in kinds]
            consent = {"assurance": assurance, "proofs": proofs}
            seal["decided"] |= {"consent": consent, "method": "id-token", "time": format_time(AT), **decided}

        return self.world.seal(self.frozen.payload, self.frozen.freeze, CARLA, change=change).seal


def test_a_seal_is_believed_that_carries_what_it_rests_on(world: World) -> None:
    desk, trust = Desk(world), trusting(world)
    believe_consent(desk.sealed("fresh-login", desk.bound), trust, "seal")
    believe_consent(desk.sealed("session", PROVIDER.token("carla", AT)), trust, "seal")
    believe_consent(desk.sealed("api-server", None, method="client-certificate"), trust, "seal")


SESSION_TOKEN = PROVIDER.token("carla", AT)
WRONG: dict[str, tuple[str, str | None, dict[str, Any]]] = {
    "a session taken for a fresh login": ("fresh-login", SESSION_TOKEN, {}),
    "a fresh login taken for a session": ("session", "bound", {}),
    "a fresh login for the other verdict": ("fresh-login", "bound", {"verdict": "Reject"}),
    "somebody else's token": ("session", PROVIDER.token("david", AT), {}),
    "a group that the token does not name": ("session", PROVIDER.token("carla", AT, groups=["staff"]), {}),
    "no proof at all": ("session", None, {}),
    "a portal's decision without a proof": ("api-server", None, {}),
    "a proof for the API server's word": ("api-server", SESSION_TOKEN, {"method": "client-certificate"}),
    "a passkey": ("passkey", SESSION_TOKEN, {}),
    "another key beside it": ("session", SESSION_TOKEN, {"key": public(OTHER)}),
    "a token as long as a book": ("session", "a" * (MAX_TOKEN + 1), {}),
    "a decision hours later": ("session", SESSION_TOKEN, {"time": format_time(AT + timedelta(hours=13))}),
    "a decision before it": ("session", SESSION_TOKEN, {"time": format_time(AT - timedelta(hours=1))}),
}
UNTRUSTED: dict[str, dict[str, Any] | None] = {
    "a provider that nobody trusts": None,
    "a key that is not listed": {"keys": [OTHER.thumbprint]},
    "for another client": {"clients": ["kubernetes"]},
    "another claim for the subject": {"subjectClaim": "sub"},
}


@pytest.mark.parametrize(("assurance", "token", "changes"), [pytest.param(*one, id=name) for name, one in WRONG.items()])
def test_bypass_14_a_seal_is_not_believed_that_rests_on_something_else(
    world: World, assurance: str, token: str | None, changes: dict[str, Any]
) -> None:
    desk = Desk(world)
    seal = desk.sealed(assurance, desk.bound if token == "bound" else token, **changes)
    with pytest.raises(NotBelieved):
        believe_consent(seal, trusting(world), "seal")


@pytest.mark.parametrize("changes", [pytest.param(one, id=name) for name, one in UNTRUSTED.items()])
def test_bypass_14_a_token_that_the_trust_file_does_not_vouch_for_proves_nothing(world: World, changes: dict[str, Any] | None) -> None:
    seal = Desk(world).sealed("session", SESSION_TOKEN)
    with pytest.raises(NotBelieved):
        believe_consent(seal, world.trust if changes is None else trusting(world, **changes), "seal")


def test_a_provider_stands_once_in_the_trust_file(world: World) -> None:
    provider = named().model_dump(mode="json", exclude_none=True)
    with pytest.raises(RecordError, match="an identity provider stands twice"):
        world.trust_with(identityProviders=[provider, provider])
