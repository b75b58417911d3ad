"""Reviews altered at random, at either listener over HTTP: always an answer by the contract, never an admission of what nobody promoted."""

from __future__ import annotations

import base64
import json
from collections.abc import Callable, Iterator
from copy import deepcopy
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from signoff.errors import SignoffError
from signoff.record.request import read_spec
from tests.webhook.contract import require_contract
from tests.webhook.listening import Answer, Client, Listening
from tests.webhook.reviews import OTHER_IMAGE, decision, pod, policy, promotion, review

Value = dict[str, Any]
FUZZ = settings(max_examples=400, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow])

MEANINGFUL = "auto Pod Deployment v1 apps CREATE UPDATE DELETE credit demo production ../.."
WORDS = st.sampled_from([*MEANINGFUL.split(), "", " ", "\x00", "\u202e"])
NUMBERS = st.integers(-(2**70), 2**70) | st.floats(allow_nan=False, allow_infinity=False)
LEAVES = st.none() | st.booleans() | NUMBERS | WORDS | st.text(max_size=20)
KEYS = WORDS | st.text(max_size=8)
JUNK = st.recursive(LEAVES, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(KEYS, inner, max_size=3), max_leaves=6)


def places(value: Any, at: tuple[str | int, ...] = ()) -> Iterator[tuple[str | int, ...]]:
    """Every path in a value, the value itself left out."""
    items = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, inner in items:
        yield (*at, key)
        yield from places(inner, (*at, key))


@st.composite
def altered(draw: st.DrawFn, base: Value) -> Value:
    """The review with one to three places replaced, removed, doubled or renamed."""
    changed = deepcopy(base)
    for _ in range(draw(st.integers(1, 3))):
        found = list(places(changed))
        if not found:
            return changed
        *way, last = draw(st.sampled_from(found))
        holder: Any = changed
        for step in way:
            holder = holder[step]
        deed = draw(st.sampled_from(["replace", "replace", "remove", "copy", "rename"]))
        if deed == "replace":
            holder[last] = draw(JUNK)
        elif deed == "remove":
            del holder[last]
        elif deed == "copy":
            source: Any = changed
            for step in draw(st.sampled_from(found)):
                source = source[step] if _holds(source, step) else None
            holder[last] = deepcopy(source)
        elif isinstance(holder, dict):
            holder[draw(KEYS)] = holder.pop(last)
    return changed


def _holds(value: Any, step: str | int) -> bool:
    return (isinstance(value, dict) and step in value) or (isinstance(value, list) and isinstance(step, int) and step < len(value))


@pytest.fixture(scope="module")
def asking(listening: Listening) -> Iterator[Callable[[str, Any], Answer]]:
    clients: dict[str, Client] = {}

    def ask(path: str, body: Any) -> Answer:
        listener = path.split("/")[1]
        client = clients.setdefault(listener, listening.client(path))
        return client.ask(path, body)

    yield ask
    for client in clients.values():
        client.__exit__()


def asked(asking: Callable[[str, Any], Answer], path: str, body: Value) -> tuple[bool, Answer]:
    answer = asking(path, body)
    uid = body.get("request", {}).get("uid", "") if isinstance(body.get("request"), dict) else None
    return require_contract(answer, uid if isinstance(uid, str) else None), answer


TWO_IMAGES = pod(OTHER_IMAGE, initContainers=[{"name": "i", "image": OTHER_IMAGE}])
UNPROMOTED = review(TWO_IMAGES, "pods", operation="UPDATE", old=pod("a.example/b"))


@FUZZ
@given(body=altered(UNPROMOTED))
def test_bypass_10_an_altered_review_never_admits_what_nobody_promoted(asking: Callable[[str, Any], Answer], body: Value) -> None:
    admitted, _ = asked(asking, "/gate/enforce", body)
    if admitted:
        request = body["request"]
        said, known = (json.dumps(request[name]) for name in ("object", "oldObject"))
        assert request["operation"] == "UPDATE"
        assert OTHER_IMAGE in known or OTHER_IMAGE not in said, "an image of the old object alone may stay"
    for mode in ("warn", "audit"):
        asked(asking, f"/gate/{mode}", body)


