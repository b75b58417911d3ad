"""A bank whose processes can be killed at any request: a wire on each of their connections, and a quick way to start them again."""

from __future__ import annotations

import functools
import http.server
import json
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from types import TracebackType
from typing import Literal, Self

import yaml
from boto3.session import Session
from botocore.config import Config
from builders import example_explanation
from kubernetes import client, config
from wire import Asked, Loop, Lost, Reply, Seat, Sitter, Wire, tls

from controlplane import ControlPlane
from controlplane.bank import BEN, BUCKET, CARLA, DAVID, PAULA, Bank
from controlplane.ports import LOOPBACK
from controlplane.seaweed import REGION
from signoff.archive.s3 import S3Store
from signoff.start import active_trust
from signoff.verify.reader import Reader

Moment = Literal["before", "after"]


class Zygote:
    """The parent of the forked processes; see zygote.py."""

    def __init__(self, environment: Mapping[str, str]) -> None:
        command = [sys.executable, str(Path(__file__).with_name("zygote.py"))]
        self._process = subprocess.Popen(
            command, env=os.environ | environment, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, start_new_session=True
        )

    def start(self, what: str, config: Path, log: Path) -> int:
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write(json.dumps({"what": what, "config": str(config), "log": str(log)}) + "\n")
        self._process.stdin.flush()
        return int(self._process.stdout.readline())

    def stop(self) -> None:
        assert self._process.stdin is not None
        self._process.stdin.close()
        self._process.wait(10)


class Killer(Sitter):
    """Kills the process at a request: the `at`-th, or the first that `at` says yes to; before it goes on, or when its answer is there."""

    def __init__(self, kill: Callable[[], None], at: int | Callable[[Asked], bool], moment: Moment) -> None:
        self._kill, self._at, self._moment = kill, at, moment
        self._victim: Asked | None = None
        self.asked: list[Asked] = []
        self.struck: Asked | None = None

    def quiet(self, for_seconds: float = 0.12) -> None:
        """Wait until nothing was asked for a while."""
        before = -1
        while before != len(self.asked):
            before = len(self.asked)
            time.sleep(for_seconds)

    async def before(self, asked: Asked) -> Reply | None:
        self.asked.append(asked)
        hit = len(self.asked) == self._at if isinstance(self._at, int) else self._at(asked)
        if hit and self._victim is None:
            self._victim = asked
            if self._moment == "before":
                self._strike(asked)
        return None

    async def after(self, asked: Asked, reply: Reply) -> Reply:
        if asked is self._victim:
            self._strike(asked)
        return reply

    def _strike(self, asked: Asked) -> None:
        self._kill()
        self.struck = asked
        raise Lost


class _Reports(http.server.BaseHTTPRequestHandler):
    """The model team's report server: a document of its own for each case."""

    protocol_version = "HTTP/1.1"

    def log_message(self, *_: object) -> None: ...

    def do_GET(self) -> None:
        content = report(self.path)
        self.send_response(200)
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)


def report(path: str) -> bytes:
    """The document at a path."""
    return example_explanation().replace(b"</body>", f"<p>{path}</p></body>".encode())


