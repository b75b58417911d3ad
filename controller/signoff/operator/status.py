"""A ModelPromotion's status, by kstatus (sigs.k8s.io/cli-utils, kstatus): pure, from the state that reconciling came to.

1. ``observedGeneration`` is that of the object read. In progress: ``Reconciling=True``, ``Ready=False``. Done: ``Ready=True`` alone.
   Ended without a promotion, or stuck until somebody acts: ``Stalled=True``, ``Ready=False``.
2. ``Frozen``, ``Decided`` and ``Promoted`` say how far the promotion is. What was revoked or has expired is promoted no more: it needs a
   new request.
3. A condition's ``lastTransitionTime`` changes only when its status does.
4. The status reports and nothing reads it as truth: freeze, seals and event are in the archive.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final, Literal

from signoff.decision.corrections import Corrected
from signoff.record.canonical import Json
from signoff.record.freeze import Freeze
from signoff.record.seal import Decided
from signoff.record.values import Digest, RequestId

Phase = Literal["waiting", "progressing", "stalled", "promoted", "rejected", "revoked", "expired", "elsewhere"]
_MESSAGE: Final = 1000
_MOST: Final = 50


@dataclass(frozen=True)
class State:
    """What reconciling came to. ``reason`` is CamelCase, ``message`` one line; ``retry`` is in seconds, None for not by
    itself. ``owed``: promoted in an emergency, and not decided in full yet. ``soon``: it expires within a week. ``running``: the Pods
    (namespace/name) that go on with what is revoked or expired.
    """

    phase: Phase
    reason: str
    message: str
    id: RequestId | None = None
    freeze: Freeze | None = None
    freeze_digest: Digest | None = None
    decisions: Sequence[Decided] = ()
    event: Digest | None = None
    retry: float | None = None
    ignored: Sequence[str] = field(default=())
    owed: bool = False
    soon: bool = False
    corrections: Sequence[Corrected] = ()
    running: Sequence[str] = ()


def status_of(state: State, generation: int, old: Mapping[str, Json], now: str) -> dict[str, Json]:
    """Return the whole status; ``now`` is an RFC 3339 time for conditions that change."""
    status: dict[str, Json] = {
        "observedGeneration": generation,
        "message": state.message[:_MESSAGE],
        "conditions": _conditions(state, generation, old, now),
    }
    if state.id is not None:
        status["id"] = state.id
    if state.freeze is not None and state.freeze_digest is not None:
        route = state.freeze.route
        shown = {one.mediaType: one.digest for one in state.freeze.renditions}
        status |= {"freeze": state.freeze_digest, "tier": route.tier, "rule": route.rule, "policy": route.policy}
        status["desk"] = {"html": shown.get("text/html", ""), "text": shown.get("text/plain", "")}
    if state.decisions:
        status["seals"] = [
            {
                "principal": one.principal.name,
                "issuer": one.principal.issuer,
                "subject": one.principal.subject,
                "verdict": one.verdict,
                "time": one.time,
            }
            for one in state.decisions
        ]
    if state.event is not None:
        status["event"] = state.event
    if state.corrections:
        status["corrections"] = [_correction(one) for one in state.corrections[:_MOST]]
    if state.running:
        status["running"] = list(state.running[:_MOST])
    return status


def _correction(one: Corrected) -> Json:
    said = one.correction
    told = {"verdict": said.verdict, "principal": said.principal.name, "time": said.time, "reason": said.reason, "statement": one.digest}
    return {**told, "issuer": said.principal.issuer, "subject": said.principal.subject}


def _conditions(state: State, generation: int, old: Mapping[str, Json], now: str) -> list[Json]:
    done = state.phase in {"promoted", "rejected", "revoked", "expired"}
    frozen = state.freeze is not None
    statuses = {
        "Frozen": frozen,
        "Decided": done,
        "Promoted": state.phase == "promoted",
        "Ready": state.phase in {"promoted", "elsewhere"},
        "Reconciling": state.phase in {"waiting", "progressing"},
        "Stalled": state.phase in {"stalled", "rejected", "revoked", "expired"},
    }
    before = {one.get("type"): one for one in _list(old.get("conditions")) if isinstance(one, Mapping) and isinstance(one.get("type"), str)}
    return [_condition(name, value, state, generation, before.get(name), now) for name, value in statuses.items()]


def _condition(name: str, value: bool, state: State, generation: int, before: Mapping[str, Json] | None, now: str) -> Json:
    status = "True" if value else "False"
    same = before is not None and before.get("status") == status
    since = before.get("lastTransitionTime") if same and before is not None else None
    return {
        "type": name,
        "status": status,
        "reason": state.reason,
        "message": state.message[:_MESSAGE],
        "observedGeneration": generation,
        "lastTransitionTime": since if isinstance(since, str) else now,
    }


def _list(value: Json) -> Sequence[Json]:
    return value if isinstance(value, list) else ()
