"""Passkeys at the seal's door: a login registers a key, and what was withdrawn counts for nothing."""

from __future__ import annotations

import base64
import dataclasses
import json
import re
from collections.abc import Mapping
from copy import deepcopy
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from authenticator import ORIGIN, PARTY, Authenticator, as_spec
from kubernetes import client
from signing_in import CLIENT, ISSUER, Provider
from world import CARLA, DAVID, POLICY, World

from signoff.archive import layout
from signoff.config import IdentityProviderSettings
from signoff.decision.consent import BY_PASSKEY
from signoff.decision.passkeys import challenge_of, registration_nonce
from signoff.decision.principals import Issuer, Resolved, resolve
from signoff.decision.seals import Filed, read_passkey
from signoff.desk.freezing import Frozen
from signoff.errors import SignoffError
from signoff.record.bundle import MAX_BUNDLE
from signoff.record.canonical import Json, dumps
from signoff.record.freeze import Identity
from signoff.record.seal import PasskeyKey
from signoff.record.values import parse, parse_digest, parse_time, sha256
from signoff.verify.reader import Reader
from signoff.webhook import passkeys
from signoff.webhook.cluster import Cluster, NotFound
from signoff.webhook.consent import About, Acting, AssertionSpec, ConsentSpec, Providers, acting
from signoff.webhook.review import Reply, read_review
from signoff.webhook.witness import Witness
from tests.webhook.listening import ISSUERS
from tests.webhook.reviews import review, user

NOW = datetime(2026, 3, 4, 9, 0, tzinfo=UTC)
PROVIDER = Provider()
KEY = Authenticator()
ACCOUNT = {
    "username": "system:serviceaccount:signoff-system:signoff-portal",
    "groups": ["system:serviceaccounts"],
    "extra": {"authentication.kubernetes.io/credential-id": ["JTI=7"]},
}
PORTAL = Identity(issuer="https://kubernetes.bank.example", subject="signoff-system:signoff-portal")


class Held(Cluster):
    """The passkeys that the API server holds, and nothing else of it."""

    def __init__(self) -> None:
        super().__init__(client.ApiClient(client.Configuration(host="http://127.0.0.1:1")))
        self.held: dict[str, Mapping[str, Json]] = {}

    def passkey(self, name: str) -> Mapping[str, Json]:
        if name not in self.held:
            raise NotFound("is not there", where=name)
        return self.held[name]


class Door:
    """The seal's door over a real archive, and an API server that holds passkeys."""

    def __init__(self, world: World) -> None:
        provider = {"issuer": ISSUER, "clients": [CLIENT], "subjectClaim": "email", "groupsClaim": "groups"}
        world.trust = world.trust_with(identityProviders=[provider])
        world.reader = Reader(world.store, world.trust)
        self.world, self.cluster, self.now = world, Held(), NOW
        settings = IdentityProviderSettings(issuer=ISSUER, jwks=f"{ISSUER}/keys")
        self.providers = Providers((settings,), (PORTAL,), lambda _: [PROVIDER.public])
        self.issuers = tuple(parse(Issuer, dumps(one), "issuer") for one in ISSUERS)
        self.witness = Witness(
            "demo",
            self.cluster,
            world.store,
            world.reader,
            world.seal_key,
            self.issuers,
            lambda: self.now,
            100,
            self.providers,
            passkey_origins=(ORIGIN,),
        )

    def ask(self, part: Any, obj: dict[str, Any], *, who: Mapping[str, Any] = ACCOUNT, **changes: Any) -> Reply:
        body = json.dumps(review(obj, "promotionpasskeys", userInfo=who, **changes)).encode()
        reply: Reply = part(self.witness, read_review(body))
        return reply

    def registered(self, obj: dict[str, Any] | None = None, **changes: Any) -> dict[str, Any]:
        """Have a passkey signed; return the final object, as the API server would hold it."""
        obj = obj if obj is not None else wanted(**changes)
        [operation] = self.ask(passkeys.seal, obj).patch
        assert (operation["op"], operation["path"]) == ("add", "/registration")
        final = obj | {"registration": operation["value"]}
        self.cluster.held[obj["metadata"]["name"]] = final
        return final

    def statements(self) -> list[str]:
        return sorted(self.world.store.list("statements/passkey/"))


