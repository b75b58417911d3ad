"""`signoff check-model`: a signed check of a candidate, from the predictions of both models and a reference population.

1. What is compared is what the promotion names: its model, its incumbent, its datasets. The reference file must be the dataset of that
   role, to the byte; predictions are made from data, and are none of the datasets themselves.
2. Nothing is written unless everything is, check and report; what is there is never overwritten.
3. The same files at the same ``--time`` give the same predicate and the same report, with the same versions of the libraries. The check
   names these.
"""

from __future__ import annotations

import shlex
from dataclasses import dataclass
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Final

import click

from signoff.cli import options, output, reach
from signoff.cli.check_files import Asked, Written, read_asked, require_new, write_both
from signoff.desk.legible import legible
from signoff.errors import SignoffError
from signoff.record.bundle import Signer
from signoff.record.canonical import Json, dumps
from signoff.record.check import Check, candidate_of, check_bundle, open_check
from signoff.record.promotion import as_json
from signoff.record.request import Dataset
from signoff.record.values import Digest, Timestamp, format_time, parse, parse_time, sha256
from signoff.start import key_at

if TYPE_CHECKING:
    from signoff.checks.measure import File, Result
    from signoff.checks.report import Told

_EXAMPLES: Final = """
signoff check-model --promotion promotion.yaml --candidate candidate.csv --incumbent incumbent.csv --reference reference.csv \\
    --segment region --key check.key --out check.sigstore.json --report report.html

with a key in a key service:
signoff check-model --promotion promotion.yaml --candidate candidate.csv --incumbent incumbent.csv --reference reference.csv \\
    --key "awskms:///alias/model-check?region=eu-central-1" --out check.sigstore.json --report report.html
"""
_LIBRARIES: Final = ("scikit-learn", "scipy", "numpy", "pandas", "matplotlib")
_MODULES: Final = frozenset({"sklearn", "scipy", "numpy", "pandas", "matplotlib"})
_OF_NOTE: Final = (
    "auc",
    "auc.incumbent",
    "auc.change",
    "calibration.error",
    "psi.score",
    "psi.max",
    "segments.auc.change.worst",
    "segments.calibration.error.worst",
)
_FILE: Final = click.Path(path_type=Path)


@dataclass(frozen=True)
class _Files:
    candidate: File
    incumbent: File | None
    reference: File


@options.command("check-model", examples=_EXAMPLES)
@click.option("--promotion", type=_FILE, required=True, metavar="FILE", help="The manifest of the ModelPromotion.")
@click.option("--candidate", type=_FILE, required=True, metavar="CSV", help="The candidate's predictions.")
@click.option("--incumbent", type=_FILE, metavar="CSV", help="The incumbent's, of the same cases; if the promotion names one.")
@click.option(
    "--reference", type=_FILE, required=True, metavar="CSV", help="The reference population: the promotion's dataset of that role."
)
@click.option("--key", required=True, metavar="FILE|ADDRESS", help="The key that signs: its file, or awskms:///KEY?region=NAME.")
@click.option("--out", type=_FILE, required=True, metavar="FILE", help="Where the check is written; a new file.")
@click.option("--report", type=_FILE, required=True, metavar="FILE", help="Where the report is written, HTML; a new file.")
@click.option("--segment", "segments", multiple=True, metavar="COLUMN", help="Measure by the values of this column too; several times.")
@click.option("--id", "id_column", default="id", show_default=True, metavar="COLUMN", help="The column of the cases' ids.")
@click.option("--label", default="label", show_default=True, metavar="COLUMN", help="The column of outcomes, 0 or 1.")
@click.option("--score", default="score", show_default=True, metavar="COLUMN", help="The column of probabilities, 0 to 1.")
@click.option("--time", "at", metavar="TIME", help="When it was measured, such as 2026-01-31T12:00:00Z; default: now.")
@options.output()
def command(
    promotion: Path,
    candidate: Path,
    incumbent: Path | None,
    reference: Path,
    key: str,
    out: Path,
    report: Path,
    segments: tuple[str, ...],
    id_column: str,
    label: str,
    score: str,
    at: str | None,
    form: str,
) -> int:
    """Measure a candidate's predictions beside the incumbent's and a reference population, and sign the figures.

    Predictions are CSV with a row for each case: id, label, score, and further columns, which are features or segments. The reference is
    CSV of the features, with scores or without. The check gives figures and no verdict; policies judge by them.

    Exit code: 0 written, 2 it could not be done (nothing is written).
    """
    _require_libraries()
    from signoff.checks.measure import measure  # noqa: PLC0415 - what measures takes a second to import, and may be missing
    from signoff.checks.predictions import Names  # noqa: PLC0415
    from signoff.checks.report import report_of  # noqa: PLC0415

    require_new(out, report)
    time = _moment(at)
    asked = read_asked(promotion)
    _require_as_named(asked, incumbent, promotion)
    signer = key_at(key)
    files = _files(candidate, incumbent, reference)
    used = asked.used(sha256(files.reference.data), str(reference), str(promotion))
    result = measure(files.candidate, files.incumbent, files.reference, Names(id_column, label, score), segments)
    tool = _tool()
    page = report_of(_told(asked, used, files, result, time, tool), result)
    data = _signed(_value(asked, used, result, page, time, tool), signer)
    write_both((out, data), (report, page))
    written = (Written.of(out, data), Written.of(report, page))
    if form == "json":
        output.as_machine(_machine(written, result, signer))
    else:
        _tell(asked, written, result, signer)
    return 0


