"""The scenes in which policies decide who decides: a committee with a deputy, a refresh by policy, and a drift that goes to people."""

from __future__ import annotations

import base64
import hashlib
import json
import subprocess
import sys
from pathlib import Path
from typing import Any, Final

import yaml

from controlplane.bank import BEN, CARLA, DAVID, ERIK, PAULA, RITA
from controlplane.roles import binding
from demo.stage import ROOT, Stage

MODEL: Final = "collections-next-call"
FIRST: Final = "2026.46.0"
SECOND: Final = "2026.47.0"
THIRD: Final = "2026.48.0"
POLICY: Final = "examples/policies/weekly-refresh"
SOON: Final = 5.0


def committee(stage: Stage) -> None:
    """Tier 1: three people in their roles, one of them by a deputy."""
    stage.scene(
        "A committee of three, one of them by a deputy",
        f"Another model, {MODEL}, is trained anew each week. The risk function writes a policy for it, and a table of cases: what they "
        "expect is tried out before anybody publishes it. A first version has no check to rest on, and so goes to the committee.",
    )
    bank = stage.bank
    for name, kind, role, group in (
        ("committee-approvers", "RoleBinding", "signoff-approve-tier-1", "model-approvers"),
        ("committee-risk", "RoleBinding", "signoff-approve-tier-1", "model-risk"),
        ("risk-decides", "RoleBinding", "signoff-approver", "model-risk"),
        ("deputies-decide", "RoleBinding", "signoff-approver", "deputies"),
        ("risk-delegates", "ClusterRoleBinding", "signoff-delegator", "model-risk"),
    ):
        made = binding(kind, name, role, group, "credit" if kind == "RoleBinding" else None)
        bank.control_plane.kubectl("apply", "-f", "-", input=yaml.safe_dump(made))
    subprocess.run([sys.executable, "examples/checks/make_data.py", str(_data(stage))], cwd=ROOT, check=True, capture_output=True)
    stage.run(PAULA, f"signoff policy test {POLICY}.yaml {POLICY}.cases.yaml", says=("7 cases: 7 as expected",))
    stage.run(PAULA, f"kubectl apply -f {_policy(stage)}")
    stage.run(BEN, "kubectl apply -f examples/credit-scoring/explanation-configmap.yaml")
    name = _ask(stage, FIRST, None)
    stage.tell("Rita of model risk is on her way to the mountains, and lets Erik decide in her name:")
    stage.run(RITA, f"kubectl create -f {_grant(stage)}")
    stage.run(CARLA, f"kubectl signoff approve {name} -n credit --yes", says=("awaiting",), shown=8)
    stage.run(DAVID, f"kubectl signoff approve {name} -n credit --yes", says=("model-risk",), shown=8)
    stage.check(not _is_promoted(stage, name), "two approvers are no committee: model risk is missing")
    stage.run(ERIK, f"kubectl signoff approve {name} -n credit --yes --delegation rita-in-december", says=("approved",), shown=12)
    stage.run(
        CARLA, f"signoff why {MODEL}", says=("in the name of rita@bank.example", "carla@bank.example", "david@bank.example"), shown=40
    )


def refreshed(stage: Stage) -> None:
    """Tier 3: by policy, over a signed check."""
    stage.scene(
        "The weekly refresh is decided by its policy",
        "The validation team's job measures the candidate beside what is live, on the population that the model was made for, and signs "
        "what it measured. Nobody clicks: the policy engine presses, through the same door as people, and may do nothing else.",
    )
    name = _refresh(stage, SECOND, FIRST, "candidate", "incumbent")
    stage.until(f"{name} is promoted", lambda: _is_promoted(stage, name))
    took = _took(stage, name)
    stage.check(took < SOON, f"from the frozen desk to the event it took {took * 1000:.0f} ms")
    stage.run(BEN, f"kubectl -n credit get modelpromotion {name}", says=("tier-3", "True"))
    stage.run(
        CARLA,
        f"signoff why {_status(stage, name)['id'][:12]}",
        says=("quiet-refresh", "No person has looked at this", "psi.max="),
        shown=60,
    )


def drifted(stage: Stage) -> str:
    """A drift goes to people, and the record says why; returns the promotion's name."""
    stage.scene(
        "A week later the population has changed",
        "The same job, the same key, the same policy. The figures are others, and so the desk asks for the committee, and says why.",
    )
    name = _refresh(stage, THIRD, SECOND, "drifted", "drifted-incumbent")
    stage.run(BEN, f"kubectl -n credit get modelpromotion {name}", says=("tier-1",))
    inputs = _payload(stage, name)["route"]["inputs"]
    for label, value in sorted(inputs.items()):
        if label.startswith(("not by", "raised by")):
            stage.tell(f"{label}: {value}")
    stage.check(any(label.startswith("raised by") for label in inputs), "the frozen desk says which rule raised it, and over which check")
    stage.check(not _is_promoted(stage, name), "the engine has left it alone: it waits for people")
    return name


