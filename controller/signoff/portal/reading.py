"""The pages to look at: the queue, a desk, what is frozen on it, and the receipt.

What is frozen goes out to the byte, under a policy that has it run nothing, load nothing and send nothing, and with an origin of its own,
from which our cookies are out of reach. The explanation is the requester's: it is shown in a frame of ours alone, since a document that is
itself the page may lead its reader elsewhere by a link, under our name.
"""

from __future__ import annotations

from typing import Annotated, Final, Literal

from fastapi import FastAPI, Path, Request
from fastapi.responses import HTMLResponse, RedirectResponse, Response

from signoff.portal import pages
from signoff.portal.desks import NotFrozen
from signoff.portal.visit import Label, Person, Portal, visit_of
from signoff.record.values import parse_digest

FROZEN_POLICY: Final = (
    "sandbox; default-src 'none'; style-src 'unsafe-inline'; img-src data:; font-src data:; base-uri 'none'; "
    "form-action 'none'; frame-ancestors 'self'"
)
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

    @app.get("/desk/{namespace}/{name}/{digest}")
    def frozen(request: Request, person: Person, namespace: Label, name: Label, digest: Named) -> Response:
        """A rendition of the desk or the explanation, to the byte; that the explanation was opened is remembered."""
        found = desks.desk(person.who, namespace, name)
        document = found.document(parse_digest(digest))
        is_explanation = document.digest == found.freeze.explanation.digest
        if is_explanation and request.headers.get("sec-fetch-dest") == "document":
            return RedirectResponse(f"/desk/{namespace}/{name}/explanation", status_code=303)
        content = desks.bytes_of(document)
        if is_explanation:
            visit_of(request).session.opened.add(found.digest)
        kind = "text/html" if document.mediaType == "text/html" else "text/plain"
        return Response(content, media_type=f"{kind}; charset=utf-8", headers={"Content-Security-Policy": FROZEN_POLICY})
