"""A real MLflow server, with its database and artefacts in a folder, and what it holds, read beneath it."""

from __future__ import annotations

import hashlib
import os
import signal
import sqlite3
import subprocess
import sys
import time
from contextlib import closing
from pathlib import Path

import httpx

from controlplane.ports import free_ports

STARTS_WITHIN = 120


class MlflowServer:
    """Starts with `start`, answers after `wait`, ends with `stop`. `state` is all that it keeps: rows of a database, bytes of artefacts."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.port = free_ports(1)[0]
        self.url = f"http://127.0.0.1:{self.port}"
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        # What `mlflow server` starts in the end, and how: its own start takes as long again.
        command = [sys.executable, "-m", "uvicorn", "--host", "127.0.0.1", "--port", str(self.port), "mlflow.server.fastapi_app:app"]
        environment = {
            **os.environ,
            "_MLFLOW_SERVER_FILE_STORE": f"sqlite:///{self.folder}/mlflow.db",
            "_MLFLOW_SERVER_REGISTRY_STORE": f"sqlite:///{self.folder}/mlflow.db",
            "_MLFLOW_SERVER_ARTIFACT_ROOT": "mlflow-artifacts:/",
            "_MLFLOW_SERVER_ARTIFACT_DESTINATION": str(self.folder / "artifacts"),
            "_MLFLOW_SERVER_SERVE_ARTIFACTS": "true",
            "MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false",
            "MLFLOW_DISABLE_TELEMETRY": "true",
        }
        with (self.folder / "server.log").open("wb") as log:
            self._process = subprocess.Popen(command, stdout=log, stderr=log, cwd=self.folder, env=environment, start_new_session=True)

    def wait(self) -> None:
        assert self._process is not None
        until = time.monotonic() + STARTS_WITHIN
        while not self._answers():
            if self._process.poll() is not None or time.monotonic() > until:
                self.stop()
                raise AssertionError((self.folder / "server.log").read_text(encoding="utf-8", errors="replace")[-4000:])
            time.sleep(0.1)

    def stop(self) -> None:
        if self._process is None:
            return
        os.killpg(self._process.pid, signal.SIGKILL)  # nothing of it is kept, and an orderly end takes seconds
        self._process.wait()

    def state(self) -> dict[str, str]:
        with closing(sqlite3.connect(f"file:{self.folder}/mlflow.db?mode=ro", uri=True)) as database:
            rows = {"database": hashlib.sha256("\n".join(database.iterdump()).encode()).hexdigest()}
        files = (path for path in sorted((self.folder / "artifacts").rglob("*")) if path.is_file())
        return rows | {str(path): hashlib.sha256(path.read_bytes()).hexdigest() for path in files}

    def _answers(self) -> bool:
        try:
            return httpx.get(f"{self.url}/health", timeout=2).status_code == 200
        except httpx.HTTPError:
            return False
