from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

import pytest
import yaml
from archive_fixture import Site

from signoff.record.canonical import b64encode
from signoff.record.keys import generate_pem
from signoff.watching import connection


def kubeconfig(folder: Path, server: str, **user: str) -> Path:
    value = {
        "apiVersion": "v1",
        "kind": "Config",
        "current-context": "c",
        "contexts": [{"name": "c", "context": {"cluster": "k", "user": "u"}}],
        "clusters": [{"name": "k", "cluster": {"server": server, "insecure-skip-tls-verify": True}}],
        "users": [{"name": "u", "user": user}],
    }
    path = folder / "kubeconfig"
    path.write_text(yaml.safe_dump(value), encoding="utf-8")
    return path


def test_kopf_gets_the_credentials_of_the_kubeconfig(tmp_path: Path) -> None:
    info = connection(str(kubeconfig(tmp_path, "https://127.0.0.1:1", token="secret")))
    assert (info.server, info.scheme, info.token, info.insecure) == ("https://127.0.0.1:1", "Bearer", "secret", True)
    info = connection(
        str(kubeconfig(tmp_path, "https://127.0.0.1:1", **{"client-certificate-data": b64encode(b"c"), "client-key-data": b64encode(b"k")}))
    )
    assert info.token is None
    assert Path(str(info.certificate_path)).read_bytes() == b"c"
    assert Path(str(info.private_key_path)).read_bytes() == b"k"


def config(site: Site, folder: Path, **changes: object) -> Path:
    pem = site.world.event_key._key.private_bytes  # the world's key, as its file would be
    from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

    (folder / "event.key").write_bytes(pem(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))
    value: dict[str, object] = {
        "cluster": "demo",
        "archive": site.url,
        "trust": site.trust,
        "eventKey": str(folder / "event.key"),
        "kubeconfig": str(kubeconfig(folder, f"https://127.0.0.1:{free_port()}", token="x")),
        **changes,
    }
    path = folder / "config.yaml"
    path.write_text(yaml.safe_dump(value), encoding="utf-8")
    return path


def free_port() -> int:
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        return int(one.getsockname()[1])


REFUSED = {
    "another archive": ({"archive": "file:///nowhere"}, "there is no such folder"),
    "another trust file": ({"trust": f"sha256:{'0' * 64}"}, "the archive holds no trust file"),
    "another cluster": ({"cluster": "other"}, "names it for event in cluster demo"),
    "no kubeconfig": ({"kubeconfig": "/nowhere"}, "no way to the API server"),
    "a slip of the pen": ({"eventkey": "x"}, "eventkey: this field is unknown"),
}


@pytest.mark.parametrize("case", REFUSED)
def test_it_does_not_start_on_a_wrong_configuration(site: Site, tmp_path: Path, case: str) -> None:
    changes, told = REFUSED[case]
    ran = site.run("run", "operator", "--config", config(site, tmp_path, **changes), archive=False)
    assert ran.code == 2
    (line,) = [line for line in ran.err.splitlines() if line.startswith("error: ")]
    assert told in line


def test_it_does_not_start_with_a_key_that_is_not_trusted(site: Site, tmp_path: Path) -> None:
    path = config(site, tmp_path)
    (tmp_path / "event.key").write_bytes(generate_pem())
    ran = site.run("run", "operator", "--config", path, archive=False)
    assert (ran.code, "the trust file does not name it" in ran.err) == (2, True)


def test_it_runs_without_an_api_server_until_it_is_told_to_stop(site: Site, tmp_path: Path) -> None:
    port = free_port()
    path = config(site, tmp_path, liveness={"host": "127.0.0.1", "port": port})
    command = [sys.executable, "-m", "signoff.cli", "run", "operator", "--config", str(path)]
    with subprocess.Popen(command, stderr=subprocess.PIPE, text=True, env={**os.environ, "PYTHONUNBUFFERED": "1"}) as process:
        try:
            assert process.stderr is not None
            first = process.stderr.readline()
            time.sleep(4)
            assert process.poll() is None
        finally:
            process.send_signal(signal.SIGTERM)
            try:
                _, rest = process.communicate(timeout=20)
            except subprocess.TimeoutExpired:
                process.kill()
                raise
    assert " INFO signoff: archive: file://" in first
    assert all(" kopf" not in line or " WARNING " in line or " ERROR " in line for line in rest.splitlines())
    assert process.returncode in {0, 2}
