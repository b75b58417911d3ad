"""The desks that the golden renditions stand for: the example as it is, and one of each thing that it does not have."""

from __future__ import annotations

import copy
from collections.abc import Callable

from builders import example, example_explanation, route_value, shown_of, shown_value
from checking import brought, bundle_of, check_of

from signoff.record.canonical import Json, b64encode, dumps
from signoff.record.freeze import Freeze, Shown, last_approved
from signoff.record.promotion import as_json
from signoff.record.values import parse, sha256

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


def refreshed_promotion() -> tuple[Shown, bytes]:
    """A refresh of what the first promotion made live: a check with segments and drift, and whatever may change since then."""
    first = approved_first()
    spec = copy.deepcopy(example("promotion.yaml"))["spec"]
    was = spec["model"]
    image = sha256(b"credit-scoring 2.5.0")
    live = {"version": was["version"], "digest": was["image"].partition("@")[2]}
    then = {metric["name"]: metric["value"] for metric in spec["comparison"]["candidate"]["metrics"]}
    now = then | {"auc": "0.8161", "gini": "0.6322", "brier": "0.0371", "lift-10": "3.4"}
    now.pop("psi")
    spec["model"] = {"name": was["name"], "version": "2.5.0", "image": f"{was['image'].partition('@')[0]}@{image}", "incumbent": live}
    spec["model"]["artifacts"] = [{**was["artifacts"][0], "digest": sha256(b"weights of 2.5.0")}, *was["artifacts"][1:]]
    spec["comparison"] = {
        "candidate": {"name": "refreshed", "version": "2.5.0", "digest": image, "metrics": _metrics(now)},
        "incumbent": {"name": "2.4 as promoted", **live, "metrics": _metrics(then | {"auc": "0.8119"})},
        "challengers": [{"version": "2.3.2", "digest": sha256(b"2.3.2"), "metrics": _metrics({"auc": "0.7911", "gini": "0.5822"})}],
    }
    spec["datasets"][0] = {**spec["datasets"][0], "version": "2026-07-15", "digest": sha256(b"2026h1")}
    spec["target"] = {**spec["target"], "namespaces": ["credit", "credit-batch"]}
    spec["checks"] = [brought(bundle_of(check_of(spec, MEASURED), STILL))]
    value = shown_value(
        spec,
        live={"id": first.id, "event": sha256(b"the event of 2.4.0"), **live},
        lastApproved=as_json(last_approved(first, sha256(dumps(as_json(first))))),
        route=_strict_route(),
    )
    return shown_of(value), example_explanation()


def approved_first() -> Freeze:
    """The freeze on which the first promotion was approved."""
    renditions = [{"mediaType": "text/plain", "size": 1, "digest": sha256(b"the desk of then")}]
    return parse(Freeze, dumps({**shown_value(), "renditions": renditions}), "freeze")


MEASURED = {
    "auc": "0.816100",
    "auc.incumbent": "0.811900",
    "auc.change": "0.004200",
    "ks": "0.473100",
    "calibration.error": "0.008100",
    "rows": "48210",
    "psi.score": "0.041000",
    "drift.ks.score": "0.038000",
    "psi.income": "0.018000",
    "psi.postcode <b>area</b>": "0.310000",
    "psi.max": "0.310000",
    "schema.added": "0",
    "auc in region=north": "0.822100",
    "auc.change in region=north": "0.005000",
    "calibration.error in region=north": "0.007000",
    "rows in region=north": "30110",
    "auc in region=south": "0.791200",
    "auc.change in region=south": "-0.006100",
    "calibration.error in region=south": "0.019000",
    "rows in region=south": "18060",
    "rows in region=abroad": "40",
    "segments.auc.change.worst": "-0.006100",
}


class _Still:
    """Signs nothing: a desk shows what a check says and what the route says of it, and believes neither."""

    key_id = sha256(b"the key of a checker")
    public_pem = ""

    def sign(self, data: bytes) -> bytes:  # noqa: ARG002 - the interface of signers
        return b"no signature"


STILL = _Still()


def hostile_figures() -> tuple[Shown, bytes]:
    """Figures and names that nobody should send: the far ends of what a figure may be, equal ones, none, and markup for names."""
    spec = copy.deepcopy(example("promotion.yaml"))["spec"]
    columns: list[dict[str, str]] = [
        {"huge": "9.9e99", "tiny": "1e-99", "far apart": "1e99", "equal": "0.50", "nothing": "0", "minus": "-1", "alone": "1"},
        {"huge": "-9.9e99", "tiny": "-1e-99", "far apart": "1e-99", "equal": "0.5", "nothing": "0.0", "minus": "-0.999"},
        {"huge": "0", "tiny": "0", "far apart": "-1e99", "equal": "5e-1", "nothing": "-0", "minus": "-3"},
    ]
    columns[0]['"><script>alert(1)</script><svg onload=alert(2)>'] = "1"
    columns[1]['"><script>alert(1)</script><svg onload=alert(2)>'] = "2"
    columns[0]["x" * 256] = f"0.{'3' * 62}"
    columns[1]["x" * 256] = f"0.{'3' * 61}4"
    entries = [{"version": f"2.4.{n}", "digest": sha256(b"%d" % n), "metrics": _metrics(one)} for n, one in enumerate(columns)]
    candidate = {**spec["comparison"]["candidate"], "metrics": entries[0]["metrics"]}
    spec["comparison"] = {"candidate": candidate, "challengers": entries[1:]}
    spec["checks"] = [brought(bundle_of(check_of(spec, {f"f{n} in s{n}": f"{n}e{n}" for n in range(90)}), STILL))]
    far = {"psi.a": "1e99", "psi.b": "-1e-99", "drift.x": "0", "auc in <i>a</i>": "-1e99", "auc in b": "1e99", "auc": "0"}
    spec["checks"].append(brought(bundle_of(check_of(spec, far), STILL)))
    return shown_of(shown_value(spec)), example_explanation()


def crowded() -> tuple[Shown, bytes]:
    """As many figures as a spec of 96 KiB holds of 200 metrics and ten challengers: too many for one column each to have them all."""
    value = shown_value()
    names = [f"metric-{number:03}" for number in range(200)]
    column = value["comparison"]["candidate"]  # type: ignore[index,call-overload]
    value["comparison"] = {
        "candidate": {**column, "metrics": [{"name": name, "value": "0.5", "source": "claimed"} for name in names]},  # type: ignore[dict-item]
        "challengers": [
            {
                "name": f"challenger {n}",
                "version": f"1.{n}",
                "digest": sha256(b"%d" % n),
                "metrics": [{"name": name, "value": f"0.{n}{i:03}", "source": "claimed"} for i, name in enumerate(names)],
            }
            for n in range(10)
        ],
    }
    return shown_of(value), example_explanation()


def _metrics(figures: dict[str, str]) -> list[Json]:
    return [{"name": name, "value": value} for name, value in figures.items()]


DESKS: dict[str, Callable[[], tuple[Shown, bytes]]] = {
    "first-promotion": first_promotion,
    "later-promotion": later_promotion,
    "bare-promotion": bare_promotion,
    "refreshed-promotion": refreshed_promotion,
    "hostile-figures": hostile_figures,
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
