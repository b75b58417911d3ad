"""Promotions at the seal's door: what admission witnesses, and what its twin demands of the final object."""

from __future__ import annotations

import base64
import json
from collections.abc import Iterator
from copy import deepcopy
from typing import Any

import pytest

from signoff.decision.seals import Filed, read_submission
from signoff.record.request import read_spec, request_id, request_value
from tests.webhook.contract import require_contract
from tests.webhook.listening import Answer, Listening
from tests.webhook.reviews import CREDENTIAL, UID, promotion, review, user

SEAL, CHECK = "/seal/promotions", "/check/promotions"


def ask(listening: Listening, path: str, obj: dict[str, Any], **changes: Any) -> Answer:
    answered = listening.ask(path, review(obj, "modelpromotions", **changes))
    require_contract(answered, UID)
    return answered


def submission(answered: Answer) -> dict[str, Any]:
    [operation] = json.loads(base64.b64decode(answered.response["patch"]))
    assert (operation["op"], operation["path"]) == ("add", "/submission")
    written: dict[str, Any] = operation["value"]
    return written


def submitted(listening: Listening, **changes: Any) -> dict[str, Any]:
    """The example's promotion as it stands after admission."""
    return promotion() | {"submission": submission(ask(listening, SEAL, promotion(), **changes))}


def test_who_submits_is_signed_over_the_requests_id(listening: Listening) -> None:
    final = submitted(listening)
    spec = read_spec(final["spec"])
    now = listening.witness.now()
    signed = read_submission(Filed(base64.b64decode(final["submission"]["bundle"]), now), listening.world.trust, spec.target)
    assert signed.id == request_id(request_value("credit", "credit-scoring-2.4.0", final["spec"]))
    assert (signed.principal.subject, signed.method) == ("ben@bank.example", "client-certificate")
    shown = {key: final["submission"][key] for key in ("issuer", "subject", "name", "time")}
    assert shown == {
        "issuer": "https://login.bank.example",
        "subject": "ben@bank.example",
        "name": "ben@bank.example",
        "time": signed.time,
    }
    assert ask(listening, CHECK, final).response["allowed"]


def test_a_pipelines_service_account_submits(listening: Listening) -> None:
    pipeline = {"username": "system:serviceaccount:flux-system:flux", "extra": {CREDENTIAL: ["JTI=5e0b"]}}
    written = submitted(listening, userInfo=pipeline)["submission"]
    assert (written["issuer"], written["subject"]) == ("https://kubernetes.bank.example", "flux-system:flux")


@pytest.mark.parametrize(
    "who",
    [
        {},
        {"username": ""},
        {"username": 7},
        {"username": "ben@bank.example"},
        {"username": "ben@bank.example", "extra": {CREDENTIAL: ["JTI=1"]}},
        {"username": "ben@bank.example", "extra": {CREDENTIAL: ["X509SHA256=1", "X509SHA256=2"]}},
        {"username": "ben@bank.example", "extra": {CREDENTIAL: "X509SHA256=1"}},
        {"username": "system:admin", "extra": {CREDENTIAL: ["X509SHA256=1"]}},
        {"username": "system:serviceaccount:a:b", "extra": {CREDENTIAL: ["X509SHA256=1"]}},
        {"username": "system:serviceaccount:", "extra": {CREDENTIAL: ["JTI=1"]}},
        {"username": "b\u202een", "extra": {CREDENTIAL: ["X509SHA256=1"]}},
        {"username": "ben@bank.example ", "extra": {CREDENTIAL: ["X509SHA256=1"]}},
    ],
)
def test_bypass_14_nobody_submits_nothing(listening: Listening, who: dict[str, Any]) -> None:
    assert ask(listening, SEAL, promotion(), userInfo=who).message


def test_an_author_of_the_submission_other_than_admission_is_refused(listening: Listening) -> None:
    final = submitted(listening)
    assert "only admission writes this field" in ask(listening, SEAL, final).message
    for forged in ({}, None, {"bundle": ""}, {"bundle": "e30="}, "ben"):
        assert ask(listening, SEAL, promotion() | {"submission": forged}).message
        assert ask(listening, CHECK, promotion() | {"submission": forged}).message


def test_the_twin_wants_a_submission_unless_it_is_a_dry_run(listening: Listening) -> None:
    assert "has not witnessed" in ask(listening, CHECK, promotion()).message
    dry = ask(listening, SEAL, promotion(), dryRun=True).response
    assert dry["allowed"]
    assert "patch" not in dry
    assert ask(listening, CHECK, promotion(), dryRun=True).response["allowed"]


@pytest.mark.parametrize("dry", [1, "true", "false", None, [], 0])
def test_only_true_makes_a_dry_run(listening: Listening, dry: Any) -> None:
    assert submission(ask(listening, SEAL, promotion(), dryRun=dry))
    assert "has not witnessed" in ask(listening, CHECK, promotion(), dryRun=dry).message


def altered(final: dict[str, Any], *path: str, to: Any) -> dict[str, Any]:
    changed = deepcopy(final)
    holder = changed
    for step in path[:-1]:
        holder = holder[step]
    holder[path[-1]] = to
    return changed


@pytest.mark.parametrize(
    ("path", "to"),
    [
        (("spec", "reason"), "another reason"),
        (("spec", "author"), "eve@bank.example"),
        (("spec", "attempt"), 2),
        (("spec", "target", "namespaces"), ["credit", "batch"]),
        (("metadata", "name"), "credit-scoring-2.4.1"),
        (("submission", "subject"), "carla@bank.example"),
        (("submission", "issuer"), "https://evil.example"),
        (("submission", "time"), "2026-01-01T00:00:00Z"),
        (("submission", "bundle"), "e30="),
        (("submission", "bundle"), "%%%"),
    ],
)
def test_bypass_18_a_submission_belongs_to_one_request(listening: Listening, path: tuple[str, ...], to: Any) -> None:
    final = submitted(listening)
    assert ask(listening, CHECK, final).response["allowed"]
    changed = altered(final, *path, to=to)
    assert ask(listening, CHECK, changed, name=changed["metadata"]["name"]).message


