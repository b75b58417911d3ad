"""Processes end within a bounded time, and do not outlive us."""

from __future__ import annotations

import io
import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from controlplane import progress
from controlplane.errors import ComponentError, ControlPlaneError
from controlplane.ports import FIRST, LAST, free_ports
from controlplane.processes import Component, run

REPOSITORY = Path(__file__).parents[2]
DEAF = "import signal, time; signal.signal(signal.SIGTERM, signal.SIG_IGN); print('deaf', flush=True); time.sleep(60)"


def _python(code: str, log: Path) -> Component:
    return Component("sleeper", [sys.executable, "-c", code], log)


def _wait_for_text(log: Path, text: str) -> None:
    deadline = time.monotonic() + 10
    while not log.exists() or text not in log.read_text():
        assert time.monotonic() < deadline, f"no {text!r} in {log}"
        time.sleep(0.05)


def _is_alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"


def test_a_process_deaf_to_sigterm_is_killed_after_the_grace(tmp_path: Path) -> None:
    component = _python(DEAF, tmp_path / "log")
    component.start()
    _wait_for_text(component.log, "deaf")
    pid, began = component.pid, time.monotonic()
    component.stop(grace=0.5)
    assert 0.5 <= time.monotonic() - began < 3
    assert not _is_alive(pid)
    assert not component.running


def test_a_restart_keeps_the_log(tmp_path: Path) -> None:
    component = _python("print('here', flush=True); import time; time.sleep(60)", tmp_path / "log")
    for count in (1, 2):
        component.start()
        _wait_for_text(component.log, "here\n" * count)
        component.stop()


def test_a_component_that_ended_tells_its_last_words(tmp_path: Path) -> None:
    component = _python("import sys; sys.exit('no such port')", tmp_path / "log")
    component.start()
    deadline = time.monotonic() + 10
    while component.running and time.monotonic() < deadline:
        time.sleep(0.05)
    assert "sleeper ended with code 1" in str(component.ended_by_itself())
    assert "no such port" in str(component.ended_by_itself())
    with pytest.raises(ComponentError, match="does not run"):
        _ = component.pid


@pytest.mark.skipif(shutil.which("setpriv") is None, reason="needs setpriv of util-linux")
def test_components_end_when_we_are_killed_outright(tmp_path: Path) -> None:
    code = (
        "import sys, time; from pathlib import Path; from controlplane.processes import Component\n"
        f"c = Component('sleeper', ['sleep', '60'], Path({str(tmp_path / 'log')!r})); c.start()\n"
        "print(c.pid, flush=True); time.sleep(60)"
    )
    with subprocess.Popen([sys.executable, "-c", code], cwd=REPOSITORY, stdout=subprocess.PIPE, text=True) as parent:
        assert parent.stdout is not None
        pid = int(parent.stdout.readline())
        deadline = time.monotonic() + 5
        while Path(f"/proc/{pid}/comm").read_text().strip() != "sleep" and time.monotonic() < deadline:
            time.sleep(0.01)  # until then it has not asked to be told of our end
        assert _is_alive(pid)
        parent.send_signal(signal.SIGKILL)
    deadline = time.monotonic() + 5
    while _is_alive(pid) and time.monotonic() < deadline:
        time.sleep(0.05)
    assert not _is_alive(pid)


def test_a_failing_command_tells_its_own_words() -> None:
    with pytest.raises(ControlPlaneError, match=r"`sh -c .*` ended with code 3: out of luck"):
        run(["/bin/sh", "-c", "echo out of luck >&2; exit 3"], {}, check=True, text=None, timeout=10)


def test_a_command_that_hangs_is_ended() -> None:
    with pytest.raises(ControlPlaneError, match="did not end within 1 s"):
        run(["/bin/sleep", "30"], {}, check=True, text=None, timeout=1)


def test_ports_are_distinct_and_outside_the_range_of_outgoing_connections() -> None:
    ports = free_ports(6)
    lowest = 32768  # Linux's default for net.ipv4.ip_local_port_range
    assert len(set(ports)) == 6
    assert all(FIRST <= port <= LAST < lowest for port in ports)


def test_progress_shows_in_a_log_within_the_interval(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(progress, "LOG_INTERVAL_SECONDS", 0.2)
    stream = io.StringIO()
    with progress.Progress("etcd", stream) as shown:
        shown.tick("building")
        time.sleep(0.25)
        shown.tick("building")
        shown.tick("building")
    assert stream.getvalue().splitlines() == ["etcd: started, 0 s", "etcd: building, 0 s", "etcd: done, 0 s"]
