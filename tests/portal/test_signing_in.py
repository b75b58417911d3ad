"""Signing in at a provider that lies, and signing in anew for one decision: who is signed in, what is decided, and in which words."""

from __future__ import annotations

import time
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from controlplane.bank import CARLA, DAVID
from controlplane.idp import EmbeddedProvider
from controlplane.lies import Lie
from controlplane.signing_in import Forms
from signoff.decision.consent import MAX_KEYS, consent_nonce
from signoff.openid import CLOCKS
from tests.portal.house import House

DESK = "/desk/credit/credit-scoring-2.4.0"

AT_SIGN_IN: dict[Lie, str] = {
    Lie.WRONG_NONCE: "the ID token is of another sign-in",
    Lie.NO_NONCE: "the ID token is of another sign-in",
    Lie.WRONG_ISSUER: "not by https://127.0.0.1",
    Lie.WRONG_AUDIENCE: "the token was issued for another client",
    Lie.UNSIGNED: "the ID token does not verify",
    Lie.FOREIGN_KEY: "the ID token does not verify",
    Lie.UNKNOWN_KEY: "a key that the identity provider does not name",
    Lie.SHARED_SECRET: "the ID token does not verify",
    Lie.EXPIRED: "the ID token has run out",
    Lie.NOT_YET: "the ID token is from after now",
    Lie.STALE_LOGIN: "you signed in there more than 6 hours ago",
    Lie.NO_LOGIN_TIME: "does not say when you signed in",
    Lie.UNVERIFIED_EMAIL: "has not verified the address of mail",
    Lie.MIXED_UP: "the answer is of another identity provider",
    Lie.SILENT_ISSUER: "the answer names no identity provider",
}
UNSEEN: dict[Lie, str] = {
    Lie.ANOTHER_PERSON: "who somebody is, the provider says",
    Lie.UNASKED: "a session of the provider is enough to sign in",
}


def test_each_lie_is_judged() -> None:
    assert set(AT_SIGN_IN) | set(UNSEEN) == set(Lie)


@pytest.mark.parametrize("lie", AT_SIGN_IN, ids=lambda lie: lie.name)
def test_by_a_lie_nobody_is_signed_in_and_why_is_said(house: House, provider: EmbeddedProvider, lie: Lie) -> None:
    visitor = house.visitor()
    with provider.telling(lie):
        answer = visitor.sign_in(CARLA)
    assert answer.status_code == 403
    assert "You did not sign in" in answer.text
    assert AT_SIGN_IN[lie] in answer.text
    assert visitor.get("/").status_code == 401
    assert visitor.sign_in(CARLA).status_code == 303, "honest again, it signs her in"


@pytest.mark.parametrize("lie", [*AT_SIGN_IN, Lie.ANOTHER_PERSON], ids=lambda lie: lie.name)
def test_by_a_lie_at_a_fresh_login_nothing_is_decided(house: House, provider: EmbeddedProvider, lie: Lie) -> None:
    desk = house.desk(assurance="fresh-login")
    carla = house.visitor(CARLA)
    address = leads_to(carla.press(desk).text)
    with provider.telling(lie):
        answer = carla.get(carla.led(address, CARLA))
    assert answer.status_code == 403
    assert "Nothing was decided" in answer.text
    assert f'href="{DESK}"' in answer.text
    assert house.rooms.created == []


def leads_to(page: str) -> str:
    """Where the page leads that comes before a fresh login."""
    from html import unescape
    from re import search

    found = search(r'http-equiv="refresh" content="0; url=([^"]+)"', page)
    assert found is not None, page
    assert f'href="{found[1]}"' in page, "whoever's browser does not refresh has a link"
    return unescape(found[1])


def test_a_fresh_login_asks_for_the_password_with_the_decisions_own_nonce(house: House) -> None:
    desk = house.desk(assurance="fresh-login")
    carla = house.visitor(CARLA)
    pressed = carla.press(desk, "Reject")
    assert pressed.status_code == 200
    assert "Nothing is decided yet" in pressed.text
    address = leads_to(pressed.text)
    nonce = consent_nonce(desk.digest, desk.freeze.renditions[0].digest, "Reject")
    assert f"nonce={nonce}" in address
    assert "prompt=login" in address
    assert "max_age=0" in address
    assert house.rooms.created == []
    assert carla.get(carla.led(address, CARLA)).headers["location"] == f"{DESK}/receipt"
    [created] = house.rooms.created
    assert created["spec"]["verdict"] == "Reject"


def test_a_login_from_before_the_press_is_no_fresh_one(house: House, provider: EmbeddedProvider) -> None:
    """A provider that asks for no password, whatever prompt and max_age say."""
    desk = house.desk(assurance="fresh-login")
    carla = house.visitor(CARLA)
    with Forms(provider) as browser:
        back, _ = browser.lead(carla.to_provider(), CARLA, f"{house.home}/callback")
        carla.get(back.removeprefix(house.home))
        [session] = [one for one in provider.sessions.values() if one.person.email == CARLA][-1:]
        long_ago = int(time.time()) - int(CLOCKS.total_seconds()) - 5
        object.__setattr__(session, "auth_time", long_ago)
        with provider.telling(Lie.UNASKED):
            back, was_asked = browser.lead(leads_to(carla.press(desk).text), CARLA, f"{house.home}/callback")
    assert not was_asked
    answer = carla.get(back.removeprefix(house.home))
    assert answer.status_code == 403
    assert "That was no fresh login" in answer.text
    assert "Nothing was decided" in answer.text
    assert house.rooms.created == []


