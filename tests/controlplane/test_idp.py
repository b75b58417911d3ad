"""The embedded provider: the lies that it tells when asked to, and what it takes from nobody."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl, urlencode, urlsplit

import pytest
from joserfc import jwt
from joserfc.errors import JoseError
from joserfc.jwk import KeySet
from lxml import html

from controlplane import idp
from controlplane.idp import EmbeddedProvider
from controlplane.lies import ELSEWHERE, Lie
from controlplane.people import ANA, CARLA, PEOPLE
from controlplane.signing_in import Asked, Forms, SignedIn, SignInError, exchange

CALLBACK = "https://127.0.0.1:9/callback"
IN_CLAIMS = {
    Lie.WRONG_NONCE: lambda said: said["nonce"] != "asked for",
    Lie.NO_NONCE: lambda said: "nonce" not in said,
    Lie.WRONG_ISSUER: lambda said: said["iss"] == ELSEWHERE,
    Lie.WRONG_AUDIENCE: lambda said: said["aud"] == "another-client",
    Lie.EXPIRED: lambda said: said["exp"] < time.time(),
    Lie.NOT_YET: lambda said: said["iat"] > time.time() + 60,
    Lie.STALE_LOGIN: lambda said: said["auth_time"] < time.time() - 3600,
    Lie.NO_LOGIN_TIME: lambda said: "auth_time" not in said,
    Lie.ANOTHER_PERSON: lambda said: said["email"] == ANA and said["sub"] == PEOPLE[ANA].subject,
    Lie.UNVERIFIED_EMAIL: lambda said: said["email_verified"] is False,
}
IN_SIGNATURE = (Lie.UNSIGNED, Lie.FOREIGN_KEY, Lie.UNKNOWN_KEY, Lie.SHARED_SECRET)


def verified(provider: EmbeddedProvider, token: str) -> dict[str, Any]:
    keys = KeySet.import_key_set(provider.jwks())  # type: ignore[arg-type]
    return dict(jwt.decode(token, keys, algorithms=[provider.algorithm]).claims)


def signed_in(provider: EmbeddedProvider, *lies: Lie) -> SignedIn:
    with Forms(provider) as browser, provider.telling(*lies):
        return browser.sign_in(CARLA, Asked(CALLBACK, nonce="asked for"))


@pytest.mark.parametrize("lie", IN_CLAIMS, ids=lambda lie: lie.name.lower())
def test_a_lie_in_the_claims_is_signed_well(embedded: EmbeddedProvider, lie: Lie) -> None:
    assert IN_CLAIMS[lie](verified(embedded, signed_in(embedded, lie).id_token))
    assert not IN_CLAIMS[lie](verified(embedded, signed_in(embedded).id_token))


@pytest.mark.parametrize("lie", IN_SIGNATURE, ids=lambda lie: lie.name.lower())
def test_a_lie_in_the_signature_does_not_verify(embedded: EmbeddedProvider, lie: Lie) -> None:
    with pytest.raises((JoseError, ValueError)):
        verified(embedded, signed_in(embedded, lie).id_token)


def test_every_lie_is_tried_here() -> None:
    assert set(Lie) == {*IN_CLAIMS, *IN_SIGNATURE, Lie.UNASKED, Lie.MIXED_UP, Lie.SILENT_ISSUER}


def test_it_is_honest_again_when_the_test_is_over(embedded: EmbeddedProvider) -> None:
    with pytest.raises(RuntimeError), embedded.telling(Lie.WRONG_NONCE):
        raise RuntimeError
    assert verified(embedded, embedded.id_token(CARLA, nonce="asked for"))["nonce"] == "asked for"


def test_it_may_name_another_issuer_beside_the_code_or_none(embedded: EmbeddedProvider) -> None:
    assert signed_in(embedded, Lie.MIXED_UP).answer["iss"] == ELSEWHERE
    assert "iss" not in signed_in(embedded, Lie.SILENT_ISSUER).answer
    assert embedded.discovery()["authorization_response_iss_parameter_supported"] is True


def test_it_may_let_a_session_do_where_a_fresh_login_was_asked_for(embedded: EmbeddedProvider) -> None:
    with Forms(embedded) as browser:
        first = browser.sign_in(CARLA, Asked(CALLBACK))
        time.sleep(1.1)
        with embedded.telling(Lie.UNASKED):
            second = browser.sign_in(CARLA, Asked(CALLBACK, prompt="login", max_age=0))
    assert not second.was_asked
    assert verified(embedded, first.id_token)["auth_time"] == verified(embedded, second.id_token)["auth_time"]


def test_a_token_can_be_had_without_a_login_for_tests_of_what_is_done_with_it(embedded: EmbeddedProvider) -> None:
    said = verified(embedded, embedded.id_token(ANA, nonce="n", auth_time=7, azp="another"))
    assert (said["email"], said["nonce"], said["auth_time"], said["azp"]) == (ANA, "n", 7, "another")


def test_it_signs_by_rsa_too(tmp_path: Path) -> None:
    with EmbeddedProvider(tmp_path, algorithm="RS256") as provider:
        provider.allow(CALLBACK)
        assert verified(provider, signed_in(provider).id_token)["nonce"] == "asked for"


def test_a_code_is_worth_nothing_when_it_is_too_old(embedded: EmbeddedProvider, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(idp, "CODE_SECONDS", 0.0)
    with pytest.raises(SignInError, match="unknown, used or too old"):
        signed_in(embedded)


def test_a_wrong_verifier_spends_the_code(embedded: EmbeddedProvider) -> None:
    asked = Asked(CALLBACK)
    with Forms(embedded) as browser:
        sent_to, _ = browser.lead(asked.url(embedded), CARLA, CALLBACK)
    code = dict(parse_qsl(urlsplit(sent_to).query))["code"]
    answers = [exchange(embedded, code, CALLBACK, verifier).status_code for verifier in ("wrong", asked.verifier)]
    assert answers == [400, 400]


@pytest.mark.parametrize(
    ("changes", "error"),
    [
        ({"response_type": "token"}, "unsupported_response_type"),
        ({"response_mode": "fragment"}, "unsupported_response_type"),
        ({"scope": "email"}, "invalid_scope"),
        ({"request": "e30.e30."}, "request_not_supported"),
        ({"request_uri": "https://elsewhere.example/"}, "request_not_supported"),
        ({"prompt": "none login"}, "invalid_request"),
        ({"max_age": "-1"}, "invalid_request"),
        ({"code_challenge": "short"}, "invalid_request"),
    ],
)
def test_what_it_does_not_take_it_says_to_the_client(embedded: EmbeddedProvider, changes: dict[str, str], error: str) -> None:
    query = urlencode(Asked(CALLBACK, state="s").parameters("signoff") | changes)
    with embedded.http() as client:
        response = client.get(f"{embedded.issuer}/authorize?{query}")
    answer = dict(parse_qsl(urlsplit(response.headers["location"]).query))
    assert (answer["error"], answer["state"], answer["iss"]) == (error, "s", embedded.issuer)


def test_a_parameter_given_twice_leads_nowhere(embedded: EmbeddedProvider) -> None:
    with embedded.http() as client:
        response = client.get(f"{Asked(CALLBACK).url(embedded)}&nonce=another")
    assert response.status_code == 400
    assert "location" not in response.headers


def test_the_form_serves_once_and_the_browser_that_it_was_shown_to_alone(embedded: EmbeddedProvider) -> None:
    with embedded.http() as shown_to, embedded.http() as another:
        url, statuses = Asked(CALLBACK).url(embedded), []
        for poster in (another, shown_to):
            form = html.fromstring(shown_to.get(url).text).forms[0]
            given = dict(form.form_values()) | {"username": CARLA, "password": PEOPLE[CARLA].password}
            statuses += [poster.post(f"{embedded.issuer}/login", data=given).status_code for _ in range(2)]
    assert statuses == [400, 400, 303, 400]


def test_the_page_runs_nothing_and_shows_a_hint_as_text(embedded: EmbeddedProvider) -> None:
    with embedded.http() as client:
        response = client.get(Asked(CALLBACK, login_hint='"><script>alert(1)</script>').url(embedded))
    assert "<script" not in response.text
    policy = response.headers["content-security-policy"]
    assert "default-src 'none'" in policy
    assert "frame-ancestors 'none'" in policy
    assert "form-action 'self' https://127.0.0.1:9" in policy
    assert all("Secure; " in cookie or cookie.endswith("Secure") for cookie in response.headers.get_list("set-cookie"))
