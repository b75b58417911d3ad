"""Who and what occurs in a history: people, policies, requests and keys, as plain values."""

from __future__ import annotations

import hashlib
from copy import deepcopy
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from checking import DRIFTED, ENGINE_GROUP, QUIET, brought, bundle_of, check_of, weekly
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
ENGINE, OPERATOR = "signoff-system:signoff-engine", "signoff-system:signoff-operator"
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
    "erik": (),  # a deputy, who holds no role
    "mallory": (ENGINE_GROUP,),  # whose certificate says that she is a service of signoff's namespace
    "paula": (),  # publishes policies
}
PEOPLE = sorted(GROUPS)
AUTHOR, PUBLISHER = "ana@bank.example", "paula@bank.example"
SERVICES = {
    "flux": (FLUX, ()),  # submits
    "engine": (ENGINE, ("system:serviceaccounts", ENGINE_GROUP)),
    "operator": (OPERATOR, ("system:serviceaccounts", ENGINE_GROUP)),  # of the engine's namespace, and no engine
}
KUBERNETES = "https://kubernetes.bank.example"
ACCOUNT = "system:serviceaccount:"
MAY_APPROVE = {f"{name}@bank.example" for name in GROUPS if name not in {"gil", "eve"}} | {ACCOUNT + ENGINE, ACCOUNT + OPERATOR}
MAY_CORRECT = {f"{name}@bank.example" for name in ("rita", "uma")}
WAYS = {"flo@bank.example": "enter Pods beside it"}

MODELS = ("credit-a", "credit-b")
LABELS = {"credit": {"signoff.dev/environment": "production"}, "batch": {"signoff.dev/environment": "production"}}
REPORT = "# Why\n\nIt ranks better."


def issuers() -> tuple[Issuer, ...]:
    return tuple(Issuer.model_validate(one) for one in ISSUERS)


def person(name: str, *groups: str) -> Value:
    """What the API server says of who sends a request, with further groups."""
    if name not in SERVICES:
        return user(name, *GROUPS[name], *groups)
    subject, own = SERVICES[name]
    return {
        "username": f"{ACCOUNT}{subject}",
        "groups": [*own, *groups, "system:authenticated"],
        "extra": {CREDENTIAL: ["JTI=5e0b"]},
    }


def name_of(subject: str) -> str:
    return next((name for name, (account, _) in SERVICES.items() if account == subject), subject.partition("@")[0])


def subject_of(name: str) -> str:
    return SERVICES[name][0] if name in SERVICES else f"{name}@bank.example"


def groups_of(name: str) -> set[str]:
    return set(SERVICES[name][1] if name in SERVICES else GROUPS[name])


def lets_approve(name: str) -> bool:
    """Whether Kubernetes lets somebody approve."""
    return person(name)["username"] in MAY_APPROVE


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


class Repeatable(PemSigner):
    """A signer that signs the same bytes alike (RFC 6979), so that a history can be played again byte for byte."""

    def __init__(self, number: int) -> None:
        key = ec.derive_private_key(number, ec.SECP256R1())
        super().__init__(key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))

    def sign(self, data: bytes) -> bytes:
        return self._key.sign(data, ec.ECDSA(hashes.SHA256(), deterministic_signing=True))


KEYS = {use: [Repeatable(first + number) for number in range(4)] for use, first in (("seal", 1000), ("event", 2000), ("check", 3000))}
CHECKERS = tuple(one.key_id for one in KEYS["check"])
"""The keys that the weekly policy names: the first, and those that follow it."""
UNNAMED, STRANGER = Repeatable(4000), Repeatable(5000)
"""A checker of the trust file whom no policy names, and somebody whom nothing names."""

