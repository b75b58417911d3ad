"""The pages to look at: the queue, a desk, what is frozen on it, and the receipt.

What is frozen goes out to the byte, under a policy that has it run nothing, load nothing and send nothing, and with an origin of its own,
from which our cookies are out of reach. The explanation is the requester's: it is shown in a frame of ours alone, since a document that is
itself the page may lead its reader elsewhere by a link, under our name; and confined as on the desk, since a browser opens connections for
what it then does not load (`desk.confinement`). Its own bytes are a file to keep.

It is compressed on the way where the browser takes that: what its digest is of is what it decodes to. Nothing of a request comes back in it
and nothing secret stands in it, so that its length tells nothing (BREACH). Our own pages, which bear the session's token, never are.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, Final, Literal

from fastapi import FastAPI, Path, Request
from fastapi.responses import HTMLResponse, RedirectResponse, Response

from signoff.desk.explanation import ENDINGS
from signoff.portal import pages
from signoff.portal.description import archived
from signoff.portal.desks import NotFrozen
from signoff.portal.visit import Label, Person, Portal, visit_of
from signoff.record.freeze import Explanation
from signoff.record.values import parse_digest

FROZEN_POLICY: Final = (
    "sandbox; default-src 'none'; style-src 'unsafe-inline'; img-src data:; font-src data:; base-uri 'none'; "
    "form-action 'none'; frame-ancestors 'self'"
)
FROZEN: Final[dict[int | str, dict[str, Any]]] = {200: archived("text/html", "text/plain")}
SHOWN: Final = {**FROZEN, 303: {"description": "To the page around the explanation"}}
WORTH_ZIPPING: Final = 4096
_NO_MORE: Final[Mapping[str, str]] = {}
Named = Annotated[str, Path(pattern=r"^sha256:[0-9a-f]{64}$")]


def serve_desks(app: FastAPI, portal: Portal) -> None:
    """Serve them."""
    desks = portal.desks

    @app.get("/", response_class=HTMLResponse)
    def queue(request: Request, person: Person) -> str:
        """The queue of whoever is signed in."""
        return pages.queue(visit_of(request).frame, desks.queue(person.who), portal.now())

    @app.get("/desk/{namespace}/{name}", response_class=HTMLResponse)
    def desk(request: Request, person: Person, namespace: Label, name: Label) -> str:
        """A frozen desk, and the form of the decision."""
        found = desks.desk(person.who, namespace, name)
        page = found.rendition("text/html")
        if page is None:
            raise NotFrozen("this desk has no page", where=found.digest, mend="decide with kubectl signoff approve")
        return pages.desk(visit_of(request).frame, desks.entry(found, person.who), page)

    @app.get("/desk/{namespace}/{name}/receipt", response_class=HTMLResponse)
    def receipt(request: Request, person: Person, namespace: Label, name: Label, look: Literal["yes", "no"] = "yes") -> str:
        """Who has decided and who is awaited; once the event is there, the receipt."""
        found = desks.desk(person.who, namespace, name)
        return pages.receipt(visit_of(request).frame, desks.entry(found, person.who), looks=look == "yes")

    @app.get("/desk/{namespace}/{name}/explanation", response_class=HTMLResponse)
    def explanation(request: Request, person: Person, namespace: Label, name: Label) -> str:
        """The explanation as it is archived, in a frame."""
        return pages.explanation(visit_of(request).frame, desks.desk(person.who, namespace, name))

    @app.get("/desk/{namespace}/{name}/explanation/shown", response_class=Response, responses=SHOWN)
    def shown(request: Request, person: Person, namespace: Label, name: Label) -> Response:
        """The explanation, confined; that it was opened is remembered."""
        if request.headers.get("sec-fetch-dest") == "document":
            return RedirectResponse(f"/desk/{namespace}/{name}/explanation", status_code=303)
        found = desks.desk(person.who, namespace, name)
        explanation = found.freeze.explanation
        content = desks.shown(explanation)
        visit_of(request).session.opened.add(found.digest)
        return _frozen(content, explanation.mediaType)

    @app.get("/desk/{namespace}/{name}/{digest}", response_class=Response, responses=FROZEN)
    def frozen(request: Request, person: Person, namespace: Label, name: Label, digest: Named) -> Response:
        """A rendition of the desk, or the explanation as a file, to the byte; that the explanation was opened is remembered."""
        found = desks.desk(person.who, namespace, name)
        document = found.document(parse_digest(digest))
        is_explanation = document == found.freeze.explanation
        if is_explanation:
            visit_of(request).session.opened.add(found.digest)
        headers = {"Vary": "Accept-Encoding", **(_file(found.freeze.explanation) if is_explanation else {})}
        kind = "text/plain" if is_explanation else document.mediaType
        if document.size >= WORTH_ZIPPING and accepts_gzip(request.headers.get("accept-encoding", "")):
            return _frozen(desks.zipped(document), kind, {**headers, "Content-Encoding": "gzip"})
        return _frozen(desks.bytes_of(document), kind, headers)


def _frozen(content: bytes, media_type: str, headers: Mapping[str, str] = _NO_MORE) -> Response:
    kind = "text/html" if media_type == "text/html" else "text/plain"
    return Response(content, media_type=f"{kind}; charset=utf-8", headers={"Content-Security-Policy": FROZEN_POLICY, **headers})


def _file(explanation: Explanation) -> Mapping[str, str]:
    """Return what makes a file to keep of it, which no browser draws, now or opened from a disk."""
    name = f"explanation-{explanation.digest.removeprefix('sha256:')}.{ENDINGS[explanation.mediaType]}"
    return {"Content-Disposition": f'attachment; filename="{name}"'}


def accepts_gzip(said: str) -> bool:
    """Whether an ``Accept-Encoding`` header takes gzip (RFC 9110, 12.5.3): named, or by ``*``, and not with a weight of nought."""
    weights: dict[str, float] = {}
    for one in said.lower().split(","):
        coding, _, parameter = one.partition(";")
        name, _, weight = parameter.strip().partition("=")
        try:
            weights[coding.strip()] = float(weight) if name == "q" else 1.0
        except ValueError:
            weights[coding.strip()] = 0.0
    return weights.get("gzip", weights.get("*", 0.0)) > 0
