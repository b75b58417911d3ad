"""The provider's keys at the door: which are asked for, and what is no answer to that."""

from __future__ import annotations

import json
import subprocess
import sys
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


def test_who_presses_first_waits_for_no_module_to_be_loaded() -> None:
    """A press took a second where the process had judged no proof before."""
    told = """
import sys
from signoff.webhook import consent, decisions, serve
before = set(sys.modules)
consent.make_ready()
ready = set(sys.modules)
import ssl, httpx
from joserfc import jws
from joserfc.jwk import ECKey, OKPKey, RSAKey
with httpx.Client(verify=ssl.create_default_context()):
    pass
print(len(ready - before), sorted(set(sys.modules) - ready))
"""
    loaded, late = subprocess.run([sys.executable, "-c", told], capture_output=True, text=True, check=True, timeout=60).stdout.split(" ", 1)
    assert int(loaded) > 20, "without a provider none of this is loaded"
    assert late.strip() == "[]"
