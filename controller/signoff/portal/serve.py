"""The portal's process: archive and trust first, then it serves until SIGTERM. It needs no more of the archive than to read it."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

import uvicorn
from kubernetes import client

from signoff import apiserver
from signoff.config import Listener, PortalConfig, Tls
from signoff.errors import SignoffError
from signoff.listening import Bounded, loaded
from signoff.metrics import new_registry
from signoff.metrics.archive import ArchiveMetrics
from signoff.metrics.listener import serve_metrics
from signoff.portal.app import Portal, application
from signoff.portal.cluster import Cluster
from signoff.portal.desks import Desks
from signoff.portal.looking import Looking
from signoff.portal.past import Past
from signoff.portal.sessions import Sessions
from signoff.portal.signing_in import SigningIn
from signoff.start import open_archive, serve_from_here


def run(config: PortalConfig) -> None:
    """Serve until SIGTERM or SIGINT; `SignoffError` says why it cannot start."""
    registry = new_registry()
    _, reader = open_archive(config, ArchiveMetrics(registry))
    provider = reader.trust.provider(config.provider.issuer)
    if provider is None or config.provider.clientId not in provider.clients:
        raise SignoffError(
            f"the trust file does not name {config.provider.issuer} with the client {config.provider.clientId}",
            where="provider",
            mend="add it: signoff trust add-provider",
        )
    settings = apiserver.settings(config.kubeconfig)
    settings.connection_pool_maxsize = 32
    cluster = Cluster(client.ApiClient(settings))
    signing_in = SigningIn(config.provider, provider, _secret(config.provider.clientSecret), config.url)
    desks, past = Desks(cluster, reader), Past(config.cluster, cluster, reader)
    looking = Looking({"archive": reader.store.check, "API server": cluster.check}, time.monotonic)
    portal = Portal(config.cluster, config.url, cluster, desks, past, signing_in, Sessions(time.monotonic), looking)
    serve_metrics(registry, config.metrics)
    serve_from_here()
    uvicorn.Server(listening(application(portal), config.listener, config.tls)).run()


def listening(app: Any, listener: Listener, tls: Tls) -> uvicorn.Config:
    """Return the portal's listener, its certificate read; `SignoffError` where there is none."""
    settings = uvicorn.Config(
        app,
        host=listener.host,
        port=listener.port,
        http=Bounded,
        access_log=False,
        log_config=None,
        server_header=False,
        limit_concurrency=500,
        timeout_graceful_shutdown=20,
        ssl_certfile=tls.certificate,
        ssl_keyfile=tls.key,
    )
    return loaded(settings)


def _secret(path: str) -> str:
    try:
        return Path(path).read_text(encoding="utf-8").strip()
    except (OSError, UnicodeDecodeError):
        raise SignoffError("the client's secret cannot be read", where=path, mend="mount it, or correct the path") from None
