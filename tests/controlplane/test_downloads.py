"""Downloads: from a real HTTPS server with an authority of its own, at the paths and with the lists that the projects have."""

from __future__ import annotations

import gzip
import hashlib
import http.server
import io
import multiprocessing
import os
import shutil
import socket
import ssl
import tarfile
import threading
import time
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from controlplane import binaries, downloads
from controlplane.binaries import BINARIES, GoBinary, resolve_binary
from controlplane.downloads import Release, checksum_in
from controlplane.errors import BinaryUnavailableError
from controlplane.pki import Authority
from controlplane.ports import free_ports

if TYPE_CHECKING:
    from collections.abc import Iterator

needs_go = pytest.mark.skipif(shutil.which("go") is None, reason="builds a Go program: install Go")

CONTENT = b"#!/bin/sh\necho released\n" * 1000
DIGEST = hashlib.sha256(CONTENT).hexdigest()
OTHER = hashlib.sha256(b"other").hexdigest()


@dataclass
class Site:
    """A release site on loopback: what it serves by path, and what it was asked for."""

    url: str
    files: dict[str, bytes] = field(default_factory=dict)
    redirects: dict[str, str] = field(default_factory=dict)
    cut: set[str] = field(default_factory=set)
    slow: float = 0  # seconds before each answer
    asked: list[str] = field(default_factory=list)
    credentials: list[str] = field(default_factory=list)

    def offer(self, binary: GoBinary, content: bytes = CONTENT, digest: str | None = None) -> GoBinary:
        """Serve `content` where `binary`'s project would, here, with its digest in a list of the project's form."""
        assert binary.release is not None
        here = replace(binary, release=_moved(binary.release, self.url))
        release = here.released()
        assert release is not None
        digest = digest or hashlib.sha256(content).hexdigest()
        lists = {".sha256": digest, ".sha256sum": f"{digest}  {release.file}\n"}
        every = f"{OTHER}  {release.file}.sbom\n{digest}  {release.file}\n{OTHER}  unrelated\n"
        self.files[_path(release.url)] = content
        self.files[_path(release.checksums)] = lists.get(Path(release.checksums).suffix, every).encode()
        return here


@pytest.fixture
def site(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Site]:
    authority = Authority("release", tmp_path / "pki")
    certificate = authority.serving("site", ["127.0.0.1"])
    monkeypatch.setenv("SSL_CERT_FILE", str(authority.path))
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), _Handler)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate.certificate, certificate.key)
    server.socket = context.wrap_socket(server.socket, server_side=True)
    server.site = Site(f"https://127.0.0.1:{server.server_port}")  # type: ignore[attr-defined]
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05})
    thread.start()
    yield server.site  # type: ignore[attr-defined]
    server.shutdown()
    server.server_close()
    thread.join(5)


