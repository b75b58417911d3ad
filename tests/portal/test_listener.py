"""The portal's listener: who only holds a connection is sent away, and a certificate that is not there is named."""

from __future__ import annotations

import contextlib
import socket
import ssl
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from urllib.parse import urlsplit

import pytest

import signoff.listening
from controlplane.oidc import Provider
from controlplane.pki import Authority
from controlplane.ports import LOOPBACK
from signoff.config import Listener, Tls
from signoff.errors import SignoffError
from signoff.portal.serve import listening
from tests.portal.house import House, served


@pytest.fixture
def open_house(tmp_path: Path, provider: Provider) -> Iterator[House]:
    with served(tmp_path, provider) as house:
        yield house


@pytest.mark.parametrize("begun", [b"", b"GET /sign", b"GET /sign-in HTTP/1.1\r\nHost: x\r\n"])
def test_a_head_that_does_not_come_is_not_waited_for(open_house: House, begun: bytes, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(signoff.listening, "HEAD_SECONDS", 0.5)
    trusting = ssl.create_default_context()
    trusting.check_hostname = False
    trusting.verify_mode = ssl.CERT_NONE
    began = time.monotonic()
    with (
        socket.create_connection((LOOPBACK, urlsplit(open_house.home).port or 0), timeout=8) as plain,
        trusting.wrap_socket(plain) as secured,
    ):
        secured.sendall(begun)
        with contextlib.suppress(ConnectionError):
            assert secured.recv(1024) == b""
    assert time.monotonic() - began < 6


def test_a_certificate_that_is_not_there_is_named(tmp_path: Path) -> None:
    serving = Authority("portal", tmp_path).serving("portal", [LOOPBACK])
    with pytest.raises(SignoffError, match="no such file"):
        listening(None, Listener(port=8443), Tls(certificate=str(serving.certificate), key=str(tmp_path / "none.key")))


def test_a_key_of_another_certificate_is_refused(tmp_path: Path) -> None:
    ours, other = (Authority(name, tmp_path / name).serving(name, [LOOPBACK]) for name in ("ours", "other"))
    with pytest.raises(SignoffError, match="TLS cannot be set up"):
        listening(None, Listener(port=8443), Tls(certificate=str(ours.certificate), key=str(other.key)))


def subject_of(house: House) -> bytes:
    """The certificate that a new connection is shown."""
    trusting = ssl.create_default_context()
    trusting.check_hostname = False
    trusting.verify_mode = ssl.CERT_NONE
    with (
        socket.create_connection((LOOPBACK, urlsplit(house.home).port or 0), timeout=8) as plain,
        trusting.wrap_socket(plain) as secured,
    ):
        return secured.getpeercert(binary_form=True) or b""


def until(holds: Callable[[], object]) -> None:
    deadline = time.monotonic() + 20
    while not holds():
        assert time.monotonic() < deadline
        time.sleep(0.1)


def test_a_certificate_that_was_renewed_is_served_without_a_restart(
    tmp_path: Path, provider: Provider, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """As the kubelet renews a mounted Secret: a link to another folder, put in place of the one before."""
    monkeypatch.setattr(signoff.listening, "LOOKS_EVERY", 0.1)
    first, second = (Authority(name, tmp_path / name).serving("portal", [LOOPBACK]) for name in ("first", "second"))
    mounted = tmp_path / "tls"
    for name, serving in (("1", first), ("2", second), ("torn", first)):
        (tmp_path / name).mkdir()
        (tmp_path / name / "tls.crt").write_bytes(serving.certificate.read_bytes())
        (tmp_path / name / "tls.key").write_bytes((second if name == "torn" else serving).key.read_bytes())

    def mount(name: str) -> None:
        link = tmp_path / "data"
        link.unlink(missing_ok=True)
        link.symlink_to(tmp_path / name)
        link.replace(mounted)

    mount("1")
    with served(tmp_path / "house", provider, Tls(certificate=str(mounted / "tls.crt"), key=str(mounted / "tls.key"))) as house:
        before = subject_of(house)
        mount("torn")
        until(lambda: "cannot be taken, the one before goes on" in caplog.text)
        assert subject_of(house) == before, "halves that do not go together are never served"
        mount("2")
        until(lambda: subject_of(house) == ssl.PEM_cert_to_DER_cert(second.certificate.read_text()))
        (mounted / "tls.key").unlink()
        assert subject_of(house) != before
