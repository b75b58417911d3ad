"""Deciding by a fresh login from the terminal: the real command, API server, door and identity provider; tests play the browser."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import httpx
import pytest
from office import Office
from playwright.sync_api import BrowserContext, expect

from controlplane.bank import CARLA, DAVID, OIDC, PAULA, Bank
from controlplane.idp import EmbeddedProvider
from controlplane.people import PEOPLE
from controlplane.signing_in import fill_in
from signoff.decision.consent import consent_nonce, login_under
from signoff.record.canonical import dumps
from signoff.record.trust import IdentityProvider
from signoff.record.values import parse
from tests.portal.terminal import Terminal, back_of, sign_in
from tests.portal.test_deciding import policy

pytestmark = pytest.mark.cluster

AS_CARLA = f"{OIDC}{CARLA}"


@pytest.fixture
def asked(office: Office, bank: Bank) -> Office:
    """A desk whose policy asks for a fresh login."""
    bank.kubectl(PAULA, "apply", "-f", "-", stdin=policy(office.model, assurance="fresh-login"))
    office.frozen()
    return office


def approve(bank: Bank, folder: Path, office: Office, *more: str, who: str = AS_CARLA, **others: Any) -> Terminal:
    given = more or ("--yes", "--no-browser")
    return Terminal(bank, folder, who, "approve", office.name, "-n", "credit", *given, **others)


def seals(office: Office) -> list[str]:
    return office.archived(f"seals/{office.status()['freeze'].removeprefix('sha256:')}")


def why(office: Office) -> str:
    return office.bank.signoff("why", office.status()["id"]).stdout


def test_a_fresh_login_from_the_terminal_covers_what_was_decided(
    asked: Office, bank: Bank, provider: EmbeddedProvider, tmp_path: Path
) -> None:
    terminal = approve(bank, tmp_path, asked)
    address = terminal.address()
    assert seals(asked) == [], "nothing is decided before the login"
    page = sign_in(provider, address, CARLA)
    assert "You can close this window" in page.text
    assert terminal.ended() == 0, terminal.err
    assert "approved  " in terminal.out
    assert asked.status()["event"] in terminal.out
    assert "signed in as Carla Example, for this decision" in terminal.err
    told = why(asked)
    assert "rests on a fresh login, whose token covers what was consented to" in told
    assert "by client-certificate" in told
    assert bank.signoff("verify", asked.status()["id"]).returncode == 0


def test_the_token_is_for_the_text_that_was_shown_and_for_the_terminals_own_client(
    asked: Office, bank: Bank, provider: EmbeddedProvider, tmp_path: Path
) -> None:
    terminal = Terminal(bank, tmp_path, AS_CARLA, "reject", asked.name, "-n", "credit", "--yes", "--no-browser")
    sign_in(provider, terminal.address(), CARLA)
    assert terminal.ended() == 0, terminal.err
    status = asked.status()
    [made] = [one for one in decisions(bank) if one["spec"]["promotion"] == asked.name]
    named = {"issuer": provider.issuer, "clients": ["signoff-cli"], "subjectClaim": "email", "groupsClaim": "groups"}
    trusted = parse(IdentityProvider, dumps(named), "test")
    login, _ = login_under(made["spec"]["consent"]["idToken"], provider.jwks()["keys"], trusted, "test")
    assert login.nonce == consent_nonce(status["freeze"], status["desk"]["text"], "Reject")
    assert "rejected" in terminal.out


def decisions(bank: Bank) -> list[Any]:
    answer = bank.control_plane.kubectl("get", "promotiondecisions", "-n", "credit", "-o", "json")
    found: list[Any] = json.loads(answer.stdout)["items"]
    return found


def test_where_a_session_is_asked_for_a_fresh_login_will_do(office: Office, bank: Bank, provider: EmbeddedProvider, tmp_path: Path) -> None:
    bank.kubectl(PAULA, "apply", "-f", "-", stdin=policy(office.model, assurance="session"))
    office.frozen()
    terminal = approve(bank, tmp_path, office)
    sign_in(provider, terminal.address(), CARLA)
    assert terminal.ended() == 0, terminal.err
    assert "rests on a fresh login" in why(office)


def test_who_wants_to_signs_in_where_nobody_asks_for_it(office: Office, bank: Bank, provider: EmbeddedProvider, tmp_path: Path) -> None:
    office.frozen()
    terminal = approve(bank, tmp_path, office, "--yes", "--no-browser", "--sign-in")
    sign_in(provider, terminal.address(), CARLA)
    assert terminal.ended() == 0, terminal.err
    assert "rests on a fresh login" in why(office)


def test_nobody_signs_in_before_they_have_decided(asked: Office, bank: Bank, provider: EmbeddedProvider, tmp_path: Path) -> None:
    terminal = approve(bank, tmp_path, asked, "--no-browser", typed="2.0.0\n")
    assert terminal.ended() == 1
    assert "https://" not in terminal.err
    assert seals(asked) == []
    terminal = approve(bank, tmp_path, asked, "--no-browser", typed="1.0.0\n")
    address = terminal.address()
    assert "SIGNOFF DESK" in terminal.out
    assert terminal.err.index("type the model's version") < terminal.err.index(address)
    sign_in(provider, address, CARLA)
    assert terminal.ended() == 0, terminal.err


def test_pressing_twice_is_one_decision_each_with_a_login_of_its_own(
    office: Office, bank: Bank, provider: EmbeddedProvider, tmp_path: Path
) -> None:
    two = {"quorum": 2, "roles": [{"name": "approver", "count": 2, "groups": ["model-approvers"]}]}
    bank.kubectl(PAULA, "apply", "-f", "-", stdin=policy(office.model, assurance="fresh-login", **two))
    office.frozen()
    for told in ("your decision is sealed, awaiting", "your decision is sealed already, awaiting"):
        terminal = approve(bank, tmp_path, office)
        sign_in(provider, terminal.address(), CARLA)
        assert terminal.ended() == 0, terminal.err
        assert told in terminal.out
    assert len(seals(office)) == 1
    terminal = approve(bank, tmp_path, office, who=f"{OIDC}{DAVID}")
    sign_in(provider, terminal.address(), DAVID)
    assert terminal.ended() == 0, terminal.err
    assert "approved  " in terminal.out


def test_the_systems_browser_is_opened(asked: Office, bank: Bank, tmp_path: Path) -> None:
    played = f"{sys.executable} {Path(__file__).parent / 'played_browser.py'} %s"
    terminal = approve(bank, tmp_path, asked, "--yes", BROWSER=played, PLAYED=CARLA)
    assert terminal.ended() == 0, terminal.err
    assert "approved  " in terminal.out
    assert "rests on a fresh login" in why(asked)


@pytest.mark.browser
def test_a_real_browser_is_led_to_a_page_that_can_be_closed(asked: Office, bank: Bank, browser: BrowserContext, tmp_path: Path) -> None:
    terminal = approve(bank, tmp_path, asked)
    page = browser.new_page()
    told: list[str] = []
    address = terminal.address()
    page.on("console", lambda message: told.append(message.text) if page.url.startswith(back_of(address)) else None)
    page.goto(address)
    fill_in(page, CARLA, PEOPLE[CARLA].password)
    page.wait_for_url(f"{back_of(address)}?**")
    expect(page.get_by_role("heading", level=1)).to_have_text("Back to your terminal")
    expect(page.get_by_text("You can close this window.")).to_be_visible()
    for width in (360, 1440):
        page.set_viewport_size({"width": width, "height": 500})
        page.screenshot(path=tmp_path / f"{width}.png")
        assert page.evaluate("document.documentElement.scrollWidth <= window.innerWidth")
    assert told == []
    assert terminal.ended() == 0, terminal.err
    assert "approved  " in terminal.out


def test_who_signs_in_as_somebody_else_decides_nothing(asked: Office, bank: Bank, provider: EmbeddedProvider, tmp_path: Path) -> None:
    terminal = approve(bank, tmp_path, asked)
    sign_in(provider, terminal.address(), DAVID)
    assert terminal.ended() == 2
    [line] = [one for one in terminal.err.splitlines() if one.startswith("error:")]
    assert "you signed in as david@bank.example, and to the API server you are oidc:carla@bank.example" in line
    assert line.endswith("nothing was decided")
    assert seals(asked) == []


def test_a_person_of_another_issuer_is_refused_by_the_door(asked: Office, bank: Bank, provider: EmbeddedProvider, tmp_path: Path) -> None:
    """The API server knows her by a certificate of the bank's own, and the provider by a login: to the record these are two."""
    terminal = approve(bank, tmp_path, asked, who=CARLA)
    sign_in(provider, terminal.address(), CARLA)
    assert terminal.ended() == 1
    assert "have one issuer vouch for you in both places" in terminal.err
    assert seals(asked) == []