def wanted(
    authenticator: Authenticator = KEY, who: str = "carla", at: datetime = NOW, token: str | None = None, **spec: Any
) -> dict[str, Any]:
    said = {**authenticator.spec, **spec}
    nonce = registration_nonce(parse(PasskeyKey, dumps(authenticator.spec), "passkey"))
    told = {**said, "consent": {"idToken": token or PROVIDER.token(who, at, nonce=nonce)}}
    return {
        "apiVersion": "signoff.dev/v1alpha1",
        "kind": "PromotionPasskey",
        "metadata": {"name": f"{who}s-key"},
        "spec": {name: value for name, value in told.items() if value is not None},
    }


@pytest.fixture
def door(world: World) -> Door:
    return Door(world)


# --- registering ----------------------------------------------------------------------------------------------------


def test_rule_5_a_registration_is_archived_before_it_is_answered_and_says_whose_key_it_is(door: Door) -> None:
    final = door.registered()
    digest = parse_digest(final["registration"]["statement"])
    stored = door.world.store.read(layout.statement("passkey", digest), limit=MAX_BUNDLE)
    read = read_passkey(Filed(stored.data, stored.stored_at), door.world.trust, door.world.freeze().freeze.request.spec.target)
    assert (read.principal.subject, read.method, read.origins, read.attestation) == ("carla@bank.example", "id-token", (ORIGIN,), "none")
    assert parse_time(read.validUntil) - parse_time(read.time) == timedelta(days=366), "rule 4: it ends by itself"
    assert final["registration"]["subject"] == "carla@bank.example"
    assert door.ask(passkeys.check, final) == Reply()


def test_rule_3_whoever_sends_it_themselves_sends_their_own_login(door: Door) -> None:
    assert door.ask(passkeys.seal, wanted(), who=user("carla")).patch
    with pytest.raises(SignoffError, match=r"the ID token is of carla@bank\.example"):
        door.ask(passkeys.seal, wanted(), who=user("david"))


REFUSED: dict[str, tuple[dict[str, Any], str]] = {
    "another key than the login was for": ({"publicKey": Authenticator().spec["publicKey"]}, "the login was not for this passkey"),
    "another credential": ({"credential": "AAAA"}, "the login was not for this passkey"),
    "a sign-in for nothing": ({"token": PROVIDER.token("carla", NOW)}, "the login was not for this passkey"),
    "a login of long ago": ({"at": NOW - timedelta(minutes=6)}, "more than 5 minutes"),
    "a token by nobody": ({"token": Provider(kid="one").token("carla", NOW)}, "does not verify"),
    "a token of another issuer": ({"token": Provider("https://evil.example").token("carla", NOW)}, "is no identity provider here"),
    "no token": ({"consent": None}, "consent"),
    "another place": ({"relyingParty": "bank.example"}, "nobody uses passkeys at bank.example"),
    "no key": ({"publicKey": "-----BEGIN PUBLIC KEY-----\nAAAA\n-----END PUBLIC KEY-----\n"}, "is no public key"),
    "a credential in another alphabet": ({"credential": "a+b/"}, "credential"),
    "a credential spelled otherwise": ({"credential": "AB"}, "the one base64url spelling"),
    "no label": ({"label": ""}, "label"),
    "a label that reads otherwise": ({"label": "blue\u202e key"}, "label"),
    "an unknown field": ({"colour": "red"}, "colour"),
}


@pytest.mark.parametrize(("changes", "why"), [pytest.param(*one, id=name) for name, one in REFUSED.items()])
def test_what_no_login_vouches_for_is_not_registered(door: Door, changes: dict[str, Any], why: str) -> None:
    obj = wanted(**{name: value for name, value in changes.items() if name != "consent"})
    if "consent" in changes:
        del obj["spec"]["consent"]
    for part in (passkeys.seal, passkeys.check):
        with pytest.raises(SignoffError, match=why):
            door.ask(part, obj)
    assert door.statements() == []


def test_rule_2_where_no_portal_is_named_nobody_registers_a_key(door: Door) -> None:
    door.witness = dataclasses.replace(door.witness, passkey_origins=())
    with pytest.raises(SignoffError, match=f"nobody uses passkeys at {PARTY}.*passkeyOrigins"):
        door.ask(passkeys.seal, wanted())


def test_a_dry_run_registers_nothing_and_is_checked_all_the_same(door: Door) -> None:
    assert door.ask(passkeys.seal, wanted(), dryRun=True) == Reply()
    assert door.ask(passkeys.check, wanted(), dryRun=True) == Reply()
    with pytest.raises(SignoffError, match="the login was not"):
        door.ask(passkeys.seal, wanted(credential="AAAA"), dryRun=True)
    assert door.statements() == []


