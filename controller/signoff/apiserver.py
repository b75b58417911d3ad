"""How a process reaches the API server: by a kubeconfig file where one is configured, otherwise by the ServiceAccount of its Pod."""

from __future__ import annotations

from pathlib import Path

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