def test_bypass_14_a_submission_belongs_to_who_sent_it(listening: Listening) -> None:
    assert "somebody else" in ask(listening, CHECK, submitted(listening), userInfo=user("carla")).message


def test_bypass_17_a_submission_belongs_to_one_namespace(listening: Listening) -> None:
    assert "of another request" in ask(listening, CHECK, submitted(listening), namespace="batch").message


def test_bypass_17_this_cluster_witnesses_only_what_is_for_it(listening: Listening) -> None:
    other = altered(promotion(), "spec", "target", "clusters", to=["elsewhere"])
    response = ask(listening, SEAL, other).response
    assert response["allowed"]
    assert "patch" not in response
    assert ask(listening, CHECK, other).response["allowed"]
    assert ask(listening, CHECK, other | {"submission": submitted(listening)["submission"]}).message


@pytest.mark.parametrize(("field", "value"), [("environment", "staging"), ("clusters", ["demo", "other"])])
def test_bypass_17_a_key_that_may_not_speak_for_the_target_signs_nothing(listening: Listening, field: str, value: Any) -> None:
    assert "may not speak for" in ask(listening, SEAL, altered(promotion(), "spec", "target", field, to=value)).message


def test_a_request_without_a_name_of_its_own_is_refused(listening: Listening) -> None:
    nameless = promotion()
    nameless["metadata"] = {"generateName": "credit-", "namespace": "credit", "name": ""}
    assert "generateName" in ask(listening, SEAL, nameless).message


def test_a_spec_does_not_change(listening: Listening) -> None:
    final = submitted(listening)
    changed = altered(final, "spec", "reason", to="another reason")
    for path in (SEAL, CHECK):
        message = ask(listening, path, changed, operation="UPDATE", old=final).message
        assert "does not change" in message
        assert "delete this one and apply a new one" in message


def test_everything_else_may_change_and_what_admission_wrote_stays(listening: Listening) -> None:
    final = submitted(listening)
    labelled = altered(final, "metadata", "labels", to={"team": "credit"})
    for path in (SEAL, CHECK):
        response = ask(listening, path, labelled, operation="UPDATE", old=final).response
        assert response["allowed"]
        assert "patch" not in response
    bare = {key: value for key, value in labelled.items() if key != "submission"}
    assert submission(ask(listening, SEAL, bare, operation="UPDATE", old=final)) == final["submission"]
    assert ask(listening, CHECK, bare, operation="UPDATE", old=final).message
    forged = altered(final, "submission", "subject", to="carla@bank.example")
    for path in (SEAL, CHECK):
        assert ask(listening, path, forged, operation="UPDATE", old=final).message
        assert ask(listening, path, final, operation="UPDATE", old=promotion()).message


def test_numbers_that_two_parsers_read_in_two_ways_are_refused(listening: Listening) -> None:
    for value in (1.0, 2**53, None, float(2)):
        assert ask(listening, SEAL, altered(promotion(), "spec", "attempt", to=value)).message


@pytest.fixture
def crowded(listening: Listening) -> Iterator[Listening]:
    """As many requests wait as may."""
    listening.counting.pending = listening.config.pendingPerNamespace
    yield listening
    listening.counting.pending = 0


def another(name: str = "credit-scoring-2.5.0") -> dict[str, Any]:
    """A request without an outcome."""
    return promotion(name=name)


@pytest.mark.parametrize("dry", [False, True])
def test_bypass_12_a_request_more_than_may_wait_is_refused_with_what_to_do(crowded: Listening, *, dry: bool) -> None:
    message = ask(crowded, SEAL, another(), dryRun=dry).message
    assert "100 requests in namespace credit wait for a decision already" in message
    assert "decide some or delete" in message
    crowded.counting.pending = 99
    assert ask(crowded, SEAL, another(), dryRun=dry).response["allowed"]


def test_what_waits_is_counted_by_rows_alone_and_no_further_than_needed(listening: Listening) -> None:
    listening.counting.asked.clear()
    assert ask(listening, SEAL, another(), namespace="credit").response["allowed"]
    [(path, query)] = listening.counting.asked
    assert path == "/apis/signoff.dev/v1alpha1/namespaces/credit/modelpromotions"
    assert query == {"fieldSelector": ["status.event=,submission.time!="], "limit": ["100"], "includeObject": ["None"]}


def test_bypass_10_where_it_cannot_be_told_how_many_wait_nothing_is_submitted(crowded: Listening) -> None:
    crowded.counting.pending = None
    message = ask(crowded, SEAL, another()).message
    assert "how many requests wait here could not be told" in message
    assert "try again" in message


def test_a_request_whose_outcome_is_archived_takes_no_room(crowded: Listening) -> None:
    assert submission(ask(crowded, SEAL, promotion()))


def test_what_changes_nothing_and_what_is_for_elsewhere_is_not_counted(crowded: Listening) -> None:
    final = promotion() | {"submission": submission(ask(crowded, SEAL, promotion()))}
    crowded.counting.asked.clear()
    assert ask(crowded, SEAL, final, operation="UPDATE", old=final).response["allowed"]
    assert ask(crowded, SEAL, altered(another(), "spec", "target", "clusters", to=["elsewhere"])).response["allowed"]
    assert crowded.counting.asked == []
