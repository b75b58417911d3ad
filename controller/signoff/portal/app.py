"""The portal's HTTP application.

1. Every page is the answer to a GET and changes nothing, but for what the session remembers; a decision is a POST with the session's own
   token, from a page of ours (``Origin``, ``Sec-Fetch-Site``), or the end of the login that such a POST began.
2. It answers under its own name alone (``Host``), and leads nowhere else: where a sign-in leads to is a path of ours.
3. Nothing runs: no scripts at all. What is frozen is shown in a sandboxed frame, with a policy of its own under which it loads nothing.
4. What somebody may not see is not there. "Approved" is said only once the event is; until then the page says what is sealed and who is
   awaited.
5. Archive, API server or identity provider out of reach: nothing was decided, in plain words; pressing again is safe.
"""

from __future__ import annotations

import hashlib
import logging
import re
import secrets
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Annotated, Final
from urllib.parse import parse_qs, urlsplit

from fastapi import Depends, FastAPI, Path, Query, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import HTMLResponse, PlainTextResponse, RedirectResponse, Response
from starlette.concurrency import run_in_threadpool
from starlette.middleware.base import RequestResponseEndpoint

from signoff.archive.store import ArchiveError, Missing
from signoff.decision.consent import consent_nonce
from signoff.errors import SignoffError
from signoff.portal import pages
from signoff.portal.cluster import Cluster, ClusterAway, Denied, NotThere
from signoff.portal.desks import Desks, NotFrozen
from signoff.portal.sessions import Flow, Pending, Session, Sessions, SignedIn
from signoff.portal.signing_in import CannotSignIn, ProviderAway, SigningIn
from signoff.record.canonical import Json
from signoff.record.values import Digest, parse_digest

LOG: Final = logging.getLogger("signoff.portal")
COOKIE: Final = "__Host-signoff"
MAX_FORM: Final = 64 * 1024
_PAGE_POLICY: Final = (
    "default-src 'none'; style-src 'self'; frame-src 'self'; form-action 'self' {provider}; base-uri 'none'; frame-ancestors 'none'"
)
_FROZEN_POLICY: Final = (
    "sandbox; default-src 'none'; style-src 'unsafe-inline'; img-src data:; font-src data:; frame-src 'self' about:; base-uri 'none'; "
    "form-action 'none'; frame-ancestors 'self'"
)
_PLAIN: Final = frozenset({"/healthz", "/readyz", "/page.css"})
_LOCAL: Final = re.compile(r"/[A-Za-z0-9._~/-]*")
_HEADERS: Final = {
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "same-origin",  # without a referrer, a browser does not say either from where a form is sent
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Cache-Control": "no-store",
    "Strict-Transport-Security": "max-age=31536000",
}
Label = Annotated[str, Path(pattern=r"^[a-z0-9]([-.a-z0-9]{0,251}[a-z0-9])?$")]


@dataclass(frozen=True)
class Portal:
    """What the application works with. ``home`` is its own address, without a slash at its end."""

    cluster_name: str
    home: str
    cluster: Cluster
    desks: Desks
    signing_in: SigningIn
    sessions: Sessions
    now: Callable[[], datetime] = lambda: datetime.now(UTC)


class Refused(Exception):
    """A request that is answered with a page of its own: what did not come about, and where to go on."""

    def __init__(self, status: int, title: str, what: str, back: str = "/", back_words: str = "Back to your queue") -> None:
        super().__init__(title)
        self.status, self.title, self.what, self.back, self.back_words = status, title, what, back, back_words


class _NotSignedIn(Exception):
    def __init__(self, path: str) -> None:
        super().__init__(path)
        self.path = path


def application(portal: Portal) -> FastAPI:
    """Return the application."""
    app = FastAPI(title="signoff portal", docs_url=None, redoc_url=None, openapi_url=None)
    _guard(app, portal)
    _tell_errors(app, portal)
    _serve_plainly(app)
    _serve_desks(app, portal)
    _serve_signing_in(app, portal)
    return app


