"""The event: freeze and seals in six fields, under one signature.

1. The predicate has exactly six fields, closed all the way down. What is not decision state does not go in.
2. ``approvalRequest`` holds the exact bytes of the freeze. ``modelVersion``, ``challengerComparison``, ``explanationArtefact`` and
   ``datasetReference`` are projections of it and equal it; the readable parts of ``approver`` are projections of the seals.
3. Subjects: the image, its platform manifests if it is an index, each artefact, and ``approval-request`` with the sha256 of the payload.
4. No clock goes in and the seals are sorted by principal: whoever writes the event, after whatever crash, says the same.
5. A rejection is the same statement under its own predicate type; it fills the slot and admits nothing.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Annotated, Final, Literal

from pydantic import Field

from signoff.record.bundle import Statement, Subject, statement_bytes
from signoff.record.canonical import Json, b64encode, dumps
from signoff.record.freeze import MEDIA_TYPE, Comparison, Document, Freeze
from signoff.record.request import Artifact, Dataset, Incumbent, platform_manifests, request_id
from signoff.record.seal import Decided, Seal
from signoff.record.values import Base64, Closed, DigestField, IdField, ModelName, Version, sha256

PROMOTION_TYPE: Final = "https://signoff.dev/promotion/v1"
REJECTION_TYPE: Final = "https://signoff.dev/rejection/v1"
REQUEST_SUBJECT: Final = "approval-request"

OutcomeType = Literal["https://signoff.dev/promotion/v1", "https://signoff.dev/rejection/v1"]


class ModelVersion(Closed):
    """Field 1: what was promoted, and what it takes over from."""

    name: ModelName
    version: Version
    image: str
    digest: DigestField
    artifacts: tuple[Artifact, ...]
    incumbent: Incumbent | None = None


class ApprovalRequest(Closed):
    """Field 3: the exact payload that was decided on."""

    id: IdField
    mediaType: Literal["application/vnd.signoff.freeze.v1+json"]
    digest: DigestField
    content: Base64


class Approver(Closed):
    """Field 4, one entry for each seal: its readable part, and the seal itself."""

    decided: Decided
    seal: Base64


class Promotion(Closed):
    """The predicate: exactly six fields."""

    modelVersion: ModelVersion
    challengerComparison: Comparison
    approvalRequest: ApprovalRequest
    approver: Annotated[tuple[Approver, ...], Field(min_length=1, max_length=64)]
    explanationArtefact: Document
    datasetReference: Annotated[tuple[Dataset, ...], Field(min_length=1)]


PromotionStatement = Statement[Promotion]


@dataclass(frozen=True)
class SealedDecision:
    """A seal as it lies in the archive: what it says, and its exact bundle."""

    seal: Seal
    bundle: bytes


def model_version(freeze: Freeze) -> ModelVersion:
    """Return the first field, of the freeze."""
    model = freeze.request.spec.model
    return ModelVersion(
        name=model.name,
        version=model.version,
        image=model.image,
        digest=model.digest,
        artifacts=model.artifacts or (),
        incumbent=model.incumbent,
    )


def explanation_artefact(freeze: Freeze) -> Document:
    """Return the fifth field, of the freeze."""
    shown = freeze.explanation
    return Document(mediaType=shown.mediaType, size=shown.size, digest=shown.digest)


def image_subjects(freeze: Freeze) -> tuple[Subject, ...]:
    """Return the subjects that a workload may name as an image: the image, and its platform manifests if it is an index."""
    model = freeze.request.spec.model
    subjects = [Subject.of(model.repository, model.digest)]
    if model.imageIndex is not None:
        manifests = platform_manifests(model.imageIndex, model.digest)
        subjects += [Subject.of(f"{model.repository} ({platform})", digest) for platform, digest in manifests]
    return tuple(subjects)


def artifact_subjects(freeze: Freeze) -> tuple[Subject, ...]:
    """Return the subjects that are parts of the model apart from its image."""
    return tuple(Subject.of(artifact.name, artifact.digest) for artifact in freeze.request.spec.model.artifacts or ())


def subjects(freeze: Freeze, payload: bytes) -> tuple[Subject, ...]:
    """Return every subject of the event over this freeze (rule 3)."""
    return (*image_subjects(freeze), *artifact_subjects(freeze), Subject.of(REQUEST_SUBJECT, sha256(payload)))


def sort_key(decision: Decided) -> str:
    """Return what seals are sorted by (rule 4)."""
    return decision.principal.key


def outcome_bytes(kind: OutcomeType, payload: bytes, freeze: Freeze, decisions: Sequence[SealedDecision]) -> bytes:
    """Return the statement of an outcome, ready to be signed: of the freeze, its exact bytes, and the seals that count."""
    ordered = sorted(decisions, key=lambda one: sort_key(one.seal.decided))
    predicate: dict[str, Json] = {
        "modelVersion": as_json(model_version(freeze)),
        "challengerComparison": as_json(freeze.comparison),
        "approvalRequest": {"id": freeze.id, "mediaType": MEDIA_TYPE, "digest": sha256(payload), "content": b64encode(payload)},
        "approver": [{"decided": as_json(one.seal.decided), "seal": b64encode(one.bundle)} for one in ordered],
        "explanationArtefact": as_json(explanation_artefact(freeze)),
        "datasetReference": [as_json(dataset) for dataset in freeze.datasets],
    }
    return statement_bytes(kind, subjects(freeze, payload), predicate)


def is_freeze_of(freeze: Freeze, request: Mapping[str, Json]) -> bool:
    """Whether a freeze is of this very request, given as `request_value` makes it: its id, and every byte of it."""
    return freeze.id == request_id(request) and dumps(as_json(freeze.request)) == dumps(request)


def as_json(value: Closed) -> dict[str, Json]:
    """Return a value of the record as JSON, without the fields that are absent."""
    return value.model_dump(mode="json", exclude_none=True, by_alias=True)
