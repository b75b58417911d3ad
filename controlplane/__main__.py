"""The control plane on the command line.

`binaries` brings every binary, downloaded or built if need be, and Keycloak, and prints where each is; `up` runs a control plane until
Ctrl-C or SIGTERM.
"""

from __future__ import annotations

import argparse
import signal
import sys
import time
from pathlib import Path

from controlplane.binaries import BINARIES, resolve
from controlplane.cluster import ControlPlane
from controlplane.errors import ControlPlaneError
from controlplane.keycloak_dist import keycloak
from controlplane.keycloak_java import is_skipped

KEYCLOAK = "keycloak"
ALL = (*BINARIES, "kubectl", KEYCLOAK)


def main(arguments: list[str] | None = None) -> int:
    """Run the command line; returns the exit code."""
    parser = argparse.ArgumentParser(prog="python -m controlplane", description=__doc__)
    commands = parser.add_subparsers(dest="command", required=True)
    bring = commands.add_parser("binaries", help="bring the binaries, downloaded or built if need be")
    bring.add_argument("names", nargs="*", metavar="NAME", help=f"which of {', '.join(ALL)} (default: all)")
    up = commands.add_parser("up", help="run a control plane until Ctrl-C")
    up.add_argument("--work", type=Path, help="folder for keys, kubeconfigs, data and logs (default: a temporary one)")
    chosen = parser.parse_args(arguments)
    try:
        return _binaries(chosen.names) if chosen.command == "binaries" else _up(chosen.work)
    except ControlPlaneError as error:
        sys.stderr.write(f"{error}\n")
        return 1


def _binaries(names: list[str]) -> int:
    for name in names or ALL:
        if name == KEYCLOAK and is_skipped():
            continue
        sys.stdout.write(f"{name}\t{keycloak() if name == KEYCLOAK else resolve(name)}\n")
        sys.stdout.flush()
    return 0


def _up(work: Path | None) -> int:
    started = time.monotonic()
    try:
        with ControlPlane(work) as plane:
            sys.stderr.write(f"{plane.server} is ready after {time.monotonic() - started:.0f} s; logs in {plane.logs}; Ctrl-C ends it\n")
            sys.stdout.write(f"{plane.installer_kubeconfig()}\n")
            sys.stdout.flush()
            signal.pause()
    except KeyboardInterrupt:
        sys.stderr.write("ended\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
