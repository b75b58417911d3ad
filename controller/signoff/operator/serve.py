"""The operator's process: archive, trust, own key and rights first; then kopf watches until SIGTERM.

Credentials for the API server come from ``kubeconfig`` where one is configured, and from the Pod's ServiceAccount otherwise; kopf asks for
them again when the API server refuses the old ones, so that a rotated token is read anew.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import kopf
from kubernetes import client
from kubernetes import config as kube

from signoff.config import Listener, OperatorConfig
from signoff.errors import SignoffError
from signoff.metrics.listener import serve_metrics
from signoff.operator.cluster import Cluster, MeteredApi
from signoff.operator.metrics import OperatorMetrics
from signoff.operator.reconcile import Operator
from signoff.operator.run import now, registry
from signoff.start import open_archive, prove, signer


def run(config: OperatorConfig) -> None:
    """Watch and reconcile until SIGTERM or SIGINT; `SignoffError` says why it cannot start."""
    metrics = OperatorMetrics()
    store, reader = open_archive(config, metrics.archive)
    prove(store)
    settings = _settings(config.kubeconfig)
    settings.retries = False  # the queue tries again, and meanwhile the status says why
    operator = Operator(
        cluster_name=config.cluster,
        cluster=Cluster(MeteredApi(settings, metrics.reached)),
        store=store,
        reader=reader,
        signer=signer(config.eventKey, "event", reader.trust, config.cluster),
        explanations=config.explanations,
        now=now,
        metrics=metrics,
    )
    serve_metrics(metrics.registry, config.metrics)
    handlers = registry(operator, float(config.resyncSeconds))

    @kopf.on.login(registry=handlers)
    def login(**_: Any) -> kopf.ConnectionInfo:
        return connection(config.kubeconfig)

    kopf.run(registry=handlers, standalone=True, clusterwide=True, liveness_endpoint=_liveness(config.liveness))


def connection(kubeconfig: str | None) -> kopf.ConnectionInfo:
    """Return how kopf reaches the API server."""
    settings = _settings(kubeconfig)
    header: str | None = settings.get_api_key_with_prefix("BearerToken") or settings.get_api_key_with_prefix("authorization")
    scheme, _, token = (header or "").rpartition(" ")
    return kopf.ConnectionInfo(
        server=settings.host,
        ca_path=settings.ssl_ca_cert,
        insecure=not settings.verify_ssl,
        username=settings.username or None,
        password=settings.password or None,
        scheme=scheme or None,
        token=token or None,
        certificate_path=settings.cert_file,
        private_key_path=settings.key_file,
    )


def _settings(kubeconfig: str | None) -> client.Configuration:
    settings = client.Configuration()
    try:
        if kubeconfig is not None:
            kube.load_kube_config(config_file=str(Path(kubeconfig)), client_configuration=settings)  # type: ignore[no-untyped-call]
        else:
            kube.load_incluster_config(client_configuration=settings)  # type: ignore[no-untyped-call]
    except kube.ConfigException as error:
        raise SignoffError(f"no way to the API server: {error}", mend="run inside a Pod, or name a file as kubeconfig") from None
    return settings


def _liveness(listener: Listener | None) -> str | None:
    return None if listener is None else f"http://{listener.host}:{listener.port}/healthz"
