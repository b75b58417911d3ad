"""The portal's HTTP application.

1. Every page is the answer to a GET and changes nothing, but for what the session remembers; a decision is a POST with the session's own
   token, from a page of ours (``Origin``, ``Sec-Fetch-Site``; `forms`), or the end of the login that such a POST began (`deciding`).
2. It answers under its own name alone (``Host``; `guard`), and leads nowhere else: where a sign-in leads to is a path of ours (`entering`).
3. Nothing runs, but for one script of ours on the pages on which a passkey is made or used (`passkeys`). What is frozen is shown in a
   sandboxed frame, with a policy of its own under which it loads nothing; the requester's explanation is never the page itself, so that its
   links lead nowhere (`reading`).
4. What somebody may not see is not there. "Approved" is said only once the event is; until then the page says what is sealed and who is
   awaited.
5. Archive, API server or identity provider out of reach: nothing was decided, in plain words, or where that is so, that it is not known;
   pressing again is safe. Every answer is a page of ours, with our headers (`told`).
6. What is asked and answered is described in OpenAPI (`description`), for tests: no address serves it.
"""

from __future__ import annotations

from fastapi import FastAPI
from fastapi.responses import PlainTextResponse, Response

from signoff.portal import pages
from signoff.portal.auditing import serve_past
from signoff.portal.deciding import serve_decisions
from signoff.portal.description import describe, plainly
from signoff.portal.entering import serve_signing_in
from signoff.portal.guard import Guard
from signoff.portal.passkeys import serve_passkeys
from signoff.portal.reading import serve_desks
from signoff.portal.told import tell_errors
from signoff.portal.visit import Portal

__all__ = ["Portal", "application"]


def application(portal: Portal) -> FastAPI:
    """Return the application."""
    app = FastAPI(title="signoff portal", docs_url=None, redoc_url=None, openapi_url=None, redirect_slashes=False)
    app.add_middleware(Guard, portal=portal)
    tell_errors(app, portal)
    _serve_plainly(app, portal)
    serve_desks(app, portal)
    serve_past(app, portal)
    serve_decisions(app, portal)
    serve_passkeys(app, portal)
    serve_signing_in(app, portal)
    describe(app)
    return app


def _serve_plainly(app: FastAPI, portal: Portal) -> None:
    # Not in threads: while each of those waits for provider, archive or API server, the process lives all the same.
    css = pages.style()

    @app.get("/healthz", response_class=PlainTextResponse)
    async def healthz() -> str:
        """Whether the process lives."""
        return "ok\n"

    @app.get("/readyz", response_class=PlainTextResponse, responses={503: plainly("What does not answer")})
    async def readyz() -> Response:
        """Whether archive and API server answered when they were last asked."""
        away = portal.looking.away()
        return PlainTextResponse("".join(f"{one}\n" for one in away) or "ok\n", 503 if away else 200)

    @app.get("/page.css", response_class=StyleResponse)
    async def style() -> str:
        """The style of every page."""
        return css


class StyleResponse(Response):
    """A style sheet."""

    media_type = "text/css"
