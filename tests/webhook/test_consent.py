"""The provider's keys at the door: which are asked for, and what is no answer to that."""

from __future__ import annotations

import json
from typing import Any

import httpx
import pytest
from signing_in import ISSUER, Provider

from signoff.config import IdentityProviderSettings
from signoff.decision.consent import MAX_JWKS, MAX_KEYS
from signoff.webhook.consent import OutOfReach, fetched

SETTINGS = IdentityProviderSettings(issuer=ISSUER, jwks=f"{ISSUER}/keys")
KEY = Provider.elliptic().public


@pytest.fixture
def provider(monkeypatch: pytest.MonkeyPatch) -> Any:
    def answers(content: bytes, status: int = 200) -> None:
        answer = httpx.Response(status, content=content, request=httpx.Request("GET", SETTINGS.jwks))
        monkeypatch.setattr(httpx, "get", lambda *_, **__: answer)

    return answers


NO_ANSWER: dict[str, tuple[bytes, int]] = {
    "a fault": (json.dumps({"keys": [KEY]}).encode(), 500),
    "another place": (json.dumps({"keys": [KEY]}).encode(), 302),
    "no JSON": (b"<p>Sign in</p>", 200),
    "two sets of keys, of which readers take this or that one": (b'{"keys":[],"keys":[' + json.dumps(KEY).encode() + b"]}", 200),
    "more than is read": (b" " * MAX_JWKS + b'{"keys":[]}', 200),
    "no object": (b"[]", 200),
    "no keys": (b"{}", 200),
    "keys that are no list": (json.dumps({"keys": KEY}).encode(), 200),
}


@pytest.mark.parametrize(("content", "status"), [pytest.param(*one, id=name) for name, one in NO_ANSWER.items()])
def test_rule_5_what_is_no_set_of_keys_decides_nothing(provider: Any, content: bytes, status: int) -> None:
    provider(content, status)
    with pytest.raises(OutOfReach, match="nothing was decided; it is safe to press again"):
        fetched(SETTINGS)


def test_keys_for_signatures_are_taken_and_others_left(provider: Any) -> None:
    others: list[Any] = [{**KEY, "use": "enc"}, {**KEY, "use": ["sig"]}, "key"]
    provider(json.dumps({"keys": [*others, *[KEY] * (MAX_KEYS + 1)]}).encode())
    assert list(fetched(SETTINGS)) == [KEY] * MAX_KEYS
