"""Signing in, and out."""

from __future__ import annotations

from typing import Annotated, Any, Final

from fastapi import FastAPI, Query, Request
from fastapi.responses import RedirectResponse, Response

from signoff.openid import CannotSignIn, ProviderAway
from signoff.portal.deciding import decide_after_login
from signoff.portal.description import page
from signoff.portal.forms import form_of
from signoff.portal.guard import COOKIE
from signoff.portal.passkeys import register_after_login
from signoff.portal.sessions import Flow, Pending, Registering
from signoff.portal.told import LOCAL
from signoff.portal.visit import SAFE, Portal, Refused, visit_of

_BEGUN: Final[dict[int | str, dict[str, Any]]] = {403: page("You did not sign in"), 503: page("The identity provider is out of reach")}

_ENDED: Final = {400: page("It is not under way"), 409: page("What it was for did not come about"), **_BEGUN}


def serve_signing_in(app: FastAPI, portal: Portal) -> None:
    """Serve the beginning and the end of signing in, and signing out."""

    @app.get("/sign-in", response_class=RedirectResponse, status_code=303, responses=_BEGUN)
    def sign_in(request: Request, next: Annotated[str, Query(max_length=600)] = "/") -> Response:  # noqa: A002 - the parameter's name
        """Begin to sign in."""
        _require_window(request)
        flow = Flow.new(portal.now(), next if LOCAL.fullmatch(next) else "/")
        address = portal.signing_in.begin(visit_of(request).session, flow)
        portal.sessions.hold(visit_of(request).session)
        return RedirectResponse(address, status_code=303)

    @app.get("/callback", response_class=RedirectResponse, status_code=303, responses=_ENDED)
    def callback(
        request: Request,
        state: Annotated[str, Query(max_length=200)] = "",
        code: Annotated[str, Query(max_length=4000)] = "",
        error: Annotated[str, Query(max_length=200)] = "",
        iss: Annotated[str | None, Query(max_length=600)] = None,
    ) -> Response:
        """End a sign-in; or decide, where one was asked for to decide."""
        _require_window(request)
        visit = visit_of(request)
        flow = visit.session.flows.pop(state, None)
        if flow is None:
            told = "It was used already, or began in another browser. Nothing was decided by this; what you decided before stands."
            raise Refused(400, "This sign-in is not under way", told)
        back = (flow.then, "Look at the desk again" if isinstance(flow.pending, Pending) else "Go on")
        if error or not code:
            raise Refused(403, "You did not sign in", f"The identity provider says: {error or 'nothing'}. {SAFE}", back)
        try:
            found = portal.signing_in.end(flow, code, iss, portal.now())
        except CannotSignIn as wrong:
            status = 503 if isinstance(wrong, ProviderAway) else 403
            raise Refused(status, "You did not sign in", f"{wrong}. {SAFE}", back) from None
        if isinstance(flow.pending, Registering):
            return register_after_login(visit, found, flow.pending, flow)
        if flow.pending is not None:
            return decide_after_login(visit, found, flow.pending, flow)
        visit.session = portal.sessions.sign_in(visit.session, found)
        return RedirectResponse(flow.then, status_code=303)

    @app.post("/sign-out", response_class=RedirectResponse, status_code=303)
    async def sign_out(request: Request) -> Response:
        """End the session."""
        await form_of(request)
        visit = visit_of(request)
        portal.sessions.end(visit.session)
        visit.session = portal.sessions.of(None)
        answer = RedirectResponse("/", status_code=303)
        answer.delete_cookie(COOKIE, path="/", secure=True, httponly=True, samesite="lax")
        return answer


def _require_window(request: Request) -> None:
    """Raise where a frame, a picture or the like asks: a document that we frame could lead there, and would get a session set."""
    if request.headers.get("sec-fetch-dest", "document") != "document":
        raise Refused(403, "Sign in in a window of its own", "This was asked for from within another page. Nothing was decided.")
