"""The freeze: the request as shown. Its exact bytes are the payload that an approver decides on.

1. The payload is JCS of one closed value; its sha256 is the freeze's digest, and nothing shown can change without changing it.
2. It holds the whole request, so that the id can be hashed again from the payload alone.
3. Of each figure it says whose word it is: ``claimed`` (the requester's) or ``check:<digest>`` (a signed check's).
4. It holds the route: tier, matched rule, what that tier asks for, every policy considered by digest, and the inputs of the derivation.
5. It names the renditions by digest. They are rendered from the payload without these digests, so the payload can hold them.
6. It holds no time but that of the submission, as admission witnessed it: freezing twice gives the same bytes.
7. Of what is live it holds what that promotion's own freeze said, so that the desk can say what changed and needs nobody else for it. The
   archive gives it again whenever it is asked for: a freeze's word is not taken for it.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from typing import Annotated, Final, Literal, Self

from pydantic import Field, StringConstraints, model_validator

from signoff.record.canonical import Json, dumps, loads_canonical
from signoff.record.request import Artifact, ClaimedEntry, Dataset, DocumentType, Incumbent, OnExpiry, Request, Spec, Target
from signoff.record.values import (
    Base64,
    Closed,
    Decimal,
    Digest,
    DigestField,
    IdField,
    Label,
    Line,
    MediaType,
    RecordError,
    TimeField,
    Version,
    parse,
    sha256,
)

FORMAT: Final = "signoff.dev/freeze/v1"
MEDIA_TYPE: Final = "application/vnd.signoff.freeze.v1+json"
MAX_PAYLOAD: Final = 512 * 1024
EMERGENCY: Final = "emergency"
"""The input of a route that an emergency rule led to; it stands in no other."""

ACCOUNTS: Final = "system:serviceaccounts:"
"""What the groups of ServiceAccounts begin with; the rest is their namespace."""

Tier = Literal["tier-1", "tier-2", "tier-3"]
Assurance = Literal["api-server", "session", "fresh-login", "passkey"]
RoleName = Annotated[str, StringConstraints(pattern=r"^[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?$")]


class Identity(Closed):
    """Who a person or a service is: issuer and subject, and nothing else."""

    issuer: Line
    subject: Line

    @property
    def key(self) -> str:
        """The 64 hex digits that stand for them in the archive: sha256(issuer, 0x00, subject)."""
        return hashlib.sha256(f"{self.issuer}\x00{self.subject}".encode()).hexdigest()

    def is_same(self, other: Identity) -> bool:
        """Whether both are one: issuer and subject are equal."""
        return (self.issuer, self.subject) == (other.issuer, other.subject)


class Principal(Identity):
    """A person or a service as somebody saw them. Two are the same when issuer and subject are; the name is for readers."""

    name: Line


class WitnessedSubmission(Closed):
    """Who submitted the request and when, with the statement in which admission signed it."""

    principal: Principal
    time: TimeField
    bundle: Base64


class Figure(Closed):
    """A metric as shown, and whose word it is."""

    name: Line
    value: Decimal
    source: Annotated[str, StringConstraints(pattern=r"^(claimed|check:sha256:[0-9a-f]{64})$")]


class ComparisonEntry(Closed):
    """One column of the comparison as shown."""

    name: Line
    version: Version
    digest: DigestField
    metrics: tuple[Figure, ...]


class Comparison(Closed):
    """Candidate, incumbent and challengers as shown."""

    candidate: ComparisonEntry
    incumbent: ComparisonEntry | None = None
    challengers: tuple[ComparisonEntry, ...]


class Document(Closed):
    """Bytes in the archive, by media type, size in bytes and digest."""

    mediaType: MediaType
    size: Annotated[int, Field(ge=0)]
    digest: DigestField


class Explanation(Closed):
    """The explanation as fetched, and where from."""

    mediaType: DocumentType
    size: Annotated[int, Field(ge=1)]
    digest: DigestField
    origin: Line


class LiveIncumbent(Closed):
    """What the archive held as live for this model, environment and cluster when the desk was frozen."""

    id: IdField
    event: DigestField
    version: Version
    digest: DigestField

    @property
    def shown(self) -> Incumbent:
        """The version as requests and checks name it."""
        return Incumbent(version=self.version, digest=self.digest)


class LastApproved(Closed):
    """The live promotion as its own freeze showed it, without what that was compared with in its turn (rule 7)."""

    freeze: DigestField
    candidate: ComparisonEntry
    image: Annotated[str, StringConstraints(max_length=512)]
    artifacts: Annotated[tuple[Artifact, ...], Field(min_length=1, max_length=64)] | None = None
    explanation: Document
    datasets: Annotated[tuple[Dataset, ...], Field(min_length=1, max_length=64)]
    target: Target
    validFor: Annotated[str, StringConstraints(pattern=r"^[1-9][0-9]{0,5}h$")] | None = None
    onExpiry: OnExpiry | None = None
    tier: Tier
    policy: Line
    rule: Line
    author: Line
    submitters: Annotated[tuple[Principal, ...], Field(min_length=1, max_length=8)]


class RoleRequirement(Closed):
    """How many distinct people must hold a role, and which groups hold it."""

    name: RoleName
    count: Annotated[int, Field(ge=1, le=20)]
    groups: Annotated[tuple[Line, ...], Field(min_length=1, max_length=32)]

    @property
    def is_engines(self) -> bool:
        """Whether it is the policy engine's role: each of its groups is of ServiceAccounts."""
        return all(group.startswith(ACCOUNTS) for group in self.groups)


