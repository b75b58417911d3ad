"""A registry that lies, or somebody between: a real server's answers, altered on the way."""

from __future__ import annotations

import gzip
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from asking import Asking
from relay import Answer, Relay
from shelf import image

VERSION, RUN, ALIAS, WHERE = "model-versions/get?", "runs/get?", "registered-models/alias", "get-download-uri"
LISTING, FILE, REPORT = "artifacts?path=", "/artifacts/MLmodel", "explanation.html"
Alter = Callable[[Answer], None]


def status(number: int) -> Alter:
    def alter(answer: Answer) -> None:
        answer.status, answer.body = number, b'{"error_code": "x", "message": "y"}' if number < 500 else b"<html>"

    return alter


def page_of(number: int) -> Alter:
    def alter(answer: Answer) -> None:
        answer.status, answer.body = number, b"You are not authenticated"

    return alter


def code(name: str) -> Alter:
    def alter(answer: Answer) -> None:
        answer.status, answer.json = 403, {"error_code": name, "message": "no"}

    return alter


def page(answer: Answer) -> None:
    answer.body = b"<html>log in here</html>"


def said(path: str, value: Any) -> Alter:
    """Say another value at a path of the JSON."""

    def alter(answer: Answer) -> None:
        whole = answer.json
        *steps, last = path.split(".")
        holder = whole
        for step in steps:
            holder = holder[int(step) if step.isdigit() else step]
        holder[int(last) if last.isdigit() else last] = value
        answer.json = whole

    return alter


def metric(name: str, value: Any = 0.5) -> Alter:
    return said("run.data.metrics", [{"key": name, "value": value, "timestamp": "1", "step": "0"}])


def listed(*paths: str, is_dir: bool = False, size: int = 1) -> Alter:
    return said("files", [{"path": path, "is_dir": is_dir, **({} if is_dir else {"file_size": size})} for path in paths])


def body(data: bytes, **headers: str) -> Alter:
    def alter(answer: Answer) -> None:
        answer.body = data
        answer.headers.update({name.replace("_", "-"): value for name, value in headers.items()})

    return alter


def endless(answer: Answer) -> None:
    answer.body, answer.repeated = bytes(64 * 1024), 10_000


def elsewhere(answer: Answer) -> None:
    answer.status, answer.body, answer.headers["Location"] = 302, b"", "{stranger}/x"


