"""Who and what occurs in a history: people, policies, requests and keys, as plain values."""

from __future__ import annotations

import hashlib
from copy import deepcopy
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from world import PAULA, POLICY, SPEC, trusted_key

from signoff.decision.principals import Issuer
from signoff.record.canonical import dumps
from signoff.record.keys import PemSigner
from signoff.record.trust import Trust, read_trust
from signoff.record.values import format_time, parse_time, sha256
from tests.webhook.listening import ISSUERS
from tests.webhook.reviews import CREDENTIAL, user

Value = dict[str, Any]

FLUX = "flux-system:flux"
GROUPS = {
    "ben": ("model-approvers",),  # submits
    "ana": ("model-approvers",),  # the author whom the requests name
    "carla": ("model-approvers",),
    "david": ("model-approvers",),
    "rita": ("risk-approvers",),
    "uma": ("model-approvers", "risk-approvers"),
    "flo": ("model-approvers",),  # may enter Pods beside the pipeline
    "gil": ("model-approvers",),  # whom Kubernetes does not let approve
    "eve": (),
    "paula": (),  # publishes policies
}
PEOPLE = sorted(GROUPS)
AUTHOR, PUBLISHER = "ana@bank.example", "paula@bank.example"
MAY_APPROVE = {f"{name}@bank.example" for name in GROUPS if name not in {"gil", "eve"}}
WAYS = {"flo@bank.example": "enter Pods beside it"}
SERVICE: Value = {"username": f"system:serviceaccount:{FLUX}", "groups": [], "extra": {CREDENTIAL: ["JTI=5e0b"]}}

MODELS = ("credit-a", "credit-b")
LABELS = {"credit": {"signoff.dev/environment": "production"}, "batch": {"signoff.dev/environment": "production"}}
REPORT = "# Why\n\nIt ranks better."


def issuers() -> tuple[Issuer, ...]:
    return tuple(Issuer.model_validate(one) for one in ISSUERS)


def person(name: str) -> Value:
    """What the API server says of who sends a request."""
    return SERVICE if name == "flux" else user(name, *GROUPS[name])


def name_of(subject: str) -> str:
    return "flux" if subject == FLUX else subject.partition("@")[0]


def policy_text(roles: Value, models: str = "credit-*") -> Value:
    text: Value = deepcopy(POLICY)
    text["models"] = [{"names": [models], "namespaces": ["credit"]}]
    groups = {"approver": ["model-approvers"], "risk": ["risk-approvers"]}
    wanted = [{"name": role, "groups": groups[role], "count": count} for role, count in roles.items()]
    text["tiers"]["tier-2"] |= {"quorum": sum(roles.values()), "roles": wanted}
    return text


def by_history(first: Value, later: Value) -> Value:
    """What goes live first is decided in tier 1, what replaces it in tier 2; what claims to be major, in tier 1 as well."""
    text, strict = policy_text(later), policy_text(first)
    text["rules"] = [{"name": "first", "tier": "tier-1", "when": "!incumbent.exists"}, {"name": "later", "tier": "tier-2"}]
    text["raise"] = [{"name": "major", "tier": "tier-1", "when": 'claims.materiality["change"] == "major"'}]
    text["tiers"]["tier-1"] = strict["tiers"]["tier-2"]
    return text


TEXTS = {
    "one": policy_text({"approver": 1}),
    "two": policy_text({"approver": 2}),
    "mixed": policy_text({"approver": 1, "risk": 1}),
    "first": by_history({"approver": 2}, {"approver": 1}),
    "narrow": policy_text({"approver": 1}, models="credit-a"),
}
POLICY_NAMES = ("credit-models", "house-rule")


def policy(name: str, text: str) -> Value:
    return {
        "apiVersion": "signoff.dev/v1alpha1",
        "kind": "PromotionPolicy",
        "metadata": {"name": name},
        "spec": deepcopy(TEXTS[text]),
    }


def digest(*words: object) -> str:
    return "sha256:" + hashlib.sha256(" ".join(map(str, words)).encode()).hexdigest()


def image_of(model: str, version: int) -> str:
    return digest(model, version)