class Stand:
    """The bank, its wires and its processes, for as long as a `with` block lasts: a webhook and an operator; `doubled`, two of each."""

    def __init__(self, plane: ControlPlane, work: Path) -> None:
        self.plane, self.work = plane, work
        self.seats: dict[str, Seat] = {}
        self.pids: dict[str, int] = {}
        self._killed: set[str] = set()
        self.made = 0
        self._exit = ExitStack()

    def __enter__(self) -> Self:
        try:
            self._begin()
        except BaseException:
            self._exit.close()
            raise
        return self

    def __exit__(self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None) -> None:
        self._exit.close()

    def start(self, name: str, sitter: Sitter | None = None) -> None:
        """Fork the process, with nobody on its wires unless somebody is given, and wait until it is ready or was killed."""
        self._killed.discard(name)
        self.seats[name].sitter = sitter or Sitter()
        what = name.partition("-")[0]
        self.pids[name] = self.zygote.start(what, self.bank.work / f"{name}.yaml", self.bank.work / f"{name}.log")
        deadline = time.monotonic() + 30
        while not self.bank.ready(name):
            if sitter is not None and not self.runs(name):
                return
            assert time.monotonic() < deadline, f"{name} did not come up:\n{(self.bank.work / f'{name}.log').read_text()[-2000:]}"
            time.sleep(0.03)

    def kill(self, name: str, number: int = signal.SIGKILL) -> None:
        if number == signal.SIGKILL:
            self._killed.add(name)
        os.kill(self.pids[name], number)

    def runs(self, name: str) -> bool:
        try:
            os.kill(self.pids[name], 0)
        except ProcessLookupError:
            return False
        return True

    def await_end(self, name: str, within: float = 30) -> None:
        """Wait until a process is no more."""
        deadline = time.monotonic() + within
        while self.runs(name):
            assert time.monotonic() < deadline, f"{name} did not end within {within} s"
            time.sleep(0.005)

    def revive(self) -> None:
        """Start again what was killed. A kill is not done at once: the process is awaited."""
        for name in self.pids:
            if name in self._killed:
                self.await_end(name)
            self._killed.discard(name)
            if not self.runs(name):
                self.start(name)

    @contextmanager
    def doubled(self) -> Iterator[Self]:
        """Have two webhooks and two operators for as long as the block lasts."""
        seconds = ("webhook-2", "operator-2")
        for name in seconds:
            self.start(name)
        try:
            yield self
        finally:
            for name in seconds:
                self.leave(name)

    @contextmanager
    def drain_seconds(self, seconds: float) -> Iterator[None]:
        """Have both webhooks drain for so long, from a new start of each until the block ends."""
        before = {name: (self.bank.work / f"{name}.yaml").read_text() for name in self.bank.webhooks}
        try:
            for name, text in before.items():
                self._restart(name, yaml.safe_dump({**yaml.safe_load(text), "drainSeconds": seconds}))
            yield
        finally:
            for name, text in before.items():
                self._restart(name, text)

    def _restart(self, name: str, config: str) -> None:
        (self.bank.work / f"{name}.yaml").write_text(config)
        with suppress(ProcessLookupError):
            self.kill(name)
        self.await_end(name)
        self.start(name)

    def await_taken_in(self, name: str, within: float = 30) -> None:
        """Wait until every balancer sends a webhook connections."""
        deadline = time.monotonic() + within
        while not all(name in balancer.taken_in for balancer in self.bank.balancers):
            assert time.monotonic() < deadline, f"{name} was not taken in within {within} s"
            time.sleep(0.05)

    def leave(self, name: str) -> None:
        """End a process for good."""
        with suppress(ProcessLookupError):
            self.kill(name)
        self.await_end(name)
        self._killed.discard(name)
        del self.pids[name]

    def calm(self) -> None:
        """Let everything pass, and have every process run."""
        for seat in self.seats.values():
            seat.sitter = Sitter()
        self.revive()

    def killer(self, name: str, at: int | Callable[[Asked], bool], moment: Moment) -> Killer:
        """Put a killer on the wires of a process."""
        killer = self.hired(name, at, moment)
        self.seats[name].sitter = killer
        return killer

    def hired(self, name: str, at: int | Callable[[Asked], bool], moment: Moment) -> Killer:
        """A killer who sits on no wire yet."""
        return Killer(functools.partial(self.kill, name), at, moment)

    @functools.cache  # noqa: B019 - one stand a session
    def api(self, who: str | None) -> client.ApiClient:
        """A client of the API server as a person, or as the installer."""
        settings = client.Configuration()
        file = self.plane.installer_kubeconfig() if who is None else self.bank.kubeconfig(who)
        config.load_kube_config(config_file=str(file), client_configuration=settings)
        return client.ApiClient(settings)

    def versions(self, prefix: str) -> dict[str, int]:
        """How many versions and delete markers lie under each key of the archive that begins with `prefix`, as the store says."""
        found: dict[str, int] = {}
        for page in self.raw.get_paginator("list_object_versions").paginate(Bucket=BUCKET, Prefix=f"signoff/{prefix}"):
            for one in (*page.get("Versions", ()), *page.get("DeleteMarkers", ())):
                key = one["Key"].removeprefix("signoff/")
                found[key] = found.get(key, 0) + 1
        return found

    def _begin(self) -> None:
        loop = self._exit.enter_context(Loop())
        certificate, key = self.plane.serving_certificate([LOOPBACK])
        context = tls(str(certificate), str(key))
        ca = str(self.plane.cluster_ca_path)

        def way(name: str, what: str, url: str) -> str:
            seat = self.seats.setdefault(name, Seat())
            secured = {"tls": context, "ca": ca} if what == "cluster" else {}
            return Wire(seat, name, what, url, **secured).open(loop)  # type: ignore[arg-type]

        reports = self._exit.enter_context(_served())
        report_wire = Wire(self.seats.setdefault("operator", Seat()), "operator", "report", reports, context)
        self.reports = report_wire.open(loop)
        source = {"prefix": f"{self.reports}/", "addresses": ["127.0.0.0/8"]}
        changes = {"explanations": {"sources": [source], "ca": str(self.plane.serving_ca_path)}}
        made = Bank(self.plane, self.work, operator=changes, archive="s3", webhooks=2, operators=2, start=False, way=way)
        self.bank = self._exit.enter_context(made)
        assert self.bank.object_store is not None
        admin = self.bank.object_store.keys["admin"].environment.values()
        path = Config(s3={"addressing_style": "path"})
        self.raw = Session(*admin).client("s3", endpoint_url=self.bank.object_store.endpoint, region_name=REGION, config=path)
        self.store = S3Store(BUCKET, "signoff/", self.raw)
        self.reader = Reader(self.store, active_trust(self.store, self.bank.trust))
        self.zygote = Zygote(self.bank.rights("writer"))
        self._exit.callback(self.zygote.stop)
        for name in ("webhook", "operator"):
            self.start(name)
        for who in (None, BEN, CARLA, DAVID):
            self.api(who)  # made before threads ask for them: the client's loader of kubeconfigs is not made for several
        self.bank.kubectl(PAULA, "apply", "-f", "examples/credit-scoring/policy.yaml")


class _served:  # noqa: N801 - used as a function
    """The report server, without TLS: the wire before it brings that."""

    def __enter__(self) -> str:
        self._server = http.server.ThreadingHTTPServer((LOOPBACK, 0), _Reports)
        self._server.daemon_threads = True
        threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True).start()
        return f"http://{LOOPBACK}:{self._server.server_port}"

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._server.server_close()
