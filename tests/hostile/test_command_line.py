"""Command lines and files as nobody should write them: an exit code and one line, never a traceback, and never a process that starts."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from signoff.cli.program import COMMANDS, answer
from signoff.config import OperatorConfig, WebhookConfig, read_config
from signoff.errors import SignoffError
from signoff.gate.reference import parse_repository_pattern
from signoff.policy.schema import read_policy
from signoff.record.bundle import open_bundle, read_bundle
from signoff.record.freeze import read_freeze
from signoff.record.request import read_spec
from signoff.record.trust import read_trust

FUZZ = settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow])
FLAGS = "--archive --trust --cluster -n --namespace --kubeconfig --context -o json --bundle --trust-file --keys --config --help webhook"
FILES = [
    "file:///nowhere",
    "file://relative",
    "s3://",
    "s3://b/p?region=x&region=y",
    "http://x",
    "sha256:" + "0" * 64,
    "0" * 64,
    "/dev/null",
    "junk",
]
JUNK = ["", " ", "\x1b[2J", "\u202e", "\udcff", "../..", "-1", "9" * 400, "x" * 5000, "%s%n", "a@sha256:" + "0" * 64]
WORDS = st.sampled_from([*FLAGS.split(), *FILES, *JUNK]) | st.text(st.characters(exclude_characters="\x00", codec="utf-8"), max_size=8)


@pytest.fixture(autouse=True)
def _nowhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "junk").write_bytes(b"junk: [1")
    for name in ("SIGNOFF_ARCHIVE", "SIGNOFF_TRUST", "SIGNOFF_CLUSTER"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("KUBECONFIG", str(tmp_path / "none"))


def refusal(read: Callable[[], object]) -> SignoffError | None:
    """What is said, or None where it was read; any other exception is a defect."""
    try:
        read()
    except SignoffError as error:
        return error
    return None


# `init` makes keys and folders wherever it is told to; what it refuses has tests of its own.
@pytest.mark.parametrize("command", [name for name in COMMANDS if name != "init"])
@FUZZ
@given(words=st.lists(WORDS, max_size=6))
def test_any_arguments_end_in_an_exit_code_and_words(command: str, words: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    assert answer([command, *words], "signoff") in {0, 1, 2}
    told = capsys.readouterr()
    assert "Traceback" not in told.err
    assert "\x1b" not in told.err + told.out


@FUZZ
@given(words=st.lists(WORDS, max_size=4))
def test_any_words_end_in_an_exit_code(words: list[str]) -> None:
    assert answer([word for word in words if word != "init"], "signoff") in {0, 1, 2}


YAML = st.sampled_from(
    [
        "cluster: demo\n",
        "archive: file:///x\n",
        "trust: sha256:" + "0" * 64 + "\n",
        "tls: {certificate: a, key: b}\n",
        "door: null\n",
        "gateListener: {port: 99999}\n",
        "replicas: 1e9\n",
        "replicas: .inf\n",
        "pendingPerNamespace: -1\n",
        "pendingPerNamespace: 0x7fffffff\n",
        "issuers: []\n",
        "gate: {exemptions: [{repository: '**'}]}\n",
        "a: &a [*a]\n",
        "? [1]\n: 2\n",
        "---\n",
        "<<: {cluster: x}\n",
        "eventKey: k\n",
    ]
)


@FUZZ
@given(data=st.lists(YAML, max_size=8).map(lambda parts: "".join(parts).encode()) | st.binary(max_size=100))
@pytest.mark.parametrize("model", [WebhookConfig, OperatorConfig])
def test_any_configuration_is_read_or_refused_in_words(model: type[WebhookConfig], data: bytes) -> None:
    path = Path("config.yaml")
    path.write_bytes(data)
    refused = refusal(lambda: read_config(model, path))
    assert refused is None or "\n" not in str(refused)


READERS: dict[str, Callable[[bytes], object]] = {
    "trust file": read_trust,
    "bundle": lambda data: read_bundle(data, "bundle"),
    "bundle, by the verifier": lambda data: open_bundle(data, "bundle"),
    "freeze": lambda data: read_freeze(data, "freeze"),
}
GOLDEN = Path(__file__).parent.parent / "record/golden"
SEEDS = [(GOLDEN / name).read_bytes() for name in ("trust.json", "promotion.sigstore.json", "freeze.json", "promotion.statement.json")]


@st.composite
def mutated(draw: st.DrawFn) -> bytes:
    """A golden vector with bytes cut out and others put in, at one to three places."""
    data = draw(st.sampled_from(SEEDS))
    for _ in range(draw(st.integers(1, 3))):
        at = draw(st.integers(0, len(data)))
        put = draw(st.sampled_from([b"", b"null", b"1e999", b"{", b'"', b"\\ud800", b"\xff", b"-0", b'"a":1,"a":1,', b"[" * 40]))
        data = data[:at] + put + data[at + draw(st.integers(0, 30)) :]
    return data


@settings(FUZZ, max_examples=200)
@given(data=mutated() | st.binary(max_size=100))
@pytest.mark.parametrize("name", READERS)
def test_any_bytes_are_read_or_refused_in_words(name: str, data: bytes) -> None:
    refused = refusal(lambda: READERS[name](data))
    assert refused is None or refused.what


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5) | st.just("models"), inner, max_size=4),
    max_leaves=8,
)


@settings(FUZZ, max_examples=200)
@given(value=JSON)
def test_any_value_is_a_policy_and_a_spec_or_refused_in_words(value: object) -> None:
    for read in (read_policy, read_spec):
        with pytest.raises(SignoffError):
            read(value)  # type: ignore[arg-type]


@settings(FUZZ, max_examples=200)
@given(text=st.text(max_size=60))
def test_any_pattern_is_read_or_refused(text: str) -> None:
    refused = refusal(lambda: parse_repository_pattern(text))
    assert refused is None or refused.mend
