"""What a look told of a namespace, as a Report of openreports.io/v1alpha1, for whoever reads such reports: a notice, and no evidence.

1. One Report a namespace, ``signoff-audit``; each look replaces it whole.
2. ``fail`` is refused, ``error`` could not tell, ``pass`` admitted, ``skip`` exempt or not gated. ``warn`` is refused where the gate does
   not enforce: it runs, and may start again.
3. At most 500 results, the worst first, so that a Report stays below what etcd takes; the summary counts all.
"""

from __future__ import annotations

from collections import Counter
from datetime import datetime
from typing import Final, Literal, TypeAlias

from signoff.record.canonical import Json
from signoff.running.judging import Space, Told

API: Final = "openreports.io/v1alpha1"
NAME: Final = "signoff-audit"
LABELS: Final = {"app.kubernetes.io/managed-by": "signoff"}
MAX_RESULTS: Final = 500
_MESSAGE: Final = 500
_IMAGE: Final = 300
_EVENTS: Final = 5

Result: TypeAlias = Literal["fail", "error", "warn", "skip", "pass"]
_WORST_FIRST: Final[tuple[Result, ...]] = ("fail", "error", "warn", "skip", "pass")


class Reported:
    """The Report of one namespace, as it is told of one object after the other. Holds no more than it will say."""

    def __init__(self, space: Space, cluster: str, now: datetime) -> None:
        self._space = space
        self._cluster = cluster
        self._now = now
        self._counts: Counter[Result] = Counter()
        self._results: dict[Result, list[Json]] = {result: [] for result in _WORST_FIRST}

    @property
    def is_empty(self) -> bool:
        """Whether nothing was told."""
        return not self._counts

    def add(self, told: Told) -> None:
        """Take in what was told of one object."""
        result = result_of(told)
        self._counts[result] += 1
        if len(self._results[result]) < MAX_RESULTS:
            self._results[result].append(self._result(told, result))

    def manifest(self) -> dict[str, Json]:
        """Return the Report."""
        results = [one for result in _WORST_FIRST for one in self._results[result]][:MAX_RESULTS]
        scope: Json = {"apiVersion": "v1", "kind": "Namespace", "name": self._space.name}
        return {
            "apiVersion": API,
            "kind": "Report",
            "metadata": {"name": NAME, "namespace": self._space.name, "labels": dict(LABELS)},
            "source": "signoff",
            "scope": scope,
            "configuration": {"limits": {"maxResults": MAX_RESULTS}},
            "summary": {result: self._counts[result] for result in _WORST_FIRST},
            "results": results,
        }

    def _result(self, told: Told, result: Result) -> Json:
        running = told.running
        message = "; ".join(part for part in (told.reason, told.mend) if part) or told.answer
        properties: dict[str, Json] = {"verdict": told.answer, "gate": told.space.coverage.word, "cluster": self._cluster}
        if told.image:
            properties["image"] = told.image[:_IMAGE]
        if running.is_static:
            properties["static"] = "true"
        if told.verdict is not None and told.verdict.events:
            properties["events"] = ",".join(told.verdict.events[:_EVENTS])
        subject: Json = {
            "apiVersion": running.api_version,
            "kind": running.kind,
            "namespace": running.namespace,
            "name": running.name,
            "uid": running.uid,
        }
        return {
            "source": "signoff",
            "policy": "signoff-gate",
            "rule": "no-event-no-deploy",
            "category": "model promotion",
            "result": result,
            "scored": result != "warn",
            **({"severity": "high"} if result == "fail" else {}),
            "timestamp": {"seconds": int(self._now.timestamp()), "nanos": 0},
            "resources": [subject],
            "message": message[:_MESSAGE],
            "properties": properties,
        }


def result_of(told: Told) -> Result:
    """Return what a Report calls an answer (rule 2)."""
    if told.answer == "refused":
        return "fail" if told.space.coverage.mode == "enforce" else "warn"
    if told.answer == "could not tell":
        return "error"
    return "pass" if told.answer == "admitted" else "skip"
