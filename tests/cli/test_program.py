from __future__ import annotations

import os
import resource
import subprocess
import sys
import time
from pathlib import Path

import pytest
from archive_fixture import Site

from signoff.cli.program import COMMANDS

GROUPS = {
    "audit": ("cluster",),
    "policy": ("test", "explain", "agree"),
    "request": ("from-mlflow",),
    "run": ("operator", "webhook"),
    "trust": ("show", "add-key", "end-key", "compromise-key"),
}


@pytest.mark.parametrize(
    "arguments",
    [["--help"], *([name, "--help"] for name in COMMANDS), *([group, one, "-h"] for group, ones in GROUPS.items() for one in ones)],
)
def test_each_command_has_help_with_an_example(site: Site, arguments: list[str]) -> None:
    ran = site.run(*arguments, archive=False)
    assert (ran.code, ran.err) == (0, "")
    assert "Usage: signoff" in ran.out
    assert arguments in (["--help"], ["run", "--help"]) or "signoff" in ran.out.partition("Examples:")[2]


MISUSED = {
    "no such command": (["promote"], "error: signoff: no such command 'promote'"),
    "no such option": (["why", "x", "--frob"], "error: signoff why: no such option"),
    "no archive": (["why", "x"], "error: signoff why: missing option '--archive'"),
    "no argument": (["draft"], "error: signoff draft: missing argument 'IMAGE'"),
    "relative archive": (["why", "x", "--archive", "file:x", "--trust", "sha256:0"], "error: archive: "),
    "no folder": (
        ["verify", "--archive", "file:///nowhere/at/all", "--trust", "sha256:0"],
        "error: file:///nowhere/at/all: there is no such folder",
    ),
    "no trust": (["verify", "--archive", "file:///tmp"], "error: --trust: is missing"),
    "no config": (["run", "operator", "--config", "/nowhere.yaml"], "error: /nowhere.yaml: cannot be read"),
    "no webhook config": (["run", "webhook", "--config", "/nowhere.yaml"], "error: /nowhere.yaml: cannot be read"),
    "no kubeconfig": (
        ["approve", "x", "--archive", "file:///tmp", "--trust", "sha256:0", "--kubeconfig", "/nowhere"],
        "error: --kubeconfig: no way to the API server",
    ),
}


@pytest.mark.parametrize("case", MISUSED)
def test_a_slip_is_one_line_and_code_2(site: Site, case: str) -> None:
    arguments, begins = MISUSED[case]
    ran = site.run(*arguments, archive=False)
    assert ran.code == 2
    assert ran.out == ""
    assert ran.err.startswith(begins)
    assert ran.err.count("\n") == 1


def test_a_wrong_trust_digest_says_what_to_name(site: Site) -> None:
    ran = site.run("verify", "--archive", site.url, "--trust", f"sha256:{'0' * 64}", archive=False)
    assert (ran.code, ran.out) == (2, "")
    assert "the archive holds no trust file" in ran.err


def test_options_come_from_the_environment(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SIGNOFF_ARCHIVE", site.url)
    monkeypatch.setenv("SIGNOFF_TRUST", site.trust)
    assert site.run("verify", archive=False).code == 0


def test_help_answers_at_once() -> None:
    best = 9.0
    for _ in range(3):
        before = resource.getrusage(resource.RUSAGE_CHILDREN)
        subprocess.run([sys.executable, "-m", "signoff.cli", "--help"], check=True, capture_output=True)
        after = resource.getrusage(resource.RUSAGE_CHILDREN)
        best = min(best, after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime)
    assert best < 0.3, "seconds of a processor, not of a clock: others may be busy here"


def test_help_imports_no_heavy_library() -> None:
    script = (
        "import sys; from signoff.cli.program import answer; answer(['--help'], 'signoff');"
        "print(sorted({'kubernetes', 'kopf', 'fastapi', 'pydantic'} & set(sys.modules)))"
    )
    ran = subprocess.run([sys.executable, "-c", script], check=True, capture_output=True, text=True)
    assert ran.stdout.endswith("\n[]\n")


def test_the_plugin_of_kubectl_names_itself() -> None:
    script = "import sys; sys.argv = ['kubectl-signoff', '--help']; from signoff.cli import kubectl; kubectl()"
    ran = subprocess.run([sys.executable, "-c", script], check=True, capture_output=True, text=True)
    assert ran.stdout.startswith("Usage: kubectl signoff ")


def test_a_reader_that_goes_away_is_no_traceback(site: Site) -> None:
    verified = site.promoted()
    command = f"{sys.executable} -m signoff.cli why {verified.id} | true"
    environment = {**os.environ, "SIGNOFF_ARCHIVE": site.url, "SIGNOFF_TRUST": site.trust}
    ran = subprocess.run(["/bin/sh", "-c", command], check=False, capture_output=True, text=True, env=environment)
    assert "Traceback" not in ran.stderr


def test_no_colour_and_no_control_characters_in_a_pipe(site: Site) -> None:
    site.promoted()
    assert "\x1b" not in site.run("why", "credit-scoring").out
    assert "\x1b" not in site.run("why", "credit\x1b[2Jscoring").out


def test_logs_are_one_line_in_utc(tmp_path: Path) -> None:
    script = (
        "import logging; from signoff.cli.run import log_lines; log_lines();"
        "logging.getLogger('signoff.x').info('one\\ntwo'); logging.getLogger('kopf.y').info('noise');"
        'exec(\'try:\\n 1/0\\nexcept ZeroDivisionError:\\n logging.getLogger("kopf.y").exception("failed")\')'
    )
    ran = subprocess.run([sys.executable, "-c", script], check=True, capture_output=True, text=True, env={**os.environ, "TZ": "Asia/Tokyo"})
    lines = ran.stderr.splitlines()
    assert len(lines) == 2
    assert lines[0].endswith("Z INFO signoff.x: one | two")
    assert abs(time.time() - _moment(lines[0])) < 60
    assert "ZeroDivisionError" in lines[1]


def _moment(line: str) -> float:
    from datetime import datetime

    return datetime.fromisoformat(line.split(" ", maxsplit=1)[0]).timestamp()
