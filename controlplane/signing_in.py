"""Signing a person in at a `Provider`, as the portal's visitors do: by its forms without a browser, or in Chromium.

A `Forms` or a `Chromium` is one browser: it keeps its cookies, so that the second sign-in finds a session, or is asked anew.
The client's address need not be served: the answer is caught on its way there, and the code exchanged here, with PKCE.

    provider.allow("https://127.0.0.1:9/callback")
    with Forms(provider) as browser:
        token = browser.sign_in(CARLA, Asked("https://127.0.0.1:9/callback", nonce="…", prompt="login")).id_token
"""

from __future__ import annotations

import base64
import hashlib
import os
import secrets
from abc import ABC, abstractmethod
from contextlib import suppress
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final, Self
from urllib.parse import parse_qsl, urlencode, urljoin, urlsplit

from lxml import html  # type: ignore[import-untyped]
from playwright.sync_api import Error, sync_playwright

from controlplane.errors import ControlPlaneError

if TYPE_CHECKING:
    from types import TracebackType

    import httpx
    from playwright.sync_api import Page, Request

    from controlplane.oidc import Provider

HOPS: Final = 20
BROWSER_MILLISECONDS: Final = 30_000
CHROMIUM: Final = os.environ.get("SIGNOFF_CHROMIUM", "/usr/bin/chromium")
ARGUMENTS: Final = (
    "--no-sandbox",
    "--disable-gpu",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--no-first-run",
)


class SignInError(ControlPlaneError):
    """The provider did not lead back with a code, or gave no token for it."""


@dataclass(frozen=True)
class Asked:
    """An authorization request of the client; `verifier` is PKCE's, and `prompt`, `max_age` and `login_hint` are left out when None."""

    redirect_uri: str
    nonce: str = field(default_factory=lambda: secrets.token_urlsafe(24))
    prompt: str | None = None
    max_age: int | None = None
    login_hint: str | None = None
    state: str = field(default_factory=lambda: secrets.token_urlsafe(24))
    verifier: str = field(default_factory=lambda: secrets.token_urlsafe(48))

    def parameters(self, client_id: str) -> dict[str, str]:
        """What the browser carries to the provider."""
        challenge = base64.urlsafe_b64encode(hashlib.sha256(self.verifier.encode()).digest()).rstrip(b"=").decode()
        optional = {"prompt": self.prompt, "max_age": self.max_age, "login_hint": self.login_hint}
        return {
            "client_id": client_id,
            "response_type": "code",
            "scope": "openid email profile",
            "redirect_uri": self.redirect_uri,
            "nonce": self.nonce,
            "state": self.state,
            "code_challenge": challenge,
            "code_challenge_method": "S256",
        } | {name: str(value) for name, value in optional.items() if value is not None}

    def url(self, provider: Provider) -> str:
        """Where the browser begins."""
        return f"{provider.discovery()['authorization_endpoint']}?{urlencode(self.parameters(provider.client_id))}"


@dataclass(frozen=True)
class SignedIn:
    """What came of it: the answer's parameters as the client got them, and whether a password was asked for."""

    answer: dict[str, str]
    was_asked: bool
    id_token: str


def exchange(provider: Provider, code: str, redirect_uri: str, verifier: str, secret: str | None = None) -> httpx.Response:
    """Show the code at the token endpoint, as the client does, or with another `secret`; the answer is left to the caller."""
    given = {"grant_type": "authorization_code", "code": code, "redirect_uri": redirect_uri, "code_verifier": verifier}
    with provider.http() as client:
        return client.post(provider.discovery()["token_endpoint"], data=given, auth=(provider.client_id, secret or provider.client_secret))


class Visitor(ABC):
    """One browser, with its cookies, at one provider."""

    def __init__(self, provider: Provider) -> None:
        self.provider = provider

    @abstractmethod
    def lead(self, url: str, email: str, back_to: str) -> tuple[str, bool]:
        """Go from `url` through the provider's pages until the browser is sent to `back_to`.

        Gives the address that it was sent to, with its query, and whether a password was asked for. Raises SignInError.
        """

    def sign_in(self, email: str, asked: Asked) -> SignedIn:
        """Sign somebody in and exchange the code. Raises SignInError."""
        sent_to, was_asked = self.lead(asked.url(self.provider), email, asked.redirect_uri)
        answer = dict(parse_qsl(urlsplit(sent_to).query))
        if "code" not in answer:
            raise SignInError(f"{email} comes back without a code: {answer}")
        response = exchange(self.provider, answer["code"], asked.redirect_uri, asked.verifier)
        if response.status_code != 200:
            raise SignInError(f"the code of {email} is worth nothing: {response.status_code} {response.text}")
        return SignedIn(answer, was_asked, response.json()["id_token"])


