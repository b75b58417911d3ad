"""What the webhook asks of the API server: a namespace's labels, a promotion, how many are pending, the policies, and whether somebody may
approve.

The labels of a namespace are remembered for two seconds; everything else is asked anew each time.
"""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from threading import Lock
from typing import Final, cast

from kubernetes import client
from kubernetes.client.exceptions import ApiException
from urllib3.exceptions import HTTPError

from signoff import apiserver
from signoff.api import API_VERSION, GROUP, VERSION
from signoff.errors import SignoffError
from signoff.gate.owners import KINDS, Owner
from signoff.record.canonical import Json

_TIMEOUT: Final = 3
_LABELS_FRESH: Final = 2.0
_MAX_NAMESPACES: Final = 10_000
# Rows without their objects: counting must not cost what the promotions weigh.
_ROWS: Final = "application/json;as=Table;v=v1;g=meta.k8s.io"
# Both are selectable fields of the definition; a field that is absent is selected as "". Who asked is not witnessed for other clusters.
_PENDING: Final = "status.event=,submission.time!="
_OLD_DEFINITION: Final = "apply the CRDs of this version (helm does not upgrade them): kubectl apply -f crds/"
_RUNS_PODS: Final = (
    ("", "pods"),
    ("", "replicationcontrollers"),
    ("apps", "replicasets"),
    ("apps", "deployments"),
    ("apps", "statefulsets"),
    ("apps", "daemonsets"),
    ("batch", "jobs"),
    ("batch", "cronjobs"),
)


class ClusterError(SignoffError):
    """The API server did not answer a question of ours."""


class NotFound(ClusterError):
    """The API server knows no such object."""


@dataclass(frozen=True)
class _Labels:
    labels: Mapping[str, str]
    read_at: float


def api_client(kubeconfig: str | None) -> client.ApiClient:
    """Return a client of the API server: by a kubeconfig file, or from inside a Pod."""
    settings = apiserver.settings(kubeconfig)
    settings.connection_pool_maxsize = 32
    return client.ApiClient(settings)


