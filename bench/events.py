"""What an archive of any size is made of: events, signed for real. Pure: the time and the keys are passed in.

1. Each event is a freeze, a submission, a seal and an envelope by the record's own functions. Nothing is signed once and copied.
2. What all events share is made once: the policy, the explanation and the renditions. A rendition is of the first event's desk; no verifier
   renders again, and only admission, which no event here went through, holds a desk against its rendition.
3. A desk is ``small`` (one figure, one dataset) or the ``example``'s, as shown to users.
4. Each event promotes a digest of its own, which follows from the archive's label and the event's number; `digest_of` gives it again.
5. A hundred requests make up a model's history, where no other number is asked for. None names the one before it as incumbent, as they
   would if one followed the other.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, Literal

import yaml

from bench.errors import BenchError
from signoff.archive import layout
from signoff.decision.seals import policy_bundle, seal_bundle, submission_bundle
from signoff.desk.freezing import Gathered, freeze_request
from signoff.operator.commit import pointers
from signoff.policy.facts import History
from signoff.policy.routing import route
from signoff.policy.schema import Published, read_policy
from signoff.record.bundle import Signer, read_bundle, sign_bundle
from signoff.record.canonical import Json, b64encode, dumps
from signoff.record.freeze import Freeze, Principal, WitnessedSubmission, freeze_bytes
from signoff.record.promotion import PROMOTION_TYPE, SealedDecision, as_json, outcome_bytes
from signoff.record.request import read_spec, request_id, request_value
from signoff.record.seal import PublishedPolicy, Seal, Submission
from signoff.record.values import Digest, parse, sha256

ROOT: Final = Path(__file__).parent.parent
EXAMPLE: Final = ROOT / "examples" / "credit-scoring"
CLUSTER: Final = "demo"
ENVIRONMENT: Final = "production"
REPOSITORY: Final = "registry.bank.example/models"
ISSUER: Final = "https://pki.bank.example"
HISTORY: Final = 100

DeskSize = Literal["small", "example"]
Objects = dict[str, bytes]


@dataclass(frozen=True)
class Template:
    """What the events share: the archive's label, the namespace, the manifest, and the first event's desk with its route."""

    label: str
    namespace: str
    spec: Mapping[str, Any]
    shown: Mapping[str, Json]
    inputs: Mapping[str, str]
    now: str
    history: int = HISTORY


def digest_of(label: str, number: int) -> Digest:
    """The digest that the event of this number promotes (rule 4)."""
    return Digest("sha256:" + hashlib.sha256(f"{label} {number}".encode()).hexdigest())


def policy_spec() -> dict[str, Any]:
    """The policy by which every event is routed: the example's, for all models and namespaces."""
    spec: dict[str, Any] = yaml.safe_load((EXAMPLE / "policy.yaml").read_text())["spec"]
    return {**spec, "models": [{"names": ["*"], "namespaces": ["*"]}]}


def template_of(label: str, namespace: str, desk: DeskSize, key: Signer, now: str, history: int = HISTORY) -> tuple[Template, Objects]:
    """Return the template, and the objects that all events share: the published policy, the explanation and its renditions (rule 2)."""
    explanation = (EXAMPLE / "explanation.html").read_bytes() if desk == "example" else b"Ranks better than the version before.\n"
    spec = _manifest(namespace, desk, explanation)
    content = dumps(policy_spec())
    said: dict[str, Json] = {
        "name": "credit-models",
        "content": b64encode(content),
        "cluster": CLUSTER,
        "publisher": as_json(person("paula")),
        "method": "X509SHA256",
        "time": now,
    }
    published = policy_bundle(parse(PublishedPolicy, dumps(said), "policy"), content, key)
    statement = read_bundle(published, "policy").digest
    policy = Published("credit-models", read_policy(json.loads(content)), statement)
    first = _spec(spec, label, 0, history)
    checked = read_spec(first)
    unsigned: Json = {"principal": as_json(person("ben")), "time": now, "bundle": b64encode(b"-")}
    witnessed = parse(WitnessedSubmission, dumps(unsigned), "submission")
    frozen = freeze_request(
        Gathered(
            namespace=namespace,
            name=f"{label}-0",
            spec_value=first,
            spec=checked,
            cluster=CLUSTER,
            submissions=(witnessed,),
            route=route(checked, (policy,), History()),
            live=None,
            explanation=explanation,
            origin="inline" if desk == "small" else "the example",
        )
    )
    contents = [explanation, *(one.content for one in frozen.renditions)]
    shared = {layout.blob(sha256(content)): content for content in contents} | {layout.statement("policy", statement): published}
    return Template(label, namespace, spec, as_json(frozen.freeze), frozen.freeze.route.inputs, now, history), shared


