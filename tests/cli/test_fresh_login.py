"""Signing in anew at the terminal, at a provider that is honest and at one that lies, with whoever plays the browser.

What is decided by it is tested against a real API server, in `tests/portal/test_terminal.py`.
"""

from __future__ import annotations

import signal
import threading
import time
from collections.abc import Callable, Iterator
from typing import Any
from urllib.parse import parse_qs, urlsplit

import httpx
import pytest
from archive_fixture import Site
from world import NAME, SPEC

from controlplane.idp import EmbeddedProvider
from controlplane.lies import Lie
from controlplane.people import CARLA, DAVID
from controlplane.signing_in import Forms, exchange
from signoff.cli import deciding, fresh_login
from signoff.cli.fresh_login import Way, client_for, token_for
from signoff.decision.consent import consent_nonce, login_under
from signoff.openid import Client
from signoff.record.canonical import dumps
from signoff.record.freeze import Assurance
from signoff.record.trust import IdentityProvider, Trust
from signoff.record.values import parse

USERNAME = f"oidc:{CARLA}"


@pytest.fixture(scope="module")
def provider(tmp_path_factory: pytest.TempPathFactory) -> Iterator[EmbeddedProvider]:
    with EmbeddedProvider(tmp_path_factory.mktemp("provider")) as provider:
        provider.allow_public("http://127.0.0.1/callback")
        yield provider


@pytest.fixture
def client(provider: EmbeddedProvider) -> Client:
    named = {"issuer": provider.issuer, "clients": ["signoff-cli"], "subjectClaim": "email", "groupsClaim": "groups"}
    return Client(parse(IdentityProvider, dumps(named), "provider"), "signoff-cli", None, str(provider.ca))


@pytest.fixture
def desk(site: Site) -> deciding.Desk:
    resource = {"metadata": {"namespace": "credit", "name": NAME}, "spec": SPEC, "status": {"freeze": site.frozen().digest}}
    return deciding.desk(site.world.reader, resource, "credit", NAME)


Led = Callable[[str], None]


@pytest.fixture
def browser(monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[[Led], None]]:
    """Has somebody play the browser: they are told where to go, and go there while the command waits."""
    playing: list[threading.Thread] = []

    def plays(led: Led) -> None:
        def opened(address: str) -> bool:
            playing.append(threading.Thread(target=led, args=(address,)))
            playing[-1].start()
            return True

        monkeypatch.setattr(fresh_login.webbrowser, "open", opened)

    yield plays
    for one in playing:
        one.join(20)


def back_of(address: str) -> str:
    [found] = parse_qs(urlsplit(address).query)["redirect_uri"]
    return found


def person(provider: EmbeddedProvider, who: str = CARLA, pages: list[httpx.Response] | None = None) -> Led:
    """Somebody who signs in, and whose browser is led back."""

    def led(address: str) -> None:
        with Forms(provider) as forms:
            back, _ = forms.lead(address, who, back_of(address))
        page = httpx.get(back, trust_env=False)
        if pages is not None:
            pages.append(page)

    return led


def test_rule_2_the_token_is_of_a_login_for_this_desk_and_this_verdict(
    provider: EmbeddedProvider, client: Client, desk: deciding.Desk, browser: Any, capfd: pytest.CaptureFixture[str]
) -> None:
    pages: list[httpx.Response] = []
    browser(person(provider, CARLA, pages))
    token = token_for(desk, "Reject", client, USERNAME, browser=True, seconds=20)
    login, _ = login_under(token, provider.jwks()["keys"], client.provider, "test")
    assert login.nonce == consent_nonce(desk.digest, desk.rendition, "Reject")
    assert login.identity.subject == CARLA
    assert "Back to your terminal" in pages[0].text
    told = capfd.readouterr().err
    assert "signed in as Carla Example, for this decision" in told
    [address] = [line.strip() for line in told.splitlines() if line.startswith("  https://")]
    asked = parse_qs(urlsplit(address).query)
    assert (asked["prompt"], asked["max_age"], asked["code_challenge_method"]) == (["login"], ["0"], ["S256"])
    assert asked["client_id"] == ["signoff-cli"]
    assert "client_secret" not in asked


def test_rule_2_a_session_at_the_provider_is_not_enough(
    provider: EmbeddedProvider, client: Client, desk: deciding.Desk, browser: Any
) -> None:
    asked: list[bool] = []
    with Forms(provider) as forms:

        def led(address: str) -> None:
            back, was_asked = forms.lead(address, CARLA, back_of(address))
            asked.append(was_asked)
            httpx.get(back, trust_env=False)

        browser(led)
        for _ in range(2):
            token_for(desk, "Approve", client, USERNAME, browser=True, seconds=20)
    assert asked == [True, True]


