"""Deciding in the portal.

1. What is pressed is what was looked at: the form names freeze and rendition, and both are still the desk's.
2. Where the policy asks for a fresh login, the browser is led to the provider by a page, and not by the answer to the form: a browser asks
   the page's policy about each address that a form leads to, and a provider may lead on to others.
3. Whoever signs in anew is whoever pressed, and signed in after they pressed: a provider that asks for no password proves nothing.
4. A person has one decision on a desk, of one name, so that pressing again finds it or finishes it.
5. Where the policy asks for a passkey, a page of its own asks for it, and sends the same form again with what the passkey gave.
6. Where the decision did not get through, it is said what the archive holds of it. A seal without its decision counts for nothing yet.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from typing import Any, Final, cast

from fastapi import FastAPI, Request
from fastapi.responses import HTMLResponse, RedirectResponse, Response
from starlette.concurrency import run_in_threadpool

from signoff.api import API_VERSION
from signoff.decision.consent import consent_nonce
from signoff.decision.meanings import meaning_of
from signoff.errors import SignoffError
from signoff.openid import was_anew
from signoff.portal import pages
from signoff.portal.cluster import Denied, NotKnown
from signoff.portal.description import form
from signoff.portal.forms import form_of
from signoff.portal.passkeys import Decision, answer_of, ask, passkeys_of
from signoff.portal.sessions import Flow, Pending, SignedIn
from signoff.portal.visit import Label, Person, Portal, Refused, Visit, visit_of
from signoff.record.canonical import Json
from signoff.record.seal import Verdict
from signoff.record.values import Digest

_ASKED: Final = form(
    freeze={"type": "string"}, rendition={"type": "string"}, verdict={"enum": ["Approve", "Reject"]}, comment={"type": "string"}
)
_ANSWERS: Final[dict[int | str, dict[str, Any]]] = {303: {"description": "To the receipt"}}
_LOOK: Final = "Look at the desk again"


def serve_decisions(app: FastAPI, portal: Portal) -> None:
    """Serve the form's address."""

    @app.post("/desk/{namespace}/{name}/decision", response_class=HTMLResponse, responses=_ANSWERS, openapi_extra=_ASKED)
    async def decision(request: Request, person: Person, namespace: Label, name: Label) -> Response:
        """Decide: at once, or after the login that the policy asks for."""
        form = await form_of(request)
        return await run_in_threadpool(_decide, portal, visit_of(request), person, (namespace, name), form)


def _decide(portal: Portal, visit: Visit, person: SignedIn, where: tuple[str, str], form: dict[str, str]) -> Response:
    namespace, name = where
    desk = portal.desks.desk(person.who, namespace, name)
    back = (f"/desk/{namespace}/{name}", _LOOK)
    if form.get("verdict") not in {"Approve", "Reject"}:
        raise Refused(400, "Press one of the two buttons", "Nothing was decided.", back)
    verdict = cast("Verdict", form["verdict"])
    page = desk.rendition("text/html")
    if form.get("freeze") != desk.digest or page is None or form.get("rendition") != page.digest:
        raise Refused(409, "The desk has changed", "It is another one than the one that you looked at. Nothing was decided.", back)
    opened = desk.digest in visit.session.opened
    if verdict == "Approve" and desk.freeze.route.tier == "tier-1" and not opened:
        told = "In tier-1 nobody approves without having opened it. Nothing was decided."
        raise Refused(409, "Open the explanation first", told, (f"{back[0]}/explanation", "Open the explanation"))
    comment = form.get("comment", "").replace("\r\n", "\n").strip()
    spec: dict[str, Json] = {
        "promotion": name,
        "freeze": desk.digest,
        "rendition": page.digest,
        "verdict": verdict,
        "meaning": meaning_of(desk.freeze.route.tier, verdict),
        **({"comment": comment} if comment else {}),
        **({"explanationOpened": True} if opened else {}),
    }
    pending = Pending(namespace, name, spec)
    if desk.freeze.route.requirement.assurance == "fresh-login":
        flow = Flow.new(portal.now(), back[0], consent_nonce(desk.digest, Digest(page.digest), verdict), pending)
        address = portal.signing_in.begin(visit.session, flow)
        return HTMLResponse(pages.leaving(visit.frame, desk, verdict, address, portal.signing_in.provider.issuer))
    if desk.freeze.route.requirement.assurance == "passkey":
        held = passkeys_of(portal, person)
        if "signature" not in form:
            return ask(visit, person, desk, Decision(page.digest, verdict, comment), held)
        return _send(portal, person, pending, answer_of(form, held, back))
    return _send(portal, person, pending)