TEXTS = {
    "one": policy_text({"approver": 1}),
    "two": policy_text({"approver": 2}),
    "mixed": policy_text({"approver": 1, "risk": 1}),
    "first": by_history({"approver": 2}, {"approver": 1}),
    "narrow": policy_text({"approver": 1}, models="credit-a"),
    "weekly": weekly(policy_text({"approver": 1}), *CHECKERS),
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


def promotion(
    model: str,
    version: int,
    incumbent: int | None,
    attempt: int,
    cluster: str = "demo",
    valid_for: str | None = None,
    check: tuple[str, int] | None = None,
) -> Value:
    """A ModelPromotion with a small desk. ``check`` is what it brings along, of `CHECKS`, by the checker's key of that number."""
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
    if check is not None:
        kind, number = check
        spec["checks"] = checks(spec, kind, KEYS["check"][number])
        name += f"-{kind}-{number}"
    return {"apiVersion": "signoff.dev/v1alpha1", "kind": "ModelPromotion", "metadata": {"name": name, "namespace": "credit"}, "spec": spec}


CHECKS = ("good", "drifted", "stranger", "unnamed", "candidate", "incumbent", "data", "two")


def checks(spec: Value, kind: str, checker: Repeatable) -> list[Value]:
    """What a request brings along: a good check, or one that is not what it ought to be, or two."""
    other = digest("another")

    def change(check: Value) -> None:
        if kind == "candidate":
            check["candidate"]["digest"] = other
        elif kind == "incumbent":
            check["incumbent"] = {"version": "9.0", "digest": other}
        elif kind == "data":
            check["datasets"][0]["digest"] = other

    signer = {"stranger": STRANGER, "unnamed": UNNAMED}.get(kind, checker)
    first = brought(bundle_of(check_of(spec, DRIFTED if kind == "drifted" else QUIET, change), signer))
    again = brought(bundle_of(check_of(spec, {**QUIET, "auc": "0.8128"}), signer))
    return [first, again] if kind == "two" else [first]


def delegation(name: str, to: str, tiers: tuple[str, ...], models: str, begins: datetime, ends: datetime) -> Value:
    spec = {
        "to": {"issuer": PAULA.issuer, "subject": subject_of(to)},
        "models": [models],
        "tiers": list(tiers),
        "validFrom": format_time(begins),
        "validUntil": format_time(ends),
        "reason": "Two weeks in the mountains.",
    }
    return {"apiVersion": "signoff.dev/v1alpha1", "kind": "PromotionDelegation", "metadata": {"name": name}, "spec": spec}


def correction(name: str, request: str, event: str, verdict: str, reason: str) -> Value:
    spec = {"request": request, "event": event, "verdict": verdict, "reason": reason}
    metadata = {"name": name, "namespace": "credit"}
    return {"apiVersion": "signoff.dev/v1alpha1", "kind": "PromotionCorrection", "metadata": metadata, "spec": spec}


def lets_correct(name: str) -> bool:
    """Whether Kubernetes lets somebody revoke and annotate."""
    return person(name)["username"] in MAY_CORRECT


@dataclass
class Keyring:
    """The trust file as it changes: the keys in use, and when each began and ended."""

    current: dict[str, int] = field(default_factory=lambda: {"seal": 0, "event": 0, "check": 0})
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

    def has_ended(self, *uses: str, how: str = "") -> bool:
        """Whether a key of these uses has ended, or has ended in this manner."""
        ends = ((use, self.ended.get(one.key_id)) for use in uses for one in KEYS[use])
        return any(end is not None and how in {"", end[0]} for _, end in ends)

    def names(self, key: str) -> bool:
        """Whether the trust file names a key: those of use and those that were."""
        return not any(key == one.key_id for use, last in self.current.items() for one in KEYS[use][last + 1 :])

    def is_good(self, key: str, at: datetime) -> bool:
        """Whether what was stored at a time under this key counts."""
        if not self.names(key) or (key in self.begun and at < self.begun[key]):
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
        keys.append(trusted_key(UNNAMED, "check"))
        engines = [{"issuer": KUBERNETES, "subject": ENGINE}]
        value = {
            "format": "signoff.dev/trust/v1",
            "version": self.version,
            "keys": keys,
            "policies": {"publishers": [{"issuer": PAULA.issuer, "subject": PAULA.subject}], "fourEyes": False, "engines": engines},
        }
        return read_trust(dumps(value))
