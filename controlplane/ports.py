"""Free loopback ports for servers.

They are taken from below the range that the kernel gives to outgoing connections: a client that keeps trying a port of that range
while its server is down can meet itself there, and then the server cannot come back.
"""

from __future__ import annotations

import os
import random
import socket

from controlplane.errors import ControlPlaneError

LOOPBACK = "127.0.0.1"
FIRST, LAST = 20000, 29999
SHARE = "SIGNOFF_PORTS"
"""The environment variable with which two who run side by side keep apart: ``1/2`` is the first half of the ports, ``2/2`` the second."""
TRIES = 100


def free_ports(count: int) -> list[int]:
    """`count` distinct ports on which nobody listens now; not reserved, so use them soon."""
    part, _, parts = os.environ.get(SHARE, "1/1").partition("/")
    size = (LAST + 1 - FIRST) // int(parts)
    first = FIRST + (int(part) - 1) * size
    candidates = random.SystemRandom().sample(range(first, first + size), TRIES)
    free = [port for port in candidates if _is_free(port)][:count]
    if len(free) < count:
        raise ControlPlaneError(f"no {count} free ports between {first} and {first + size - 1} on {LOOPBACK}; end what listens there")
    return free


def _is_free(port: int) -> bool:
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((LOOPBACK, port))
        except OSError:
            return False
    return True
