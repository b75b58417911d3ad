"""Values for tests, made from the manifests under examples/credit-scoring, so that what is tested is what is shown to users."""

from __future__ import annotations

from pathlib import Path

import yaml

from signoff.desk.render import RENDERER
from signoff.record.canonical import Json, b64encode, dumps
from signoff.record.freeze import FORMAT, Principal, Shown
from signoff.record.promotion import as_json
from signoff.record.request import read_spec, request_id, request_value
from signoff.record.values import parse, sha256

EXAMPLE = Path(__file__).parent.parent / "examples" / "credit-scoring"
ISSUER = "https://login.bank.example"
BEN = Principal(issuer=ISSUER, subject="6f1c2b9e-ben", name="ben@bank.example")


def example(name: str) -> dict[str, Json]:
    """Return one of the example's manifests."""
    manifest: dict[str, Json] = yaml.safe_load((EXAMPLE / name).read_text(encoding="utf-8"))
    return manifest


def example_explanation() -> bytes:
    return (EXAMPLE / "explanation.html").read_bytes()


def shown_value(spec: dict[str, Json] | None = None, **changes: Json) -> dict[str, Json]:
    """Return the JSON value of a `Shown` for the example's promotion, or for another ``spec``; ``changes`` replace top-level fields."""
    manifest = example("promotion.yaml")
    name = manifest["metadata"]["name"]
    spec = manifest["spec"] if spec is None else spec
    read_spec(spec)
    request = request_value("credit", name, spec)
    explanation = example_explanation()
    value: dict[str, Json] = {
        "format": FORMAT,
        "id": request_id(request),
        "request": request,
        "cluster": "demo",
        "submissions": [{"principal": as_json(BEN), "time": "2026-03-02T09:14:07Z", "bundle": b64encode(b"a bundle of admission's")}],
        "comparison": _claimed(spec["comparison"], spec["model"]["name"]),
        "explanation": {
            "mediaType": spec["explanation"]["mediaType"],
            "size": len(explanation),
            "digest": sha256(explanation),
            "origin": "configMap credit-scoring-2.4.0-explanation, key explanation.html",
        },
        "datasets": spec["datasets"],
        "route": route_value(),
        "renderer": RENDERER,
    }
    return value | changes


def route_value(**changes: Json) -> dict[str, Json]:
    """Return the route of the example's policy."""
    statement = sha256(b"the statement of credit-models")
    value: dict[str, Json] = {
        "tier": "tier-2",
        "policy": "credit-models",
        "rule": "named-individual",
        "requirement": {
            "quorum": 1,
            "roles": [{"name": "approver", "count": 1, "groups": ["model-approvers"]}],
            "fourEyes": True,
            "assurance": "api-server",
        },
        "considered": [{"name": "credit-models", "statement": statement, "rule": "named-individual", "tier": "tier-2"}],
        "inputs": {"model": "credit-scoring", "namespace": "credit"},
    }
    return value | changes


def shown_of(value: dict[str, Json]) -> Shown:
    return parse(Shown, dumps(value), "shown")


def example_shown(**changes: Json) -> Shown:
    """Return the example's desk, with top-level fields replaced by ``changes``."""
    return shown_of(shown_value(**changes))


def explained(content: bytes, media_type: str = "text/html") -> Shown:
    """Return the example's desk with another explanation."""
    named = {"mediaType": media_type, "size": len(content), "digest": sha256(content), "origin": "inline"}
    return example_shown(explanation=named)


def _claimed(comparison: dict[str, Json], model: str) -> Json:
    def entry(one: dict[str, Json]) -> Json:
        return {"name": model, **one, "metrics": [{**metric, "source": "claimed"} for metric in one["metrics"]]}

    result: dict[str, Json] = {
        "candidate": entry(comparison["candidate"]),
        "challengers": [entry(one) for one in comparison.get("challengers", [])],
    }
    if "incumbent" in comparison:
        result["incumbent"] = entry(comparison["incumbent"])
    return result
