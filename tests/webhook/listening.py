"""The webhook's two listeners as `signoff.webhook.serve` builds them, on loopback with TLS, in a thread, and a client that asks them.

There is no API server behind them: the labels of two namespaces are known beforehand, what counts pending requests is told how many there
are, and every other question to the API server fails.
"""

from __future__ import annotations

import asyncio
import http.client
import json
import math
import ssl
import threading
import time
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Self

from kubernetes import client
from world import STORED, World

from controlplane.pki import Authority, Certificate
from controlplane.ports import free_ports
from signoff.config import WebhookConfig
from signoff.gate.lookup import look_up
from signoff.gate.memory import Memory
from signoff.operator.commit import commit
from signoff.record.canonical import dumps
from signoff.record.keys import PemSigner, generate_pem
from signoff.record.promotion import PROMOTION_TYPE
from signoff.record.values import parse
from signoff.webhook.apps import door_app, gate_app
from signoff.webhook.cluster import Cluster, _Labels
from signoff.webhook.gate import Gate
from signoff.webhook.serve import _server, _witness
from tests.webhook.counting import Counting

NOW = datetime(2026, 3, 4, 9, 0, tzinfo=UTC)
LABELS = {
    "credit": {"signoff.dev/gate": "enforce", "signoff.dev/environment": "production"},
    "unlabelled": {},
}
ISSUERS = [
    {"issuer": "https://login.bank.example", "credential": "X509SHA256", "kind": "person"},
    {"issuer": "https://kubernetes.bank.example", "usernamePrefix": "system:serviceaccount:", "credential": "JTI", "kind": "service"},
]


def unreachable_cluster() -> Cluster:
    return cluster_at("http://127.0.0.1:1")


def cluster_at(url: str) -> Cluster:
    settings = client.Configuration(host=url)
    settings.retries = False
    cluster = Cluster(client.ApiClient(settings))
    cluster._labels = {name: _Labels(labels, math.inf) for name, labels in LABELS.items()}
    return cluster


def promote(world: World) -> None:
    """Write the event of the example's promotion, approved by Carla."""
    frozen = world.freeze()
    sealed = world.seal(frozen.payload, frozen.freeze)
    world.archive_seal(sealed)
    commit(world.reader, world.event_key, frozen.freeze, PROMOTION_TYPE, [sealed], STORED)


class Listening:
    """Both listeners over one world, and the certificates that go with them."""

    def __init__(self, folder: Path, *, four_eyes: bool = False) -> None:
        (folder / "seal.pem").write_bytes(generate_pem())
        self.world = World(folder / "archive", seal_key=PemSigner((folder / "seal.pem").read_bytes()))
        if four_eyes:
            self.world.ask_for_four_eyes()
        self.api_server = Authority("webhook-client", folder / "client-ca")
        self.serving = Authority("webhook-serving", folder / "serving-ca")
        self.shown = self.api_server.client("kube-apiserver")
        self.gate_port, self.door_port = free_ports(2)
        self.config = self._config(folder)
        self.counting = Counting()
        cluster = cluster_at(self.counting.url)
        memory = Memory(lambda key: look_up(self.world.reader, key, "demo", NOW), time.monotonic)
        exemptions = self.config.gate.exemptions
        self.gate = Gate("demo", cluster, self.world.reader, memory, exemptions, lambda: NOW)
        self.witness = _witness(self.config, self.world.store, self.world.reader, cluster, memory.revoke)
        self._servers = (
            _server(gate_app(self.gate), self.config.gateListener, self.config, None),
            _server(door_app(self.witness), self.config.door, self.config, self.config.door),
        )
        self._threads = [threading.Thread(target=asyncio.run, args=(server.serve(),)) for server in self._servers]

    def _config(self, folder: Path) -> WebhookConfig:
        tls = self.serving.serving("webhook", ["127.0.0.1"])
        value = {
            "cluster": "demo",
            "archive": f"file://{folder / 'archive'}",
            "trust": "sha256:" + "0" * 64,
            "sealKey": str(folder / "seal.pem"),
            "issuers": ISSUERS,
            "tls": {"certificate": str(tls.certificate), "key": str(tls.key)},
            "gateListener": {"host": "127.0.0.1", "port": self.gate_port},
            "door": {
                "host": "127.0.0.1",
                "port": self.door_port,
                "clientCa": str(self.api_server.path),
                # The others are of the right name and of the wrong time.
                "clientNames": ["kube-apiserver", "kube-apiserver-of-yesterday", "kube-apiserver-of-tomorrow"],
            },
            "gate": {"exemptions": [{"repository": "registry.bank.example/mesh/proxy", "reason": "the mesh", "until": "2027-01-01"}]},
        }
        return parse(WebhookConfig, dumps(value), "config")

    def __enter__(self) -> Self:
        self.counting.__enter__()
        for thread in self._threads:
            thread.start()
        deadline = time.monotonic() + 20
        while not all(server.started for server in self._servers):
            assert time.monotonic() < deadline, "the listeners did not come up"
            time.sleep(0.01)
        return self

    def __exit__(self, *_: object) -> None:
        for server in self._servers:
            server.should_exit = True
        for thread in self._threads:
            thread.join(30)
        self.counting.__exit__()

    def client(self, path: str) -> Client:
        """A connection to the listener that serves a path; to the door with the API server's certificate."""
        if path.startswith(("/seal/", "/check/")):
            return Client(self.door_port, self.serving.path, self.shown)
        return Client(self.gate_port, self.serving.path, None)

    def ask(self, path: str, body: Any) -> Answer:
        """Ask once; a body that is no bytes is sent as JSON."""
        with self.client(path) as asking:
            return asking.ask(path, body)


class Answer:
    """A status and a body."""

    def __init__(self, status: int, body: bytes) -> None:
        self.status = status
        self.body = body

    @property
    def response(self) -> dict[str, Any]:
        assert self.status == 200, (self.status, self.body)
        response: dict[str, Any] = json.loads(self.body)["response"]
        return response

    @property
    def message(self) -> str:
        """The denial."""
        assert self.response["allowed"] is False
        return str(self.response["status"]["message"])


def tls(ca: Path, shown: Certificate | None) -> ssl.SSLContext:
    context = ssl.create_default_context(cafile=str(ca))
    if shown is not None:
        context.load_cert_chain(shown.certificate, shown.key)
    return context


class Client:
    """One kept-alive connection."""

    def __init__(self, port: int, ca: Path, shown: Certificate | None) -> None:
        self._connection = http.client.HTTPSConnection("127.0.0.1", port, timeout=60, context=tls(ca, shown))

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._connection.close()

    def ask(self, path: str, body: Any, *, method: str = "POST", chunked: bool = False) -> Answer:
        data = body if isinstance(body, bytes) else json.dumps(body).encode()
        sent: Any = iter([data[at : at + 65536] for at in range(0, len(data), 65536)]) if chunked else data
        self._connection.request(method, path, sent, {"Content-Type": "application/json"}, encode_chunked=chunked)
        answer = self._connection.getresponse()
        return Answer(answer.status, answer.read())
