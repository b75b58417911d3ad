"""A webhook that is restarted while its archive is away or hangs: real processes, a real archive, and a folder that outlives them."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from copy import deepcopy
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
import yaml
from world import SPEC, STORED

from signoff.operator.commit import commit
from signoff.record.promotion import PROMOTION_TYPE
from tests.webhook.listening import Answer
from tests.webhook.reviews import IMAGE, OTHER_IMAGE, pod, policy, review
from tests.webhook.test_serve import BODY, SEAL, Process


class Namespaces(BaseHTTPRequestHandler):
    """Answers the one question that the gate has for the API server."""

    def do_GET(self) -> None:
        labels = {"signoff.dev/gate": "enforce", "signoff.dev/environment": "production"}
        body = json.dumps({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "credit", "labels": labels}}).encode()
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: Any) -> None: ...


class Site:
    """A webhook's process that can be ended and started again, and its archive, which can be taken away or made to hang."""

    def __init__(self, folder: Path, api_server: int, **changes: Any) -> None:
        self.folder = folder
        self.flag = folder / "hangs"
        self.cache = folder / "cache"
        self.process = Process(folder, gate={"cache": str(self.cache)}, **changes)
        kubeconfig = yaml.safe_load((folder / "kubeconfig").read_text())
        kubeconfig["clusters"][0]["cluster"]["server"] = f"http://127.0.0.1:{api_server}"
        (folder / "kubeconfig").write_text(yaml.safe_dump(kubeconfig))
        spec = deepcopy(SPEC)
        del spec["validFor"]
        world = self.process.world
        frozen = world.freeze(spec)
        sealed = world.seal(frozen.payload, frozen.freeze)
        world.archive_seal(sealed)
        commit(world.reader, world.event_key, frozen.freeze, PROMOTION_TYPE, [sealed], STORED)

    def start(self) -> None:
        command = [sys.executable, "-m", "tests.webhook.hanging_process", str(self.process.config), str(self.flag)]
        with self.process.log.open("ab") as log:
            self.process.process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=log, stderr=log)
        self.process.until_ready()

    def end(self, number: signal.Signals = signal.SIGTERM) -> float:
        began = time.monotonic()
        self.process.process.send_signal(number)
        self.process.process.wait(40)
        return time.monotonic() - began

    def ask(self, image: str = IMAGE) -> Answer:
        with self.process.client(self.process.gate_port) as client:
            return client.ask("/gate/enforce", json.dumps(review(pod(image), "pods")).encode())

    def admits(self, image: str = IMAGE) -> bool:
        return bool(self.ask(image).response["allowed"])

    def away(self) -> None:
        (self.folder / "archive").rename(self.folder / "elsewhere")

    def back(self) -> None:
        (self.folder / "elsewhere").rename(self.folder / "archive")

    def kept(self) -> list[Path]:
        return sorted(self.cache.glob("*.answer"))

    def until(self, condition: Callable[[], bool]) -> None:
        deadline = time.monotonic() + 20
        while not condition():
            assert time.monotonic() < deadline, self.process.log.read_text()
            time.sleep(0.05)


@pytest.fixture
def site(tmp_path: Path) -> Iterator[Site]:
    server = ThreadingHTTPServer(("127.0.0.1", 0), Namespaces)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    site = Site(tmp_path, server.server_port)
    try:
        yield site
    finally:
        site.flag.unlink(missing_ok=True)
        if hasattr(site.process, "process"):
            site.process.end()
        server.shutdown()
        server.server_close()


def verified_and_ended(site: Site, number: signal.Signals = signal.SIGTERM) -> None:
    site.start()
    assert site.admits()
    assert not site.admits(OTHER_IMAGE)
    site.until(lambda: len(site.kept()) == 1)
    site.end(number)


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGKILL])
def test_restarted_while_the_archive_is_away_it_admits_what_was_verified_and_nothing_else(site: Site, number: signal.Signals) -> None:
    verified_and_ended(site, number)
    site.away()
    site.start()
    assert site.admits()
    assert "could not tell whether it was promoted" in site.ask(OTHER_IMAGE).message
    assert "the gate starts on what it kept" in site.process.log.read_text()
    policies = json.dumps(review(policy(), "promotionpolicies", who="paula")).encode()
    with site.process.client(site.process.door_port) as door:
        assert "there is no such folder" in door.ask("/seal/policies", policies).message
        site.back()
        assert door.ask("/seal/policies", policies).response["allowed"]
    assert site.process.log.read_text().count("may create; a file system cannot refuse delete") == 2  # at the first start, and before this
    site.until(lambda: "no promotion event" in site.ask(OTHER_IMAGE).message)


def test_restarted_while_the_archive_hangs_it_admits_what_was_verified(site: Site) -> None:
    verified_and_ended(site)
    site.flag.touch()
    site.start()
    began = time.monotonic()
    assert site.admits()
    assert time.monotonic() - began < 4.5
    assert "the archive did not answer within 3 s" in site.ask(OTHER_IMAGE).message
    with site.process.client(site.process.gate_port) as client:
        assert client.ask("/readyz", b"", method="GET").status == 200


def test_restarted_while_the_archive_is_in_reach_it_asks_the_archive(site: Site) -> None:
    verified_and_ended(site)
    event = next((site.folder / "archive" / "events").iterdir())
    event.unlink()
    site.start()
    assert "which has no event" in site.ask().message
    site.until(lambda: not site.kept())


def test_without_a_kept_trust_file_of_the_configured_digest_it_does_not_start(site: Site) -> None:
    verified_and_ended(site)
    next(site.cache.glob("trust-*")).unlink()
    site.away()
    site.process.start()
    assert site.process.process.wait(60) != 0
    assert "there is no such folder" in site.process.log.read_text()


def test_a_trust_file_that_was_altered_is_not_believed(site: Site) -> None:
    verified_and_ended(site)
    trust = next(site.cache.glob("trust-*"))
    trust.write_bytes(trust.read_bytes().replace(b'"version":1', b'"version":2'))
    site.away()
    site.process.start()
    assert site.process.process.wait(60) != 0


def test_a_folder_that_others_may_reach_stops_the_start(site: Site) -> None:
    site.cache.mkdir(mode=0o755)
    site.cache.chmod(0o755)
    site.process.start()
    assert site.process.process.wait(60) != 0
    assert "others may reach what the gate keeps here" in site.process.log.read_text()


def test_on_sigterm_reads_that_hang_at_gate_and_door_are_not_waited_for(site: Site) -> None:
    site.start()
    site.flag.touch()
    answers: list[Any] = []

    def ask(path: str, body: bytes, port: int) -> None:
        with site.process.client(port) as client:
            try:
                answers.append(client.ask(path, body).status)
            except OSError as error:
                answers.append(type(error))

    gate = json.dumps(review(pod(IMAGE), "pods")).encode()
    asking = [
        threading.Thread(target=ask, args=("/gate/enforce", gate, site.process.gate_port)),
        threading.Thread(target=ask, args=(SEAL, BODY, site.process.door_port)),
    ]
    for one in asking:
        one.start()
    time.sleep(1)
    took = site.end()
    assert took < 28, site.process.log.read_text()
    assert site.process.process.returncode == 0
    for one in asking:
        one.join(10)
    assert 200 in answers
