"""The processes' configuration: what the documentation shows parses, and a slip of the pen is an error that names its field."""

from __future__ import annotations

import re
import textwrap
from collections.abc import Callable, Iterator
from copy import deepcopy
from pathlib import Path
from typing import Any

import pytest
import yaml

from signoff.config import EngineConfig, GateSettings, OperatorConfig, PortalConfig, WebhookConfig, read_config
from signoff.errors import SignoffError

ROOT = Path(__file__).parent.parent
DIGEST = "sha256:" + "0" * 64
Config = dict[str, Any]

WEBHOOK: Config = {
    "cluster": "demo",
    "archive": "file:///var/lib/signoff/archive",
    "trust": DIGEST,
    "sealKey": "/etc/signoff/keys/seal.key",
    "issuers": [{"issuer": "https://login.bank.example", "credential": "X509SHA256", "kind": "person"}],
    "tls": {"certificate": "/etc/signoff/tls/tls.crt", "key": "/etc/signoff/tls/tls.key"},
    "gateListener": {"port": 9443},
    "door": {"port": 8443, "clientCa": "/etc/signoff/client-ca/ca.crt", "clientNames": ["kube-apiserver"]},
    "passkeyOrigins": ["https://signoff.bank.example", "https://signoff.bank.example:8443"],
    "gate": {"exemptions": [{"repository": "registry.bank.example/mesh/proxy", "reason": "no model", "until": "2027-06-30"}]},
}
OPERATOR: Config = {
    "cluster": "demo",
    "archive": "file:///var/lib/signoff/archive",
    "trust": DIGEST,
    "eventKey": "/etc/signoff/keys/event.key",
    "explanations": {
        "sources": [{"prefix": "https://reports.bank.example/", "addresses": ["10.20.0.0/16"]}],
        "clusterAddresses": ["10.96.0.0/12"],
    },
    "liveness": {"port": 8080},
    "audit": {
        "everyMinutes": 15,
        "reports": False,
        "exemptions": [{"repository": "registry.bank.example/mesh/proxy", "reason": "no model", "until": "2027-06-30"}],
    },
}
ENGINE: Config = {"cluster": "demo", "archive": "file:///var/lib/signoff/archive", "trust": DIGEST, "liveness": {"port": 8080}}
PORTAL: Config = {
    "cluster": "demo",
    "archive": "file:///var/lib/signoff/archive",
    "trust": DIGEST,
    "url": "https://signoff.bank.example",
    "listener": {"port": 8443},
    "tls": {"certificate": "/etc/signoff/tls/tls.crt", "key": "/etc/signoff/tls/tls.key"},
    "provider": {"issuer": "https://login.bank.example", "clientId": "signoff", "clientSecret": "/etc/signoff/client/secret"},
}
MODELS = {
    "webhook": (WebhookConfig, WEBHOOK),
    "operator": (OperatorConfig, OPERATOR),
    "engine": (EngineConfig, ENGINE),
    "portal": (PortalConfig, PORTAL),
}

Read = Callable[[str, object], Any]


@pytest.fixture
def read(tmp_path: Path) -> Read:
    def read(process: str, config: object) -> Any:
        path = tmp_path / f"{process}.yaml"
        path.write_bytes(config if isinstance(config, bytes) else yaml.safe_dump(config).encode())
        return read_config(MODELS[process][0], path)

    return read


def test_what_is_not_said_is_the_strict_or_the_usual(read: Read) -> None:
    webhook = read("webhook", WEBHOOK)
    assert (webhook.replicas, webhook.kubeconfig, webhook.gateListener.port) == (1, None, 9443)
    operator = read("operator", {key: value for key, value in OPERATOR.items() if key not in {"explanations", "liveness", "audit"}})
    assert operator.audit is None, "nobody gave it the rights"
    usual = read("operator", OPERATOR | {"audit": {}}).audit
    assert (usual.everyMinutes, usual.reports, usual.exemptions) == (60, True, ())
    assert (operator.explanations.sources, operator.explanations.ca, operator.liveness) == ((), None, None)
    assert (operator.resyncSeconds, operator.explanations.timeoutSeconds) == (30, 10)


def test_a_webhook_may_gate_alone_but_not_have_half_a_door(read: Read) -> None:
    door = {"door", "sealKey", "issuers"}
    assert read("webhook", {key: value for key, value in WEBHOOK.items() if key not in door}).door is None
    for missing in door:
        with pytest.raises(SignoffError, match="door, sealKey and issuers go together"):
            read("webhook", {key: value for key, value in WEBHOOK.items() if key != missing})


