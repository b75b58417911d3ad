"""One run of the plan: archives first, then what needs no cluster, then the cluster; each part gives its rows.

1. What is measured is alone on its cluster: the bank's own webhook and operator are ended before the gate is measured.
2. Archives, stores and clusters live in a temporary folder and go with it; file archives that were asked to be kept stay.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import time
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import asdict, replace
from pathlib import Path
from typing import Final, Literal

from bench import approval, gate, portal, starting, storing, verifying
from bench.archive import Archive, fill, grant, initialise
from bench.cluster import MeasuredBank, gate_kubeconfig, make_namespaces, register
from bench.events import DeskSize
from bench.gate import FASTAPI, GO, PLAIN, Gated
from bench.plan import Plan
from bench.rows import Row
from bench.servers import gate as gate_server
from bench.servers import noop_fastapi, noop_go
from controlplane import ControlPlane
from controlplane.bank import Bank
from controlplane.seaweed import ObjectStore
from signoff.archive.open import open_store

BUCKET: Final = "bench"
WHOLE: Final = {"file": 100_000, "s3": 10_000}
"""Events in the largest archive of a store that is written whole; larger ones are lean."""
Told = Callable[[str], None]


class Measuring:
    """A run in a work folder; `rows` are what it came to so far."""

    def __init__(self, plan: Plan, work: Path, told: Told) -> None:
        self.plan = plan
        self.work = work
        self.told = told
        self.rows: list[Row] = []
        self._held = ExitStack()
        self._store: ObjectStore | None = None

    def measure(self) -> None:
        """Measure what the plan says, part after part; where one cannot be measured the rows of those before it stay."""
        with self._held:
            wants = self.plan.groups
            archives = self._archives() if "gate" in wants else []
            if "verify" in wants:
                self._verify()
            if "store" in wants:
                self._objects()
            if {"gate", "approval", "start"} & set(wants):
                self._on_a_cluster(archives)
            if "approval" in wants and self.plan.s3_events:
                self._approvals_in_s3()
            if "portal" in wants:
                self._portal()

    def _archives(self) -> list[Archive]:
        files = [self._file_archive(f"file-{events}", events, "small") for events in self.plan.file_events]
        return files + [self._s3_archive(events) for events in self.plan.s3_events]

    def _file_archive(self, label: str, events: int, desk: DeskSize) -> Archive:
        kept = self.plan.archives / label if self.plan.archives else None
        if kept and (kept / "made.json").exists():
            self.told(f"{label}: using the archive in {kept}")
            return Archive(**json.loads((kept / "made.json").read_text()))
        folder = (kept or self.work / label).absolute()
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir(parents=True)
        empty = initialise((folder / "archive").as_uri(), folder / "keys", label, f"bench-{label}")
        archive = self._filled(empty, events, desk)
        row = self.rows[-1]
        each = {"bytes_each": _used(folder, "--block-size=1") / events, "inodes_each": _used(folder, "--inodes") / events}
        self.rows[-1] = Row(row.group, row.subject, {**row.figures, **each}, row.archive)
        if kept:
            (kept / "made.json").write_text(json.dumps(asdict(archive)))
        return archive

    def _s3_archive(self, events: int) -> Archive:
        label = f"s3-{events}"
        store = self._object_store()
        url = store.address(BUCKET, label)
        made = initialise(url, self.work / label / "keys", label, f"bench-{label}", _rights(store, "admin"))
        return self._filled(replace(made, rights=_rights(store, "writer")), events, "small")

    def _filled(self, archive: Archive, events: int, desk: DeskSize) -> Archive:
        self.told(f"{archive.label}: making {events:,} events")
        began, lean = time.monotonic(), events > WHOLE[archive.store]
        filled = fill(archive, events, desk, lambda done: self.told(f"{archive.label}: {done:,} of {events:,} events"), lean=lean)
        seconds = time.monotonic() - began
        figures = {"events": float(events), "seconds": seconds, "per_second": events / seconds}
        self.rows.append(Row("archive", f"{desk} desks{', only what a gate reads' if lean else ''}", figures, filled.name))
        return filled

    def _object_store(self) -> ObjectStore:
        if self._store is None:
            (self.work / "store").mkdir(parents=True, exist_ok=True)
            self._store = self._held.enter_context(ObjectStore(self.work / "store"))
            self._store.make_bucket(BUCKET)
        return self._store

    def _verify(self) -> None:
        archive = self._file_archive("verified", self.plan.verify_events, "example")
        self.told(f"verifying {archive.events:,} events")
        self.rows += verifying.measure(archive, "example")

    def _objects(self) -> None:
        self.told("creating and reading objects")
        folder = self.work / "objects"
        stores = {"file": open_store(initialise((folder / "archive").as_uri(), folder / "keys", "objects", "objects").url)}
        if self.plan.s3_events:
            store = self._object_store()
            grant(_rights(store, "admin"))
            url = initialise(store.address(BUCKET, "objects"), folder / "s3-keys", "objects", "objects", _rights(store, "admin")).url
            grant(_rights(store, "writer"))
            stores["s3"] = open_store(url)
        self.rows += storing.measure(stores, self.plan.objects)

    def _on_a_cluster(self, archives: list[Archive]) -> None:
        self.told("starting a control plane")
        with ControlPlane(self.work / "plane") as plane:
            bank = MeasuredBank(plane, self.work / "bank")
            bank.measured = (PLAIN, GO, FASTAPI, *(archive.namespace for archive in archives))
            with bank:
                if "approval" in self.plan.groups:
                    self.told("approvals, file")
                    self.rows += approval.measure(bank, "file", self.plan.approvals)
                bank.end("operator")
                if "start" in self.plan.groups:
                    self.told("starts")
                    self.rows += starting.measure(bank, self.plan.starts)
                bank.end("webhook")
                if archives:
                    self._gate(plane, bank, archives)

    def _gate(self, plane: ControlPlane, bank: MeasuredBank, archives: list[Archive]) -> None:
        make_namespaces(plane, bank.measured)
        kubeconfig = gate_kubeconfig(plane)
        with ExitStack() as running:
            baselines = (running.enter_context(noop_go(plane, self.work)), running.enter_context(noop_fastapi(plane, self.work)))
            gates = []
            for archive in archives:
                rights = _rights(self._object_store(), "writer") if archive.store == "s3" else {}
                gates.append(Gated(running.enter_context(gate_server(plane, archive, kubeconfig, self.work, rights)), archive))
            register(plane, {GO: baselines[0], FASTAPI: baselines[1], **{one.archive.namespace: one.server for one in gates}})
            self.rows += gate.measure(plane, gate.subjects(baselines, gates), self.plan, self.work, self.told)

    def _approvals_in_s3(self) -> None:
        self.told("approvals, s3: starting a control plane")
        with ControlPlane(self.work / "plane-s3") as plane, Bank(plane, self.work / "bank-s3", archive="s3") as bank:
            self.rows += approval.measure(bank, "s3", self.plan.approvals)

    def _portal(self) -> None:
        self.told("portal: starting a control plane")
        with ControlPlane(self.work / "plane-portal") as plane:
            self.rows += portal.measure(plane, self.plan, self.work / "portal", self.told)


def _rights(store: ObjectStore, who: Literal["admin", "writer", "reader"]) -> dict[str, str]:
    """Return the environment in which a process holds these rights in the object store, and no other configuration of a client's."""
    nowhere = {"AWS_EC2_METADATA_DISABLED": "true", "AWS_SHARED_CREDENTIALS_FILE": os.devnull, "AWS_CONFIG_FILE": os.devnull}
    return nowhere | store.keys[who].environment


def _used(folder: Path, what: str) -> int:
    """Return what a folder uses on its disk, by du."""
    return int(subprocess.run(["du", "-s", what, str(folder)], capture_output=True, text=True, check=True).stdout.split()[0])
