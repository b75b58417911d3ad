from __future__ import annotations

import base64
import copy
import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml
from archive_fixture import Ran, Site
from world import NAME, SPEC

from signoff.cli import check_files
from signoff.record.bundle import pae
from signoff.record.check import CHECK_TYPE, open_check
from signoff.record.keys import PemSigner, generate_pem, verifies
from signoff.record.request import read_spec
from signoff.record.values import sha256

sys.path.insert(0, str(Path(__file__).parent.parent / "checks"))
from populations import example

TIME = "2026-03-02T10:00:00Z"
INCUMBENT = {"version": "2.3.2", "digest": sha256(b"incumbent")}


class Desk:
    """A folder with the example's files, a promotion that names them, and a key."""

    def __init__(self, site: Site, folder: Path) -> None:
        self.site = site
        self.folder = folder
        for name, data in example().items():
            (folder / name).write_bytes(data)
        self.spec: dict[str, Any] = copy.deepcopy(SPEC)
        self.spec["model"]["incumbent"] = INCUMBENT
        self.spec["comparison"]["incumbent"] = {**INCUMBENT, "metrics": [{"name": "auc", "value": "0.72"}]}
        self.dataset("reference")["digest"] = sha256(example()["reference.csv"])
        self.key = generate_pem()
        (folder / "check.key").write_bytes(self.key)
        self.write()

    def dataset(self, role: str) -> dict[str, Any]:
        return next(one for one in self.spec["datasets"] if one["role"] == role)

    def write(self, kind: str = "ModelPromotion", version: str = "signoff.dev/v1alpha1") -> None:
        manifest = {"apiVersion": version, "kind": kind, "metadata": {"name": NAME, "namespace": "credit"}, "spec": self.spec}
        (self.folder / "promotion.yaml").write_text(yaml.safe_dump(manifest), encoding="utf-8")

    def path(self, name: str) -> Path:
        return self.folder / name

    def run(self, *more: str | Path, without: tuple[str, ...] = (), **changed: str | Path) -> Ran:
        given: dict[str, str | Path] = {
            "promotion": self.path("promotion.yaml"),
            "candidate": self.path("candidate.csv"),
            "incumbent": self.path("incumbent.csv"),
            "reference": self.path("reference.csv"),
            "key": self.path("check.key"),
            "out": self.path("check.sigstore.json"),
            "report": self.path("report.html"),
            "time": TIME,
            **changed,
        }
        options = [part for name, value in given.items() if name not in without for part in (f"--{name}", value)]
        return self.site.run("check-model", *options, *more, archive=False)

    def left(self) -> set[str]:
        return {path.name for path in self.folder.iterdir()}


@pytest.fixture
def desk(site: Site, tmp_path: Path) -> Desk:
    folder = tmp_path / "refresh"
    folder.mkdir()
    return Desk(site, folder)


def test_a_refresh_is_checked_and_signed(desk: Desk) -> None:
    ran = desk.run("--segment", "region")
    assert (ran.code, ran.err) == (0, "")
    data, page = desk.path("check.sigstore.json").read_bytes(), desk.path("report.html").read_bytes()
    bundle, check = open_check(data)
    signer = PemSigner(desk.key)
    assert bundle.key_id == signer.key_id
    assert verifies(signer.public_pem, bundle.signature, pae(bundle.payload))
    assert json.loads(bundle.payload)["predicateType"] == CHECK_TYPE
    assert (check.candidate.version, check.candidate.digest) == ("2.4.0", read_spec(desk.spec).model.digest)
    assert check.incumbent is not None
    assert check.incumbent.model_dump() == INCUMBENT
    assert [one.role for one in check.datasets] == ["evaluation", "reference"]
    assert (check.report.mediaType, check.report.size, check.report.digest) == ("text/html", len(page), sha256(page))
    assert check.time == TIME
    assert check.tool.startswith("signoff check-model ")
    assert "scikit-learn" in check.tool
    assert {one.name for one in check.measured} >= {"auc", "auc.change", "psi.max", "auc in region=west", "segments.auc.change.worst"}


def test_what_is_printed_says_where_and_how_to_go_on(desk: Desk) -> None:
    out = desk.run().out
    assert "credit-scoring 2.4.0 beside 2.3.2" in out
    for name in ("check.sigstore.json", "report.html"):
        assert sha256(desk.path(name).read_bytes()) in out
    assert PemSigner(desk.key).key_id in out
    assert f"kubectl create configmap {NAME}-check -n credit" in out
    addition = yaml.safe_load(out[out.index("    spec:") :])
    bundle = base64.b64encode(desk.path("check.sigstore.json").read_bytes()).decode()
    addition["spec"]["checks"][0]["bundle"] = bundle
    assert read_spec({**desk.spec, **addition["spec"]}).checks is not None


def test_the_report_names_what_was_compared(desk: Desk) -> None:
    desk.run()
    page = desk.path("report.html").read_text(encoding="utf-8")
    for file in ("candidate.csv", "incumbent.csv", "reference.csv"):
        assert sha256(example()[file]) in page
    for one in (read_spec(desk.spec).model.digest, INCUMBENT["digest"], desk.dataset("evaluation")["digest"]):
        assert one in page
    assert str(desk.folder) not in page


