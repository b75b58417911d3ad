from __future__ import annotations

import copy
import json
from pathlib import Path
from typing import Any

import pytest
import yaml
from archive_fixture import Ran, Site
from hypothesis import given
from hypothesis import strategies as st

from signoff.cli.manifest import as_yaml
from signoff.errors import SignoffError
from signoff.manifests import documents
from signoff.record.request import MAX_INLINE_EXPLANATION, read_spec
from signoff.record.values import sha256

DIGEST = sha256(b"an image")
IMAGE = f"registry.bank.example/models/credit-scoring:2.5.0@{DIGEST}"
DATASET = ["--dataset", "evaluation", "applications-2025h2", "2026-01-15", sha256(b"data")]
ALL = [
    "-n", "credit", "--environment", "production", "--target-cluster", "demo", "--author", "ana@bank.example",
    "--reason", "Ranks better:\nat a lower default rate.", "--metric", "auc=0.8127", "--metric", "gini=0.6254", *DATASET,
    "--artifact", f"model.onnx={sha256(b'onnx')}",
]  # fmt: skip


def drafted(ran: Ran) -> list[dict[str, Any]]:
    assert (ran.code, ran.err) == (0, "")
    return list(yaml.safe_load_all(ran.out))


@pytest.fixture
def report(tmp_path: Path) -> Path:
    path = tmp_path / "report.html"
    path.write_text("<h1>Report</h1>\n\n  <p>Ümlaut: #1</p>\n", encoding="utf-8")
    return path


def test_with_everything_given_admission_takes_it(site: Site, report: Path) -> None:
    (manifest,) = drafted(site.run("draft", IMAGE, *ALL, "--explanation", report, archive=False))
    spec = read_spec(manifest["spec"])
    assert manifest["metadata"] == {"name": "credit-scoring-2.5.0", "namespace": "credit"}
    assert (spec.model.name, spec.model.version, spec.model.digest) == ("credit-scoring", "2.5.0", DIGEST)
    assert spec.target.namespaces == ("credit",)
    assert spec.reason == "Ranks better:\nat a lower default rate."
    assert spec.explanation.source.inline == report.read_text(encoding="utf-8")
    assert "FILL-IN" not in json.dumps(manifest)


def test_every_place_to_fill_in_alone_is_refused_by_admission(site: Site, report: Path) -> None:
    (whole,) = drafted(site.run("draft", IMAGE, *ALL, "--explanation", report, archive=False))
    (empty,) = drafted(site.run("draft", IMAGE.replace(":2.5.0", ""), archive=False))
    places = list(_places(empty["spec"], ()))
    assert len(places) >= 14
    for place in places:
        spec = copy.deepcopy(whole["spec"])
        holder = spec
        for step in place[:-1]:
            holder = holder[step]
        holder[place[-1]] = "FILL-IN: x"
        if place[-2:] == ("source", "url"):
            del holder["inline"]
        with pytest.raises(SignoffError, match="FILL-IN: x"):
            read_spec(spec)


def _places(value: Any, path: tuple[Any, ...]) -> Any:
    if isinstance(value, str) and value.startswith("FILL-IN: "):
        yield path
    elif isinstance(value, dict | list):
        for key, item in value.items() if isinstance(value, dict) else enumerate(value):
            yield from _places(item, (*path, key))


REFUSED = {
    "tag": ("registry.bank.example/m:1", "crane digest registry.bank.example/m:1"),
    "no digest": ("registry.bank.example/m", "crane digest registry.bank.example/m`"),
    "no registry": (f"m@{DIGEST}", "names no registry"),
    "no reference": ("registry.bank.example/M@x", "IMAGE"),
    "sha512": (f"registry.bank.example/m@sha512:{'0' * 128}", "carries no sha256 digest"),
}


@pytest.mark.parametrize("case", REFUSED)
def test_an_image_without_a_digest_is_refused(site: Site, case: str) -> None:
    image, told = REFUSED[case]
    ran = site.run("draft", image, archive=False)
    assert (ran.code, ran.out) == (2, "")
    assert told in ran.err


TEXTS = {
    "windows": "a\r\nb\r\n",
    "leading blank": "\n\n a",
    "indented": "  a\nb",
    "tabs": "\ta\n\tb\n",
    "trailing lines": "a\nb\n\n\n",
    "no newline": "one line",
    "yaml inside": "- a: &b\n- *b\n# c\n--- \n...\n",
    "separators": "a\u2028b\u0085c\nd",
    "byte order mark": "\ufeff<p>\n</p>",
    "null": "null",
    "an emoji and windows": "\U0001f600\r\n",
}


