"""The portal and the terminal at a real Keycloak: what the embedded provider is taken for must hold at one that is not ours.

One Keycloak and one bank, for this module alone. No browser but one that follows forms: what pages look like is asked elsewhere.
"""

from __future__ import annotations

import json
import os
import re
import signal
import ssl
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Self
from urllib.parse import parse_qsl, urlencode, urlsplit

import httpx
import pytest
import yaml
from office import Office

from controlplane import ControlPlane
from controlplane.bank import BEN, CARLA, OIDC, PAULA, Bank
from controlplane.keycloak import Keycloak
from controlplane.keycloak_java import SKIP, WAY_VARIABLE, is_skipped
from controlplane.signing_in import Asked, Forms, exchange
from signoff.decision.consent import consent_nonce, login_under
from signoff.record.canonical import dumps
from signoff.record.trust import IdentityProvider
from signoff.record.values import parse
from tests.portal.terminal import Terminal, led_back
from tests.portal.test_deciding import policy
from tests.portal.test_signing_in import leads_to

pytestmark = [
    pytest.mark.cluster,
    pytest.mark.keycloak,
    pytest.mark.timeout(600),
]  # on a busy machine Java and a control plane take minutes


@pytest.fixture(scope="module")
def keycloak(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Keycloak]:
    if is_skipped():
        pytest.skip(f"{WAY_VARIABLE}={SKIP}")
    with Keycloak(tmp_path_factory.mktemp("keycloak")) as provider:
        yield provider


@pytest.fixture(scope="module")
def bank(tmp_path_factory: pytest.TempPathFactory, keycloak: Keycloak) -> Iterator[Bank]:
    work = tmp_path_factory.mktemp("keycloak-bank")
    with ControlPlane(work / "control-plane") as plane, Bank(plane, work / "bank", portal=keycloak) as bank:
        bank.kubectl(PAULA, "apply", "-f", "examples/credit-scoring/policy.yaml")
        bank.kubectl(BEN, "apply", "-f", "examples/credit-scoring/explanation-configmap.yaml")
        yield bank


class Browser:
    """A browser without scripts or a screen, with its cookies at the portal and at Keycloak."""

    def __init__(self, bank: Bank, keycloak: Keycloak) -> None:
        context = ssl.create_default_context(cafile=str(bank.control_plane.serving_ca_path))
        self.portal = httpx.Client(base_url=bank.portal_url, verify=context, trust_env=False, timeout=60)
        self.forms = Forms(keycloak)
        self.callback = f"{bank.portal_url}/callback"

    def __enter__(self) -> Self:
        self.forms.__enter__()
        return self

    def __exit__(self, *_: object) -> None:
        self.forms.__exit__(None, None, None)
        self.portal.close()

    def led(self, address: str) -> tuple[httpx.Response, bool]:
        """Go to Keycloak, as Carla, and be led back; return the portal's answer, and whether a password was asked for."""
        back, was_asked = self.forms.lead(address, CARLA, self.callback)
        parts = urlsplit(back)
        return self.portal.get(f"{parts.path}?{parts.query}"), was_asked

    def sign_in(self) -> bool:
        answer, was_asked = self.led(self.portal.get("/sign-in").headers["location"])
        assert answer.status_code == 303, answer.text
        return was_asked

    def press(self, office: Office, verdict: str = "Approve") -> httpx.Response:
        page = self.portal.get(f"/desk/credit/{office.name}").text
        hidden = dict(re.findall(r'<input type="hidden" name="(\w+)" value="([^"]+)"', page))
        return self.portal.post(f"/desk/credit/{office.name}/decision", data=hidden | {"verdict": verdict, "comment": ""})

    def receipt(self, office: Office) -> str:
        office.until(lambda: office.status().get("event"))
        return self.portal.get(f"/desk/credit/{office.name}/receipt").text


@pytest.fixture
def browser(bank: Bank, keycloak: Keycloak) -> Iterator[Browser]:
    with Browser(bank, keycloak) as browser:
        yield browser


@pytest.fixture
def asked(office: Office, bank: Bank) -> Office:
    """A desk whose policy asks for a fresh login."""
    bank.kubectl(PAULA, "apply", "-f", "-", stdin=policy(office.model, assurance="fresh-login"))
    office.frozen()
    return office


def seals(office: Office) -> list[str]:
    return office.archived(f"seals/{office.status()['freeze'].removeprefix('sha256:')}")


def verified_without_keycloak(bank: Bank, keycloak: Keycloak, request: str) -> str:
    """What is said of an event while the provider answers nobody: it is stopped, and not ended, for that is sooner over."""
    os.kill(keycloak.pid, signal.SIGSTOP)
    try:
        with keycloak.http() as client, pytest.raises(httpx.TimeoutException):
            client.get(f"{keycloak.issuer}/.well-known/openid-configuration", timeout=0.5)
        verified = bank.signoff("verify", request)
        told = bank.signoff("why", request).stdout
    finally:
        os.kill(keycloak.pid, signal.SIGCONT)
    assert verified.returncode == 0, verified.stdout + verified.stderr
    return told