def test_the_same_files_at_the_same_time_say_the_same(desk: Desk) -> None:
    desk.run("--segment", "region")
    desk.run("--segment", "region", out=desk.path("again.json"), report=desk.path("again.html"))
    assert desk.path("again.html").read_bytes() == desk.path("report.html").read_bytes()
    first, again = (open_check(desk.path(name).read_bytes())[0].payload for name in ("check.sigstore.json", "again.json"))
    assert first == again


def test_for_machines(desk: Desk) -> None:
    told = desk.run("-o", "json").json
    assert told["check"]["digest"] == sha256(desk.path("check.sigstore.json").read_bytes())
    assert told["check"]["key"] == PemSigner(desk.key).key_id
    assert told["measured"]["rows"] == "1500"
    assert told["leftOut"] == {}


def test_a_first_version_has_no_incumbent(desk: Desk) -> None:
    del desk.spec["model"]["incumbent"], desk.spec["comparison"]["incumbent"]
    desk.write()
    assert desk.run(without=("incumbent",)).code == 0
    _, check = open_check(desk.path("check.sigstore.json").read_bytes())
    assert check.incumbent is None
    assert "auc.change" not in {one.name for one in check.measured}


def test_without_a_time_it_is_now(desk: Desk) -> None:
    assert desk.run(without=("time",)).code == 0
    assert open_check(desk.path("check.sigstore.json").read_bytes())[1].time > TIME


def test_columns_may_bear_other_names(desk: Desk) -> None:
    for name in ("candidate.csv", "incumbent.csv"):
        data = example()[name].replace(b"id,label,score,", b"case,default,pd,", 1)
        desk.path(name).write_bytes(data)
    usual = desk.run("--id", "case", "--label", "default", "--score", "pd", "-o", "json").json["measured"]
    assert usual["auc"] == "0.745039"


def test_a_second_reference_is_not_claimed(desk: Desk) -> None:
    desk.spec["datasets"].append({"name": "older", "version": "1", "digest": sha256(b"older"), "role": "reference"})
    desk.write()
    assert desk.run().code == 0
    assert "older" not in {one.name for one in open_check(desk.path("check.sigstore.json").read_bytes())[1].datasets}


def _spec(desk: Desk, change: Callable[[Desk], object]) -> dict[str, Any]:
    change(desk)
    desk.write()
    return {}


def _put(desk: Desk, name: str, data: bytes) -> dict[str, Any]:
    desk.path(name).write_bytes(data)
    return {}


def _no_reference(desk: Desk) -> None:
    desk.spec["datasets"] = [one for one in desk.spec["datasets"] if one["role"] != "reference"]


def _many_datasets(desk: Desk) -> None:
    desk.spec["datasets"] += [{"name": f"d{one}", "version": "1", "digest": sha256(b"%d" % one), "role": "evaluation"} for one in range(16)]


BAD: dict[str, tuple[Callable[[Desk], dict[str, Any]], str]] = {
    "no such file": (lambda d: {"candidate": d.path("nothing.csv")}, "nothing.csv: cannot be read: No such file or directory; correct"),
    "a folder": (lambda d: {"reference": d.folder}, "cannot be read: Is a directory"),
    "an empty file": (lambda d: _put(d, "candidate.csv", b""), "candidate.csv: is empty"),
    "binary": (lambda d: _put(d, "incumbent.csv", bytes(range(256))), "incumbent.csv: is no text"),
    "other cases": (lambda d: {"incumbent": d.path("drifted-incumbent.csv")}, "incumbent.csv: 1,500 cases of"),
    "no such segment": (lambda _: {"segment": "branch"}, "has no column 'branch'"),
    "another reference": (
        lambda d: _spec(d, lambda d: d.dataset("reference").update(digest=sha256(b"x"))),
        "and the promotion's reference is",
    ),
    "no reference": (lambda d: _spec(d, _no_reference), "spec.datasets: names no dataset of role reference; add one for"),
    "too many datasets": (lambda d: _spec(d, _many_datasets), "check.datasets: Tuple should have at most 16 items"),
    "another kind": (lambda d: d.write("PromotionPolicy") or {}, "holds 0 documents of kind ModelPromotion, and one is wanted"),
    "another group": (lambda d: d.write(version="example.dev/v1") or {}, "holds 0 documents of kind ModelPromotion"),
    "not filled in": (lambda d: _spec(d, lambda d: d.spec.update(reason="FILL-IN: why")), "spec.reason: still says"),
    "no YAML": (lambda d: _put(d, "promotion.yaml", b"{"), "promotion.yaml: not YAML"),
    "no incumbent given": (lambda _: {"without": ("incumbent",)}, "--incumbent: is missing, and"),
    "no incumbent named": (
        lambda d: _spec(d, lambda d: (d.spec["model"].pop("incumbent"), d.spec["comparison"].pop("incumbent"))),
        "--incumbent: is given, and",
    ),
    "no key": (lambda d: _put(d, "check.key", b"key"), "check.key: no private key in PEM"),
    "no key there": (lambda d: {"key": d.path("other.key")}, "other.key: the key cannot be read"),
    "an address of no key": (lambda _: {"key": "awskms:///"}, "awskms:///"),
    "a check that is there": (lambda d: _put(d, "check.sigstore.json", b"mine"), "check.sigstore.json: is there already"),
    "a report that is there": (lambda d: _put(d, "report.html", b"mine"), "report.html: is there already, and nothing is overwritten"),
    "one file for both": (lambda d: {"report": d.path("check.sigstore.json")}, "is named for two files"),
    "no such folder": (lambda d: {"out": d.path("nowhere") / "c.json"}, "nowhere: there is no such folder"),
    "no time": (lambda _: {"time": "yesterday"}, "--time: a time is written 2026-01-31T12:00:00Z"),
}


