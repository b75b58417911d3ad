"""When a store took what it holds, of many objects at once and without reading them.

It puts a history in order before any of it is read, and says nothing else of it: an object is believed, and told with its time, once it
was read.
"""

from collections.abc import Iterator
from datetime import datetime
from typing import Final, Protocol, runtime_checkable

from signoff.archive.store import Store

_MOST: Final = 64 * 1024


@runtime_checkable
class TellsTimes(Protocol):
    """A store that knows the times of what it lists."""

    def times(self, prefix: str) -> Iterator[tuple[str, datetime]]:
        """The keys that begin with `prefix`, in ascending order, each with its time of storage (aware); raises as `Store.list`."""


def times_of(store: Store, prefix: str) -> Iterator[tuple[str, datetime]]:
    """As `TellsTimes.times`, of any store: one that cannot tell is read, key by key, where a key has at most 64 KiB beneath it."""
    if isinstance(store, TellsTimes):
        return store.times(prefix)
    return ((key, store.read(key, limit=_MOST).stored_at) for key in store.list(prefix))
