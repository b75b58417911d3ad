"""`signoff check`: the gate's verdict on manifests, offline, for the CI of a GitOps repository."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Final

import click

from signoff.cli import options, output, reach
from signoff.cli.judging import Judged, Judgement, judge_documents
from signoff.cli.manifest_files import Unreadable, read_files
from signoff.cli.progress import progress
from signoff.config import GateSettings, read_config
from signoff.record.canonical import Json

_EXAMPLES: Final = """
signoff check deploy/
signoff check --environment production --namespace credit deployment.yaml
helm template release chart | signoff check --environment production -
"""


@options.command("check", examples=_EXAMPLES)
@click.argument("files", nargs=-1, required=True)
@click.option(
    "--environment", metavar="NAME", help="Default: the label signoff.dev/environment of the Namespace, if it is among the files."
)
@options.namespace("For manifests that name none; default: default.")
@options.cluster()
@options.exemptions()
@options.archive()
@options.trust()
@options.output()
def command(
    files: tuple[str, ...],
    environment: str | None,
    namespace: str | None,
    cluster: str,
    exemptions: Path | None,
    archive: str,
    trust: str,
    form: str,
) -> int:
    """Judge the workloads in FILES as the gate would: files, folders (*.yaml, *.yml, *.json, recursively), or - for stdin.

    Kinds that are no workloads are passed over. A kind that names images and is not one that the gate reads is told as not judged.

    Exit code: 0 all would be admitted, 1 something would be denied, 2 something could not be told.
    """
    settings = read_config(GateSettings, exemptions) if exemptions is not None else GateSettings()
    reader = reach.reader(archive, trust)
    with progress("checking") as shown:
        documents, unreadable = read_files(files, shown.step)
        judgement = judge_documents(documents, reader, cluster, settings.exemptions, environment, namespace or "default", shown.step)
    if form == "json":
        output.as_machine(_machine(judgement, unreadable))
    else:
        _print(judgement, unreadable)
    return _code(judgement.judged, unreadable)


def _code(judged: Sequence[Judged], unreadable: Sequence[Unreadable]) -> int:
    if any(one.answer == "denied" for one in judged):
        return 1
    return 2 if unreadable or any(one.answer == "could not tell" for one in judged) else 0


def _machine(judgement: Judgement, unreadable: Sequence[Unreadable]) -> Json:
    return {
        "verdict": {0: "admitted", 1: "denied", 2: "could-not-tell"}[_code(judgement.judged, unreadable)],
        "objects": [
            {
                "file": one.source.file,
                "apiVersion": one.source.api_version,
                "kind": one.source.kind,
                "namespace": one.source.namespace,
                "name": one.source.name,
                "environment": one.environment,
                "verdict": one.answer.replace(" ", "-"),
                "events": list(one.verdict.events),
                "findings": [
                    {"path": each.path, "reference": each.reference, "why": each.why, "mend": each.mend, "unsure": each.unsure}
                    for each in one.verdict.findings
                ],
            }
            for one in judgement.judged
        ],
        "notJudged": [
            {"file": one.file, "apiVersion": one.api_version, "kind": one.kind, "namespace": one.namespace, "name": one.name}
            for one in judgement.not_judged
        ],
        "passedOver": judgement.passed_over,
        "unreadable": [{"file": one.file, "why": one.why} for one in unreadable],
    }


def _print(judgement: Judgement, unreadable: Sequence[Unreadable]) -> None:
    colours: dict[str, output.Colour] = {"admitted": "green", "denied": "red", "could not tell": "yellow"}
    for one in judgement.judged:
        output.tell(f"{output.word(one.answer, colours[one.answer])}  {output.plain(str(one.source))}")
        for finding in one.verdict.findings:
            output.paragraph(f"{finding.path}", first="    ")
            output.paragraph(f"{finding.reference}: {finding.why}", first="      ")
            output.paragraph(finding.mend, first="      to do: ")
    for other in judgement.not_judged:
        output.tell(f"not judged  {output.plain(str(other))}: it names images, and the gate does not read this kind")
    for file in unreadable:
        output.paragraph(file.why, first="unreadable  ")
    answers = [one.answer for one in judgement.judged]
    told = ", ".join(f"{answers.count(answer)} {answer}" for answer in colours if answer in answers)
    workloads = output.count(len(answers), "workload")
    rest = [f"{output.count(judgement.passed_over, 'other document')} passed over"] if judgement.passed_over else []
    rest += [f"{len(judgement.not_judged)} not judged"] if judgement.not_judged else []
    rest += [f"{output.count(len(unreadable), 'file')} unreadable"] if unreadable else []
    output.tell("; ".join([f"{workloads}: {told}" if told else workloads, *rest]))