def test_without_the_archive_nothing_is_registered_and_that_is_said(door: Door) -> None:
    door.world.folder.rename(door.world.folder.with_name("elsewhere"))
    with pytest.raises(SignoffError, match=r"nothing was registered, for the archive does not answer.*safe to try again"):
        door.ask(passkeys.seal, wanted())


def test_bypass_14_nobody_registers_a_key_as_somebody_else(door: Door) -> None:
    final = door.registered()
    with pytest.raises(SignoffError, match="only admission writes this field"):
        door.ask(passkeys.seal, final)
    with pytest.raises(SignoffError, match="has not signed"):
        door.ask(passkeys.check, wanted())
    for wrong, why in (
        (wanted(who="david") | {"metadata": final["metadata"], "registration": final["registration"]}, "of somebody else"),
        (final | {"metadata": {"name": "another"}}, "is another registration"),
        (final | {"spec": {**final["spec"], "label": "red key"}}, "is another registration"),
        (final | {"registration": {**final["registration"], "subject": "david@bank.example"}}, "says other than what was signed"),
        (final | {"registration": {**final["registration"], "validUntil": "2999-01-01T00:00:00Z"}}, "says other than what was signed"),
    ):
        with pytest.raises(SignoffError, match=why):
            door.ask(passkeys.check, wrong)


def test_rule_1_a_passkey_is_registered_once_and_not_changed(door: Door) -> None:
    final = door.registered()
    other = deepcopy(final)
    other["spec"]["label"] = "red key"
    moved = final | {"registration": {**final["registration"], "statement": "sha256:" + "0" * 64}}
    for part in (passkeys.seal, passkeys.check):
        with pytest.raises(SignoffError, match="delete it to withdraw it"):
            door.ask(part, other, operation="UPDATE", old=final)
        with pytest.raises(SignoffError):
            door.ask(part, moved, operation="UPDATE", old=final)
    bare = {key: value for key, value in final.items() if key != "registration"}
    [operation] = door.ask(passkeys.seal, bare, operation="UPDATE", old=final).patch
    assert operation["value"] == final["registration"]
    assert door.ask(passkeys.check, final, operation="UPDATE", old=final) == Reply()


# --- the press ------------------------------------------------------------------------------------------------------


class Press:
    """A decision of Carla's on a desk that asks for a passkey, as the portal brings it."""

    def __init__(self, door: Door) -> None:
        self.door = door
        tiers = {"tier-2": {**POLICY["tiers"]["tier-2"], "assurance": "passkey"}}
        published = door.world.publish("credit-models", {**POLICY, "tiers": tiers})
        self.frozen: Frozen = door.world.freeze(policies=(published,))
        self.digest, self.rendition = sha256(self.frozen.payload), self.frozen.freeze.renditions[0].digest

    def challenge(self, verdict: Any = "Approve", who: Any = CARLA) -> str:
        return challenge_of(self.digest, self.rendition, verdict, who)

    def consent(
        self, *, who: str = "carla", name: str = "carlas-key", authenticator: Authenticator = KEY, challenge: str = ""
    ) -> ConsentSpec:
        used = as_spec(name, authenticator.use(challenge or self.challenge()))
        token = PROVIDER.token(who, self.door.now - timedelta(hours=1))
        return parse(ConsentSpec, dumps({"idToken": token, "passkey": used}), "spec.consent")

    def act(self, consent: ConsentSpec | None, who: Mapping[str, Any] = ACCOUNT) -> Acting:
        door, sender = self.door, self.sender(who)
        used: AssertionSpec | None = consent.passkey if consent is not None else None
        found = passkeys.registered(door.witness, used, self.frozen.freeze.request.spec.target) if used is not None else None
        about = About(self.frozen.freeze, self.digest, self.rendition, "Approve", door.now)
        return acting(door.providers, door.world.trust, sender, who, consent, about, found)

    def sender(self, who: Mapping[str, Any]) -> Resolved:
        return resolve(who, self.door.issuers)


@pytest.fixture
def press(door: Door) -> Press:
    door.registered()
    return Press(door)


