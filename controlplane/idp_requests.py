"""The authorization requests and forms that the embedded provider takes, and in which words it refuses the others."""

from __future__ import annotations

import base64
import hashlib
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final
from urllib.parse import parse_qsl

if TYPE_CHECKING:
    from collections.abc import Mapping

    from starlette.requests import Request as Http

MAX_BODY: Final = 16 * 1024
_CHALLENGE: Final = re.compile(r"[A-Za-z0-9_-]{43}")


@dataclass(frozen=True)
class Request:
    """An authorization request that was found to be in order."""

    client: str
    redirect_uri: str
    state: str | None
    nonce: str | None
    challenge: str
    login_hint: str = ""
    prompt: frozenset[str] = frozenset()
    max_age: int | None = None


class Refused(Exception):
    """Why a request is not served, in OAuth's words; where it names the client's address, the client is told."""

    def __init__(self, error: str, words: str, status: int = 400) -> None:
        super().__init__(words)
        self.error, self.words, self.status = error, words, status


def once(items: list[tuple[str, str]]) -> dict[str, str]:
    """The parameters, none given twice. Raises Refused."""
    asked = dict(items)
    if len(asked) != len(items):
        raise Refused("invalid_request", "a parameter is given twice")
    return asked


async def form(http: Http) -> dict[str, str]:
    """The fields of a posted form, none given twice. Raises Refused."""
    body = b""
    async for piece in http.stream():
        body += piece
        if len(body) > MAX_BODY:
            raise Refused("invalid_request", "the form is too long", 413)
    try:
        fields = parse_qsl(body.decode(), keep_blank_values=True, max_num_fields=50)
    except ValueError:
        raise Refused("invalid_request", "this is no form") from None
    return once(fields)


def in_order(asked: Mapping[str, str]) -> Request:
    """The request, if it is in order. Raises Refused."""
    if asked.get("response_type") != "code" or asked.get("response_mode", "query") != "query":
        raise Refused("unsupported_response_type", "ask for response_type=code, by query")
    if "request" in asked or "request_uri" in asked:
        raise Refused("request_not_supported", "ask by plain parameters")
    if "openid" not in asked.get("scope", "").split():
        raise Refused("invalid_scope", "the scope lacks openid")
    if asked.get("code_challenge_method") != "S256" or not _CHALLENGE.fullmatch(asked.get("code_challenge", "")):
        raise Refused("invalid_request", "PKCE is required: code_challenge, with code_challenge_method=S256")
    prompt = frozenset(asked.get("prompt", "").split())
    if "none" in prompt and len(prompt) > 1:
        raise Refused("invalid_request", "prompt=none stands alone")
    age = asked.get("max_age", "")
    if age and not re.fullmatch("[0-9]{1,9}", age):
        raise Refused("invalid_request", "max_age is a number of seconds")
    return Request(
        client=asked["client_id"],
        redirect_uri=asked["redirect_uri"],
        state=asked.get("state"),
        nonce=asked.get("nonce"),
        challenge=asked["code_challenge"],
        login_hint=asked.get("login_hint", ""),
        prompt=prompt,
        max_age=int(age) if age else None,
    )


def without_port(address: str) -> str:
    """A loopback address without its port; any other address as it is."""
    return re.sub(r"^(http://127[.]0[.]0[.]1):[0-9]{1,5}(?=/)", r"\1", address)


def challenge(verifier: str) -> str:
    """PKCE's S256 of a verifier."""
    return base64.urlsafe_b64encode(hashlib.sha256(verifier.encode()).digest()).rstrip(b"=").decode()
