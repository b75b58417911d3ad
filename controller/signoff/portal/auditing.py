"""The pages on what was decided: an event's evidence, which is the auditor's view of `signoff desk`, and a model's history.

The view is a page by itself, with files beside it: it is drawn by the same room as on a disk, from the same values, and each of its files
goes out to the byte under the policy of what is frozen. It is told as of now.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Annotated, Any, Final, Literal

from fastapi import FastAPI, Path, Query, Request
from fastapi.responses import HTMLResponse, RedirectResponse, Response

from signoff.archive.store import Unavailable
from signoff.errors import SignoffError
from signoff.evidence.frozen import Desk, File
from signoff.evidence.view import named, view_of
from signoff.portal import pages
from signoff.portal.cluster import ClusterAway, NotThere
from signoff.portal.description import archived
from signoff.portal.past import Asked, Past
from signoff.portal.reading import FROZEN_POLICY
from signoff.portal.sessions import SignedIn
from signoff.portal.visit import Person, Portal, Refused, visit_of
from signoff.record.values import RequestId
from signoff.replay.page import page_of, policy

_MODEL: Final = r"^[a-z0-9]([a-z0-9._/-]{0,198}[a-z0-9])?$"
VIEW_POLICY: Final = "; ".join((policy(frames="'self'"), "frame-ancestors 'none'"))
_TYPES: Final = {"html": "text/html; charset=utf-8", "txt": "text/plain; charset=utf-8", "md": "text/plain; charset=utf-8"}
_FOR_AUDITORS: Final = (
    "The event and the seals as files are for auditors, who have the verb audit: seals hold ID tokens. What they say is told here."
)
_FILES: Final[dict[int | str, dict[str, Any]]] = {200: archived("text/html", "text/plain", "application/json")}

Id = Annotated[str, Path(pattern=r"^[0-9a-f]{64}$")]
FilePath = Annotated[str, Path(pattern=r"^[a-z0-9][a-z0-9./-]{0,299}$")]
Model = Annotated[str, Path(pattern=_MODEL)]
Environment = Annotated[str, Query(pattern=r"^([a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?)?$")]
Last = Annotated[str, Query(pattern=r"^([0-9a-f]{64})?$")]


def serve_past(app: FastAPI, portal: Portal) -> None:
    """Serve them."""
    past = portal.past

    @app.get("/events/{id}", response_class=RedirectResponse, status_code=303)
    def named_without_slash(_: Person, id: Id) -> str:  # noqa: A002 - the word of the record
        """Lead to the view, whose files lie beside it."""
        return f"/events/{id}/"

    @app.get("/events/{id}/", response_class=HTMLResponse)
    def view(person: Person, id: Id) -> Response:  # noqa: A002 - the word of the record
        """An event's evidence: the desk as it was shown, who signed what, and whether it is true."""
        desk, files = _evidence(past, person, id)
        drawn = view_of(past.reader, desk, portal.now(), back=f"/models/{desk.freeze.request.spec.model.name}")
        left = (_FOR_AUDITORS,) if len(files) < len(desk.files) else ()
        page = page_of(replace(drawn, standing=(*drawn.standing, *left), files=tuple(named(file) for file in files)))
        return HTMLResponse(page, headers={"Content-Security-Policy": VIEW_POLICY})

    @app.get("/events/{id}/{path:path}", response_class=Response, responses=_FILES)
    def file(person: Person, id: Id, path: FilePath) -> Response:  # noqa: A002 - the word of the record
        """A file of an event's evidence, to the byte."""
        _, files = _evidence(past, person, id)
        found = next((file for file in files if file.path == path), None)
        if found is None:
            raise NotThere("there is no such file, or you may not have it", where=path, mend="look at the evidence's list of files")
        kind = _TYPES.get(path.rpartition(".")[2], "application/json")
        return Response(found.data, media_type=kind, headers={"Content-Security-Policy": FROZEN_POLICY})

    @app.get("/models", response_class=RedirectResponse, status_code=303)
    def named_in_a_form(_: Person, name: Annotated[str, Query(pattern=_MODEL)]) -> str:
        """Lead to the history of the model that somebody typed."""
        return f"/models/{name}"

    @app.get("/models/{model:path}", response_class=HTMLResponse)
    def history(
        request: Request,
        person: Person,
        model: Model,
        environment: Environment = "",
        what: Literal["", "promoted", "rejected", "corrected"] = "",
        after: Last = "",
    ) -> str:
        """What was decided of a model, the latest first."""
        asked = Asked(environment or None, what or None, RequestId(after) if after else None)
        return pages.history(visit_of(request).frame, model, asked, past.history(person.who, model, asked))


def _evidence(past: Past, person: SignedIn, id: str) -> tuple[Desk, tuple[File, ...]]:  # noqa: A002 - the word of the record
    try:
        return past.desk(person.who, RequestId(id))
    except (NotThere, Unavailable, ClusterAway):
        raise
    except SignoffError as error:
        raise Refused(409, "This is not what it must be", f"{error}. Nothing rests on it, and nothing of it is shown.") from None
