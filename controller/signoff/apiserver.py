"""How a process reaches the API server: by a kubeconfig file where one is configured, otherwise by the ServiceAccount of its Pod; and
what it says where it refuses.
"""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Final

from kubernetes import client, config
from kubernetes.client.exceptions import ApiException

from signoff.errors import SignoffError

_WRAPPING: Final = re.compile(r'^admission webhook "[^"]+" denied the request: ')


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


def said(error: ApiException) -> tuple[str, str]:
    """Return reason and message of a refusal (Kubernetes API conventions, "Response Status Kind"), a denial in admission's words."""
    try:
        status = json.loads(error.body or "")
    except (ValueError, TypeError):
        status = None
    found = status if isinstance(status, dict) else {}
    return str(found.get("reason") or ""), _WRAPPING.sub("", str(found.get("message") or error.reason))
