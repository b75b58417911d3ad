"""Objects whose key is made from their bytes, or from what only one writer can say.

1. Writing the same bytes again is no error: whoever finishes the work, after whatever crash, has done it.
2. Other bytes under the same key are an alarm (`Damaged`), never an answer.
3. Nothing is believed because of where it lies: a blob is hashed again each time that it is read.
"""

from hashlib import sha256

from signoff.archive import layout
from signoff.archive.store import Damaged, Exists, Store, Stored, TooLarge


def create_or_same(store: Store, key: str, data: bytes) -> Stored:
    """Store `data` under `key`, or find these very bytes there already.

    Raises `Damaged` if the key holds other bytes, and what `Store.create` and `Store.read` raise.
    """
    try:
        return store.create(key, data)
    except Exists:
        found = _read_up_to(store, key, len(data))
    if found is None or found.data != data:
        raise Damaged(
            "the archive holds other bytes than belong under this key",
            key,
            "keep the object as evidence, and find out who wrote it before going on",
        )
    return found


def write_blob(store: Store, data: bytes) -> str:
    """Store `data` under `blobs/` and return its digest (`sha256:…`); raises as `create_or_same`."""
    digest = _digest(data)
    create_or_same(store, layout.blob(digest), data)
    return digest


def read_blob(store: Store, digest: str, *, limit: int) -> bytes:
    """The bytes with this digest, at most `limit` of them.

    Raises `Damaged` if what lies there hashes to something else, and what `Store.read` raises.
    """
    found = store.read(layout.blob(digest), limit=limit)
    actual = _digest(found.data)
    if actual != digest:
        raise Damaged(
            f"the bytes hash to {actual}",
            found.key,
            "restore the object from a copy of the archive, and find out how it changed",
        )
    return found.data


def _read_up_to(store: Store, key: str, limit: int) -> Stored | None:
    try:
        return store.read(key, limit=limit)
    except TooLarge:
        return None


def _digest(data: bytes) -> str:
    return f"sha256:{sha256(data).hexdigest()}"