def objects(template: Template, number: int, seal_key: Signer, event_key: Signer) -> Objects:
    """Return what the event of this number consists of, by key; the event comes last, as in every archive."""
    label, now = template.label, template.now
    name = f"{label}-{number}"
    spec = _spec(template.spec, label, number, template.history)
    request = request_value(template.namespace, name, spec)
    slot = request_id(request)
    place: Json = {"namespace": template.namespace, "name": name}
    ben = as_json(person("ben"))
    said: dict[str, Json] = {
        "id": slot,
        "promotion": place,
        "cluster": CLUSTER,
        "principal": ben,
        "method": "X509SHA256",
        "time": now,
    }
    submitted = submission_bundle(parse(Submission, dumps(said), "submission"), seal_key)
    witnessed: Json = {"principal": ben, "time": now, "bundle": b64encode(submitted)}
    shown = _mapping(template.shown["comparison"])
    candidate = spec["comparison"]["candidate"]
    column = {**_mapping(shown["candidate"]), "version": candidate["version"], "digest": candidate["digest"]}
    value: dict[str, Json] = {
        **template.shown,
        "id": slot,
        "request": request,
        "submissions": [witnessed],
        "comparison": {**shown, "candidate": column},
        "route": {**_mapping(template.shown["route"]), "inputs": {**template.inputs, "model": spec["model"]["name"]}},
    }
    payload, digest = freeze_bytes(value)
    freeze = parse(Freeze, payload, "freeze")
    sealed = _sealed(freeze, digest, place, now, seal_key)
    principal = sealed.seal.decided.principal
    pointer = dumps({"event": layout.event(freeze.id)}) + b"\n"
    return {
        layout.freeze(freeze.id, digest): payload,
        layout.seal(digest, principal.issuer, principal.subject): sealed.bundle,
        **dict.fromkeys(pointers(freeze, PROMOTION_TYPE), pointer),
        layout.event(freeze.id): sign_bundle(outcome_bytes(PROMOTION_TYPE, payload, freeze, [sealed]), event_key),
    }


def _sealed(freeze: Freeze, digest: Digest, place: Json, now: str, key: Signer) -> SealedDecision:
    value: dict[str, Json] = {
        "id": freeze.id,
        "freeze": digest,
        "rendition": freeze.renditions[0].digest,
        "promotion": place,
        "cluster": CLUSTER,
        "decided": {
            "principal": as_json(person("carla")),
            "verdict": "Approve",
            "meaning": "I approve this model version for the use described on this desk.",
            "method": "X509SHA256",
            "roles": ["approver"],
            "groups": ["model-approvers"],
            "delegation": [],
            "consent": {"assurance": "api-server", "proofs": []},
            "time": now,
        },
    }
    seal = parse(Seal, dumps(value), "seal")
    return SealedDecision(seal, seal_bundle(seal, key))


def _manifest(namespace: str, desk: DeskSize, explanation: bytes) -> dict[str, Any]:
    spec: dict[str, Any] = yaml.safe_load((EXAMPLE / "promotion.yaml").read_text())["spec"]
    spec["target"] = {"environment": ENVIRONMENT, "clusters": [CLUSTER], "namespaces": [namespace]}
    spec["model"].pop("artifacts", None)
    if desk == "small":
        spec["comparison"] = {"candidate": {**spec["comparison"]["candidate"], "metrics": spec["comparison"]["candidate"]["metrics"][:1]}}
        spec["explanation"] = {"mediaType": "text/plain", "digest": sha256(explanation), "source": {"inline": explanation.decode()}}
        spec["datasets"] = spec["datasets"][:1]
        spec["reason"] = "Ranks better."
        del spec["materiality"], spec["validFor"]
    return spec


def _spec(template: Mapping[str, Any], label: str, number: int, history: int) -> dict[str, Any]:
    version = f"1.{number}.0"
    model = {"name": _model(label, number, history), "version": version, "image": image_of(label, number, history)}
    candidate = {**template["comparison"]["candidate"], "version": version, "digest": digest_of(label, number)}
    return {**template, "model": model, "comparison": {**template["comparison"], "candidate": candidate}}


def _model(label: str, number: int, history: int) -> str:
    return f"{label}-model-{number // history}"


def image_of(label: str, number: int, history: int = HISTORY) -> str:
    """The image that the event of this number promotes."""
    return f"{REPOSITORY}/{_model(label, number, history)}@{digest_of(label, number)}"


def person(name: str) -> Principal:
    """Somebody at the bank."""
    return Principal(issuer=ISSUER, subject=f"{name}@bank.example", name=f"{name}@bank.example")


def _mapping(value: Json) -> Mapping[str, Json]:
    if not isinstance(value, Mapping):
        raise BenchError("the template's desk shows no comparison")
    return value
