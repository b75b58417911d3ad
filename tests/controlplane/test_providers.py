"""What both identity providers promise to whoever relies on them."""

from __future__ import annotations

import re
import time
from dataclasses import replace
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl, urlencode, urlsplit

import pytest
from joserfc import jwt
from joserfc.errors import InvalidKeyIdError
from joserfc.jwk import KeySet

from controlplane.keycloak import Keycloak
from controlplane.oidc import Provider
from controlplane.people import ANA, CARLA, PEOPLE
from controlplane.signing_in import Asked, Chromium, Forms, SignInError, exchange

CALLBACK = "https://127.0.0.1:9/callback"
LISTENS = "0A"


def verified(provider: Provider, token: str, keys: dict[str, Any] | None = None) -> dict[str, Any]:
    """The claims, if a published key made the signature."""
    algorithms = ["ES256", "RS256"]
    return dict(jwt.decode(token, KeySet.import_key_set(keys or provider.jwks()), algorithms=algorithms).claims)  # type: ignore[arg-type]


def code_for(provider: Provider, asked: Asked) -> str:
    with Forms(provider) as browser:
        sent_to, _ = browser.lead(asked.url(provider), CARLA, CALLBACK)
    return dict(parse_qsl(urlsplit(sent_to).query))["code"]


def asked_plainly(provider: Provider, changes: dict[str, str | None]) -> tuple[int, dict[str, str]]:
    """Status of the answer to a changed request, and with what it leads back to the client."""
    parameters = Asked(CALLBACK, state="as-it-was").parameters(provider.client_id) | changes
    query = urlencode({name: value for name, value in parameters.items() if value is not None})
    with provider.http() as client:
        response = client.get(f"{provider.discovery()['authorization_endpoint']}?{query}")
    target = urlsplit(response.headers.get("location", ""))
    assert not target.netloc or response.headers["location"].startswith(CALLBACK)
    return response.status_code, dict(parse_qsl(target.query))


def test_the_discovery_document_names_the_issuer_and_keys_that_are_public(provider: Provider) -> None:
    said = provider.discovery()
    assert said["issuer"] == provider.issuer
    assert "code" in said["response_types_supported"]
    assert "S256" in said["code_challenge_methods_supported"]
    assert said["authorization_response_iss_parameter_supported"] is True
    keys = provider.jwks()["keys"]
    assert any(key["use"] == "sig" for key in keys)
    assert not {"d", "p", "q"} & {part for key in keys for part in key}


def test_a_sign_in_gives_a_token_about_that_person_for_that_request(provider: Provider) -> None:
    before = int(time.time())
    asked = Asked(CALLBACK, nonce="the digest of what was shown")
    with Forms(provider) as browser:
        signed_in = browser.sign_in(ANA, asked)
    claims = verified(provider, signed_in.id_token)
    assert signed_in.was_asked
    assert signed_in.answer["state"] == asked.state
    assert signed_in.answer["iss"] == provider.issuer
    assert claims["nonce"] == "the digest of what was shown"
    assert (claims["iss"], claims["aud"], claims["sub"]) == (provider.issuer, "signoff", PEOPLE[ANA].subject)
    assert (claims["email"], claims["email_verified"], claims["name"]) == (ANA, True, "Ana Example")
    assert sorted(claims["groups"]) == ["credit-team", "model-approvers"]
    assert before <= claims["auth_time"] <= claims["iat"] < claims["exp"]


def test_a_session_will_do_until_a_fresh_login_is_asked_for(provider: Provider) -> None:
    with Forms(provider) as browser:
        first = browser.sign_in(CARLA, Asked(CALLBACK))
        time.sleep(2.1)  # times are in whole seconds
        second = browser.sign_in(CARLA, Asked(CALLBACK, max_age=600))
        third = browser.sign_in(CARLA, Asked(CALLBACK, prompt="login"))
        time.sleep(2.1)
        fourth = browser.sign_in(CARLA, Asked(CALLBACK, max_age=1))
    times = [verified(provider, each.id_token)["auth_time"] for each in (first, second, third, fourth)]
    assert [each.was_asked for each in (first, second, third, fourth)] == [True, False, True, True]
    assert times[0] == times[1] < times[2] < times[3]