def test_rule_2_a_provider_that_does_not_ask_anew_decides_nothing(
    provider: EmbeddedProvider, client: Client, desk: deciding.Desk, browser: Any
) -> None:
    with Forms(provider) as forms:

        def led(address: str) -> None:
            back, _ = forms.lead(address, CARLA, back_of(address))
            httpx.get(back, trust_env=False)

        browser(led)
        token_for(desk, "Approve", client, USERNAME, browser=True, seconds=20)
        [*_, session] = [one for one in provider.sessions.values() if one.person.email == CARLA]
        object.__setattr__(session, "auth_time", int(time.time()) - 20)
        with (
            provider.telling(Lie.UNASKED),
            pytest.raises(deciding.Undecided, match=r"did not ask you anew, or its clock is behind.*nothing was decided"),
        ):
            token_for(desk, "Approve", client, USERNAME, browser=True, seconds=20)


LIES: dict[Lie, str] = {
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
    Lie.STALE_LOGIN: "the identity provider did not ask you anew",
    Lie.NO_LOGIN_TIME: "does not say when you signed in",
    Lie.ANOTHER_PERSON: "to the API server you are oidc:carla@bank.example",
    Lie.UNVERIFIED_EMAIL: "has not verified the address of mail",
    Lie.MIXED_UP: "the answer is of another identity provider",
    Lie.SILENT_ISSUER: "the answer names no identity provider",
}


@pytest.mark.parametrize("lie", LIES, ids=lambda lie: lie.name)
def test_rule_5_by_a_lie_nothing_is_decided_and_why_is_said(
    provider: EmbeddedProvider, client: Client, desk: deciding.Desk, browser: Any, lie: Lie
) -> None:
    browser(person(provider))
    with provider.telling(lie), pytest.raises(deciding.Undecided) as said:
        token_for(desk, "Approve", client, USERNAME, browser=True, seconds=20)
    assert LIES[lie] in str(said.value)
    assert "nothing was decided" in str(said.value)
    assert "\n" not in str(said.value)


def test_each_lie_is_judged() -> None:
    assert set(LIES) | {Lie.UNASKED} == set(Lie)


def test_rule_4_who_signs_in_as_somebody_else_decides_nothing(
    provider: EmbeddedProvider, client: Client, desk: deciding.Desk, browser: Any
) -> None:
    browser(person(provider, DAVID))
    with pytest.raises(
        deciding.Undecided, match=r"you signed in as david@bank.example, and to the API server you are oidc:carla@.*sign in as yours"
    ):
        token_for(desk, "Approve", client, USERNAME, browser=True, seconds=20)


def brings(query: str) -> Led:
    """Somebody whose browser comes back with this, and the right state, without having been at the provider."""
    return lambda address: (
        httpx.get(f"{back_of(address)}?state={parse_qs(urlsplit(address).query)['state'][0]}&{query}", trust_env=False) and None
    )


BROUGHT: dict[str, tuple[str, str]] = {
    "they did not want to": ("error=access_denied&iss={iss}", "the identity provider says: access_denied; nothing was decided; it is safe"),
    "the provider wants something else": ("error=interaction_required", "the identity provider says: interaction_required"),
    "a code that nobody gave": ("code=made-up&iss={iss}", "the identity provider gave no token"),
    "a code of another provider": ("code=made-up&iss=https%3A%2F%2Fevil.example", "another identity provider, 'https://evil.example'"),
}


@pytest.mark.parametrize(("query", "told"), [pytest.param(*one, id=name) for name, one in BROUGHT.items()])
def test_rule_5_without_a_token_nothing_is_decided(
    provider: EmbeddedProvider, client: Client, desk: deciding.Desk, browser: Any, query: str, told: str
) -> None:
    browser(brings(query.format(iss=provider.issuer)))
    with pytest.raises(deciding.Undecided, match=told):
        token_for(desk, "Approve", client, USERNAME, browser=True, seconds=20)


def test_a_code_of_another_sign_in_is_worth_nothing(provider: EmbeddedProvider, client: Client, desk: deciding.Desk, browser: Any) -> None:
    """Somebody has their own code brought to this listener: PKCE binds it to whoever asked for it."""

    def led(address: str) -> None:
        other = address.replace(parse_qs(urlsplit(address).query)["code_challenge"][0], "x" * 43)
        person(provider)(other)

    browser(led)
    with pytest.raises(deciding.Undecided, match="the identity provider gave no token"):
        token_for(desk, "Approve", client, USERNAME, browser=True, seconds=20)


