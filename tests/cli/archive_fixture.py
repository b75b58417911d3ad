"""An archive as the processes leave it: a promotion of credit-scoring, decided, by the real functions; and `signoff` run over it."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from world import CARLA, NAME, SPEC, World

from signoff.archive import layout
from signoff.archive.write import create_or_same
from signoff.cli.program import answer
from signoff.desk.freezing import Frozen
from signoff.operator.commit import commit
from signoff.record.canonical import dumps
from signoff.record.freeze import Principal
from signoff.record.promotion import PROMOTION_TYPE, REJECTION_TYPE, as_json
from signoff.record.trust import Trust
from signoff.record.values import Digest, sha256
from signoff.verify.reader import Reader
from signoff.verify.verifier import Verified


@dataclass(frozen=True)
class Ran:
    """What a run of the command line came to."""

    code: int
    out: str
    err: str

    @property
    def json(self) -> Any:
        return json.loads(self.out)


class Site:
    """An archive, its active trust file, and the command line over both."""

    def __init__(self, world: World, capfd: pytest.CaptureFixture[str]) -> None:
        self.world = world
        self.capfd = capfd
        self.url = world.folder.as_uri()
        trust = dumps(as_json(world.trust))
        self.trust: Digest = sha256(trust)
        create_or_same(world.store, layout.statement("trust", self.trust), trust)

    def trusting(self, trust: Trust) -> None:
        """From here on this is the active trust file."""
        self.world.trust, self.world.reader = trust, Reader(self.world.store, trust)
        data = dumps(as_json(trust))
        self.trust = sha256(data)
        create_or_same(self.world.store, layout.statement("trust", self.trust), data)

    def frozen(self, change: Callable[[dict[str, Any]], None] = lambda _: None, name: str = NAME, **others: Any) -> Frozen:
        spec = json.loads(json.dumps(SPEC))
        change(spec)
        return self.world.freeze(spec, name=name, **others)

    def decided(self, frozen: Frozen, *people: Principal, verdict: str = "Approve") -> Verified:
        sealed = [self.world.seal(frozen.payload, frozen.freeze, by, verdict) for by in people or (CARLA,)]
        for one in sealed:
            self.world.archive_seal(one)
        kind = PROMOTION_TYPE if verdict == "Approve" else REJECTION_TYPE
        return commit(self.world.reader, self.world.event_key, frozen.freeze, kind, sealed, datetime.now(UTC))

    def promoted(self) -> Verified:
        return self.decided(self.frozen())

    def run(self, *arguments: str | Path, archive: bool = True) -> Ran:
        given = [str(one) for one in arguments]
        if archive:
            given += ["--archive", self.url, "--trust", self.trust]
        self.capfd.readouterr()
        code = answer(given, "signoff")
        out, err = self.capfd.readouterr()
        return Ran(code, out, err)

    def object_at(self, key: str) -> Path:
        return self.world.folder / key

    def overwrite(self, key: str, data: bytes) -> None:
        """Do what no writer of ours can: change an object that is there."""
        path = self.object_at(key)
        path.chmod(0o644)
        path.write_bytes(data)


def manifest(tmp_path: Path, value: Mapping[str, Any], name: str = "workload.yaml") -> Path:
    path = tmp_path / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(value), encoding="utf-8")
    return path
