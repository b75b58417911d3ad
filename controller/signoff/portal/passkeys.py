"""Passkeys in the portal: somebody's own, registered and withdrawn; and the page on which one is used for a decision.

1. A passkey is made in the browser, by the one script of ours, and registered by a login for this very key (`decision.passkeys`, rule 1):
   the seal's door believes neither the browser nor this portal whose key it is.
2. What the browser gives is read strictly. What the key signs is judged at the door, and not here.
3. Somebody sees and withdraws their own passkeys and nobody else's, and needs none for that: a lost one is withdrawn by signing in.
4. The script runs on these pages alone, under a policy that names its address. Without it the pages say what is missing.
"""

from __future__ import annotations

import hashlib
import re
from base64 import urlsafe_b64decode, urlsafe_b64encode
from binascii import Error as NotBase64
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from fastapi import FastAPI, Request
from fastapi.responses import HTMLResponse, RedirectResponse, Response
from starlette.concurrency import run_in_threadpool

from signoff.api import API_VERSION
from signoff.decision.passkeys import challenge_of, pem_of_der, registration_nonce
from signoff.errors import SignoffError
from signoff.openid import was_anew
from signoff.portal import pages
from signoff.portal.cluster import Denied, NotKnown
from signoff.portal.description import form
from signoff.portal.desks import Desk
from signoff.portal.forms import form_of
from signoff.portal.guard import SCRIPT, scripted
from signoff.portal.pages import Held
from signoff.portal.sessions import Flow, Registering, SignedIn
from signoff.portal.visit import Person, Portal, Refused, Visit, visit_of
from signoff.record.canonical import Json, b64encode, dumps, text_at
from signoff.record.freeze import Identity
from signoff.record.seal import PasskeyKey, Verdict
from signoff.record.values import Digest, format_time, parse

_BACK: Final = ("/passkeys", "Back to your passkeys")
_NOTHING: Final = "Nothing was registered."
_REGISTERS: Final = form(label={"type": "string"}, credential={"type": "string"}, publicKey={"type": "string"})
_WITHDRAWS: Final = form(name={"type": "string"})
_BASE64URL: Final = re.compile(r"[A-Za-z0-9_-]{1,8192}")


@dataclass(frozen=True)
class Decision:
    """What the passkey is to be used for: on which rendition of a desk, with which verdict and comment."""

    rendition: Digest
    verdict: Verdict
    comment: str


class ScriptResponse(Response):
    """A script."""

    media_type = "text/javascript"


def serve_passkeys(app: FastAPI, portal: Portal) -> None:
    """Serve somebody's passkeys, and the script."""
    code = pages.script()

    @app.get(SCRIPT, response_class=ScriptResponse)
    async def script() -> str:
        """The script that asks the browser for a passkey."""
        return code

    @app.get("/passkeys", response_class=HTMLResponse)
    def passkeys(request: Request, person: Person) -> Response:
        """Somebody's passkeys, and the form by which they register another."""
        return _listed(visit_of(request), person)

    @app.post("/passkeys/registration", response_class=HTMLResponse, openapi_extra=_REGISTERS)
    async def registration(request: Request, person: Person) -> Response:
        """Register a passkey, after the login that says whose it is."""
        given = await form_of(request)
        return await run_in_threadpool(_register, visit_of(request), person, given)

    @app.post("/passkeys/withdrawal", response_class=RedirectResponse, status_code=303, openapi_extra=_WITHDRAWS)
    async def withdrawal(request: Request, person: Person) -> Response:
        """Withdraw a passkey."""
        given = await form_of(request)
        return await run_in_threadpool(_withdraw, portal, person, given)


def passkeys_of(portal: Portal, person: SignedIn) -> tuple[Held, ...]:
    """Return somebody's passkeys for this portal that have not ended, the latest first."""
    own, now = person.who.principal, format_time(portal.now())
    held = (
        Held(
            name=text_at(one, "metadata", "name"),
            label=text_at(one, "spec", "label"),
            credential=text_at(one, "spec", "credential"),
            time=text_at(one, "registration", "time"),
            until=text_at(one, "registration", "validUntil"),
        )
        for one in portal.cluster.passkeys()
        if (text_at(one, "registration", "issuer"), text_at(one, "registration", "subject")) == (own.issuer, own.subject)
        and text_at(one, "spec", "relyingParty") == portal.relying_party
    )
    return tuple(sorted((one for one in held if one.until > now), key=lambda one: (one.time, one.name), reverse=True))


def ask(visit: Visit, person: SignedIn, desk: Desk, decision: Decision, held: Sequence[Held]) -> Response:
    """Return the page on which the passkey is used; `Refused` where they have none."""
    if not held:
        told = "The policy asks for one, and nothing was decided. Register one, then come back to the desk."
        raise Refused(409, "You have no passkey here", told, ("/passkeys", "Your passkeys"))
    challenge = challenge_of(desk.digest, decision.rendition, decision.verdict, person.who.principal)
    said = {"freeze": desk.digest, "rendition": decision.rendition, "verdict": decision.verdict, "comment": decision.comment}
    return _scripted(visit, pages.with_passkey(visit.frame, desk, said, {"challenge": challenge, **_asked(visit.portal, held)}))


