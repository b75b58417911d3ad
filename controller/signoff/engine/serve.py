"""The policy engine's process: archive and trust first; then kopf watches until SIGTERM.

1. It signs nothing and writes nothing into the archive: it creates PromotionDecisions, and admission seals them.
2. A few promotions are looked at at a time, each by one thread; a report that comes meanwhile asks for one more look. What failed is looked
   at again with growing pauses; what the engine does not approve, when its status changes or at the next resync.
3. A decision of its own that is there already is done, whoever's answer was lost. Somebody else's under its name does not stop it: it takes
   another name.
"""

from __future__ import annotations

import asyncio
import json
import logging
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any, Final, cast

import kopf
from kubernetes import client
from kubernetes.client.exceptions import ApiException
from prometheus_client import CollectorRegistry, Counter
from urllib3.exceptions import HTTPError

from signoff import apiserver, watching
from signoff.api import GROUP, VERSION
from signoff.config import EngineConfig
from signoff.engine.decide import NotNow, Press, awaits, press
from signoff.errors import SignoffError
from signoff.metrics import new_registry
from signoff.metrics.archive import ArchiveMetrics
from signoff.metrics.listener import serve_metrics
from signoff.record.canonical import Json
from signoff.start import open_archive, serve_from_here
from signoff.verify.reader import Reader

LOG: Final = logging.getLogger("signoff.engine")
_TIMEOUT: Final = 10
_SOON: Final = 2.0
_LATEST: Final = 60.0
_PAGE: Final = 200
_AT_A_TIME: Final = 4

Key = tuple[str, str]


class Engine:
    """The engine of one cluster."""

    def __init__(self, cluster: str, reader: Reader, api: client.ApiClient, metrics: CollectorRegistry) -> None:
        self._cluster = cluster
        self._reader = reader
        self._custom = client.CustomObjectsApi(api)
        self._looks = Counter("signoff_engine_looks", "Looks at promotions that wait for the engine.", ["outcome"], registry=metrics)
        for outcome in ("approved", "not approved", "failed"):
            self._looks.labels(outcome)

    def waiting(self) -> list[Key]:
        """Return the promotions that wait for the engine; `SignoffError` where the API server does not say."""
        found: list[Key] = []
        following = ""
        while True:
            try:
                page = self._custom.list_cluster_custom_object(
                    GROUP, VERSION, "modelpromotions", limit=_PAGE, _continue=following, _request_timeout=_TIMEOUT
                )
            except (ApiException, HTTPError) as error:
                raise SignoffError(f"the promotions could not be listed: {_told(error)}", mend="it is tried again") from None
            items = cast("Mapping[str, list[Mapping[str, Any]]]", page)["items"]
            found += [(str(one["metadata"]["namespace"]), str(one["metadata"]["name"])) for one in items if awaits(one)]
            following = str(cast("Mapping[str, Mapping[str, str]]", page)["metadata"].get("continue") or "")
            if not following:
                return found

    def look(self, key: Key) -> bool:
        """Decide on a promotion if it waits for the engine; whether this look came to its end. Errors are logged, and end in False."""
        try:
            promotion = self._promotion(key)
            if promotion is None or not awaits(promotion):
                return True
            made = press(self._reader, self._cluster, promotion, datetime.now(UTC))
            created = self._create(made)
        except NotNow as error:
            self._looks.labels("not approved").inc()
            LOG.info("%s/%s: not approved: %s", *key, error)
            return True
        except Exception as error:
            self._looks.labels("failed").inc()
            if isinstance(error, SignoffError):
                LOG.warning("%s/%s: nothing was decided: %s; it is tried again", *key, error)
            else:
                LOG.exception("%s/%s: nothing was decided; it is tried again", *key)
            return False
        if created:
            self._looks.labels("approved").inc()
            LOG.info("%s/%s: approved: %s", *key, made.meaning)
        return True

    def _promotion(self, key: Key) -> Mapping[str, Json] | None:
        try:
            found = self._custom.get_namespaced_custom_object(GROUP, VERSION, key[0], "modelpromotions", key[1], _request_timeout=_TIMEOUT)
        except (ApiException, HTTPError) as error:
            if isinstance(error, ApiException) and error.status == 404:
                return None
            raise SignoffError(f"the promotion could not be read: {_told(error)}") from None
        return cast("Mapping[str, Json]", found)

    def _create(self, made: Press) -> bool:
        """Create the decision; whether it was not there before (rule 3)."""
        name = str(cast("Mapping[str, Json]", made.manifest["metadata"])["name"])
        there = self._decision(made.namespace, name)
        if there is not None and isinstance(there.get("seal"), Mapping) and there.get("spec") == made.manifest["spec"]:
            return False
        metadata: dict[str, Json] = {"namespace": made.namespace, **({"name": name} if there is None else {"generateName": "engine-"})}
        try:
            self._custom.create_namespaced_custom_object(
                GROUP, VERSION, made.namespace, "promotiondecisions", {**made.manifest, "metadata": metadata}, _request_timeout=_TIMEOUT
            )
        except (ApiException, HTTPError) as error:
            raise SignoffError(_told(error), where="promotiondecision") from None
        return True

    def _decision(self, namespace: str, name: str) -> Mapping[str, Json] | None:
        try:
            found = self._custom.get_namespaced_custom_object(
                GROUP, VERSION, namespace, "promotiondecisions", name, _request_timeout=_TIMEOUT
            )
        except (ApiException, HTTPError) as error:
            if isinstance(error, ApiException) and error.status == 404:
                return None
            raise SignoffError(f"the decision could not be read: {_told(error)}") from None
        return cast("Mapping[str, Json]", found)


