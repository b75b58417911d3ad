"""The request: what a ModelPromotion asks for, and its id.

1. ``id = sha256("signoff id/v1" ‖ 0x00 ‖ JCS({group, kind, namespace, name, spec}))``: the idempotency key.
   The same manifest has the same id in every cluster and after every crash.
2. Under ``spec`` there are no defaults: a field left out stays out, so that the id does not change with the version of the resource.
3. An image is ``registry/repository@sha256:…``: the registry is written out and there is no tag, for a tag is a promise of somebody else's.
4. Where the image's digest is that of an index, ``imageIndex`` holds the index's exact bytes; they must hash to the digest, and its
   platform manifests are promoted with it (OCI image spec, image index).
5. The explanation has one source, and its digest is said beforehand.
6. What has expired is refused altogether (``onExpiry: deny-all``, and where nothing is said), or let go on where it ran:
   ``deny-new-rollouts`` still starts the Pods of what was there before.
7. What a draft left to be filled in (``FILL-IN: …``) is no value.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Annotated, Final, Literal, Self

from pydantic import Field, StringConstraints, model_validator

from signoff.record.canonical import Json, b64decode, dumps, dumps_unambiguous, loads
from signoff.record.values import (
    Base64,
    Closed,
    Decimal,
    Digest,
    DigestField,
    IdField,
    Label,
    Line,
    ModelName,
    ObjectName,
    RecordError,
    RequestId,
    Text,
    Version,
    hex_of,
    parse,
    sha256,
)

GROUP: Final = "signoff.dev"
KIND: Final = "ModelPromotion"
MAX_SPEC: Final = 96 * 1024
UNFILLED: Final = "FILL-IN: "
_UNFILLED: Final = UNFILLED.encode()
MAX_INLINE_EXPLANATION: Final = 32 * 1024

_ID_DOMAIN: Final = b"signoff id/v1\x00"
_HOST: Final = r"(localhost|[a-z0-9]([a-z0-9-]*[a-z0-9])?([.][a-z0-9]([a-z0-9-]*[a-z0-9])?)+|[a-z0-9][a-z0-9.-]*(?=:))(:[0-9]{1,5})?"
_PATH: Final = r"[a-z0-9]+((\.|_|__|-+)[a-z0-9]+)*(/[a-z0-9]+((\.|_|__|-+)[a-z0-9]+)*)*"
_IMAGE: Final = re.compile(rf"(?P<repository>{_HOST}/{_PATH})@(?P<digest>sha256:[0-9a-f]{{64}})", re.ASCII)

OnExpiry = Literal["deny-new-rollouts", "deny-all"]
DocumentType = Literal["text/html", "text/markdown", "text/plain"]


class Artifact(Closed):
    """A part of the model that is not the image: weights, a tokenizer, an OCI model."""

    name: Line
    digest: DigestField


class Incumbent(Closed):
    """The version that the request says is live now."""

    version: Version
    digest: DigestField


class Model(Closed):
    """The model version that is to be promoted."""

    name: ModelName
    version: Version
    image: Annotated[str, StringConstraints(max_length=512)]
    imageIndex: Base64 | None = None
    artifacts: Annotated[tuple[Artifact, ...], Field(min_length=1, max_length=64)] | None = None
    incumbent: Incumbent | None = None

    @model_validator(mode="after")
    def _image_is_pinned(self) -> Self:
        match = _IMAGE.fullmatch(self.image)
        if match is None:
            raise ValueError("the image must be written registry/repository@sha256:<digest>, with the registry's host and without a tag")
        if self.imageIndex is not None:
            platform_manifests(self.imageIndex, Digest(match["digest"]))
        return self

    @property
    def repository(self) -> str:
        """Host and path of the image, such as ``registry.bank.example/models/credit-scoring``."""
        return self.image.partition("@")[0]

    @property
    def digest(self) -> Digest:
        """The image's digest."""
        return Digest(self.image.partition("@")[2])


