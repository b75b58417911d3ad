"""The processes' configuration: one strict YAML file each. An unknown field is an error, so that a slip of the pen opens nothing."""

from __future__ import annotations

from ipaddress import IPv4Network, IPv6Network, ip_network
from pathlib import Path
from typing import Annotated, Self, TypeVar

from pydantic import Field, StringConstraints, field_validator, model_validator

from signoff.decision.principals import Issuer
from signoff.errors import SignoffError
from signoff.gate.reference import parse_repository_pattern
from signoff.gate.verdict import Exemption
from signoff.manifests import one_mapping
from signoff.record.canonical import dumps
from signoff.record.freeze import Identity
from signoff.record.seal import Origin
from signoff.record.values import Closed, DigestField, Label, Line, parse

Network = IPv4Network | IPv6Network


class Listener(Closed):
    """An address to listen on."""

    host: Line = "0.0.0.0"  # noqa: S104 - inside a Pod the kubelet and the API server come from outside
    port: Annotated[int, Field(ge=0, le=65535)]


class Common(Closed):
    """What every process is told: its cluster, the archive, and the digest of the active trust file. ``metrics`` is where it answers
    Prometheus, in plain HTTP; without it, nowhere.
    """

    cluster: Label
    archive: Line
    trust: DigestField
    kubeconfig: Line | None = None
    metrics: Listener | None = None


class Door(Listener):
    """The seal's door. ``clientCa`` is the CA of the API server's client certificate, and of nobody else's; ``clientNames`` are the common
    names that the certificate may bear, so that a CA of more than the API server does not open the door to all of its clients.
    """

    clientCa: Line
    clientNames: Annotated[tuple[Line, ...], Field(min_length=1, max_length=16)]


class Tls(Closed):
    """The serving certificate and its key, as files."""

    certificate: Line
    key: Line


def _anchored(exemptions: tuple[Exemption, ...]) -> tuple[Exemption, ...]:
    for exemption in exemptions:
        try:
            parse_repository_pattern(exemption.repository)
        except SignoffError as error:
            raise ValueError(str(error)) from None
    return exemptions


class GateSettings(Closed):
    """What the gate lets pass besides promoted models, and the folder in which it keeps what it verified for a restart (none: nowhere)."""

    exemptions: tuple[Exemption, ...] = ()
    cache: Annotated[Line, StringConstraints(pattern=r"^/")] | None = None

    _anchored = field_validator("exemptions")(_anchored)


class IdentityProviderSettings(Closed):
    """An OpenID provider, as this process reaches it. ``usernamePrefix`` is the API server's (``--oidc-username-prefix``); ``jwks`` is the
    address of its keys, ``ca`` a file with the CA of its certificate, if that is no public one. What its tokens prove the trust file says.
    """

    issuer: Annotated[str, StringConstraints(pattern=r"^https://[!-~]{1,500}$")]
    jwks: Annotated[str, StringConstraints(pattern=r"^https://[!-~]{1,1000}$")]
    usernamePrefix: Annotated[str, StringConstraints(max_length=256)] = ""
    ca: Line | None = None


class WebhookConfig(Common):
    """The webhook: the gate, and the seal's door. Without ``door`` this process only gates, and has no key to sign with.

    ``pendingPerNamespace`` bounds the requests without an outcome that one namespace may hold.
    ``sealKey`` is a private key's file, or a key in a key service: ``awskms:///KEY?region=NAME``.
    ``identityProviders`` are those whose ID tokens decisions may bring along, ``portals`` the accounts that bring those of others;
    ``passkeyOrigins`` are the addresses of portals at which people use passkeys (none: nobody can register one).
    ``drainSeconds`` is how long it goes on serving after SIGTERM while readiness says no.
    """

    tls: Tls
    gateListener: Listener
    door: Door | None = None
    sealKey: Line | None = None
    issuers: Annotated[tuple[Issuer, ...], Field(min_length=1)] | None = None
    identityProviders: Annotated[tuple[IdentityProviderSettings, ...], Field(max_length=16)] = ()
    portals: Annotated[tuple[Identity, ...], Field(max_length=16)] = ()
    passkeyOrigins: Annotated[tuple[Origin, ...], Field(max_length=8)] = ()
    gate: GateSettings = GateSettings()
    replicas: Annotated[int, Field(ge=1, le=100)] = 1
    pendingPerNamespace: Annotated[int, Field(ge=1, le=10_000)] = 100
    drainSeconds: Annotated[int, Field(ge=0, le=60)] = 5

    @model_validator(mode="after")
    def _door_is_whole(self) -> Self:
        given = [self.door is not None, self.sealKey is not None, self.issuers is not None]
        if any(given) and not all(given):
            raise ValueError("door, sealKey and issuers go together: name all of them, or none and only gate")
        return self


