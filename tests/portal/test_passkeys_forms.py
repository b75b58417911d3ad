"""Passkeys in the portal without a browser: whose are shown, what is registered by which login, and what a form may bring."""

from __future__ import annotations

import re
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest
from authenticator import Authenticator
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from signing_in import encoded

from controlplane.bank import CARLA, DAVID
from controlplane.idp import EmbeddedProvider
from controlplane.lies import Lie
from signoff.decision.passkeys import challenge_of, registration_nonce
from signoff.desk.freezing import Frozen
from signoff.openid import CLOCKS
from signoff.portal.cluster import ClusterAway, Denied, NotKnown
from signoff.portal.guard import COOKIE
from signoff.record.canonical import dumps
from signoff.record.freeze import Identity
from signoff.record.seal import PasskeyKey
from signoff.record.values import parse
from tests.portal.house import HOME, House, Visitor

DESK = "/desk/credit/credit-scoring-2.4.0"
PARTY = "portal.bank.example"
POLICY = f"script-src {HOME}/passkey.js"
KEY = Authenticator(party=PARTY)


def der(authenticator: Authenticator = KEY) -> str:
    return encoded(authenticator.key.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo))


def form(visitor: Visitor, **changes: str) -> dict[str, str]:
    """The form by which the script registers a key, filled in."""
    token = visitor.token("/passkeys")
    return {"csrf": token, "label": "blue key", "credential": KEY.credential, "publicKey": der()} | changes


def begin(visitor: Visitor, **changes: str) -> str:
    """Press “Register”; return the provider's address to which it leads."""
    answer = visitor.post("/passkeys/registration", data=form(visitor, **changes))
    assert answer.status_code == 200, answer.text
    found = re.search(r'<a href="(https://[^"]+)">Go on to', answer.text)
    assert found is not None
    return found[1].replace("&amp;", "&")


# --- one's own ------------------------------------------------------------------------------------------------------


def test_rule_3_people_see_their_own_passkeys_of_this_portal_that_count(house: House) -> None:
    house.passkey(CARLA, "phone")
    house.passkey(CARLA, "ended", validUntil="2026-01-01T00:00:00Z")
    house.passkey(CARLA, "elsewhere", host="other.bank.example")
    house.passkey(CARLA, "of another provider", issuer="https://evil.example")
    house.passkey(DAVID, "david's")
    page = house.visitor(CARLA).get("/passkeys").text
    assert re.findall("<h3>(.*)</h3>", page) == ["phone"]
    assert f'data-party="{PARTY}"' in page


def test_rule_3_people_withdraw_their_own_passkeys_and_nobody_elses(house: House) -> None:
    own, other = house.passkey(CARLA, "phone"), house.passkey(DAVID, "david's")
    carla = house.visitor(CARLA)
    token = carla.token("/passkeys")
    for name in (other, "nothing", ""):
        assert carla.post("/passkeys/withdrawal", data={"csrf": token, "name": name}).status_code == 303
    assert set(house.rooms.keys) == {own, other}
    answer = carla.post("/passkeys/withdrawal", data={"csrf": token, "name": own})
    assert (answer.status_code, answer.headers["location"]) == (303, "/passkeys")
    assert set(house.rooms.keys) == {other}


@pytest.mark.parametrize("what", ["registration", "withdrawal"])
def test_another_page_neither_registers_nor_withdraws(house: House, what: str) -> None:
    own, carla = house.passkey(CARLA), house.visitor(CARLA)
    data = form(carla) | {"name": own}
    for wrong in ({"headers": {"origin": "https://evil.example"}}, {"headers": {"sec-fetch-site": "cross-site"}}, {"csrf": "x"}):
        answer = carla.post(f"/passkeys/{what}", data=data | {"csrf": wrong.get("csrf", data["csrf"])}, headers=wrong.get("headers"))
        assert answer.status_code == 403
    assert set(house.rooms.keys) == {own}
    assert house.visitor().post(f"/passkeys/{what}", data=data).status_code == 401


