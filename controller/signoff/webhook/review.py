"""Admission reviews (admission.k8s.io/v1): read from untrusted bytes, answered in words.

1. A review has at most 16 MiB and a million values, and is strict JSON; what is not is answered with 400 or 413, which the API server takes
   for a failed call.
2. A denial is code 403, reason Forbidden, and a message whose first line says cause and mend; kubectl, Argo CD and Flux show little more.
   ``details.causes`` says the same for machines.
3. Warnings have no newline, no character that nobody sees, and at most 256 characters each, 4,096 in all (Kubernetes,
   AdmissionResponse.warnings).
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final

from signoff.errors import SignoffError
from signoff.record.canonical import Json, b64encode, loads

MAX_REVIEW: Final = 16 * 1024 * 1024
MAX_VALUES: Final = 1_000_000
_MAX_MESSAGE: Final = 8_000
_MAX_CAUSES: Final = 50
_WARNING: Final = 250
_WARNINGS: Final = 4_000


class BadReview(SignoffError):
    """The bytes are no admission review."""


@dataclass(frozen=True)
class Review:
    """What the API server asks. ``api_version`` and ``kind`` are of the object; ``old`` is None on CREATE, and also ``obj`` on DELETE."""

    uid: str
    api_version: str
    kind: str
    subresource: str
    operation: str
    namespace: str
    name: str
    user: Mapping[str, Json]
    dry_run: bool
    obj: Mapping[str, Json]
    old: Mapping[str, Json] | None


@dataclass(frozen=True)
class Cause:
    """One reason of a denial, for machines: the field's path, and the message."""

    field: str
    message: str


@dataclass(frozen=True)
class Reply:
    """An answer: denied where ``denial`` is set."""

    denial: str | None = None
    causes: Sequence[Cause] = ()
    warnings: Sequence[str] = ()
    audit: Mapping[str, str] = field(default_factory=dict)
    patch: Sequence[Mapping[str, Json]] = ()


def read_review(body: bytes) -> Review:
    """Return the review in a request's body; `BadReview` or `RecordError` says what is wrong with it (rule 1)."""
    # Counted before it is parsed: 16 MiB of empty lists would take a gigabyte and hold every other review up for seconds.
    value = loads(body, "review", limit=MAX_REVIEW, most=MAX_VALUES)
    request = _object(value, "review").get("request")
    asked = _object(request, "review.request")
    kind = _object(asked.get("kind"), "review.request.kind")
    group, version = _text(kind, "group"), _text(kind, "version")
    old = asked.get("oldObject")
    operation = _text(asked, "operation")
    obj = asked.get("object")
    return Review(
        uid=_text(asked, "uid"),
        api_version=f"{group}/{version}" if group else version,
        kind=_text(kind, "kind"),
        subresource=_text(asked, "subResource"),
        operation=operation,
        namespace=_text(asked, "namespace"),
        name=_text(asked, "name"),
        user=_object(asked.get("userInfo"), "review.request.userInfo"),
        dry_run=asked.get("dryRun") is True,
        obj=_object(old if operation == "DELETE" else obj, "review.request.object"),
        old=None if old is None else _object(old, "review.request.oldObject"),
    )


def answer(uid: str, reply: Reply) -> bytes:
    """Return the AdmissionReview that answers the review with this uid."""
    response: dict[str, Json] = {"uid": uid, "allowed": reply.denial is None}
    if reply.denial is not None:
        response["status"] = _status(reply.denial, reply.causes)
    warnings = list(_warnings(reply.warnings))
    if warnings:
        response["warnings"] = warnings
    if reply.audit:
        response["auditAnnotations"] = dict(reply.audit)
    if reply.patch and reply.denial is None:
        response["patchType"] = "JSONPatch"
        response["patch"] = b64encode(json.dumps(list(reply.patch)).encode())
    return json.dumps({"apiVersion": "admission.k8s.io/v1", "kind": "AdmissionReview", "response": response}).encode()


def denied(error: SignoffError) -> Reply:
    """Return the denial that an error leads to."""
    return Reply(denial=str(error), causes=(Cause(error.where, error.what),))


def _status(message: str, causes: Sequence[Cause]) -> dict[str, Json]:
    status: dict[str, Json] = {"status": "Failure", "code": 403, "reason": "Forbidden", "message": message[:_MAX_MESSAGE]}
    if causes:
        status["details"] = {
            "causes": [{"field": one.field, "reason": "FieldValueForbidden", "message": one.message[:1000]} for one in causes[:_MAX_CAUSES]]
        }
    return status


def _warnings(texts: Iterable[str]) -> Iterable[str]:
    room = _WARNINGS
    for text in texts:
        line = "".join(character if character.isprintable() else "?" for character in " ".join(text.split()))
        line = line if len(line) <= _WARNING else line[: _WARNING - 1] + "…"
        room -= len(line)
        if room < 0:
            return
        yield line


def _object(value: Json, where: str) -> Mapping[str, Json]:
    if not isinstance(value, Mapping):
        raise BadReview("expected an object", where=where, mend="this address answers the API server's admission reviews")
    return value


def _text(value: Mapping[str, Json], key: str) -> str:
    text = value.get(key, "")
    if not isinstance(text, str):
        raise BadReview("expected text", where=f"review.request.{key}")
    return text
