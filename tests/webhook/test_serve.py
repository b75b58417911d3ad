"""The listeners as processes and as TLS servers: whom the door serves, and how the webhook ends."""

from __future__ import annotations

import http.client
import json
import os
import signal
import socket
import ssl
import subprocess
import sys
import time
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
import yaml
from world import World, trusted_key

from controlplane.pki import Authority, Certificate
from controlplane.ports import free_ports
from signoff.archive import layout
from signoff.config import WebhookConfig, read_config
from signoff.errors import SignoffError
from signoff.record.canonical import dumps
from signoff.record.keys import PemSigner, generate_pem
from signoff.record.values import sha256
from signoff.webhook.serve import run
from tests.webhook.counting import Counting
from tests.webhook.listening import ISSUERS, Client, Listening
from tests.webhook.reviews import UID, policy, promotion, review

SEAL = "/seal/promotions"
BODY = json.dumps(review(promotion(), "modelpromotions")).encode()


def refused(listening: Listening, shown: Certificate | None) -> bool:
    """Whether the door hangs up without an answer."""
    with Client(listening.door_port, listening.serving.path, shown) as client:
        try:
            answer = client.ask(SEAL, BODY)
        except (ssl.SSLError, ConnectionError, http.client.BadStatusLine):
            return True
        pytest.fail(f"answered {answer.status}")


def test_the_door_serves_the_api_server(listening: Listening) -> None:
    with Client(listening.door_port, listening.serving.path, listening.shown) as client:
        assert client.ask(SEAL, BODY).response["allowed"]


def test_bypass_15_without_a_certificate_the_door_is_closed(listening: Listening) -> None:
    assert refused(listening, None)


def test_bypass_15_a_certificate_of_another_authority_does_not_open_it(listening: Listening, tmp_path: Path) -> None:
    namesake = Authority("webhook-client", tmp_path / "other")
    assert refused(listening, namesake.client("kube-apiserver"))
    assert refused(listening, listening.serving.client("kube-apiserver"))


