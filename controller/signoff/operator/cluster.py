"""What the operator reads from the API server and writes to it: promotions and their status, decisions, policies, ConfigMaps, Events."""

from __future__ import annotations

import logging
from base64 import b64decode
from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any, Final, Literal, cast

from kubernetes import client
from kubernetes.client.exceptions import ApiException
from urllib3.exceptions import HTTPError

from signoff import apiserver
from signoff.api import API_VERSION, GROUP, VERSION
from signoff.errors import SignoffError
from signoff.operator.explanations import CannotFetch
from signoff.record.canonical import Json
from signoff.record.values import Digest
from signoff.running.listing import CannotList, Listing
from signoff.running.objects import pods

LOG: Final = logging.getLogger("signoff.operator")
_TIMEOUT: Final = 10
_NOTE: Final = 1000
_STATUS: Final = f"/apis/{GROUP}/{VERSION}/namespaces/{{namespace}}/modelpromotions/{{name}}/status"

Object = Mapping[str, Json]


class ClusterError(SignoffError):
    """The API server did not do what the operator asked of it; safe to try again."""


class MeteredApi(client.ApiClient):
    """A client that tells ``reached`` of each answer of the API server, a refusal too, but not where it says that it cannot answer."""

    def __init__(self, settings: client.Configuration, reached: Callable[[], None]) -> None:
        super().__init__(settings)
        self._reached = reached

    def call_api(self, *args: Any, **kwargs: Any) -> Any:
        """As `ApiClient.call_api`."""
        response = super().call_api(*args, **kwargs)
        if response.status < 500:
            self._reached()
        return response


class Cluster:
    """The operator's view of the API server. Each call blocks for at most a few seconds; safe to use from many threads."""

    def __init__(self, api: client.ApiClient) -> None:
        self._api = api
        self._custom = client.CustomObjectsApi(api)
        self._core = client.CoreV1Api(api)
        self._events = client.EventsV1Api(api)
        self._listing = Listing(api, _TIMEOUT)

    def promotion(self, namespace: str, name: str) -> Object | None:
        """Return a ModelPromotion, or None where there is none any more."""
        try:
            found = self._custom.get_namespaced_custom_object(GROUP, VERSION, namespace, "modelpromotions", name, _request_timeout=_TIMEOUT)
        except ApiException as error:
            if error.status == 404:
                return None
            raise _failed(f"modelpromotion {namespace}/{name}", error) from None
        except HTTPError as error:
            raise _failed(f"modelpromotion {namespace}/{name}", error) from None
        return cast("Object", found)

    def decisions(self, namespace: str) -> Sequence[Object]:
        """Return the PromotionDecisions of a namespace."""
        try:
            found = self._custom.list_namespaced_custom_object(GROUP, VERSION, namespace, "promotiondecisions", _request_timeout=_TIMEOUT)
        except (ApiException, HTTPError) as error:
            raise _failed(f"promotiondecisions of {namespace}", error) from None
        return cast("Sequence[Object]", cast("Object", found)["items"])

    def policies(self) -> Sequence[Object]:
        """Return every PromotionPolicy."""
        try:
            found = self._custom.list_cluster_custom_object(GROUP, VERSION, "promotionpolicies", _request_timeout=_TIMEOUT)
        except (ApiException, HTTPError) as error:
            raise _failed("promotionpolicies", error) from None
        return cast("Sequence[Object]", cast("Object", found)["items"])

    def set_status(self, promotion: Object, status: Object) -> None:
        """Replace the status, if the object is still the one that was read; otherwise `ClusterError`, and reconciling comes again."""
        metadata = cast("Mapping[str, str]", promotion["metadata"])
        names = {"namespace": metadata["namespace"], "name": metadata["name"]}
        try:
            apiserver.replace(self._api, _STATUS, names, {**promotion, "status": status}, timeout=_TIMEOUT)
        except (ApiException, HTTPError) as error:
            if isinstance(error, ApiException) and error.status == 404:
                return
            raise _failed(f"status of modelpromotion {metadata['namespace']}/{metadata['name']}", error) from None

    def running(self, namespaces: Iterable[str], digests: frozenset[Digest]) -> tuple[str, ...]:
        """Return the Pods (namespace/name) that name one of these digests as an image and have not ended."""
        try:
            return tuple(f"{one}/{name}" for one in namespaces for name, named in pods(self._listing, one) if named & digests)
        except CannotList as error:
            raise ClusterError(error.what, where=error.where, mend="it is tried again") from None

    def config_map_key(self, namespace: str, name: str, key: str) -> bytes:
        """Return a key of a ConfigMap; `CannotFetch` where there is none or the operator may not read it."""
        where = f"ConfigMap {namespace}/{name}"
        try:
            found = self._core.read_namespaced_config_map(name, namespace, _request_timeout=_TIMEOUT)
        except ApiException as error:
            if error.status == 404:
                raise CannotFetch("does not exist", where=where, mend="create it", again=True) from None
            if error.status == 403:
                mend = "ask whoever runs signoff to list the namespace under explanationConfigMapNamespaces"
                raise CannotFetch("the operator may not read it", where=where, mend=mend) from None
            raise CannotFetch(f"could not be read: {error.status}", where=where, again=True) from None
        except HTTPError as error:
            raise CannotFetch(f"could not be read: {type(error).__name__}", where=where, again=True) from None
        text, binary = (found.data or {}).get(key), (found.binary_data or {}).get(key)
        if text is not None:
            return str(text).encode()
        if binary is not None:
            return b64decode(binary)
        raise CannotFetch(f"has no key {key}", where=where, mend="add it", again=True)

    def tell(self, promotion: Object, kind: Literal["Normal", "Warning"], reason: str, note: str) -> None:
        """Post a Kubernetes Event about a promotion. What people are told must never hold up what is done: errors are logged."""
        metadata = cast("Mapping[str, str]", promotion["metadata"])
        body = client.EventsV1Event(
            metadata=client.V1ObjectMeta(generate_name=f"{metadata['name'][:200]}-", namespace=metadata["namespace"]),
            event_time=datetime.now(UTC),
            reporting_controller="signoff.dev/operator",
            reporting_instance="signoff-operator",
            action=reason,
            reason=reason,
            type=kind,
            note=note[:_NOTE],
            regarding=client.V1ObjectReference(
                api_version=API_VERSION,
                kind="ModelPromotion",
                name=metadata["name"],
                namespace=metadata["namespace"],
                uid=metadata["uid"],
            ),
        )
        try:
            self._events.create_namespaced_event(metadata["namespace"], body, _request_timeout=_TIMEOUT)
        except (ApiException, HTTPError) as error:
            LOG.warning("%s", _failed(f"event about modelpromotion {metadata['namespace']}/{metadata['name']}", error))


def _failed(what: str, error: ApiException | HTTPError) -> ClusterError:
    reason = f"{error.status} {error.reason}" if isinstance(error, ApiException) else type(error).__name__
    return ClusterError(f"the API server answered {reason}", where=what, mend="it is tried again")