class ExplanationSource(Closed):
    """An allowed prefix of https:// addresses; ``addresses`` opens networks that are not on the public internet."""

    prefix: Annotated[str, StringConstraints(pattern=r"^https://[a-z0-9.-]+(:[0-9]{1,5})?/([!-~]*/)?$")]
    addresses: tuple[Line, ...] = ()

    @field_validator("addresses")
    @classmethod
    def _networks(cls, addresses: tuple[str, ...]) -> tuple[str, ...]:
        for address in addresses:
            ip_network(address)
        return addresses


class ExplanationSettings(Closed):
    """Where explanations may be fetched from. ``clusterAddresses`` (Pod and Service networks) are never reached."""

    sources: tuple[ExplanationSource, ...] = ()
    clusterAddresses: tuple[Line, ...] = ()
    ca: Line | None = None
    maxBytes: Annotated[int, Field(ge=1, le=10 * 1024 * 1024)] = 10 * 1024 * 1024
    timeoutSeconds: Annotated[int, Field(ge=1, le=60)] = 10

    @field_validator("clusterAddresses")
    @classmethod
    def _networks(cls, addresses: tuple[str, ...]) -> tuple[str, ...]:
        for address in addresses:
            ip_network(address)
        return addresses


class AuditSettings(Closed):
    """The audit of what runs. ``exemptions`` are the gate's; ``reports`` says whether Reports are written where the cluster serves them."""

    everyMinutes: Annotated[int, Field(ge=1, le=24 * 60)] = 60
    reports: bool = True
    exemptions: tuple[Exemption, ...] = ()

    _anchored = field_validator("exemptions")(_anchored)


class OperatorConfig(Common):
    """The operator: freezes, commits, reports. ``eventKey`` is a private key's file, or ``awskms:///KEY?region=NAME``. Without ``audit``
    it does not look at what runs.
    """

    eventKey: Line
    explanations: ExplanationSettings = ExplanationSettings()
    audit: AuditSettings | None = None
    resyncSeconds: Annotated[int, Field(ge=1, le=3600)] = 30
    liveness: Listener | None = None


class EngineConfig(Common):
    """The policy engine: it reads the archive, and has no key to sign with."""

    resyncSeconds: Annotated[int, Field(ge=1, le=3600)] = 30
    liveness: Listener | None = None


class PortalProvider(Closed):
    """The identity provider with which people sign in to the portal; the trust file names it, and this client among its clients.

    ``clientSecret`` is a file. ``usernamePrefix`` is the API server's (``--oidc-username-prefix``), so that both mean the same people.
    """

    issuer: Annotated[str, StringConstraints(pattern=r"^https://[!-~]{1,500}$")]
    clientId: Line
    clientSecret: Line
    usernamePrefix: Annotated[str, StringConstraints(max_length=256)] = ""
    ca: Line | None = None


class PortalConfig(Common):
    """The portal: it reads the archive, and has no key to sign with. ``url`` is its own address, as browsers name it."""

    url: Annotated[str, StringConstraints(pattern=r"^https://[a-z0-9.-]+(:[0-9]{1,5})?$")]
    listener: Listener
    tls: Tls
    provider: PortalProvider


Config = TypeVar("Config", bound=Closed)


def read_config(model: type[Config], path: Path) -> Config:
    """Return the configuration in a file; `SignoffError` names the first field that is wrong."""
    try:
        data = path.read_bytes()
    except OSError as error:
        raise SignoffError(f"cannot be read: {error.strerror}", where=str(path), mend="name the file with --config") from None
    return parse(model, dumps(one_mapping(data, str(path))), str(path))
