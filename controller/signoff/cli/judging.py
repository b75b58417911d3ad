"""The gate's verdict on documents, through the gate's own code: references, memory, verdict.

1. A workload is judged as when it is created: every image of it is asked about.
2. Its environment is the one given, or that of its Namespace's manifest; without either it could not be told.
3. What is no workload of the gate's is passed over, and told as not judged where it names images.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Final

from signoff.cli.manifest_files import Document
from signoff.errors import SignoffError
from signoff.gate.labels import ENVIRONMENT_LABEL, MINIMUM_TIER_LABEL, place_of, unclear
from signoff.gate.lookup import keys, look_up
from signoff.gate.memory import Memory
from signoff.gate.verdict import Archived, Circumstances, Exemption, Finding, Unknown, Verdict, digests_asked, judge, tags_asked
from signoff.gate.workloads import WORKLOADS, UnreadableWorkload, WorkloadReferences, references
from signoff.record.canonical import Json
from signoff.record.values import Digest
from signoff.verify.reader import Found, Reader

_PATIENCE: Final = 300.0
"""Seconds for one digest. No API server waits: a slow archive is waited for, and the store ends what hangs."""
_GATED: Final = frozenset((row.api_version, row.kind) for row in WORKLOADS)
_OURS: Final = "signoff.dev/"
_DEFINITIONS: Final = "apiextensions.k8s.io/"


@dataclass(frozen=True)
class Source:
    """Where an object stands, and what it is."""

    file: str
    api_version: str
    kind: str
    namespace: str
    name: str

    def __str__(self) -> str:
        return f"{self.kind} {self.namespace}/{self.name}  ({self.file})"


@dataclass(frozen=True)
class Judged:
    """A workload and the gate's verdict on it; ``environment`` is "" where none is known."""

    source: Source
    environment: str
    verdict: Verdict

    @property
    def answer(self) -> str:
        """``admitted``, ``denied`` or ``could not tell``."""
        if self.verdict.admitted:
            return "admitted"
        return "could not tell" if self.verdict.unsure else "denied"


@dataclass(frozen=True)
class Judgement:
    """What was judged, what names images and was not, and how many documents are nothing to the gate."""

    judged: tuple[Judged, ...]
    not_judged: tuple[Source, ...]
    passed_over: int


@dataclass(frozen=True)
class _Asked:
    """What every verdict of one run rests on."""

    reader: Reader
    memory: Memory
    cluster: str
    exemptions: Sequence[Exemption]
    now: datetime


def judge_documents(
    documents: Iterable[Document],
    reader: Reader,
    cluster: str,
    exemptions: Sequence[Exemption],
    environment: str | None,
    namespace: str,
    step: Callable[[str], None],
) -> Judgement:
    """Return the verdict on each workload; ``environment`` and ``namespace`` are what is asked for where a manifest says nothing."""
    known = list(documents)
    now = datetime.now(UTC)
    memory = Memory(lambda key: look_up(reader, key, cluster, now), time.monotonic, deadline=_PATIENCE)
    asked = _Asked(reader, memory, cluster, exemptions, now)
    environments, tiers = _labelled(known, ENVIRONMENT_LABEL), _labelled(known, MINIMUM_TIER_LABEL)
    judged: list[Judged] = []
    not_judged: list[Source] = []
    passed_over = 0
    for document in known:
        source = _source(document, namespace)
        step(str(source))
        if (document.api_version, document.kind) in _GATED:
            named = frozenset({environment}) if environment else environments.get(source.namespace, frozenset())
            judged.append(_judged(document, source, named, tiers.get(source.namespace, frozenset()), asked))
        elif _names_images(document):
            not_judged.append(source)
        else:
            passed_over += 1
    return Judgement(tuple(judged), tuple(not_judged), passed_over)