def answer_of(form: Mapping[str, str], held: Sequence[Held], back: tuple[str, str]) -> Mapping[str, Json]:
    """Return what a passkey gave, as a decision brings it along; `Refused` where it is none of theirs (rule 2)."""
    name = next((one.name for one in held if one.credential == form.get("credential")), None)
    given = {key: _bytes(form.get(key, "")) for key in ("clientDataJSON", "authenticatorData", "signature")}
    if name is None or not all(given.values()):
        raise Refused(403, "That was none of your passkeys", "It was withdrawn, or has ended. Nothing was decided.", back)
    return {"name": name, **{key: b64encode(data) for key, data in given.items()}}


def register_after_login(visit: Visit, found: SignedIn, registering: Registering, pressed: Flow) -> Response:
    """Register a passkey by the login that was asked for to do so (rule 1)."""
    person = visit.session.person
    if person is None or not person.who.principal.is_same(found.who.principal):
        told = f"You pressed as somebody else than {found.who.principal.name}, who signed in now. {_NOTHING}"
        raise Refused(403, "Another person signed in", told, _BACK)
    if not was_anew(found.login, pressed.begun):
        told = f"Your identity provider did not ask you anew, or its clock is behind. {_NOTHING} Sign out there and try again."
        raise Refused(403, "That was no fresh login", told, _BACK)
    passkey: dict[str, Json] = {
        "apiVersion": API_VERSION,
        "kind": "PromotionPasskey",
        "metadata": {"name": _name(found.who.principal, str(registering.spec["credential"]))},
        "spec": {**registering.spec, "consent": {"idToken": found.token}},
    }
    try:
        visit.portal.cluster.register(passkey)
    except Denied as error:
        raise Refused(403, "This was refused", f"{error}. {_NOTHING}", _BACK) from None
    except NotKnown as error:
        told = f"For {error}. Your passkeys say whether it is there; if not, it is safe to register it again."
        raise Refused(503, "It is not known whether this was registered", told, _BACK) from None
    return RedirectResponse("/passkeys", status_code=303)


def _listed(visit: Visit, person: SignedIn) -> Response:
    held, own = passkeys_of(visit.portal, person), person.who.principal
    handle = urlsafe_b64encode(bytes.fromhex(own.key)).rstrip(b"=").decode()
    asked = {**_asked(visit.portal, held), "user": handle, "name": own.subject, "display": own.name}
    return _scripted(visit, pages.passkeys(visit.frame, held, asked, visit.portal.signing_in.provider.issuer))


def _register(visit: Visit, person: SignedIn, form: Mapping[str, str]) -> Response:
    portal = visit.portal
    try:
        given: Json = {
            "label": form.get("label", "").strip(),
            "relyingParty": portal.relying_party,
            "credential": form.get("credential", ""),
            "publicKey": pem_of_der(_bytes(form.get("publicKey", ""))),
        }
        key = parse(PasskeyKey, dumps(given), "passkey")
    except SignoffError as error:
        raise Refused(400, "That is no passkey", f"{error}. {_NOTHING}", _BACK) from None
    if any(one.credential == key.credential for one in passkeys_of(portal, person)):
        raise Refused(409, "You have registered it already", "It is among your passkeys.", _BACK)
    flow = Flow.new(portal.now(), "/passkeys", registration_nonce(key), Registering(key.model_dump(mode="json")))
    address = portal.signing_in.begin(visit.session, flow)
    return HTMLResponse(pages.registering(visit.frame, address, portal.signing_in.provider.issuer))


def _withdraw(portal: Portal, person: SignedIn, form: Mapping[str, str]) -> Response:
    if form.get("name") in {one.name for one in passkeys_of(portal, person)}:
        portal.cluster.withdraw(form["name"])
    return RedirectResponse("/passkeys", status_code=303)


def _asked(portal: Portal, held: Sequence[Held]) -> dict[str, str]:
    return {"party": portal.relying_party, "known": " ".join(one.credential for one in held)}


def _scripted(visit: Visit, page: str) -> Response:
    return HTMLResponse(page, headers=scripted(visit.portal.home))


def _name(owner: Identity, credential: str) -> str:
    """Return the name of a key's resource: whoever registers it twice registers it once."""
    said = "\x00".join((owner.issuer, owner.subject, credential))
    return f"passkey-{hashlib.sha256(said.encode()).hexdigest()[:32]}"


def _bytes(text: str) -> bytes:
    """Return the bytes of base64url without padding; none where it is something else (rule 2)."""
    if not _BASE64URL.fullmatch(text):
        return b""
    try:
        return urlsafe_b64decode(text + "=" * (-len(text) % 4))
    except (NotBase64, ValueError):
        return b""
