"""cosign, which knows nothing of us, verifies signature and subject of an event with the public key alone."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from base64 import b64decode, b64encode
from collections.abc import Callable
from pathlib import Path

import pytest
from vectors import GOLDEN, bundle, golden
from world import World

from controlplane.binaries import resolve
from signoff.archive import layout
from signoff.record.canonical import dumps
from signoff.record.promotion import PROMOTION_TYPE, REJECTION_TYPE, as_json
from signoff.record.values import sha256

pytestmark = pytest.mark.cosign

Verify = Callable[..., subprocess.CompletedProcess[str]]


@pytest.fixture(scope="session")
def cosign() -> Path:
    return resolve("cosign")


@pytest.fixture
def verify(cosign: Path, tmp_path: Path) -> Verify:
    for name in ("event.pub", "seal.pub", "promotion.sigstore.json", "rejection.sigstore.json"):
        shutil.copy(GOLDEN / name, tmp_path / name)
    (tmp_path / "request.json").write_bytes(golden("freeze.json"))

    def run(*, key: str = "event.pub", event: str = "promotion", kind: str = PROMOTION_TYPE) -> subprocess.CompletedProcess[str]:
        command = [
            str(cosign), "verify-blob-attestation", "--key", key, "--bundle", f"{event}.sigstore.json", "--type", kind,
            "--insecure-ignore-tlog=true", "request.json",
        ]  # fmt: skip
        return subprocess.run(command, cwd=tmp_path, env={"HOME": str(tmp_path)}, capture_output=True, text=True, timeout=60, check=False)

    return run


@pytest.mark.parametrize(("event", "kind"), [("promotion", PROMOTION_TYPE), ("rejection", REJECTION_TYPE)])
def test_an_event_over_its_request_verifies(verify: Verify, event: str, kind: str) -> None:
    ran = verify(event=event, kind=kind)
    assert ran.returncode == 0, ran.stderr
    assert "Verified OK" in ran.stderr


def test_an_event_that_was_made_just_now_verifies(verify: Verify, world: World, tmp_path: Path) -> None:
    frozen = world.freeze()
    event = world.bundle(frozen.payload, [world.seal(frozen.payload, frozen.freeze)])
    (tmp_path / "now.sigstore.json").write_bytes(event)
    (tmp_path / "now.pub").write_text(world.event_key.public_pem)
    (tmp_path / "request.json").write_bytes(frozen.payload)
    ran = verify(event="now", key="now.pub")
    assert ran.returncode == 0, ran.stderr


def test_an_altered_request_is_refused(verify: Verify, tmp_path: Path) -> None:
    (tmp_path / "request.json").write_bytes(golden("freeze.json").replace(b"0.8127", b"0.9127"))
    ran = verify()
    assert ran.returncode != 0
    assert "do not match digests in statement" in ran.stderr


def test_another_key_is_refused(verify: Verify) -> None:
    ran = verify(key="seal.pub")
    assert ran.returncode != 0
    assert "could not verify envelope" in ran.stderr


def test_bypass_07_another_predicate_type_is_refused(verify: Verify) -> None:
    for event, kind in (("promotion", REJECTION_TYPE), ("rejection", PROMOTION_TYPE)):
        ran = verify(event=event, kind=kind)
        assert ran.returncode != 0
        assert "invalid predicate type" in ran.stderr


@pytest.mark.parametrize("part", ["payload", "signature"])
@pytest.mark.parametrize("place", [0.1, 0.5, 0.9])
def test_an_altered_byte_of_the_bundle_is_refused(verify: Verify, tmp_path: Path, part: str, place: float) -> None:
    value = json.loads(bundle("promotion"))
    holder, name = (value["dsseEnvelope"], "payload") if part == "payload" else (value["dsseEnvelope"]["signatures"][0], "sig")
    data = bytearray(b64decode(holder[name]))
    data[int(len(data) * place)] ^= 1
    holder[name] = b64encode(bytes(data)).decode()
    (tmp_path / "promotion.sigstore.json").write_bytes(dumps(value))
    ran = verify()
    assert ran.returncode != 0
    assert "Verified OK" not in ran.stderr


def documented() -> str:
    text = (Path(__file__).parents[2] / "docs" / "record-format.md").read_text(encoding="utf-8")
    return text.partition("```bash\n")[2].partition("```")[0]


@pytest.mark.parametrize("altered", [False, True], ids=["as it is", "one byte of the desk altered"])
def test_the_documented_commands_verify_an_event_without_us(cosign: Path, world: World, tmp_path: Path, *, altered: bool) -> None:
    assert shutil.which("jq"), "jq is not installed: install it (Debian: apt-get install jq)"
    frozen = world.freeze()
    event = world.bundle(frozen.payload, [world.seal(frozen.payload, frozen.freeze)])
    trust = dumps(as_json(world.trust))
    world.store.create(layout.statement("trust", sha256(trust)), trust)
    world.store.create(layout.event(frozen.freeze.id), event)
    if altered:
        desk = world.folder / layout.blob(frozen.freeze.renditions[0].digest)
        desk.chmod(0o600)
        desk.write_bytes(desk.read_bytes().replace(b"2.4.0", b"2.4.1", 1))
    environment = {
        "HOME": str(tmp_path),
        "PATH": f"{cosign.parent}:{os.environ['PATH']}",
        "SIGNOFF_ARCHIVE": f"file://{world.folder}",
        "SIGNOFF_TRUST": sha256(trust),
        "ID": frozen.freeze.id,
        "IMAGE": frozen.freeze.request.spec.model.digest,
    }
    ran = subprocess.run(
        ["bash", "-c", documented()], cwd=tmp_path, env=environment, capture_output=True, text=True, timeout=120, check=False
    )
    assert (ran.returncode == 0) is not altered, ran.stdout + ran.stderr
    assert ran.stdout.endswith("verified\n") is not altered
