"""What the worst input may cost at each entry: read or refused in words, within stated seconds of processor time and MB of memory.

Each case runs in a process of its own, forked off a small one that has everything imported; the kernel ends it beyond its processor time.
"""

from __future__ import annotations

import json
import multiprocessing
import resource
import time
from collections.abc import Callable
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

import pytest

from signoff.errors import SignoffError
from signoff.gate.reference import parse_reference
from signoff.gate.workloads import references
from signoff.manifests import documents
from signoff.policy.routing import read_policy
from signoff.record.bundle import open_bundle, read_bundle
from signoff.record.freeze import read_freeze
from signoff.record.request import read_spec
from signoff.record.trust import read_trust
from signoff.webhook.review import read_review

MB = 1024 * 1024
FORKING = multiprocessing.get_context("forkserver")
FORKING.set_forkserver_preload(["pytest", "tests.hostile.test_cost"])


def gated(data: bytes) -> object:
    review = read_review(data)
    return references(review.obj, kind=review.kind, api_version=review.api_version, subresource=review.subresource)


ENTRIES: dict[str, tuple[Callable[[bytes], object], float, int]] = {
    "gate": (gated, 6, 400),
    "door": (lambda data: read_spec(read_review(data).obj.get("spec")), 6, 400),
    "bundle": (lambda data: read_bundle(data, "bundle"), 4, 250),
    "bundle, by the verifier": (lambda data: open_bundle(data, "bundle"), 4, 250),
    "trust file": (read_trust, 4, 100),
    "freeze": (lambda data: read_freeze(data, "freeze"), 4, 100),
    "reference": (lambda data: parse_reference(data.decode("latin-1")), 1, 120),
    "door, for policies": (lambda data: read_policy(read_review(data).obj.get("spec")), 6, 400),
    "manifest": (lambda data: list(documents(data, "file.yaml")), 30, 500),
}
"""An entry, with the processor seconds and the MB that one input may cost."""


def filled(unit: bytes, size: int, before: bytes = b"", after: bytes = b"") -> bytes:
    return before + unit * ((size - len(before) - len(after)) // len(unit)) + after


def containers(number: int) -> bytes:
    spec = {"containers": [{"name": f"c{one}", "image": f"a.example/b:{one}"} for one in range(number)]}
    kind = {"group": "", "version": "v1", "kind": "Pod"}
    obj = {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "x"}, "spec": spec}
    asked = {"uid": "1", "kind": kind, "operation": "CREATE", "namespace": "credit", "userInfo": {}, "object": obj}
    return json.dumps({"request": asked}).encode()


def laughs(levels: int) -> bytes:
    lines = [f"l{level}: &l{level} [{', '.join([f'*l{level - 1}'] * 10)}]" for level in range(1, levels)]
    return "\n".join(["l0: &l0 [x, x, x, x, x, x, x, x, x, x]", *lines]).encode()


CASES: dict[str, Callable[[], bytes]] = {
    "1,000 containers": lambda: containers(1_000),
    "50 MB of text": lambda: filled(b"x", 50 * MB, b'{"a": "', b'"}'),
    "16 MiB of text": lambda: filled(b"x", 16 * MB, b'{"a": "', b'"}'),
    "16 MiB of empty lists": lambda: filled(b"[],", 16 * MB, b"[", b"1]"),
    "a million small values": lambda: filled(b"1,", 2 * MB - 100, b"[", b"1]"),
    "16 MiB of brackets": lambda: b"[" * (16 * MB),
    "one key a million times": lambda: filled(b'"a":1,', 6 * MB, b"{", b'"b":1}'),
    "a number of 16 MiB": lambda: filled(b"9", 16 * MB, b'{"a": ', b"}"),
    "a number of 4 MB to the base of 60": lambda: filled(b":1", 4_000_000, b"a: 1"),
    "NaN": lambda: b'{"request": NaN}',
    "1e999999999": lambda: b'{"request": 1e999999999}',
    "16 MiB of escapes": lambda: filled(b"\\u0041", 16 * MB, b'{"a": "', b'"}'),
    "a billion laughs": lambda: laughs(30),
    "16 MiB of list items": lambda: filled(b"- a\n", 16 * MB),
}


def cost(entry: str, data: bytes, told: Connection) -> None:
    read, seconds, _ = ENTRIES[entry]
    resource.setrlimit(resource.RLIMIT_CPU, (int(seconds) * 2 + 2, int(seconds) * 2 + 2))
    before, began = resident(), time.process_time()
    try:
        read(data)
        said = ""
    except SignoffError as error:
        said = str(error)
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
    told.send((said, time.process_time() - began, (peak - before) / MB))


def resident() -> int:
    return int(Path("/proc/self/statm").read_text().split()[1]) * 4096


def measured(entry: str, data: bytes) -> Any:
    receiving, sending = FORKING.Pipe(duplex=False)
    process = FORKING.Process(target=cost, args=(entry, data, sending))
    process.start()
    sending.close()
    try:
        return receiving.recv() if receiving.poll(120) else None
    except EOFError:
        return None
    finally:
        process.kill()
        process.join(10)


@pytest.mark.parametrize("case", CASES)
def test_bypass_12_no_input_costs_more_than_is_stated(case: str) -> None:
    data = CASES[case]()
    for entry, (_, seconds, megabytes) in ENTRIES.items():
        answer = measured(entry, data)
        assert answer is not None, f"{entry}: failed, or took more than {seconds} s"
        said, took, held = answer
        assert "\n" not in said, entry
        assert took < seconds, (entry, took)
        assert held < megabytes, (entry, held)
