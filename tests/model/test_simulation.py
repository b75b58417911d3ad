"""What is simulated offers what the real part offers, and behaves like it where a history relies on it."""

from __future__ import annotations

import inspect
import re
from collections.abc import Iterator
from typing import Any

import pytest

from signoff.archive.store import Exists, Missing, Store, Unavailable
from signoff.operator import cluster as operators
from signoff.webhook import cluster as webhooks
from tests.model import bank
from tests.model.apiserver import OperatorsCluster, Refusal, WebhooksCluster
from tests.model.archive import Archive, Clock, Died, Reached
from tests.model.simulation import Simulation


def offered(kind: type) -> dict[str, str]:
    names = (name for name in dir(kind) if not name.startswith("_"))
    return {name: _shape(getattr(kind, name)) for name in names}


def _shape(method: Any) -> str:
    # The rooms spell one type differently: by an alias, from another module, or as text.
    written = str(inspect.signature(method)).replace("Mapping[str, Json]", "Object").replace("'", "")
    return re.sub(r"[a-z_]+(\.[a-z_]+)*\.(?=[A-Z])", "", written)


@pytest.mark.parametrize(
    ("simulated", "real"),
    [(OperatorsCluster, operators.Cluster), (WebhooksCluster, webhooks.Cluster), (Reached, Store)],
    ids=["operator", "webhook", "archive"],
)
def test_the_simulated_part_offers_what_the_real_one_offers(simulated: type, real: type) -> None:
    assert offered(simulated) == offered(real)


@pytest.fixture
def archive() -> Iterator[Archive]:
    own = Archive(Clock())
    yield own
    own.remove()


@pytest.mark.parametrize(
    ("manner", "told", "is_written"),
    [
        ("dies before", Died, False),
        ("dies after", Died, True),
        ("answer lost", Unavailable, True),
        ("goes down", Unavailable, False),
        ("meanwhile", None, True),
    ],
)
def test_a_fault_strikes_once_and_at_its_operation(archive: Archive, manner: str, told: Any, is_written: bool) -> None:
    store = Reached(archive)
    strike = archive.faults.arm(manner, 1)
    store.create("a/first", b"1")
    assert not strike.struck
    if told is None:
        store.create("a/second", b"2")
    else:
        with pytest.raises(told):
            store.create("a/second", b"2")
    assert strike.struck
    assert ("a/second" in archive.ledger) == is_written
    archive.faults.down = False
    store.create("a/third", b"3")
    assert list(store.list("a/")) == ["a/first", *(["a/second"] if is_written else []), "a/third"]


def test_a_store_that_is_down_is_neither_empty_nor_missing(archive: Archive) -> None:
    store = Reached(archive)
    archive.faults.down = True
    for deed in (store.check, lambda: store.read("a", limit=1), lambda: list(store.list("")), lambda: store.create("a", b"")):
        with pytest.raises(Unavailable):
            deed()


def test_what_the_enemy_touched_is_known_and_restored(archive: Archive) -> None:
    store = Reached(archive)
    stored = store.create("a/b", b"honest")
    archive.overwrite("a/b", b"altered")
    archive.overwrite("a/c", b"brought along")
    assert store.read("a/b", limit=100).data == b"altered"
    assert not archive.is_honest("a/b")
    archive.restore()
    assert store.read("a/b", limit=100) == stored
    with pytest.raises(Missing):
        store.read("a/c", limit=100)
    with pytest.raises(Exists):
        store.create("a/b", b"again")


@pytest.fixture
def world(archive: Archive) -> Simulation:
    return Simulation(archive, bank.Keyring(), lambda *_: None)


def test_the_api_server_keeps_versions_as_kubernetes_does(world: Simulation) -> None:
    api, paula = world.api, bank.person("paula")
    first = api.create(paula, "promotionpolicies", bank.policy("credit-models", "one"))
    assert first["metadata"]["generation"] == 1
    same = api.replace(paula, "promotionpolicies", bank.policy("credit-models", "one"))
    assert same["metadata"]["generation"] == 1
    changed = api.replace(paula, "promotionpolicies", bank.policy("credit-models", "two"))
    assert changed["metadata"]["generation"] == 2
    assert changed["metadata"]["uid"] == first["metadata"]["uid"]
    with pytest.raises(Refusal, match="exists already"):
        api.create(paula, "promotionpolicies", bank.policy("credit-models", "one"))


def test_a_status_is_written_onto_the_version_that_was_read(world: Simulation) -> None:
    manifest = bank.promotion("credit-a", 1, None, 1)
    world.api.create(bank.person("ben"), "modelpromotions", {**manifest, "status": {"forged": True}})
    read = world.api.get("modelpromotions", "credit", manifest["metadata"]["name"])
    assert read is not None
    assert "status" not in read
    assert world.api.set_status(read, {"a": 1}) == "ok"
    assert world.api.set_status(read, {"a": 2}) == "conflict"
    again = world.api.replace(bank.person("ben"), "modelpromotions", manifest)
    assert again["status"] == {"a": 1}
    world.api.delete(bank.person("ben"), "modelpromotions", "credit", manifest["metadata"]["name"])
    assert world.api.set_status(again, {"a": 3}) == "gone"


def test_a_door_that_dies_stores_nothing_and_comes_back(world: Simulation) -> None:
    world.archive.faults.arm("dies before", 0)
    with pytest.raises(Refusal, match="died"):
        world.api.create(bank.person("paula"), "promotionpolicies", bank.policy("credit-models", "one"))
    assert world.api.objects == {}
    world.api.create(bank.person("paula"), "promotionpolicies", bank.policy("credit-models", "one"))