def _judged(document: Document, source: Source, environments: frozenset[str], tiers: frozenset[str], asked: _Asked) -> Judged:
    environment = next(iter(environments)) if len(environments) == 1 else ""
    try:
        uses = references(document.value, kind=document.kind, api_version=document.api_version)
    except UnreadableWorkload as error:
        finding = Finding(error.where or "object", "(no image could be read)", error.what, error.mend or "correct the object")
        return Judged(source, environment, Verdict((finding,), ()))
    labels = {ENVIRONMENT_LABEL: environment, **({MINIMUM_TIER_LABEL: min(tiers)} if tiers else {})}  # tier-1 is the strictest
    around = Circumstances(place_of(labels, asked.cluster, source.namespace), asked.now, asked.exemptions)
    found = _found(uses, around, environments, asked.memory)
    unsure = [unclear({**labels, MINIMUM_TIER_LABEL: one}, source.namespace) for one in sorted(tiers)] if environment else []
    found = next((dict.fromkeys(found, one) for one in unsure if one is not None), found)
    verdict = judge(uses, uses.uses, Archived(found, _pins(uses, environment, asked.reader)), around)
    return Judged(source, environment, verdict if environment else _with_mend(verdict))


def _with_mend(verdict: Verdict) -> Verdict:
    """Return the verdict with what to do where only the environment is unknown; the gate's own words speak of the archive."""
    mend = "give --environment, or the manifest of the Namespace with its label signoff.dev/environment"
    return replace(verdict, findings=tuple(replace(one, mend=mend) if one.unsure else one for one in verdict.findings))


def _found(
    uses: WorkloadReferences, around: Circumstances, environments: frozenset[str], memory: Memory
) -> Mapping[Digest, Found | Unknown]:
    digests = digests_asked(uses, around)
    if len(environments) != 1:
        several = f"manifests of namespace {around.place.namespace} name several: {', '.join(sorted(environments))}"
        none = f"the environment of namespace {around.place.namespace} is not known"
        return dict.fromkeys(digests, Unknown(several if environments else none))
    return {key.digest: memory.ask(key) for key in keys(digests, uses, around.place)}


def _pins(uses: WorkloadReferences, environment: str, reader: Reader) -> dict[tuple[str, str], str]:
    pins: dict[tuple[str, str], str] = {}
    for repository, tag in sorted(tags_asked(uses.uses)) if environment else ():
        try:
            pin = reader.promoted_as(repository, tag, environment)
        except SignoffError:
            continue  # a hint: without it the finding says what to pin in general terms
        if pin is not None:
            pins[(repository, tag)] = pin
    return pins


def _labelled(documents: Iterable[Document], label: str) -> dict[str, frozenset[str]]:
    """Return what manifests of namespaces say under a label, by the namespace's name."""
    found: dict[str, frozenset[str]] = {}
    for document in documents:
        if (document.api_version, document.kind) != ("v1", "Namespace"):
            continue
        labels = _object(_object(document.value, "metadata"), "labels")
        said = labels.get(label)
        if isinstance(said, str) and (said or label == MINIMUM_TIER_LABEL):
            name = _source(document, "").name
            found[name] = found.get(name, frozenset()) | {said}
    return found


def _source(document: Document, namespace: str) -> Source:
    metadata = _object(document.value, "metadata")
    own, name = metadata.get("namespace"), metadata.get("name") or metadata.get("generateName")
    return Source(
        file=document.file,
        api_version=document.api_version,
        kind=document.kind or "document",
        namespace=own if isinstance(own, str) and own else namespace,
        name=name if isinstance(name, str) else "(no name)",
    )


def _object(value: Mapping[str, Json], key: str) -> Mapping[str, Json]:
    found = value.get(key)
    return found if isinstance(found, Mapping) else {}


def _names_images(document: Document) -> bool:
    """Whether a key ``image`` stands anywhere in an object of a kind; ours and definitions of kinds name images and run none."""
    if not document.kind or document.api_version.startswith((_OURS, _DEFINITIONS)):
        return False
    pending: list[Json] = [document.value]
    while pending:
        item = pending.pop()
        if isinstance(item, Mapping):
            if item.get("image"):
                return True
            pending.extend(item.values())
        elif isinstance(item, list):
            pending.extend(item)
    return False
