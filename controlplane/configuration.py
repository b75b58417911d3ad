"""The files that the components read: kubeconfigs, the admission configuration, kwok's stages.

Every function writes one file and returns its path. Kubeconfigs carry certificates and keys inline: the file alone is enough.
"""

from __future__ import annotations

import base64
from pathlib import Path
from typing import TYPE_CHECKING

import yaml

if TYPE_CHECKING:
    from controlplane.pki import Certificate

STAGES = Path(__file__).parent / "kwok"
WEBHOOK_PLUGINS = ("MutatingAdmissionWebhook", "ValidatingAdmissionWebhook")


def certificate_kubeconfig(path: Path, server: str, authority: Path, user: str, certificate: Certificate) -> Path:
    """A kubeconfig for somebody with a client certificate."""
    credentials = {
        "client-certificate-data": _inline(certificate.certificate),
        "client-key-data": _inline(certificate.key),
    }
    return _kubeconfig(path, server, authority, user, credentials)


def token_kubeconfig(path: Path, server: str, authority: Path, user: str, token: str) -> Path:
    """A kubeconfig for somebody with a bearer token."""
    return _kubeconfig(path, server, authority, user, {"token": token})


def admission_configuration(folder: Path, certificate: Certificate) -> Path:
    """Make the API server show `certificate` to every webhook.

    An AdmissionConfiguration names a WebhookAdmissionConfiguration for both webhook plugins, and that a kubeconfig whose
    user `*` stands for every webhook (Kubernetes: "Authenticate apiservers", in dynamic admission control).
    """
    credentials = {"client-certificate": str(certificate.certificate), "client-key": str(certificate.key)}
    kubeconfig = _write(
        folder / "webhooks.kubeconfig",
        {"apiVersion": "v1", "kind": "Config", "users": [{"name": "*", "user": credentials}]},
    )
    plugin = {
        "apiVersion": "apiserver.config.k8s.io/v1",
        "kind": "WebhookAdmissionConfiguration",
        "kubeConfigFile": str(kubeconfig),
    }
    return _write(
        folder / "admission.yaml",
        {
            "apiVersion": "apiserver.config.k8s.io/v1",
            "kind": "AdmissionConfiguration",
            "plugins": [{"name": name, "configuration": plugin} for name in WEBHOOK_PLUGINS],
        },
    )


def stages(path: Path) -> Path:
    """kwok's configuration: the vendored Stage documents in one file."""
    path.write_text("---\n".join(stage.read_text() for stage in sorted(STAGES.glob("*.yaml"))))
    return path


def _kubeconfig(path: Path, server: str, authority: Path, user: str, credentials: dict[str, str]) -> Path:
    return _write(
        path,
        {
            "apiVersion": "v1",
            "kind": "Config",
            "clusters": [{"name": "demo", "cluster": {"server": server, "certificate-authority-data": _inline(authority)}}],
            "users": [{"name": user, "user": credentials}],
            "contexts": [{"name": "demo", "context": {"cluster": "demo", "user": user}}],
            "current-context": "demo",
        },
    )


def _inline(path: Path) -> str:
    return base64.b64encode(path.read_bytes()).decode()


def _write(path: Path, document: dict[str, object]) -> Path:
    path.unlink(missing_ok=True)
    path.touch(mode=0o600)
    path.write_text(yaml.safe_dump(document, sort_keys=False))
    return path