def _guard(app: FastAPI, portal: Portal) -> None:
    """Have every request answered under our own name alone, in a session, and with the headers of rule 3."""
    host = urlsplit(portal.home).netloc
    provider = urlsplit(portal.signing_in.provider.issuer)
    policy = _PAGE_POLICY.format(provider=f"{provider.scheme}://{provider.netloc}")

    @app.middleware("http")
    async def guarded(request: Request, call_next: RequestResponseEndpoint) -> Response:
        plain = request.url.path in _PLAIN
        if request.headers.get("host") != host and not plain:
            return PlainTextResponse("this portal has another name\n", status_code=421)
        session = request.state.session = portal.sessions.of(request.cookies.get(COOKIE) if not plain else None)
        response = await call_next(request)
        response.headers.setdefault("Content-Security-Policy", policy)
        response.headers.update(_HEADERS)
        session = request.state.session
        if request.cookies.get(COOKIE) != session.name and not plain:
            response.set_cookie(COOKIE, session.name, secure=True, httponly=True, samesite="lax", path="/")
        return response


def _tell_errors(app: FastAPI, portal: Portal) -> None:
    """Have errors told on pages of ours (rules 4 and 5)."""

    @app.exception_handler(Refused)
    async def refused(request: Request, error: Refused) -> Response:
        shown = pages.message(_frame(portal, request), error.title, error.what, error.back, error.back_words)
        return HTMLResponse(shown, status_code=error.status)

    @app.exception_handler(_NotSignedIn)
    async def welcome(request: Request, error: _NotSignedIn) -> Response:
        then = error.path if request.method == "GET" and _LOCAL.fullmatch(error.path) else "/"
        return HTMLResponse(pages.welcome(_frame(portal, request), portal.signing_in.provider.issuer, then), status_code=401)

    @app.exception_handler(SignoffError)
    async def failed(request: Request, error: SignoffError) -> Response:
        status, title = _told(error)
        return HTMLResponse(pages.message(_frame(portal, request), title, str(error), "/", "Back to your queue"), status_code=status)

    @app.exception_handler(RequestValidationError)
    async def wrong(request: Request, _: RequestValidationError) -> Response:
        told = pages.message(_frame(portal, request), "There is no such page", "The address is none of ours.", "/", "Back to your queue")
        return HTMLResponse(told, status_code=404)


def _serve_plainly(app: FastAPI) -> None:
    @app.get("/healthz", include_in_schema=False)
    @app.get("/readyz", include_in_schema=False)
    def healthz() -> Response:
        return PlainTextResponse("ok\n")

    @app.get("/page.css", include_in_schema=False)
    def style() -> Response:
        return Response(pages.style(), media_type="text/css")


def _serve_desks(app: FastAPI, portal: Portal) -> None:
    """Serve the queue, the desks, and their decisions."""

    @app.get("/", response_class=HTMLResponse)
    def queue(request: Request, person: Person) -> str:
        """The queue of whoever is signed in."""
        return pages.queue(_frame(portal, request), list(portal.desks.queue(person.who)), portal.now())

    @app.get("/desk/{namespace}/{name}", response_class=HTMLResponse)
    def desk(request: Request, person: Person, namespace: Label, name: Label) -> str:
        """A frozen desk, and the form of the decision."""
        found = portal.desks.desk(person.who, namespace, name)
        page = found.rendition("text/html")
        if page is None:
            raise NotFrozen("this desk has no page", where=found.digest, mend="decide with kubectl signoff approve")
        return pages.desk(_frame(portal, request), portal.desks.entry(found, person.who), page)

    @app.get("/desk/{namespace}/{name}/receipt", response_class=HTMLResponse)
    def receipt(request: Request, person: Person, namespace: Label, name: Label) -> str:
        """Who has decided and who is awaited; once the event is there, the receipt."""
        found = portal.desks.desk(person.who, namespace, name)
        state = portal.desks.state(found)
        own = next((one for one in state.decided if one.principal.is_same(person.who.principal)), None)
        return pages.receipt(_frame(portal, request), found, state, own)

    @app.get("/desk/{namespace}/{name}/explanation")
    def explanation(request: Request, person: Person, namespace: Label, name: Label) -> Response:
        """The explanation, as it is archived; that it was opened is remembered."""
        found = portal.desks.desk(person.who, namespace, name)
        document = found.freeze.explanation
        content = portal.desks.bytes_of(found, document.digest)
        request.state.session.opened.add(found.digest)
        return _frozen(content, "text/html" if document.mediaType == "text/html" else "text/plain")

    @app.get("/desk/{namespace}/{name}/{digest}")
    def frozen(person: Person, namespace: Label, name: Label, digest: Annotated[str, Path(pattern=r"^sha256:[0-9a-f]{64}$")]) -> Response:
        """A rendition of the desk, to the byte."""
        found = portal.desks.desk(person.who, namespace, name)
        kind = next((one.mediaType for one in found.freeze.renditions if one.digest == digest), "text/plain")
        return _frozen(portal.desks.bytes_of(found, parse_digest(digest)), kind)

    @app.post("/desk/{namespace}/{name}/decision")
    async def decision(request: Request, person: Person, namespace: Label, name: Label) -> Response:
        """Decide: at once, or after the login that the policy asks for."""
        form = await _form(request, portal.home)
        return await run_in_threadpool(_decide, portal, request.state.session, person, (namespace, name), form)