def test_a_passkey_decides_and_the_seal_keeps_what_it_gave(press: Press) -> None:
    acted = press.act(press.consent())
    assert (acted.who.principal.subject, acted.assurance, acted.who.method) == ("carla@bank.example", "passkey", "id-token")
    assert acted.who.groups == ("model-approvers",), "the sign-in says in which groups she is"
    kinds = [one["mediaType"] for one in acted.proofs if isinstance(one, dict)]
    assert tuple(kinds) == BY_PASSKEY
    bundle = base64.b64decode(acted.proofs[2]["content"])  # type: ignore[call-overload,index]
    [key] = press.door.statements()
    assert bundle == press.door.world.store.read(key, limit=MAX_BUNDLE).data, "to the byte"


def test_what_does_not_rest_on_a_passkey_is_told_where_to_use_one(press: Press) -> None:
    told = "tier-2 asks for passkey, and this decision rests on {}; use your passkey for this very decision: in the portal"
    with pytest.raises(SignoffError, match=told.format("api-server")):
        press.act(None, user("carla"))
    consent = press.consent().model_copy(update={"passkey": None})
    with pytest.raises(SignoffError, match=told.format("session")):
        press.act(consent)


def test_rule_1_a_withdrawn_passkey_counts_for_nothing(press: Press) -> None:
    consent = press.consent()
    assert press.act(consent).assurance == "passkey"
    del press.door.cluster.held["carlas-key"]
    with pytest.raises(SignoffError, match="is not registered, or was withdrawn; nothing was decided"):
        press.act(consent)


def test_rule_4_a_passkey_that_has_ended_counts_for_nothing(press: Press) -> None:
    press.door.now = NOW + timedelta(days=366)
    with pytest.raises(SignoffError, match="is registered from 2026-03-04T09:00:00Z until"):
        press.act(press.consent())


def test_bypass_14_a_passkey_decides_for_its_owner_on_what_it_was_used_for_and_nothing_else(press: Press) -> None:
    door = press.door
    david = Authenticator()
    door.registered(wanted(david, "david"))
    same_key = Authenticator(KEY.key, credential="AAAA")
    door.registered(wanted(same_key, "david") | {"metadata": {"name": "davids-copy"}})
    cases: dict[str, tuple[ConsentSpec, str]] = {
        "somebody else's passkey": (press.consent(name="davids-key", authenticator=david), "is the passkey of david"),
        "her passkey with somebody else's sign-in": (press.consent(who="david"), "is the passkey of carla@bank.example, not of david"),
        "hers as that of who registered her key": (
            press.consent(who="david", name="davids-copy"),
            "another desk, verdict or person",
        ),
        "the other verdict": (press.consent(challenge=press.challenge("Reject")), "another desk, verdict or person"),
        "another desk": (press.consent(challenge=challenge_of(sha256(b"x"), press.rendition, "Approve", CARLA)), "another desk"),
        "another person": (press.consent(challenge=press.challenge(who=DAVID)), "another desk, verdict or person"),
        "another key under her name": (press.consent(authenticator=Authenticator()), "not by the registered key"),
        "a passkey that nobody registered": (press.consent(name="nothing"), "is not registered"),
    }
    for consent, why in cases.values():
        with pytest.raises(SignoffError, match=re.escape(why)):
            press.act(consent)


def test_bypass_18_a_registration_that_is_not_in_the_archive_counts_for_nothing(press: Press) -> None:
    held = press.door.cluster.held
    final: dict[str, Any] = dict(held["carlas-key"])
    held["another-name"] = final
    with pytest.raises(SignoffError, match="is the passkey carlas-key of cluster demo"):
        press.act(press.consent(name="another-name"))
    for statement in ("sha256:" + "0" * 64, "", "sha256:", "../../events/x", 7):
        held["carlas-key"] = final | {"registration": {**final["registration"], "statement": statement}}
        with pytest.raises(SignoffError):
            press.act(press.consent())


@pytest.mark.parametrize("field", ["clientDataJSON", "authenticatorData", "signature"])
@pytest.mark.parametrize("value", ["", "=", "AA", "A" * 9000, "a_b-", None, 7, "AAA=\n"])
def test_what_is_no_answer_of_an_authenticator_is_refused_in_words(press: Press, field: str, value: Any) -> None:
    good = press.consent().model_dump(mode="json")
    good["passkey"][field] = value
    if value is None:
        del good["passkey"][field]
    with pytest.raises(SignoffError):
        press.act(parse(ConsentSpec, dumps(good), "spec.consent"))
