"""Plain processes: started with an argument list, watched, and ended by process id within a bounded time.

Rules:

1. Each process has its own session: a Ctrl-C in the terminal reaches us alone, and we end the others in order.
2. Each writes to its own log file, appended to, so that a restart keeps what came before.
3. Ending is SIGTERM, then SIGKILL after the grace; afterwards the process is gone and reaped.
4. Where util-linux is at hand the kernel ends the processes if we are killed outright (`setpriv --pdeathsig`).
   The kernel means the starting thread by "parent", so this is done from the main thread alone.
"""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import threading
from pathlib import Path

from controlplane.errors import ComponentError, ControlPlaneError

GRACE_SECONDS = 5.0


class Component:
    """One process of the control plane, which can be started again after it ended."""

    def __init__(self, name: str, command: list[str], log: Path, environment: dict[str, str] | None = None) -> None:
        self.name = name
        self.command = command
        self.log = log
        self._environment = environment or {}
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def pid(self) -> int:
        """The process's id. Raises ComponentError if it does not run."""
        if self._process is None or self._process.poll() is not None:
            raise ComponentError(f"{self.name} does not run; its log is {self.log}")
        return self._process.pid

    @property
    def running(self) -> bool:
        """Whether the process runs now."""
        return self._process is not None and self._process.poll() is None

    def start(self) -> None:
        """Start it, unless it runs."""
        if self.running:
            return
        with self.log.open("ab") as log:
            self._process = subprocess.Popen(
                [*_bound_to_us(), *self.command],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                env=os.environ | self._environment,
                start_new_session=True,
            )

    def stop(self, grace: float = GRACE_SECONDS) -> None:
        """End it: SIGTERM, and SIGKILL after `grace` seconds."""
        if self._process is not None:
            end(self._process, grace)

    def kill(self) -> None:
        """End it at once with SIGKILL, as a crash would."""
        if self._process is not None:
            self._process.kill()
            self._process.wait(GRACE_SECONDS)

    def ended_by_itself(self) -> str | None:
        """Why it is gone, with the end of its log; None while it runs."""
        if self._process is None or self._process.poll() is None:
            return None
        return f"{self.name} ended with code {self._process.returncode}; the end of {self.log}:\n{last_lines(self.log)}"


def end(process: subprocess.Popen[bytes], grace: float = GRACE_SECONDS) -> None:
    """SIGTERM to `process`, SIGKILL after `grace` seconds; it is reaped on return."""
    if process.poll() is not None:
        return
    process.terminate()
    try:
        process.wait(grace)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait(GRACE_SECONDS)


def end_group(process: subprocess.Popen[bytes]) -> None:
    """End `process`, which leads its own session, and whatever it started there; it is reaped on return."""
    if process.poll() is not None:
        return
    os.killpg(process.pid, signal.SIGTERM)
    try:
        process.wait(GRACE_SECONDS)
    except subprocess.TimeoutExpired:
        os.killpg(process.pid, signal.SIGKILL)
        process.wait(GRACE_SECONDS)


def run(
    command: list[str], environment: dict[str, str], *, check: bool, text: str | None, timeout: float
) -> subprocess.CompletedProcess[str]:
    """Run a command to its end with `text` on its standard input; `environment` is added to ours.

    Raises ControlPlaneError with the command's own words, if it fails and `check` is set or if it takes longer than `timeout`
    seconds.
    """
    shown = " ".join([Path(command[0]).name, *command[1:]])
    try:
        result = subprocess.run(
            command,
            input=text if text is not None else "",
            env=os.environ | environment,
            capture_output=True,
            text=True,
            timeout=timeout,
            check=False,
        )
    except subprocess.TimeoutExpired:
        raise ControlPlaneError(f"`{shown}` did not end within {timeout:.0f} s") from None
    if check and result.returncode != 0:
        raise ControlPlaneError(f"`{shown}` ended with code {result.returncode}: {result.stderr.strip() or result.stdout.strip()}")
    return result


def last_lines(log: Path, count: int = 20) -> str:
    """The last `count` lines of a log."""
    return "\n".join(log.read_text(errors="replace").splitlines()[-count:])


def _bound_to_us() -> list[str]:
    setpriv = shutil.which("setpriv")
    if setpriv is None or threading.current_thread() is not threading.main_thread():
        return []
    return [setpriv, "--pdeathsig", "KILL", "--"]
