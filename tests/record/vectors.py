"""The golden vectors as tests read them. What they hold was signed once and is never made anew: see ``make_golden``."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from signoff.decision.seals import Filed
from signoff.record.bundle import read_bundle
from signoff.record.promotion import SealedDecision
from signoff.record.seal import SealStatement
from signoff.record.trust import Trust, read_trust
from signoff.record.values import Digest, parse
from signoff.verify.case import Outcome

GOLDEN = Path(__file__).parent / "golden"
STORED = datetime(2026, 3, 3, 10, 0, tzinfo=UTC)
STATEMENTS = ("policy", "submission", "seal.carla", "seal.david", "seal.rejecting", "promotion", "rejection")


def golden(name: str) -> bytes:
    return (GOLDEN / name).read_bytes()


def golden_json(name: str) -> Any:
    return json.loads(golden(name))


def statement(name: str) -> bytes:
    return golden(f"{name}.statement.json")


def bundle(name: str) -> bytes:
    return golden(f"{name}.sigstore.json")


def trust() -> Trust:
    return read_trust(golden("trust.json"))


def policies() -> dict[Digest, Filed]:
    return {read_bundle(bundle("policy"), "policy").digest: Filed(bundle("policy"), STORED)}


def outcome(data: bytes, *, slot: str | None = None, stored_at: datetime | None = STORED) -> Outcome:
    return Outcome(Filed(data, stored_at), slot)  # type: ignore[arg-type]


def sealed(name: str) -> SealedDecision:
    return SealedDecision(parse(SealStatement, statement(name), name).predicate, bundle(name))