def test_the_door_takes_nobody_elses_token_from_a_person(asked: Office, bank: Bank, provider: EmbeddedProvider) -> None:
    status = asked.status()
    nonce = consent_nonce(status["freeze"], status["desk"]["text"], "Approve")
    davids = provider.id_token(DAVID, nonce=nonce)
    refused = asked.decide(AS_CARLA, check=False, consent={"idToken": davids})
    assert "the ID token is of david@bank.example" in refused
    assert "sign in as yourself" in refused
    old = provider.id_token(CARLA, nonce="of something else")
    refused = asked.decide(AS_CARLA, check=False, consent={"idToken": old})
    assert "tier-2 asks for fresh-login, and this decision rests on session" in refused
    assert "or with kubectl signoff approve" in refused
    assert seals(asked) == []


def test_ctrl_c_decides_nothing(asked: Office, bank: Bank, provider: EmbeddedProvider, tmp_path: Path) -> None:
    terminal = approve(bank, tmp_path, asked)
    address = terminal.address()
    terminal.interrupt()
    assert terminal.ended() == 130
    assert "nothing was decided" in terminal.err
    assert "Traceback" not in terminal.err
    with pytest.raises(httpx.ConnectError):
        sign_in(provider, address, CARLA)
    assert seals(asked) == []


def test_who_does_not_want_to_sign_in_decides_nothing(asked: Office, bank: Bank, tmp_path: Path) -> None:
    terminal = approve(bank, tmp_path, asked)
    address = terminal.address()
    [state] = parse_qs(urlsplit(address).query)["state"]
    assert httpx.get(f"{back_of(address)}?error=access_denied&state=another", trust_env=False).status_code == 400
    page = httpx.get(f"{back_of(address)}?error=access_denied&state={state}", trust_env=False)
    assert "You did not sign in" in page.text
    assert terminal.ended() == 2
    assert "the identity provider says: access_denied; nothing was decided" in terminal.err
    assert seals(asked) == []


def test_where_the_trust_file_does_not_name_the_client_nobody_reads_a_desk_for_nothing(asked: Office, bank: Bank, tmp_path: Path) -> None:
    terminal = approve(bank, tmp_path, asked, "--yes", "--client", "another")
    assert terminal.ended() == 2
    assert "does not name the client another of" in terminal.err
    assert "ask whoever runs signoff to add it" in terminal.err
    assert terminal.out == ""
