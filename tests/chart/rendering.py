"""The chart as the pinned helm renders it."""

from __future__ import annotations

import base64
import json
import subprocess
from pathlib import Path
from typing import Any

import yaml

from controlplane.binaries import resolve

ROOT = Path(__file__).parents[2]
CHART = ROOT / "charts" / "signoff"
NAMESPACE = "signoff-system"
TIMEOUT = 60

Manifest = dict[str, Any]


def outside(ca: bytes = b"a CA", *, gate: str = "https://127.0.0.1:1", door: str = "https://127.0.0.1:1") -> Manifest:
    """Values for a webhook outside the cluster; nothing listens on port 1."""
    bundle = base64.b64encode(ca).decode()
    return {"webhook": {"outside": {"enabled": True, "gateUrl": gate, "doorUrl": door, "caBundle": bundle}}}


def values_file(folder: Path, values: Manifest) -> Path:
    """The values in a file, JSON being YAML."""
    path = folder / "values.json"
    path.write_text(json.dumps(values))
    return path


def helm(*args: str, chart: Path = CHART) -> subprocess.CompletedProcess[str]:
    """`helm VERB … CHART`, whatever it answers."""
    verb, *rest = args
    command = [str(resolve("helm")), verb, *rest, str(chart)]
    return subprocess.run(command, capture_output=True, text=True, timeout=TIMEOUT, check=False)


def template(folder: Path, values: Manifest | None = None, *, chart: Path = CHART) -> subprocess.CompletedProcess[str]:
    """`helm template` with these values, whatever it answers."""
    path = values_file(folder, values or {})
    return helm("template", "signoff", "--namespace", NAMESPACE, "--values", str(path), chart=chart)


def render(folder: Path, values: Manifest | None = None, *, chart: Path = CHART) -> list[Manifest]:
    """The objects that the chart makes of these values."""
    answer = template(folder, values, chart=chart)
    assert answer.returncode == 0, answer.stderr
    return [each for each in yaml.safe_load_all(answer.stdout) if each]


def of_kind(objects: list[Manifest], kind: str) -> dict[str, Manifest]:
    """The objects of one kind, by name."""
    return {each["metadata"]["name"]: each for each in objects if each["kind"] == kind}
