"""The decisions that the archive holds on a freeze, and that count."""

from __future__ import annotations

from signoff.archive import layout
from signoff.archive.store import ArchiveError, Missing
from signoff.decision.frozen import believe_on
from signoff.decision.seals import Filed, read_seal
from signoff.errors import SignoffError
from signoff.record.bundle import MAX_BUNDLE
from signoff.record.freeze import Freeze
from signoff.record.promotion import SealedDecision
from signoff.record.values import Digest
from signoff.verify.reader import Reader


def sealed_on(reader: Reader, freeze: Freeze, digest: Digest) -> tuple[SealedDecision, ...]:
    """Return the archived decisions on a freeze that count: a seal that does not decides nothing, for or against. Raises `ArchiveError`."""
    found: list[SealedDecision] = []
    for key in reader.store.list(layout.seals_prefix(digest)):
        try:
            stored = reader.store.read(key, limit=MAX_BUNDLE)
        except Missing:
            continue
        try:
            filed = Filed(stored.data, stored.stored_at)
            sealed = read_seal(filed, reader.trust, freeze.request.spec.target, key)
            believe_on(sealed.seal, filed, reader.trust, freeze, digest, key)
        except ArchiveError:
            raise
        except SignoffError:
            continue
        principal = sealed.seal.decided.principal
        if key == layout.seal(digest, principal.issuer, principal.subject):
            found.append(sealed)
    return tuple(found)
