"""The desks that the golden renditions stand for: the example as it is, and one of each thing that it does not have."""

from __future__ import annotations

import copy
from collections.abc import Callable

from builders import example, example_explanation, route_value, shown_of, shown_value

from signoff.record.canonical import Json, b64encode, dumps
from signoff.record.freeze import Shown
from signoff.record.values import sha256

MARKDOWN = (
    b"# Why\n\nThe retrained model ranks better.\n\n| segment | auc |\n| --- | --- |\n| new | 0.79 |\n\n<script>alert('x')</script>\n"
)


def first_promotion() -> tuple[Shown, bytes]:
    return shown_of(shown_value()), example_explanation()


def later_promotion() -> tuple[Shown, bytes]:
    """An incumbent that is not the live one, figures of signed checks, an image index, two roles and many challengers."""
    manifest = copy.deepcopy(example("promotion.yaml"))
    spec = manifest["spec"]
    index = dumps({"schemaVersion": 2, "manifests": [_manifest("amd64"), _manifest("arm64")]})
    candidate = {**spec["comparison"]["candidate"], "digest": sha256(index)}
    incumbent = {"name": "2.3 as promoted", "version": "2.3.1", "digest": sha256(b"2.3.1"), "metrics": [{"name": "auc", "value": "0.8012"}]}
    spec |= {
        "model": {
            "name": "credit-scoring",
            "version": "2.4.0",
            "image": f"registry.bank.example/models/credit-scoring@{sha256(index)}",
            "imageIndex": b64encode(index),
            "incumbent": {"version": "2.3.1", "digest": sha256(b"2.3.1")},
        },
        "comparison": {"candidate": candidate, "incumbent": incumbent, "challengers": [_challenger(n) for n in range(1, 9)]},
        "target": {"environment": "production", "clusters": ["demo", "frankfurt"], "namespaces": ["credit", "credit-batch"]},
        "explanation": {"mediaType": "text/markdown", "digest": sha256(MARKDOWN), "source": {"inline": MARKDOWN.decode()}},
        "validFor": "100h",
        "attempt": 2,
        "supersedes": "ab" * 32,
    }
    value = shown_value(
        spec,
        explanation={"mediaType": "text/markdown", "size": len(MARKDOWN), "digest": sha256(MARKDOWN), "origin": "inline"},
        live={"id": "cd" * 32, "event": sha256(b"event"), "version": "2.3.0", "digest": sha256(b"2.3.0")},
        route=_strict_route(),
    )
    for figure in value["comparison"]["candidate"]["metrics"][:3]:
        figure["source"] = f"check:{sha256(b'a check')}"
    return shown_of(value), MARKDOWN


def bare_promotion() -> tuple[Shown, bytes]:
    """As little as a request may hold."""
    text = b"See the committee's minutes.\n"
    spec = {key: value for key, value in example("promotion.yaml")["spec"].items() if key not in {"materiality", "validFor"}}
    spec["model"] = {key: value for key, value in spec["model"].items() if key != "artifacts"}
    spec["comparison"] = {"candidate": spec["comparison"]["candidate"]}
    spec["explanation"] = {"mediaType": "text/plain", "digest": sha256(text), "source": {"inline": text.decode()}}
    named = {"mediaType": "text/plain", "size": len(text), "digest": sha256(text), "origin": "inline"}
    return shown_of(shown_value(spec, explanation=named, route=route_value(inputs={}))), text


DESKS: dict[str, Callable[[], tuple[Shown, bytes]]] = {
    "first-promotion": first_promotion,
    "later-promotion": later_promotion,
    "bare-promotion": bare_promotion,
}


def _manifest(architecture: str) -> Json:
    return {"digest": sha256(architecture.encode()), "platform": {"os": "linux", "architecture": architecture}}


def _challenger(number: int) -> Json:
    metrics = [{"name": "auc", "value": f"0.7{number}"}, {"name": "expected-loss-in-the-largest-hundred-exposures", "value": "-1.25e-3"}]
    return {"name": f"challenger of seed {number}", "version": f"2.4.0-rc.{number}", "digest": sha256(b"%d" % number), "metrics": metrics}


def _strict_route() -> Json:
    requirement = {
        "quorum": 3,
        "roles": [
            {"name": "model-risk", "count": 1, "groups": ["model-risk", "model-validation"]},
            {"name": "approver", "count": 2, "groups": ["model-approvers"]},
        ],
        "fourEyes": False,
        "assurance": "fresh-login",
    }
    considered = [
        {"name": "credit-models", "statement": sha256(b"one"), "rule": "named-individual", "tier": "tier-2"},
        {"name": "house-rules", "statement": sha256(b"two"), "rule": "retail lending", "tier": "tier-1"},
    ]
    inputs = {"zone": "eu", "exposure": "retail-lending", "checks": "1"}
    return {
        "tier": "tier-1",
        "policy": "house-rules",
        "rule": "retail lending",
        "requirement": requirement,
        "considered": considered,
        "inputs": inputs,
    }
