"""Which gate a namespace meets: read from the webhook configuration as it is in the cluster, not as somebody meant it to be.

1. A namespace is covered by the webhook of ``signoff-gate`` whose selector takes its labels; by the strictest, were there several.
2. Without the configuration, or where no selector takes it, it is covered by none: whatever runs there runs ungated.
3. A namespace that bears neither label, and that a default which refuses nothing happens to cover, is not gated either: nobody has said
   that models run there, and nothing says which events would count.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from signoff.gate.labels import ENVIRONMENT_LABEL, GATE_LABEL, MODES, Mode
from signoff.record.canonical import Json
from signoff.running.listing import Listing, Object

_CONFIGURATION: Final = "/apis/admissionregistration.k8s.io/v1/validatingwebhookconfigurations/signoff-gate"


@dataclass(frozen=True, slots=True)
class Coverage:
    """``mode`` is None where no gate looks; ``why`` says so in words, or that the cluster's default applies."""

    mode: Mode | None
    why: str = ""

    @property
    def word(self) -> str:
        """``enforce``, ``warn``, ``audit`` or ``none``."""
        return self.mode or "none"


def read_selectors(listing: Listing) -> Mapping[Mode, Object]:
    """Return the namespace selectors of the gate's webhooks as the API server has them; empty where there is no such configuration."""
    found = listing.one(_CONFIGURATION)
    webhooks = found.get("webhooks") if found is not None else None
    selectors: dict[Mode, Object] = {}
    for webhook in webhooks if isinstance(webhooks, list) else ():
        if isinstance(webhook, Mapping):
            selector = webhook.get("namespaceSelector")
            for mode in MODES:
                if webhook.get("name") == f"{mode}.gate.signoff.dev":
                    selectors[mode] = selector if isinstance(selector, Mapping) else {}
    return selectors


def coverage(labels: Mapping[str, str], selectors: Mapping[Mode, Object]) -> Coverage:
    """Return which gate a namespace with these labels meets (rules 1 to 3)."""
    if not selectors:
        return Coverage(None, "there is no webhook configuration signoff-gate in this cluster")
    mode = next((mode for mode in MODES if mode in selectors and selects(selectors[mode], labels)), None)
    if mode is None:
        return Coverage(None, "no webhook of the gate covers this namespace")
    if labels.get(GATE_LABEL) == mode:
        return Coverage(mode)
    if mode != "enforce" and not labels.get(ENVIRONMENT_LABEL):
        return Coverage(None, f"the namespace bears no label {GATE_LABEL}, and the cluster's default ({mode}) refuses nothing")
    return Coverage(mode, f"by the cluster's default: the namespace bears no label {GATE_LABEL}")


def selects(selector: Object, labels: Mapping[str, str]) -> bool:
    """Whether a label selector takes these labels (LabelSelector, meta/v1). What cannot be read takes nothing: then nothing looks."""
    exact, expressions = selector.get("matchLabels") or {}, selector.get("matchExpressions") or []
    if not isinstance(exact, Mapping) or not isinstance(expressions, list):
        return False
    return all(labels.get(key) == value for key, value in exact.items()) and all(_meets(one, labels) for one in expressions)


def _meets(expression: Json, labels: Mapping[str, str]) -> bool:
    if not isinstance(expression, Mapping):
        return False
    key, values = str(expression.get("key")), expression.get("values") or []
    listed = labels.get(key) in values if isinstance(values, list) else False
    answers = {"In": key in labels and listed, "NotIn": not listed, "Exists": key in labels, "DoesNotExist": key not in labels}
    return answers.get(str(expression.get("operator")), False)
