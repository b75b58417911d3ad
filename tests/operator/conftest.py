from __future__ import annotations

import socket
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from tests.operator.fetching import REPORT
from tests.operator.site import Site, authority, plain, serving


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    own = authority(tmp_path_factory.mktemp("site"))
    with serving(own, own.serving("site", ["localhost", "reports.bank.example"])) as site:
        yield site


@pytest.fixture
def site(running: Site) -> Iterator[Site]:
    """The site as if it had just begun."""
    port = running.port
    running.connections = 0
    running.requests.clear()
    running.deeds.clear()
    running.deeds[REPORT] = plain()
    yield running
    running.port = port


@pytest.fixture
def resolved(monkeypatch: pytest.MonkeyPatch) -> Callable[[dict[str, list[str]]], list[str]]:
    """Give names their addresses, one a lookup, the last one again and again. Returns the names that were looked up."""
    real = socket.getaddrinfo

    def resolve(names: dict[str, list[str]]) -> list[str]:
        asked: list[str] = []

        def getaddrinfo(host: Any, port: Any, *rest: Any, **named: Any) -> Any:
            asked.append(host)
            if host not in names:
                raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")
            addresses = names[host]
            address = addresses.pop(0) if len(addresses) > 1 else addresses[0]
            found: list[Any] = []
            for one in address.split():
                found += real(one, port, type=socket.SOCK_STREAM)
            return found

        monkeypatch.setattr(socket, "getaddrinfo", getaddrinfo)
        return asked

    return resolve