@pytest.mark.parametrize("case", TEXTS)
def test_an_explanation_keeps_its_exact_bytes(site: Site, tmp_path: Path, case: str) -> None:
    path = tmp_path / "report.md"
    path.write_bytes(TEXTS[case].encode())
    (manifest,) = drafted(site.run("draft", IMAGE, *ALL, "--explanation", path, archive=False))
    explanation = manifest["spec"]["explanation"]
    assert explanation["source"]["inline"].encode() == path.read_bytes()
    assert (explanation["digest"], explanation["mediaType"]) == (sha256(path.read_bytes()), "text/markdown")


@pytest.mark.parametrize("size", [MAX_INLINE_EXPLANATION, MAX_INLINE_EXPLANATION + 1])
def test_a_long_explanation_goes_into_a_config_map(site: Site, tmp_path: Path, size: int) -> None:
    path = tmp_path / "the report.txt"
    path.write_text("line\n" * (size // 5) + "x" * (size % 5), encoding="utf-8")
    documents = drafted(site.run("draft", IMAGE, *ALL, "--explanation", path, archive=False))
    source = read_spec(documents[0]["spec"]).explanation.source
    if size <= MAX_INLINE_EXPLANATION:
        assert (len(documents), source.inline) == (1, path.read_text(encoding="utf-8"))
        return
    assert source.configMap is not None
    assert documents[1]["metadata"] == {"name": source.configMap.name, "namespace": "credit"}
    assert documents[1]["data"][source.configMap.key] == path.read_text(encoding="utf-8")


@pytest.mark.parametrize(("name", "data"), [("r.pdf", b"x"), ("r.html", b""), ("r.html", b"\xff\xfe"), ("r.txt", b"x" * (1 << 20) + b"y")])
def test_a_report_that_cannot_be_shown_is_refused(site: Site, tmp_path: Path, name: str, data: bytes) -> None:
    (tmp_path / name).write_bytes(data)
    ran = site.run("draft", IMAGE, "--explanation", tmp_path / name, archive=False)
    assert (ran.code, ran.out) == (2, "")


def test_an_index_must_hash_to_the_digest(site: Site, tmp_path: Path) -> None:
    index = json.dumps({"manifests": [{"digest": sha256(b"amd64"), "platform": {"os": "linux", "architecture": "amd64"}}]}).encode()
    (tmp_path / "index.json").write_bytes(index)
    image = f"registry.bank.example/models/credit-scoring@{sha256(index)}"
    (manifest,) = drafted(site.run("draft", image, "--index", tmp_path / "index.json", archive=False))
    assert "imageIndex" in manifest["spec"]["model"]
    ran = site.run("draft", IMAGE, "--index", tmp_path / "index.json", archive=False)
    assert (ran.code, ran.out) == (2, "")
    assert "imageIndex hashes to" in ran.err


def test_the_live_version_is_the_incumbent(site: Site, report: Path) -> None:
    live = site.promoted().freeze.request.spec.model
    ran = site.run("draft", IMAGE, *ALL, "--explanation", report, "--incumbent-metric", "auc=0.8049")
    (manifest,) = drafted(ran)
    spec = read_spec(manifest["spec"])
    assert spec.model.incumbent is not None
    assert (spec.model.incumbent.version, spec.model.incumbent.digest) == (live.version, live.digest)


def test_without_a_live_version_there_is_no_incumbent(site: Site, report: Path) -> None:
    (manifest,) = drafted(site.run("draft", IMAGE, *ALL, "--explanation", report))
    assert "incumbent" not in manifest["spec"]["model"]


def test_a_metric_is_name_and_value(site: Site) -> None:
    ran = site.run("draft", IMAGE, "--metric", "auc", archive=False)
    assert (ran.code, ran.err.startswith("error: --metric: 'auc' is not NAME=VALUE")) == (2, True)


@given(st.text(min_size=1))
def test_any_text_reads_back_the_same(text: str) -> None:
    written = as_yaml({"a": {"b": text}, "c": [{"d": text}, text]}, "head")
    assert list(documents(written.encode(), "")) == [{"a": {"b": text}, "c": [{"d": text}, text]}]
    assert "\\ud" not in written
