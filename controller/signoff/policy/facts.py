"""The facts that rules are asked about: of the request, of the policy's own list, and of the archive's history.

1. Verified is what a promotion binds itself to (name, target, validity: the event admits nothing beyond it), what the policy lists
   (the model's class) and what the archive holds (the live version, and the tier in which it was decided).
2. Everything else that the request says is a claim: materiality, metrics.
3. What is not there is empty, zero or false, never absent; of maps it is absent, and asking for it has no answer.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Final, TypeAlias

from signoff.policy.schema import TIERS
from signoff.record.freeze import Freeze, Tier
from signoff.record.request import ClaimedMetric, Spec

Fact: TypeAlias = "str | bool | int | Sequence[str] | Mapping[str, str] | Mapping[str, float]"

INCUMBENT: Final = "incumbent"
"""The input of a route that says the history."""


@dataclass(frozen=True)
class History:
    """The live version for a model, environment and cluster, and the tier in which it was decided; neither where nothing is live. What went
    live in an emergency is passed over.
    """

    version: str = ""
    tier: Tier | None = None

    def __str__(self) -> str:
        return f"{self.version} ({self.tier})" if self.version else "none"


@dataclass(frozen=True)
class Facts:
    """What rules see of one request, as one policy sees it. ``hours`` 0 is without end."""

    model: str
    environment: str
    namespaces: Sequence[str]
    version: str = ""
    model_class: str = ""
    clusters: Sequence[str] = ()
    hours: int = 0
    history: History = History()
    materiality: Mapping[str, str] = field(default_factory=dict)
    candidate: Mapping[str, float] = field(default_factory=dict)
    incumbent: Mapping[str, float] = field(default_factory=dict)

    @cached_property
    def by_name(self) -> dict[str, Fact]:
        """Return them by the names of `conditions.FACTS` and `conditions.CLAIMS`."""
        return {
            "model.name": self.model,
            "model.version": self.version,
            "model.class": self.model_class,
            "target.environment": self.environment,
            "target.clusters": list(self.clusters),
            "target.namespaces": list(self.namespaces),
            "validity.hours": self.hours,
            "incumbent.exists": bool(self.history.version),
            "incumbent.version": self.history.version,
            "incumbent.tier": self.history.tier or "",
            "claims.materiality": dict(self.materiality),
            "claims.candidate": dict(self.candidate),
            "claims.incumbent": dict(self.incumbent),
        }


def facts_of(spec: Spec, history: History, model_class: str | None) -> Facts:
    """Return the facts of a request, verified and claimed."""
    shown, target = spec.comparison, spec.target
    return Facts(
        model=spec.model.name,
        version=spec.model.version,
        model_class=model_class or "",
        environment=target.environment,
        clusters=target.clusters,
        namespaces=target.namespaces,
        hours=spec.hours,
        history=history,
        materiality=spec.materiality or {},
        candidate=_figures(shown.candidate.metrics),
        incumbent=_figures(shown.incumbent.metrics if shown.incumbent is not None else ()),
    )


def history_of(freeze: Freeze) -> History:
    """Return the history that a frozen route was derived from, as the payload says it."""
    version, _, rest = freeze.route.inputs.get(INCUMBENT, "").partition(" ")
    tier = next((one for one in TIERS if rest == f"({one})"), None)
    return History(version, tier) if tier is not None else History()


def _figures(metrics: Sequence[ClaimedMetric]) -> dict[str, float]:
    return {metric.name: float(metric.value) for metric in metrics}