def _serve_signing_in(app: FastAPI, portal: Portal) -> None:
    """Serve the beginning and the end of signing in."""

    @app.get("/sign-in")
    def sign_in(request: Request, next: Annotated[str, Query(max_length=600)] = "/") -> Response:  # noqa: A002 - the parameter's name
        """Begin to sign in."""
        then = next if _LOCAL.fullmatch(next) and not next.startswith("//") else "/"
        flow = Flow(verifier=secrets.token_urlsafe(48), nonce=secrets.token_urlsafe(24), then=then)
        return RedirectResponse(portal.signing_in.begin(request.state.session, flow), status_code=303)

    @app.get("/callback")
    def callback(
        request: Request,
        state: Annotated[str, Query(max_length=200)] = "",
        code: Annotated[str, Query(max_length=4000)] = "",
        error: Annotated[str, Query(max_length=200)] = "",
        iss: Annotated[str | None, Query(max_length=600)] = None,
    ) -> Response:
        """End a sign-in; or decide, where one was asked for to decide."""
        session: Session = request.state.session
        flow = session.flows.pop(state, None)
        if flow is None:
            raise Refused(400, "This sign-in is not under way", "It was used already, or began in another browser. Nothing was decided.")
        if error or not code:
            raise Refused(403, "You did not sign in", f"The identity provider says: {error or 'nothing'}. Nothing was decided.", flow.then)
        found = portal.signing_in.end(flow, code, iss)
        if flow.pending is not None:
            return _end_pending(portal, session, found, flow.pending)
        session.person = found
        portal.sessions.renamed(session)
        return RedirectResponse(flow.then, status_code=303)

    @app.post("/sign-out")
    async def sign_out(request: Request) -> Response:
        """End the session."""
        await _form(request, portal.home)
        portal.sessions.end(request.state.session)
        request.state.session = portal.sessions.of(None)
        return RedirectResponse("/", status_code=303)


def _frame(portal: Portal, request: Request) -> pages.Frame:
    return pages.Frame(portal.cluster_name, request.state.session)


def _signed_in(request: Request) -> SignedIn:
    person: SignedIn | None = request.state.session.person
    if person is None:
        raise _NotSignedIn(request.url.path)
    return person


Person = Annotated[SignedIn, Depends(_signed_in)]


def _frozen(content: bytes, kind: str) -> Response:
    return Response(content, media_type=f"{kind}; charset=utf-8", headers={"Content-Security-Policy": _FROZEN_POLICY})


def _told(error: SignoffError) -> tuple[int, str]:
    """Return the status and the title for an error."""
    if isinstance(error, NotThere | NotFrozen):
        return 404, "There is no such desk"
    if isinstance(error, Denied):
        return 403, "Nothing was decided"
    if isinstance(error, ProviderAway | ClusterAway) or (isinstance(error, ArchiveError) and not isinstance(error, Missing)):
        return 503, "Nothing was decided"
    if isinstance(error, CannotSignIn):
        return 403, "You did not sign in"
    return 409, "That did not come about"


