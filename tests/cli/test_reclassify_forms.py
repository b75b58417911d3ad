"""`signoff reclassify`, written out: hostile words, many processes, many events, Pods that run."""

from __future__ import annotations

import csv
import io
import json
import os
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from archive_fixture import Ran, Site, manifest
from story import MODEL, Story
from world import POLICY, person

from bench.archive import Archive, fill, initialise
from signoff.cli import audit_hands, reclassify
from signoff.cli.replay_forms import cell
from signoff.errors import SignoffError
from signoff.record.freeze import Principal
from signoff.record.values import sha256

STRICT = {**POLICY, "rules": [{"name": "always", "tier": "tier-1"}], "tiers": {"tier-1": POLICY["tiers"]["tier-2"]}}
MARKUP = '<img src=x onerror="alert(1)">'
FORMULA = '=HYPERLINK("http://x","y")'


@pytest.fixture
def story(site: Site) -> Story:
    return Story(site)


def run(site: Site, tmp_path: Path, *flags: str, name: str = "strict", policy: dict[str, Any] = STRICT) -> Ran:
    value = {"kind": "PromotionPolicy", "metadata": {"name": name}, "spec": policy}
    return site.run("reclassify", "--policy", manifest(tmp_path, value, "strict.yaml"), *flags)


def named(name: str) -> Principal:
    return Principal(issuer="https://login.bank.example", subject="mallory", name=name)


def challenged(spec: dict[str, Any], name: str) -> None:
    spec["comparison"]["challengers"][0]["name"] = name


def test_a_page_holds_no_markup_but_its_own(site: Site, story: Story, tmp_path: Path) -> None:
    verified = story.decided(3, story.asked(2, last=lambda spec: challenged(spec, MARKUP)), named(f"{MARKUP}1"))
    story.revoked(4, verified, reason=f"{MARKUP}2")
    told = run(site, tmp_path, "-o", "html", name=f"{MARKUP}3")
    assert told.code == 1
    assert told.out.startswith("<!doctype html>")
    assert "<img" not in told.out
    for number in ("", "1", "2", "3"):
        assert f"&lt;img src=x onerror=&#34;alert(1)&#34;&gt;{number}" in told.out, number
    assert "<script" not in told.out
    assert "default-src &#39;none&#39;; style-src &#39;unsafe-inline&#39;" in told.out
    assert not re.search(r"(src|href|url)\s*[=(]", told.out.replace("src=x onerror", ""))
    assert "<td>tier-1<span" in told.out
    assert "revoked by carla@bank.example" in told.out


CELLS = {
    "=1+1": "'=1+1",
    "+1": "'+1",
    "-1": "'-1",
    "@SUM(A1)": "'@SUM(A1)",
    "\tx": "'\tx",
    "\nx": "'\nx",
    "＝1": "'＝1",
    "a=1": "a=1",
    "": "",
    "\x1b[2J": "[U+001B][2J",
}


@pytest.mark.parametrize("text", CELLS)
def test_no_cell_is_a_formula_or_acts_on_a_terminal(text: str) -> None:
    assert cell(text) == CELLS[text]


def test_a_table_holds_every_promotion_and_no_formula(site: Site, story: Story, tmp_path: Path) -> None:
    story.decided(3, story.asked(2, last=lambda spec: challenged(spec, FORMULA)), named(FORMULA))
    story.decided(4, story.asked(3, model={"name": "credit-other", "version": "1"}))
    told = run(site, tmp_path, "-o", "csv", name="=now")
    header, *found = csv.reader(io.StringIO(told.out))
    assert len(found) == 2
    assert all(len(row) == len(header) for row in found)
    table = [dict(zip(header, row, strict=True)) for row in found]
    assert [row["model"] for row in table] == ["credit-other", MODEL]
    assert table[1]["approved by"].startswith(f"'{FORMULA} at 2026-03-03T11:59:00Z")
    assert table[1]["now policy"] == "'=now"
    assert not [text for row in found for text in row if text.startswith(("=", "+", "-", "@"))]