def objects(value: Any, at: tuple[str | int, ...] = ()) -> Iterator[tuple[str | int, ...]]:
    """The path of every object in a configuration."""
    if isinstance(value, dict):
        yield at
    for key, inner in value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ():
        yield from objects(inner, (*at, key))


def changed(config: Config, path: tuple[str | int, ...], value: Any) -> Config:
    result = deepcopy(config)
    holder: Any = result
    for step in path[:-1]:
        holder = holder[step]
    holder[path[-1]] = value
    return result


PLACES = [(process, path) for process, (_, config) in MODELS.items() for path in objects(config)]


@pytest.mark.parametrize(("process", "path"), PLACES, ids=lambda part: ".".join(map(str, part)) if isinstance(part, tuple) else part)
def test_an_unknown_field_is_an_error_wherever_it_stands(read: Read, process: str, path: tuple[str | int, ...]) -> None:
    with pytest.raises(SignoffError, match="surprise: this field is unknown"):
        read(process, changed(MODELS[process][1], (*path, "surprise"), True))


REQUIRED = [("webhook", key) for key in ("cluster", "archive", "trust", "tls", "gateListener")]
REQUIRED += [("operator", key) for key in ("cluster", "archive", "trust", "eventKey")]


@pytest.mark.parametrize(("process", "field"), REQUIRED)
def test_a_missing_field_is_named(read: Read, process: str, field: str) -> None:
    config = MODELS[process][1]
    with pytest.raises(SignoffError, match=f"{field}: this field is missing"):
        read(process, {key: value for key, value in config.items() if key != field})


A = ("audit", "exemptions", 0)
E, S = ("explanations",), ("explanations", "sources", 0)
X = ("gate", "exemptions", 0)
WRONG: list[tuple[str, tuple[str | int, ...], list[Any]]] = [
    ("webhook", ("cluster",), ["", "Demo", "demo.example", "-demo", 1, None, True, "d" * 64, "demo\n"]),
    ("webhook", ("archive",), ["", None, 1, "file:///a\nb"]),
    ("webhook", ("trust",), ["", "sha256:abc", "0" * 64, "sha256:" + "A" * 64, "latest", f"{DIGEST}\n"]),
    ("webhook", ("replicas",), [0, -1, 101, "1", 1.5, True]),
    ("webhook", ("gateListener", "port"), [-1, 65536, "8443", 8443.5, None]),
    ("webhook", ("door", "clientCa"), ["", None]),
    ("webhook", ("tls",), ["/etc/tls", None, []]),
    ("webhook", ("issuers",), [[], None, {}, "any"]),
    ("webhook", ("passkeyOrigins",), [None, {}, "https://signoff.bank.example"]),
    ("webhook", ("passkeyOrigins", 0), ["", "http://signoff.bank.example", "https://signoff.bank.example/", "https://Signoff", "*", None]),
    ("webhook", ("issuers", 0, "credential"), ["x509", "", "jti", None]),
    ("webhook", ("issuers", 0, "kind"), ["Person", "group", None]),
    ("webhook", ("issuers", 0, "issuer"), ["", None, "a\u202eb"]),
    (
        "webhook",
        (*X, "repository"),
        ["", "*", "**", "/**", "*.bank.example/x", "a.example/*/proxy", "a.example/x:tag", f"a.example/x@{DIGEST}"],
    ),
    ("webhook", (*X, "repository"), ["proxy", "registry.bank.example", "registry.bank.example/x*"]),
    ("webhook", (*X, "reason"), ["", None]),
    ("webhook", (*X, "until"), ["never", "2027-13-01", "30.06.2027", 2027, None, ""]),
    ("operator", ("eventKey",), ["", None]),
    ("operator", ("audit",), [True, 60, [], "hourly"]),
    ("operator", ("audit", "everyMinutes"), [0, 1441, "60", 0.5, True, None]),
    ("operator", ("audit", "reports"), ["yes", 1, None]),
    ("operator", (*A, "repository"), ["*", "proxy", "registry.bank.example/x*", f"a.example/x@{DIGEST}"]),
    ("operator", ("resyncSeconds",), [0, 3601, "30", 0.5, True]),
    (
        "operator",
        (*S, "prefix"),
        ["", "http://a.example/", "https://", "https:///", "https://a.example", "a.example/", "https://a.example/\n"],
    ),
    (
        "operator",
        (*S, "prefix"),
        ["https://A.example/", "https://b@a.example/", "https://*/", "https://a.example/b", "https://a.example/ä/"],
    ),
    ("operator", (*S, "addresses"), [["10.0.0.1/8"], ["10.0.0.0/33"], ["all"], [""], [1], "10.0.0.0/8", None]),
    ("operator", (*E, "clusterAddresses"), [["10.0.0.1/8"], ["cluster"], [""], "10.0.0.0/8", None]),
    ("operator", (*E, "maxBytes"), [0, 10 * 1024 * 1024 + 1, "1"]),
    ("operator", (*E, "timeoutSeconds"), [0, 61, 1.5]),
    ("operator", ("liveness", "port"), [None, 70_000]),
]
EACH = [(process, path, value) for process, path, values in WRONG for value in values]


