"""One bank for all end-to-end tests: a control plane of its own, signoff installed, its processes running."""

from __future__ import annotations

import http.server
import ssl
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any

import pytest
import yaml
from office import Office

from controlplane import ControlPlane
from controlplane.bank import BEN, PAULA, Bank
from controlplane.ports import free_ports


class _Reports(http.server.SimpleHTTPRequestHandler):
    """The model team's report server."""

    def log_message(self, *_: object) -> None:
        """Say nothing."""


@contextmanager
def reports(plane: ControlPlane) -> Iterator[dict[str, Any]]:
    """Serve examples/credit-scoring over https, and say how the operator is to reach it."""
    certificate, key = plane.serving_certificate(["127.0.0.1"])
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate, key)
    folder = Path(__file__).parent.parent.parent / "examples" / "credit-scoring"
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), partial(_Reports, directory=str(folder)))
    server.socket = context.wrap_socket(server.socket, server_side=True)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    source = {"prefix": f"https://127.0.0.1:{server.server_port}/", "addresses": ["127.0.0.0/8"]}
    try:
        metrics = {"host": "127.0.0.1", "port": free_ports(1)[0]}
        yield {"explanations": {"sources": [source], "ca": str(plane.serving_ca_path)}, "metrics": metrics}
    finally:
        server.shutdown()


@pytest.fixture(scope="session")
def report_prefix(bank: Bank) -> str:
    config = yaml.safe_load((bank.work / "operator.yaml").read_text())
    return str(config["explanations"]["sources"][0]["prefix"])


@pytest.fixture(scope="session")
def operator_metrics(bank: Bank) -> int:
    """The port of the operator's metrics."""
    return int(yaml.safe_load((bank.work / "operator.yaml").read_text())["metrics"]["port"])


@pytest.fixture(scope="session")
def bank(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Bank]:
    work = tmp_path_factory.mktemp("bank")
    (clock := work / "clock").write_text("0")
    with ControlPlane(work / "control-plane") as plane, reports(plane) as source, Bank(
        plane, work / "bank", operator=source, engine=True, clock=clock
    ) as bank:
        bank.kubectl(PAULA, "apply", "-f", "examples/credit-scoring/policy.yaml")
        bank.kubectl(BEN, "apply", "-f", "examples/credit-scoring/explanation-configmap.yaml")
        yield bank


@pytest.fixture
def clock(bank: Bank) -> Iterator[Callable[[float], None]]:
    """Let the clocks of webhook and operator be ahead by so many seconds; at the end they are right again."""
    file = bank.work.parent / "clock"

    def ahead(seconds: float) -> None:
        beside = file.with_suffix(".new")
        beside.write_text(str(seconds))
        beside.replace(file)

    yield ahead
    ahead(0)


@pytest.fixture
def office(bank: Bank) -> Office:
    return Office(bank)