# Which request is answered otherwise, how, and what is said of it.
HOSTILE: dict[str, tuple[str, Alter, str]] = {
    "a page in place of JSON": (VERSION, page, "answers"),
    "no JSON of a run": (RUN, said("run.data.metrics", "x"), "gives no answer of MLflow's"),
    "an empty run": (RUN, said("run", {}), "it gives another"),
    "nobody is let in": (VERSION, page_of(401), "set MLFLOW_TRACKING_TOKEN, or MLFLOW_TRACKING_USERNAME"),
    "an error of its own": (VERSION, status(418), "answers x: y; see the server's log, and try again"),
    "one is not let in": (VERSION, code("PERMISSION_DENIED"), "does not let us in (PERMISSION_DENIED)"),
    "files are not for us": (LISTING, status(403), "does not let us in (403)"),
    "the server fails": (VERSION, status(500), "answers"),
    "the store fails": (FILE, status(500), "answers 500"),
    "a redirect": (VERSION, elsewhere, "answers"),
    "a redirect of a file": (FILE, elsewhere, "sends not the"),
    "another model": (VERSION, said("model_version.name", "fraud"), "asked for credit-scoring 3, it gives 'fraud' '3'"),
    "another version": (VERSION, said("model_version.version", "2"), "it gives 'credit-scoring' '2'"),
    "a version not ready": (VERSION, said("model_version.status", "PENDING_REGISTRATION"), "is not ready, but PENDING_REGISTRATION"),
    "another run": (RUN, said("run.info.run_id", "0" * 32), "it gives another"),
    "an alias of nothing": (ALIAS, said("model_version.version", "../1"), "the alias champion points to no version: '../1'"),
    "a metric that would act": (RUN, metric("auc\x1b[2J"), "its name holds U+001B"),
    "a metric that looks like another": (RUN, metric("\u0430uc"), "its name holds U+0430"),
    "a metric with a blank behind": (RUN, metric("auc "), "its name has spaces at an end, or two together"),
    "a metric without end": (RUN, metric("a" * 300), "its name has 300 characters, of at most 256"),
    "a metric without a name": (RUN, metric(""), "its name is empty"),
    "a metric that is text": (RUN, metric("auc", "0.5; rm"), "gives no answer of MLflow's"),
    "a metric that is infinite": (RUN, metric("auc", "Infinity"), "is infinite, and cannot be shown"),
    "a metric twice": (
        RUN,
        said("run.data.metrics", [{"key": "auc", "value": one, "timestamp": "1", "step": "0"} for one in (0.5, 0.9)]),
        "gives a metric twice",
    ),
    "an image by tag": (VERSION, said("model_version.tags.0.value", "registry.bank.example/m:latest"), "a tag can be moved"),
    "an image that would act": (VERSION, said("model_version.tags.0.value", "m\x1b[2J"), "the tag image of credit-scoring 3"),
    "an author that would act": (RUN, said("run.info.user_id", "ana\u202e"), "holds U+202E"),
    "an author of two lines": (VERSION, said("model_version.user_id", "ana\nspec: x"), "who registered the version holds U+000A"),
    "a dataset that would act": (RUN, said("run.inputs.dataset_inputs.0.dataset.name", "a\x07"), "logged dataset"),
    "files of this machine": (WHERE, said("artifact_uri", "file:///etc"), "artefacts at 'file:///etc' are not fetched"),
    "files of this machine by path": (WHERE, said("artifact_uri", "/etc"), "artefacts at '/etc' are not fetched"),
    "files of another server": (WHERE, said("artifact_uri", "{stranger}/api/2.0/mlflow-artifacts/artifacts/1"), "are not fetched"),
    "files of another proxy": (WHERE, said("artifact_uri", "mlflow-artifacts://{host}/1"), "lies with another server"),
    "files nowhere": (WHERE, said("artifact_uri", ""), "artefacts at '' are not fetched"),
    "reports of this machine": (RUN, said("run.info.artifact_uri", "file:///etc"), "artefacts at 'file:///etc' are not fetched"),
    "a path upwards": (LISTING, listed("../../../etc/passwd"), "answers"),
    "a path upwards in disguise": (LISTING, listed("%2e%2e"), "answers"),
    "a path from the root": (LISTING, listed("/etc/passwd"), "answers"),
    "a path that would act": (LISTING, listed("a\x1b[2J"), "is no relative path of plain names"),
    "a path that looks like another": (LISTING, listed("m\u043edel.pkl"), "holds U+043E"),
    "a path with a query": (LISTING, listed("a?b"), "is no relative path of plain names"),
    "a file deeper than its folder": (LISTING, listed("a/b"), "lists 'a/b' in a folder where it is not"),
    "a file twice": (LISTING, listed("a", "a"), "lists 'a' in a folder where it is not"),
    "folders without end": (LISTING, listed("a", is_dir=True), "more than 16 folders deep"),
    "no list": (LISTING, said("files", "x"), "gives no answer of MLflow's"),
    "a size that is none": (LISTING, said("files", [{"path": "a", "is_dir": False, "file_size": -1}]), "or of no size"),
    "no files": (LISTING, listed(), "has no files"),
    "a file larger than allowed": (LISTING, listed("MLmodel", size=1 << 40), "lists 1,099,511,627,776 bytes"),
    "more bytes than listed": (FILE, body(bytes(100_000)), "sends more than the"),
    "bytes without end": (FILE, endless, "sends more than the"),
    "fewer bytes than listed": (FILE, body(b"x"), "sends not the"),
    "a bomb of zeros": (FILE, body(gzip.compress(bytes(10_000_000)), Content_Encoding="gzip"), "sends more than the"),
    "a report longer than listed": (REPORT, body(bytes(100_000)), "sends more than the"),
    "a report that is no text": (REPORT, lambda answer: body(b"\xff" * len(answer.body))(answer), "not UTF-8 at byte 0"),
}


