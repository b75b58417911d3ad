"""A webhook that is restarted while its archive is away or hangs: real processes, a real archive, and a folder that outlives them."""

from __future__ import annotations

import json
import shutil
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from copy import copy, deepcopy
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
import yaml
from world import SPEC, STORED

from signoff.config import WebhookConfig, read_config
from signoff.errors import SignoffError
from signoff.operator.commit import commit
from signoff.record.promotion import PROMOTION_TYPE
from signoff.webhook.serve import run
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

    def copied(self, folder: Path) -> Site:
        """The same site in another folder: archive, configuration, and what the gate kept."""
        shutil.copytree(self.folder, folder, dirs_exist_ok=True)
        other, process = copy(self), copy(self.process)
        other.folder, other.flag, other.cache, other.process = folder, folder / "hangs", folder / "cache", process
        process.config, process.log = folder / "webhook.yaml", folder / "webhook.log"
        process.config.write_text(process.config.read_text().replace(str(self.folder), str(folder)))
        return other

    def fails_to_start(self) -> str:
        """Start it in this process, and return why it did not."""
        with pytest.raises(SignoffError) as failed:
            run(read_config(WebhookConfig, self.process.config))
        return str(failed.value)

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


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    """A site whose process never ran."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), Namespaces)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield Site(tmp_path_factory.mktemp("made"), server.server_port)
    finally:
        server.shutdown()
        server.server_close()


@pytest.fixture(scope="module")
def ended(made: Site, tmp_path_factory: pytest.TempPathFactory) -> Site:
    """A site whose process verified one image, was asked about another, and was ended: what it kept lies in its folder."""
    site = made.copied(tmp_path_factory.mktemp("ended"))
    with running(site):
        verify_and_end(site, signal.SIGTERM)
    return site


@contextmanager
def running(site: Site) -> Iterator[Site]:
    """End the process with the block, if it runs."""
    try:
        yield site
    finally:
        site.flag.unlink(missing_ok=True)
        if hasattr(site.process, "process"):
            site.process.end()


@pytest.fixture
def fresh(made: Site, tmp_path: Path) -> Iterator[Site]:
    with running(made.copied(tmp_path)) as site:
        yield site


@pytest.fixture
def verified(ended: Site, tmp_path: Path) -> Iterator[Site]:
    with running(ended.copied(tmp_path)) as site:
        yield site


def verify_and_end(site: Site, number: signal.Signals) -> None:
    site.start()
    assert site.admits()
    assert not site.admits(OTHER_IMAGE)
    site.until(lambda: len(site.kept()) == 1)
    site.end(number)


def test_killed_and_restarted_while_the_archive_is_away_it_admits_what_was_verified_and_nothing_else(fresh: Site) -> None:
    verify_and_end(fresh, signal.SIGKILL)
    restarted_while_away(fresh)


def test_restarted_while_the_archive_is_away_it_admits_what_was_verified_and_nothing_else(verified: Site) -> None:
    restarted_while_away(verified)


def restarted_while_away(site: Site) -> None:
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


def test_restarted_while_the_archive_hangs_it_admits_what_was_verified(verified: Site) -> None:
    verified.flag.touch()
    verified.start()
    began = time.monotonic()
    assert verified.admits()
    assert time.monotonic() - began < 4.5
    assert "the archive did not answer within 3 s" in verified.ask(OTHER_IMAGE).message
    with verified.process.client(verified.process.gate_port) as client:
        assert client.ask("/readyz", b"", method="GET").status == 200


def test_restarted_while_the_archive_is_in_reach_it_asks_the_archive(verified: Site) -> None:
    event = next((verified.folder / "archive" / "events").iterdir())
    event.unlink()
    verified.start()
    assert "which has no event" in verified.ask().message
    verified.until(lambda: not verified.kept())


def test_without_a_kept_trust_file_of_the_configured_digest_it_does_not_start(verified: Site) -> None:
    next(verified.cache.glob("trust-*")).unlink()
    verified.away()
    assert "there is no such folder" in verified.fails_to_start()


def test_a_trust_file_that_was_altered_is_not_believed(verified: Site) -> None:
    trust = next(verified.cache.glob("trust-*"))
    trust.write_bytes(trust.read_bytes().replace(b'"version":1', b'"version":2'))
    verified.away()
    assert "there is no such folder" in verified.fails_to_start()


def test_a_folder_that_others_may_reach_stops_the_start(fresh: Site) -> None:
    fresh.cache.mkdir(mode=0o755)
    fresh.cache.chmod(0o755)
    assert "others may reach what the gate keeps here" in fresh.fails_to_start()


def test_on_sigterm_reads_that_hang_at_gate_and_door_are_not_waited_for(fresh: Site) -> None:
    fresh.start()
    fresh.flag.touch()
    answers: list[Any] = []

    def ask(path: str, body: bytes, port: int) -> None:
        with fresh.process.client(port) as client:
            try:
                answers.append(client.ask(path, body).status)
            except OSError as error:
                answers.append(type(error))

    gate = json.dumps(review(pod(IMAGE), "pods")).encode()
    asking = [
        threading.Thread(target=ask, args=("/gate/enforce", gate, fresh.process.gate_port)),
        threading.Thread(target=ask, args=(SEAL, BODY, fresh.process.door_port)),
    ]
    for one in asking:
        one.start()
    time.sleep(1)
    took = fresh.end()
    assert took < 28, fresh.process.log.read_text()
    assert fresh.process.process.returncode == 0
    for one in asking:
        one.join(10)
    assert 200 in answers