class Target(Closed):
    """Where the model may run."""

    environment: Label
    clusters: Annotated[tuple[Label, ...], Field(min_length=1, max_length=64)]
    namespaces: Annotated[tuple[Label, ...], Field(min_length=1, max_length=64)]


class ClaimedMetric(Closed):
    """A figure as the requester states it."""

    name: Line
    value: Decimal


class ClaimedEntry(Closed):
    """One column of the comparison."""

    name: Line | None = None
    version: Version
    digest: DigestField
    metrics: Annotated[tuple[ClaimedMetric, ...], Field(min_length=1, max_length=200)]


class ClaimedComparison(Closed):
    """Candidate, incumbent and challengers, as the requester compares them."""

    candidate: ClaimedEntry
    incumbent: ClaimedEntry | None = None
    challengers: Annotated[tuple[ClaimedEntry, ...], Field(min_length=1, max_length=32)] | None = None


class ConfigMapKey(Closed):
    """A key of a ConfigMap in the promotion's own namespace."""

    name: ObjectName
    key: Annotated[str, StringConstraints(pattern=r"^[-._a-zA-Z0-9]{1,253}$")]


class ExplanationSource(Closed):
    """Where the explanation's bytes come from: exactly one of three."""

    inline: Annotated[str, StringConstraints(min_length=1)] | None = None
    configMap: ConfigMapKey | None = None
    url: Annotated[str, StringConstraints(pattern=r"^https://[!-~]{1,2000}$")] | None = None

    @model_validator(mode="after")
    def _one(self) -> Self:
        if sum(source is not None for source in (self.inline, self.configMap, self.url)) != 1:
            raise ValueError("name exactly one of inline, configMap and url")
        if self.inline is not None and len(self.inline.encode()) > MAX_INLINE_EXPLANATION:
            raise ValueError("an inline explanation has at most 32 KiB; put a longer one into a ConfigMap or behind an https:// address")
        return self


class ClaimedExplanation(Closed):
    """The document beside the comparison, by digest, and where to fetch it."""

    mediaType: DocumentType
    digest: DigestField
    source: ExplanationSource


class Dataset(Closed):
    """Data that the comparison rests on."""

    name: Line
    version: Line
    digest: DigestField
    role: Literal["evaluation", "reference", "feature-view"]


class ReportSource(Closed):
    """Where a check's report comes from; its digest stands in the check."""

    source: ExplanationSource


class BroughtCheck(Closed):
    """A signed check that the request brings along: its bundle, to the byte, and where its report is."""

    bundle: Base64
    report: ReportSource


class Spec(Closed):
    """``ModelPromotion.spec``: the whole of what is asked."""

    model: Model
    author: Line
    target: Target
    comparison: ClaimedComparison
    explanation: ClaimedExplanation
    datasets: Annotated[tuple[Dataset, ...], Field(min_length=1, max_length=64)]
    checks: Annotated[tuple[BroughtCheck, ...], Field(min_length=1, max_length=4)] | None = None
    reason: Text
    materiality: dict[Line, Line] | None = None
    validFor: Annotated[str, StringConstraints(pattern=r"^[1-9][0-9]{0,5}h$")] | None = None
    onExpiry: OnExpiry | None = None
    attempt: Annotated[int, Field(ge=1, le=10_000)] | None = None
    supersedes: IdField | None = None

    @property
    def hours(self) -> int:
        """For how many hours the promotion is asked for; 0 is without end."""
        return int(self.validFor.removesuffix("h")) if self.validFor is not None else 0

    @property
    def on_expiry(self) -> OnExpiry:
        """What is refused once the promotion has expired (rule 6)."""
        return self.onExpiry or "deny-all"

    @model_validator(mode="after")
    def _what_expires(self) -> Self:
        if self.onExpiry is not None and self.validFor is None:
            raise ValueError("onExpiry says what happens when validFor is over; give validFor, or leave both out")
        return self

    @model_validator(mode="after")
    def _candidate_is_the_model(self) -> Self:
        candidate, model = self.comparison.candidate, self.model
        if (candidate.version, candidate.digest) != (model.version, model.digest):
            raise ValueError("comparison.candidate must be the model itself: same version, same digest as model.image")
        shown, named = self.comparison.incumbent, model.incumbent
        if (shown is None) != (named is None):
            raise ValueError("model.incumbent and comparison.incumbent must be both there or both absent")
        if shown is not None and named is not None and (shown.version, shown.digest) != (named.version, named.digest):
            raise ValueError("comparison.incumbent must be model.incumbent: same version, same digest")
        return self


