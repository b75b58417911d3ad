from __future__ import annotations

import os
import sys
from datetime import UTC, datetime
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))

from archive_fixture import Site
from bank_year import Year
from world import DAVID, World

from signoff.archive import layout
from signoff.cli import export_table
from signoff.record.values import sha256


@pytest.fixture
def site(world: World, capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Site:
    for name in ("SIGNOFF_ARCHIVE", "SIGNOFF_TRUST", "SIGNOFF_CLUSTER", "KUBECONFIG"):
        monkeypatch.delenv(name, raising=False)
    return Site(world, capfd)


@pytest.fixture
def full(site: Site, monkeypatch: pytest.MonkeyPatch) -> Site:
    """An archive of two months, of which every third row finishes the parts that are open."""
    for number, month in enumerate((3, 4, 4)):
        verified = site.decided(
            site.frozen(lambda spec, number=number: spec.update(attempt=number + 1), name=f"n-{number}"), DAVID, verdict="Reject"
        )
        at = datetime(2026, month, 2, 12, tzinfo=UTC).timestamp()
        for key in (layout.event(verified.id), layout.seal(sha256(verified.payload), DAVID.issuer, DAVID.subject)):
            os.utime(site.object_at(key), (at, at))
    monkeypatch.setattr(export_table, "ROWS_AT_ONCE", 3)
    return site


@pytest.fixture
def year(world: World, capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Year:
    for name in ("SIGNOFF_ARCHIVE", "SIGNOFF_TRUST"):
        monkeypatch.delenv(name, raising=False)
    return Year(world, capfd)
