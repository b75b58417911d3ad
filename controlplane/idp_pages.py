"""The pages and endpoints of the embedded provider: discovery, keys, authorization, login form, tokens.

Rules:

1. An unknown client or address gets a page and is sent nowhere. Any other error goes back to the client, with its `state`.
2. An address is allowed letter by letter or not at all, but for the port of a public client's loopback address. A parameter given twice is
   an error.
3. A login form belongs to the browser that asked for it: a cookie and the form's handle must fit together.
4. Pages run no script and take nothing from elsewhere; forms lead here, and on to the client's own origin alone.
5. Each answer that leads back names its issuer (RFC 9207).
"""

from __future__ import annotations

import base64
import html
import secrets
import time
from typing import TYPE_CHECKING, Final
from urllib.parse import unquote_plus, urlencode, urlsplit

from starlette.applications import Starlette
from starlette.responses import HTMLResponse, JSONResponse, RedirectResponse, Response
from starlette.routing import Route

from controlplane.idp_requests import Refused, Request, challenge, form, in_order, once, without_port
from controlplane.lies import ELSEWHERE, Lie

if TYPE_CHECKING:
    from collections.abc import Mapping

    from starlette.requests import Request as Http

    from controlplane.idp import EmbeddedProvider, Grant, Session

_PAGE: Final = """<!doctype html><html lang="en"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width">
<title>{title}</title></head><body><main><h1>{title}</h1>{content}</main></body></html>"""
_FORM: Final = """{message}<form method="post" action="{action}" autocomplete="off"><input type="hidden" name="request" value="{handle}">
<p><label>E-mail <input name="username" type="email" value="{username}" required></label></p>
<p><label>Password <input name="password" type="password" required autofocus></label></p>
<p><button type="submit">Sign in</button></p></form>"""