def promotion(model: str, version: int, incumbent: int | None, attempt: int, cluster: str = "demo", valid_for: str | None = None) -> Value:
    """A ModelPromotion with a small desk."""
    spec: Value = deepcopy(SPEC)
    image = image_of(model, version)
    metrics = [{"name": "auc", "value": "0.81"}]
    spec["model"] = {"name": model, "version": f"{version}.0", "image": f"registry.bank.example/models/{model}@{image}"}
    spec["comparison"] = {"candidate": {"version": f"{version}.0", "digest": image, "metrics": metrics}}
    if incumbent is not None:
        named = {"version": f"{incumbent}.0", "digest": image_of(model, incumbent)}
        spec["model"]["incumbent"] = named
        spec["comparison"]["incumbent"] = {**named, "metrics": metrics}
    spec["explanation"] = {"mediaType": "text/markdown", "digest": sha256(REPORT.encode()), "source": {"inline": REPORT}}
    spec["datasets"] = spec["datasets"][:1]
    spec["target"]["clusters"] = [cluster]
    spec |= {"attempt": attempt, "materiality": {"change": "major" if attempt == 2 else "minor"}}
    spec.pop("validFor")
    if valid_for:
        spec["validFor"] = valid_for
    name = f"{model}-{version}-{'new' if incumbent is None else incumbent}-{attempt}-{cluster}-{valid_for or 'ever'}"
    return {"apiVersion": "signoff.dev/v1alpha1", "kind": "ModelPromotion", "metadata": {"name": name, "namespace": "credit"}, "spec": spec}


class Repeatable(PemSigner):
    """A signer that signs the same bytes alike (RFC 6979), so that a history can be played again byte for byte."""

    def __init__(self, number: int) -> None:
        key = ec.derive_private_key(number, ec.SECP256R1())
        super().__init__(key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))

    def sign(self, data: bytes) -> bytes:
        return self._key.sign(data, ec.ECDSA(hashes.SHA256(), deterministic_signing=True))


KEYS = {"seal": [Repeatable(1000 + number) for number in range(4)], "event": [Repeatable(2000 + number) for number in range(4)]}


@dataclass
class Keyring:
    """The trust file as it changes: the keys in use, and when each began and ended."""

    current: dict[str, int] = field(default_factory=lambda: {"seal": 0, "event": 0})
    begun: dict[str, datetime] = field(default_factory=dict)
    ended: dict[str, tuple[str, datetime]] = field(default_factory=dict)
    version: int = 1

    def signer(self, use: str) -> Repeatable:
        return KEYS[use][self.current[use]]

    def can_go_on(self, use: str) -> bool:
        return self.current[use] + 1 < len(KEYS[use])

    def end(self, use: str, how: str, at: datetime, now: datetime) -> None:
        """End the key in use, or say that it was compromised; the next one begins now."""
        moment = parse_time(format_time(at))
        self.ended[self.signer(use).key_id] = (how, moment)
        self.current[use] += 1
        self.begun[self.signer(use).key_id] = parse_time(format_time(now))
        self.version += 1

    def is_good(self, key: str, at: datetime) -> bool:
        """Whether what was stored at a time under this key counts."""
        if key in self.begun and at < self.begun[key]:
            return False
        return key not in self.ended or at < self.ended[key][1]

    def trust(self) -> Trust:
        keys = []
        for use, last in self.current.items():
            for signer in KEYS[use][: last + 1]:
                changes: Value = {}
                if signer.key_id in self.begun:
                    changes["validFrom"] = format_time(self.begun[signer.key_id])
                if signer.key_id in self.ended:
                    how, at = self.ended[signer.key_id]
                    changes |= {"compromised": {"at": format_time(at)}} if how == "compromised" else {"validUntil": format_time(at)}
                keys.append(trusted_key(signer, use, **changes))
        value = {
            "format": "signoff.dev/trust/v1",
            "version": self.version,
            "keys": keys,
            "policies": {"publishers": [{"issuer": PAULA.issuer, "subject": PAULA.subject}], "fourEyes": False},
        }
        return read_trust(dumps(value))