def _ask(stage: Stage, version: str, incumbent: str | None, check: tuple[Path, str] | None = None) -> str:
    manifest = _promotion(stage, version, incumbent)
    name: str = manifest["metadata"]["name"]
    if check is not None:
        path, config_map = check
        source = {"configMap": {"name": config_map, "key": "report.html"}}
        manifest["spec"]["checks"] = [{"bundle": base64.b64encode(path.read_bytes()).decode(), "report": {"source": source}}]
    stage.run(BEN, f"kubectl apply -f {_write(stage, f'{name}.yaml', manifest)}")
    stage.run(BEN, f"kubectl -n credit wait --for=condition=Frozen modelpromotion/{name} --timeout=30s")
    return name


def _refresh(stage: Stage, version: str, incumbent: str, candidate: str, beside: str) -> str:
    name, data = f"{MODEL}-{version}", _data(stage)
    asked = _write(stage, f"{name}-unchecked.yaml", _promotion(stage, version, incumbent))
    out, report = stage.bank.work / f"{name}.sigstore.json", stage.bank.work / f"{name}.html"
    stage.run(
        RITA,
        f"signoff check-model --promotion {asked} --candidate {data / candidate}.csv --incumbent {data / beside}.csv "
        f"--reference {data / 'reference.csv'} --segment region --key {stage.bank.checker_key} --out {out} --report {report}",
        shown=14,
    )
    stage.run(BEN, f"kubectl -n credit create configmap {name}-check --from-file=report.html={report}")
    return _ask(stage, version, incumbent, (out, f"{name}-check"))


def _promotion(stage: Stage, version: str, incumbent: str | None) -> dict[str, Any]:
    manifest: dict[str, Any] = yaml.safe_load((ROOT / "examples/credit-scoring/promotion.yaml").read_text())
    manifest["metadata"]["name"] = f"{MODEL}-{version}"
    spec = manifest["spec"]
    repository = spec["model"]["image"].partition("@")[0].rpartition("/")[0]
    spec["model"] = {"name": MODEL, "version": version, "image": f"{repository}/{MODEL}@{_digest(version)}"}
    spec["reason"] = "The weekly refresh."
    metrics = spec["comparison"]["candidate"]["metrics"]
    spec["comparison"] = {"candidate": {"version": version, "digest": _digest(version), "metrics": metrics}}
    if incumbent is not None:
        old = {"version": incumbent, "digest": _digest(incumbent)}
        spec["model"]["incumbent"] = old
        spec["comparison"]["incumbent"] = {**old, "metrics": metrics}
    reference = "sha256:" + hashlib.sha256((_data(stage) / "reference.csv").read_bytes()).hexdigest()
    spec["datasets"] = [
        *(one for one in spec["datasets"] if one["role"] != "reference"),
        {"name": "collections-population", "version": "2026-10-01", "digest": reference, "role": "reference"},
    ]
    return manifest


def _policy(stage: Stage) -> Path:
    manifest: dict[str, Any] = yaml.safe_load((ROOT / f"{POLICY}.yaml").read_text())
    reference = "sha256:" + hashlib.sha256((_data(stage) / "reference.csv").read_bytes()).hexdigest()
    manifest["spec"]["checkers"]["weekly"] = {"keys": [stage.bank.checker_id], "reference": [reference]}
    return _write(stage, "weekly-refresh.yaml", manifest)


def _grant(stage: Stage) -> Path:
    spec = {
        "to": {"issuer": "https://pki.bank.example", "subject": ERIK},
        "models": ["collections-*"],
        "tiers": ["tier-1"],
        "validFrom": "2026-01-01T00:00:00Z",
        "validUntil": "2026-12-31T00:00:00Z",
        "reason": "Two weeks in the mountains.",
    }
    metadata = {"name": "rita-in-december"}
    return _write(
        stage, "grant.yaml", {"apiVersion": "signoff.dev/v1alpha1", "kind": "PromotionDelegation", "metadata": metadata, "spec": spec}
    )


def _digest(version: str) -> str:
    return "sha256:" + hashlib.sha256(f"{MODEL} {version}".encode()).hexdigest()


def _data(stage: Stage) -> Path:
    return stage.bank.work / "data"


def _status(stage: Stage, name: str) -> dict[str, Any]:
    found = stage.bank.kubectl(BEN, "-n", "credit", "get", "modelpromotion", name, "-o", "json")
    status: dict[str, Any] = json.loads(found.stdout)["status"]
    return status


def _is_promoted(stage: Stage, name: str) -> bool:
    return any(one["type"] == "Promoted" and one["status"] == "True" for one in _status(stage, name)["conditions"])


def _payload(stage: Stage, name: str) -> dict[str, Any]:
    payload: dict[str, Any] = json.loads(_freeze(stage, name).read_bytes())
    return payload


def _freeze(stage: Stage, name: str) -> Path:
    status = _status(stage, name)
    return stage.bank.archive_folder / "freezes" / status["id"] / status["freeze"].removeprefix("sha256:")


def _took(stage: Stage, name: str) -> float:
    """Return the seconds between the archived freeze and the archived event."""
    event = stage.bank.archive_folder / "events" / f"{_status(stage, name)['id']}.sigstore.json"
    return event.stat().st_mtime - _freeze(stage, name).stat().st_mtime


def _write(stage: Stage, name: str, manifest: dict[str, Any]) -> Path:
    path = stage.bank.work / name
    path.write_text(yaml.safe_dump(manifest, sort_keys=False))
    return path