class _Handler(http.server.BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        site: Site = self.server.site  # type: ignore[attr-defined]
        site.asked.append(self.path)
        time.sleep(site.slow)
        site.credentials += [value for name, value in self.headers.items() if name.lower() == "authorization"]
        target, content = site.redirects.get(self.path), site.files.get(self.path)
        self.send_response(302 if target else 404 if content is None else 200)
        if target:
            self.send_header("Location", target)
        sent = content or b""
        self.send_header("Content-Length", str(len(sent)))
        self.end_headers()
        self.wfile.write(sent[: len(sent) // 2] if self.path in site.cut else sent)
        self.close_connection = True

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the server's own name
        """Stay silent: what was asked is in the site."""


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    user = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    monkeypatch.setenv("GOCACHE", os.environ.get("GOCACHE") or str(user / "go-build"))  # else Go compiles its library anew
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    for name in ("KUBEBUILDER_ASSETS", "SIGNOFF_BINARIES", *(f"{scheme}_PROXY" for scheme in ("HTTP", "HTTPS", "ALL", "NO"))):
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.lower(), raising=False)
    monkeypatch.setattr(downloads, "_unreachable", [])
    return tmp_path / "cache" / "signoff" / "controlplane"


@pytest.fixture
def hello(tmp_path: Path) -> GoBinary:
    """A small program that can be built as well, released in version 1.2.3 as a single file."""
    module = tmp_path / "hello"
    (module / "world").mkdir(parents=True)
    (module / "world" / "go.mod").write_text("module signoff.test/world\n")
    (module / "go.mod").write_text(
        "module signoff.test/hello\n\ngo 1.21\n\nrequire signoff.test/world v1.2.3\n\nreplace signoff.test/world => ./world\n"
    )
    (module / "main.go").write_text('package main\n\nfunc main() { println("hello") }\n')
    release = Release("https://signoff.test/v{version}/hello", "https://signoff.test/v{version}/SHA256SUMS")
    return GoBinary("hello", module, ".", "signoff.test/world", release=release)


@pytest.fixture
def without_go(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Whoever falls through to a build is told that there is no Go."""
    monkeypatch.setenv("PATH", str(tmp_path))


@pytest.mark.parametrize(
    ("name", "url", "checksums", "member"),
    [
        ("etcd", "https://github.com/etcd-io/etcd/releases/download/v3.7.3/etcd-v3.7.3-linux-amd64.tar.gz", "SHA256SUMS", "/etcd"),
        ("kube-apiserver", "https://dl.k8s.io/v1.37.2/bin/linux/amd64/kube-apiserver", "kube-apiserver.sha256", ""),
        ("kube-scheduler", "https://dl.k8s.io/v1.37.2/bin/linux/amd64/kube-scheduler", "kube-scheduler.sha256", ""),
        ("helm", "https://get.helm.sh/helm-v4.3.1-linux-amd64.tar.gz", "helm-v4.3.1-linux-amd64.tar.gz.sha256sum", "linux-amd64/helm"),
        ("cosign", "https://github.com/sigstore/cosign/releases/download/v3.1.3/cosign-linux-amd64", "cosign_checksums.txt", ""),
    ],
)
def test_addresses_carry_the_version_that_go_mod_pins(
    name: str, url: str, checksums: str, member: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(binaries, "_target", lambda: ("linux", "amd64"))
    release = BINARIES[name].released()
    assert release is not None
    assert (release.url, release.checksums) == (url, f"{url.rpartition('/')[0]}/{checksums}")
    assert release.member == (f"etcd-v3.7.3-linux-amd64{member}" if name == "etcd" else member)


@pytest.mark.parametrize("name", ["etcd", "kube-controller-manager", "helm", "cosign"])
def test_brings_the_binary_once_and_shows_it(
    name: str, site: Site, cache: Path, capsys: pytest.CaptureFixture[str], without_go: None
) -> None:
    member = BINARIES[name].released().member  # type: ignore[union-attr]
    binary = site.offer(BINARIES[name], _archive({member: CONTENT, "README.md": b"read me"}) if member else CONTENT)
    path = resolve_binary(binary)
    assert path.read_bytes() == CONTENT
    assert path.stat().st_mode & 0o777 == 0o755
    assert resolve_binary(binary) == path
    assert len(site.asked) == 2
    assert f"{name}: downloading {site.url}" in capsys.readouterr().err
    assert _kept(cache) == [path]


@pytest.mark.parametrize("sent", [CONTENT + b"#", CONTENT[:-1], b""], ids=["changed", "short", "empty"])
def test_a_wrong_checksum_stops_and_keeps_nothing(sent: bytes, site: Site, hello: GoBinary, cache: Path) -> None:
    binary = site.offer(hello, sent, DIGEST)
    with pytest.raises(BinaryUnavailableError) as raised:
        resolve_binary(binary)
    assert f"has SHA-256 {hashlib.sha256(sent).hexdigest()}, but {site.url}/v1.2.3/SHA256SUMS says {DIGEST}" in str(raised.value)
    assert _kept(cache) == []


def test_nothing_but_the_named_member_leaves_an_archive(site: Site, cache: Path, tmp_path: Path, without_go: None) -> None:
    evil = dict.fromkeys(("../evil", "../../../evil", f"{tmp_path}/evil", "evil", "other/helm"), b"evil")
    member = BINARIES["helm"].released().member  # type: ignore[union-attr]
    path = resolve_binary(site.offer(BINARIES["helm"], _archive({**evil, member: CONTENT})))
    assert path.read_bytes() == CONTENT
    assert _kept(cache) == [path]
    assert not list(tmp_path.rglob("evil"))


@pytest.mark.parametrize("name", ["../helm", "link", "none", "cut", "plain"])
def test_an_archive_without_a_plain_member_of_that_name_stops(name: str, site: Site, cache: Path) -> None:
    member = BINARIES["helm"].released().member  # type: ignore[union-attr]
    archives = {
        "../helm": (_archive({f"../{member}": CONTENT}), f"holds no {member}"),
        "link": (_archive({}, {member: "/bin/sh"}), f"{member} is not a regular file"),
        "none": (_archive({}), f"holds no {member}"),
        "cut": (_archive({member: os.urandom(5000)})[:-2000], "cannot be unpacked"),
        "plain": (CONTENT, "cannot be unpacked"),
    }
    content, words = archives[name]
    with pytest.raises(BinaryUnavailableError, match=words):
        resolve_binary(site.offer(BINARIES["helm"], content))
    assert _kept(cache) == []


@pytest.mark.parametrize("packed", [False, True], ids=["file", "unpacked"])
def test_more_bytes_than_any_binary_has_stop(packed: bool, site: Site, cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(downloads, "MAX_BYTES", len(CONTENT) - 1)
    binary, content = (BINARIES["helm"], gzip.compress(CONTENT)) if packed else (BINARIES["cosign"], CONTENT)
    with pytest.raises(BinaryUnavailableError, match="unpacks to more than 23999 bytes" if packed else "has more than 23999 bytes"):
        resolve_binary(site.offer(binary, content))
    assert _kept(cache) == []


@needs_go
@pytest.mark.parametrize("what", ["no file", "no list", "not in the list", "list too long", "breaks off", "leads to http"])
def test_what_is_not_offered_is_built(what: str, site: Site, hello: GoBinary, cache: Path, capsys: pytest.CaptureFixture[str]) -> None:
    binary, file, sums = site.offer(hello), "/v1.2.3/hello", "/v1.2.3/SHA256SUMS"
    if what.startswith("no "):
        del site.files[file if what == "no file" else sums]
    elif what == "not in the list":
        site.files[sums] = f"{DIGEST}  goodbye\n".encode()
    elif what == "list too long":
        site.files[sums] += b"\n" * downloads.MAX_LIST_BYTES
    elif what == "breaks off":
        site.cut.add(file)
    else:
        site.redirects[file] = f"http://127.0.0.1:{site.url.rpartition(':')[2]}{file}"
    words = {
        "no file": f"{site.url}{file} answers 404",
        "no list": f"{site.url}{sums} answers 404",
        "not in the list": "gives no SHA-256 of hello",
        "list too long": "is no list of checksums",
        "breaks off": "RemoteProtocolError",
        "leads to http": "nothing is fetched in the clear",
    }
    assert resolve_binary(binary) == binary.cached()
    said = [line for line in capsys.readouterr().err.splitlines() if "is built, not downloaded" in line]
    assert len(said) == 1
    assert words[what] in said[0]
    assert [path for path in _kept(cache) if path.suffix != ".log"] == [binary.cached()]


@needs_go
@pytest.mark.parametrize("what", ["refused", "silent", "untrusted"])
def test_out_of_reach_is_built_within_three_seconds_and_asked_once(
    what: str, site: Site, hello: GoBinary, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    binary = site.offer(hello)
    _build_alone(binary, monkeypatch)  # what follows takes hardly longer than the network does
    with socket.create_server(("127.0.0.1", 0)) as deaf:  # the kernel takes connections, and nobody says a word
        if what == "untrusted":
            monkeypatch.delenv("SSL_CERT_FILE")
            monkeypatch.delenv("SSL_CERT_DIR", raising=False)
        else:
            port = free_ports(1)[0] if what == "refused" else deaf.getsockname()[1]
            binary = replace(binary, release=_moved(binary.release, f"https://127.0.0.1:{port}"))
        began = time.monotonic()
        for name in ("first", "second", "third"):
            resolve_binary(replace(binary, name=name))
        assert time.monotonic() - began < 3 + 2
    said = [line for line in capsys.readouterr().err.splitlines() if "is built, not downloaded" in line]
    assert len(said) == 1
    assert said[0].startswith("first is built, not downloaded: ")
    assert site.asked == []


@needs_go
def test_a_forced_build_takes_nothing_downloaded(site: Site, hello: GoBinary, monkeypatch: pytest.MonkeyPatch) -> None:
    binary = site.offer(hello)
    downloaded = resolve_binary(binary)
    site.asked.clear()
    monkeypatch.setenv("SIGNOFF_BINARIES", "build")
    assert resolve_binary(binary) == binary.cached() != downloaded
    assert site.asked == []


def test_a_forced_download_never_builds(site: Site, hello: GoBinary, cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SIGNOFF_BINARIES", "download")
    binary = site.offer(hello)
    sums = site.files.pop("/v1.2.3/SHA256SUMS")
    for refused, words in ((binary, "hello cannot be downloaded"), (BINARIES["kwok"], "kwok: its project publishes no checksum")):
        with pytest.raises(BinaryUnavailableError, match=rf"{words}.*SIGNOFF_BINARIES=download forbids to build it: unset that, or set"):
            resolve_binary(refused)
    assert _kept(cache) == []
    site.files["/v1.2.3/SHA256SUMS"] = sums
    assert resolve_binary(binary).read_bytes() == CONTENT


def test_an_unknown_way_lists_the_known(hello: GoBinary, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SIGNOFF_BINARIES", "guess")
    with pytest.raises(BinaryUnavailableError, match="SIGNOFF_BINARIES is 'guess': set it to build or download"):
        resolve_binary(hello)


def test_two_at_once_download_once(site: Site, hello: GoBinary, without_go: None) -> None:
    binary = site.offer(hello)
    site.slow = 1.0
    with ProcessPoolExecutor(2, mp_context=multiprocessing.get_context("spawn")) as pool:
        paths = list(pool.map(resolve_binary, [binary, binary]))
    assert [path.read_bytes() for path in paths] == [CONTENT] * 2
    assert site.asked.count("/v1.2.3/hello") == 1


def test_follows_to_another_place_and_shows_nobody_a_netrc(
    site: Site, hello: GoBinary, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, without_go: None
) -> None:
    netrc = tmp_path / ".netrc"
    netrc.write_text("machine 127.0.0.1 login ana password secret\n")
    netrc.chmod(0o600)
    monkeypatch.setenv("NETRC", str(netrc))
    monkeypatch.setenv("HOME", str(tmp_path))
    binary = site.offer(hello)
    site.files["/assets/7"] = site.files.pop("/v1.2.3/hello")
    site.redirects["/v1.2.3/hello"] = f"{site.url}/assets/7"
    assert resolve_binary(binary).read_bytes() == CONTENT
    assert site.credentials == []


def test_goes_through_the_proxy_that_the_environment_names(site: Site, hello: GoBinary, monkeypatch: pytest.MonkeyPatch) -> None:
    binary = site.offer(hello)
    with socket.create_server(("127.0.0.1", 0)) as proxy:
        heard: list[bytes] = []
        thread = threading.Thread(target=_refuse, args=(proxy, heard))
        thread.start()
        monkeypatch.setenv("HTTPS_PROXY", f"http://127.0.0.1:{proxy.getsockname()[1]}")
        monkeypatch.setenv("SIGNOFF_BINARIES", "download")
        with pytest.raises(BinaryUnavailableError, match="ProxyError: 403"):
            resolve_binary(binary)
        thread.join(5)
    assert heard[0].startswith(f"CONNECT {site.url.removeprefix('https://')} ".encode())
    assert site.asked == []


@pytest.mark.parametrize(
    ("text", "digest"),
    [
        (DIGEST, DIGEST),
        (f"{DIGEST}\n", DIGEST),
        (f"{DIGEST.upper()} *hello\n", DIGEST),
        (f"{OTHER}  hello.sig\n{DIGEST}  hello\n", DIGEST),
        (f"{DIGEST}  hello\n{OTHER}  hello\n", None),
        (f"{DIGEST}\n{OTHER}\n", None),
        (f"{DIGEST[:-1]}  hello\n", None),
        (f"{DIGEST}  dist/hello\n", None),
        ("<html>hello</html>", None),
        ("", None),
    ],
)
def test_a_list_gives_one_checksum_or_none(text: str, digest: str | None) -> None:
    assert checksum_in(text, "hello") == digest


@pytest.mark.parametrize("sums", ["https://elsewhere.test/SHA256SUMS", "https://site.test:444/SHA256SUMS", "http://site.test/SHA256SUMS"])
def test_file_and_list_have_one_https_origin(sums: str) -> None:
    with pytest.raises(ValueError, match="give https addresses of one origin"):
        Release("http://site.test/hello" if sums.startswith("http:") else "https://site.test/hello", sums)


def _build_alone(binary: GoBinary, monkeypatch: pytest.MonkeyPatch) -> None:
    with monkeypatch.context() as alone:
        alone.setenv("SIGNOFF_BINARIES", "build")
        resolve_binary(binary)


def _refuse(proxy: socket.socket, heard: list[bytes]) -> None:
    proxy.settimeout(10)
    connection, _ = proxy.accept()
    with connection:
        heard.append(connection.recv(4096))
        connection.sendall(b"HTTP/1.1 403 Forbidden\r\nContent-Length: 0\r\n\r\n")


def _moved(release: Release | None, base: str) -> Release:
    """The same paths at another origin."""
    assert release is not None
    return replace(release, **{name: base + _path(getattr(release, name)) for name in ("url", "checksums")})


def _path(url: str) -> str:
    return "/" + url.split("/", 3)[3]


def _kept(cache: Path) -> list[Path]:
    """Every file in the cache but the lock."""
    return sorted(path for path in cache.rglob("*") if not path.is_dir() and path.name != "build.lock")


def _archive(files: dict[str, bytes], links: dict[str, str] | None = None) -> bytes:
    content = io.BytesIO()
    with tarfile.open(fileobj=content, mode="w:gz") as tar:
        for name, data in files.items():
            member = tarfile.TarInfo(name)
            member.size = len(data)
            tar.addfile(member, io.BytesIO(data))
        for name, target in (links or {}).items():
            member = tarfile.TarInfo(name)
            member.type, member.linkname = tarfile.SYMTYPE, target
            tar.addfile(member)
    return content.getvalue()