def test_rule_4_the_script_runs_on_the_pages_for_passkeys_and_nowhere_else(house: House) -> None:
    desk = house.desk(assurance="passkey")
    house.passkey(CARLA)
    carla = house.visitor(CARLA)
    scripted = (carla.get("/passkeys"), carla.press(desk))
    for answer in scripted:
        policy = answer.headers["content-security-policy"]
        assert policy.endswith(POLICY)
        assert "default-src 'none'" in policy
        assert "frame-ancestors 'none'" in policy
        assert answer.text.count("<script") == 1
    for path in ("/", DESK, f"{DESK}/receipt", f"{DESK}/explanation", "/nothing", "/passkeys/registration"):
        answer = carla.get(path)
        assert "script-src" not in answer.headers["content-security-policy"], path
        assert "<script" not in answer.text, path
    script = house.visitor().get("/passkey.js")
    assert script.headers["content-type"].startswith("text/javascript")
    assert "script-src" not in script.headers["content-security-policy"]
    assert not re.search(r"https?:|eval|innerHTML|fetch|cookie|localStorage", script.text), "it asks nobody, and writes text alone"


# --- registering ----------------------------------------------------------------------------------------------------


def test_rule_1_a_passkey_is_registered_by_a_login_for_this_very_key(house: House) -> None:
    carla = house.visitor(CARLA)
    address = begin(carla)
    asked = {name: values[0] for name, values in parse_qs(urlsplit(address).query).items()}
    key = parse(PasskeyKey, dumps(KEY.spec), "passkey")
    assert (asked["nonce"], asked["prompt"], asked["max_age"]) == (registration_nonce(key), "login", "0")
    assert house.rooms.created == [], "nothing is registered before"
    answer = carla.get(carla.led(address, CARLA))
    assert (answer.status_code, answer.headers["location"]) == (303, "/passkeys")
    [made] = house.rooms.created
    assert made["kind"] == "PromotionPasskey"
    assert {name: value for name, value in made["spec"].items() if name != "consent"} == KEY.spec
    assert made["spec"]["consent"]["idToken"].count(".") == 2
    carla.get(carla.led(begin(carla, label="the same key"), CARLA))
    assert house.rooms.created[1]["metadata"] == made["metadata"], "who registers it twice registers one"


def test_who_signs_in_anew_as_somebody_else_registers_nothing(house: House) -> None:
    carla = house.visitor(CARLA)
    answer = carla.get(carla.led(begin(carla), DAVID))
    assert answer.status_code == 403
    assert "Another person signed in" in answer.text
    assert "Nothing was registered." in answer.text
    assert house.rooms.created == []


def test_a_provider_that_asks_for_no_password_registers_nothing(house: House, provider: EmbeddedProvider) -> None:
    carla = house.visitor(CARLA)
    address = begin(carla)
    [flow] = house.sessions.of(carla.cookies.get(COOKIE)).flows.values()
    object.__setattr__(flow, "begun", flow.begun + CLOCKS * 3)  # as if she had pressed long after she signed in
    with provider.telling(Lie.UNASKED):
        answer = carla.get(carla.led(address, CARLA))
    assert (answer.status_code, "That was no fresh login" in answer.text) == (403, True)
    assert house.rooms.created == []


@pytest.mark.parametrize(
    ("error", "status", "told"),
    [
        (Denied("the login was not for this passkey"), 403, "the login was not for this passkey. Nothing was registered."),
        (NotKnown("the API server does not answer"), 503, "It is not known whether this was registered"),
    ],
)
def test_what_did_not_come_about_is_said(house: House, error: Exception, status: int, told: str) -> None:
    carla = house.visitor(CARLA)
    back = carla.led(begin(carla), CARLA)
    house.rooms.fails = error
    answer = carla.get(back)
    assert answer.status_code == status
    assert told in answer.text


def test_without_the_api_server_nothing_is_registered(house: House) -> None:
    carla = house.visitor(CARLA)
    data = form(carla)
    house.rooms.fails = ClusterAway("the API server did not answer", where="promotionpasskeys")
    for answer in (carla.get("/passkeys"), carla.post("/passkeys/registration", data=data)):
        assert answer.status_code == 503
        assert "it is safe to try again" in answer.text


NO_KEYS: dict[str, dict[str, str]] = {
    "no key": {"publicKey": ""},
    "a key in another alphabet": {"publicKey": "+/=="},
    "no public key": {"publicKey": "AAAA"},
    "no credential": {"credential": ""},
    "a credential in another alphabet": {"credential": "a+b/"},
    "a credential of no whole byte": {"credential": "AAAAA"},
    "a credential spelled otherwise": {"credential": "AB"},
    "a credential like a book": {"credential": "A" * 2000},
    "no label": {"label": " "},
    "a label that reads otherwise": {"label": "blue\u202e key"},
    "a label on two lines": {"label": "blue\nkey"},
}


