"""The next version of a trust file, archived under its own digest; and what is said of it."""

from __future__ import annotations

import json

from signoff.archive import layout
from signoff.archive.store import Store
from signoff.archive.write import create_or_same
from signoff.cli import output
from signoff.record.promotion import as_json
from signoff.record.trust import Trust, read_trust
from signoff.record.values import Digest, sha256


def created(store: Store, later: Trust) -> Digest:
    """Archive a trust file, and return its digest."""
    data = json.dumps(as_json(later), indent=2, ensure_ascii=False).encode() + b"\n"
    read_trust(data)
    digest = sha256(data)
    create_or_same(store, layout.statement("trust", digest), data)
    return digest


def tell_unchanged() -> None:
    """Say that nothing follows the new version yet."""
    output.tell("\nNothing has changed yet. Name this digest as `trust` in the configuration of each process, and as SIGNOFF_TRUST, and")
    output.tell("restart them: a process keeps the trust file that it was started with.")
