"""`Keycloak`: a real identity provider as one plain process, for tests; `keycloak_dist` says where it comes from,
`keycloak_java` how it is run.

Rules:

1. It listens on the loopback interface alone, over TLS, and joins no cluster.
2. Realm, people and client are those of `keycloak_realm`. Each `Keycloak` has data of its own, copied from the prepared ones: two on a
   machine begin with the same keys, and differ in their issuer.
3. What was changed survives `stop` and `start`; the port stays, and with it the issuer.
4. It counts `max_age` in whole seconds: a login that is up to a second older still passes.
5. Java runs without Keycloak's shell script, in a heap of 512 MiB, and is ended by its id.
"""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any, Final

from joserfc.jwk import RSAKey

from controlplane.errors import ComponentError
from controlplane.keycloak_dist import ADMIN, admin_password, keycloak, lay_out
from controlplane.keycloak_java import is_ready, java_command, start_arguments
from controlplane.keycloak_realm import REALM, public_client
from controlplane.oidc import Provider
from controlplane.pki import Authority
from controlplane.ports import LOOPBACK, free_ports
from controlplane.processes import Component

if TYPE_CHECKING:
    from pathlib import Path

READY_SECONDS: Final = 180.0
PROBE_SECONDS: Final = 0.1
GRACE_SECONDS: Final = 15.0
_KEYS: Final = "org.keycloak.keys.KeyProvider"
_PRIORITY: Final = 100  # what the realm was made with has this one


class Keycloak(Provider):
    """Keycloak beneath the folder `work`, for as long as a `with` block lasts; see the module's rules.

    `seconds_to_start` is how long its last start took.
    """

    def __init__(self, work: Path) -> None:
        self._work = work
        self._folder = keycloak()
        self._authority = Authority("identity", work / "pki")
        self._serving = self._authority.serving("keycloak", [LOOPBACK])
        self.port, self._health = free_ports(2)
        self._root = f"https://{LOOPBACK}:{self.port}"
        self._rotations = 0
        self.seconds_to_start = 0.0
        home = work / "home"
        arguments = start_arguments(self._root, self.port, self._health, self._serving.certificate, self._serving.key)
        self._server = Component("keycloak", java_command(self._folder, home, *arguments), work / "keycloak.log")
        lay_out(self._folder, home)

    @property
    def issuer(self) -> str:
        """See `Provider`."""
        return f"{self._root}/realms/{REALM}"

    @property
    def ca(self) -> Path:
        """See `Provider`."""
        return self._authority.path

    @property
    def pid(self) -> int:
        """Java's process id. Raises ComponentError if it does not run."""
        return self._server.pid

    def start(self) -> None:
        """See `Provider`. Raises ComponentError if it does not come up."""
        begun = time.monotonic()
        self._server.start()
        while not is_ready(self._health):
            if (why := self._server.ended_by_itself()) is not None:
                raise ComponentError(why)
            if time.monotonic() > begun + READY_SECONDS:
                self.stop()
                raise ComponentError(f"keycloak is not ready after {READY_SECONDS:.0f} s; its log is {self._server.log}")
            time.sleep(PROBE_SECONDS)
        self.seconds_to_start = time.monotonic() - begun

    def stop(self) -> None:
        """See `Provider`."""
        self._server.stop(GRACE_SECONDS)

    def allow(self, redirect_uri: str) -> None:
        """See `Provider`."""
        [client] = self._admin("GET", f"clients?clientId={self.client_id}")
        if redirect_uri not in client["redirectUris"]:
            self._admin("PUT", f"clients/{client['id']}", client | {"redirectUris": [*client["redirectUris"], redirect_uri]})

    def allow_public(self, redirect_uri: str) -> None:
        """See `Provider`. The client is made when the first address is allowed: the prepared realm does without."""
        found = self._admin("GET", f"clients?clientId={self.public_client_id}")
        if not found:
            self._admin("POST", "clients", public_client(self.public_client_id, redirect_uri))
        elif redirect_uri not in found[0]["redirectUris"]:
            added = [*found[0]["redirectUris"], redirect_uri]
            self._admin("PUT", f"clients/{found[0]['id']}", found[0] | {"redirectUris": added})

    def end_sessions(self, email: str) -> None:
        """See `Provider`."""
        self._admin("POST", f"users/{self.people[email].subject}/logout")

    def rotate_key(self) -> None:
        """See `Provider`. The new key outranks the old one, which becomes passive."""
        self._rotations += 1
        signing = ("rsa-generated", "rsa")
        for key in self._admin("GET", f"components?type={_KEYS}"):
            if key["providerId"] in signing:
                self._admin("PUT", f"components/{key['id']}", key | {"config": key["config"] | {"active": ["false"]}})
        pem = RSAKey.generate_key(2048).as_pem(private=True).decode()  # made here: the server takes seconds for one
        config = {
            "privateKey": pem,
            "algorithm": "RS256",
            "priority": str(_PRIORITY + self._rotations),
            "active": "true",
            "enabled": "true",
        }
        new = {"name": f"rotated-{self._rotations}", "providerId": "rsa", "providerType": _KEYS}
        self._admin("POST", "components", new | {"config": {name: [value] for name, value in config.items()}})

    def _admin(self, method: str, path: str, document: object = None) -> Any:
        """Ask the administration of the realm. Raises ComponentError in Keycloak's words."""
        login = {"client_id": "admin-cli", "grant_type": "password", "username": ADMIN, "password": admin_password(self._folder)}
        with self.http() as client:
            token = client.post(f"{self._root}/realms/master/protocol/openid-connect/token", data=login).raise_for_status().json()
            authorization = {"Authorization": f"Bearer {token['access_token']}"}
            url = f"{self._root}/admin/realms/{REALM}/{path}"
            response = client.request(method, url, json=document, headers=authorization)
        if response.is_error:
            raise ComponentError(f"keycloak refuses {method} {url}: {response.status_code} {response.text}")
        return response.json() if response.content else None
