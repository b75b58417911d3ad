"""Fetching as the operator does it, from a site of the tests' own."""

from __future__ import annotations

from typing import Any

import pytest

from signoff.operator.explanations import CannotFetch, fetch
from signoff.record.canonical import dumps
from signoff.record.request import ClaimedExplanation
from signoff.record.values import parse
from tests.operator.site import Site

REPORT = "/models/report.html"


class NoConfigMaps:
    """Fetching by address must not read any."""

    def config_map_key(self, namespace: str, name: str, key: str) -> bytes:
        pytest.fail(f"asked for {namespace}/{name} {key}")


class ConfigMaps:
    def config_map_key(self, namespace: str, name: str, key: str) -> bytes:
        return f"{namespace} {name} {key}".encode()


def claimed(source: dict[str, Any]) -> ClaimedExplanation:
    value = {"mediaType": "text/html", "digest": "sha256:" + "0" * 64, "source": source}
    return parse(ClaimedExplanation, dumps(value), "spec.explanation")


def get(site: Site, url: str | None = None, **settings: Any) -> bytes:
    return fetch(claimed({"url": url or site.url(REPORT)}).source, "credit", NoConfigMaps(), site.settings(**settings)).content


def refusal(site: Site, url: str | None = None, **settings: Any) -> CannotFetch:
    with pytest.raises(CannotFetch) as refused:
        get(site, url, **settings)
    assert "\n" not in str(refused.value)
    assert len(str(refused.value)) < 700
    return refused.value