async def _form(request: Request, home: str) -> dict[str, str]:
    """Return the fields of a form of ours; `Refused` where it was sent from elsewhere (rule 1)."""
    origin, site = request.headers.get("origin"), request.headers.get("sec-fetch-site")
    if (origin is not None and origin != home) or (site is not None and site != "same-origin"):
        raise Refused(403, "This was not sent from here", "Another page sent this form. Nothing was decided.")
    body = b""
    async for piece in request.stream():
        body += piece
        if len(body) > MAX_FORM:
            raise Refused(413, "That is too much", "Write less. Nothing was decided.")
    if request.headers.get("content-type", "").partition(";")[0] != "application/x-www-form-urlencoded":
        raise Refused(415, "That is no form of ours", "Nothing was decided.")
    try:
        fields = parse_qs(body.decode("ascii"), strict_parsing=True, keep_blank_values=True, max_num_fields=16)
    except (UnicodeDecodeError, ValueError):
        raise Refused(400, "That is no form of ours", "Nothing was decided.") from None
    if any(len(values) != 1 for values in fields.values()):
        raise Refused(400, "That is no form of ours", "A field stands twice. Nothing was decided.")
    form = {name: values[0] for name, values in fields.items()}
    if not secrets.compare_digest(form.get("csrf", ""), request.state.session.csrf):
        raise Refused(403, "This form is out of date", "Open the desk again, and press there. Nothing was decided.")
    return form


def _decide(portal: Portal, session: Session, person: SignedIn, where: tuple[str, str], form: dict[str, str]) -> Response:
    namespace, name = where
    desk = portal.desks.desk(person.who, namespace, name)
    back = (f"/desk/{namespace}/{name}", "Look at the desk again")
    verdict = form.get("verdict", "")
    page = desk.rendition("text/html")
    if verdict not in {"Approve", "Reject"}:
        raise Refused(400, "Press one of the two buttons", "Nothing was decided.", *back)
    if form.get("freeze") != desk.digest or page is None or form.get("rendition") != page.digest:
        raise Refused(409, "The desk has changed", "It is another one than the one that you looked at. Nothing was decided.", *back)
    opened = desk.digest in session.opened
    if verdict == "Approve" and desk.freeze.route.tier == "tier-1" and not opened:
        raise Refused(409, "Open the explanation first", "In tier-1 nobody approves without having opened it. Nothing was decided.", *back)
    comment = form.get("comment", "").replace("\r\n", "\n").strip()
    spec: dict[str, Json] = {
        "promotion": name,
        "freeze": desk.digest,
        "rendition": page.digest,
        "verdict": verdict,
        "meaning": pages.meaning_of(desk, verdict),
        **({"comment": comment} if comment else {}),
        **({"explanationOpened": True} if opened else {}),
    }
    if desk.freeze.route.requirement.assurance == "fresh-login":
        nonce = consent_nonce(desk.digest, Digest(page.digest), "Approve" if verdict == "Approve" else "Reject")
        flow = Flow(secrets.token_urlsafe(48), nonce, back[0], Pending(namespace, name, spec))
        return RedirectResponse(portal.signing_in.begin(session, flow), status_code=303)
    return _send(portal, person, Pending(namespace, name, spec))


def _end_pending(portal: Portal, session: Session, found: SignedIn, pending: Pending) -> Response:
    """Decide by the login that was asked for to decide, if it is of whoever pressed."""
    back = (f"/desk/{pending.namespace}/{pending.name}", "Look at the desk again")
    if session.person is None or not session.person.who.principal.is_same(found.who.principal):
        told = f"You pressed as somebody else than {found.who.principal.name}, who signed in now. Nothing was decided."
        raise Refused(403, "Another person signed in", told, *back)
    return _send(portal, found, pending)


def _send(portal: Portal, person: SignedIn, pending: Pending) -> Response:
    """Create the one decision of this person on this desk, and lead to where its state is told."""
    principal = person.who.principal
    said = "\x00".join((pending.namespace, pending.name, str(pending.spec["freeze"]), principal.issuer, principal.subject))
    name = f"{pending.name[:200].rstrip('.-')}-{hashlib.sha256(said.encode()).hexdigest()[:16]}"
    decision: dict[str, Json] = {
        "apiVersion": "signoff.dev/v1alpha1",
        "kind": "PromotionDecision",
        "metadata": {"name": name, "namespace": pending.namespace},
        "spec": {**pending.spec, "consent": {"idToken": person.token}},
    }
    portal.cluster.decide(pending.namespace, decision)
    return RedirectResponse(f"/desk/{pending.namespace}/{pending.name}/receipt", status_code=303)
