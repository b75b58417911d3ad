"""Passkeys in a real browser with its virtual authenticator, before a real API server, the seal's door and an identity provider."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest
from office import Office
from playwright.sync_api import BrowserContext, CDPSession, Page, expect

from controlplane.bank import CARLA, PAULA, Bank
from controlplane.people import PEOPLE
from controlplane.signing_in import fill_in
from signoff.archive.file import FileStore
from signoff.decision.seals import Filed, seal_bundle
from signoff.record.bundle import open_bundle, sign_bundle
from signoff.record.canonical import b64decode, b64encode, dumps
from signoff.record.keys import PemSigner
from signoff.record.promotion import PROMOTION_TYPE, SealedDecision, as_json, outcome_bytes
from signoff.record.seal import Seal, SealStatement
from signoff.record.trust import Trust, read_trust
from signoff.record.values import parse
from signoff.verify.case import Outcome
from signoff.verify.reader import Reader
from signoff.verify.verifier import Failed, verify
from tests.portal.test_deciding import policy, signed_in

pytestmark = [pytest.mark.cluster, pytest.mark.browser]

USE = """async (verification) => {
  const form = document.querySelector("form[data-passkey]"), asked = form.dataset;
  const bytes = (text) => Uint8Array.from(atob(text.replace(/-/g, "+").replace(/_/g, "/")), (one) => one.charCodeAt(0));
  const text = (b) => btoa(String.fromCharCode(...new Uint8Array(b))).replace(/\\+/g, "-").replace(/\\//g, "_").replace(/=+$/, "");
  const { rawId, response } = await navigator.credentials.get({ publicKey: { rpId: asked.party, challenge: bytes(asked.challenge),
    allowCredentials: asked.known.split(" ").map((id) => ({ type: "public-key", id: bytes(id) })), userVerification: verification } });
  const answer = { credential: text(rawId), clientDataJSON: text(response.clientDataJSON),
    authenticatorData: text(response.authenticatorData), signature: text(response.signature) };
  for (const [name, value] of Object.entries(answer)) form.elements.namedItem(name).value = value;
  return answer;
}"""
"""What a script of somebody else's would do on the page: ask the authenticator as it likes, and fill in the form."""

SEND = """(answer) => { const form = document.querySelector("form[data-passkey]");
  for (const [name, value] of Object.entries(answer)) form.elements.namedItem(name).value = value; form.submit(); }"""
"""Send what it once answered, in the form of another page."""


class Device:
    """A device with an authenticator of Chromium's own, before one page."""

    def __init__(self, page: Page) -> None:
        self.page = page
        self._session: CDPSession = page.context.new_cdp_session(page)
        self._session.send("WebAuthn.enable")
        options = {
            "protocol": "ctap2",
            "transport": "internal",
            "hasResidentKey": True,
            "hasUserVerification": True,
            "isUserVerified": True,
            "automaticPresenceSimulation": True,
        }
        self._id = self._session.send("WebAuthn.addVirtualAuthenticator", {"options": options})["authenticatorId"]

    def knows_its_person(self, yes: bool) -> None:
        """Whether it verifies who uses it: by a finger, a face or a PIN."""
        self._session.send("WebAuthn.setUserVerified", {"authenticatorId": self._id, "isUserVerified": yes})

    def held(self) -> int:
        return len(self._session.send("WebAuthn.getCredentials", {"authenticatorId": self._id})["credentials"])


@pytest.fixture
def carla(browser: BrowserContext, bank: Bank) -> Page:
    page = signed_in(browser, bank, CARLA, "/passkeys")
    expect(page.get_by_role("heading", level=1, name="Your passkeys")).to_be_visible()
    return page


@pytest.fixture
def device(carla: Page) -> Device:
    return Device(carla)


@pytest.fixture
def registered(bank: Bank, carla: Page, device: Device) -> Iterator[Device]:
    """Carla's device, with a passkey that she has registered. What it is called is its own, for there is one bank."""
    register(carla, "phone")
    yield device
    bank.kubectl(PAULA, "get", "promotionpasskeys", check=False)
    bank.control_plane.kubectl("delete", "promotionpasskeys", "--all")


def register(page: Page, label: str) -> None:
    page.get_by_label("What you call it").fill(label)
    page.get_by_role("button", name="Register a passkey").click()
    fill_in(page, CARLA, PEOPLE[CARLA].password)
    expect(page.get_by_role("heading", level=3, name=label)).to_be_visible()


def asking(office: Office, bank: Bank) -> None:
    """Have a desk frozen whose policy asks for a passkey."""
    bank.kubectl(PAULA, "apply", "-f", "-", stdin=policy(office.model, assurance="passkey"))
    office.frozen()


def press(page: Page, office: Office, bank: Bank, verdict: str = "Approve") -> None:
    """Press a button on the desk, which leads to the page on which the passkey is used."""
    page.goto(f"{bank.portal_url}/desk/credit/{office.name}")
    page.get_by_role("button", name=f"{verdict} 1.0.0").click()
    expect(page.get_by_role("heading", level=1, name=f"{verdict} {office.model} 1.0.0 with your passkey")).to_be_visible()


def use(page: Page, verdict: str = "Approve") -> None:
    page.get_by_role("button", name=f"{verdict} 1.0.0 with your passkey").click()


def seals(office: Office) -> list[str]:
    return office.archived(f"seals/{office.status()['freeze'].removeprefix('sha256:')}")


def decisions(office: Office, bank: Bank) -> int:
    listed = json.loads(bank.kubectl(CARLA, "get", "promotiondecisions", "-n", "credit", "-o", "json").stdout)["items"]
    return sum(one["spec"]["promotion"] == office.name for one in listed)


def test_somebody_registers_a_passkey_and_approves_by_it(office: Office, bank: Bank, carla: Page, registered: Device) -> None:
    assert registered.held() == 1
    asking(office, bank)
    refused = office.decide(CARLA, check=False)
    assert "tier-2 asks for passkey, and this decision rests on api-server" in refused
    assert "use your passkey for this very decision: in the portal, for kubectl has no way to ask for it" in refused
    carla.goto(f"{bank.portal_url}/desk/credit/{office.name}")
    expect(carla.get_by_text("You will use your passkey for this very decision")).to_be_visible()
    press(carla, office, bank)
    expect(carla.get_by_text("Nothing is decided yet.")).to_be_visible()
    use(carla)
    expect(carla.get_by_text("Approved: the event is in the archive.")).to_be_visible(timeout=15_000)
    expect(carla.get_by_text("resting on a passkey, whose signature covers what was decided")).to_be_visible()
    told = bank.signoff("why", office.status()["id"]).stdout
    assert "rests on a passkey, whose signature covers what was shown" in told
    assert "passkey “phone”, registered at" in told
    assert bank.signoff("verify", office.status()["id"]).returncode == 0
    believed_offline(office, bank)


def believed_offline(office: Office, bank: Bank) -> None:
    """The event is believed from its bytes, the trust file and the policies alone; with a proof altered it is not, by the holder of both
    of the cluster's keys even (rule 10).
    """
    store = FileStore(bank.archive_folder)
    trust: Trust = read_trust((bank.archive_folder / "statements" / "trust" / bank.trust.removeprefix("sha256:")).read_bytes())
    reader = Reader(store, trust)
    outcome = Outcome(Filed(office.event_path().read_bytes(), None), None)
    policies = reader.policies_of(outcome)
    verified = verify(outcome, trust, policies)
    [decided] = verified.decisions
    assert (decided.consent.assurance, decided.principal.subject) == ("passkey", CARLA)
    seal_key, event_key = (PemSigner((bank.keys / f"{use}.key").read_bytes()) for use in ("seal", "event"))
    [approver] = outcome.statement.predicate.approver
    seal = parse(SealStatement, open_bundle(b64decode(approver.seal, "seal"), "seal").payload, "seal").predicate

    def resealed(number: int, data: bytes) -> Outcome:
        value: Any = as_json(seal)
        value["decided"]["consent"]["proofs"][number]["content"] = b64encode(data)
        again = parse(Seal, dumps(value), "seal")
        made = outcome_bytes(PROMOTION_TYPE, verified.payload, verified.freeze, [SealedDecision(again, seal_bundle(again, seal_key))])
        return Outcome(Filed(sign_bundle(made, event_key), None), None)

    proofs = [b64decode(one.content, "proof") for one in decided.consent.proofs]
    verify(resealed(5, proofs[5]), trust, policies)  # sealed again as it was it holds
    for number, data in enumerate(proofs):
        for wrong in (data[:-1] + bytes([data[-1] ^ 1]), bytes([data[0] ^ 1]) + data[1:], data[:-1]):
            with pytest.raises(Failed, match=r"rule 10 \(seals\)"):
                verify(resealed(number, wrong), trust, policies)


def test_who_presses_twice_in_two_tabs_and_reloads_decides_once(office: Office, bank: Bank, carla: Page, registered: Device) -> None:
    asking(office, bank)
    press(carla, office, bank)
    answer = carla.evaluate(USE, "required")
    another = carla.context.new_page()
    press(another, office, bank)
    carla.get_by_role("button", name="Approve 1.0.0 with your passkey").dblclick()
    expect(carla.get_by_text("Approved: the event is in the archive.")).to_be_visible(timeout=15_000)
    carla.reload()
    another.evaluate(SEND, answer)
    expect(another.get_by_text("Approved: the event is in the archive.")).to_be_visible()
    assert len(seals(office)) == decisions(office, bank) == 1


def test_rule_5_an_authenticator_that_verifies_nobody_decides_nothing(office: Office, bank: Bank, carla: Page, registered: Device) -> None:
    asking(office, bank)
    press(carla, office, bank)
    registered.knows_its_person(False)
    use(carla)
    expect(carla.get_by_role("alert")).to_contain_text("Nothing was decided. It was not allowed")
    assert carla.get_by_role("button", name="Approve 1.0.0 with your passkey").is_enabled(), "she can press again"
    carla.evaluate(USE, "discouraged")
    carla.evaluate("document.querySelector('form[data-passkey]').submit()")
    expect(carla.get_by_text("the authenticator did not verify who used the passkey")).to_be_visible()
    assert seals(office) == []


def test_rule_7_an_assertion_for_another_verdict_or_desk_decides_nothing(
    office: Office, bank: Bank, carla: Page, registered: Device
) -> None:
    asking(office, bank)
    press(carla, office, bank)
    answer = carla.evaluate(USE, "required")
    carla.evaluate("() => { const f = document.querySelector('form[data-passkey]'); f.elements.verdict.value = 'Reject'; f.submit(); }")
    expect(carla.get_by_text("the passkey was used for another desk, verdict or person")).to_be_visible()
    other = Office(bank)
    asking(other, bank)
    press(carla, other, bank)
    carla.evaluate(SEND, answer)
    expect(carla.get_by_text("the passkey was used for another desk, verdict or person")).to_be_visible()
    assert seals(office) == seals(other) == []


def test_a_withdrawn_passkey_decides_nothing_and_what_it_decided_stays(office: Office, bank: Bank, carla: Page, registered: Device) -> None:
    asking(office, bank)
    press(carla, office, bank)
    use(carla)
    expect(carla.get_by_text("Approved: the event is in the archive.")).to_be_visible(timeout=15_000)
    other = Office(bank)
    asking(other, bank)
    press(carla, other, bank)
    carla.evaluate(USE, "required")
    with carla.context.new_page() as another:
        another.goto(f"{bank.portal_url}/passkeys")
        another.get_by_role("button", name="Withdraw “phone”").click()
        expect(another.get_by_text("None.", exact=True)).to_be_visible()
    carla.evaluate("document.querySelector('form[data-passkey]').submit()")
    expect(carla.get_by_role("heading", name="That was none of your passkeys")).to_be_visible()
    carla.goto(f"{bank.portal_url}/desk/credit/{other.name}")
    carla.get_by_role("button", name="Approve 1.0.0").click()
    expect(carla.get_by_role("heading", name="You have no passkey here")).to_be_visible()
    assert seals(other) == []
    assert bank.signoff("verify", office.status()["id"]).returncode == 0


def test_who_cancels_registers_nothing_and_a_key_is_registered_once(bank: Bank, carla: Page, device: Device) -> None:
    device.knows_its_person(False)
    carla.get_by_label("What you call it").fill("tablet")
    carla.get_by_role("button", name="Register a passkey").click()
    expect(carla.get_by_role("alert")).to_contain_text("Nothing was registered.")
    device.knows_its_person(True)
    register(carla, "tablet")
    carla.get_by_label("What you call it").fill("tablet again")
    carla.get_by_role("button", name="Register a passkey").click()
    expect(carla.get_by_role("alert")).to_contain_text("This authenticator holds one of your passkeys already.")
    carla.get_by_role("button", name="Withdraw “tablet”").click()
    expect(carla.get_by_text("None.", exact=True)).to_be_visible()
