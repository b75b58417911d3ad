"""The listener of the metrics: what it answers, what bounds it, and that it answers while the archive hangs."""

from __future__ import annotations

import contextlib
import socket
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from scraping import get, scrape

from controlplane.ports import free_ports
from signoff.archive.file import FileStore
from signoff.archive.store import Missing, Stored, Unavailable
from signoff.config import Listener
from signoff.errors import SignoffError
from signoff.metrics import new_registry
from signoff.metrics.archive import ArchiveMetrics, MeteredStore
from signoff.metrics.listener import MAX_CONNECTIONS, MAX_HEAD, SECONDS, serve_metrics


class Hanging(FileStore):
    """A store whose reads hang until they are let go."""

    def __init__(self, root: Path) -> None:
        super().__init__(root)
        self.let_go = threading.Event()

    def read(self, key: str, *, limit: int) -> Stored:
        self.let_go.wait(30)
        return super().read(key, limit=limit)


class Served:
    def __init__(self, folder: Path) -> None:
        self.registry = new_registry()
        self.archive = ArchiveMetrics(self.registry)
        FileStore(folder).initialise()
        self.inner = Hanging(folder)
        self.store = MeteredStore(self.inner, self.archive)
        (self.port,) = free_ports(1)
        serve_metrics(self.registry, Listener(host="127.0.0.1", port=self.port))


@pytest.fixture
def served(tmp_path: Path) -> Iterator[Served]:
    served = Served(tmp_path / "archive")
    yield served
    served.inner.let_go.set()


@pytest.mark.parametrize(
    ("method", "path"), [("POST", "/metrics"), ("GET", "/"), ("GET", "/metrics/x"), ("GET", "/healthz"), ("HEAD", "/metrics")]
)
def test_all_but_metrics_is_404(served: Served, method: str, path: str) -> None:
    assert get(served.port, path, method)[0] == 404


def test_a_scrape_says_the_version_and_the_process(served: Served) -> None:
    found = scrape(served.port)
    assert [name for name, _ in found.samples if name == "signoff_build_info"]
    assert found.value("process_resident_memory_bytes") > 1e6


def read_in_vain(served: Served) -> None:
    with pytest.raises(Missing):
        served.store.read("a", limit=1)


def test_while_the_archive_hangs_a_scrape_is_answered_and_shows_it(served: Served) -> None:
    reading = threading.Thread(target=read_in_vain, args=(served,), daemon=True)
    reading.start()
    began = time.monotonic()
    assert scrape(served.port).value("signoff_archive_operations_in_progress", operation="read") == 1
    assert time.monotonic() - began < 2
    served.inner.let_go.set()
    reading.join(10)
    found = scrape(served.port)
    assert found.value("signoff_archive_operations_in_progress", operation="read") == 0
    assert found.value("signoff_archive_operations_total", operation="read", outcome="missing") == 1
    assert found.value("signoff_archive_operation_seconds_count", operation="read") == 1


def test_connections_held_open_are_hung_up_on_and_keep_nobody_out_for_long(served: Served) -> None:
    with contextlib.ExitStack() as held:
        sockets = [held.enter_context(socket.create_connection(("127.0.0.1", served.port), timeout=10)) for _ in range(MAX_CONNECTIONS)]
        sockets[0].sendall(b"GET /metrics HTTP/1.1\r\n")
        time.sleep(0.2)
        with pytest.raises(OSError):  # noqa: PT011 - reset or closed, by the moment
            get(served.port)
        began = time.monotonic()
        with contextlib.suppress(ConnectionError):
            assert sockets[0].recv(1) == b""
        assert time.monotonic() - began < SECONDS + 2
        scrape(served.port)


def test_a_head_too_large_is_hung_up_on(served: Served) -> None:
    with socket.create_connection(("127.0.0.1", served.port), timeout=10) as large:
        with contextlib.suppress(ConnectionError):
            large.sendall(b"GET /metrics HTTP/1.1\r\nX: " + b"x" * 10 * MAX_HEAD)
        began = time.monotonic()
        with contextlib.suppress(ConnectionError):
            assert large.recv(1) == b""
        assert time.monotonic() - began < SECONDS - 1
    scrape(served.port)


def test_a_port_that_is_taken_is_said_so(served: Served) -> None:
    with pytest.raises(SignoffError) as failed:
        serve_metrics(served.registry, Listener(host="127.0.0.1", port=served.port))
    assert f"metrics: 127.0.0.1:{served.port}: cannot be listened on" in str(failed.value)


def test_a_measured_store_counts_each_outcome_and_changes_none(served: Served, tmp_path: Path) -> None:
    served.inner.let_go.set()
    store = served.store
    store.create("k/b", b"1")
    store.create("k/a", b"2")
    assert list(store.list("k/")) == ["k/a", "k/b"]
    assert next(store.list("k/", limit=2)) == "k/a"
    assert store.read("k/a", limit=1).data == b"2"
    reached = scrape(served.port).value("signoff_archive_last_reached_timestamp_seconds")
    assert abs(time.time() - reached) < 60
    (tmp_path / "archive").rename(tmp_path / "away")
    with pytest.raises(Unavailable):
        store.check()
    with pytest.raises(Unavailable):
        list(store.list("k/"))
    found = scrape(served.port)
    counted = {
        (operation, outcome): found.value("signoff_archive_operations_total", operation=operation, outcome=outcome)
        for operation in ("create", "list", "read", "check")
        for outcome in ("done", "unavailable", "failed")
    }
    assert {key: value for key, value in counted.items() if value} == {
        ("create", "done"): 2,
        ("list", "done"): 2,
        ("read", "done"): 1,
        ("check", "unavailable"): 1,
        ("list", "unavailable"): 1,
    }
    assert found.value("signoff_archive_last_reached_timestamp_seconds") == reached
