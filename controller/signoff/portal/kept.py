"""What is frozen, read again for each reader, and hashed once.

1. The archive is read for each reader: what it lost or does not answer is told, and what was altered in it is never shown.
2. Bytes are hashed when they are first read. The same bytes read again are compared with those, which costs a tenth of it and says as much.
3. What is kept is bounded in bytes; what was read longest ago goes first.
4. The same bytes are compressed once (gzip, RFC 1952), by one thread at a time, and kept beside them, bounded as they are. They decode to
   what has the digest. Pages are confined once (`desk.confinement`) in the same manner.
"""

from __future__ import annotations

import gzip
from collections import OrderedDict
from collections.abc import Callable
from threading import Lock
from typing import Final

from signoff.archive import layout
from signoff.archive.store import Store
from signoff.archive.write import read_blob
from signoff.desk.confinement import confined

MOST: Final = 64 * 1024 * 1024
LEVEL: Final = 6


class Kept:
    """Bytes that were found to have their digest. Safe to use from many threads."""

    def __init__(self, store: Store, most: int = MOST) -> None:
        self._store = store
        self._most = most
        self._held: OrderedDict[str, bytes] = OrderedDict()
        self._zipped: OrderedDict[str, bytes] = OrderedDict()
        self._lock = Lock()
        self._confined: OrderedDict[str, bytes] = OrderedDict()
        self._making = Lock()

    def read(self, digest: str, *, limit: int) -> bytes:
        """Return the archived bytes with this digest; raises as `read_blob`."""
        with self._lock:
            known = self._held.get(digest)
        if known is not None and self._store.read(layout.blob(digest), limit=limit).data == known:
            with self._lock:
                if digest in self._held:
                    self._held.move_to_end(digest)
            return known
        data = read_blob(self._store, digest, limit=limit)
        self._keep(self._held, digest, data)
        return data

    def zipped(self, digest: str, *, limit: int) -> bytes:
        """Return the same as gzip; raises as `read`, which is asked each time."""
        return self._made(self._zipped, digest, limit, lambda data: gzip.compress(data, compresslevel=LEVEL, mtime=0))

    def confined(self, digest: str, *, limit: int) -> bytes:
        """Return the page that the same are, as a browser may draw it; raises as `read`, which is asked each time."""
        return self._made(self._confined, digest, limit, lambda data: confined(data.decode()).encode())

    def _made(self, held: OrderedDict[str, bytes], digest: str, limit: int, make: Callable[[bytes], bytes]) -> bytes:
        data = self.read(digest, limit=limit)
        with self._making:
            known = held.get(digest)
            if known is None:
                known = make(data)
                self._keep(held, digest, known)
        return known

    def _keep(self, held: OrderedDict[str, bytes], digest: str, data: bytes) -> None:
        if len(data) > self._most:
            return
        with self._lock:
            held[digest] = data
            while sum(map(len, held.values())) > self._most:
                held.popitem(last=False)
