"""The portal before a real API server and the seal's door: who sees what, what a thief of its account can do, and what failures leave."""

from __future__ import annotations

import re
import ssl
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from typing import Any
from urllib.parse import urlsplit

import httpx
import pytest
import yaml
from office import Office
from playwright.sync_api import BrowserContext, expect

from controlplane.bank import CARLA, DAVID, ERIK, PAULA, Bank
from controlplane.idp import EmbeddedProvider
from controlplane.signing_in import Forms
from signoff.decision.consent import consent_nonce
from tests.portal.test_deciding import policy, signed_in

pytestmark = [pytest.mark.cluster, pytest.mark.browser]

SA = ("signoff-system", "signoff-portal")
TWO = {"quorum": 2, "roles": [{"name": "approver", "count": 2, "groups": ["model-approvers"]}]}


class Visitor(httpx.Client):
    """A browser without scripts, at the bank's portal."""

    def __init__(self, bank: Bank, provider: EmbeddedProvider, who: str) -> None:
        context = ssl.create_default_context(cafile=str(bank.control_plane.serving_ca_path))
        super().__init__(base_url=bank.portal_url, verify=context, trust_env=False, timeout=60)
        with Forms(provider) as forms:
            back, _ = forms.lead(self.get("/sign-in").headers["location"], who, f"{bank.portal_url}/callback")
        parts = urlsplit(back)
        assert self.get(f"{parts.path}?{parts.query}").status_code == 303

    def form(self, office: Office, verdict: str = "Approve") -> dict[str, str]:
        page = self.get(f"/desk/credit/{office.name}").text
        hidden = dict(re.findall(r'<input type="hidden" name="(\w+)" value="([^"]+)"', page))
        return hidden | {"verdict": verdict, "comment": ""}

    def press(self, office: Office, verdict: str = "Approve") -> httpx.Response:
        return self.post(f"/desk/credit/{office.name}/decision", data=self.form(office, verdict))


def seals(office: Office) -> list[str]:
    return office.archived(f"seals/{office.status()['freeze'].removeprefix('sha256:')}")


def sealed(office: Office) -> str:
    return office.bank.signoff("why", office.status()["id"]).stdout


# --- who sees what --------------------------------------------------------------------------------------------------


def test_whom_kubernetes_does_not_let_get_promotions_a_desk_is_not_there(office: Office, bank: Bank, provider: EmbeddedProvider) -> None:
    status = office.frozen()
    carla, erik = Visitor(bank, provider, CARLA), Visitor(bank, provider, ERIK)
    desk = f"/desk/credit/{office.name}"
    form = carla.form(office)
    paths = [desk, f"{desk}/receipt", f"{desk}/explanation", f"{desk}/{status['desk']['html']}", f"{desk}/{status['desk']['text']}"]
    paths.append(f"{desk}/explanation/shown")
    assert [carla.get(path).status_code for path in paths] == [200] * len(paths)
    assert [erik.get(path).status_code for path in paths] == [404] * len(paths)
    token = re.search(r'name="csrf" value="([^"]+)"', erik.get("/").text)
    assert token is not None
    assert erik.post(f"{desk}/decision", data=form | {"csrf": token[1]}).status_code == 404
    assert office.name not in erik.get("/").text
    assert office.name in carla.get("/").text
    assert seals(office) == []


def test_evidence_is_there_for_whom_kubernetes_shows_the_promotion_and_all_of_it_for_whom_it_lets_audit(
    office: Office, bank: Bank, provider: EmbeddedProvider
) -> None:
    office.frozen()
    carla, erik = Visitor(bank, provider, CARLA), Visitor(bank, provider, ERIK)
    assert carla.press(office).status_code == 303
    office.until(lambda: office.condition("Promoted").get("status") == "True")
    base, history = f"/events/{office.status()['id']}/", f"/models/{office.model}"
    shown = [base, f"{base}desk.html", f"{base}request.json", history]
    assert [carla.get(path).status_code for path in shown] == [200] * 4
    assert carla.get(f"{base}event.sigstore.json").status_code == 404, "it holds her ID token"
    assert [erik.get(path).status_code for path in shown] == [404] * 4
    bound = ("clusterrolebinding", "auditors-of-this-test")
    bank.control_plane.kubectl("create", *bound, "--clusterrole=signoff-auditor", "--group=deputies")
    try:
        office.until(lambda: erik.get(base).status_code == 200)
        assert [erik.get(path).status_code for path in (*shown, f"{base}event.sigstore.json")] == [200] * 5
        assert erik.get(f"/desk/credit/{office.name}").status_code == 404, "what is not decided is no auditor's"
    finally:
        bank.control_plane.kubectl("delete", *bound)
    office.until(lambda: erik.get(base).status_code == 404)


