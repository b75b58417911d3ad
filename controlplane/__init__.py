"""A real Kubernetes control plane out of plain processes, for the demo and the tests.

`ControlPlane` (module `cluster`) is the way in; `binaries` says where the binaries come from.
On the command line: `python -m controlplane binaries` and `python -m controlplane up --work DIR`.
"""

from __future__ import annotations

from controlplane.cluster import ControlPlane
from controlplane.errors import BinaryUnavailableError, ComponentError, ControlPlaneError

__all__ = ["BinaryUnavailableError", "ComponentError", "ControlPlane", "ControlPlaneError"]