class Requirement(Closed):
    """What a tier asks for before the event may be written."""

    quorum: Annotated[int, Field(ge=1, le=20)]
    roles: Annotated[tuple[RoleRequirement, ...], Field(min_length=1, max_length=8)]
    fourEyes: bool
    assurance: Assurance

    @property
    def is_engines(self) -> bool:
        """Whether it is the policy engine's to satisfy, and not people's."""
        return all(role.is_engines for role in self.roles)


class ConsideredPolicy(Closed):
    """A published policy that covers this model, and what it says. ``second`` is the statement of a second publisher, who agreed to it."""

    name: Line
    statement: DigestField
    second: DigestField | None = None
    rule: Line
    tier: Tier


class Route(Closed):
    """Who must decide, and how that was derived. ``policy`` is the strictest of those considered, ``inputs`` what the rules saw."""

    tier: Tier
    policy: Line
    rule: Line
    requirement: Requirement
    considered: Annotated[tuple[ConsideredPolicy, ...], Field(min_length=1, max_length=32)]
    inputs: dict[Line, Line]


class Shown(Closed):
    """All that the desk shows: the payload without the digests of its renditions. Rendering is a pure function of it."""

    format: Literal["signoff.dev/freeze/v1"]
    id: IdField
    request: Request
    cluster: Label
    submissions: Annotated[tuple[WitnessedSubmission, ...], Field(min_length=1, max_length=8)]
    comparison: Comparison
    explanation: Explanation
    datasets: tuple[Dataset, ...]
    live: LiveIncumbent | None = None
    lastApproved: LastApproved | None = None
    route: Route
    renderer: Line

    @model_validator(mode="after")
    def _approved_what_is_live(self) -> Self:
        if self.lastApproved is not None:
            shown = (self.lastApproved.candidate.version, self.lastApproved.candidate.digest)
            if self.live is None or shown != (self.live.version, self.live.digest):
                raise ValueError("lastApproved must be the promotion that live names")
        return self

    @property
    def incumbent(self) -> Incumbent | None:
        """The incumbent that the request names."""
        return self.request.spec.model.incumbent


