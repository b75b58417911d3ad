"""Admission reviews as kube-apiserver 1.37 sends them, as values that tests change."""

from __future__ import annotations

from copy import deepcopy
from typing import Any

from builders import example

Value = dict[str, Any]

PROMOTED = "sha256:2ded941b3cd7158006805ae624fec7607524cb5d213e73cca68d853a984520c2"
IMAGE = f"registry.bank.example/models/credit-scoring@{PROMOTED}"
OTHER_IMAGE = f"registry.bank.example/models/credit-scoring@sha256:{'0b' * 32}"
UID = "705ab4f5-6393-11e8-b7cc-42010a800002"
CREDENTIAL = "authentication.kubernetes.io/credential-id"


def user(name: str, *groups: str) -> Value:
    """A person with a client certificate."""
    return {
        "username": f"{name}@bank.example",
        "groups": [*groups, "system:authenticated"],
        "extra": {CREDENTIAL: [f"X509SHA256={'5f' * 32}"]},
    }


def review(obj: Value, plural: str, *, who: str = "ben", operation: str = "CREATE", old: Value | None = None, **changes: Any) -> Value:
    """An AdmissionReview v1 about an object, with the fields of ``request`` replaced by ``changes``."""
    group, _, version = obj["apiVersion"].rpartition("/")
    kind = {"group": group, "version": version, "kind": obj["kind"]}
    resource = {"group": group, "version": version, "resource": plural}
    metadata = obj["metadata"]
    request = {
        "uid": UID,
        "kind": kind,
        "resource": resource,
        "requestKind": kind,
        "requestResource": resource,
        "name": metadata["name"],
        **({"namespace": metadata["namespace"]} if "namespace" in metadata else {}),
        "operation": operation,
        "userInfo": user(who, "credit-team"),
        "object": obj,
        "oldObject": old,
        "dryRun": False,
        "options": {"kind": "CreateOptions", "apiVersion": "meta.k8s.io/v1", "fieldManager": "kubectl-client-side-apply"},
        **changes,
    }
    return deepcopy({"kind": "AdmissionReview", "apiVersion": "admission.k8s.io/v1", "request": request})


def pod(*images: str, namespace: str = "credit", **spec: Any) -> Value:
    containers = [{"name": f"c{number}", "image": image, "resources": {}} for number, image in enumerate(images)]
    return {
        "kind": "Pod",
        "apiVersion": "v1",
        "metadata": {"name": "scoring-1", "namespace": namespace, "creationTimestamp": None, "labels": {"app": "scoring"}},
        "spec": {"containers": containers, "restartPolicy": "Always", **spec},
        "status": {},
    }


def deployment(image: str, namespace: str = "credit") -> Value:
    return {
        "kind": "Deployment",
        "apiVersion": "apps/v1",
        "metadata": {"name": "scoring", "namespace": namespace},
        "spec": {"replicas": 2, "template": {"metadata": {"labels": {"app": "scoring"}}, "spec": pod(image)["spec"]}},
    }


def promotion(**metadata: Any) -> Value:
    manifest: Value = example("promotion.yaml")
    manifest["metadata"] |= metadata
    return manifest


def policy() -> Value:
    return example("policy.yaml")


def decision(**spec: Any) -> Value:
    return {
        "apiVersion": "signoff.dev/v1alpha1",
        "kind": "PromotionDecision",
        "metadata": {"name": "carla-approves", "namespace": "credit"},
        "spec": {
            "promotion": "credit-scoring-2.4.0",
            "freeze": "sha256:" + "1" * 64,
            "rendition": "sha256:" + "2" * 64,
            "verdict": "Approve",
            "meaning": "I approve this model version for the use described on this desk.",
            **spec,
        },
    }
