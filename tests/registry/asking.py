"""Asking for a manifest, with all that it takes, and any of it otherwise."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml
from archive_fixture import Ran, Site
from shelf import MODEL

DATA = b"id,label\n1,0\n"
Options = dict[str, str | list[str] | None]


@dataclass
class Asking:
    """``signoff request from-mlflow`` at a server; options are given by name, lists several times, None leaves one out."""

    site: Site
    url: str
    folder: Path

    def run(self, registered: str = MODEL, number: str = "3", *, archive: bool = False, **changed: str | list[str] | None) -> Ran:
        (self.folder / "data.csv").write_bytes(DATA)
        options: Options = {
            "tracking_uri": self.url,
            "image_tag_key": "image",
            "explanation_artifact": "reports/explanation.html",
            "dataset": f"name=applications-2025h2,version=2026-01-15,role=evaluation,file={self.folder / 'data.csv'}",
            "namespace": "credit",
            "environment": "production",
            "target_cluster": "demo",
            "reason": "Ranks better at a lower default rate.",
            **changed,
        }
        given = [
            f"--{name.replace('_', '-')}={one}"
            for name, value in options.items()
            if value is not None
            for one in (value if isinstance(value, list) else [value])
        ]
        return self.site.run("request", "from-mlflow", registered, number, *given, archive=archive)

    def manifest(self, *given: str, **changed: Any) -> dict[str, Any]:
        ran = self.run(*given, **changed)
        assert ran.code == 0, ran.err
        documents = list(yaml.safe_load_all(ran.out))
        assert isinstance(documents[0], dict)
        return documents[0]
