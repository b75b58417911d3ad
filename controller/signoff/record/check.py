"""The check: what an automated comparison measured, signed by whoever measured it.

1. It names what was compared: the candidate with its artefacts, what was live beside it (none where nothing was), and the datasets, each
   by digest.
2. It says figures and no verdict: whether they are good enough is the policy's to say.
3. A figure is a decimal string under a name of its own; one that speaks of a part of the data alone is named ``NAME in SEGMENT``.
4. It names the rendered report by digest, so that what people can read is fixed with what the policy reads.
5. Its subjects are the candidate's image and the report: it cannot be moved to another candidate. Any tool may sign one.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Final, Self

from pydantic import Field, model_validator

from signoff.record.bundle import Bundle, Signer, Statement, Subject, read_bundle, read_statement, sign_bundle, statement_bytes
from signoff.record.canonical import Json, b64decode
from signoff.record.request import Artifact, Dataset, DocumentType, ExplanationSource, Incumbent, Model, Spec
from signoff.record.values import Closed, Decimal, Digest, DigestField, Line, ModelName, RecordError, TimeField, Version

CHECK_TYPE: Final = "https://signoff.dev/check/v1"
COUNTS: Final = "counts"
MAX_CHECK: Final = 32 * 1024
MAX_REPORT: Final = 10 * 1024 * 1024


class Measurement(Closed):
    """A figure: its name, and the figure as a decimal string."""

    name: Line
    value: Decimal


class Report(Closed):
    """The rendered report: media type, size in bytes, digest."""

    mediaType: DocumentType
    size: Annotated[int, Field(ge=1, le=MAX_REPORT)]
    digest: DigestField


class Candidate(Closed):
    """The model version that was measured, whole: its artefacts are part of it, where it has any."""

    name: ModelName
    version: Version
    digest: DigestField
    artifacts: Annotated[tuple[Artifact, ...], Field(min_length=1, max_length=64)] | None = None


class Check(Closed):
    """The predicate of a check. Its subjects are ``candidate`` and ``report``. ``time`` is the checker's own clock."""

    tool: Line
    time: TimeField
    candidate: Candidate
    incumbent: Incumbent | None = None
    datasets: Annotated[tuple[Dataset, ...], Field(min_length=1, max_length=16)]
    measured: Annotated[tuple[Measurement, ...], Field(min_length=1, max_length=200)]
    report: Report

    @model_validator(mode="after")
    def _each_name_once(self) -> Self:
        names = [one.name for one in self.measured]
        if len(set(names)) != len(names):
            raise ValueError("a figure is said twice under one name")
        return self


CheckStatement = Statement[Check]


def standing_input(check: Digest) -> str:
    """Return the input of a route that says of a check whether it counts: `COUNTS`, or why not."""
    return f"check {check}"


def candidate_of(model: Model) -> Candidate:
    """Return a request's model as a check names it."""
    return Candidate(name=model.name, version=model.version, digest=model.digest, artifacts=model.artifacts)


def check_subjects(check: Check) -> tuple[Subject, ...]:
    """Return what a check's statement speaks of (rule 5)."""
    return (Subject.of("candidate", check.candidate.digest), Subject.of("report", check.report.digest))


def check_bundle(check: Check, value: Json, signer: Signer) -> bytes:
    """Return the bundle of a check, signed; ``value`` is the check as JSON."""
    return sign_bundle(statement_bytes(CHECK_TYPE, check_subjects(check), value), signer)


@dataclass(frozen=True)
class Opened:
    """A check that a request brings along, taken apart and not believed; ``bytes`` is its bundle as it was given."""

    bytes: bytes
    bundle: Bundle
    check: Check
    source: ExplanationSource


def require_checks(spec: Spec) -> None:
    """Raise `RecordError` where what a request brings along as a check is none."""
    for index, one in enumerate(spec.checks or ()):
        where = f"spec.checks[{index}].bundle"
        open_check(b64decode(one.bundle, where), where)


def opened(spec: Spec) -> tuple[Opened, ...]:
    """Return the checks that a request brings along; what is none is left out, for admission takes no such request in."""
    found: list[Opened] = []
    for one in spec.checks or ():
        try:
            data = b64decode(one.bundle, "spec.checks")
            found.append(Opened(data, *open_check(data, "spec.checks"), one.report.source))
        except RecordError:
            continue
    return tuple(found)


def reports_of(spec: Spec) -> tuple[Digest, ...]:
    """Return the reports of the checks that a request brings along, by digest."""
    return tuple(one.check.report.digest for one in opened(spec))


def open_check(data: bytes, where: str = "check") -> tuple[Bundle, Check]:
    """Return a check taken apart, not believed; `RecordError` where the bytes are none."""
    if len(data) > MAX_CHECK:
        raise RecordError(f"{len(data)} bytes are more than the {MAX_CHECK} allowed for a check", where=where, mend="measure less in one")
    bundle = read_bundle(data, where)
    statement = read_statement(CheckStatement, bundle.payload, CHECK_TYPE, where)
    if statement.subject != check_subjects(statement.predicate):
        raise RecordError("its subjects are not the candidate and the report that it names", where=f"{where}.subject")
    return bundle, statement.predicate
