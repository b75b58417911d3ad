"""The facts that rules are asked about: of the request, of the policy's own list, and of the archive's history.

1. Verified is what a promotion binds itself to (name, target, validity: the event admits nothing beyond it), what the policy lists
   (the model's class) and what the archive holds (the live version, and the tier in which it was decided).
2. Everything else that the request says is a claim: materiality, metrics.
3. What is not there is empty, zero or false, never absent; of maps it is absent, and asking for it has no answer.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from signoff.policy.conditions import Fact
from signoff.policy.schema import TIERS
from signoff.record.freeze import Freeze, LiveIncumbent, Tier
from signoff.record.request import ClaimedMetric, Spec

INCUMBENT: Final = "incumbent"
"""The input of a route that says the history."""


@dataclass(frozen=True)
class History:
    """What the archive holds as live for the model, environment and cluster, and the tier in which that was decided; both or neither."""

    live: LiveIncumbent | None = None
    tier: Tier | None = None

    def __str__(self) -> str:
        return f"{self.live.version} ({self.tier})" if self.live is not None else "none"


def history_of(freeze: Freeze) -> History:
    """Return the history that a frozen route was derived from, as the payload says it."""
    live = freeze.live
    if live is None:
        return History()
    told = freeze.route.inputs.get(INCUMBENT)
    return History(live, next((tier for tier in TIERS if str(History(live, tier)) == told), None))


def hours_of(spec: Spec) -> int:
    """Return for how many hours a request asks; 0 is without end."""
    return int(spec.validFor.removesuffix("h")) if spec.validFor is not None else 0


def facts_of(spec: Spec, history: History, model_class: str | None) -> dict[str, Fact]:
    """Return the facts of a request, verified and claimed, by the names of `conditions.FACTS` and `conditions.CLAIMS`."""
    live, shown = history.live, spec.comparison
    return {
        "model.name": spec.model.name,
        "model.version": spec.model.version,
        "model.class": model_class or "",
        "target.environment": spec.target.environment,
        "target.clusters": list(spec.target.clusters),
        "target.namespaces": list(spec.target.namespaces),
        "validity.hours": hours_of(spec),
        "incumbent.exists": live is not None,
        "incumbent.version": live.version if live is not None else "",
        "incumbent.tier": history.tier or "",
        "claims.materiality": dict(spec.materiality or {}),
        "claims.candidate": _figures(shown.candidate.metrics),
        "claims.incumbent": _figures(shown.incumbent.metrics if shown.incumbent is not None else ()),
    }


def _figures(metrics: Sequence[ClaimedMetric]) -> dict[str, float]:
    return {metric.name: float(metric.value) for metric in metrics}