def test_a_fresh_login_of_somebody_else_or_in_another_browser_decides_nothing(house: House) -> None:
    desk = house.desk(assurance="fresh-login")
    carla, david = house.visitor(CARLA), house.visitor(DAVID)
    other = carla.get(carla.led(leads_to(carla.press(desk).text), DAVID))
    assert "You pressed as somebody else than David Example" in other.text
    back = carla.led(leads_to(carla.press(desk).text), CARLA)
    assert david.get(back).status_code == 400
    assert house.rooms.created == []
    assert carla.get(back).status_code == 303
    assert carla.get(back).status_code == 400, "a reload decides nothing anew"
    assert len(house.rooms.created) == 1


def test_who_signs_out_meanwhile_decides_nothing(house: House) -> None:
    desk = house.desk(assurance="fresh-login")
    carla = house.visitor(CARLA)
    back = carla.led(leads_to(carla.press(desk).text), CARLA)
    carla.post("/sign-out", data={"csrf": carla.token(DESK)})
    assert carla.get(back).status_code == 400
    assert house.rooms.created == []


def test_with_the_provider_away_nothing_is_decided_and_it_is_safe_to_try_again(house: House, provider: EmbeddedProvider) -> None:
    desk = house.desk(assurance="fresh-login")
    carla, visitor = house.visitor(CARLA), house.visitor()
    back, signing = carla.led(leads_to(carla.press(desk).text), CARLA), visitor.led(visitor.to_provider(), CARLA)
    provider.stop()
    try:
        for answer in (carla.get(back), visitor.get(signing)):
            assert answer.status_code == 503
            assert "the identity provider does not answer" in answer.text
            assert "Nothing was decided, and it is safe to try again." in answer.text
        house.portal.signing_in.client._discovered = None
        for answer in (house.visitor().get("/sign-in"), carla.press(desk)):
            assert answer.status_code == 503
            assert "Nothing was decided, and it is safe to try again." in answer.text
        assert carla.get(DESK).status_code == 200, "who is signed in goes on reading"
    finally:
        provider.start()
    assert house.rooms.created == []
    assert carla.get(carla.led(leads_to(carla.press(desk).text), CARLA)).status_code == 303


def test_a_sign_in_asks_for_a_login_of_the_last_hours(house: House) -> None:
    assert "max_age=21600" in house.visitor().to_provider()


def test_once_a_login_proves_no_session_any_more_nobody_is_signed_in(house: House) -> None:
    desk, carla = house.desk(), house.visitor(CARLA)
    form = carla.form(desk)
    later = datetime.now(UTC) + timedelta(hours=12, minutes=1)
    object.__setattr__(house.portal, "now", lambda: later)
    assert carla.get(DESK).status_code == 401
    assert carla.post(f"{DESK}/decision", data=form).status_code == 401
    assert house.rooms.created == []


def test_a_portal_that_starts_anew_asks_everybody_to_sign_in(house: House, provider: EmbeddedProvider) -> None:
    desk, carla = house.desk(), house.visitor(CARLA)
    form = carla.form(desk)
    house.sessions._signed_in.clear()
    refused = carla.post(f"{DESK}/decision", data=form)
    assert refused.status_code == 401
    assert "Nothing was decided" in refused.text
    assert carla.sign_in(CARLA).status_code == 303
    assert carla.press(desk).status_code == 303


@pytest.mark.parametrize("document", [{"issuer": "https://evil.example"}, {"authorization_endpoint": "http://evil.example"}])
def test_a_discovery_document_that_leads_elsewhere_signs_nobody_in(
    house: House, provider: EmbeddedProvider, document: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    told = provider.discovery() | document
    monkeypatch.setattr(house.portal.signing_in.client, "_get", lambda _: told)
    answer = house.visitor().get("/sign-in")
    assert answer.status_code == 403
    assert "You did not sign in" in answer.text


KEY_SETS: dict[str, Any] = {
    "for encryption": lambda keys: [{**one, "use": "enc"} for one in keys],
    "for what nobody knows": lambda keys: [{**one, "use": ["sig"]} for one in keys],
    "beyond as many as are looked at": lambda keys: [{**keys[0], "kid": "other"}] * MAX_KEYS + keys,
    "under another name": lambda keys: [{**one, "kid": "other"} for one in keys],
    "that are no list": lambda keys: keys[0],
}


@pytest.mark.parametrize("bend", [pytest.param(one, id=name) for name, one in KEY_SETS.items()])
def test_by_keys_that_are_none_for_signatures_nobody_is_signed_in(
    house: House, provider: EmbeddedProvider, bend: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    visitor, client = house.visitor(), house.portal.signing_in.client
    back, told, keys = visitor.led(visitor.to_provider(), CARLA), client._get, provider.discovery()["jwks_uri"]
    monkeypatch.setattr(client, "_get", lambda asked: {"keys": bend(told(asked)["keys"])} if asked == keys else told(asked))
    answer = visitor.get(back)
    assert answer.status_code == 403
    assert "You did not sign in" in answer.text
    assert visitor.get("/").status_code == 401
