"""Checks for tests: made and signed by the real functions, from a request's own spec."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from copy import deepcopy
from typing import Any

from signoff.record.bundle import Signer, Subject, sign_bundle, statement_bytes
from signoff.record.canonical import b64encode, dumps
from signoff.record.check import CHECK_TYPE, Check, check_bundle
from signoff.record.values import Digest, parse, sha256

REPORT = "<!doctype html><title>Weekly check</title><p>PSI by feature"
QUIET: Mapping[str, str] = {"psi.max": "0.031", "auc": "0.8127", "auc.change": "0.0009"}
DRIFTED: Mapping[str, str] = {"psi.max": "0.31", "auc": "0.8127", "auc.change": "0.0009"}
WHEN = 'check["psi.max"] < 0.1 && check["auc.change"] > -0.005'
ENGINE_GROUP = "system:serviceaccounts:signoff-system"

Change = Callable[[dict[str, Any]], None]


def check_of(spec: Mapping[str, Any], figures: Mapping[str, str] = QUIET, change: Change = lambda _: None) -> dict[str, Any]:
    """Return a check of the candidate that a spec asks for, as JSON."""
    value: dict[str, Any] = {
        "tool": "weekly-check 3.1",
        "time": "2026-03-01T04:00:00Z",
        "candidate": {
            "name": spec["model"]["name"],
            "version": spec["model"]["version"],
            "digest": spec["model"]["image"].partition("@")[2],
            **({"artifacts": spec["model"]["artifacts"]} if "artifacts" in spec["model"] else {}),
        },
        "datasets": deepcopy(spec["datasets"]),
        "measured": [{"name": name, "value": value} for name, value in figures.items()],
        "report": {"mediaType": "text/html", "size": len(REPORT.encode()), "digest": sha256(REPORT.encode())},
        **({"incumbent": dict(spec["model"]["incumbent"])} if "incumbent" in spec["model"] else {}),
    }
    change(value)
    return value


def bundle_of(value: Mapping[str, Any], signer: Signer) -> bytes:
    """Return a check signed, as a checker would."""
    return check_bundle(parse(Check, dumps(value), "check"), dict(value), signer)


def bundle_about(value: Mapping[str, Any], signer: Signer, *subjects: tuple[str, str]) -> bytes:
    """Return a check signed with subjects of its own, as no checker would."""
    named = tuple(Subject.of(name, Digest(digest)) for name, digest in subjects)
    return sign_bundle(statement_bytes(CHECK_TYPE, named, dict(value)), signer)


def brought(bundle: bytes, report: str = REPORT) -> dict[str, Any]:
    """Return a check as a request brings it along."""
    return {"bundle": b64encode(bundle), "report": {"source": {"inline": report}}}


def bring(spec: dict[str, Any], signer: Signer, figures: Mapping[str, str] = QUIET, change: Change = lambda _: None) -> None:
    """Put a check of its own candidate into a spec."""
    spec["checks"] = [*spec.get("checks", ()), brought(bundle_of(check_of(spec, figures, change), signer))]


def weekly(policy: Mapping[str, Any], *keys: str, when: str = WHEN) -> dict[str, Any]:
    """Return a policy with a tier 3 before its other rules, which rests on a check by one of these keys."""
    changed: dict[str, Any] = deepcopy(dict(policy))
    changed["checkers"] = {"weekly": {"keys": list(keys)}}
    changed["rules"] = [{"name": "weekly-refresh", "tier": "tier-3", "check": "weekly", "when": when}, *changed["rules"]]
    changed["tiers"]["tier-3"] = {
        "quorum": 1,
        "roles": [{"name": "engine", "groups": [ENGINE_GROUP], "count": 1}],
        "fourEyes": True,
        "assurance": "api-server",
    }
    return changed
