"""What was verified is kept, so that a model's history is not verified anew for each question about it.

1. Verification is a pure function of the bundle's bytes, when they were stored, the slot they lay in, the trust file and the policies
   named. What is kept is its result, under all of these: other bytes, another time, another slot or another policy are verified.
2. Nothing of the archive is kept: the caller reads the bytes each time, and hands them in.
3. Only what is believed is kept. What failed, or could not be told, is asked again.
4. At most `MOST` results are kept, of bundles of at most `MOST_BYTES` in all; what was not asked for the longest goes first.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from threading import Lock
from typing import Final

from signoff.decision.seals import Filed
from signoff.record.trust import Trust
from signoff.record.values import Digest, RequestId, sha256
from signoff.verify.case import Outcome
from signoff.verify.verifier import Verified, verify

MOST: Final = 512
MOST_BYTES: Final = 16 * 1024 * 1024

PoliciesOf = Callable[[tuple[Digest, ...]], Mapping[Digest, Filed]]
_Key = tuple[Digest, datetime | None, RequestId | None]


@dataclass(frozen=True)
class _Result:
    verified: Verified
    policies: Mapping[Digest, Filed]
    size: int


class Kept:
    """Results of `verify` under one trust file. Safe to use from many threads."""

    def __init__(self, trust: Trust, most: int = MOST, most_bytes: int = MOST_BYTES) -> None:
        self._trust = trust
        self._most = most
        self._most_bytes = most_bytes
        self._bytes = 0
        self._results: OrderedDict[_Key, _Result] = OrderedDict()
        self._lock = Lock()

    def verified(self, outcome: Outcome, named: Callable[[Outcome], Mapping[Digest, Filed]], again: PoliciesOf) -> Verified:
        """Return what `verify` does. ``named`` gives the policies that an outcome names, ``again`` those with these digests, now."""
        key = (sha256(outcome.filed.bundle), outcome.filed.stored_at, outcome.slot)
        with self._lock:
            known = self._results.get(key)
            if known is not None:
                self._results.move_to_end(key)
        if known is not None and again(tuple(known.policies)) == known.policies:
            return known.verified
        policies = named(outcome)
        verified = verify(outcome, self._trust, policies)
        with self._lock:
            self._keep(key, _Result(verified, policies, len(outcome.filed.bundle)))
        return verified

    def _keep(self, key: _Key, result: _Result) -> None:
        before = self._results.pop(key, None)
        self._results[key] = result
        self._bytes += result.size - (before.size if before is not None else 0)
        while len(self._results) > self._most or self._bytes > self._most_bytes:
            self._bytes -= self._results.popitem(last=False)[1].size