@pytest.mark.parametrize("changes", [pytest.param(one, id=name) for name, one in NO_KEYS.items()])
def test_rule_2_what_is_no_passkey_is_refused_in_words(house: House, changes: dict[str, str]) -> None:
    carla = house.visitor(CARLA)
    answer = carla.post("/passkeys/registration", data=form(carla, **changes))
    assert (answer.status_code, "Nothing was registered." in answer.text) == (400, True)
    assert house.rooms.created == []


# --- deciding -------------------------------------------------------------------------------------------------------

ANSWER = {"clientDataJSON": encoded(b"client data"), "authenticatorData": encoded(b"data"), "signature": encoded(b"signature")}


@pytest.fixture
def desk(house: House) -> Frozen:
    return house.desk(assurance="passkey")


def test_who_has_no_passkey_is_told_where_to_register_one(house: House, desk: Frozen) -> None:
    house.passkey(DAVID)
    answer = house.visitor(CARLA).press(desk)
    assert answer.status_code == 409
    assert "You have no passkey here" in answer.text
    assert 'href="/passkeys"' in answer.text


@pytest.mark.parametrize("verdict", ["Approve", "Reject"])
def test_the_page_asks_for_this_person_s_signature_over_this_desk_and_verdict(house: House, desk: Frozen, verdict: Any) -> None:
    house.passkey(CARLA)
    house.passkey(DAVID)
    page = house.visitor(CARLA).press(desk, verdict, comment="Seen <b>it</b>.\r\nTwice.").text
    carla = Identity(issuer=house.provider.issuer, subject=CARLA)
    assert f'data-challenge="{challenge_of(desk.digest, desk.freeze.renditions[0].digest, verdict, carla)}"' in page
    assert 'data-known="AAA0"' in page, "her own, and nobody else's"
    assert 'name="comment" value="Seen &lt;b&gt;it&lt;/b&gt;.\nTwice."' in page
    assert house.rooms.created == []


def test_what_the_passkey_gave_goes_along_with_the_decision(house: House, desk: Frozen) -> None:
    name = house.passkey(CARLA)
    carla = house.visitor(CARLA)
    answer = carla.press(desk, comment="Seen.", credential="AAA0", **ANSWER)
    assert (answer.status_code, answer.headers["location"]) == (303, f"{DESK}/receipt")
    [made] = house.rooms.created
    assert made["spec"]["comment"] == "Seen."
    consent = made["spec"]["consent"]
    assert consent["passkey"] == {
        "name": name,
        "clientDataJSON": "Y2xpZW50IGRhdGE=",
        "authenticatorData": "ZGF0YQ==",
        "signature": "c2lnbmF0dXJl",
    }
    assert consent["idToken"].count(".") == 2
    carla.press(desk, credential="AAA0", **ANSWER)
    assert house.rooms.created[1]["metadata"] == made["metadata"], "who presses twice decides once"


NO_ANSWERS: dict[str, dict[str, str]] = {
    "somebody else's passkey": {"credential": "AAA1"},
    "no credential": {"credential": ""},
    "nothing signed": {"signature": ""},
    "another alphabet": {"clientDataJSON": "a+b/"},
    "padded": {"authenticatorData": "AA=="},
    "no whole byte": {"authenticatorData": "A"},
    "a book": {"signature": "A" * 9000},
}


@pytest.mark.parametrize("changes", [pytest.param(one, id=name) for name, one in NO_ANSWERS.items()])
def test_rule_2_what_is_no_answer_of_ones_own_passkey_decides_nothing(house: House, desk: Frozen, changes: dict[str, str]) -> None:
    house.passkey(CARLA)
    house.passkey(DAVID)
    answer = house.visitor(CARLA).press(desk, **{"credential": "AAA0", **ANSWER, **changes})
    assert (answer.status_code, "Nothing was decided." in answer.text) == (403, True)
    assert house.rooms.created == []


def test_the_desk_is_asked_again_when_the_passkey_was_used(house: House, desk: Frozen) -> None:
    house.passkey(CARLA)
    carla = house.visitor(CARLA)
    filled = carla.form(desk, credential="AAA0", **ANSWER)
    house.desk(explanation=b"<p>another</p>", assurance="passkey")
    answer = carla.post(f"{DESK}/decision", data=filled)
    assert (answer.status_code, "The desk has changed" in answer.text) == (409, True)
    assert house.rooms.created == []
