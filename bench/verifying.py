"""How fast an archive is verified, beside the bare cost of its signatures; and how fast it is written as a table, beside that.

1. `signoff verify` runs over the whole archive as a user runs it, on one core. It looks at everything: events,
   freezes, seals, blobs and pointers. Its clean answer is asked for: a fast failure is no figure.
2. Per core: events by the CPU time (user and system) of the process and its children. The start of the process, measured by verifying
   a single event, is told apart and not counted in.
3. The bare cost are the ECDSA verifications of the very same events (envelope, seal, submission), with the record's own function and
   nothing else; measured before and after, in the same run.
4. `signoff export-table` writes the same archive as a table, on one core. It looks at less (no blobs, no pointers) and
   writes more. Its start is measured by a second run, which finds that the table holds everything.
5. `signoff reclassify` runs over the same archive, by the policy of then and on one core: its answer, that nothing would be stricter, is
   asked for too.
"""

from __future__ import annotations

import json
import os
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from bench.archive import Archive
from bench.errors import BenchError
from bench.events import policy_spec
from bench.rows import Row
from signoff.archive import layout
from signoff.archive.open import open_store
from signoff.record.bundle import MAX_BUNDLE, Bundle, pae, read_bundle, read_statement
from signoff.record.canonical import b64decode
from signoff.record.freeze import read_freeze
from signoff.record.keys import verifies
from signoff.record.promotion import PROMOTION_TYPE, PromotionStatement
from signoff.record.trust import MAX_TRUST, Trust, read_trust
from signoff.record.values import Digest, RequestId

SAMPLE: Final = 100


@dataclass(frozen=True)
class Ran:
    """A run of the command: seconds by the clock and of CPU."""

    seconds: float
    cpu: float


def measure(archive: Archive, desk: str) -> list[Row]:
    """Return how fast the archive was verified, and what its signatures alone cost."""
    slots = _slots(archive)
    signatures = _signatures(archive, slots[:SAMPLE])
    bare = [_bare(signatures)]
    alone = _run(archive, "verify", slots[0])
    whole = _run(archive, "verify", "--jobs", "1")
    bare.append(_bare(signatures))
    each = statistics.median(bare)
    figures = {
        "events": float(archive.events),
        "seconds": whole.seconds,
        "cpu_seconds": whole.cpu,
        "start_seconds": alone.cpu,
        "per_core": archive.events / max(whole.cpu - alone.cpu, 0.001),
    }
    per_event = len(signatures) / min(SAMPLE, len(slots))
    bare_figures = {"us_each": each * 1e6, "per_event": per_event, "per_core": 1 / (each * per_event)}
    name = f"{archive.name}, {desk} desk"
    return [
        Row("verify", "signoff verify", figures, name),
        Row("verify", "signoff export-table", _exported(archive), name),
        Row("verify", "signoff reclassify", _reclassified(archive, alone), name),
        Row("verify", "bare ECDSA of the same events", bare_figures, name),
    ]


def _exported(archive: Archive) -> dict[str, float]:
    """Return what writing the archive as a table came to (rule 4)."""
    with tempfile.TemporaryDirectory(prefix="signoff-bench-table-") as folder:
        whole, again = (_run(archive, "export-table", "--jobs", "1", "--out", folder) for _ in range(2))
        manifest = json.loads((Path(folder) / "_signoff.json").read_bytes())
    rows = sum(manifest["parts"].values())
    return {
        "events": float(archive.events),
        "rows": float(rows),
        "seconds": whole.seconds,
        "cpu_seconds": whole.cpu,
        "start_seconds": again.cpu,
        "rows_per_core": rows / max(whole.cpu - again.cpu, 0.001),
    }


def _reclassified(archive: Archive, alone: Ran) -> dict[str, float]:
    """Return what replaying the archive against its own policy came to (rule 5)."""
    with tempfile.NamedTemporaryFile("w", suffix=".json") as policy:
        json.dump({"kind": "PromotionPolicy", "metadata": {"name": "credit-models"}, "spec": policy_spec()}, policy)
        policy.flush()
        ran = _run(archive, "reclassify", "--policy", policy.name, "--jobs", "1")
    return {
        "events": float(archive.events),
        "seconds": ran.seconds,
        "cpu_seconds": ran.cpu,
        "start_seconds": alone.cpu,
        "per_core": archive.events / max(ran.cpu - alone.cpu, 0.001),
    }


def _run(archive: Archive, *arguments: str) -> Ran:
    before, began = resource.getrusage(resource.RUSAGE_CHILDREN), time.monotonic()
    command = [sys.executable, "-m", "signoff", *arguments]
    done = subprocess.run(command, env=os.environ | archive.settings, capture_output=True, text=True, check=False)
    seconds, after = time.monotonic() - began, resource.getrusage(resource.RUSAGE_CHILDREN)
    if done.returncode:
        raise BenchError(f"signoff {arguments[0]} ended with {done.returncode}: {(done.stdout + done.stderr)[-1500:]}")
    return Ran(seconds, after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime)


def _slots(archive: Archive) -> list[RequestId]:
    return [RequestId(layout.event_id(key)) for key in open_store(archive.url).list(layout.EVENTS_PREFIX)]


def _signatures(archive: Archive, slots: list[RequestId]) -> list[tuple[str, bytes, bytes]]:
    """Return (key, signature, signed bytes) of everything that is signed in these events."""
    store = open_store(archive.url)
    trust = read_trust(store.read(layout.statement("trust", archive.trust), limit=MAX_TRUST).data)
    found: list[tuple[str, bytes, bytes]] = []
    for slot in slots:
        bundle = read_bundle(store.read(layout.event(slot), limit=MAX_BUNDLE).data, slot)
        predicate = read_statement(PromotionStatement, bundle.payload, PROMOTION_TYPE, slot).predicate
        freeze = read_freeze(b64decode(predicate.approvalRequest.content, slot))
        inner = [*(one.seal for one in predicate.approver), *(one.bundle for one in freeze.submissions)]
        bundles = [bundle, *(read_bundle(b64decode(one, slot), slot) for one in inner)]
        found += [(_public_key(trust, one), one.signature, pae(one.payload)) for one in bundles]
    return found


def _public_key(trust: Trust, bundle: Bundle) -> str:
    key = trust.key(Digest(bundle.key_id))
    if key is None:
        raise BenchError(f"the trust file does not name the key {bundle.key_id}")
    return key.publicKey


def _bare(signatures: list[tuple[str, bytes, bytes]]) -> float:
    """Return the CPU seconds that one verification takes."""
    began = time.process_time()
    for pem, signature, signed in signatures:
        if not verifies(pem, signature, signed):
            raise BenchError("a signature of the archive does not verify")
    return (time.process_time() - began) / len(signatures)
