"""The webhook's process: two listeners, one loop. The door demands a client certificate of the configured CA, and nobody else has one.

1. On SIGTERM readiness says no at once, while both listeners go on for ``drainSeconds``: until every node has heard of it, reviews keep
   coming, and each is answered. A connection is closed with its next answer, so that the API server opens its next one elsewhere.
2. Then, and at once on SIGINT, the listeners finish what they have begun and take nothing new.
3. A second signal ends the process without waiting for anything.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
import signal
import ssl
import time
from collections.abc import Callable, Iterator, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

import uvicorn
import uvloop
from starlette.applications import Starlette

from signoff.archive.store import Store
from signoff.config import Door, Listener, WebhookConfig
from signoff.errors import SignoffError
from signoff.gate.lookup import look_up
from signoff.gate.memory import Memory
from signoff.listening import Bounded, loaded
from signoff.metrics.listener import serve_metrics
from signoff.record.values import Digest
from signoff.running.listing import Listing
from signoff.start import serve_from_here, signer
from signoff.verify.reader import Reader
from signoff.webhook.apps import Readiness, door_app, gate_app
from signoff.webhook.cluster import Cluster, api_client
from signoff.webhook.consent import Providers, fetched, make_ready
from signoff.webhook.evidence import Noting
from signoff.webhook.gate import Gate
from signoff.webhook.keeper import Keeper
from signoff.webhook.kept import Kept
from signoff.webhook.metrics import WebhookMetrics
from signoff.webhook.namespaces import Turning
from signoff.webhook.restart import opened, restore
from signoff.webhook.witness import Witness

LOG: Final = logging.getLogger("signoff.webhook")
_LISTING_SECONDS: Final = 3.0

Revoked = Callable[[Digest, str], None]


class _Server(uvicorn.Server):
    """A server that leaves signals to the process, which has two of them."""

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield


def run(config: WebhookConfig) -> None:
    """Serve until SIGTERM or SIGINT; `SignoffError` says why it cannot start."""
    if config.replicas > 1 and config.archive.startswith("file:"):
        raise SignoffError(
            f"a file:// archive lies on one node, and cannot serve {config.replicas} replicas", where="archive", mend="use one replica"
        )
    metrics, readiness = WebhookMetrics(), Readiness()
    kept = Kept(Path(config.gate.cache)) if config.gate.cache is not None else None
    store, trust = opened(config, kept, metrics.archive)
    reader = Reader(store, trust)
    api = api_client(config.kubeconfig)
    cluster = Cluster(api)
    gate, revoked = _gate(config, reader, cluster, kept, metrics)
    servers = [_server(gate_app(gate, metrics, readiness), config.gateListener, config, None)]
    if config.door is not None:
        turning = Turning(gate, Listing(api, _LISTING_SECONDS))
        door = door_app(_witness(config, store, reader, cluster, revoked), metrics, turning)
        servers.append(_server(door, config.door, config, config.door))

    def drain() -> None:
        readiness.draining = True
        metrics.drains()

    serve_metrics(metrics.registry, config.metrics)
    serve_from_here()
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(serve(servers, drain, config.drainSeconds))


def _gate(config: WebhookConfig, reader: Reader, cluster: Cluster, kept: Kept | None, metrics: WebhookMetrics) -> tuple[Gate, Revoked]:
    """Return the gate, and whom to tell of what is revoked in this process."""
    measured = metrics.verifications.measured
    keeper: Keeper | None = None
    if kept is None:
        memory = Memory(measured(lambda key: look_up(reader, key, config.cluster, _now())), time.monotonic)
    else:
        noting = Noting(reader.store)
        keeper = Keeper(kept, noting, Reader(noting, reader.trust), config.cluster, _now)
        memory = Memory(measured(keeper.look_up), time.monotonic)
        restore(memory, kept, reader.trust, config.cluster, _now, time.monotonic)
    metrics.watch(memory, time.monotonic)

    def revoked(event: Digest, words: str) -> None:
        for key in memory.revoke(event, words):
            if keeper is not None:
                keeper.drop(key)

    return Gate(config.cluster, cluster, reader, memory, config.gate.exemptions, _now), revoked


def _witness(config: WebhookConfig, store: Store, reader: Reader, cluster: Cluster, revoked: Revoked) -> Witness:
    if config.identityProviders:
        make_ready()
    providers = Providers(config.identityProviders, config.portals, fetched)
    own = signer(config.sealKey or "", "seal", reader.trust, config.cluster)
    return Witness(
        config.cluster,
        cluster,
        store,
        reader,
        own,
        config.issuers or (),
        _now,
        config.pendingPerNamespace,
        providers,
        revoked,
        config.passkeyOrigins,
    )


def _server(app: Starlette, listener: Listener, config: WebhookConfig, door: Door | None) -> _Server:
    client_ca = door.clientCa if door is not None else None
    settings = uvicorn.Config(
        app,
        host=listener.host,
        port=listener.port,
        http=_protocol_for(door.clientNames) if door is not None else Bounded,
        limit_concurrency=1000,
        lifespan="off",
        access_log=False,
        log_config=None,
        server_header=False,
        timeout_keep_alive=75,
        timeout_graceful_shutdown=20,
        ssl_certfile=config.tls.certificate,
        ssl_keyfile=config.tls.key,
        ssl_ca_certs=client_ca,
        ssl_cert_reqs=ssl.CERT_REQUIRED if client_ca else ssl.CERT_NONE,
    )
    return _Server(loaded(settings))


def _protocol_for(names: Sequence[str]) -> type[Bounded]:
    """Return the protocol of a listener that talks only to clients whose certificate bears one of these common names."""

    class Named(Bounded):
        def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
            super().connection_made(transport)
            if not common_names(transport.get_extra_info("peercert")) & set(names):
                LOG.warning("a client of the configured CA that is not the API server was turned away at the door")
                transport.abort()

    return Named


def common_names(certificate: object) -> set[str]:
    """Return the common names of a peer's certificate, as Python's ssl module gives it (``getpeercert``)."""
    subject = certificate.get("subject", ()) if isinstance(certificate, dict) else ()
    return {value for parts in subject for key, value in parts if key == "commonName"}


async def serve(servers: Sequence[_Server], drain: Callable[[], None], drain_seconds: float) -> None:
    """Serve until a signal says otherwise (rules 1 to 3); ``drain`` is called when the end begins."""
    loop = asyncio.get_running_loop()
    stopping = False

    def stop() -> None:
        for server in servers:
            server.should_exit = True

    def told(number: signal.Signals) -> None:
        nonlocal stopping
        if stopping:
            LOG.warning("a second signal: ending at once")
            logging.shutdown()
            os._exit(128 + number)  # threads that wait for an archive would be waited for
        stopping = True
        drain()
        for server in servers:
            server.config.encoded_headers.append((b"connection", b"close"))
        loop.call_later(drain_seconds if number == signal.SIGTERM else 0, stop)

    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, told, number)
    try:
        await asyncio.gather(*(server.serve() for server in servers))
    finally:
        stop()


def _now() -> datetime:
    return datetime.now(UTC)
