"""Who is asked: the gate over one archive, and two webhooks that admit everything, each a process of its own on loopback."""

from __future__ import annotations

import http.client
import ssl
import sys
import time
from collections.abc import Mapping
from pathlib import Path
from types import TracebackType
from typing import Any, Final, Self

import yaml

from bench.archive import Archive
from bench.errors import BenchError
from bench.events import CLUSTER
from bench.processes import Spent, spent
from bench.programs import program
from controlplane import ControlPlane
from controlplane.ports import LOOPBACK, free_ports
from controlplane.processes import Component
from signoff.config import WebhookConfig

READY_SECONDS: Final = 60.0
PROBE_SECONDS: Final = 0.005


class Server:
    """A webhook's process: ``path`` is where it takes reviews, ``metrics`` where it tells of itself, None where it does not."""

    def __init__(self, component: Component, port: int, path: str, ca: Path, metrics: str | None = None) -> None:
        self.component = component
        self.port = port
        self.url = f"https://{LOOPBACK}:{port}{path}"
        self.ca = ca
        self.metrics = metrics

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None) -> None:
        self.component.stop()

    def start(self) -> float:
        """Start it, and return after how many seconds it was ready."""
        began = time.monotonic()
        self.component.start()
        while not self._ready():
            if (why := self.component.ended_by_itself()) is not None:
                raise BenchError(why)
            if time.monotonic() - began > READY_SECONDS:
                raise BenchError(f"{self.component.name} was not ready after {READY_SECONDS:.0f} s; its log is {self.component.log}")
            time.sleep(PROBE_SECONDS)
        return time.monotonic() - began

    def restart(self) -> float:
        """End it at once, without draining, and start it again: it remembers nothing. Returns after how many seconds it was ready."""
        self.component.kill()
        return self.start()

    def spent(self) -> Spent:
        """Return what its process has used until now."""
        return spent(self.component.pid, self.metrics)

    def _ready(self) -> bool:
        try:
            context = ssl.create_default_context(cafile=str(self.ca))
            connection = http.client.HTTPSConnection(LOOPBACK, self.port, timeout=2, context=context)
            connection.request("GET", "/readyz")
            return connection.getresponse().status == 200
        except OSError:
            return False


def gate(plane: ControlPlane, archive: Archive, kubeconfig: Path, work: Path, rights: Mapping[str, str]) -> Server:
    """Return the gate over an archive, not started: the webhook without its door. It has metrics where this version has them."""
    certificate, key = plane.serving_certificate([LOOPBACK, "localhost"])
    port, metrics = free_ports(2)
    config: dict[str, Any] = {
        "cluster": CLUSTER,
        "archive": archive.url,
        "trust": archive.trust,
        "kubeconfig": str(kubeconfig),
        "tls": {"certificate": str(certificate), "key": str(key)},
        "gateListener": {"host": LOOPBACK, "port": port},
    }
    tells = "metrics" in WebhookConfig.model_fields
    if tells:
        config["metrics"] = {"host": LOOPBACK, "port": metrics}
    path = work / f"gate-{archive.label}.yaml"
    path.write_text(yaml.safe_dump(config))
    command = [sys.executable, "-m", "signoff", "run", "webhook", "--config", str(path)]
    component = Component(f"gate {archive.label}", command, work / f"gate-{archive.label}.log", dict(rights))
    where = f"http://{LOOPBACK}:{metrics}/metrics" if tells else None
    return Server(component, port, "/gate/enforce", plane.serving_ca_path, where)


def noop_go(plane: ControlPlane, work: Path) -> Server:
    """Return the webhook in Go that admits everything, not started."""
    certificate, key = plane.serving_certificate([LOOPBACK, "localhost"])
    (port,) = free_ports(1)
    command = [str(program("noop")), "-listen", f"{LOOPBACK}:{port}", "-certificate", str(certificate), "-key", str(key)]
    return Server(Component("noop-go", command, work / "noop-go.log"), port, "/admit", plane.serving_ca_path)


def noop_fastapi(plane: ControlPlane, work: Path) -> Server:
    """Return the webhook on FastAPI that admits everything, not started."""
    certificate, key = plane.serving_certificate([LOOPBACK, "localhost"])
    (port,) = free_ports(1)
    files = ["--certificate", str(certificate), "--key", str(key)]
    command = [sys.executable, "-m", "bench.noop", "--host", LOOPBACK, "--port", str(port), *files]
    return Server(Component("noop-fastapi", command, work / "noop-fastapi.log"), port, "/admit", plane.serving_ca_path)
