"""What every answer of the webhook must be, whatever was asked: admission.k8s.io/v1, and the rules for messages."""

from __future__ import annotations

import base64
import json
import re

from tests.webhook.listening import Answer

_AUDIT_KEY = re.compile(r"[A-Za-z0-9]([-A-Za-z0-9_.]*[A-Za-z0-9])?")
_FORBIDDEN_WORDS = ("is immutable", "immutable field")
FAILED_CALL = {400, 413}
"""What the API server takes for a failed call, which is a denial by the webhook configuration."""


def require_contract(answer: Answer, uid: str | None = None) -> bool:
    """Return whether the answer admits; fails where it is none of what a webhook may answer."""
    if answer.status != 200:
        assert answer.status in FAILED_CALL, (answer.status, answer.body[:300])
        return False
    review = json.loads(answer.body)
    assert (review["apiVersion"], review["kind"]) == ("admission.k8s.io/v1", "AdmissionReview")
    response = review["response"]
    assert set(response) <= {"uid", "allowed", "status", "warnings", "auditAnnotations", "patch", "patchType"}
    assert uid is None or response["uid"] == uid
    assert isinstance(response["allowed"], bool)
    _require_warnings(response.get("warnings", []))
    for key, value in response.get("auditAnnotations", {}).items():
        assert _AUDIT_KEY.fullmatch(key)
        assert isinstance(value, str)
    if response["allowed"]:
        assert "status" not in response
        if "patch" in response or "patchType" in response:
            assert response["patchType"] == "JSONPatch"
            assert json.loads(base64.b64decode(response["patch"], validate=True))
        return True
    assert "patch" not in response
    _require_denial(response["status"])
    return False


def _require_denial(status: dict[str, object]) -> None:
    assert (status["status"], status["code"], status["reason"]) == ("Failure", 403, "Forbidden")
    message = status["message"]
    assert isinstance(message, str)
    assert message.strip()
    assert len(message) <= 8000
    texts = [message]
    details = status.get("details", {"causes": []})
    assert isinstance(details, dict)
    assert len(details["causes"]) <= 50
    for cause in details["causes"]:
        assert set(cause) == {"field", "reason", "message"}
        assert all(isinstance(value, str) for value in cause.values())
        texts.append(cause["message"])
    for text in texts:
        assert not any(words in text for words in _FORBIDDEN_WORDS), text


def _require_warnings(warnings: list[str]) -> None:
    assert sum(map(len, warnings)) <= 4096
    for warning in warnings:
        assert 0 < len(warning) <= 256
        assert warning.isprintable(), warning
        assert not warning.startswith("Warning:")
