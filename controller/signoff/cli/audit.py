"""The audit of a whole archive: every object against the rules of its place.

 1. An event verifies, lies under its id, and everything that it names is there: its freeze, its desk and explanation, its seals.
 2. An event has all its pointers, and a pointer is one that its event makes. A pointer without an event is no finding: it promotes nothing,
    and a writer may have been stopped between the two. Nor is one that the same request's promotion would have made, where the request was
    rejected after such a writer was stopped.
 3. A blob hashes to its key, a freeze to its key and under its request's id.
 4. A seal is signed by a key that the trust file names, and lies under its freeze and its principal.
 5. A statement lies under its type and digest; a policy is signed by a key that the trust file names, a trust file reads as one.
 6. A correction counts for an event of the archive, or was signed under a key that did not count when it was stored, which is a note.
 7. What has no place in the layout is a finding.

Objects are looked at by as many processes as are asked for; what is told, and in which order, is the same for any number of them.
Whether something is missing cannot be told without a log.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from hashlib import blake2b

from signoff.archive import layout
from signoff.archive.findings import findings_of
from signoff.archive.store import Missing
from signoff.cli.audit_hands import Place, all_looked
from signoff.cli.audit_objects import MAX_OBJECT, Finding, Looked, altered, guarded, missing
from signoff.record.bundle import MAX_BUNDLE
from signoff.record.values import Digest, RequestId, sha256
from signoff.verify.reader import Reader

_POINTERS = {"models", "repositories", "subjects"}


@dataclass
class Audit:
    """One pass over an archive. ``counts`` are the objects seen, by folder, and ``promotions`` and ``rejections`` among the events."""

    reader: Reader
    place: Place
    jobs: int
    counts: dict[str, int] = field(default_factory=dict)
    promotions: int = 0
    rejections: int = 0
    # Of each pointer that an event makes a short hash, and no event: an archive may hold more than fits into memory. The same for what was
    # judged with an event, until its key comes by, and for the blobs that hash to their keys.
    _made: set[bytes] = field(default_factory=set)
    _begun: set[bytes] = field(default_factory=set)
    _known: set[bytes] = field(default_factory=set)
    _judged: set[bytes] = field(default_factory=set)
    _blobs: set[bytes] = field(default_factory=set)

    def findings(self, step: Callable[[int], None]) -> Iterator[Finding]:
        """Yield the findings as they come; ``step`` is told how many objects were looked at. `Unavailable` ends it."""
        # In the order of keys blobs come before events, and events before freezes, models, repositories, seals and subjects: whether a blob
        # that an event names is whole is known by then, and so is what a pointer points to.
        for number, looked in enumerate(all_looked(self.reader, self.place, self.jobs, self._is_judged), 1):
            folder = looked.key.partition("/")[0]
            self.counts[folder] = self.counts.get(folder, 0) + 1
            yield from looked.findings
            self._keep(looked)
            if looked.blobs:
                yield from guarded(looked.key, self._named(looked))[0]
            if folder in _POINTERS and looked.whole:
                yield from guarded(looked.key, self._pointer(looked.key))[0]
            step(number)
        for told in findings_of(self.reader.store):
            yield Finding("finding", told.key, told.what, told.mend)

    def _is_judged(self, key: str) -> bool:
        short = _short(key)
        known = short in self._judged
        self._judged.discard(short)  # a key comes once
        return known

    def _named(self, looked: Looked) -> Iterator[Finding]:
        """Look for the blobs that an event names, but for those that were found whole when they were looked at (rule 1)."""
        event = RequestId(layout.event_id(looked.key))
        for key in map(layout.blob, looked.blobs):
            if _short(key) not in self._blobs:
                yield from self._blob(key, event)

    def _blob(self, key: str, event: RequestId) -> Iterator[Finding]:
        try:
            data = self.reader.store.read(key, limit=MAX_OBJECT).data
        except Missing:
            yield missing(key, event)
            return
        if sha256(data) != Digest(f"sha256:{key.rpartition('/')[2]}"):
            yield altered(key, event)

    def _keep(self, looked: Looked) -> None:
        self._judged.update(map(_short, looked.judged))
        if looked.whole and looked.key.startswith("blobs/"):
            self._blobs.add(_short(looked.key))
        self.promotions += looked.promotes is True
        self.rejections += looked.promotes is False
        if looked.pointers is not None:
            self._known.add(bytes.fromhex(layout.event_id(looked.key)))
            self._made.update(map(_short, looked.pointers))
            self._begun.update(map(_short, looked.begun))

    def _pointer(self, key: str) -> Iterator[Finding]:
        """Judge a pointer by the events that were looked at before it (rule 2)."""
        request = RequestId(layout.pointed_id(key))
        known = bytes.fromhex(request) in self._known
        if not known and not self._has_event(request):
            yield Finding("note", key, "points to a request without an event: nothing was promoted by it")
        elif known and _short(key) in self._begun:
            yield Finding("note", key, "is of a promotion that was begun before the request was rejected: nothing was promoted by it")
        elif known and _short(key) not in self._made:
            yield Finding(
                "finding", key, f"is no pointer of the event {request}", "find out who wrote it; the gate believes the event alone"
            )

    def _has_event(self, request: RequestId) -> bool:
        try:
            self.reader.store.read(layout.event(request), limit=MAX_BUNDLE)
        except Missing:
            return False
        return True


def _short(pointer: str) -> bytes:
    return blake2b(pointer.encode(), digest_size=16).digest()
