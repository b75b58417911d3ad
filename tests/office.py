"""An office at the bank: what an end-to-end test does there, with a model of its own each."""

from __future__ import annotations

import functools
import hashlib
import itertools
import json
import time
from collections.abc import Callable
from copy import deepcopy
from pathlib import Path
from typing import Any

import yaml
from builders import example
from kubernetes import client, config

from controlplane import ControlPlane
from controlplane.bank import BEN, Bank

_COUNTER = itertools.count(1)


@functools.cache
def _installer(plane: ControlPlane) -> client.CustomObjectsApi:
    settings = client.Configuration()
    config.load_kube_config(config_file=str(plane.installer_kubeconfig()), client_configuration=settings)
    return client.CustomObjectsApi(client.ApiClient(settings))


class Office:
    """What the tests do at the bank, with a model of their own each."""

    def __init__(self, bank: Bank, family: str = "credit-model") -> None:
        self.bank = bank
        self.number = next(_COUNTER)
        self.model = f"{family}-{self.number}"
        self.name = f"{self.model}-1.0.0"
        self.digest = "sha256:" + hashlib.sha256(self.model.encode()).hexdigest()
        self.image = f"registry.bank.example/models/{self.model}@{self.digest}"

    def promotion(self, change: Callable[[dict[str, Any]], None] = lambda _: None) -> dict[str, Any]:
        """Return a ModelPromotion of this test's own model."""
        manifest: dict[str, Any] = deepcopy(example("promotion.yaml"))
        manifest["metadata"]["name"] = self.name
        spec = manifest["spec"]
        spec["model"] = {"name": self.model, "version": "1.0.0", "image": self.image}
        spec["comparison"]["candidate"] |= {"version": "1.0.0", "digest": self.digest}
        change(spec)
        return manifest

    def apply(self, who: str, manifest: dict[str, Any], *flags: str, check: bool = True, verb: str = "apply") -> str:
        done = self.bank.kubectl(who, verb, "-f", "-", *flags, stdin=yaml.safe_dump(manifest), check=check)
        return done.stdout + done.stderr

    def get(self, kind: str, name: str, namespace: str = "credit") -> dict[str, Any]:
        """Return a custom resource as it is now. Tests look again and again: a kubectl for each look would cost more than all else."""
        api = _installer(self.bank.control_plane)
        found: dict[str, Any] = api.get_namespaced_custom_object("signoff.dev", "v1alpha1", namespace, f"{kind}s", name)
        return found

    def status(self) -> dict[str, Any]:
        status: dict[str, Any] = self.get("modelpromotion", self.name).get("status", {})
        return status

    def condition(self, name: str) -> dict[str, Any]:
        return next((one for one in self.status().get("conditions", ()) if one["type"] == name), {})

    def until(self, what: Callable[[], object], within: float = 30) -> None:
        deadline = time.monotonic() + within
        while not what():
            assert time.monotonic() < deadline, f"waited in vain; the status is {json.dumps(self.status(), indent=1)}"
            time.sleep(0.1)

    def frozen(self, change: Callable[[dict[str, Any]], None] = lambda _: None, who: str = BEN) -> dict[str, Any]:
        """Apply the promotion, wait until it is frozen, and return its status."""
        self.apply(who, self.promotion(change))
        self.until(lambda: self.condition("Frozen").get("status") == "True")
        return self.status()

    def decision(self, **changes: Any) -> dict[str, Any]:
        """Return a PromotionDecision on this test's promotion as it is frozen now."""
        status = self.status()
        spec = {
            "promotion": self.name,
            "freeze": status.get("freeze", "sha256:" + "0" * 64),
            "rendition": status.get("desk", {}).get("text", "sha256:" + "0" * 64),
            "verdict": "Approve",
            "meaning": "I approve this model version for the use described on this desk.",
            "explanationOpened": True,
            **changes,
        }
        return {
            "apiVersion": "signoff.dev/v1alpha1",
            "kind": "PromotionDecision",
            "metadata": {"name": f"{self.name}-{next(_COUNTER)}", "namespace": "credit"},
            "spec": spec,
        }

    def decide(self, who: str, *, check: bool = True, flags: tuple[str, ...] = (), **changes: Any) -> str:
        return self.apply(who, self.decision(**changes), *flags, check=check, verb="create")

    def promoted(self, who: str) -> str:
        """Freeze and approve; return the request's id."""
        self.frozen()
        self.decide(who)
        self.until(lambda: self.condition("Promoted").get("status") == "True")
        return str(self.status()["id"])

    def pod(self, image: str | None = None, **changes: Any) -> dict[str, Any]:
        container = {"name": "model", "image": image or self.image}
        metadata = {"name": f"{self.model}-pod-{next(_COUNTER)}", "namespace": "credit"}
        return {"apiVersion": "v1", "kind": "Pod", "metadata": metadata, "spec": {"containers": [container], **changes}}

    def event_path(self) -> Path:
        return self.bank.archive_folder / "events" / f"{self.status()['id']}.sigstore.json"

    def archived(self, folder: str) -> list[str]:
        root = self.bank.archive_folder / folder
        return sorted(str(path.relative_to(root)) for path in root.rglob("*") if path.is_file())