class Freeze(Shown):
    """The payload: what an approver decides on."""

    renditions: Annotated[tuple[Document, ...], Field(min_length=1, max_length=8)]

    def shown(self) -> Shown:
        """Return the part that the renditions are rendered from."""
        return Shown.model_construct(**{name: getattr(self, name) for name in Shown.model_fields})


def claimed_comparison(spec: Spec) -> dict[str, Json]:
    """Return a `Comparison`, as JSON: what the requester claims, each figure marked so (rule 3)."""
    claimed, challengers = spec.comparison, spec.comparison.challengers or ()

    def entry(one: ClaimedEntry) -> Json:
        figures: list[Json] = [{"name": metric.name, "value": metric.value, "source": "claimed"} for metric in one.metrics]
        return {"name": one.name or spec.model.name, "version": one.version, "digest": one.digest, "metrics": figures}

    return {
        "candidate": entry(claimed.candidate),
        **({"incumbent": entry(claimed.incumbent)} if claimed.incumbent is not None else {}),
        "challengers": [entry(one) for one in challengers],
    }


def last_approved(freeze: Freeze, digest: Digest) -> LastApproved:
    """Return what a promotion's freeze, of this digest, tells later desks of it (rule 7)."""
    spec, shown = freeze.request.spec, freeze.explanation
    return LastApproved(
        freeze=digest,
        candidate=freeze.comparison.candidate,
        image=spec.model.image,
        artifacts=spec.model.artifacts,
        explanation=Document(mediaType=shown.mediaType, size=shown.size, digest=shown.digest),
        datasets=freeze.datasets,
        target=spec.target,
        validFor=spec.validFor,
        onExpiry=spec.onExpiry,
        tier=freeze.route.tier,
        policy=freeze.route.policy,
        rule=freeze.route.rule,
        author=spec.author,
        submitters=tuple(one.principal for one in freeze.submissions),
    )


def is_claimed(shown: Comparison, spec: Spec) -> bool:
    """Whether a comparison is the one that `claimed_comparison` gives, asked without making it."""

    def same(entry: ComparisonEntry | None, one: ClaimedEntry | None) -> bool:
        if entry is None or one is None:
            return entry is None and one is None
        return (
            (entry.name, entry.version, entry.digest) == (one.name or spec.model.name, one.version, one.digest)
            and len(entry.metrics) == len(one.metrics)
            and all(
                figure.name == metric.name and figure.value == metric.value and figure.source == "claimed"
                for figure, metric in zip(entry.metrics, one.metrics, strict=True)
            )
        )

    claimed, challengers = spec.comparison, spec.comparison.challengers or ()
    return (
        same(shown.candidate, claimed.candidate)
        and same(shown.incumbent, claimed.incumbent)
        and len(shown.challengers) == len(challengers)
        and all(map(same, shown.challengers, challengers))
    )


def read_freeze(data: bytes, where: str = "freeze") -> Freeze:
    """Return the freeze of a payload's exact bytes; `RecordError` where they are none, or not in their one spelling (rule 1)."""
    return freeze_and_value(data, where)[0]


def freeze_and_value(data: bytes, where: str = "freeze") -> tuple[Freeze, Mapping[str, Json]]:
    """Return what `read_freeze` does, and the payload's JSON value."""
    value = loads_canonical(data, where, limit=MAX_PAYLOAD)
    if not isinstance(value, Mapping):
        raise RecordError("a freeze is a JSON object", where=where)
    return parse(Freeze, data, where), value


def freeze_bytes(value: Mapping[str, Json]) -> tuple[bytes, Digest]:
    """Return the payload's bytes and digest, of the freeze's value; `RecordError` where it is none."""
    data = dumps(value)
    if len(data) > MAX_PAYLOAD:
        raise RecordError(f"{len(data)} bytes are more than {MAX_PAYLOAD}", where="freeze", mend="ask for less in one request")
    parse(Freeze, data, "freeze")
    return data, sha256(data)