def test_what_is_told_is_the_same_for_any_number_of_processes(
    site: Site, story: Story, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(audit_hands, "FEW", 1)
    monkeypatch.setattr(audit_hands, "AHEAD", 1)
    monkeypatch.setattr(audit_hands, "AT_ONCE", 2)
    for number in range(2, 8):
        story.decided(number + 1, story.asked(number, model={"name": f"credit-{number}"}), verdict="Approve" if number % 3 else "Reject")
    site.world.store.create("events/" + "0" * 64 + ".sigstore.json", b"{}")
    for form in ("text", "json", "csv", "html"):
        by_one, by_three = (re.sub(r"At [^,]+,|\"at\": \"[^\"]+\"", "", run(site, tmp_path, "-o", form, "--jobs", one).out) for one in "13")
        assert by_one == by_three, form
        assert "rule 1 (form)" in by_one


class Pods:
    """What a cluster answers, by namespace; None: it refuses."""

    def __init__(self, answers: dict[str, list[tuple[str, str]] | None]) -> None:
        self.answers = answers

    def pods(self, namespace: str) -> Iterator[tuple[str, frozenset[str]]]:
        answer = self.answers[namespace]
        if answer is None:
            raise SignoffError("the API server answered 403 Forbidden", where=f"pods of {namespace}")
        for name, digest in answer:
            yield name, frozenset({digest})


WIDER = {**STRICT, "models": [{"names": ["*"], "namespaces": ["*"]}]}


def test_what_runs_of_what_is_due_is_told(site: Site, story: Story, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    due = story.decided(3, story.asked(2))
    revoked = story.decided(5, story.asked(4, live=due, model={"version": "2.5.0", "digest": sha256(b"2.5.0")}))
    story.revoked(6, revoked)
    image, artifact = due.freeze.request.spec.model.digest, due.freeze.request.spec.model.artifacts[0].digest  # type: ignore[index]
    pods = [("b", image), ("a", artifact), ("of the revoked one", sha256(b"2.5.0")), ("of another", sha256(b"x"))]
    monkeypatch.setattr(reclassify, "_cluster", lambda *_: Pods({"credit": pods}))
    told = run(site, tmp_path, "--running")
    assert told.code == 1
    assert "runs as credit/a, credit/b" in told.out
    assert "2 Pods of these" in told.out
    *each, summary = map(json.loads, run(site, tmp_path, "--running", "-o", "json").out.splitlines())
    assert {one["promotion"]["version"]: one["running"] for one in each} == {"2.4.0": ["credit/a", "credit/b"], "2.5.0": []}
    assert summary["running"] == {"pods": 2, "untold": []}
    assert '<span class="words">credit/a</span>' in run(site, tmp_path, "--running", "-o", "html").out
    assert '"credit/a, credit/b"' in run(site, tmp_path, "--running", "-o", "csv").out


def test_where_it_cannot_be_told_what_runs_that_is_told(site: Site, story: Story, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    wide = (site.world.publish("credit-models", {**POLICY, "models": WIDER["models"]}),)
    due = story.decided(3, story.asked(2, policies=wide, target={"namespaces": ["credit", "secret"]}))
    answers: dict[str, list[tuple[str, str]] | None] = {"credit": [("a", due.freeze.request.spec.model.digest)], "secret": None}
    monkeypatch.setattr(reclassify, "_cluster", lambda *_: Pods(answers))
    told = run(site, tmp_path, "--running", policy=WIDER)
    assert "what runs in namespace secret could not be told: pods of secret: the API server answered 403" in " ".join(told.out.split())
    assert "runs as credit/a" in told.out


def test_a_kubeconfig_that_leads_nowhere_is_told_before_the_archive_is_read(site: Site, tmp_path: Path) -> None:
    told = run(site, tmp_path, "--running", "--kubeconfig", "/nowhere")
    assert (told.code, told.out) == (2, "")
    assert told.err.startswith("error: --kubeconfig: no way to the API server")


def test_an_approver_who_decided_in_anothers_name_is_told_so(site: Site, story: Story, tmp_path: Path) -> None:
    frozen = story.asked(2)
    world = site.world
    given = world.grant(person("zoe"), person("david"))
    sealed = world.seal(frozen.payload, frozen.freeze, person("david"), change=lambda value: value["decided"].update(delegation=[given]))
    world.archive_seal(sealed)
    story.committed(3, frozen, [sealed])
    assert "david@bank.example in the name of zoe@bank.example at" in run(site, tmp_path).out


@pytest.fixture(scope="module")
def many(tmp_path_factory: pytest.TempPathFactory) -> dict[int, Archive]:
    """Archives of few and of many events, each of which would be stricter."""
    made: dict[int, Archive] = {}
    for events in (600, 2_400):
        folder = tmp_path_factory.mktemp(f"many-{events}")
        empty = initialise((folder / "archive").as_uri(), folder / "keys", f"many-{events}", "bench")
        made[events] = fill(empty, events, "small")
    return made


_MEASURED = """
import resource, sys
from signoff.cli.program import answer
code = answer(sys.argv[1:], "signoff")
sys.stdout.flush()
sys.stderr.write(f"PEAK {resource.getrusage(resource.RUSAGE_SELF).ru_maxrss}\\n")
sys.exit(code)
"""


def test_memory_does_not_grow_with_the_number_of_events(many: dict[int, Archive], tmp_path: Path) -> None:
    wide = manifest(tmp_path, {**WIDER, "rules": [{"name": "always", "tier": "tier-1"}]}, "strict.yaml")
    peaks: dict[int, int] = {}
    for events, archive in many.items():
        command = [sys.executable, "-c", _MEASURED, "reclassify", "--policy", str(wide), "--jobs", "1", "-o", "html"]
        done = subprocess.run(command, env=os.environ | archive.settings, capture_output=True, text=True, check=False)
        assert done.returncode == 1, done.stderr
        assert done.stdout.count(archive.label) >= events
        peaks[events] = int(done.stderr.rpartition("PEAK ")[2])
    few, most = peaks.values()
    assert most < few + 6 * 1024, f"{few} KiB of memory for 600 events, {most} KiB for 2,400"
