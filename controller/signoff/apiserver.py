"""How a process reaches the API server: by a kubeconfig file where one is configured, otherwise by the ServiceAccount of its Pod."""

from __future__ import annotations

from pathlib import Path

import kopf
from kubernetes import client, config

from signoff.errors import SignoffError


def settings(kubeconfig: str | None) -> client.Configuration:
    """Return the client's settings; `SignoffError` where there is no way. Retrying is left to whoever asks: meanwhile they can say why."""
    found = client.Configuration()
    try:
        if kubeconfig is not None:
            config.load_kube_config(config_file=str(Path(kubeconfig)), client_configuration=found)  # type: ignore[no-untyped-call]
        else:
            config.load_incluster_config(client_configuration=found)  # type: ignore[no-untyped-call]
    except config.ConfigException as error:
        raise SignoffError(f"no way to the API server: {error}", mend="run inside a Pod, or name a file as kubeconfig") from None
    found.retries = False
    return found


def connection(kubeconfig: str | None) -> kopf.ConnectionInfo:
    """Return how kopf reaches the API server. kopf asks again when the API server refuses, so that a rotated token is read anew."""
    found = settings(kubeconfig)
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
