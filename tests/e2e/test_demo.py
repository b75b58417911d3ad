"""The demo asserts what it tells: with a gate it comes out, without one it fails at its first scene."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

pytestmark = pytest.mark.cluster

ROOT = Path(__file__).parent.parent.parent


def play(*flags: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "demo", *flags]
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=280, check=False)


def test_every_scene_comes_out_as_told() -> None:
    done = play()
    assert done.returncode == 0, done.stdout[-3000:] + done.stderr
    assert "Every scene came out as told" in done.stdout


def test_without_the_gate_the_demo_fails_at_its_first_scene() -> None:
    done = play("--without-gate")
    assert done.returncode == 1
    assert "The demo ends here" in done.stderr
    assert "━━ 1." in done.stdout
    assert "━━ 2." not in done.stdout