class Forms(Visitor):
    """A browser without a screen or scripts: it follows redirects and fills in forms."""

    def __enter__(self) -> Self:
        self._client = self.provider.http()
        return self

    def __exit__(self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None) -> None:
        self._client.close()

    def lead(self, url: str, email: str, back_to: str) -> tuple[str, bool]:
        """See `Visitor`."""
        was_asked = False
        response = self._client.get(url)
        for _ in range(HOPS):
            if response.has_redirect_location:
                url = urljoin(str(response.url), response.headers["location"])
                if _is_at(url, back_to):
                    return url, was_asked
                response = self._client.get(url)
            else:
                if was_asked:
                    raise SignInError(f"{email} is asked again at {response.url}: {_words(response.text)}")
                response, was_asked = self._fill_in(response, email), True
        raise SignInError(f"{email} is sent around more than {HOPS} times, at last to {url}")

    def _fill_in(self, response: httpx.Response, email: str) -> httpx.Response:
        page = html.fromstring(response.text)
        form = next((form for form in page.forms if form.xpath(".//input[@type='password']")), None)
        if form is None:
            raise SignInError(f"no password is asked for at {response.url}, which answers {response.status_code}: {_words(response.text)}")
        given = dict(form.form_values()) | {"password": self.provider.people[email].password}
        if "username" in form.fields:  # who signs in again is asked for the password alone
            given["username"] = email
        return self._client.post(urljoin(str(response.url), form.action), data=given)


class Chromium(Visitor):
    """The real browser. It takes the provider's certificate unseen: whom the client trusts is asked by `Forms` and `exchange`."""

    def __enter__(self) -> Self:
        self._playwright = sync_playwright().start()
        try:
            self._browser = self._playwright.chromium.launch(executable_path=CHROMIUM, args=[*ARGUMENTS])
        except BaseException:
            self._playwright.stop()
            raise
        self.page = self._browser.new_context(ignore_https_errors=True).new_page()
        self.page.set_default_timeout(BROWSER_MILLISECONDS)
        return self

    def __exit__(self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None) -> None:
        self._browser.close()
        self._playwright.stop()

    def lead(self, url: str, email: str, back_to: str) -> tuple[str, bool]:
        """See `Visitor`. Nobody need listen at `back_to`: the request for it is seen, and its failure does not matter."""
        sent_to: list[str] = []

        def note(request: Request) -> None:
            if _is_at(request.url, back_to):
                sent_to.append(request.url)

        self.page.on("request", note)
        try:
            with suppress(Error):  # where nobody listens at the end the navigation fails
                self.page.goto(url)
            was_asked = not sent_to
            if was_asked:
                with suppress(Error):
                    fill_in(self.page, email, self.provider.people[email].password)
                    self.page.wait_for_load_state()
            for _ in range(HOPS):
                if sent_to:
                    return sent_to[0], was_asked
                self.page.wait_for_timeout(100)
            words = f"the page at {self.page.url} says {_words(self.page.content())}"
        finally:
            self.page.remove_listener("request", note)
            with suppress(Error):  # else Chromium tries the address again by itself, with the old code
                self.page.goto("about:blank")
        raise SignInError(f"{email} is not led back: {words}")


def fill_in(page: Page, email: str, password: str) -> None:
    """Answer the login form that this page of Chromium shows, at either provider."""
    username = page.locator("input[name=username]:visible")
    page.locator("input[name=password]:visible").wait_for()
    if username.count():
        username.fill(email)
    page.locator("input[name=password]:visible").fill(password)
    page.locator("form:has(input[name=password]) [type=submit]").click()


def _is_at(url: str, address: str) -> bool:
    return url.split("?", maxsplit=1)[0].split("#", maxsplit=1)[0] == address.split("?", maxsplit=1)[0]


def _words(page: str) -> str:
    return " ".join(str(html.fromstring(page).text_content()).split())[:300]
