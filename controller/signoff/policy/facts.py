"""The facts that rules are asked about: of the request, of the policy's own list, and of the archive's history.

1. Verified is what a promotion binds itself to (name, target, validity: the event admits nothing beyond it), what the policy lists
   (the model's class) and what the archive holds (the live version, and the tier in which it was decided).
2. Everything else that the request says is a claim: materiality, metrics.
3. Of the signed checks that a request brings along those count that are believed (`decision.checks`); a rule sees the one that its checker
   signed, and no other.
4. What is not there is empty, zero or false, never absent; of maps it is absent, and asking for it has no answer.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Final, TypeAlias

from signoff.policy.schema import TIERS
from signoff.record.freeze import Freeze, Tier
from signoff.record.request import ClaimedMetric, Incumbent, Spec
from signoff.record.values import Digest

Fact: TypeAlias = "str | bool | int | Sequence[str] | Mapping[str, str] | Mapping[str, float]"

INCUMBENT: Final = "incumbent"
"""The input of a route that says the history."""
OWED: Final = "owed"
"""The input of a route that says that what is live went live in an emergency, and that nobody has decided on it in full."""

PASSED_OVER: Final = "passed over"
"""The input of a route that says that what is live is not what counts as history."""


@dataclass(frozen=True)
class History:
    """What counts as live for a request, and the tier in which it was decided; neither where nothing does. Passed over is what went live
    in an emergency, and what was promoted for less than the request's whole target. ``owed``: what is live owes a full approval. ``live``
    is what is live, and ``passed_over`` whether it is among what was passed over.
    """

    version: str = ""
    tier: Tier | None = None
    owed: bool = False
    live: Incumbent | None = None
    passed_over: bool = False

    def __str__(self) -> str:
        return f"{self.version} ({self.tier})" if self.version else "none"


@dataclass(frozen=True)
class Measured:
    """A check that a request brings along: its digest, the key that it names, its figures, and the reference data that it used, by digest.
    ``flaw`` says why it does not count.
    """

    digest: Digest
    key: Digest
    figures: Mapping[str, str]
    references: Sequence[Digest] = ()
    flaw: str = ""


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
    checks: Sequence[Measured] = ()

    @cached_property
    def by_name(self) -> dict[str, Fact]:
        """Return them by the names of `conditions.FACTS` and `conditions.CLAIMS`; a check's figures are each rule's own."""
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


def facts_of(spec: Spec, history: History, checks: Sequence[Measured] = ()) -> Facts:
    """Return the facts of a request, verified and claimed; its class is each policy's own."""
    shown, target = spec.comparison, spec.target
    return Facts(
        model=spec.model.name,
        version=spec.model.version,
        environment=target.environment,
        clusters=target.clusters,
        namespaces=target.namespaces,
        hours=spec.hours,
        history=history,
        materiality=spec.materiality or {},
        candidate=_figures(shown.candidate.metrics),
        incumbent=_figures(shown.incumbent.metrics if shown.incumbent is not None else ()),
        checks=checks,
    )


def history_of(freeze: Freeze) -> History:
    """Return the history that a frozen route was derived from, as the payload says it."""
    inputs = freeze.route.inputs
    version, _, rest = inputs.get(INCUMBENT, "").partition(" ")
    tier = next((one for one in TIERS if rest == f"({one})"), None)
    live = freeze.live.shown if freeze.live is not None else None
    return History(version if tier is not None else "", tier, OWED in inputs, live, PASSED_OVER in inputs)


def _figures(metrics: Sequence[ClaimedMetric]) -> dict[str, float]:
    return {metric.name: float(metric.value) for metric in metrics}
