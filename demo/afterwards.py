"""The scenes after a promotion: it is taken back, and the cluster is lost and made anew from the archive."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

import yaml

from controlplane import ControlPlane
from controlplane.bank import BEN, CARLA, PAULA, RITA, Bank
from controlplane.oidc import Provider
from demo.scenes import EXAMPLE, NAME
from demo.stage import ROOT, Stage

AGAIN: Final = f"{NAME}-again"
BOUND: Final = 10.0
STRICTER: Final = "examples/policies/credit-models.yaml"


def reclassified(stage: Stage) -> None:
    """What a stricter policy would have asked for, promotion by promotion."""
    stage.scene(
        "What would a stricter policy have asked for?",
        "The risk function thinks of another policy for credit models: a first version goes to a committee. Before anybody publishes it, "
        "what was promoted is replayed against it. No event changes.",
    )
    stage.run(
        PAULA,
        f"signoff reclassify --policy {STRICTER} credit-scoring",
        ends=1,
        says=("stricter", "carla@bank.example", "credit-models"),
        shown=40,
    )


def revoked(stage: Stage, request: str) -> None:
    """A revocation bites at once where it was made, and within ten seconds everywhere."""
    stage.scene(
        "Six weeks later the promotion is taken back",
        "The evaluation data turn out to hold applicants of the year after. Rita of model risk may revoke what was decided in tier 2. The "
        "event is not touched: what she says is a signed statement of its own beside it.",
    )
    stage.run(RITA, f"signoff revoke {request[:12]} --yes --reason 'The evaluation data held applicants of the year after.'",
              says=("revoked credit-scoring 2.4.0", "run on; they are not killed"), shown=14)  # fmt: skip
    began = time.monotonic()
    stage.run(BEN, f"kubectl create --dry-run=server -f {_renamed(stage)}", ends=1, says=("revoked by rita@bank.example", "year after"))
    stage.check(time.monotonic() - began < BOUND, f"it bit at once here, and does so within {BOUND:.0f} s in every other gate")
    stage.tell("What runs is told, and not killed: whether stopping it does more harm is for people to say.")
    stage.run(BEN, "kubectl -n credit get pods -l app.kubernetes.io/name=credit-scoring", says=("Running",))
    stage.run(CARLA, "signoff history credit-scoring", says=("revoked by rita@bank.example",), shown=40)


@contextmanager
def rebuilt(stage: Stage, bank: Bank, provider: Provider, folder: Path, request: str) -> Iterator[Bank]:
    """The cluster is thrown away; another over the same archive knows everything that was decided."""
    waiting = _waiting(stage, bank)
    stage.scene(
        "The cluster is thrown away, and made anew from the archive",
        "etcd is gone, with every resource in it. A new cluster of the same name gets the archive, the keys and the digest of the trust "
        "file; Git has the manifests. Nobody decides anything again.",
    )
    bank.stop()
    bank.control_plane.end()
    stage.tell("The old control plane is gone. The new one starts …")
    with (
        ControlPlane(folder / "control-plane-2") as plane,
        Bank(plane, folder / "bank-2", shares=bank, engine=True, portal=provider) as anew,
    ):
        stage.bank = anew
        stage.tell("The gate knows from the archive alone what may run, before any manifest is applied:")
        stage.run(BEN, f"kubectl create --dry-run=server -f {_renamed(stage)}", ends=1, says=("revoked by rita@bank.example",))
        stage.run(PAULA, f"kubectl apply -f {EXAMPLE}/policy.yaml")
        stage.run(BEN, f"kubectl apply -f {EXAMPLE}/explanation-configmap.yaml -f {EXAMPLE}/promotion.yaml -f {waiting}")
        stage.until("both are known again", lambda: _reason(stage, NAME) == "Revoked" and _reason(stage, AGAIN) == "AwaitingDecision")
        stage.run(BEN, "kubectl -n credit get modelpromotions", says=("credit-scoring-2.4.0-again",))
        stage.check(_status(stage, NAME)["id"] == request, "the same manifest has the same id, and meets its own event")
        stage.run(CARLA, f"kubectl signoff approve {AGAIN} -n credit --yes", says=("approved",), shown=12)
        stage.run(BEN, f"kubectl apply -f {EXAMPLE}/deployment.yaml")
        stage.run(BEN, "kubectl -n credit rollout status deployment/credit-scoring --timeout=60s", says=("successfully rolled out",))
        stage.run(CARLA, "signoff verify", says=("No findings",))
        yield anew


def _waiting(stage: Stage, bank: Bank) -> Path:
    """Ask for the model anew, as somebody must after a revocation, and return the manifest; it waits for a decision."""
    stage.tell("What is to run again is promoted anew, by a new request; the one before it stays as it is. First it waits for somebody.")
    manifest = yaml.safe_load((ROOT / EXAMPLE / "promotion.yaml").read_text())
    manifest["metadata"]["name"] = AGAIN
    manifest["spec"] |= {"attempt": 2, "reason": "The same model, evaluated anew after the revocation."}
    path = bank.work / f"{AGAIN}.yaml"
    path.write_text(yaml.safe_dump(manifest, sort_keys=False))
    stage.run(PAULA, f"kubectl apply -f {EXAMPLE}/policy.yaml")
    stage.run(BEN, f"kubectl apply -f {EXAMPLE}/explanation-configmap.yaml -f {path}")
    stage.run(BEN, f"kubectl -n credit wait --for=condition=Frozen modelpromotion/{AGAIN} --timeout=30s")
    return path


def _renamed(stage: Stage) -> Path:
    manifest = yaml.safe_load((ROOT / EXAMPLE / "deployment.yaml").read_text())
    manifest["metadata"]["name"] = "credit-scoring-next"
    path = stage.bank.work / "deployment-next.yaml"
    path.write_text(yaml.safe_dump(manifest, sort_keys=False))
    return path


def _status(stage: Stage, name: str) -> dict[str, Any]:
    said = stage.bank.kubectl(BEN, "-n", "credit", "get", "modelpromotion", name, "-o", "json").stdout
    status: dict[str, Any] = json.loads(said).get("status", {})
    return status


def _reason(stage: Stage, name: str) -> str:
    return next((one["reason"] for one in _status(stage, name).get("conditions", ()) if one["type"] == "Ready"), "")