@pytest.mark.browser
def test_a_fresh_login_is_asked_for_in_a_real_browser(provider: Provider) -> None:
    with Chromium(provider) as browser:
        first = browser.sign_in(CARLA, Asked(CALLBACK))
        second = browser.sign_in(CARLA, Asked(CALLBACK))
        third = browser.sign_in(CARLA, Asked(CALLBACK, nonce="chosen", prompt="login"))
    assert [each.was_asked for each in (first, second, third)] == [True, False, True]
    assert verified(provider, third.id_token)["nonce"] == "chosen"


def test_who_is_signed_out_everywhere_is_asked_anew(provider: Provider) -> None:
    with Forms(provider) as browser:
        browser.sign_in(CARLA, Asked(CALLBACK))
        provider.end_sessions(CARLA)
        assert browser.sign_in(CARLA, Asked(CALLBACK)).was_asked


def test_a_wrong_password_signs_nobody_in(provider: Provider, monkeypatch: pytest.MonkeyPatch) -> None:
    mistaken = replace(PEOPLE[CARLA], email=ANA)  # Carla's browser types Ana's password
    browser = Forms(provider)
    monkeypatch.setattr(browser, "provider", _Mistaken(provider, {CARLA: mistaken}))
    with browser, pytest.raises(SignInError, match="is asked again"):
        browser.lead(Asked(CALLBACK).url(provider), CARLA, CALLBACK)


class _Mistaken:
    def __init__(self, provider: Provider, people: dict[str, Any]) -> None:
        self.http, self.people = provider.http, people


def test_without_a_session_nobody_is_signed_in_silently(provider: Provider) -> None:
    _, answer = asked_plainly(provider, {"prompt": "none"})
    assert (answer["error"], answer["state"]) == ("login_required", "as-it-was")


@pytest.mark.parametrize("changes", [{"code_challenge": None, "code_challenge_method": None}, {"code_challenge_method": "plain"}])
def test_pkce_by_sha_256_is_required(provider: Provider, changes: dict[str, str | None]) -> None:
    _, answer = asked_plainly(provider, changes)
    assert (answer["error"], answer["state"]) == ("invalid_request", "as-it-was")


@pytest.mark.parametrize("uri", [f"{CALLBACK}/", f"{CALLBACK}?more", CALLBACK.upper(), "https://elsewhere.example/callback", "", None])
def test_another_address_gets_nothing_not_even_an_error(provider: Provider, uri: str | None) -> None:
    status, answer = asked_plainly(provider, {"redirect_uri": uri})
    assert status == 400
    assert not answer


def test_another_client_gets_nothing_not_even_an_error(provider: Provider) -> None:
    status, answer = asked_plainly(provider, {"client_id": "another"})
    assert 400 <= status < 500
    assert not answer


def test_a_code_is_worth_nothing_with_another_verifier(provider: Provider) -> None:
    asked = Asked(CALLBACK)
    response = exchange(provider, code_for(provider, asked), CALLBACK, Asked(CALLBACK).verifier)
    assert (response.status_code, response.json()["error"]) == (400, "invalid_grant")


def test_a_code_is_worth_nothing_at_another_address(provider: Provider) -> None:
    asked = Asked(CALLBACK)
    response = exchange(provider, code_for(provider, asked), f"{CALLBACK}/", asked.verifier)
    assert (response.status_code, response.json()["error"]) == (400, "invalid_grant")


def test_a_code_is_worth_nothing_the_second_time(provider: Provider) -> None:
    asked = Asked(CALLBACK)
    code = code_for(provider, asked)
    first, second = (exchange(provider, code, CALLBACK, asked.verifier) for _ in range(2))
    assert first.status_code == 200
    assert (second.status_code, second.json()["error"]) == (400, "invalid_grant")


def test_a_code_is_worth_nothing_without_the_clients_secret(provider: Provider) -> None:
    asked = Asked(CALLBACK)
    code = code_for(provider, asked)
    response = exchange(provider, code, CALLBACK, asked.verifier, secret="guessed")
    assert (response.status_code, response.json()["error"]) in {(401, "invalid_client"), (401, "unauthorized_client")}