@pytest.fixture
def stranger(relay: Relay) -> Iterator[Relay]:
    other = Relay(relay.url)
    yield other
    other.close()


@pytest.fixture
def hostile(asking: Asking, relay: Relay, stranger: Relay, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Asking:
    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "0")
    monkeypatch.setenv("MLFLOW_TRACKING_TOKEN", "a-secret")
    (tmp_path / "temporary").mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "temporary"))
    asking.url = relay.url
    return asking


@pytest.mark.parametrize("case", HOSTILE)
def test_a_registry_that_lies_is_one_line_and_nothing_is_written(
    hostile: Asking, relay: Relay, stranger: Relay, tmp_path: Path, case: str
) -> None:
    which, alter, told = HOSTILE[case]

    def change(path: str, answer: Answer) -> None:
        if which in path:
            alter(answer)
            for name, value in (("{stranger}", stranger.url), ("{host}", stranger.url.partition("://")[2])):
                answer.body = answer.body.replace(name.encode(), value.encode())
                answer.headers = {key: one.replace(name, value) for key, one in answer.headers.items()}

    relay.change = change
    out = tmp_path / "promotion.yaml"
    ran = hostile.run(
        out=str(out),
        incumbent_alias="champion" if which == ALIAS else None,
        explanation_artifact="reports/explanation.html" if which in {REPORT, RUN} else None,
        artifact="MLmodel" if which == REPORT else None,
    )
    assert (ran.code, ran.out) == (2, "")
    assert ran.err.startswith("error: ")
    assert ran.err.count("\n") == 1
    assert told in ran.err
    assert not {"\x1b", "\x07", "\u202e"} & set(ran.err)
    assert not out.exists()
    assert stranger.requests == []
    assert list((tmp_path / "temporary").iterdir()) == []


def test_bytes_without_end_are_not_taken(hostile: Asking, relay: Relay) -> None:
    relay.change = lambda path, answer: endless(answer) if FILE in path else None
    hostile.run()
    assert relay.sent < 64 * 1024 * 1000


def test_the_token_goes_to_the_server_that_was_named(hostile: Asking, relay: Relay) -> None:
    assert hostile.run().code == 0
    assert {headers.get("Authorization") for _, path, headers in relay.requests if "/mlflow" in path} == {"Bearer a-secret"}


def test_an_author_may_be_named_in_place_of_a_hostile_one(hostile: Asking, relay: Relay) -> None:
    relay.change = lambda path, answer: said("run.info.user_id", "ana\u202e")(answer) if RUN in path else None
    assert hostile.manifest(author="ana@bank.example")["spec"]["author"] == "ana@bank.example"


def test_who_registered_the_version_goes_before_who_ran_the_run(hostile: Asking, relay: Relay) -> None:
    relay.change = lambda path, answer: said("model_version.user_id", "ben")(answer) if VERSION in path else None
    assert hostile.manifest()["spec"]["author"] == "ben"


def test_a_limit_of_files_sizes_is_lifted_again(hostile: Asking, tmp_path: Path) -> None:
    assert hostile.run().code == 0
    large = tmp_path / "large"
    large.write_bytes(bytes(1 << 20))
    assert large.stat().st_size == 1 << 20


def test_a_second_image_of_a_lying_tag_is_not_followed(hostile: Asking) -> None:
    assert "its tag image names" in hostile.run(image=image(8)).err


def test_what_is_too_large_for_a_manifest_is_refused_before_it_is_written(hostile: Asking, relay: Relay) -> None:
    long = [{"key": f"{one:0250}", "value": 0.5, "timestamp": "1", "step": "0"} for one in range(200)]
    relay.change = lambda path, answer: said("run.data.metrics", long)(answer) if RUN in path else None
    ran = hostile.run(challenger=["1", "2"])
    assert (ran.code, ran.out, ran.err.count("\n")) == (2, "", 1)
    assert "bytes are more than 98304; keep long documents out of the manifest" in ran.err
