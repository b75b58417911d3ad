"""`Provider`: what an identity provider is to tests and the demo, whoever plays it (`idp.EmbeddedProvider`, `keycloak.Keycloak`).

Rules:

1. It answers on the loopback interface alone, over TLS by an authority of its own: `ca` is the only thing that a client need trust.
2. It knows the people of `controlplane.people`, and one client, whose redirect addresses are those that `allow` was told, and no others.
   A second client is a public one, for programs at a terminal: people are led back to the loopback addresses that `allow_public` was told,
   on any port (RFC 8252, section 7.3).
3. Its id, its secret and the people's subjects are the same everywhere, so that a test runs at either provider.
"""

from __future__ import annotations

import ssl
from abc import ABC, abstractmethod
from typing import TYPE_CHECKING, Any, Final, Self

import httpx

from controlplane.people import PEOPLE

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path
    from types import TracebackType

    from controlplane.people import Person

CLIENT_ID: Final = "signoff"
PUBLIC_CLIENT_ID: Final = "signoff-cli"
CLIENT_SECRET: Final = "of-a-provider-on-loopback"  # noqa: S105 - a throw-away provider's
ANSWER_SECONDS: Final = 30.0


class Provider(ABC):
    """An OpenID provider for as long as a `with` block lasts; see the module's rules."""

    client_id: str = CLIENT_ID
    client_secret: str = CLIENT_SECRET
    public_client_id: str = PUBLIC_CLIENT_ID
    people: Mapping[str, Person] = PEOPLE

    def __enter__(self) -> Self:
        try:
            self.start()
        except BaseException:
            self.stop()
            raise
        return self

    def __exit__(self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None) -> None:
        self.stop()

    @property
    @abstractmethod
    def issuer(self) -> str:
        """What its tokens name as `iss`, and where its discovery document lies; the same after a restart."""

    @property
    @abstractmethod
    def ca(self) -> Path:
        """The authority of its serving certificate, as PEM."""

    @abstractmethod
    def start(self) -> None:
        """Start it, unless it runs, and return when it takes requests."""

    @abstractmethod
    def stop(self) -> None:
        """End it. Keys and accounts stay for the next start."""

    @abstractmethod
    def allow(self, redirect_uri: str) -> None:
        """Let the client be answered at this address, exactly, besides those allowed before."""

    @abstractmethod
    def allow_public(self, redirect_uri: str) -> None:
        """Have the public client, and let it be answered at this loopback address, which names no port, on any port."""

    @abstractmethod
    def end_sessions(self, email: str) -> None:
        """Sign a person out everywhere: whoever asks next is asked for the password."""

    @abstractmethod
    def rotate_key(self) -> None:
        """Sign with a new key from now on. The old one stays published, and what it signed verifies."""

    def http(self) -> httpx.Client:
        """A client that trusts this provider and no other server; it follows no redirects."""
        context = ssl.create_default_context(cafile=str(self.ca))
        return httpx.Client(verify=context, timeout=ANSWER_SECONDS, trust_env=False)

    def discovery(self) -> dict[str, Any]:
        """What it says of itself, asked now."""
        return self._get(f"{self.issuer}/.well-known/openid-configuration")

    def jwks(self) -> dict[str, Any]:
        """The keys that it publishes, asked now."""
        return self._get(str(self.discovery()["jwks_uri"]))

    def _get(self, url: str) -> dict[str, Any]:
        with self.http() as client:
            answer: dict[str, Any] = client.get(url).raise_for_status().json()
        return answer
