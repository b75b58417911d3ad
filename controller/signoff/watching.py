"""What the processes that watch with kopf have in common: how they reach the API server, how long they wait for it, and where they say that
they live. Apart from `apiserver`, for the webhook watches nothing and need not load kopf.
"""

from __future__ import annotations

from typing import Any

import kopf

from signoff import apiserver
from signoff.config import Listener


def settle(settings: kopf.OperatorSettings) -> None:
    """Set kopf up: it posts no Events, scans for no resources, and waits for no answer for ever."""
    settings.posting.enabled = False
    settings.scanning.disabled = True
    settings.watching.server_timeout = 270
    settings.networking.request_timeout = 30


def watch(handlers: kopf.OperatorRegistry, kubeconfig: str | None, liveness: Listener | None) -> None:
    """Watch until SIGTERM or SIGINT."""

    @kopf.on.login(registry=handlers)
    def login(**_: Any) -> kopf.ConnectionInfo:
        return connection(kubeconfig)

    endpoint = None if liveness is None else f"http://{liveness.host}:{liveness.port}/healthz"
    kopf.run(registry=handlers, standalone=True, clusterwide=True, liveness_endpoint=endpoint)


def connection(kubeconfig: str | None) -> kopf.ConnectionInfo:
    """Return how kopf reaches the API server. kopf asks again when the API server refuses, so that a rotated token is read anew."""
    found = apiserver.settings(kubeconfig)
    header: str | None = found.get_api_key_with_prefix("BearerToken") or found.get_api_key_with_prefix("authorization")
    scheme, _, token = (header or "").rpartition(" ")
    return kopf.ConnectionInfo(
        server=found.host,
        ca_path=found.ssl_ca_cert,
        insecure=not found.verify_ssl,
        username=found.username or None,
        password=found.password or None,
        scheme=scheme or None,
        token=token or None,
        certificate_path=found.cert_file,
        private_key_path=found.key_file,
    )