def login_in(bank: Bank, keycloak: Keycloak, office: Office) -> Any:
    """What the ID token says that the decision on this desk rests on."""
    answer = bank.control_plane.kubectl("get", "promotiondecisions", "-n", "credit", "-o", "json")
    [made] = [one for one in json.loads(answer.stdout)["items"] if one["spec"]["promotion"] == office.name]
    named = {"issuer": keycloak.issuer, "clients": ["signoff", "signoff-cli"], "subjectClaim": "email", "groupsClaim": "groups"}
    trusted = parse(IdentityProvider, dumps(named), "test")
    return login_under(made["spec"]["consent"]["idToken"], keycloak.jwks()["keys"], trusted, "test")[0]


def test_a_session_of_keycloak_decides_and_the_receipt_verifies_without_it(
    office: Office, bank: Bank, keycloak: Keycloak, browser: Browser
) -> None:
    bank.kubectl(PAULA, "apply", "-f", "-", stdin=policy(office.model, assurance="session"))
    office.frozen()
    assert browser.sign_in(), "nobody had signed in before"
    queue = browser.portal.get("/").text
    assert office.name in queue
    assert "Carla Example" in queue
    assert "as approver, for you are in model-approvers" in queue
    assert browser.press(office).headers["location"] == f"/desk/credit/{office.name}/receipt"
    receipt = browser.receipt(office)
    assert "Approved: the event is in the archive." in receipt
    assert office.status()["event"] in receipt
    told = verified_without_keycloak(bank, keycloak, office.status()["id"])
    assert "rests on a session of the portal" in told
    assert "by id-token" in told


def test_for_a_fresh_login_keycloak_asks_anew_though_there_is_a_session(
    asked: Office, bank: Bank, keycloak: Keycloak, browser: Browser
) -> None:
    browser.sign_in()
    assert not browser.sign_in(), "there is a session, and it will do to sign in"
    pressed = browser.press(asked)
    assert pressed.status_code == 200
    assert seals(asked) == []
    answer, was_asked = browser.led(leads_to(pressed.text))
    assert was_asked, "the session will not do to decide"
    assert answer.headers["location"] == f"/desk/credit/{asked.name}/receipt"
    assert "Approved: the event is in the archive." in browser.receipt(asked)
    status = asked.status()
    login = login_in(bank, keycloak, asked)
    assert login.nonce == consent_nonce(status["freeze"], status["desk"]["html"], "Approve")
    assert login.says_when
    assert "rests on a fresh login" in verified_without_keycloak(bank, keycloak, status["id"])


def test_a_rejection_is_another_login(asked: Office, bank: Bank, keycloak: Keycloak, browser: Browser) -> None:
    browser.sign_in()
    browser.led(leads_to(browser.press(asked, "Reject").text))
    status = asked.status()
    assert login_in(bank, keycloak, asked).nonce == consent_nonce(status["freeze"], status["desk"]["html"], "Reject")


def unbound(keycloak: Keycloak, forms: Forms, bank: Bank, **changes: str | None) -> str:
    """An ID token of Keycloak's for a request with these changes, for the portal's client."""
    asked = Asked(f"{bank.portal_url}/callback")
    given = {name: value for name, value in (asked.parameters(keycloak.client_id) | changes).items() if value is not None}
    back, _ = forms.lead(f"{keycloak.discovery()['authorization_endpoint']}?{urlencode(given)}", CARLA, asked.redirect_uri)
    code = dict(parse_qsl(urlsplit(back).query))["code"]
    return str(exchange(keycloak, code, asked.redirect_uri, asked.verifier).json()["id_token"])


def test_what_keycloak_was_not_asked_to_sign_for_this_desk_decides_nothing(
    asked: Office, bank: Bank, keycloak: Keycloak, browser: Browser
) -> None:
    """A portal that lies, or was taken over: it has tokens of Keycloak's for this very person, and none for this decision."""
    status = asked.status()
    thief = bank.control_plane.kubeconfig_for_service_account("signoff-system", "signoff-portal")
    other = consent_nonce(status["freeze"], status["desk"]["html"], "Reject")
    tokens = {
        "no nonce": unbound(keycloak, browser.forms, bank, nonce=None),
        "a nonce of the sign-in": unbound(keycloak, browser.forms, bank),
        "a fresh login without the nonce": unbound(keycloak, browser.forms, bank, nonce=None, prompt="login", max_age="0"),
        "a fresh login for the other verdict": unbound(keycloak, browser.forms, bank, nonce=other, prompt="login", max_age="0"),
    }
    for case, token in tokens.items():
        decision = asked.decision(rendition=status["desk"]["html"], consent={"idToken": token})
        made = bank.control_plane.kubectl("create", "-f", "-", kubeconfig=thief, input=yaml.safe_dump(decision), check=False)
        assert "tier-2 asks for fresh-login, and this decision rests on session" in made.stderr, case
    assert seals(asked) == []


def test_from_the_terminal_keycloak_leads_back_to_any_port_and_asks_anew(
    asked: Office, bank: Bank, keycloak: Keycloak, browser: Browser, tmp_path: Path
) -> None:
    browser.sign_in()
    terminal = Terminal(bank, tmp_path, f"{OIDC}{CARLA}", "approve", asked.name, "-n", "credit", "--yes", "--no-browser")
    page, was_asked = led_back(browser.forms, terminal.address(), CARLA)
    assert was_asked
    assert "You can close this window" in page.text
    assert terminal.ended() == 0, terminal.err
    assert "approved  " in terminal.out
    status = asked.status()
    assert login_in(bank, keycloak, asked).nonce == consent_nonce(status["freeze"], status["desk"]["text"], "Approve")
    assert "rests on a fresh login" in verified_without_keycloak(bank, keycloak, status["id"])
