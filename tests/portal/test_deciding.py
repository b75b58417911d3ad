"""From the queue to the receipt, in a real browser, with a real API server and an identity provider."""

from __future__ import annotations

import re
from copy import deepcopy
from typing import Any

import pytest
import yaml
from builders import example
from office import Office
from playwright.sync_api import BrowserContext, Page, expect

from controlplane.bank import ANA, CARLA, DAVID, PAULA, Bank
from controlplane.people import PEOPLE
from controlplane.signing_in import fill_in

pytestmark = [pytest.mark.cluster, pytest.mark.browser]


def signed_in(browser: BrowserContext, bank: Bank, who: str, path: str = "/") -> Page:
    page = browser.new_page()
    page.goto(f"{bank.portal_url}{path}")
    page.get_by_role("link", name="Sign in with").click()
    fill_in(page, who, PEOPLE[who].password)
    page.wait_for_url(f"{bank.portal_url}/**")
    return page


def policy(model: str, **tier: Any) -> str:
    text: dict[str, Any] = deepcopy(example("policy.yaml"))
    text["metadata"]["name"] = model
    text["spec"]["models"] = [{"names": [model], "namespaces": ["credit"]}]
    text["spec"]["tiers"]["tier-2"] |= tier
    return yaml.safe_dump(text)


def test_somebody_goes_from_the_queue_to_the_receipt(office: Office, bank: Bank, browser: BrowserContext) -> None:
    office.frozen()
    page = signed_in(browser, bank, CARLA)
    row = page.locator("li", has_text=office.model)
    expect(row).to_contain_text("as approver, for you are in model-approvers")
    row.get_by_role("link").click()
    frame = page.frame_locator("iframe")
    expect(frame.get_by_role("heading", level=1)).to_contain_text(f"May {office.model} 1.0.0 run in production?")
    page.get_by_label("A comment").fill("Seen <b>it</b>.")
    page.get_by_role("button", name="Approve 1.0.0").click()
    expect(page.get_by_text("Approved: the event is in the archive.")).to_be_visible(timeout=15_000)
    expect(page.locator("dl")).to_contain_text(office.status()["event"])
    office.until(lambda: office.condition("Promoted").get("status") == "True")
    why = bank.signoff("why", office.status()["id"]).stdout
    assert "approved by   Carla Example" in why
    assert "comment: Seen <b>it</b>." in why
    assert "by id-token" in why
    assert "rests on a session of the portal" in why
    assert bank.signoff("verify", office.status()["id"]).returncode == 0
    page.goto(bank.portal_url)
    expect(page.locator("li", has_text=office.model)).to_contain_text("approved it at")


def test_a_fresh_login_covers_what_was_decided(office: Office, bank: Bank, browser: BrowserContext) -> None:
    bank.kubectl(PAULA, "apply", "-f", "-", stdin=policy(office.model, assurance="fresh-login"))
    office.frozen()
    refused = office.decide(CARLA, check=False)
    assert "tier-2 asks for fresh-login, and this decision rests on api-server" in refused
    page = signed_in(browser, bank, CARLA, f"/desk/credit/{office.name}")
    expect(page.get_by_text("You will sign in anew for this very decision")).to_be_visible()
    page.get_by_role("button", name="Approve 1.0.0").click()
    fill_in(page, CARLA, PEOPLE[CARLA].password)
    expect(page.get_by_text("Approved: the event is in the archive.")).to_be_visible(timeout=15_000)
    told = bank.signoff("why", office.status()["id"]).stdout
    assert "rests on a fresh login, whose token covers what was consented to" in told
    assert bank.signoff("verify", office.status()["id"]).returncode == 0


def test_who_signs_in_anew_as_somebody_else_decides_nothing(office: Office, bank: Bank, browser: BrowserContext) -> None:
    bank.kubectl(PAULA, "apply", "-f", "-", stdin=policy(office.model, assurance="fresh-login"))
    office.frozen()
    page = signed_in(browser, bank, CARLA, f"/desk/credit/{office.name}")
    page.get_by_role("button", name="Approve 1.0.0").click()
    fill_in(page, DAVID, PEOPLE[DAVID].password)
    expect(page.get_by_role("heading", name="Another person signed in")).to_be_visible()
    assert not office.archived(f"seals/{office.status()['freeze'].removeprefix('sha256:')}")


def test_bypass_14_the_portal_by_itself_decides_nothing(office: Office, bank: Bank) -> None:
    office.frozen()
    kubeconfig = bank.control_plane.kubeconfig_for_service_account("signoff-system", "signoff-portal")
    made = bank.control_plane.kubectl("create", "-f", "-", kubeconfig=kubeconfig, input=yaml.safe_dump(office.decision()), check=False)
    assert "a portal decides nothing by itself" in made.stderr


def test_the_author_sees_why_she_cannot_decide(office: Office, bank: Bank, browser: BrowserContext) -> None:
    office.frozen()
    page = signed_in(browser, bank, ANA, f"/desk/credit/{office.name}")
    expect(page.get_by_text(re.compile("You cannot decide on it: .*is the author"))).to_be_visible()
    expect(page.get_by_role("button", name="Approve 1.0.0")).to_have_count(0)