@pytest.mark.parametrize("case", BAD)
def test_what_is_wrong_is_one_line_and_nothing_is_written(desk: Desk, case: str) -> None:
    prepare, told = BAD[case]
    changed = prepare(desk)
    before = {path.name: path.read_bytes() for path in desk.folder.iterdir()}
    ran = desk.run(**changed)
    assert (ran.code, ran.out) == (2, "")
    assert ran.err.startswith("error: ")
    assert ran.err.count("\n") == 1
    assert told in ran.err
    assert {path.name: path.read_bytes() for path in desk.folder.iterdir()} == before


def test_a_dangling_link_is_there_already(desk: Desk) -> None:
    desk.path("report.html").symlink_to(desk.path("elsewhere"))
    assert "is there already" in desk.run().err
    assert "elsewhere" not in desk.left()


def test_a_check_that_is_too_large_is_refused(desk: Desk) -> None:
    head, *rows = example()["candidate.csv"].decode().splitlines()
    names = [f"{'a-rather-long-name-' * 5}{one:05}"[-100:] for one in range(170)]
    for name in ("candidate.csv", "reference.csv"):
        head, *rows = example()[name].decode().splitlines()
        wide = [",".join([head, *names]), *(row + ",1" * len(names) for row in rows)]
        desk.path(name).write_text("\n".join(wide) + "\n", encoding="utf-8")
    desk.dataset("reference")["digest"] = sha256(desk.path("reference.csv").read_bytes())
    desk.write()
    before = desk.left()
    ran = desk.run()
    assert (ran.code, ran.out) == (2, "")
    assert "are more than the 32768 allowed for a check" in ran.err
    assert desk.left() == before


def test_what_appears_meanwhile_is_not_overwritten(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    link = Path.hardlink_to

    def late(self: Path, target: Path) -> None:
        if self.name == "report.html":
            self.write_bytes(b"somebody else's")
        link(self, target)

    monkeypatch.setattr(Path, "hardlink_to", late)
    before = desk.left()
    ran = desk.run()
    assert (ran.code, ran.out) == (2, "")
    assert "report.html: is there already" in ran.err
    assert desk.path("report.html").read_bytes() == b"somebody else's"
    assert desk.left() == before | {"report.html"}


def test_a_full_disk_leaves_nothing(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(_: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(check_files.os, "fsync", full)
    before = desk.left()
    assert "cannot be written: No space left on device" in desk.run().err
    assert desk.left() == before


def _without(module: str, *arguments: str) -> subprocess.CompletedProcess[str]:
    script = (
        f"import sys; sys.modules[{module!r}] = None; from signoff.cli.program import answer;"
        f"sys.exit(answer(['check-model', *{list(arguments)!r}], 'signoff'))"
    )
    return subprocess.run([sys.executable, "-c", script], check=False, capture_output=True, text=True, env=os.environ)


@pytest.mark.parametrize("module", ["pandas", "sklearn", "matplotlib"])
def test_without_the_extra_it_says_what_to_install(module: str) -> None:
    options = [part for name in ("promotion", "candidate", "reference", "key", "out", "report") for part in (f"--{name}", "x")]
    ran = _without(module, *options)
    assert (ran.returncode, ran.stdout) == (2, "")
    assert ran.stderr.startswith(f"error: signoff check-model: needs {module}")
    assert ran.stderr.endswith("; pip install 'signoff[check]'\n")
    assert _without(module, "--help").returncode == 0


def test_no_other_command_imports_what_measures() -> None:
    script = (
        "import sys, importlib; from signoff.cli.program import COMMANDS\n"
        "for name in COMMANDS: importlib.import_module('signoff.cli.' + name.replace('-', '_'))\n"
        "print(sorted({'pandas', 'sklearn', 'scipy', 'matplotlib', 'numpy', 'signoff.checks'} & set(sys.modules)))"
    )
    ran = subprocess.run([sys.executable, "-c", script], check=True, capture_output=True, text=True)
    assert ran.stdout == "[]\n"


def test_each_example_of_the_help_can_be_copied(site: Site) -> None:
    examples = site.run("check-model", "--help", archive=False).out.partition("Examples:")[2]
    assert [line.strip().partition(" --")[0] for line in examples.splitlines() if "signoff" in line] == ["signoff check-model"] * 2
    assert examples.count(" \\\n") == 2
