"""The gate over HTTP: real reviews, a real archive, an API server that does not answer."""

from __future__ import annotations

from typing import Any

import pytest

from signoff.webhook.review import Cause, Reply, answer
from tests.webhook.contract import require_contract
from tests.webhook.listening import Answer, Listening
from tests.webhook.reviews import IMAGE, OTHER_IMAGE, UID, deployment, pod, review

MODES = ("enforce", "warn", "audit")
EXEMPT = f"registry.bank.example/mesh/proxy@sha256:{'0c' * 32}"


def ask(listening: Listening, obj: dict[str, Any], plural: str = "pods", mode: str = "enforce", **changes: Any) -> Answer:
    answered = listening.ask(f"/gate/{mode}", review(obj, plural, **changes))
    require_contract(answered, UID)
    return answered


@pytest.mark.parametrize("mode", MODES)
def test_a_promoted_image_is_admitted_in_silence(listening: Listening, mode: str) -> None:
    for obj, plural in ((pod(IMAGE), "pods"), (deployment(IMAGE), "deployments"), (pod(IMAGE, EXEMPT), "pods")):
        response = ask(listening, obj, plural, mode).response
        assert response["allowed"]
        assert "warnings" not in response
        assert response["auditAnnotations"]["verdict"] == "admitted"
        assert response["auditAnnotations"]["events"].startswith("sha256:")


def test_enforce_denies_with_path_reason_and_mend(listening: Listening) -> None:
    response = ask(listening, deployment(OTHER_IMAGE), "deployments").response
    path = "spec.template.spec.containers[0].image"
    short = OTHER_IMAGE[: OTHER_IMAGE.index("@") + 20]
    expected = f"{short}…: no promotion event for this digest for production in demo/credit; draft a promotion: signoff draft {OTHER_IMAGE}"
    assert response["status"]["message"] == f"{path}: {expected}"
    assert response["status"]["details"]["causes"] == [{"field": path, "reason": "FieldValueForbidden", "message": expected}]
    assert response["auditAnnotations"]["verdict"] == "refused"


def test_warn_admits_with_warnings_and_audit_with_annotations_alone(listening: Listening) -> None:
    warned = ask(listening, pod(OTHER_IMAGE), mode="warn").response
    assert warned["allowed"]
    assert warned["warnings"][0].startswith("signoff would refuse spec.containers[0].image: ")
    noted = ask(listening, pod(OTHER_IMAGE), mode="audit").response
    assert noted["allowed"]
    assert "warnings" not in noted
    for response in (warned, noted):
        assert response["auditAnnotations"]["verdict"] == "refused"
        assert "no promotion event" in response["auditAnnotations"]["findings"]


def test_a_tag_is_told_which_digest_to_pin(listening: Listening) -> None:
    message = ask(listening, pod("registry.bank.example/models/credit-scoring:2.4.0")).message
    assert f"pin what was promoted as 2.4.0: {IMAGE}" in message


@pytest.mark.parametrize(
    ("obj", "plural", "changes", "says"),
    [
        (pod(IMAGE, namespace="elsewhere"), "pods", {}, "could not tell what this namespace asks for"),
        (pod(IMAGE, namespace="unlabelled"), "pods", {}, "bears no label signoff.dev/environment"),
        (pod(IMAGE), "pods", {"namespace": ""}, "could not tell what this namespace asks for"),
        (pod(IMAGE), "pods", {"namespace": "../../api/v1/nodes"}, "could not tell what this namespace asks for"),
        (pod(), "pods", {}, "there is no container"),
        (pod(""), "pods", {}, "no image is named"),
        (pod(IMAGE), "nodes", {"kind": {"group": "", "version": "v1", "kind": "Node"}}, "cannot find the images of this kind"),
        (pod(IMAGE), "pods", {"subResource": "exec"}, "cannot find the images of this kind"),
        (pod(IMAGE, "registry.bank.example/x@sha256:1"), "pods", {}, "spec.containers[1].image"),
        (pod(IMAGE, initContainers=[{"name": "i", "image": OTHER_IMAGE}]), "pods", {}, "spec.initContainers[0].image"),
        (pod(IMAGE, ephemeralContainers=[{"name": "e", "image": OTHER_IMAGE}]), "pods", {}, "spec.ephemeralContainers[0].image"),
        (pod(IMAGE, volumes=[{"name": "v", "image": {"reference": OTHER_IMAGE}}]), "pods", {}, "spec.volumes[0].image.reference"),
        (pod(IMAGE, containers={}), "pods", {}, "there is no container"),
        (pod(IMAGE, containers="c"), "pods", {}, "a list belongs here"),
        (pod(*[OTHER_IMAGE] * 1001), "pods", {}, "entries, of at most 1000"),
    ],
)
def test_bypass_10_what_cannot_be_told_is_refused(listening: Listening, obj: Any, plural: str, changes: Any, says: str) -> None:
    assert says in ask(listening, obj, plural, **changes).message


