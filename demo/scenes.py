"""The scenes, in their order. Each is a function that a reader can follow from top to bottom."""

from __future__ import annotations

import base64
import hashlib
import json
import os
import stat
import time
from pathlib import Path
from typing import Any, Final

import yaml

from controlplane.bank import ANA, BEN, CARLA, DAVID, PAULA
from demo.stage import ROOT, SceneError, Stage

EXAMPLE: Final = "examples/credit-scoring"
NAME: Final = "credit-scoring-2.4.0"
NEXT: Final = "credit-scoring-2.5.0"
FRESHNESS: Final = 11


def refused(stage: Stage) -> None:
    """Nothing runs without an event."""
    stage.scene("No event, no deploy", "Ben's pipeline deploys a model that nobody has approved. The API server asks signoff, and refuses.")
    stage.run(BEN, f"kubectl apply -f {EXAMPLE}/deployment.yaml", ends=1, says=("no promotion event for this digest", "signoff draft"))
    stage.tell("A tag is no way round it, for a tag can be moved:")
    stage.run(BEN, f"kubectl apply -f {EXAMPLE}/deployment-tag.yaml", ends=1, says=("names a tag, and a tag can be moved",))


def frozen(stage: Stage) -> None:
    """The request is applied and its desk frozen."""
    stage.scene(
        "The desk is frozen before anybody decides",
        "Paula publishes the policy of the risk function: tier 2, one approver out of a named group, four eyes. Ben asks for the "
        "promotion; Ana wrote the model. The operator fetches the explanation, checks its hash, and freezes all of it.",
    )
    stage.run(PAULA, f"kubectl apply -f {EXAMPLE}/policy.yaml")
    stage.run(BEN, f"kubectl apply -f {EXAMPLE}/explanation-configmap.yaml -f {EXAMPLE}/promotion.yaml")
    stage.run(BEN, f"kubectl -n credit wait --for=condition=Frozen modelpromotion/{NAME} --timeout=30s")
    stage.run(BEN, f"kubectl -n credit get modelpromotion {NAME}")


def author_refused(stage: Stage) -> None:
    """Whoever asks cannot approve."""
    stage.scene("The author's own approval is refused", "Ana is an approver of credit models, but this one is hers.")
    stage.run(ANA, f"kubectl signoff approve {NAME} -n credit --yes", ends=1, says=("is the author whom the request names",), shown=10)
    stage.check(not _events(stage), "the archive holds no event")


def approved(stage: Stage) -> str:
    """Another person approves what they are shown; returns the request's id."""
    stage.scene(
        "Carla looks at the frozen desk, and approves",
        "She types the version that she approves. Only when the event is written is it called approved.",
    )
    stage.run(CARLA, f"kubectl signoff approve {NAME} -n credit", stdin="2.4.0\n", says=("approved",), shown=400)
    stage.run(CARLA, f"kubectl -n credit get modelpromotion {NAME}", says=("True",))
    request = _status(stage, NAME)["id"]
    stage.check(_events(stage) == [f"{request}.sigstore.json"], "the archive holds exactly one event, under the request's id")
    return str(request)


def admitted(stage: Stage) -> None:
    """The same Deployment is admitted."""
    stage.scene("The same Deployment is admitted")
    stage.run(BEN, f"kubectl apply -f {EXAMPLE}/deployment.yaml")
    stage.run(BEN, "kubectl -n credit rollout status deployment/credit-scoring --timeout=60s", says=("successfully rolled out",))
    stage.run(BEN, "kubectl -n credit get pods", says=("Running",))
    stage.tell("The tag is refused still, and now the denial names the digest to pin:")
    stage.run(BEN, f"kubectl create -f {EXAMPLE}/deployment-tag.yaml", ends=1, says=("pin what was promoted as 2.4.0",))


def archive_away(stage: Stage) -> None:
    """Without the archive nothing new is promoted, and what was verified still starts."""
    stage.scene(
        "The archive is taken away",
        "First another request is applied and frozen, so that there is something to decide. Then the archive is out of reach.",
    )
    path = _next_version(stage)
    stage.run(BEN, f"kubectl apply -f {path}")
    stage.run(BEN, f"kubectl -n credit wait --for=condition=Frozen modelpromotion/{NEXT} --timeout=30s")
    folder = stage.bank.archive_folder
    away = folder.with_name("archive-away")
    freeze = _status(stage, NEXT)["freeze"], _status(stage, NEXT)["desk"]["text"]
    folder.rename(away)
    try:
        stage.run(DAVID, f"kubectl signoff approve {NEXT} -n credit --yes", ends=2, says=("nothing was decided",), shown=20)
        stage.tell("Nor does it help to leave the command aside and press the button by hand:")
        decision = _decision(stage, *freeze)
        stage.run(DAVID, f"kubectl create -f {decision}", ends=1, says=("denied the request",))
        stage.tell("What was verified still starts, for fifteen minutes:")
        stage.run(BEN, "kubectl -n credit scale deployment/credit-scoring --replicas=3")
        stage.run(BEN, "kubectl -n credit rollout status deployment/credit-scoring --timeout=60s", says=("successfully rolled out",))
    finally:
        away.rename(folder)
    stage.check(len(_events(stage)) == 1, "the archive is back, and nothing was promoted meanwhile")


