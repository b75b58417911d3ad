"""The whole benchmark in its quick form, on the real control plane: everything is measured, and nothing is written."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent.parent


@pytest.mark.cluster
def test_quick_measures_everything() -> None:
    done = subprocess.run([sys.executable, "-m", "bench", "run", "--quick"], cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    lines = done.stdout.splitlines()
    for subject in ("no webhook", "no-op, Go", "no-op, FastAPI", "gate, warm", "gate, warm, 20 containers", "gate, warm, denied"):
        assert [line for line in lines if line.startswith(f"| {subject} ") and "| api " in line], subject
    for subject in ("gate, cold", "gate, cold, denied"):
        assert [line for line in lines if line.startswith(f"| {subject} ") and "| direct " in line], subject
    for subject in ("click to event", "webhook, start to ready", "create an object", "read an object"):
        assert [line for line in lines if line.startswith(f"| {subject}")], subject
    for subject in ("signoff verify", "signoff export-table", "signoff reclassify", "bare ECDSA"):
        assert [line for line in lines if line.startswith(f"| {subject}")], subject
    for subject in ("created to frozen", "click to receipt", "the desk's page", "the frozen desk", "bare server", "history, first page"):
        assert [line for line in lines if line.startswith(f"| {subject}")], subject
    unmeasured = [line for line in lines if "not measured" in line]
    assert {line.split("|")[1].strip()[:14] for line in unmeasured} <= {"The warm gate ", "The cold gate ", "What the warm "}, unmeasured
    assert "results in" not in done.stderr