def test_bypass_02_and_03_deletion_and_replicas_are_no_reasons_to_skip(listening: Listening) -> None:
    leaving = deployment(OTHER_IMAGE)
    leaving["metadata"] |= {"deletionTimestamp": "2026-03-04T08:00:00Z", "ownerReferences": [{"kind": "X", "uid": "1"}]}
    leaving["spec"]["replicas"] = 0
    assert ask(listening, leaving, "deployments", operation="UPDATE", old=deployment(IMAGE)).message
    assert ask(listening, leaving, "deployments", operation="UPDATE", old=leaving).response["allowed"]


@pytest.mark.parametrize("operation", ["CREATE", "CONNECT", "DELETE", "update", ""])
def test_only_an_update_passes_over_what_the_old_object_had(listening: Listening, operation: str) -> None:
    assert ask(listening, pod(OTHER_IMAGE), operation=operation, old=pod(OTHER_IMAGE)).message


def test_bypass_12_many_images_make_a_short_message(listening: Listening) -> None:
    response = ask(listening, pod(*[OTHER_IMAGE.replace("scoring", f"scoring-{number}") for number in range(900)])).response
    assert "and 897 more images" in response["status"]["message"]
    assert len(response["status"]["details"]["causes"]) == 50
    warned = ask(listening, pod(*[OTHER_IMAGE.replace("scoring", f"scoring-{number}") for number in range(900)]), mode="warn").response
    assert len(warned["warnings"]) >= 10


ODD = ["a\nb", "x" * 100_000, "\x1b[31mred", "ä@sha256:" + "0" * 64, "\u202egpj.exe", "<script>", '"' * 300, "%s%n", "\x00"]


@pytest.mark.parametrize("image", ODD)
@pytest.mark.parametrize("mode", MODES)
def test_an_image_with_odd_characters_is_told_in_plain_ones(listening: Listening, mode: str, image: str) -> None:
    response = ask(listening, pod(image), mode=mode).response
    assert response["allowed"] == (mode != "enforce")
    said = [*response.get("warnings", []), *response["auditAnnotations"].values(), response.get("status", {}).get("message", "")]
    for text in said:
        assert len(text) < 1000
        assert all(character.isprintable() for character in text), ascii(text)


def test_warnings_are_cut_by_characters_and_in_all() -> None:
    long = Reply(warnings=[f"{number}: a\n\nlong\tone ä\x1b\x00 " + "wörter " * 100 for number in range(100)])
    require_contract(Answer(200, answer("u", long)), "u")
    warnings = Answer(200, answer("u", long)).response["warnings"]
    assert warnings[0].startswith("0: a long one ä")
    assert warnings[0].endswith("…")
    assert sum(map(len, warnings)) > 3500


def test_a_denial_carries_no_patch_and_bounded_causes() -> None:
    causes = [Cause(f"spec[{number}]", "no" * 5000) for number in range(1000)]
    denied = Reply(denial="d" * 1_000_000, causes=causes, patch=({"op": "add", "path": "/seal", "value": 1},))
    answered = Answer(200, answer("u", denied))
    assert not require_contract(answered, "u")
    assert len(answered.body) < 120_000
