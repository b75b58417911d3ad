"""The bank's realm as Keycloak imports it: its people, their groups, and the one client."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from controlplane.oidc import CLIENT_ID, CLIENT_SECRET
from controlplane.people import PEOPLE

if TYPE_CHECKING:
    from controlplane.people import Person

REALM: Final = "bank"


def realm() -> dict[str, Any]:
    """The realm, as a document of Keycloak's import."""
    return {
        "realm": REALM,
        "enabled": True,
        "sslRequired": "all",
        "bruteForceProtected": False,
        "groups": [{"name": name} for name in sorted({group for person in PEOPLE.values() for group in person.groups})],
        "users": [_user(person) for person in PEOPLE.values()],
        "clients": [_client()],
    }


def _user(person: Person) -> dict[str, Any]:
    return {
        "id": person.subject,
        "username": person.email,
        "email": person.email,
        "emailVerified": True,
        "enabled": True,
        "firstName": person.first_name,
        "lastName": person.name.removeprefix(person.first_name).strip(),  # without one the account is to be completed first
        "groups": [f"/{group}" for group in person.groups],
        "credentials": [{"type": "password", "value": person.password, "temporary": False}],
    }


def _client() -> dict[str, Any]:
    return {
        "clientId": CLIENT_ID,
        "enabled": True,
        "publicClient": False,
        "secret": CLIENT_SECRET,
        "standardFlowEnabled": True,
        "directAccessGrantsEnabled": False,
        "redirectUris": [],  # `allow` adds them: an address is allowed letter by letter
        "attributes": {"pkce.code.challenge.method": "S256"},
        "protocolMappers": _mappers(),
    }


def public_client(client_id: str, redirect_uri: str) -> dict[str, Any]:
    """A public client for programs at a terminal, as a document of the administration. Of a loopback address that names no port Keycloak
    allows every port.
    """
    return {
        "clientId": client_id,
        "enabled": True,
        "publicClient": True,
        "standardFlowEnabled": True,
        "directAccessGrantsEnabled": False,
        "redirectUris": [redirect_uri],
        "attributes": {"pkce.code.challenge.method": "S256"},
        "protocolMappers": _mappers(),
    }


def _mappers() -> list[dict[str, Any]]:
    return [
        {
            "name": "groups",
            "protocol": "openid-connect",
            "protocolMapper": "oidc-group-membership-mapper",
            "config": {"claim.name": "groups", "full.path": "false", "id.token.claim": "true", "access.token.claim": "false"},
        }
    ]
