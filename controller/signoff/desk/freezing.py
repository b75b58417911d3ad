"""Making a freeze: everything that an approver will see, fixed.

1. The explanation's bytes must hash to what the request says.
2. The incumbent that the request shows must be the one that the archive knows as live; where the archive knows none, the desk says so.
3. Freezing the same request, submission, route and incumbent again gives the same bytes.
4. Before a decision is sealed the freeze is made again, of the request that it holds and of what the archive says of the live version: it
   must come out the same, byte for byte.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from signoff.desk.render import RENDERER, Rendition, render
from signoff.errors import SignoffError
from signoff.record.canonical import Json, dumps
from signoff.record.freeze import (
    FORMAT,
    Document,
    Explanation,
    Freeze,
    LastApproved,
    LiveIncumbent,
    Route,
    Shown,
    WitnessedSubmission,
    claimed_comparison,
    freeze_bytes,
)
from signoff.record.promotion import as_json
from signoff.record.request import Spec, request_id, request_value
from signoff.record.values import Digest, parse, sha256


class CannotFreeze(SignoffError):
    """The request cannot be shown as it is."""


class Stale(SignoffError):
    """The desk shows what is no longer so."""


@dataclass(frozen=True)
class Gathered:
    """What the operator gathered for a freeze. ``approved`` is what the archive says of ``live``; both are None where nothing is live."""

    namespace: str
    name: str
    spec_value: Mapping[str, Json]
    spec: Spec
    cluster: str
    submissions: Sequence[WitnessedSubmission]
    route: Route
    live: LiveIncumbent | None
    explanation: bytes
    origin: str
    approved: LastApproved | None = None


@dataclass(frozen=True)
class Frozen:
    """A freeze ready to be archived: its exact payload, digest, and renditions."""

    freeze: Freeze
    payload: bytes
    digest: Digest
    renditions: tuple[Rendition, ...]


def freeze_request(gathered: Gathered) -> Frozen:
    """Return the freeze of what was gathered; `CannotFreeze` or `Stale` says what is wrong with it."""
    refuse_stale(gathered.spec, gathered.live)
    shown = _shown(gathered)
    renditions = render(shown, gathered.explanation)
    documents = [_document(one) for one in renditions]
    payload, digest = freeze_bytes({**as_json(shown), "request": _request(gathered), "renditions": documents})
    return Frozen(parse(Freeze, payload, "freeze"), payload, digest, renditions)


def refuse_stale(spec: Spec, live: LiveIncumbent | None) -> None:
    """Raise `Stale` where the request shows another incumbent than the archive knows as live (rule 2)."""
    named = spec.model.incumbent
    if live is None or (named is not None and named.digest == live.digest):
        return
    shows = f"{named.version}" if named else "none"
    raise Stale(
        f"the live version of {spec.model.name} is {live.version} ({live.digest[:19]}…), but the request shows {shows}",
        where="spec.model.incumbent",
        mend="make a new request that compares with the live version",
    )


def refuse_other_desk(freeze: Freeze, payload: bytes, explanation: bytes, approved: LastApproved | None) -> None:
    """Raise `CannotFreeze` unless freezing the same again gives this very payload, renditions and all (rule 4).

    ``approved`` is what the archive says of ``freeze.live``; what the freeze says of it is not taken.
    """
    if freeze.renderer != RENDERER:
        raise CannotFreeze(
            f"the desk was rendered by {freeze.renderer}, this is {RENDERER}", mend="wait until the operator has frozen the request again"
        )
    request = freeze.request
    again = freeze_request(
        Gathered(
            namespace=request.namespace,
            name=request.name,
            spec_value=as_json(request.spec),
            spec=request.spec,
            cluster=freeze.cluster,
            submissions=freeze.submissions,
            route=freeze.route,
            live=freeze.live,
            explanation=explanation,
            origin=freeze.explanation.origin,
            approved=approved,
        )
    )
    if again.payload != payload:
        raise CannotFreeze("the desk, made again from its request, is not the one that was shown", mend="call whoever runs signoff")


def _shown(gathered: Gathered) -> Shown:
    spec = gathered.spec
    value: dict[str, Json] = {
        "format": FORMAT,
        "id": request_id(request_value(gathered.namespace, gathered.name, gathered.spec_value)),
        "request": _request(gathered),
        "cluster": gathered.cluster,
        "submissions": [as_json(one) for one in gathered.submissions],
        "comparison": claimed_comparison(spec),
        "explanation": as_json(_explanation(gathered)),
        "datasets": [as_json(one) for one in spec.datasets],
        "route": as_json(gathered.route),
        "renderer": RENDERER,
        **({"live": as_json(gathered.live)} if gathered.live else {}),
        **({"lastApproved": as_json(gathered.approved)} if gathered.approved else {}),
    }
    return parse(Shown, dumps(value), "freeze")


def _request(gathered: Gathered) -> dict[str, Json]:
    return request_value(gathered.namespace, gathered.name, gathered.spec_value)


def _explanation(gathered: Gathered) -> Explanation:
    claimed, found = gathered.spec.explanation, sha256(gathered.explanation)
    if found != claimed.digest:
        raise CannotFreeze(
            f"the document from {gathered.origin} hashes to {found}, but the request says {claimed.digest}",
            where="spec.explanation.digest",
            mend="name the digest of the document that the approver shall see, in a new request",
        )
    return Explanation(mediaType=claimed.mediaType, size=len(gathered.explanation), digest=found, origin=gathered.origin)


def _document(rendition: Rendition) -> dict[str, Json]:
    return as_json(Document(mediaType=rendition.media_type, size=len(rendition.content), digest=sha256(rendition.content)))
