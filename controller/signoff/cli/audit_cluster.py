"""`signoff audit cluster`: the gate's verdict on everything that runs, told as it is found and never held as a whole."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterable, Iterator
from datetime import UTC, datetime
from itertools import islice
from pathlib import Path
from typing import Final

import click

from signoff.cli import kube, options, output, reach
from signoff.cli.progress import Progress, progress
from signoff.config import GateSettings, read_config
from signoff.gate.labels import ENVIRONMENT_LABEL
from signoff.record.canonical import Json
from signoff.running.judging import ANSWERS, Answer, Look, Space, Told, space, spaces
from signoff.running.listing import Listing
from signoff.running.report import Reported

_ALL: Final = """  signoff audit cluster
  signoff audit cluster -n credit -o json"""
_EXAMPLES: Final = """
signoff audit cluster
signoff audit cluster -n credit --exemptions exemptions.yaml
signoff audit cluster -o json | jq '.objects[] | select(.verdict == "refused")'
signoff audit cluster -o policyreport | kubectl apply -f -
"""
_ROWS: Final = 200
_COLOURS: Final[dict[Answer, output.Colour]] = {"refused": "red", "could not tell": "yellow"}

Counts = Counter[Answer]


@click.group("audit", context_settings=options.SETTINGS, epilog=f"\b\nExamples:\n{_ALL}")
def command() -> None:
    """Look at what runs. (Of what the archive holds, `signoff verify` is the audit.)"""


@options.command("cluster", examples=_EXAMPLES)
@options.namespace("Look at this namespace alone; default: at every one.")
@options.exemptions()
@options.cluster()
@options.kubeconfig()
@options.context()
@options.archive()
@options.trust()
@options.output("policyreport")
def cluster(
    namespace: str | None,
    exemptions: Path | None,
    cluster: str,
    kubeconfig: str | None,
    context: str | None,
    archive: str,
    trust: str,
    form: str,
) -> int:
    """Judge everything that runs as the gate would judge it if it came now: Pods, static ones too, and the workloads that make them.

    Told as not gated is what runs where no gate looks. With -o policyreport: a List of Reports (openreports.io/v1alpha1), one a namespace.

    Exit code: 0 nothing is refused, 1 something is, 2 something could not be told.
    """
    settings = read_config(GateSettings, exemptions) if exemptions is not None else GateSettings()
    listing = Listing(kube.Cluster(kubeconfig, context).api)
    look = Look(reach.reader(archive, trust), cluster, settings.exemptions, datetime.now(UTC))
    chosen = iter((space(listing, namespace),)) if namespace else spaces(listing)
    counts: Counts = Counter()
    with progress("auditing", elsewhere=False) as shown:
        looked = _looked(look, listing, chosen, counts, shown)
        {"text": _print, "json": _as_json, "policyreport": _as_reports}[form](looked, look, counts)
    return 1 if counts["refused"] else 2 if counts["could not tell"] else 0


def _looked(
    look: Look, listing: Listing, chosen: Iterable[Space], counts: Counts, shown: Progress
) -> Iterator[tuple[Space, Iterator[Told]]]:
    """Yield each namespace with what is told of it, counted as it is told."""

    def counted(one: Space) -> Iterator[Told]:
        for told in look.at(listing, one):
            counts[told.answer] += 1
            shown.step(f"namespace {one.name}, {output.count(counts.total(), 'object')}")
            yield told

    for one in chosen:
        yield one, counted(one)


Looked = Iterator[tuple[Space, Iterator[Told]]]


def _print(looked: Looked, _: Look, counts: Counts) -> None:
    for one, told in looked:
        first = True
        while rows := [_row(each) for each in islice(told, _ROWS)]:
            if first:
                output.tell()
                output.paragraph(_heading(one))
            first = False
            output.table(rows, margin=2)
    output.tell()
    told_in_all = ", ".join(f"{counts[answer]:,} {_coloured(answer)}" for answer in ANSWERS if counts[answer])
    output.tell(f"{output.count(counts.total(), 'object')}: {told_in_all}" if counts else "Nothing runs.")


def _heading(one: Space) -> str:
    gate = f"gate {one.coverage.word}" if one.coverage.mode else "not gated"
    why = f" ({one.coverage.why})" if one.coverage.why else ""
    environment = one.labels.get(ENVIRONMENT_LABEL)
    return f"{one.name}: {gate}{why}{f', environment {environment}' if environment else ''}"


def _row(told: Told) -> tuple[str, ...]:
    running = told.running
    # The reason of what is not gated is the namespace's, and stands in its heading.
    parts = () if told.answer == "not gated" else (told.reason, told.mend)
    static = "static Pod, which admission cannot stop" if running.is_static and told.answer in {"admitted", "exempt", "not gated"} else ""
    line = "; ".join(output.plain(part) for part in (static, *parts) if part)
    return told.answer, f"{running.kind} {running.name}", output.plain(told.image) or "-", line


def _coloured(answer: Answer) -> str:
    return output.word(answer, _COLOURS[answer]) if answer in _COLOURS else answer


def _as_json(looked: Looked, _: Look, counts: Counts) -> None:
    _stream('{"objects": [', (_machine(told) for _, all_told in looked for told in all_told))
    verdict = "refused" if counts["refused"] else "could-not-tell" if counts["could not tell"] else "clean"
    counted = {answer.replace(" ", "-"): counts[answer] for answer in ANSWERS}
    output.tell(f'], "counts": {json.dumps(counted)}, "verdict": {json.dumps(verdict)}}}')


def _machine(told: Told) -> Json:
    running, verdict = told.running, told.verdict
    findings = verdict.findings if verdict is not None else ()
    return {
        "namespace": running.namespace,
        "apiVersion": running.api_version,
        "kind": running.kind,
        "name": running.name,
        "uid": running.uid,
        "owner": {"kind": running.top.kind, "name": running.top.name},
        "static": running.is_static,
        "gate": told.space.coverage.word,
        "environment": told.space.labels.get(ENVIRONMENT_LABEL, ""),
        "image": told.image,
        "images": list(dict.fromkeys(use.text for use in told.uses.uses)) if told.uses is not None else [],
        "verdict": told.answer.replace(" ", "-"),
        "reason": told.reason,
        "mend": told.mend,
        "events": list(verdict.events) if verdict is not None else [],
        "findings": [
            {"path": each.path, "reference": each.reference, "why": each.why, "mend": each.mend, "unsure": each.unsure} for each in findings
        ],
    }


def _as_reports(looked: Looked, look: Look, _: Counts) -> None:
    _stream('{"apiVersion": "v1", "kind": "List", "items": [', _reports(looked, look))
    output.tell("]}")


def _reports(looked: Looked, look: Look) -> Iterator[Json]:
    for one, told in looked:
        reported = Reported(one, look.cluster, look.now)
        for each in told:
            reported.add(each)
        if not reported.is_empty:
            yield reported.manifest()


def _stream(head: str, values: Iterator[Json]) -> None:
    """Print values as the items of a JSON list that is open behind ``head``, one a line."""
    output.tell(head)
    for number, value in enumerate(values):
        output.tell(f"{',' if number else ' '}{json.dumps(value)}")


command.add_command(cluster)
