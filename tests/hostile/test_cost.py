"""What the worst input may cost at each entry: read or refused in words, within stated seconds of processor time and MB of memory.

1. Each case has a process of its own, forked off a small one that has everything imported; it asks one entry after the other.
2. Memory is the peak while one entry reads, over what was held before: the kernel is told to count the peak anew each time.
3. What reaches YAML's bound on nodes is one case: the others of the kind would cost the same five seconds each.
4. The bounds are at least four times what was measured, for machines that are busy. The kernel ends a process far beyond them.
"""

from __future__ import annotations

import gc
import json
import multiprocessing
import resource
import time
from collections.abc import Callable, Iterator
from multiprocessing.connection import Connection
from pathlib import Path

import pytest

from signoff.errors import SignoffError
from signoff.gate.reference import parse_reference
from signoff.gate.workloads import references
from signoff.manifests import documents
from signoff.policy.schema import read_policy
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
    "gate": (gated, 4, 500),
    "door": (lambda data: read_spec(read_review(data).obj.get("spec")), 4, 500),
    "bundle": (lambda data: read_bundle(data, "bundle"), 2, 300),
    "bundle, by the verifier": (lambda data: open_bundle(data, "bundle"), 2, 300),
    "trust file": (read_trust, 2, 100),
    "freeze": (lambda data: read_freeze(data, "freeze"), 2, 60),
    "reference": (lambda data: parse_reference(data.decode("latin-1")), 1, 120),
    "door, for policies": (lambda data: read_policy(read_review(data).obj.get("spec")), 4, 500),
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
    "16 MiB of text": lambda: filled(b"x", 16 * MB, b'{"a": "', b'"}'),
    "a byte too many of a review": lambda: filled(b"x", 16 * MB + 1, b'{"a": "', b'"}'),
    "4 MiB of text": lambda: filled(b"x", 4 * MB, b'{"a": "', b'"}'),
    "4 MiB of empty lists": lambda: filled(b"[],", 4 * MB, b"[", b"1]"),
    "as many objects as a review may hold": lambda: filled(b'{"a":1},', 8 * 499_990, b"[", b"1]"),
    "as many objects as a bundle may hold": lambda: filled(b'{"a":1},', 8 * 124_990, b"[", b"1]"),
    "a million small values": lambda: filled(b"1,", 2 * MB - 100_000, b"[", b"1]"),
    "a million brackets": lambda: b"[" * 990_000,
    "one key 250,000 times": lambda: filled(b'"a":1,', 6 * 249_000, b"{", b'"b":1}'),
    "a number of 4 MiB": lambda: filled(b"9", 4 * MB, b'{"a": ', b"}"),
    "a number of 4 MB to the base of 60": lambda: filled(b":1", 4_000_000, b"a: 1"),
    "NaN": lambda: b'{"request": NaN}',
    "1e999999999": lambda: b'{"request": 1e999999999}',
    "4 MiB of escapes": lambda: filled(b"\\u0041", 4 * MB, b'{"a": "', b'"}'),
    "a billion laughs": lambda: laughs(30),
    "1 MiB of list items": lambda: filled(b"- a\n", MB),
}


NOT_AS_YAML = {name for name in CASES if name.startswith("as many")} | {
    "16 MiB of text",
    "4 MiB of empty lists",
    "a million small values",
    "one key 250,000 times",
}


def asked_of(case: str) -> list[str]:
    return [entry for entry in ENTRIES if not (entry == "manifest" and case in NOT_AS_YAML)]


def ask_each(entries: list[str], data: bytes, told: Connection) -> None:
    seconds = sum(2 * each + 2 for _, each, _ in ENTRIES.values())
    resource.setrlimit(resource.RLIMIT_CPU, (int(seconds), int(seconds)))
    for entry in entries:
        told.send(cost(entry, data))


def cost(entry: str, data: bytes) -> tuple[str, float, float]:
    """What was said, and the processor seconds and the MB that it took."""
    gc.collect()
    before, began = held("VmRSS"), time.process_time()
    Path("/proc/self/clear_refs").write_text("5")  # the peak counts anew
    try:
        ENTRIES[entry][0](data)
        said = ""
    except SignoffError as error:
        said = str(error)
    return said, time.process_time() - began, (held("VmHWM") - before) / 1024


def held(name: str) -> int:
    """A figure of this process, in KiB (proc(5), ``/proc/pid/status``)."""
    [line] = [line for line in Path("/proc/self/status").read_text().splitlines() if line.startswith(f"{name}:")]
    return int(line.split()[1])


def measured(case: str) -> Iterator[tuple[str, tuple[str, float, float] | None]]:
    """Each entry with what it cost, or None where it did not come back."""
    receiving, sending = FORKING.Pipe(duplex=False)
    process = FORKING.Process(target=ask_each, args=(asked_of(case), CASES[case](), sending))
    process.start()
    sending.close()
    try:
        for entry in asked_of(case):
            try:
                yield entry, receiving.recv() if receiving.poll(60) else None
            except EOFError:
                yield entry, None
    finally:
        process.kill()
        process.join(10)


@pytest.mark.parametrize("case", CASES)
def test_bypass_12_no_input_costs_more_than_is_stated(case: str) -> None:
    for entry, answer in measured(case):
        _, seconds, megabytes = ENTRIES[entry]
        assert answer is not None, f"{entry}: failed, or took far more than {seconds} s"
        said, took, grown = answer
        print(f"{entry}: {took:.2f} s, {grown:.0f} MB; {said[:80]}")  # shown where it fails
        assert "\n" not in said, entry
        assert took < seconds, (entry, took)
        assert grown < megabytes, (entry, grown)