def run(config: EngineConfig) -> None:
    """Watch and decide until SIGTERM or SIGINT; `SignoffError` says why it cannot start."""
    metrics = new_registry()
    _, reader = open_archive(config, ArchiveMetrics(metrics))
    engine = Engine(config.cluster, reader, client.ApiClient(apiserver.settings(config.kubeconfig)), metrics)
    serve_metrics(metrics, config.metrics)
    handlers = registry(engine, float(config.resyncSeconds))
    serve_from_here()
    watching.watch(handlers, config.kubeconfig, config.liveness)


def registry(engine: Engine, resync: float) -> kopf.OperatorRegistry:
    """Return kopf's handlers for an engine."""
    handlers = kopf.OperatorRegistry()
    looks = Looks(engine)
    tasks: list[asyncio.Task[None]] = []

    @kopf.on.startup(registry=handlers)
    async def start(settings: kopf.OperatorSettings, **_: Any) -> None:
        watching.settle(settings)
        tasks.append(asyncio.create_task(_regularly(engine, looks, resync)))

    @kopf.on.cleanup(registry=handlers)
    async def stop(**_: Any) -> None:
        for task in tasks:
            task.cancel()

    @kopf.on.event(GROUP, VERSION, "modelpromotions", registry=handlers)
    async def promotion(namespace: str | None, name: str | None, body: kopf.Body, event: kopf.RawEvent, **_: Any) -> None:
        if namespace and name and event["type"] != "DELETED" and awaits(cast("Mapping[str, Json]", body)):
            looks.ask((namespace, name))

    return handlers


class Looks:
    """Which promotions are looked at (rule 2)."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self._tasks: dict[Key, asyncio.Task[None]] = {}
        self._again: set[Key] = set()
        self._room = asyncio.Semaphore(_AT_A_TIME)

    def ask(self, key: Key) -> None:
        """Ask for a look at a promotion; for one more, where it is being looked at."""
        if key in self._tasks:
            self._again.add(key)
            return
        task = self._tasks[key] = asyncio.create_task(self._look(key))
        task.add_done_callback(lambda _: self._ended(key))

    def _ended(self, key: Key) -> None:
        del self._tasks[key]
        if key in self._again:
            self._again.discard(key)
            self.ask(key)

    async def _look(self, key: Key) -> None:
        pause = _SOON
        while True:
            self._again.discard(key)
            async with self._room:
                done = await asyncio.to_thread(self._engine.look, key)
            if done:
                return
            await asyncio.sleep(pause)
            pause = min(pause * 2, _LATEST)


async def _regularly(engine: Engine, looks: Looks, pause: float) -> None:
    while True:
        await asyncio.sleep(pause)
        try:
            for key in await asyncio.to_thread(engine.waiting):
                looks.ask(key)
        except SignoffError as error:
            LOG.warning("%s", error)
        except Exception:
            LOG.exception("the promotions could not be listed; it is tried again")


def _told(error: ApiException | HTTPError) -> str:
    """Return what the API server said, the webhook's own words where it has some."""
    if not isinstance(error, ApiException):
        return f"the API server did not answer: {type(error).__name__}"
    try:
        return str(json.loads(error.body or "")["message"])[:500]
    except (ValueError, KeyError, TypeError):
        return f"the API server answered {error.status} {error.reason}"