class Pages:
    """The endpoints of one provider."""

    def __init__(self, provider: EmbeddedProvider) -> None:
        self._provider = provider
        self._path = urlsplit(provider.issuer).path
        self._session_cookie = f"__Host-session-{provider.port}"  # cookies know hosts and no ports: others on loopback have theirs
        self._browser_cookie = f"__Host-browser-{provider.port}"

    def routes(self) -> list[Route]:
        """Where each endpoint is."""
        return [
            Route(f"{self._path}/.well-known/openid-configuration", self.discovery),
            Route(f"{self._path}/keys", self.keys),
            Route(f"{self._path}/authorize", self.authorize),
            Route(f"{self._path}/login", self.login, methods=["POST"]),
            Route(f"{self._path}/token", self.token, methods=["POST"]),
        ]

    async def discovery(self, _: Http) -> Response:
        """OpenID Connect Discovery 1.0."""
        issuer = self._provider.issuer
        return JSONResponse(
            {
                "issuer": issuer,
                "authorization_endpoint": f"{issuer}/authorize",
                "token_endpoint": f"{issuer}/token",
                "jwks_uri": f"{issuer}/keys",
                "response_types_supported": ["code"],
                "response_modes_supported": ["query"],
                "grant_types_supported": ["authorization_code"],
                "subject_types_supported": ["public"],
                "id_token_signing_alg_values_supported": [self._provider.algorithm],
                "token_endpoint_auth_methods_supported": ["client_secret_basic", "client_secret_post", "none"],
                "code_challenge_methods_supported": ["S256"],
                "prompt_values_supported": ["none", "login"],
                "scopes_supported": ["openid", "email", "profile"],
                "claims_supported": ["sub", "auth_time", "email", "email_verified", "name", "groups"],
                "request_parameter_supported": False,
                "request_uri_parameter_supported": False,
                "authorization_response_iss_parameter_supported": True,
            }
        )

    async def keys(self, _: Http) -> Response:
        """The published keys."""
        return JSONResponse(self._provider.published())

    async def authorize(self, http: Http) -> Response:
        """Answer at once who has a session that will do; ask everybody else for the password."""
        try:
            asked = once(http.query_params.multi_items())
            self._check_client(asked)
        except Refused as refused:
            return _refusal(refused)
        try:
            return self._answer(in_order(asked), http)
        except Refused as refused:
            answer = {"error": refused.error, "error_description": refused.words}
            return self._back(asked["redirect_uri"], answer, asked.get("state"))

    def _answer(self, request: Request, http: Http) -> Response:
        session = self._provider.sessions.get(http.cookies.get(self._session_cookie, ""))
        if session is not None and self._will_do(request, session):
            return self._back(request.redirect_uri, {"code": self._provider.code(request, session)}, request.state)
        if "none" in request.prompt:
            raise Refused("login_required", "nobody has signed in lately enough")
        browser = http.cookies.get(self._browser_cookie) or secrets.token_urlsafe(24)
        return self._form(request, browser, request.login_hint or (session.person.email if session else ""))

    async def login(self, http: Http) -> Response:
        """Take the password, and lead back with a code."""
        try:
            given = await form(http)
        except Refused as refused:
            return _refusal(refused)
        browser = http.cookies.get(self._browser_cookie, "")
        waiting = self._provider.waiting.pop(given.get("request", ""), None)
        if waiting is None or not secrets.compare_digest(waiting[0], browser):
            return _refusal(Refused("invalid_request", "This form was used before, or in another browser. Begin anew."))
        request = waiting[1]
        session = self._provider.sign_in(given.get("username", ""), given.get("password", ""))
        if session is None:
            return self._form(request, browser, given.get("username", ""), "E-mail or password is wrong.")
        self._provider.sessions.pop(http.cookies.get(self._session_cookie, ""), None)
        answer = self._back(request.redirect_uri, {"code": self._provider.code(request, session)}, request.state)
        self._set_cookie(answer, self._session_cookie, session.id)
        return answer

    async def token(self, http: Http) -> Response:
        """Exchange a code for an ID token."""
        try:
            given = await form(http)
            client = self._client_of(http.headers.get("authorization", ""), given)
            grant = self._granted(given, client)
        except Refused as refused:
            return _json({"error": refused.error, "error_description": refused.words}, refused.status)
        access = secrets.token_urlsafe(32)  # opens nothing: there is no endpoint that takes it
        return _json({"access_token": access, "token_type": "Bearer", "expires_in": 60, "id_token": self._provider.token_for(grant)})

    def _granted(self, given: Mapping[str, str], client: str) -> Grant:
        if given.get("grant_type") != "authorization_code":
            raise Refused("unsupported_grant_type", "this provider grants for authorization codes alone")
        grant = self._provider.spend(given.get("code", ""))
        if grant is None or (grant.request.redirect_uri, grant.request.client) != (given.get("redirect_uri"), client):
            raise Refused("invalid_grant", "no such code for this address: unknown, used or too old")
        if not secrets.compare_digest(challenge(given.get("code_verifier", "")), grant.request.challenge):
            raise Refused("invalid_grant", "the code_verifier is not the one of the request")
        return grant

    def _check_client(self, asked: Mapping[str, str]) -> None:
        client, address = asked.get("client_id"), asked.get("redirect_uri", "")
        if client not in {self._provider.client_id, self._provider.public_client_id}:
            raise Refused("invalid_client", "no such client")
        public = client == self._provider.public_client_id
        allowed = self._provider.loopback_uris if public else self._provider.redirect_uris
        if (without_port(address) if public else address) not in allowed:
            raise Refused("invalid_request", "this client has no such redirect_uri")

    def _client_of(self, header: str, given: Mapping[str, str]) -> str:
        """The client that shows a code: by its secret, or the public one, which has none."""
        client, secret = given.get("client_id", ""), given.get("client_secret", "")
        if not header and not secret and client == self._provider.public_client_id:
            return client
        kind, _, encoded = header.partition(" ")
        if kind.lower() == "basic":
            try:
                named, _, shown = base64.b64decode(encoded, validate=True).decode().partition(":")
            except ValueError:
                raise Refused("invalid_client", "the Authorization header is not Basic", 401) from None
            client, secret = unquote_plus(named), unquote_plus(shown)
        known = secrets.compare_digest(client.encode(), self._provider.client_id.encode())
        if not secrets.compare_digest(secret.encode(), self._provider.client_secret.encode()) or not known:
            raise Refused("invalid_client", "client_id or client_secret is wrong", 401)
        return client

    def _will_do(self, request: Request, session: Session) -> bool:
        if Lie.UNASKED in self._provider.lies:
            return True
        fresh = request.max_age is None or time.time() - session.auth_time <= request.max_age
        return fresh and not request.prompt & {"login", "select_account"} and request.max_age != 0

    def _back(self, redirect_uri: str, answer: dict[str, str], state: str | None) -> Response:
        if Lie.SILENT_ISSUER not in self._provider.lies:
            answer |= {"iss": ELSEWHERE if Lie.MIXED_UP in self._provider.lies else self._provider.issuer}
        if state is not None:
            answer |= {"state": state}
        separator = "&" if urlsplit(redirect_uri).query else "?"
        return RedirectResponse(f"{redirect_uri}{separator}{urlencode(answer)}", 303, headers=_headers())

    def _form(self, request: Request, browser: str, username: str, message: str = "") -> Response:
        handle = self._provider.wait_for_login(browser, request)
        said = f'<p role="alert">{html.escape(message)}</p>' if message else ""
        content = _FORM.format(message=said, action=f"{self._path}/login", handle=handle, username=html.escape(username))
        target = urlsplit(request.redirect_uri)
        # The policy holds for where a form leads on to as well.
        page = _page("Sign in to the bank", content, form_action=f"'self' {target.scheme}://{target.netloc}")
        self._set_cookie(page, self._browser_cookie, browser)
        return page

    def _set_cookie(self, response: Response, name: str, value: str) -> None:
        response.set_cookie(name, value, path="/", secure=True, httponly=True, samesite="lax")


def application(provider: EmbeddedProvider) -> Starlette:
    """The provider's web application."""
    return Starlette(routes=Pages(provider).routes())


def _headers(form_action: str = "'none'") -> dict[str, str]:
    policy = f"default-src 'none'; base-uri 'none'; frame-ancestors 'none'; form-action {form_action}"
    return {
        "Cache-Control": "no-store",
        "Content-Security-Policy": policy,
        "Referrer-Policy": "no-referrer",
        "X-Content-Type-Options": "nosniff",
    }


def _page(title: str, content: str, status: int = 200, **policy: str) -> Response:
    return HTMLResponse(_PAGE.format(title=title, content=content), status, headers=_headers(**policy))


def _refusal(refused: Refused) -> Response:
    return _page("This sign-in cannot go on", f"<p>{html.escape(refused.words)}</p>", refused.status)


def _json(answer: dict[str, object], status: int = 200) -> Response:
    headers = {"Cache-Control": "no-store"} | ({"WWW-Authenticate": "Basic"} if status == 401 else {})
    return JSONResponse(answer, status, headers=headers)
