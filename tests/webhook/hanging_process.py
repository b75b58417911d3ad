"""`signoff run webhook`, whose file archive hangs for as long as a file of this name lies beside it: `python -m … CONFIG FLAG`."""

from __future__ import annotations

import logging
import sys
import time
from collections.abc import Iterator
from pathlib import Path

from signoff.archive.file import FileStore
from signoff.archive.store import Stored
from signoff.config import WebhookConfig, read_config
from signoff.webhook.serve import run

logging.basicConfig(level=logging.INFO)
FLAG = Path(sys.argv[2])
READ, LIST = FileStore.read, FileStore.list


def wait() -> None:
    while FLAG.exists():
        time.sleep(0.02)


def read(self: FileStore, key: str, *, limit: int) -> Stored:
    wait()
    return READ(self, key, limit=limit)


def keys(self: FileStore, prefix: str, *, after: str = "", limit: int | None = None) -> Iterator[str]:
    wait()
    return LIST(self, prefix, after=after, limit=limit)


FileStore.read, FileStore.list = read, keys  # type: ignore[method-assign]
run(read_config(WebhookConfig, Path(sys.argv[1])))