def tampered(stage: Stage, request: str) -> None:
    """One altered byte, and the event is none."""
    stage.scene(
        "One byte of the stored event is changed",
        "Somebody with the archive's disk makes the candidate better than it was: its AUC of 0.8127 becomes 0.9127.",
    )
    event = stage.bank.archive_folder / "events" / f"{request}.sigstore.json"
    good, stored = event.read_bytes(), event.stat()
    event.chmod(stat.S_IRUSR | stat.S_IWUSR)
    event.write_bytes(_flattered(good))
    stage.tell(f"The gate looks again after ten seconds; {FRESHNESS} s later the same model is refused.")
    time.sleep(FRESHNESS)
    other = _renamed_deployment(stage)
    stage.run(BEN, f"kubectl apply -f {other}", ends=1, says=("rule 2 (signature)",))
    stage.run(CARLA, f"signoff verify {request[:12]}", ends=1, says=("2 signature FAILED",))
    event.write_bytes(good)
    os.utime(event, ns=(stored.st_atime_ns, stored.st_mtime_ns))
    event.chmod(0o444)
    stage.tell("The byte is put back:")
    stage.run(CARLA, f"signoff verify {request[:12]}", says=("13 quorum ok",), shown=20)


def why(stage: Stage) -> None:
    """Who approved, under which policy, against which alternative."""
    stage.scene("Months later: why does this model run?")
    stage.run(CARLA, "signoff why credit-scoring", says=("carla@bank.example", "credit-models", "ben@bank.example"), shown=200)


def desk_again(stage: Stage, request: str) -> None:
    """The same bytes, after the sources are gone."""
    stage.scene(
        "Show me what the approver saw",
        "The promotion, its policy and its explanation are deleted from the cluster. The archive alone answers.",
    )
    shown = _status(stage, NAME)["desk"]
    stage.run(BEN, f"kubectl delete -f {EXAMPLE}/promotion.yaml -f {EXAMPLE}/explanation-configmap.yaml")
    stage.run(PAULA, f"kubectl delete -f {EXAMPLE}/policy.yaml")
    out = stage.bank.work / "desk"
    stage.run(CARLA, f"signoff desk {request[:12]} --out {out}")
    for name, media in (("desk.html", "html"), ("desk.txt", "text")):
        digest = "sha256:" + hashlib.sha256((out / name).read_bytes()).hexdigest()
        stage.check(digest == shown[media], f"{name} is, byte for byte, the desk that was frozen: {digest[:26]}…")


def _status(stage: Stage, name: str) -> dict[str, Any]:
    found = stage.bank.kubectl(BEN, "-n", "credit", "get", "modelpromotion", name, "-o", "json")
    status: dict[str, Any] = json.loads(found.stdout)["status"]
    return status


def _events(stage: Stage) -> list[str]:
    folder = stage.bank.archive_folder / "events"
    return sorted(path.name for path in folder.iterdir()) if folder.is_dir() else []


def _manifest(name: str) -> dict[str, Any]:
    manifest: dict[str, Any] = yaml.safe_load((ROOT / EXAMPLE / name).read_text())
    return manifest


def _flattered(bundle: bytes) -> bytes:
    """Return the bundle with one byte changed, which raises one figure; all else about it stays in form."""
    value = json.loads(bundle)
    statement = base64.b64decode(value["dsseEnvelope"]["payload"])
    better = base64.b64encode(statement.replace(b'"0.8127"', b'"0.9127"', 1))
    changed = bundle.replace(value["dsseEnvelope"]["payload"].encode(), better)
    if sum(a != b for a, b in zip(bundle, changed, strict=True)) != 1:
        raise SceneError("that was not one byte")
    return changed


def _write(stage: Stage, name: str, manifest: dict[str, Any]) -> Path:
    path = stage.bank.work / name
    path.write_text(yaml.safe_dump(manifest, sort_keys=False))
    return path


def _next_version(stage: Stage) -> Path:
    """Return a manifest of the next version, which compares with the one that is live now."""
    manifest = _manifest("promotion.yaml")
    spec, model = manifest["spec"], manifest["spec"]["model"]
    old = {"version": model["version"], "digest": model["image"].partition("@")[2]}
    digest = "sha256:" + hashlib.sha256(b"credit-scoring 2.5.0").hexdigest()
    manifest["metadata"]["name"] = NEXT
    candidate = spec["comparison"]["candidate"]
    spec["comparison"]["incumbent"] = {**candidate, **old}
    spec["comparison"]["candidate"] = {**candidate, "version": "2.5.0", "digest": digest}
    model |= {"version": "2.5.0", "image": f"{model['image'].partition('@')[0]}@{digest}", "incumbent": old}
    return _write(stage, "promotion-2.5.0.yaml", manifest)


def _decision(stage: Stage, freeze: str, rendition: str) -> Path:
    manifest = {
        "apiVersion": "signoff.dev/v1alpha1",
        "kind": "PromotionDecision",
        "metadata": {"name": "by-hand", "namespace": "credit"},
        "spec": {"promotion": NEXT, "freeze": freeze, "rendition": rendition, "verdict": "Approve", "meaning": "I approve."},
    }
    return _write(stage, "decision.yaml", manifest)


def _renamed_deployment(stage: Stage) -> Path:
    manifest = _manifest("deployment.yaml")
    manifest["metadata"]["name"] = "credit-scoring-again"
    return _write(stage, "deployment-again.yaml", manifest)
