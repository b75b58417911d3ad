"""What one object costs in each store: created durably, and read. Objects of 10 KiB, one after another, the stores in turn."""

from __future__ import annotations

import secrets
import time
from collections.abc import Mapping
from typing import Final

from bench.rows import Row
from bench.timing import spread
from signoff.archive import layout
from signoff.archive.store import Store
from signoff.record.values import sha256

SIZE: Final = 10 * 1024


def measure(stores: Mapping[str, Store], count: int) -> list[Row]:
    """Return how long creating and reading takes in each of the stores."""
    times: dict[tuple[str, str], list[float]] = {}
    for _ in range(count):
        for name, store in stores.items():
            data = secrets.token_bytes(SIZE)
            key = layout.blob(sha256(data))
            began = time.monotonic()
            store.create(key, data)
            created = time.monotonic()
            store.read(key, limit=SIZE)
            times.setdefault((name, "create an object"), []).append(created - began)
            times.setdefault((name, "read an object"), []).append(time.monotonic() - created)
    return [Row("store", what, spread(seconds), name) for (name, what), seconds in times.items()]
