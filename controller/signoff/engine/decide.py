"""What the policy engine decides, and when it leaves a promotion alone.

It presses where all of these hold, each looked at anew, from the archive:

1. The promotion's status names a freeze in tier 3 that awaits a decision. The status is a hint where to look, and nothing more.
2. The freeze is in the archive, is of this very request, and was frozen in this cluster.
3. The route derived again, from the archived policies, the archive's history and the signed checks as they count now, is the frozen one,
   and is tier 3.
4. What the desk shows as live is live still.

It approves and never rejects: what it does not approve waits, and the operator routes it anew when policies, checks or history change. The
door asks all of this again, and whether the trust file names whoever presses as an engine.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from signoff.api import API_VERSION
from signoff.archive.store import Missing
from signoff.errors import SignoffError
from signoff.policy.routing import check_input
from signoff.record.canonical import Json
from signoff.record.freeze import Freeze
from signoff.record.promotion import is_freeze_of
from signoff.record.request import read_spec, request_id, request_value
from signoff.record.values import Digest, parse_digest
from signoff.verify.policies import derive_now
from signoff.verify.reader import Reader

TIER: Final = "tier-3"
WAITING: Final = "AwaitingDecision"
_MEND: Final = "the operator freezes it again; if it does not, operator and engine have different trust files"


class NotNow(SignoffError):
    """The engine does not approve this as it is now."""


@dataclass(frozen=True)
class Press:
    """A decision to create: the PromotionDecision's namespace and manifest, and what it means."""

    namespace: str
    meaning: str
    manifest: dict[str, Json]


def awaits(promotion: Mapping[str, Json]) -> bool:
    """Whether a promotion's status says that it waits for the engine (rule 1)."""
    status = promotion.get("status")
    if not isinstance(status, Mapping) or status.get("tier") != TIER or not isinstance(status.get("freeze"), str):
        return False
    conditions = status.get("conditions")
    return any(
        isinstance(one, Mapping) and one.get("type") == "Ready" and one.get("reason") == WAITING
        for one in (conditions if isinstance(conditions, list) else ())
    )


def press(reader: Reader, cluster: str, promotion: Mapping[str, Json], now: datetime) -> Press:
    """Return the decision that the engine makes on a promotion that awaits it; `NotNow` says why it makes none (rules 2 to 4).

    ``now`` is aware. Raises `ArchiveError`, `CouldNotTell` and `Failed` as the reader does.
    """
    namespace, name, digest = _named(promotion)
    value = request_value(namespace, name, promotion.get("spec"))
    read_spec(value["spec"])
    request = request_id(value)
    try:
        freeze, _ = reader.freeze(request, digest)
    except Missing:
        raise NotNow("the archive holds no such freeze of this request", where=digest) from None
    if not is_freeze_of(freeze, value) or freeze.cluster != cluster:
        raise NotNow("the freeze is of another request, or of another cluster", where=digest)
    check = _rests_on(reader, freeze, now)
    rule = f"the rule {freeze.route.rule} of the policy {freeze.route.policy}"
    meaning = f"By {rule}: the signed check {check} meets its condition. No person has looked at this."
    manifest: dict[str, Json] = {
        "apiVersion": API_VERSION,
        "kind": "PromotionDecision",
        "metadata": {"namespace": namespace, "name": f"engine-{digest.removeprefix('sha256:')}"},
        "spec": {
            "promotion": name,
            "freeze": digest,
            "rendition": freeze.renditions[0].digest,
            "verdict": "Approve",
            "meaning": meaning,
        },
    }
    return Press(namespace, meaning, manifest)


def _rests_on(reader: Reader, freeze: Freeze, now: datetime) -> str:
    spec = freeze.request.spec
    live = reader.incumbent(spec.model.name, spec.target.environment, freeze.cluster)
    if live != freeze.live:
        raise NotNow("the live version has changed since the desk was frozen", where=freeze.id, mend=_MEND)
    derived = derive_now(freeze, reader, now).route
    check = derived.inputs.get(check_input(derived.rule, derived.policy))
    if derived != freeze.route or derived.tier != TIER or check is None:
        raise NotNow("the route, derived again, is not the frozen one", where=freeze.id, mend=_MEND)
    return check


def _named(promotion: Mapping[str, Json]) -> tuple[str, str, Digest]:
    metadata, status = promotion.get("metadata"), promotion.get("status")
    if not isinstance(metadata, Mapping) or not isinstance(status, Mapping):
        raise NotNow("the object is no promotion with a status")
    return str(metadata.get("namespace")), str(metadata.get("name")), parse_digest(str(status.get("freeze")), "status.freeze")