class Cluster:
    """Questions to the API server. Safe to use from many threads; each blocks for at most a few seconds."""

    def __init__(self, api: client.ApiClient) -> None:
        self._api = api
        self._custom = client.CustomObjectsApi(api)
        self._authorization = client.AuthorizationV1Api(api)
        self._labels: dict[str, _Labels] = {}
        self._lock = Lock()

    def known_labels(self, namespace: str) -> Mapping[str, str] | None:
        """Return the labels of a namespace where they were read in the last two seconds."""
        with self._lock:
            found = self._labels.get(namespace)
        return found.labels if found is not None and time.monotonic() - found.read_at < _LABELS_FRESH else None

    def labels(self, namespace: str) -> Mapping[str, str]:
        """Return the labels of a namespace; `ClusterError` where they could not be read."""
        known = self.known_labels(namespace)
        if known is not None:
            return known
        read_at = time.monotonic()
        try:
            labels = self._labels_of(namespace)
        except (ApiException, HTTPError) as error:
            raise _failed(f"namespace {namespace}", error) from None
        with self._lock:
            if len(self._labels) >= _MAX_NAMESPACES:
                self._labels.clear()
            self._labels[namespace] = _Labels(labels, read_at)
        return labels

    def _labels_of(self, namespace: str) -> Mapping[str, str]:
        found = apiserver.get(self._api, "/api/v1/namespaces/{name}", {"name": namespace}, timeout=_TIMEOUT)
        metadata = found.get("metadata") or {}
        if metadata.get("name") != namespace:  # a list, or another path than was meant
            raise ClusterError("the API server answered with something else", where=f"namespace {namespace}", mend="try again")
        return metadata.get("labels") or {}

    def owner(self, namespace: str, owner: Owner) -> Mapping[str, Json]:
        """Return the object that a Pod names as its controller; `NotFound` where there is none."""
        prefix = "/api/v1" if "/" not in owner.api_version else f"/apis/{owner.api_version}"
        path = f"{prefix}/namespaces/{{namespace}}/{KINDS[owner.api_version, owner.kind]}/{{name}}"
        try:
            found = apiserver.get(self._api, path, {"namespace": namespace, "name": owner.name}, timeout=_TIMEOUT)
        except (ApiException, HTTPError) as error:
            raise _failed(f"{owner.kind} {namespace}/{owner.name}", error) from None
        return found if isinstance(found, Mapping) else {}

    def promotion(self, namespace: str, name: str) -> Mapping[str, Json]:
        """Return a ModelPromotion; `NotFound` where there is none."""
        try:
            found = self._custom.get_namespaced_custom_object(GROUP, VERSION, namespace, "modelpromotions", name, _request_timeout=_TIMEOUT)
        except (ApiException, HTTPError) as error:
            raise _failed(f"modelpromotion {namespace}/{name}", error) from None
        return cast("Mapping[str, Json]", found)

    def pending(self, namespace: str, most: int) -> int:
        """Return how many promotions for this cluster have no outcome in their status, counting no further than ``most``."""
        where = f"modelpromotions in namespace {namespace}"
        path = f"/apis/{API_VERSION}/namespaces/{{namespace}}/modelpromotions"
        query = [("fieldSelector", _PENDING), ("limit", most), ("includeObject", "None")]
        try:
            found = apiserver.get(self._api, path, {"namespace": namespace}, query, _ROWS, timeout=_TIMEOUT)
        except (ApiException, HTTPError) as error:
            # The one way in which this question is a bad request: the definition does not name its fields as selectable.
            if isinstance(error, ApiException) and error.status == 400:
                raise ClusterError("the API server cannot select promotions by outcome", where=where, mend=_OLD_DEFINITION) from None
            raise _failed(where, error) from None
        if not isinstance(found, Mapping) or found.get("kind") != "Table":
            raise ClusterError("the API server gave no table", where=where, mend="try again")
        return len(found.get("rows") or ())  # an empty table has null

    def policies(self) -> Sequence[Mapping[str, Json]]:
        """Return every PromotionPolicy."""
        try:
            found = self._custom.list_cluster_custom_object(GROUP, VERSION, "promotionpolicies", _request_timeout=_TIMEOUT)
        except (ApiException, HTTPError) as error:
            raise _failed("promotionpolicies", error) from None
        return cast("Sequence[Mapping[str, Json]]", cast("Mapping[str, Json]", found)["items"])

    def delegation(self, name: str) -> Mapping[str, Json]:
        """Return a PromotionDelegation; `NotFound` where there is none (any more)."""
        return self._of_cluster("promotiondelegation", name)

    def passkey(self, name: str) -> Mapping[str, Json]:
        """Return a PromotionPasskey; `NotFound` where there is none (any more)."""
        return self._of_cluster("promotionpasskey", name)

    def _of_cluster(self, kind: str, name: str) -> Mapping[str, Json]:
        try:
            found = self._custom.get_cluster_custom_object(GROUP, VERSION, f"{kind}s", name, _request_timeout=_TIMEOUT)
        except (ApiException, HTTPError) as error:
            raise _failed(f"{kind} {name}", error) from None
        return cast("Mapping[str, Json]", found)

    def decision_exists(self, namespace: str, name: str) -> bool:
        """Whether a PromotionDecision of this name is there."""
        try:
            self._custom.get_namespaced_custom_object(GROUP, VERSION, namespace, "promotiondecisions", name, _request_timeout=_TIMEOUT)
        except (ApiException, HTTPError) as error:
            failed = _failed(f"promotiondecision {namespace}/{name}", error)
            if isinstance(failed, NotFound):
                return False
            raise failed from None
        return True

    def may_approve(self, user: Mapping[str, Json], namespace: str, tier: str) -> bool:
        """Whether this user may ``approve`` the tier in the namespace (SubjectAccessReview, authorization.k8s.io/v1)."""
        return self.may_correct(user, namespace, tier, "approve")

    def may_correct(self, user: Mapping[str, Json], namespace: str, tier: str, verb: str) -> bool:
        """Whether this user has a verb such as ``revoke`` or ``annotate`` on the tier in the namespace."""
        return self._may(user, group=GROUP, resource="materialitytiers", name=tier, verb=verb, namespace=namespace)

    def way_to_act_as(self, user: Mapping[str, Json], namespace: str, name: str) -> str | None:
        """Return in words how this user may act as a service account, or None where roles give no way."""
        ways: Sequence[tuple[str, dict[str, str]]] = (
            ("create its tokens", {"resource": "serviceaccounts", "subresource": "token", "name": name, "verb": "create"}),
            ("impersonate it", {"resource": "serviceaccounts", "name": name, "verb": "impersonate"}),
            ("enter Pods beside it", {"resource": "pods", "subresource": "exec", "verb": "create"}),
            ("enter Pods beside it", {"resource": "pods", "subresource": "attach", "verb": "create"}),
            ("enter Pods beside it", {"resource": "pods", "subresource": "ephemeralcontainers", "verb": "patch"}),
            *(
                ("run Pods beside it", {"group": group, "resource": resource, "verb": verb})
                for group, resource in _RUNS_PODS
                for verb in ("create", "patch", "update")
            ),
        )
        return next((words for words, asked in ways if self._may(user, **{"group": "", "namespace": namespace, **asked})), None)

    def _may(self, user: Mapping[str, Json], **attributes: str) -> bool:
        who = {"user": user.get("username"), "uid": user.get("uid"), "groups": user.get("groups"), "extra": user.get("extra")}
        try:
            return apiserver.may(self._authorization, who, attributes, timeout=_TIMEOUT)
        except (ApiException, HTTPError) as error:
            raise _failed("subjectaccessreview", error) from None


def _failed(what: str, error: ApiException | HTTPError) -> ClusterError:
    if isinstance(error, ApiException) and error.status == 404:
        return NotFound("the API server knows no such object", where=what)
    reason = f"{error.status} {error.reason}" if isinstance(error, ApiException) else type(error).__name__
    return ClusterError(f"the API server did not answer: {reason}", where=what, mend="try again")
