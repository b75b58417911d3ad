"""What the portal asks of the API server, by its own account: promotions, and what somebody may see; and the decisions and passkeys that it
brings along.
"""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from threading import Lock
from typing import Any, Final, cast

from kubernetes import client
from kubernetes.client.exceptions import ApiException
from urllib3.exceptions import HTTPError

from signoff import apiserver
from signoff.api import GROUP, VERSION
from signoff.decision.meanings import NOT_KNOWN
from signoff.decision.principals import Resolved
from signoff.errors import SignoffError
from signoff.record.canonical import Json, text_at

_TIMEOUT: Final = 10
_SENDING: Final = 20
_PAGE: Final = 500
_FRESH: Final = 10.0
_MOST: Final = 10_000

_PROMOTION: Final = f"/apis/{GROUP}/{VERSION}/namespaces/{{namespace}}/modelpromotions/{{name}}"

Object = Mapping[str, Json]
Version = tuple[str, str]
"""An object's ``uid`` and ``resourceVersion``: of the same two there is the same content (Kubernetes API conventions, "Metadata")."""


def version_of(found: Object) -> Version | None:
    """Return the version of an object as the API server gave it; None where it does not say."""
    version = text_at(found, "metadata", "uid"), text_at(found, "metadata", "resourceVersion")
    return version if all(version) else None


class ClusterAway(SignoffError):
    """The API server did not answer; safe to try again."""


class NotThere(SignoffError):
    """There is no such promotion, or none that this person may see."""


class Denied(SignoffError):
    """Admission, or the API server, refuses; nothing was decided."""


class NotKnown(SignoffError):
    """Whether something was decided is not known; safe to press again."""


class Cluster:
    """The API server, as the portal's account reaches it. Safe to use from many threads."""

    def __init__(self, api: client.ApiClient) -> None:
        self._api = api
        self._custom = client.CustomObjectsApi(api)
        self._authorization = client.AuthorizationV1Api(api)
        self._seen: dict[tuple[str, tuple[str, ...], str, str], tuple[float, bool]] = {}
        self._lock = Lock()

    def promotions(self) -> Iterator[Object]:
        """Yield every ModelPromotion."""
        return self._all("modelpromotions")

    def passkeys(self) -> Iterator[Object]:
        """Yield every PromotionPasskey."""
        return self._all("promotionpasskeys")

    def _all(self, plural: str) -> Iterator[Object]:
        more: str | None = None
        while True:
            try:
                page: Any = self._custom.list_cluster_custom_object(
                    GROUP, VERSION, plural, limit=_PAGE, _continue=more, _request_timeout=_TIMEOUT
                )
            except (ApiException, HTTPError) as error:
                raise _away(plural, error) from None
            yield from page["items"]
            more = page["metadata"].get("continue")
            if not more:
                return

    def check(self) -> None:
        """Return if the API server lists ModelPromotions for this account; `ClusterAway` where it does not."""
        try:
            self._custom.list_cluster_custom_object(GROUP, VERSION, "modelpromotions", limit=1, _request_timeout=_TIMEOUT)
        except (ApiException, HTTPError) as error:
            raise _away("modelpromotions", error) from None

    def promotion(self, namespace: str, name: str) -> Object:
        """Return a ModelPromotion; `NotThere` where there is none."""
        return cast("Object", self._one(namespace, name, apiserver.JSON))

    def version(self, namespace: str, name: str) -> Version | None:
        """Return which version of a ModelPromotion there is, without its content; raises as `promotion`."""
        return version_of(cast("Object", self._one(namespace, name, apiserver.METADATA)))

    def _one(self, namespace: str, name: str, accept: str) -> Any:
        # From the API server's memory ("resourceVersion=0"), in a sixth of the time of a read through etcd. It may lag by a moment: what a
        # desk shows and how far it is are the archive's word, and the door judges a press by what is there then.
        where, newest = f"{namespace}/{name}", [("resourceVersion", "0")]
        names = {"namespace": namespace, "name": name}
        try:
            return apiserver.get(self._api, _PROMOTION, names, newest, accept, timeout=_TIMEOUT)
        except ApiException as error:
            if error.status == 404:
                raise NotThere("there is no such promotion, or you may not see it", where=where, mend="look in your queue") from None
            raise _away(where, error) from None
        except HTTPError as error:
            raise _away(where, error) from None

    def may_see(self, who: Resolved, namespace: str) -> bool:
        """Whether Kubernetes lets this person get ModelPromotions in the namespace; an answer is good for ten seconds."""
        return self._may(who, "get", namespace)

    def may_audit(self, who: Resolved) -> bool:
        """Whether this person has the verb ``audit`` on ModelPromotions in the whole cluster; an answer is good for ten seconds."""
        return self._may(who, "audit", "")

    def _may(self, who: Resolved, verb: str, namespace: str) -> bool:
        key, now = (who.username, who.groups, verb, namespace), time.monotonic()
        with self._lock:
            known = self._seen.get(key)
        if known is not None and now - known[0] < _FRESH:
            return known[1]
        person = {"user": who.username, "groups": [*who.groups, "system:authenticated"]}
        asked = {"group": GROUP, "resource": "modelpromotions", "verb": verb, "namespace": namespace}
        try:
            allowed = apiserver.may(self._authorization, person, asked, timeout=_TIMEOUT)
        except (ApiException, HTTPError) as error:
            raise _away("subjectaccessreview", error) from None
        with self._lock:
            if len(self._seen) >= _MOST:
                self._seen.clear()
            self._seen[key] = (now, allowed)
        return allowed

    def decide(self, namespace: str, decision: Object) -> None:
        """Create a PromotionDecision, or find the one of its name there; `Denied` in admission's words, or `NotKnown`."""
        with _created():
            self._custom.create_namespaced_custom_object(
                GROUP, VERSION, namespace, "promotiondecisions", dict(decision), _request_timeout=_SENDING
            )

    def register(self, passkey: Object) -> None:
        """Create a PromotionPasskey, or find the one of its name there; raises as `decide`."""
        with _created():
            self._custom.create_cluster_custom_object(GROUP, VERSION, "promotionpasskeys", dict(passkey), _request_timeout=_SENDING)

    def withdraw(self, name: str) -> None:
        """Delete a PromotionPasskey, or find that it is gone."""
        try:
            self._custom.delete_cluster_custom_object(GROUP, VERSION, "promotionpasskeys", name, _request_timeout=_SENDING)
        except (ApiException, HTTPError) as error:
            if not isinstance(error, ApiException) or error.status != 404:
                raise _away(f"promotionpasskey {name}", error) from None


@contextmanager
def _created() -> Iterator[None]:
    try:
        yield
    except HTTPError as error:
        raise NotKnown(f"the API server does not answer ({type(error).__name__})") from None
    except ApiException as error:
        reason, message = apiserver.said(error)
        if error.status == 409 and reason == "AlreadyExists":
            return  # a second press of the same person on the same desk: what was sealed is told by the archive
        if error.status in {400, 403, 422} and NOT_KNOWN not in message:
            raise Denied(message) from None
        raise NotKnown(f"the API server answered {error.status}: {message}") from None


def _away(where: str, error: ApiException | HTTPError) -> ClusterAway:
    reason = f"{error.status} {error.reason}" if isinstance(error, ApiException) else type(error).__name__
    return ClusterAway(f"the API server did not answer: {reason}", where=where)
