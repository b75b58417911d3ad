"""How a process reaches the API server: by a kubeconfig file where one is configured, otherwise by the ServiceAccount of its Pod; what it
asks there in one way; and what the API server says where it refuses.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, Final

from kubernetes import client, config
from kubernetes.client.exceptions import ApiException

from signoff.errors import SignoffError

JSON: Final = "application/json"
METADATA: Final = "application/json;as=PartialObjectMetadata;g=meta.k8s.io;v=v1"
"""Of what the API server answers with metadata alone ("Receiving resources as Tables", in its API concepts)."""

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


def get(
    api: client.ApiClient, path: str, names: Mapping[str, str], query: Iterable[tuple[str, Any]] = (), accept: str = JSON, *, timeout: float
) -> Any:
    """Return what lies at a path, in which ``names`` fill what stands in braces; `ApiException` and urllib3's `HTTPError`.

    Not by the client's classes for each group: importing them reads all of its models, a second and 80 MiB at each start.
    """
    asked = api.param_serialize(
        "GET", path, path_params=names, query_params=list(query), header_params={"Accept": accept}, auth_settings=["BearerToken"]
    )
    response = api.call_api(*asked, _request_timeout=timeout)
    response.read()  # type: ignore[no-untyped-call]
    return api.response_deserialize(response, {"200": "object"}).data


def replace(api: client.ApiClient, path: str, names: Mapping[str, str], body: Mapping[str, Any], *, timeout: float) -> None:
    """Put JSON at a path, as `get` finds it; `ApiException` and urllib3's `HTTPError`.

    The client's own calls look for models in all of it before they send it, which plain JSON has no need of.
    """
    method, url, headers, _, posted = api.param_serialize(
        "PUT", path, path_params=names, header_params={"Accept": METADATA, "Content-Type": JSON}, auth_settings=["BearerToken"]
    )
    response = api.call_api(method, url, headers, body, posted, _request_timeout=timeout)
    response.read()  # type: ignore[no-untyped-call]
    api.response_deserialize(response, {"200": "object"})


def may(authorization: client.AuthorizationV1Api, who: Mapping[str, Any], attributes: Mapping[str, str], *, timeout: float) -> bool:
    """Whether somebody (``user``, ``uid``, ``groups``, ``extra``) may do something (SubjectAccessReview, authorization.k8s.io/v1);
    `ApiException` and urllib3's `HTTPError`. Who is denied may not, whatever else stands there.
    """
    asked = client.V1SubjectAccessReviewSpec(**who, resource_attributes=client.V1ResourceAttributes(**attributes))
    answer = authorization.create_subject_access_review(client.V1SubjectAccessReview(spec=asked), _request_timeout=timeout)
    return answer.status is not None and bool(answer.status.allowed) and not answer.status.denied


def said(error: ApiException) -> tuple[str, str]:
    """Return reason and message of a refusal (Kubernetes API conventions, "Response Status Kind"), a denial in admission's words."""
    try:
        status = json.loads(error.body or "")
    except (ValueError, TypeError):
        status = None
    found = status if isinstance(status, dict) else {}
    return str(found.get("reason") or ""), _WRAPPING.sub("", str(found.get("message") or error.reason))