# --- a thief of the portal's account --------------------------------------------------------------------------------


class Thief:
    """Somebody with the portal's ServiceAccount, and with the ID tokens that passed through it."""

    def __init__(self, bank: Bank) -> None:
        self.bank = bank
        self.kubeconfig = bank.control_plane.kubeconfig_for_service_account(*SA)

    def send(self, office: Office, token: str, **changes: Any) -> str:
        decision = office.decision(rendition=office.status()["desk"]["html"], consent={"idToken": token}, **changes)
        made = self.bank.control_plane.kubectl("create", "-f", "-", kubeconfig=self.kubeconfig, input=yaml.safe_dump(decision), check=False)
        return made.stdout + made.stderr


@pytest.fixture
def thief(bank: Bank) -> Thief:
    return Thief(bank)


def bound(office: Office, verdict: Any = "Approve") -> str:
    status = office.status()
    return consent_nonce(status["freeze"], status["desk"]["html"], verdict)


def test_a_stolen_portal_decides_by_a_session_whatever_it_likes_for_twelve_hours(
    office: Office, bank: Bank, provider: EmbeddedProvider, thief: Thief
) -> None:
    """What `session` rests on is the portal's word: one ID token serves for every desk, verdict, meaning and comment."""
    other = Office(bank)
    office.frozen()
    other.frozen()
    token = provider.id_token(CARLA, nonce="of-a-sign-in", auth_time=int(time.time()) - 11 * 3600)
    assert "created" in thief.send(office, token, meaning="Carla never read this.", comment="Nor wrote this.")
    assert "created" in thief.send(other, token, verdict="Reject", meaning="I reject it.")
    office.until(lambda: office.condition("Promoted").get("status") == "True")
    assert "Carla never read this." in sealed(office)
    assert "rests on a session of the portal" in sealed(office)


def test_a_stolen_portal_decides_nothing_by_a_token_that_is_older_or_of_somebody_who_may_not(
    office: Office, provider: EmbeddedProvider, thief: Thief
) -> None:
    office.frozen()
    old = provider.id_token(CARLA, nonce="x", auth_time=int(time.time()) - 13 * 3600)
    assert "you signed in more than 12 hours ago" in thief.send(office, old)
    assert "holds none of the roles" in thief.send(office, provider.id_token(ERIK, nonce="x"))
    assert "another client" in thief.send(office, provider.id_token(CARLA, nonce="x", aud="another", azp="another"))
    assert seals(office) == []


def test_where_a_fresh_login_is_asked_for_a_stolen_portal_has_no_use_for_a_session(
    office: Office, bank: Bank, provider: EmbeddedProvider, thief: Thief
) -> None:
    other = Office(bank)
    for one in (office, other):
        bank.kubectl(PAULA, "apply", "-f", "-", stdin=policy(one.model, assurance="fresh-login"))
        one.frozen()
    session = "tier-2 asks for fresh-login, and this decision rests on session"
    assert session in thief.send(office, provider.id_token(CARLA, nonce="of-a-sign-in"))
    assert session in thief.send(office, provider.id_token(CARLA, nonce=bound(other))), "of another desk"
    assert session in thief.send(office, provider.id_token(CARLA, nonce=bound(office)), verdict="Reject"), "of the other verdict"
    late = provider.id_token(CARLA, nonce=bound(office), auth_time=int(time.time()) - 400)
    assert "you signed in more than 5 minutes before this decision" in thief.send(office, late)
    silent = provider.id_token(CARLA, nonce=bound(office), auth_time="not said")  # type: ignore[arg-type]
    assert "has no auth_time" in thief.send(office, silent)
    assert seals(office) == seals(other) == []


def test_a_fresh_login_covers_desk_and_verdict_and_the_rest_is_the_portals_word(
    office: Office, bank: Bank, provider: EmbeddedProvider, thief: Thief
) -> None:
    """Comment, meaning and whether the explanation was opened; and why the person was asked to sign in."""
    bank.kubectl(PAULA, "apply", "-f", "-", stdin=policy(office.model, assurance="fresh-login"))
    office.frozen()
    token = provider.id_token(CARLA, nonce=bound(office))
    assert "created" in thief.send(office, token, meaning="Other words.", comment="Of the thief's.", explanationOpened=True)
    assert "Other words." in sealed(office)


def test_a_stolen_portal_says_nothing_in_its_own_name_and_takes_nothing_back(
    office: Office, bank: Bank, provider: EmbeddedProvider, thief: Thief
) -> None:
    office.frozen()
    assert "created" in thief.send(office, provider.id_token(CARLA, nonce="x"))
    assert "a decision is not taken back" in thief.send(office, provider.id_token(CARLA, nonce="x"), verdict="Reject")
    plane = bank.control_plane
    for verb, what in (
        ("delete", "promotiondecisions"),
        ("update", "promotiondecisions"),
        ("create", "modelpromotions"),
        ("get", "secrets"),
    ):
        asked = plane.kubectl("auth", "can-i", verb, what, "-n", "credit", kubeconfig=thief.kubeconfig, check=False)
        assert asked.stdout.strip() == "no", (verb, what)


