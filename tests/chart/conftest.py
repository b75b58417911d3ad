"""The chart's folder, and a control plane for the tests that want a real API server."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from collections.abc import Iterator

    from controlplane.cluster import ControlPlane


@pytest.fixture(scope="session")
def control_plane() -> Iterator[ControlPlane]:
    from controlplane.cluster import ControlPlane

    with ControlPlane() as running:
        yield running


@pytest.fixture(scope="module")
def installed(control_plane: ControlPlane, tmp_path_factory: pytest.TempPathFactory) -> Iterator[ControlPlane]:
    """The chart on the control plane, with the webhook outside (and away), for as long as a module's tests run."""
    from tests.chart.rendering import CHART, NAMESPACE, outside, values_file

    for namespace in ("credit", "other"):
        control_plane.kubectl("create", "namespace", namespace, check=False)
    values = outside(control_plane.serving_ca_path.read_bytes()) | {
        "gate": {"default": "off"},
        "rbac": {"explanationConfigMapNamespaces": ["credit"]},
        "operator": {"config": {"audit": {"everyMinutes": 60}}},
        "guards": {
            "namespaceLabelAdministrators": {"groups": ["system:masters", "label-administrators"], "users": ["lena"]},
            "installers": {"groups": ["system:masters"], "users": ["system:serviceaccount:flux-system:helm-controller"]},
        },
    }
    path = values_file(tmp_path_factory.mktemp("chart"), values)
    control_plane.helm("install", "signoff", str(CHART), "--namespace", NAMESPACE, "--create-namespace", "--values", str(path))
    yield control_plane
    control_plane.helm("uninstall", "signoff", "--namespace", NAMESPACE)