def _require_libraries() -> None:
    try:
        import signoff.checks.report  # noqa: F401, PLC0415 - which imports all of them
    except ModuleNotFoundError as error:
        if (error.name or "").partition(".")[0] not in _MODULES:
            raise
        raise SignoffError(f"needs {error.name}, which is not installed", "signoff check-model", "pip install 'signoff[check]'") from None


def _require_as_named(asked: Asked, incumbent: Path | None, promotion: Path) -> None:
    named = asked.spec.model.incumbent
    if named is not None and incumbent is None:
        what = f"is missing, and {promotion} names {named.version} as the incumbent"
        raise SignoffError(what, where="--incumbent", mend="give its predictions of the same cases")
    if named is None and incumbent is not None:
        what = f"is given, and {promotion} names no incumbent"
        raise SignoffError(what, where="--incumbent", mend="leave it out, or name the incumbent in spec.model.incumbent")


def _moment(text: str | None) -> Timestamp:
    if text is None:
        return format_time(datetime.now(UTC))
    try:
        return format_time(parse_time(text))
    except ValueError as error:
        raise SignoffError(str(error), where="--time", mend="correct it") from None


def _files(candidate: Path, incumbent: Path | None, reference: Path) -> _Files:
    from signoff.checks.measure import File  # noqa: PLC0415
    from signoff.checks.tables import MAX_BYTES  # noqa: PLC0415

    def read(path: Path) -> File:
        return File(str(path), reach.file_bytes(path, MAX_BYTES))

    return _Files(read(candidate), None if incumbent is None else read(incumbent), read(reference))


def _tool() -> str:
    libraries = ", ".join(f"{name} {version(name)}" for name in _LIBRARIES)
    return f"signoff check-model {version('signoff')} ({libraries})"


def _told(asked: Asked, used: tuple[Dataset, ...], files: _Files, result: Result, time: Timestamp, tool: str) -> Told:
    from signoff.checks.report import Side, Told  # noqa: PLC0415

    model = asked.spec.model

    def side(role: str, name: str, digest: Digest, file: File | None, rows: int | None) -> Side:
        if file is None:
            return Side(role, name, digest)
        return Side(role, name, digest, Path(file.name).name, sha256(file.data), rows)

    rows = len(result.cases.labels)
    sides = [side("candidate", f"{model.name} {model.version}", model.digest, files.candidate, rows)]
    if model.incumbent is not None:
        sides.append(side("incumbent", f"{model.name} {model.incumbent.version}", model.incumbent.digest, files.incumbent, rows))
    for one in used:
        measured = one.role == "reference"
        file, count = (files.reference, result.reference_rows) if measured else (None, None)
        sides.append(side(one.role, f"{one.name}, version {one.version}", one.digest, file, count))
    return Told(f"Check of {model.name} {model.version}", time, tool, sides)


def _value(asked: Asked, used: tuple[Dataset, ...], result: Result, page: bytes, time: Timestamp, tool: str) -> dict[str, Json]:
    model = asked.spec.model
    value: dict[str, Json] = {
        "tool": tool,
        "time": time,
        "candidate": as_json(candidate_of(model)),
        "datasets": [one.model_dump() for one in used],
        "measured": [one.model_dump() for one in result.figures.measurements()],
        "report": {"mediaType": "text/html", "size": len(page), "digest": sha256(page)},
    }
    if model.incumbent is not None:
        value["incumbent"] = model.incumbent.model_dump()
    return value


def _signed(value: dict[str, Json], signer: Signer) -> bytes:
    data = check_bundle(parse(Check, dumps(value), "check"), value, signer)
    open_check(data)  # whoever reads it will refuse what is too large
    return data


def _machine(written: tuple[Written, Written], result: Result, signer: Signer) -> Json:
    check, report = written
    return {
        "check": {"file": str(check.path), "digest": check.digest, "key": signer.key_id},
        "report": {"file": str(report.path), "digest": report.digest},
        "measured": {one.name: one.value for one in result.figures.measurements()},
        "leftOut": dict(result.figures.left_out),
    }


def _tell(asked: Asked, written: tuple[Written, Written], result: Result, signer: Signer) -> None:
    check, report = written
    model = asked.spec.model
    against = f" beside {model.incumbent.version}" if model.incumbent is not None else ""
    figures = result.figures.measurements()
    output.paragraph(f"{model.name} {model.version}{against}: {output.count(len(figures), 'figure')} of {len(result.cases.labels):,} cases")
    output.tell()
    output.table([(name, f"{value:f}") for name in _OF_NOTE if (value := result.figures[name]) is not None], margin=2)
    left_out = result.figures.left_out
    if left_out:
        output.tell()
        output.paragraph(f"not measured, see the report: {', '.join(left_out)}")
    output.tell()
    output.facts(
        [
            ("check", str(check.path)),
            ("", check.digest),
            ("signed by", signer.key_id),
            ("report", str(report.path)),
            ("", report.digest),
        ]
    )
    output.tell("\nTo bring it along: put the report into a ConfigMap, and the check into the promotion.\n")
    for line in (
        f"kubectl create configmap {asked.name}-check{asked.in_namespace} \\",
        f"  --from-file=report.html={shlex.quote(str(report.path))}",
        "",
        "spec:",
        "  checks:",
        f"    - bundle: <the output of base64 -w0 {shlex.quote(str(check.path))}>",
        f"      report: {{source: {{configMap: {{name: {asked.name}-check, key: report.html}}}}}}",
    ):
        output.tell(legible(f"    {line}").rstrip())
