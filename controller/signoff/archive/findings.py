"""What a store itself can tell of its state that no reader is ever shown.

1. A finding is for the person who audits. It changes no answer: a reader gets the record, whatever lies above it.
2. A store that has nothing of the kind (a folder, where a key is one file) has no findings.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Protocol, runtime_checkable

from signoff.archive.store import Store


@dataclass(frozen=True, slots=True)
class StoreFinding:
    """What the store holds at `key` that its rules cannot have brought about; `mend` says what to do."""

    key: str
    what: str
    mend: str


@runtime_checkable
class TellsFindings(Protocol):
    """A store that can tell."""

    def findings(self, prefix: str) -> Iterator[StoreFinding]:
        """The findings at keys that begin with `prefix`, in ascending order; raises as `Store.list`."""


def findings_of(store: Store, prefix: str = "") -> Iterator[StoreFinding]:
    """What `store` can tell of the keys that begin with `prefix`; nothing, where it cannot."""
    return store.findings(prefix) if isinstance(store, TellsFindings) else iter(())