@FUZZ
@given(body=JUNK | st.fixed_dictionaries({"request": JUNK}))
@pytest.mark.parametrize("path", ["/gate/enforce", "/seal/promotions", "/check/policies"])
def test_bypass_10_junk_is_never_admitted(asking: Callable[[str, Any], Answer], path: str, body: Any) -> None:
    assert not require_contract(asking(path, body))


@FUZZ
@given(body=st.binary(max_size=200) | st.text(max_size=200).map(str.encode))
def test_bypass_10_bytes_are_never_admitted(asking: Callable[[str, Any], Answer], body: bytes) -> None:
    assert not require_contract(asking("/gate/enforce", body))


def is_right(spec: Any) -> bool:
    try:
        read_spec(spec)
    except SignoffError:
        return False
    return True


@FUZZ
@given(body=altered(review(promotion(), "modelpromotions")))
def test_an_altered_submission_is_signed_or_refused(asking: Callable[[str, Any], Answer], body: Value) -> None:
    admitted, answer = asked(asking, "/seal/promotions", body)
    if not admitted:
        return
    request = body["request"]
    if request.get("operation") == "UPDATE":
        assert request["object"].get("spec") == (request.get("oldObject") or {}).get("spec")
        return
    spec = request["object"]["spec"]
    assert is_right(spec)
    assert "submission" not in request["object"]
    elsewhere = "demo" not in spec["target"]["clusters"]
    assert ("patch" in answer.response) != (request.get("dryRun") is True or elsewhere)


@pytest.fixture(scope="module")
def final(listening: Listening) -> Value:
    """The example's promotion as it stands after admission."""
    response = listening.ask("/seal/promotions", review(promotion(), "modelpromotions")).response
    [operation] = json.loads(base64.b64decode(response["patch"]))
    return promotion() | {"submission": operation["value"]}


@FUZZ
@given(data=st.data())
def test_bypass_14_the_twin_passes_only_what_was_witnessed(asking: Callable[[str, Any], Answer], final: Value, data: st.DataObject) -> None:
    original = review(final, "modelpromotions")
    body = data.draw(altered(original))
    admitted, _ = asked(asking, "/check/promotions", body)
    if not admitted:
        return
    request, obj = body["request"], body["request"]["object"]
    if request.get("operation") == "UPDATE":
        assert obj.get("spec") == (request.get("oldObject") or {}).get("spec")
        return
    unwitnessed = "submission" not in obj
    if unwitnessed:
        assert request.get("dryRun") is True or "demo" not in obj["spec"]["target"]["clusters"]
        return
    assert obj["spec"] == final["spec"]
    assert (request["namespace"], obj["metadata"]["name"]) == ("credit", final["metadata"]["name"])
    assert request["userInfo"]["username"] == "ben@bank.example"
    for field in ("issuer", "subject", "time", "bundle"):
        assert obj["submission"][field] == final["submission"][field]


@FUZZ
@given(body=altered(review(decision(), "promotiondecisions", who="carla")))
@pytest.mark.parametrize("path", ["/seal/decisions", "/check/decisions"])
def test_bypass_10_without_the_api_server_no_decision_is_sealed(asking: Callable[[str, Any], Answer], path: str, body: Value) -> None:
    admitted, answer = asked(asking, path, body)
    if not admitted:
        return
    assert "patch" not in answer.response
    request = body["request"]
    unsealed_dry_run = path.startswith("/check") and request.get("dryRun") is True and "seal" not in request["object"]
    assert unsealed_dry_run or request["object"].get("spec") == (request.get("oldObject") or {}).get("spec")


@FUZZ
@given(body=altered(review(policy(), "promotionpolicies", who="paula")))
def test_bypass_14_an_altered_policy_is_published_by_a_publisher_or_not_at_all(asking: Callable[[str, Any], Answer], body: Value) -> None:
    admitted, answer = asked(asking, "/seal/policies", body)
    if not admitted or body["request"].get("operation") == "UPDATE":
        return
    assert body["request"]["userInfo"]["username"] == "paula@bank.example"
    assert ("patch" in answer.response) != (body["request"].get("dryRun") is True)