# --- failures -------------------------------------------------------------------------------------------------------


@contextmanager
def away(bank: Bank) -> Iterator[None]:
    elsewhere = bank.archive_folder.with_name("elsewhere")
    bank.archive_folder.rename(elsewhere)
    try:
        yield
    finally:
        elsewhere.rename(bank.archive_folder)


def test_without_the_archive_nothing_is_decided_and_pressing_again_decides_once(
    office: Office, bank: Bank, provider: EmbeddedProvider
) -> None:
    office.frozen()
    carla = Visitor(bank, provider, CARLA)
    form, desk = carla.form(office), f"/desk/credit/{office.name}"
    with away(bank):
        answers = [carla.get("/"), carla.get(desk), carla.get(f"{desk}/receipt"), carla.post(f"{desk}/decision", data=form)]
    for answer in answers:
        assert answer.status_code in {403, 503}
        assert re.search("[Nn]othing was decided", answer.text), answer.text
        assert "safe to" in answer.text
    assert seals(office) == []
    assert carla.post(f"{desk}/decision", data=form).status_code == 303
    assert len(seals(office)) == 1


def test_two_people_and_a_double_click_are_one_decision_each(office: Office, bank: Bank, provider: EmbeddedProvider) -> None:
    bank.kubectl(PAULA, "apply", "-f", "-", stdin=policy(office.model, **TWO))
    office.frozen()
    people = [Visitor(bank, provider, who) for who in (CARLA, DAVID)]
    forms = [one.form(office) for one in people]
    desk = f"/desk/credit/{office.name}/decision"
    with ThreadPoolExecutor(6) as pool:
        answers = list(pool.map(lambda number: people[number % 2].post(desk, data=forms[number % 2]), range(6)))
    assert {answer.status_code for answer in answers} == {303}
    assert len(seals(office)) == 2
    office.until(lambda: office.condition("Promoted").get("status") == "True")
    again = people[0].post(desk, data=forms[0] | {"verdict": "Reject"})
    assert again.status_code == 403
    assert "a decision is not taken back" in again.text or "the request has its outcome already" in again.text


def test_who_has_decided_and_who_is_awaited_is_told_live(
    office: Office, bank: Bank, provider: EmbeddedProvider, browser: BrowserContext
) -> None:
    bank.kubectl(PAULA, "apply", "-f", "-", stdin=policy(office.model, **TWO))
    office.frozen()
    page = signed_in(browser, bank, CARLA, f"/desk/credit/{office.name}")
    page.get_by_role("button", name="Approve 1.0.0").click()
    expect(page.get_by_text("Your decision is sealed and archived.")).to_be_visible()
    expect(page.get_by_text("Awaited: 1 more in role approver")).to_be_visible()
    assert "Approved: " not in page.content()
    assert Visitor(bank, provider, DAVID).press(office).status_code == 303
    expect(page.get_by_text("Approved: the event is in the archive.")).to_be_visible(timeout=30_000)
    expect(page.locator("dl")).to_contain_text("David Example")


def test_a_portal_that_is_killed_forgets_who_signed_in_and_nothing_else(office: Office, bank: Bank, provider: EmbeddedProvider) -> None:
    office.frozen()
    carla = Visitor(bank, provider, CARLA)
    form = carla.form(office)
    bank.kill("portal")
    bank.start("portal")
    refused = carla.post(f"/desk/credit/{office.name}/decision", data=form)
    assert refused.status_code == 401
    assert "Nothing was decided" in refused.text
    assert Visitor(bank, provider, CARLA).press(office).status_code == 303
    assert len(seals(office)) == 1


def test_without_the_api_server_nothing_is_decided(office: Office, bank: Bank, provider: EmbeddedProvider) -> None:
    office.frozen()
    carla = Visitor(bank, provider, CARLA)
    form, desk = carla.form(office), f"/desk/credit/{office.name}"
    bank.control_plane.kill("kube-apiserver")
    try:
        answers = [carla.get("/"), carla.get(desk), carla.post(f"{desk}/decision", data=form)]
    finally:
        bank.control_plane.restart("kube-apiserver")
    for answer in answers:
        assert answer.status_code == 503
        assert "Nothing was decided, and it is safe to try again." in answer.text
    assert seals(office) == []
    office.until(lambda: carla.post(f"{desk}/decision", data=form).status_code == 303, within=60)
    assert len(seals(office)) == 1
