"""From the click to the event in the archive: how long an approver waits until the promotion is a fact.

1. The click is the request that creates the PromotionDecision, as `kubectl signoff approve` sends it; the clock runs from
   before it is sent. The answer comes when the seal is archived; the event is there when the archive gives it to a reader.
2. Whoever decides is a person with a client certificate; door, operator and archive are the bank's own.
3. Each approval is of a model of its own, frozen before the clock runs. One at a time.
"""

from __future__ import annotations

import base64
import hashlib
import json
import ssl
import time
from collections.abc import Iterator
from contextlib import contextmanager
from copy import deepcopy
from pathlib import Path
from typing import Any, Final

import httpx
import yaml

from bench.archive import grant
from bench.errors import BenchError
from bench.events import EXAMPLE, REPOSITORY
from bench.rows import Row
from bench.timing import spread
from controlplane.bank import BEN, CARLA, PAULA, Bank
from signoff.archive import layout
from signoff.archive.open import open_store
from signoff.archive.store import Missing, Store
from signoff.record.bundle import MAX_BUNDLE

_SECONDS: Final = 60.0
_PROBE_SECONDS: Final = 0.002


def measure(bank: Bank, store_name: str, count: int) -> list[Row]:
    """Return how long it took from click to answer, and from click to event."""
    bank.kubectl(PAULA, "apply", "-f", str(EXAMPLE / "policy.yaml"))
    bank.kubectl(BEN, "apply", "-f", str(EXAMPLE / "explanation-configmap.yaml"))
    names = [f"credit-bench-{number}" for number in range(count)]
    bank.kubectl(BEN, "apply", "-f", "-", stdin=yaml.safe_dump_all([promotion(name) for name in names]))
    frozen = _frozen(bank, names)
    grant(bank.rights("reader"))
    store = open_store(bank.archive)
    with connected(bank, CARLA) as client:
        clicks = [_click(client, store, name, frozen[name]) for name in names]
    answered, written = zip(*clicks, strict=True)
    return [
        Row("approval", "click to answer (the seal is archived)", spread(answered), store_name),
        Row("approval", "click to event", spread(written), store_name),
    ]


def _click(client: httpx.Client, store: Store, name: str, status: dict[str, Any]) -> tuple[float, float]:
    decision = {
        "apiVersion": "signoff.dev/v1alpha1",
        "kind": "PromotionDecision",
        "metadata": {"name": name, "namespace": "credit"},
        "spec": {
            "promotion": name,
            "freeze": status["freeze"],
            "rendition": status["desk"]["text"],
            "verdict": "Approve",
            "meaning": "I approve this model version for the use described on this desk.",
        },
    }
    began = time.monotonic()
    answer = client.post("/apis/signoff.dev/v1alpha1/namespaces/credit/promotiondecisions", json=decision)
    answered = time.monotonic()
    if answer.status_code != 201:
        raise BenchError(f"the approval of {name} was answered with {answer.status_code}: {answer.text[:500]}")
    key = layout.event(status["id"])
    while not holds(store, key):
        if time.monotonic() - began > _SECONDS:
            raise BenchError(f"{name} was approved, and {_SECONDS:.0f} s later there is no event")
        time.sleep(_PROBE_SECONDS)
    return answered - began, time.monotonic() - began


def holds(store: Store, key: str) -> bool:
    """Whether the archive gives an event to a reader."""
    try:
        store.read(key, limit=MAX_BUNDLE)
    except Missing:
        return False
    return True


def promotion(name: str) -> dict[str, Any]:
    """Return a request of a model of its own, of this name."""
    manifest: dict[str, Any] = deepcopy(yaml.safe_load((EXAMPLE / "promotion.yaml").read_text()))
    digest = "sha256:" + hashlib.sha256(name.encode()).hexdigest()
    manifest["metadata"]["name"] = name
    manifest["spec"]["model"] = {"name": name, "version": "1.0.0", "image": f"{REPOSITORY}/{name}@{digest}"}
    manifest["spec"]["comparison"]["candidate"] |= {"version": "1.0.0", "digest": digest}
    return manifest


def _frozen(bank: Bank, names: list[str]) -> dict[str, dict[str, Any]]:
    """Wait until all of these are frozen, and return their statuses."""
    deadline = time.monotonic() + _SECONDS
    while True:
        found = json.loads(bank.kubectl(BEN, "-n", "credit", "get", "modelpromotions", "-o", "json").stdout)["items"]
        statuses = {one["metadata"]["name"]: one.get("status", {}) for one in found}
        if all("freeze" in statuses.get(name, {}) for name in names):
            return statuses
        if time.monotonic() > deadline:
            raise BenchError(f"not frozen after {_SECONDS:.0f} s: {statuses}")
        time.sleep(0.2)


@contextmanager
def connected(bank: Bank, who: str) -> Iterator[httpx.Client]:
    """Somebody's connection to the API server, kept."""
    config = yaml.safe_load(bank.kubeconfig(who).read_text())
    user = config["users"][0]["user"]
    files = {part: bank.work / f"{who}.{part}" for part in ("certificate", "key")}
    for part, path in files.items():
        path.touch(mode=0o600)
        path.write_bytes(base64.b64decode(user[f"client-{part}-data"]))
    context = ssl.create_default_context(cafile=str(Path(bank.control_plane.cluster_ca_path)))
    context.load_cert_chain(files["certificate"], files["key"])
    with httpx.Client(base_url=bank.control_plane.server, verify=context, timeout=30, trust_env=False) as client:
        client.get("/version")
        yield client
