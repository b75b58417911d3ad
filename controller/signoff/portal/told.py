"""How errors are told: on pages of ours, with what did not come about, and where to go on."""

from __future__ import annotations

import re
from typing import Final

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import HTMLResponse, Response
from starlette.exceptions import HTTPException

from signoff.archive.store import ArchiveError, Damaged, Missing
from signoff.errors import SignoffError
from signoff.openid import CannotSignIn, ProviderAway
from signoff.portal import pages
from signoff.portal.cluster import ClusterAway, NotThere
from signoff.portal.desks import NotFrozen
from signoff.portal.visit import SAFE, NotSignedIn, Portal, Refused, visit_of

LOCAL: Final = re.compile(r"/(?!/)[A-Za-z0-9._~/:-]*")
"""A path of ours: what a sign-in may lead to."""


def tell_errors(app: FastAPI, portal: Portal) -> None:
    """Have errors told on pages."""

    @app.exception_handler(Refused)
    async def refused(request: Request, error: Refused) -> Response:
        return _page(request, error.status, error.title, error.what, error.back)

    @app.exception_handler(NotSignedIn)
    async def welcome(request: Request, _: NotSignedIn) -> Response:
        asked = request.method == "GET"
        then = request.url.path if asked and LOCAL.fullmatch(request.url.path) else "/"
        return HTMLResponse(pages.welcome(visit_of(request).frame, portal.signing_in.provider.issuer, then, lost=not asked), 401)

    @app.exception_handler(SignoffError)
    async def failed(request: Request, error: SignoffError) -> Response:
        return _page(request, *_told(error))

    @app.exception_handler(RequestValidationError)
    async def wrong(request: Request, _: RequestValidationError) -> Response:
        return _page(request, 404, *NO_PAGE)

    @app.exception_handler(HTTPException)
    async def other(request: Request, error: HTTPException) -> Response:
        return _page(request, error.status_code, *NO_PAGE)


NO_PAGE: Final = ("There is no such page", "The address is none of ours, or it is not asked for in this way. Nothing was decided.")


def _page(request: Request, status: int, title: str, what: str, back: tuple[str, str] = ("/", "Back to your queue")) -> Response:
    return HTMLResponse(pages.message(visit_of(request).frame, title, what, *back), status_code=status)


def _told(error: SignoffError) -> tuple[int, str, str]:
    """Return the status, the title and the words for an error."""
    if isinstance(error, NotThere | NotFrozen):
        return 404, "There is no such desk", f"{error}."
    if isinstance(error, ProviderAway | ClusterAway) or (isinstance(error, ArchiveError) and not isinstance(error, Missing | Damaged)):
        return 503, "Out of reach", f"{error}. {SAFE}"
    if isinstance(error, CannotSignIn):
        return 403, "You did not sign in", f"{error}. Nothing was decided."
    return 409, "That did not come about", f"{error}. Nothing was decided."