def test_a_code_is_spent_once(provider: EmbeddedProvider, client: Client, desk: deciding.Desk, browser: Any) -> None:
    def led(address: str) -> None:
        with Forms(provider) as forms:
            back, _ = forms.lead(address, CARLA, back_of(address))
        [code] = parse_qs(urlsplit(back).query)["code"]
        exchange(provider, code, back_of(address), "somebody who read it on its way")
        httpx.get(back, trust_env=False)

    browser(led)
    with pytest.raises(deciding.Undecided, match="the identity provider gave no token"):
        token_for(desk, "Approve", client, USERNAME, browser=True, seconds=20)


GARBAGE: dict[str, tuple[bytes, int]] = {
    "a page": (b"<p>Sign in</p>", 200),
    "a list": (b"[]", 200),
    "nothing": (b"", 200),
    "a number for a token": (b'{"access_token": "x", "token_type": "Bearer", "id_token": 7}', 200),
    "no token": (b'{"access_token": "x", "token_type": "Bearer"}', 200),
    "letters for a token": (b'{"access_token": "x", "token_type": "Bearer", "id_token": "x.y.z"}', 200),
    "a fault": (b"oops", 500),
    "an error": (b'{"error": "server_error"}', 400),
}


@pytest.mark.parametrize(("content", "status"), [pytest.param(*one, id=name) for name, one in GARBAGE.items()])
def test_a_provider_that_answers_garbage_decides_nothing(
    provider: EmbeddedProvider,
    client: Client,
    desk: deciding.Desk,
    browser: Any,
    monkeypatch: pytest.MonkeyPatch,
    content: bytes,
    status: int,
) -> None:
    from starlette.responses import Response

    async def answers(*_: Any) -> Response:
        return Response(content, status, media_type="application/json")

    [route] = [one for one in provider._server.config.app.routes if one.path.endswith("/token")]  # type: ignore[union-attr]
    monkeypatch.setattr(route, "app", lambda scope, receive, send: _sent(answers, scope, receive, send))
    browser(person(provider))
    with pytest.raises(deciding.Undecided, match="nothing was decided"):
        token_for(desk, "Approve", client, USERNAME, browser=True, seconds=20)


async def _sent(answers: Any, scope: Any, receive: Any, send: Any) -> None:
    response = await answers()
    await response(scope, receive, send)


DOCUMENTS: dict[str, dict[str, str]] = {
    "of another issuer": {"issuer": "https://evil.example"},
    "that leads to no TLS": {"authorization_endpoint": "http://127.0.0.1/authorize"},
    "that leads to a file": {"authorization_endpoint": "file:///etc/passwd"},
    "that writes on the terminal": {"authorization_endpoint": "https://evil.example/\x1b[2J"},
    "that is an option of the browser": {"authorization_endpoint": "--new-window=https://evil.example"},
}


