"""Lists of the API server, page by page.

1. No list is held as a whole: a page has at most 200 objects, and the next one is asked for when the last was looked at.
2. A list that takes so long that the API server has forgotten its beginning goes on from where it was, as things are by then: what is there
   all the while is listed.
3. A kind that is not served has no objects. A list that is refused, and an API server that does not answer, are errors: nobody may take
   them for an empty cluster.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from typing import Final, cast
from urllib.parse import quote

from kubernetes import client
from kubernetes.client.exceptions import ApiException
from urllib3.exceptions import HTTPError

from signoff import apiserver
from signoff.errors import SignoffError
from signoff.record.canonical import Json
from signoff.running.kinds import Kind

PAGE: Final = 200
TIMEOUT: Final = 20.0
_GONE: Final = 410
_METADATA: Final = "application/json;as=PartialObjectMetadataList;g=meta.k8s.io;v=v1"
_NOTHING: Final[Mapping[str, str]] = {}

Object = Mapping[str, Json]


class CannotList(SignoffError):
    """The API server did not give a list; ``status`` is its answer's, 0 where there was none."""

    def __init__(self, what: str, where: str, mend: str, status: int = 0) -> None:
        super().__init__(what, where, mend)
        self.status: Final = status


class Listing:
    """The lists that are needed to look at a cluster. Safe to use from many threads."""

    def __init__(self, api: client.ApiClient, timeout: float = TIMEOUT) -> None:
        self._api = api
        self._timeout = timeout

    def namespaces(self) -> Iterator[Object]:
        """Yield every namespace."""
        yield from self.pages("/api/v1/namespaces")

    def namespace(self, name: str) -> Object:
        """Return one namespace; `CannotList` where there is none."""
        found = self._get(f"/api/v1/namespaces/{quote(name, safe='')}", {})
        if _part(found, "metadata").get("name") != name:  # a list, or another path than was meant
            raise CannotList("the API server answered with something else", f"namespace {name}", "try again")
        return found

    def objects(self, kind: Kind, namespace: str) -> Iterator[tuple[str, Object]]:
        """Yield the objects of a kind in a namespace, each with the version that it is served in; none where the kind is not served."""
        for api_version in kind.api_versions:
            root = f"/apis/{api_version}" if kind.group else f"/api/{api_version}"
            try:
                for found in self.pages(f"{root}/namespaces/{quote(namespace, safe='')}/{kind.plural}"):
                    yield api_version, found
            except CannotList as error:
                if error.status == 404:
                    continue
                raise
            return

    def one(self, path: str) -> Object | None:
        """Return what lies at a path, or None where nothing does."""
        try:
            return self._get(path, {})
        except CannotList as error:
            if error.status == 404:
                return None
            raise

    def metadata(self, path: str, labels: Mapping[str, str]) -> Iterator[Object]:
        """Yield of each object that bears these labels its metadata alone (PartialObjectMetadata, meta.k8s.io/v1)."""
        yield from self.pages(path, {"labelSelector": ",".join(f"{key}={value}" for key, value in labels.items())}, _METADATA)

    def pages(self, path: str, query: Mapping[str, str] = _NOTHING, accept: str = apiserver.JSON) -> Iterator[Object]:
        """Yield what a list holds, page by page (rules 1 and 2)."""
        going_on = ""
        while True:
            page = self._page(path, going_on, query, accept)
            items = page.get("items")
            for item in items if isinstance(items, list) else ():
                if isinstance(item, Mapping):
                    yield item
            going_on = str(_part(page, "metadata").get("continue") or "")
            if not going_on:
                return

    def _page(self, path: str, going_on: str, query: Mapping[str, str], accept: str) -> Object:
        try:
            return self._get(path, {**query, "limit": str(PAGE), **({"continue": going_on} if going_on else {})}, accept)
        except _Forgotten as forgotten:
            return self._get(path, {**query, "limit": str(PAGE), "continue": forgotten.going_on}, accept)

    def _get(self, path: str, query: Mapping[str, str], accept: str = apiserver.JSON) -> Object:
        try:
            found = apiserver.get(self._api, path, {}, query.items(), accept, timeout=self._timeout)
        except ApiException as error:
            going_on = _inconsistent(error)
            if going_on:
                raise _Forgotten(going_on) from None
            raise _failed(path, error) from None
        except HTTPError as error:
            raise _failed(path, error) from None
        if not isinstance(found, Mapping):
            raise CannotList("the API server answered with something else", path, "try again")
        return cast("Object", found)


class _Forgotten(Exception):
    def __init__(self, going_on: str) -> None:
        self.going_on = going_on


def _inconsistent(error: ApiException) -> str:
    """Return where to go on with a list whose beginning is forgotten (API concepts, "Retrieving large results sets in chunks")."""
    if error.status != _GONE:
        return ""
    try:
        status = json.loads(error.body or "")
    except (ValueError, TypeError):
        return ""
    metadata = status.get("metadata") if isinstance(status, dict) else None
    return str(metadata.get("continue") or "") if isinstance(metadata, dict) else ""


def _failed(path: str, error: ApiException | HTTPError) -> CannotList:
    if not isinstance(error, ApiException):
        return CannotList(f"the API server did not answer: {type(error).__name__}", path, "try again")
    mend = "ask for the right to get and list it" if error.status == 403 else "try again"
    return CannotList(f"the API server answered {error.status} {error.reason}", path, mend, int(error.status or 0))


def _part(value: Object, key: str) -> Object:
    found = value.get(key)
    return found if isinstance(found, Mapping) else {}
