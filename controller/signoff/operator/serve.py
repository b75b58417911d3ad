"""The operator's process: archive, trust, own key and rights first; then kopf watches until SIGTERM."""

from __future__ import annotations

from signoff import apiserver, watching
from signoff.config import OperatorConfig
from signoff.metrics.listener import serve_metrics
from signoff.operator.audit import Auditor
from signoff.operator.cluster import Cluster, MeteredApi
from signoff.operator.explanations import make_ready
from signoff.operator.metrics import OperatorMetrics
from signoff.operator.reconcile import Operator
from signoff.operator.run import now, registry
from signoff.start import open_archive, prove, serve_from_here, signer


def run(config: OperatorConfig) -> None:
    """Watch and reconcile until SIGTERM or SIGINT; `SignoffError` says why it cannot start."""
    metrics = OperatorMetrics()
    store, reader = open_archive(config, metrics.archive)
    prove(store)
    api = MeteredApi(apiserver.settings(config.kubeconfig), metrics.reached)
    operator = Operator(
        cluster_name=config.cluster,
        cluster=Cluster(api),
        store=store,
        reader=reader,
        signer=signer(config.eventKey, "event", reader.trust, config.cluster),
        explanations=config.explanations,
        now=now,
        metrics=metrics,
    )
    serve_metrics(metrics.registry, config.metrics)
    auditor = None if config.audit is None else Auditor(config.cluster, api, reader, config.audit, now, metrics.audit)
    handlers = registry(operator, float(config.resyncSeconds), auditor)
    if config.explanations.sources:
        make_ready()
    serve_from_here()
    watching.watch(handlers, config.kubeconfig, config.liveness)
