"""What a verification rested on: the archive's own answers, noted as they came, and an archive made of them in which to verify again.

1. Noted are the exact bytes, the keys of pointers and corrections that were listed, and what was missing: nothing that was concluded.
2. When the store took something is not noted. Verified again, everything counts as taken at that moment: a key that has ended or was
   compromised since vouches for nothing then, whatever time anybody wrote down.
3. What was not noted is out of reach.
4. Evidence is bounded. What would need more is not noted at all.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime
from threading import Lock, local
from typing import Final

from signoff.archive import layout
from signoff.archive.store import Missing, Proof, Refused, Store, Stored, TooLarge, Unavailable
from signoff.decision.seals import Filed
from signoff.errors import SignoffError
from signoff.verify.case import Outcome
from signoff.verify.verifier import policies_named

_POLICIES: Final = layout.statements_prefix("policy")
_KEPT_POLICIES: Final = 1_000


MAX_EVIDENCE: Final = 512 * 1024
"""Bytes of the objects in one evidence: some twenty events."""


@dataclass
class Listing:
    """The keys that were listed, and whether these are all."""

    keys: list[str] = field(default_factory=list)
    whole: bool = False


@dataclass
class Evidence:
    """Answers of an archive: bytes by key, None where nothing was there, and listings by prefix."""

    objects: dict[str, bytes | None] = field(default_factory=dict)
    listings: dict[str, Listing] = field(default_factory=dict)
    size: int = 0

    def note(self, key: str, data: bytes | None) -> None:
        """Add an object (rule 4)."""
        self.size += len(data or b"")
        if self.too_large:
            self.objects.clear()
        else:
            self.objects[key] = data

    @property
    def has_corrections(self) -> bool:
        """Whether a correction was read."""
        return any(key.startswith(layout.CORRECTIONS_PREFIX) for key in self.objects)

    @property
    def too_large(self) -> bool:
        """Whether there was more than is noted."""
        return self.size > MAX_EVIDENCE


class Noting:
    """A store that notes what it answers in a thread, while asked to. Policies are read once in a process, so they are remembered."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._now = local()
        self._policies: OrderedDict[str, bytes] = OrderedDict()
        self._lock = Lock()

    @contextmanager
    def noted(self) -> Iterator[Evidence]:
        """Note what this thread is answered from here on."""
        evidence = self._now.evidence = Evidence()
        try:
            yield evidence
        finally:
            self._now.evidence = None

    def with_policies(self, evidence: Evidence) -> Evidence | None:
        """Return the evidence with the policies that its events name; None where one is not remembered, or it is too large."""
        whole = Evidence(dict(evidence.objects), evidence.listings, evidence.size)
        for key, data in evidence.objects.items():
            for policy in _named(data) if key.startswith(layout.EVENTS_PREFIX) and data is not None else ():
                with self._lock:
                    kept = self._policies.get(policy)
                if kept is None:
                    return None
                if policy not in whole.objects:
                    whole.note(policy, kept)
        return None if whole.too_large else whole

    def create(self, key: str, data: bytes) -> Stored:
        """As `Store.create`."""
        return self._store.create(key, data)

    def read(self, key: str, *, limit: int) -> Stored:
        """As `Store.read`."""
        evidence: Evidence | None = getattr(self._now, "evidence", None)
        try:
            stored = self._store.read(key, limit=limit)
        except Missing:
            if evidence is not None:
                evidence.note(key, None)
            raise
        if key.startswith(_POLICIES):
            self._remember(key, stored.data)
        if evidence is not None:
            evidence.note(key, stored.data)
        return stored

    def list(self, prefix: str, *, after: str = "", limit: int | None = None) -> Iterator[str]:
        """As `Store.list`."""
        evidence: Evidence | None = getattr(self._now, "evidence", None)
        found = self._store.list(prefix, after=after, limit=limit)
        return found if evidence is None or after else _noted(evidence, prefix, found, limit)

    def check(self) -> None:
        """As `Store.check`."""
        self._store.check()

    def prove(self) -> Proof:
        """As `Store.prove`."""
        return self._store.prove()

    def _remember(self, key: str, data: bytes) -> None:
        with self._lock:
            self._policies[key] = data
            while len(self._policies) > _KEPT_POLICIES:
                self._policies.popitem(last=False)


def _noted(evidence: Evidence, prefix: str, found: Iterator[str], limit: int | None) -> Iterator[str]:
    listing = evidence.listings[prefix] = Listing()
    for key in found:
        listing.keys.append(key)
        yield key
    listing.whole = limit is None or len(listing.keys) < limit


def _named(bundle: bytes) -> tuple[str, ...]:
    try:
        return tuple(layout.statement("policy", digest) for digest in policies_named(Outcome(Filed(bundle, None), None)))
    except SignoffError:
        return ()


class Again:
    """An archive that answers out of evidence, and took all of it at one moment (rules 2 and 3)."""

    def __init__(self, evidence: Evidence, taken_at: datetime) -> None:
        self._evidence = evidence
        self._taken_at = taken_at

    def create(self, key: str, data: bytes) -> Stored:  # noqa: ARG002 - as every store has it
        """Nothing is created here: raises `Refused`."""
        raise Refused("evidence is not added to", key)

    def read(self, key: str, *, limit: int) -> Stored:
        """As `Store.read`."""
        if key not in self._evidence.objects:
            raise Unavailable("this was not kept", key)
        data = self._evidence.objects[key]
        if data is None:
            raise Missing("not in the archive when it was asked", key)
        if len(data) > limit:
            raise TooLarge(f"the object has {len(data)} bytes, the reader takes {limit}", key)
        return Stored(key, data, self._taken_at)

    def list(self, prefix: str, *, after: str = "", limit: int | None = None) -> Iterator[str]:
        """As `Store.list`."""
        if prefix not in self._evidence.listings or after:
            raise Unavailable("this was not kept", prefix)
        listing = self._evidence.listings[prefix]
        for count, key in enumerate(listing.keys, 1):
            yield key
            if count == limit:
                return
        if not listing.whole:
            raise Unavailable("no more than this was kept", prefix)

    def check(self) -> None:
        """It is at hand."""

    def prove(self) -> Proof:
        """Nothing is proven here: raises `Refused`."""
        raise Refused("evidence is no archive")