def test_what_was_signed_before_the_key_changed_still_verifies(provider: Provider) -> None:
    with Forms(provider) as browser:
        old = browser.sign_in(CARLA, Asked(CALLBACK, nonce="before")).id_token
        keys = provider.jwks()
        provider.rotate_key()
        new = browser.sign_in(CARLA, Asked(CALLBACK, nonce="after")).id_token
    assert verified(provider, old)["nonce"] == "before"
    assert verified(provider, new)["nonce"] == "after"
    with pytest.raises(InvalidKeyIdError):  # whoever keeps the old set must ask again
        verified(provider, new, keys)


def test_address_keys_and_sessions_outlive_a_restart(provider: Provider) -> None:
    with Forms(provider) as browser:
        before = browser.sign_in(CARLA, Asked(CALLBACK))
        provider.stop()
        provider.start()
        after = browser.sign_in(CARLA, Asked(CALLBACK))
    assert not after.was_asked
    assert verified(provider, before.id_token)["iss"] == verified(provider, after.id_token)["iss"]


LOOPBACK = "http://127.0.0.1/callback"


def public_code(provider: Provider, asked: Asked) -> str:
    parameters = urlencode(asked.parameters(provider.public_client_id))
    with Forms(provider) as browser:
        sent_to, _ = browser.lead(f"{provider.discovery()['authorization_endpoint']}?{parameters}", CARLA, asked.redirect_uri)
    return dict(parse_qsl(urlsplit(sent_to).query))["code"]


def spent(provider: Provider, code: str, asked: Asked, **changes: str) -> Any:
    """What the public client, which has no secret, gets for a code."""
    given = {"grant_type": "authorization_code", "code": code, "redirect_uri": asked.redirect_uri, "code_verifier": asked.verifier}
    with provider.http() as client:
        return client.post(provider.discovery()["token_endpoint"], data=given | {"client_id": provider.public_client_id} | changes)


def test_the_public_client_is_led_back_to_any_port_and_needs_no_secret(provider: Provider) -> None:
    provider.allow_public(LOOPBACK)
    for port in (40001, 50002):
        asked = Asked(f"http://127.0.0.1:{port}/callback", nonce="chosen", prompt="login")
        token = spent(provider, public_code(provider, asked), asked).json()["id_token"]
        claims = verified(provider, token)
        assert (claims["aud"], claims["nonce"], claims["email"]) == ("signoff-cli", "chosen", CARLA)
        assert claims["groups"] == ["model-approvers"]


def test_the_public_clients_code_is_bound_by_pkce_and_to_its_port(provider: Provider) -> None:
    provider.allow_public(LOOPBACK)
    asked = Asked("http://127.0.0.1:40001/callback")
    for changes in ({"code_verifier": "x" * 64}, {"redirect_uri": "http://127.0.0.1:50002/callback"}, {"client_id": "signoff"}):
        assert spent(provider, public_code(provider, asked), asked, **changes).status_code in (400, 401), changes


@pytest.mark.parametrize(
    "address", ["http://127.0.0.1:40001/", "http://evil.example:40001/callback", "http://127.0.0.1.evil.example/callback"]
)
def test_the_public_client_is_led_nowhere_else(provider: Provider, address: str) -> None:
    provider.allow_public(LOOPBACK)
    status, answer = asked_plainly(provider, {"client_id": provider.public_client_id, "redirect_uri": address})
    assert (status, answer) == (400, {})


@pytest.mark.keycloak
def test_it_listens_on_loopback_alone(keycloak: Keycloak) -> None:
    sockets = {path.readlink().name for path in Path(f"/proc/{keycloak.pid}/fd").iterdir() if path.is_symlink()}
    listening = []
    for table in ("tcp", "tcp6"):
        for line in Path(f"/proc/net/{table}").read_text().splitlines()[1:]:
            words = line.split()
            if words[3] == LISTENS and f"socket:[{words[9]}]" in sockets:
                listening.append(words[1].partition(":")[0])
    assert len(listening) >= 2
    assert all(re.fullmatch(r"(0{16}FFFF0000)?0100007F", address) for address in listening)
