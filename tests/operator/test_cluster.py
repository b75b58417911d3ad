"""What the operator asks of the API server: which Pods run of a promotion, and an error of its own where that cannot be told."""

from __future__ import annotations

import pytest

from signoff.operator.cluster import Cluster, ClusterError
from signoff.record.values import Digest
from tests.running.serving import Serving, pod

DIGEST = Digest(f"sha256:{'a' * 64}")


def test_what_runs_is_told_by_namespace_and_name_or_is_an_error() -> None:
    with Serving() as serving:
        cluster = Cluster(serving.api())
        serving.add(pod("one", f"x@{DIGEST}"))
        serving.add(pod("other", "x:tag"))
        serving.add(pod("two", f"x@{DIGEST}", namespace="batch"))
        serving.add(pod("elsewhere", f"x@{DIGEST}", namespace="elsewhere"))
        assert cluster.running(("credit", "batch"), frozenset({DIGEST})) == ("credit/one", "batch/two")
        serving.fault = lambda path, _: (403, {"code": 403}) if "/batch/" in path else None
        with pytest.raises(ClusterError, match="answered 403"):
            cluster.running(("credit", "batch"), frozenset({DIGEST}))