@pytest.mark.parametrize("document", [pytest.param(one, id=name) for name, one in DOCUMENTS.items()])
def test_rule_3_no_browser_is_opened_on_a_discovery_document(
    provider: EmbeddedProvider, client: Client, desk: deciding.Desk, document: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    told, opened = provider.discovery() | document, []
    monkeypatch.setattr(client, "_get", lambda _: told)
    monkeypatch.setattr(fresh_login.webbrowser, "open", opened.append)
    with pytest.raises(deciding.Undecided, match="nothing was decided"):
        token_for(desk, "Approve", client, USERNAME, browser=True, seconds=20)
    assert opened == []


def test_with_the_provider_away_nothing_is_decided(provider: EmbeddedProvider, client: Client, desk: deciding.Desk) -> None:
    provider.stop()
    try:
        with pytest.raises(deciding.Undecided, match=r"does not answer .*nothing was decided; it is safe to press again"):
            token_for(desk, "Approve", client, USERNAME, browser=False)
    finally:
        provider.start()


def test_rule_5_who_does_not_come_back_decides_nothing(client: Client, desk: deciding.Desk, capfd: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(deciding.Undecided, match="nobody came back from the identity provider within 1 s; nothing was decided; it is safe"):
        token_for(desk, "Approve", client, USERNAME, browser=False, seconds=0.6)
    assert "no browser opened" not in capfd.readouterr().err


def test_rule_3_where_no_browser_opens_the_address_is_left_to_the_person(
    client: Client, desk: deciding.Desk, capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(fresh_login.webbrowser, "open", lambda _: False)
    with pytest.raises(deciding.Undecided):
        token_for(desk, "Approve", client, USERNAME, browser=True, seconds=0.2)
    told = capfd.readouterr().err
    assert "no browser opened: open this address yourself" in told
    assert f"  {client.provider.issuer}/authorize?" in told


def test_rule_5_ctrl_c_ends_the_wait_at_once(client: Client, desk: deciding.Desk, capfd: pytest.CaptureFixture[str]) -> None:
    main = threading.main_thread().ident
    assert main is not None
    threading.Timer(0.5, signal.pthread_kill, (main, signal.SIGINT)).start()  # as a terminal's reaches it
    started = time.monotonic()
    with pytest.raises(KeyboardInterrupt):
        token_for(desk, "Approve", client, USERNAME, browser=False, seconds=30)
    assert time.monotonic() - started < 10
    assert "nothing was decided" in capfd.readouterr().err


# --- where to sign in -----------------------------------------------------------------------------------------------

BANK: dict[str, Any] = {"issuer": "https://login.bank.example", "clients": ["signoff", "signoff-cli"], "subjectClaim": "email"}
OTHER: dict[str, Any] = {**BANK, "issuer": "https://login.other.example", "clients": ["theirs"]}
ONLY = Way(None, "signoff-cli", None)


def trust_with(site: Site, *providers: dict[str, Any]) -> Trust:
    return site.world.trust_with(identityProviders=list(providers)) if providers else site.world.trust


CHOSEN: dict[str, tuple[tuple[dict[str, Any], ...], Way, str, str]] = {
    "the only one": ((BANK,), ONLY, "https://login.bank.example", "signoff-cli"),
    "one of several": ((BANK, OTHER), Way("https://login.other.example", "theirs", None), "https://login.other.example", "theirs"),
    "another client": ((BANK,), Way(None, "signoff", None), "https://login.bank.example", "signoff"),
}


@pytest.mark.parametrize("case", CHOSEN)
def test_rule_1_where_to_sign_in_the_trust_file_says(site: Site, desk: deciding.Desk, case: str) -> None:
    named, way, issuer, client = CHOSEN[case]
    found = client_for(desk, trust_with(site, *named), way)
    assert (found.provider.issuer, found.id, found.secret) == (issuer, client, None)


NOWHERE: dict[str, tuple[tuple[dict[str, Any], ...], Way, str]] = {
    "none is named": ((), ONLY, "trust file: names no identity provider; ask whoever runs signoff to add it"),
    "another is": (
        (BANK,),
        Way("https://evil.example", "signoff-cli", None),
        "names no identity provider https://evil.example; ask whoever runs",
    ),
    "several are": ((BANK, OTHER), ONLY, "https://login.bank.example, https://login.other.example; choose one with --issuer"),
    "not this client": (
        (OTHER,),
        ONLY,
        "does not name the client signoff-cli of https://login.other.example; ask whoever runs signoff to add it",
    ),
}


@pytest.mark.parametrize("case", NOWHERE)
def test_rule_1_who_to_ask_where_the_trust_file_does_not_say(site: Site, desk: deciding.Desk, case: str) -> None:
    named, way, told = NOWHERE[case]
    with pytest.raises(deciding.Undecided) as said:
        client_for(desk, trust_with(site, *named), way)
    assert told in str(said.value)
    assert str(said.value).endswith("nothing was decided")


def test_a_ca_that_cannot_be_read_is_named(site: Site, desk: deciding.Desk) -> None:
    with pytest.raises(Exception, match=r"/nowhere.pem: no certificates can be read there: No such file or directory; name a file"):
        client_for(desk, trust_with(site, BANK), Way(None, "signoff-cli", "/nowhere.pem"))


@pytest.mark.parametrize("asked", ["passkey"])
def test_where_more_is_asked_than_a_login_proves_the_portal_is_named(site: Site, desk: deciding.Desk, asked: Assurance) -> None:
    route = desk.freeze.route
    requirement = route.requirement.model_copy(update={"assurance": asked})
    freeze = desk.freeze.model_copy(update={"route": route.model_copy(update={"requirement": requirement})})
    more = deciding.Desk(**{**vars(desk), "freeze": freeze})
    with pytest.raises(
        deciding.Undecided, match="tier-2 asks for passkey, and a login from here proves a fresh-login; decide in the portal"
    ):
        client_for(more, trust_with(site, BANK), ONLY)