def decide_after_login(visit: Visit, found: SignedIn, pending: Pending, pressed: Flow) -> Response:
    """Decide by the login that was asked for to decide (rule 3)."""
    back = (f"/desk/{pending.namespace}/{pending.name}", _LOOK)
    person = visit.session.person
    if person is None or not person.who.principal.is_same(found.who.principal):
        told = f"You pressed as somebody else than {found.who.principal.name}, who signed in now. Nothing was decided."
        raise Refused(403, "Another person signed in", told, back)
    if not was_anew(found.login, pressed.begun):
        told = (
            f"You signed in at {found.login.signed_in:%H:%M:%S} UTC, before you pressed at {pressed.begun:%H:%M:%S}: the identity provider "
            "did not ask you anew, or its clock is behind. Nothing was decided. Sign out there and press again, or ask whoever runs it."
        )
        raise Refused(403, "That was no fresh login", told, back)
    return _send(visit.portal, found, pending)


def _send(portal: Portal, person: SignedIn, pending: Pending, passkey: Mapping[str, Json] | None = None) -> Response:
    """Create the one decision of this person on this desk, and lead to where its state is told (rule 4)."""
    principal = person.who.principal
    said = "\x00".join((pending.namespace, pending.name, str(pending.spec["freeze"]), principal.issuer, principal.subject))
    name = f"{pending.name[:200].rstrip('.-')}-{hashlib.sha256(said.encode()).hexdigest()[:16]}"
    decision: dict[str, Json] = {
        "apiVersion": API_VERSION,
        "kind": "PromotionDecision",
        "metadata": {"name": name, "namespace": pending.namespace},
        "spec": {**pending.spec, "consent": {"idToken": person.token, **({"passkey": passkey} if passkey is not None else {})}},
    }
    try:
        portal.cluster.decide(pending.namespace, decision)
    except (Denied, NotKnown) as error:
        raise _not_taken(portal, person, pending, error) from None
    return RedirectResponse(f"/desk/{pending.namespace}/{pending.name}/receipt", status_code=303)


def _not_taken(portal: Portal, person: SignedIn, pending: Pending, error: SignoffError) -> Refused:
    """Return the page on a decision that did not get through (rule 6)."""
    back = (f"/desk/{pending.namespace}/{pending.name}", _LOOK)
    try:
        desk = portal.desks.desk(person.who, pending.namespace, pending.name)
        own = portal.desks.entry(desk, person.who).own
        sealed = "Nothing was decided: the archive holds no seal of yours on this desk." if own is None else "Your earlier decision stands."
    except SignoffError:
        own, sealed = None, "Press again to see whether anything was decided; it is safe."
    if own is not None and own.verdict == pending.spec["verdict"]:
        told = (
            f"Your decision of {own.time} is sealed, and the API server has not taken it: {error}. Press again to finish it; it stays one."
        )
        return Refused(503, "Sealed, and not yet taken", told, back)
    if isinstance(error, NotKnown):
        told = f"For {error}. It is safe to press again: who presses twice decides once."
        return Refused(503, "It is not known whether this was decided", told, back)
    return Refused(403, "This was refused", f"{error}. {sealed}", back)
