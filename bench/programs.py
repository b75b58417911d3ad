"""The Go programs of the benchmark: built once for their sources, kept in the user's cache beside the control plane's binaries."""

from __future__ import annotations

import hashlib
import os
import shutil
import subprocess
from pathlib import Path
from typing import Final, Literal

from bench.errors import BenchError
from controlplane.binaries import BUILD_FLAGS, cache_folder

MODULES: Final = Path(__file__).parent / "go"


def program(name: Literal["load", "noop", "readers"]) -> Path:
    """Return the path of a program, built first if need be; `BenchError` where it cannot be."""
    module = MODULES / name
    sources = b"\0".join(path.read_bytes() for path in sorted(module.iterdir()))
    built = cache_folder().with_name("tools") / f"bench-{name}-{hashlib.sha256(sources).hexdigest()[:16]}"
    if built.exists():
        return built
    go = shutil.which("go")
    if go is None:
        raise BenchError("go is not installed, and the load generator is built with it: install Go 1.26 or newer (https://go.dev/dl/)")
    built.parent.mkdir(parents=True, exist_ok=True)
    fresh = built.with_name(f".{built.name}.{os.getpid()}")
    environment = os.environ | {"CGO_ENABLED": "0", "GOFLAGS": "", "GOWORK": "off"}
    made = subprocess.run(
        [go, "build", *BUILD_FLAGS, "-o", str(fresh), "."], cwd=module, env=environment, capture_output=True, text=True, check=False
    )
    if made.returncode:
        raise BenchError(f"{module} does not build: {made.stderr.strip()}")
    fresh.replace(built)
    return built
