"""The one place that resolves who somebody is, from what the API server says of them.

1. Admission's ``userInfo`` has no issuer: a configured map of issuers gives it, by the prefix of the username and the kind of credential
   (``authentication.kubernetes.io/credential-id``: ``X509SHA256=…`` for a client certificate, ``JTI=…`` for a token).
2. What the map does not name, names twice, or leaves with an empty subject is nobody, and nobody decides nothing.
3. ``system:`` names belong to the cluster; only an issuer whose prefix begins with ``system:`` speaks for them.
4. A ``service`` may submit; only a ``person`` may approve.
5. Under impersonation the API server passes the impersonated user alone, and without a credential id unless the impersonator may set
   extras. An issuer that asks for a credential therefore refuses plain impersonation.

Source: Kubernetes, AuthenticationV1 UserInfo; KEP-4193 for the credential id.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Annotated, Final, Literal, Self

from pydantic import Field, StringConstraints, model_validator

from signoff.errors import SignoffError
from signoff.record.canonical import Json, dumps
from signoff.record.freeze import Principal
from signoff.record.values import Closed, Line, RecordError, parse

SERVICE_ACCOUNTS: Final = "system:serviceaccount:"
CREDENTIAL: Final = "authentication.kubernetes.io/credential-id"
_METHODS: Final = {"X509SHA256": "client-certificate", "JTI": "token", "any": "api-server"}


class Nobody(SignoffError):
    """The API server's word does not lead to a principal."""


class Issuer(Closed):
    """Who vouches for a kind of username. ``usernamePrefix`` is cut off; what remains is the subject."""

    issuer: Line
    usernamePrefix: Annotated[str, StringConstraints(max_length=256)] = ""
    credential: Literal["X509SHA256", "JTI", "any"]
    kind: Literal["person", "service"]
    nameExtra: Line | None = None

    @model_validator(mode="after")
    def _services_are_no_people(self) -> Self:
        if self.usernamePrefix.startswith("system:") and (self.kind, self.usernamePrefix) != ("service", SERVICE_ACCOUNTS):
            raise ValueError(f"of system: names only {SERVICE_ACCOUNTS} can be mapped, as a whole, and their kind is service")
        return self


class IssuerMap(Closed):
    """The issuers of a cluster's principals."""

    issuers: Annotated[tuple[Issuer, ...], Field(min_length=1, max_length=64)]


@dataclass(frozen=True)
class Resolved:
    """A principal, how they showed who they are, and the groups that the API server says they are in."""

    principal: Principal
    kind: Literal["person", "service"]
    method: str
    username: str
    groups: tuple[str, ...]


def resolve(user: Mapping[str, Json], issuers: Sequence[Issuer]) -> Resolved:
    """Return the principal of an admission review's ``userInfo``; `Nobody` says why there is none (rules 1 to 3)."""
    username = user.get("username")
    if not isinstance(username, str) or not username:
        raise Nobody("the API server names no user", where="userInfo.username", mend="sign in")
    extra = _extra(user)
    found = [one for one in issuers if _speaks_for(one, username, extra)]
    longest = max((len(one.usernamePrefix) for one in found), default=0)
    found = [one for one in found if len(one.usernamePrefix) == longest]
    if len(found) != 1:
        why = "no configured issuer vouches for" if not found else "several configured issuers vouch for"
        raise Nobody(
            f"{why} user {username[:200]!r} with this kind of credential",
            where="userInfo",
            mend="ask an administrator of signoff to map their issuer",
        )
    return _resolved(found[0], user, username, extra)


def _resolved(issuer: Issuer, user: Mapping[str, Json], username: str, extra: Mapping[str, tuple[str, ...]]) -> Resolved:
    subject = username.removeprefix(issuer.usernamePrefix)
    printed = extra.get(issuer.nameExtra, ()) if issuer.nameExtra else ()
    groups = user.get("groups") or ()
    try:
        value: Json = {"issuer": issuer.issuer, "subject": subject, "name": printed[0] if len(printed) == 1 else subject}
        principal = parse(Principal, dumps(value), "userInfo")
    except RecordError as error:
        raise Nobody(f"{username[:200]!r} cannot be written into a record: {error.what}", where=error.where) from None
    if subject != subject.strip():
        raise Nobody(f"the subject {subject[:200]!r} begins or ends with white space", where="userInfo.username")
    if not isinstance(groups, Sequence) or isinstance(groups, str) or not all(isinstance(group, str) for group in groups):
        raise Nobody("the groups are not a list of names", where="userInfo.groups")
    return Resolved(principal, issuer.kind, _METHODS[issuer.credential], username, tuple(str(group) for group in groups))


def _speaks_for(issuer: Issuer, username: str, extra: Mapping[str, tuple[str, ...]]) -> bool:
    if not username.startswith(issuer.usernamePrefix):
        return False
    if username.startswith("system:") and not issuer.usernamePrefix.startswith("system:"):
        return False
    if issuer.credential == "any":
        return True
    shown = extra.get(CREDENTIAL, ())
    return len(shown) == 1 and shown[0].startswith(f"{issuer.credential}=")


def _extra(user: Mapping[str, Json]) -> dict[str, tuple[str, ...]]:
    extra = user.get("extra") or {}
    if not isinstance(extra, Mapping):
        raise Nobody("extra is no object", where="userInfo.extra")
    result: dict[str, tuple[str, ...]] = {}
    for key, values in extra.items():
        if isinstance(values, Sequence) and not isinstance(values, str) and all(isinstance(value, str) for value in values):
            result[key] = tuple(str(value) for value in values)
    return result
