"""The API server, as the person at this terminal reaches it: by kubeconfig and context, as kubectl does.

Denials of admission are told in admission's own words: the API server's wrapping is taken off.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Final, cast

from kubernetes import client, config
from kubernetes.client.exceptions import ApiException
from urllib3.exceptions import HTTPError

from signoff.api import GROUP, VERSION
from signoff.apiserver import said
from signoff.errors import SignoffError
from signoff.record.canonical import Json
from signoff.running.listing import Listing
from signoff.running.objects import pods

_POLICIES: Final = "promotionpolicies"
_TIMEOUT: Final = 30

Object = Mapping[str, Json]


class Denied(SignoffError):
    """The API server, or admission, refuses; nothing was changed."""


class Taken(SignoffError):
    """An object of this name is there already."""


class Cluster:
    """The API server under one kubeconfig and context."""

    def __init__(self, kubeconfig: str | None, context: str | None) -> None:
        settings = client.Configuration()
        try:
            config.load_kube_config(config_file=kubeconfig, context=context, client_configuration=settings)  # type: ignore[no-untyped-call]
            contexts, active = config.list_kube_config_contexts(config_file=kubeconfig)  # type: ignore[no-untyped-call]
        except (config.ConfigException, OSError) as error:
            raise SignoffError(
                f"no way to the API server: {error}", where="--kubeconfig", mend="name a kubeconfig that kubectl can use"
            ) from None
        settings.retries = 1
        self.api: Final = client.ApiClient(settings)
        self._custom = client.CustomObjectsApi(self.api)
        self._authentication = client.AuthenticationV1Api(self.api)
        chosen = next((one for one in contexts if one.get("name") == context), active) if context else active
        self.namespace: str = (chosen or {}).get("context", {}).get("namespace") or "default"

    def promotion(self, namespace: str, name: str) -> Object:
        """Return a ModelPromotion."""
        return self._get("modelpromotions", namespace, name)

    def decision(self, namespace: str, name: str) -> Object:
        """Return a PromotionDecision."""
        return self._get("promotiondecisions", namespace, name)

    def decide(self, namespace: str, decision: Object) -> Object:
        """Create a PromotionDecision and return it as admission left it; `Denied` in admission's words, `Taken` where its name is taken."""
        try:
            made = self._custom.create_namespaced_custom_object(
                GROUP, VERSION, namespace, "promotiondecisions", dict(decision), _request_timeout=_TIMEOUT
            )
        except (ApiException, HTTPError) as error:
            raise _failed(error, "promotiondecision", "whether it was sealed is not known; it is safe to press again") from None
        return cast("Object", made)

    def correct(self, namespace: str, correction: Object) -> Object:
        """Create a PromotionCorrection, or return the one of its name, as admission left it; `Denied` in admission's words."""
        mend = "whether it was corrected is not known; it is safe to try again"
        try:
            made = self._custom.create_namespaced_custom_object(
                GROUP, VERSION, namespace, "promotioncorrections", dict(correction), _request_timeout=_TIMEOUT
            )
        except (ApiException, HTTPError) as error:
            failed = _failed(error, "promotioncorrection", mend, "kubectl get promotioncorrections")
            if isinstance(failed, Taken):
                metadata = cast("Mapping[str, str]", correction["metadata"])
                return self._get("promotioncorrections", namespace, metadata["name"])
            raise failed from None
        return cast("Object", made)

    def pods(self, namespace: str) -> Iterator[tuple[str, frozenset[str]]]:
        """Yield each Pod of a namespace that has not ended, by name, and the digests that it names; `CannotList` where refused."""
        return pods(Listing(self.api), namespace)

    def policy(self, name: str) -> Object:
        """Return a PromotionPolicy."""
        try:
            found = self._custom.get_cluster_custom_object(GROUP, VERSION, _POLICIES, name, _request_timeout=_TIMEOUT)
        except (ApiException, HTTPError) as error:
            raise _failed(error, f"promotionpolicy {name}", "nobody has agreed", "kubectl get promotionpolicies") from None
        return cast("Object", found)

    def annotate_policy(self, name: str, annotations: Mapping[str, Json]) -> Object:
        """Set annotations of a PromotionPolicy and return it as admission left it; `Denied` in admission's words."""
        body = {"metadata": {"annotations": dict(annotations)}}
        try:
            made = self._custom.patch_cluster_custom_object(
                GROUP, VERSION, _POLICIES, name, body, _content_type="application/merge-patch+json", _request_timeout=_TIMEOUT
            )
        except (ApiException, HTTPError) as error:
            mend = "whether it was agreed to is not known; it is safe to try again"
            raise _failed(error, f"promotionpolicy {name}", mend, "kubectl get promotionpolicies") from None
        return cast("Object", made)

    def username(self) -> str:
        """Return who the API server says is asking (SelfSubjectReview, authentication.k8s.io/v1)."""
        try:
            review = self._authentication.create_self_subject_review(client.V1SelfSubjectReview(), _request_timeout=_TIMEOUT)
        except (ApiException, HTTPError) as error:
            raise _failed(error, "selfsubjectreview", "nothing was decided") from None
        user = review.status.user_info if review.status is not None else None
        if user is None or not user.username:
            raise SignoffError("the API server does not say who you are", "selfsubjectreview", "sign in, as for kubectl")
        return str(user.username)

    def _get(self, plural: str, namespace: str, name: str) -> Object:
        try:
            found = self._custom.get_namespaced_custom_object(GROUP, VERSION, namespace, plural, name, _request_timeout=_TIMEOUT)
        except (ApiException, HTTPError) as error:
            raise _failed(error, f"{plural.removesuffix('s')} {namespace}/{name}", "nothing was decided") from None
        return cast("Object", found)


def _failed(
    error: ApiException | HTTPError, where: str, mend: str, look: str = "kubectl get modelpromotions --all-namespaces"
) -> SignoffError:
    if isinstance(error, HTTPError):
        return SignoffError(f"the API server does not answer ({type(error).__name__})", where, mend)
    reason, message = said(error)
    if error.status == 409 and reason == "AlreadyExists":
        return Taken(message, where)
    if error.status == 404:
        return SignoffError("there is no such object", where, f"look with: {look}")
    if error.status in {401, 403}:
        return Denied(message)
    return SignoffError(f"the API server answered {error.status}: {message}", where, mend)
