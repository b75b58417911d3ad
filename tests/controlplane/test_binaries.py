"""Where binaries come from: the assets folder, then the cache, then one build."""

from __future__ import annotations

import multiprocessing
import os
import shutil
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path

import pytest

from controlplane.binaries import BINARIES, GoBinary, resolve, resolve_binary
from controlplane.errors import BinaryUnavailableError

needs_go = pytest.mark.skipif(shutil.which("go") is None, reason="builds a Go program: install Go")


@pytest.fixture(autouse=True)
def own_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    user = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    monkeypatch.setenv("GOCACHE", os.environ.get("GOCACHE") or str(user / "go-build"))  # else Go compiles its library anew
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.delenv("KUBEBUILDER_ASSETS", raising=False)
    monkeypatch.setenv("SIGNOFF_BINARIES", "build")  # what a build needs is asked here, not what the internet offers
    return tmp_path / "cache" / "signoff" / "controlplane"


@pytest.fixture
def hello(tmp_path: Path) -> GoBinary:
    module = tmp_path / "hello"
    module.mkdir()
    (module / "go.mod").write_text("module signoff.test/hello\n\ngo 1.21\n")
    (module / "main.go").write_text('package main\n\nfunc main() { println("hello") }\n')
    return GoBinary("hello", module, ".")


@pytest.fixture
def builds(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A file with one line for each start of `go`, which takes a second longer than it would."""
    counted, folder = tmp_path / "builds", tmp_path / "path"
    folder.mkdir()
    go = folder / "go"
    go.write_text(f'#!/bin/sh\necho build >> {counted}\nsleep 1\nexec {shutil.which("go")} "$@"\n')
    go.chmod(0o755)
    monkeypatch.setenv("PATH", str(folder), prepend=":")
    return counted


def _put(path: Path) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("#!/bin/sh\n")
    path.chmod(0o755)
    return path


@pytest.mark.parametrize("name", ["etcd", "kube-apiserver", "kubectl", "helm"])
def test_assets_folder_goes_first(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    given = _put(tmp_path / "assets" / name)
    if name in BINARIES:
        _put(BINARIES[name].cached())
    monkeypatch.setenv("KUBEBUILDER_ASSETS", str(given.parent))
    assert resolve(name) == given


@pytest.mark.parametrize("name", ["etcd", "kube-apiserver"])
def test_assets_folder_without_an_envtest_binary_is_an_error(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    _put(BINARIES[name].cached())
    monkeypatch.setenv("KUBEBUILDER_ASSETS", str(tmp_path))
    with pytest.raises(BinaryUnavailableError, match=f"there is no {name}: name a folder"):
        resolve(name)


def test_what_the_assets_folder_does_not_bring_comes_from_the_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    cached = _put(BINARIES["helm"].cached())
    monkeypatch.setenv("KUBEBUILDER_ASSETS", str(tmp_path))
    assert resolve("helm") == cached


def test_kubectl_comes_from_its_package() -> None:
    assert resolve("kubectl").read_bytes().startswith(b"\x7fELF")


def test_a_cache_hit_needs_no_go(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    cached = _put(BINARIES["kwok"].cached())
    monkeypatch.setenv("PATH", str(tmp_path))
    assert resolve("kwok") == cached


def test_a_missing_go_says_what_to_install_and_what_to_set(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(BinaryUnavailableError) as raised:
        resolve("kube-scheduler")
    assert "install Go 1.26.0 or newer" in str(raised.value)
    assert "set KUBEBUILDER_ASSETS to a folder that holds etcd and kube-apiserver and kube-scheduler" in str(raised.value)


def test_an_unknown_name_lists_the_known() -> None:
    with pytest.raises(BinaryUnavailableError, match="no binary 'kubelet'; there are etcd, kube-apiserver"):
        resolve("kubelet")


@needs_go
def test_builds_once(hello: GoBinary, builds: Path) -> None:
    first, second = resolve_binary(hello), resolve_binary(hello)
    assert first == second == hello.cached()
    assert first.read_bytes().startswith(b"\x7fELF")
    assert builds.read_text().splitlines() == ["build"]


@needs_go
def test_two_at_once_build_once(hello: GoBinary, builds: Path) -> None:
    with ProcessPoolExecutor(2, mp_context=multiprocessing.get_context("spawn")) as pool:
        paths = list(pool.map(resolve_binary, [hello, hello]))
    assert paths == [hello.cached()] * 2
    assert builds.read_text().splitlines() == ["build"]


@needs_go
def test_a_failed_build_tells_the_compilers_words_and_leaves_nothing(hello: GoBinary, own_cache: Path) -> None:
    (hello.module / "main.go").write_text("package main\n\nfunc main() { undefined() }\n")
    with pytest.raises(BinaryUnavailableError, match="undefined: undefined"):
        resolve_binary(hello)
    assert [path.name for path in hello.cached().parent.iterdir()] == ["hello.log"]


@pytest.mark.parametrize("pin", ["go.mod", "go.sum"])
def test_a_changed_pin_is_another_key(pin: str, hello: GoBinary) -> None:
    before = hello.key()
    with (hello.module / pin).open("a") as file:
        file.write("\n")
    assert hello.key() != before


def test_changed_flags_are_another_key(hello: GoBinary) -> None:
    stamped = GoBinary("hello", hello.module, ".", "signoff.test/world", (("main.version", "v{version}"),))
    with (hello.module / "go.mod").open("a") as file:
        file.write("\nrequire signoff.test/world v1.2.3\n")
    assert stamped.ldflags() == "-s -w -X main.version=v1.2.3"
    assert stamped.key() != GoBinary("hello", hello.module, ".").key()


@pytest.mark.parametrize("name", [name for name in BINARIES if name.startswith("kube")])
def test_kubernetes_binaries_say_their_pinned_version(name: str) -> None:
    flags = BINARIES[name].ldflags()
    assert "version.gitVersion=v1.37.2 " in flags
    assert "version.gitMajor=1 " in flags
    assert flags.endswith("version.gitMinor=37")