def test_bypass_15_an_ended_certificate_does_not_open_it(listening: Listening, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("controlplane.pki.VALID_FOR", timedelta(minutes=-1))
    assert refused(listening, listening.api_server.client("kube-apiserver-of-yesterday"))


def test_bypass_15_a_certificate_still_to_come_does_not_open_it(listening: Listening, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("controlplane.pki.CLOCK_SKEW", timedelta(hours=-1))
    assert refused(listening, listening.api_server.client("kube-apiserver-of-tomorrow"))


def test_bypass_15_another_client_of_the_same_ca_does_not_open_it(listening: Listening) -> None:
    """Somebody configured a CA that signs for more than the API server."""
    assert refused(listening, listening.api_server.client("ben@bank.example"))


def test_bypass_15_a_serving_certificate_does_not_open_it(listening: Listening) -> None:
    assert refused(listening, listening.api_server.serving("webhook-2", ["127.0.0.1"]))


def test_bypass_15_a_certificate_shown_without_its_key_does_not_open_it(listening: Listening) -> None:
    other = listening.api_server.client("somebody")
    with pytest.raises(ssl.SSLError):
        refused(listening, Certificate(listening.shown.certificate, other.key))


def test_bypass_15_the_door_speaks_no_plain_http(listening: Listening) -> None:
    with socket.create_connection(("127.0.0.1", listening.door_port), timeout=5) as plain:
        plain.sendall(b"POST /seal/promotions HTTP/1.1\r\nHost: x\r\nContent-Length: 2\r\n\r\n{}")
        plain.settimeout(5)
        try:
            said = plain.recv(4096)
        except ConnectionError:
            said = b""
    assert b"HTTP" not in said


# --- the process ----------------------------------------------------------------------------------------------------------


class Process:
    """`signoff run webhook` over an archive of its own: `start` it, and `end` it. No API server answers, but where one is named."""

    def __init__(self, folder: Path, api_server: str = "http://127.0.0.1:1", **changes: Any) -> None:
        seal, event = generate_pem(), generate_pem()
        self.world = World(folder / "archive", seal_key=PemSigner(seal), event_key=PemSigner(event))
        trust = dumps(self.trust_value())
        self.world.store.create(layout.statement("trust", sha256(trust)), trust)
        (folder / "seal.pem").write_bytes(seal)
        (folder / "event.pem").write_bytes(event)
        self.serving = Authority("webhook-serving", folder / "serving")
        self.api_server = Authority("webhook-client", folder / "client")
        self.shown = self.api_server.client("kube-apiserver")
        self.gate_port, self.door_port = free_ports(2)
        served = self.serving.serving("webhook", ["127.0.0.1"])
        (folder / "kubeconfig").write_text(yaml.safe_dump(_kubeconfig(api_server)))
        config = {
            "cluster": "demo",
            "archive": f"file://{folder / 'archive'}",
            "trust": sha256(trust),
            "kubeconfig": str(folder / "kubeconfig"),
            "sealKey": str(folder / "seal.pem"),
            "issuers": ISSUERS,
            "tls": {"certificate": str(served.certificate), "key": str(served.key)},
            "gateListener": {"host": "127.0.0.1", "port": self.gate_port},
            "drainSeconds": 0,
            "door": {
                "host": "127.0.0.1",
                "port": self.door_port,
                "clientCa": str(self.api_server.path),
                "clientNames": ["kube-apiserver"],
            },
            **changes,
        }
        self.config = folder / "webhook.yaml"
        self.config.write_text(yaml.safe_dump({key: value for key, value in config.items() if value is not None}))
        self.log = folder / "webhook.log"

    kept: Client
    """A connection that was used before the process was told to end."""

    def start(self) -> None:
        command = [sys.executable, "-m", "signoff", "run", "webhook", "--config", str(self.config)]
        with self.log.open("wb") as log:
            self.process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=log, stderr=log)

    def trust_value(self) -> dict[str, Any]:
        keys = [trusted_key(self.world.seal_key, "seal"), trusted_key(self.world.event_key, "event")]
        publishers = [{"issuer": ISSUERS[0]["issuer"], "subject": "paula@bank.example"}]
        policies = {"publishers": publishers, "fourEyes": False}
        return {"format": "signoff.dev/trust/v1", "version": 1, "keys": keys, "policies": policies}

    def client(self, port: int) -> Client:
        return Client(port, self.serving.path, self.shown if port == self.door_port else None)

    def until_ready(self) -> None:
        deadline = time.monotonic() + 60
        while True:
            assert self.process.poll() is None, self.log.read_text()
            assert time.monotonic() < deadline, self.log.read_text()
            try:
                with self.client(self.gate_port) as client:
                    if client.ask("/readyz", b"", method="GET").status == 200:
                        return
            except OSError:
                time.sleep(0.1)

    def end(self) -> None:
        if self.process.poll() is None:
            self.process.kill()
        self.process.wait(10)


def _kubeconfig(api_server: str) -> dict[str, Any]:
    return {
        "apiVersion": "v1",
        "kind": "Config",
        "current-context": "none",
        "clusters": [{"name": "none", "cluster": {"server": api_server}}],
        "users": [{"name": "none", "user": {}}],
        "contexts": [{"name": "none", "context": {"cluster": "none", "user": "none"}}],
    }


@pytest.fixture
def process(tmp_path: Path) -> Iterator[Process]:
    with Counting() as counting:
        running = Process(tmp_path, counting.url)
        running.start()
        try:
            running.until_ready()
            yield running
        finally:
            running.end()


def test_on_sigterm_what_was_begun_is_finished_and_nothing_new_is_taken(process: Process) -> None:
    with process.client(process.door_port) as slow, process.client(process.gate_port) as idle:
        idle.ask("/healthz", b"", method="GET")
        begun = slow._connection
        begun.putrequest("POST", SEAL)
        begun.putheader("Content-Length", str(len(BODY)))
        begun.endheaders()
        begun.send(BODY[:1000])
        time.sleep(0.3)
        os.kill(process.process.pid, signal.SIGTERM)
        _until_closed(process.door_port)
        _until_closed(process.gate_port)
        time.sleep(1)  # whoever does not wait for it is gone by then
        assert process.process.poll() is None
        begun.send(BODY[1000:])
        response = json.loads(begun.getresponse().read())["response"]
        assert (response["uid"], response["allowed"], response["patchType"]) == (UID, True, "JSONPatch")
    assert process.process.wait(15) == 0


def _until_closed(port: int) -> None:
    deadline = time.monotonic() + 10
    while time.monotonic() < deadline:
        try:
            socket.create_connection(("127.0.0.1", port), timeout=1).close()
        except OSError:
            return
        time.sleep(0.05)
    pytest.fail(f"port {port} still takes connections")


@pytest.fixture
def draining(tmp_path: Path) -> Iterator[Process]:
    """A process that was told to end, and drains for long."""
    with Counting() as counting:
        running = Process(tmp_path, counting.url, drainSeconds=60)
        running.start()
        try:
            running.until_ready()
            with running.client(running.door_port) as kept:
                kept.ask(SEAL, BODY)
                os.kill(running.process.pid, signal.SIGTERM)
                _until_unready(running)
                running.kept = kept
                yield running
        finally:
            running.end()


def _until_unready(process: Process) -> None:
    deadline = time.monotonic() + 10
    while time.monotonic() < deadline:
        with process.client(process.gate_port) as gate:
            if gate.ask("/readyz", b"", method="GET").status == 503:
                return
        time.sleep(0.05)
    pytest.fail("it says that it is ready")


def test_while_it_drains_it_is_alive_and_unready_and_answers_reviews_on_old_and_new_connections(draining: Process) -> None:
    assert draining.kept.ask(SEAL, BODY).response["allowed"]
    for _ in range(3):
        with draining.client(draining.gate_port) as gate, draining.client(draining.door_port) as door:
            assert gate.ask("/healthz", b"", method="GET").status == 200
            assert door.ask(SEAL, BODY).response["allowed"]
    assert draining.process.poll() is None


def test_while_it_drains_a_connection_ends_with_its_next_answer(draining: Process) -> None:
    time.sleep(1.5)  # uvicorn makes the headers of its answers anew each second
    kept = draining.kept._connection
    kept.request("POST", SEAL, BODY)
    response = kept.getresponse()
    assert (response.status, response.getheader("Connection")) == (200, "close")


def test_a_second_sigterm_ends_it_at_once(draining: Process) -> None:
    began = time.monotonic()
    os.kill(draining.process.pid, signal.SIGTERM)
    assert draining.process.wait(10) == 128 + signal.SIGTERM
    assert time.monotonic() - began < 5


def test_after_the_drain_it_ends_by_itself(tmp_path: Path) -> None:
    running = Process(tmp_path, drainSeconds=2)
    running.start()
    try:
        running.until_ready()
        began = time.monotonic()
        os.kill(running.process.pid, signal.SIGTERM)
        assert running.process.wait(30) == 0
        assert time.monotonic() - began >= 2
    finally:
        running.end()


def test_sigint_does_not_drain(tmp_path: Path) -> None:
    running = Process(tmp_path, drainSeconds=60)
    running.start()
    try:
        running.until_ready()
        os.kill(running.process.pid, signal.SIGINT)
        assert running.process.wait(20) == 0
    finally:
        running.end()


def test_while_the_archive_is_away_the_gate_stays_in_service_and_the_door_publishes_nothing(process: Process, tmp_path: Path) -> None:
    (tmp_path / "archive").rename(tmp_path / "away")
    policies = json.dumps(review(policy(), "promotionpolicies", who="paula")).encode()
    with process.client(process.gate_port) as gate, process.client(process.door_port) as door:
        for path in ("/readyz", "/healthz"):
            assert gate.ask(path, b"", method="GET").status == 200
        assert "there is no such folder" in door.ask("/seal/policies", policies).message
        (tmp_path / "away").rename(tmp_path / "archive")
        assert door.ask("/seal/policies", policies).response["allowed"]


def test_a_webhook_without_a_door_only_gates(tmp_path: Path) -> None:
    gating = Process(tmp_path, door=None, sealKey=None, issuers=None)
    gating.start()
    try:
        gating.until_ready()
        _until_closed(gating.door_port)
        with gating.client(gating.gate_port) as gate:
            assert gate.ask(SEAL, BODY).status == 404
    finally:
        gating.end()


def _below(folder: Path, change: dict[str, Any]) -> dict[str, Any]:
    return {key: str(folder / value[1:]) if isinstance(value, str) and value.startswith("~") else value for key, value in change.items()}


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"replicas": 2}, "a file:// archive lies on one node"),
        ({"sealKey": "~event.pem"}, "the trust file names it for event in cluster demo"),
        ({"cluster": "other"}, "the trust file names it for seal in cluster demo"),
        ({"sealKey": "~absent.pem"}, "the key cannot be read"),
        ({"sealKey": "~webhook.yaml"}, "webhook.yaml"),
        ({"trust": "sha256:" + "0" * 64}, "the archive holds no trust file"),
        ({"archive": "file:///nowhere/at/all"}, "there is no such folder"),
        ({"kubeconfig": "~absent"}, "no way to the API server"),
        ({"tls": {"certificate": "/absent.crt", "key": "/absent.key"}}, "/absent.crt: no such file"),
        ({"tls": {"certificate": "~client/ca.crt", "key": "~event.pem"}}, "ca.crt"),
        ({"surprise": 1}, "surprise: this field is unknown"),
    ],
)
def test_a_webhook_that_cannot_serve_says_why(tmp_path: Path, change: dict[str, Any], says: str) -> None:
    change = {key: _below(tmp_path, value) if isinstance(value, dict) else value for key, value in _below(tmp_path, change).items()}
    config = Process(tmp_path, **change).config
    with pytest.raises(SignoffError) as failed:
        run(read_config(WebhookConfig, config))
    assert says in str(failed.value)


def test_a_webhook_that_cannot_serve_ends_in_one_line(tmp_path: Path) -> None:
    failing = Process(tmp_path, replicas=2)
    failing.start()
    try:
        assert failing.process.wait(60) != 0
    finally:
        failing.end()
    assert "a file:// archive lies on one node" in failing.log.read_text()
    assert "Traceback" not in failing.log.read_text()