@pytest.mark.parametrize(("process", "path", "value"), EACH, ids=[f"{'.'.join(map(str, path))}={value!r}"[:80] for _, path, value in EACH])
def test_a_wrong_value_is_named_with_its_field(read: Read, process: str, path: tuple[str | int, ...], value: Any) -> None:
    with pytest.raises(SignoffError) as refused:
        read(process, changed(MODELS[process][1], path, value))
    said = str(refused.value)
    assert str(path[-1]) in said or str(path[-2]) in said
    assert said.partition(": ")[0].startswith("/"), "the file's path comes first"
    assert "\n" not in said


FILES = {
    "empty": b"",
    "a list": b"- cluster: demo",
    "two documents": b"cluster: demo\n---\ncluster: demo",
    "not YAML": b"cluster: [",
    "not UTF-8": b"cluster: \xff",
    "a key twice": yaml.safe_dump(OPERATOR).encode() + b"cluster: other\n",
    "a tag": b"cluster: !!python/name:os.system x",
    "an integer that no JSON holds": b"resyncSeconds: 99999999999999999999",
    "infinite": b"resyncSeconds: .inf",
}


@pytest.mark.parametrize("name", FILES)
def test_what_is_no_configuration_is_told(read: Read, name: str) -> None:
    with pytest.raises(SignoffError) as refused:
        read("operator", FILES[name])
    assert "\n" not in str(refused.value)


def test_a_file_that_cannot_be_read_is_named(tmp_path: Path) -> None:
    for path in (tmp_path / "absent.yaml", tmp_path):
        with pytest.raises(SignoffError, match="cannot be read") as refused:
            read_config(OperatorConfig, path)
        assert refused.value.where == str(path)


def test_exemptions_alone_are_a_file_too(tmp_path: Path) -> None:
    (tmp_path / "gate.yaml").write_text(yaml.safe_dump(WEBHOOK["gate"]))
    [exemption] = read_config(GateSettings, tmp_path / "gate.yaml").exemptions
    assert (exemption.repository, exemption.until.isoformat()) == ("registry.bank.example/mesh/proxy", "2027-06-30")


def blocks() -> Iterator[tuple[str, Any]]:
    """Every YAML block of the documentation, with the file it stands in."""
    for path in (*sorted(ROOT.glob("*.md")), *sorted(ROOT.glob("docs/**/*.md")), *sorted(ROOT.glob("examples/**/*.md"))):
        for block in re.findall(r"^ *```yaml\n(.*?)^ *```", path.read_text(encoding="utf-8"), re.MULTILINE | re.DOTALL):
            for document in yaml.safe_load_all(textwrap.dedent(block)):
                yield path.name, document


def configurations(value: Any) -> Iterator[Config]:
    """The processes' configurations in a value, by the keys that only they have."""
    if isinstance(value, dict) and {"archive", "trust"} <= value.keys():
        yield {**value, "trust": value["trust"].replace("…", "0" * 64)}
    for inner in value.values() if isinstance(value, dict) else value if isinstance(value, list) else ():
        yield from configurations(inner)


SHOWN = [(name, config) for name, document in blocks() for config in configurations(document)]


@pytest.mark.parametrize(("name", "config"), SHOWN, ids=[f"{name}-{number}" for number, (name, _) in enumerate(SHOWN)])
def test_what_the_documentation_shows_is_read(read: Read, name: str, config: Config) -> None:
    assert read(process_of(config), config).cluster == config["cluster"], name


def process_of(config: Config) -> str:
    if "provider" in config:
        return "portal"
    return "operator" if "eventKey" in config else "webhook" if "tls" in config else "engine"


def test_the_documentation_shows_each_process() -> None:
    assert {process_of(config) for _, config in SHOWN} == {"operator", "webhook", "engine", "portal"}