class Request(Closed):
    """A request: the resource's identity and its spec. The id is a hash over exactly these five."""

    group: Literal["signoff.dev"]
    kind: Literal["ModelPromotion"]
    namespace: Label
    name: ObjectName
    spec: Spec


def request_value(namespace: str, name: str, spec: Json) -> dict[str, Json]:
    """Return the value that the id hashes, of a ModelPromotion's namespace, name and spec."""
    return {"group": GROUP, "kind": KIND, "namespace": namespace, "name": name, "spec": spec}


def request_id(value: Mapping[str, Json]) -> RequestId:
    """Return the id of a request's value (rule 1)."""
    return RequestId(hex_of(sha256(_ID_DOMAIN + dumps(value))))


def read_spec(spec: Json, where: str = "spec") -> Spec:
    """Return a manifest's spec, checked; `RecordError` names the first field that is wrong and what to do."""
    data = dumps_unambiguous(spec, where)
    if _UNFILLED in data:
        _refuse_unfilled(spec, where)
    if len(data) > MAX_SPEC:
        raise RecordError(f"{len(data)} bytes are more than {MAX_SPEC}", where=where, mend="keep long documents out of the manifest")
    return parse(Spec, data, where)


def _refuse_unfilled(value: Json, where: str) -> None:
    if isinstance(value, Mapping):
        for key, child in value.items():
            _refuse_unfilled(child, f"{where}.{key}")
    elif isinstance(value, str) and value.startswith(UNFILLED):
        raise RecordError(f"still says {value[:100]!r}", where=where, mend="write what is asked for in its place")
    elif isinstance(value, Sequence) and not isinstance(value, str):
        for index, child in enumerate(value):
            _refuse_unfilled(child, f"{where}[{index}]")


def platform_manifests(image_index: str, digest: Digest) -> tuple[tuple[str, Digest], ...]:
    """Return (platform, digest) of each manifest of an image index, given in base64; ValueError unless its bytes hash to ``digest``.

    Source: OCI image spec, image index: ``manifests[].platform.{os,architecture,variant}``, ``manifests[].digest``.
    """
    try:
        data = b64decode(image_index, "imageIndex")
        value = loads(data, "imageIndex", limit=MAX_SPEC)
    except RecordError as error:
        raise ValueError(str(error)) from None
    if sha256(data) != digest:
        raise ValueError(f"imageIndex hashes to {sha256(data)}, but the image's digest is {digest}; give the index's exact bytes")
    manifests = value.get("manifests") if isinstance(value, Mapping) else None
    if not isinstance(manifests, list) or not 1 <= len(manifests) <= 64:
        raise ValueError("imageIndex is no OCI image index with 1 to 64 manifests")
    return tuple(_manifest(item) for item in manifests)


def _manifest(item: Json) -> tuple[str, Digest]:
    if not isinstance(item, Mapping):
        raise ValueError("imageIndex.manifests holds what is no manifest")  # noqa: TRY004 - pydantic wants a ValueError
    digest, platform = item.get("digest"), item.get("platform", {})
    if not isinstance(digest, str) or not re.fullmatch(r"sha256:[0-9a-f]{64}", digest) or not isinstance(platform, Mapping):
        raise ValueError("imageIndex.manifests holds a manifest without a sha256 digest")
    parts = [platform.get(key) for key in ("os", "architecture", "variant")]
    named = [part for part in parts if isinstance(part, str) and re.fullmatch(r"[A-Za-z0-9._-]{1,32}", part)]
    return "/".join(named) or "unknown", Digest(digest)
