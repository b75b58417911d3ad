from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.running.serving import Serving


@pytest.fixture
def serving() -> Iterator[Serving]:
    with Serving() as running:
        running.namespaces["credit"] = {
            "kubernetes.io/metadata.name": "credit",
            "signoff.dev/gate": "enforce",
            "signoff.dev/environment": "production",
        }
        yield running
