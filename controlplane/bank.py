"""A bank's cluster: signoff installed by its chart on the control plane, its two processes on loopback, and the people who work there.

1. Nobody acts as system:masters but the installer: each person has a client certificate, each process its ServiceAccount's token, and the
   roles are the chart's.
2. The API server shows its client certificate to the seal's door, which serves nobody else.
3. Processes are ended by their id, the webhook and the operator before the control plane.
4. An archive in S3 is a real store. `signoff init` proves its bucket with the administrator's keys; webhook and operator hold the writer's,
   people the reader's.
5. Of several webhooks and operators the first bears the plain name, the others a number (`webhook-2`). In front of several webhooks
   stands a balancer, as their Service would.
"""

from __future__ import annotations

import base64
import http.client
import os
import ssl
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack
from pathlib import Path
from types import TracebackType
from typing import Any, Final, Literal, Self

import yaml
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat, PublicFormat

from controlplane.balancer import Balancer
from controlplane.clock import CLOCKS
from controlplane.cluster import ControlPlane
from controlplane.errors import ControlPlaneError
from controlplane.oidc import Provider
from controlplane.people import ANA, BEN, CARLA, DAVID, ERIK, GROUPS, PAULA, PETRA, PIA, RITA
from controlplane.ports import LOOPBACK, free_ports
from controlplane.processes import Component
from controlplane.roles import bindings
from controlplane.seaweed import ObjectStore

__all__ = ["ANA", "BEN", "CARLA", "DAVID", "ERIK", "GROUPS", "OIDC", "PAULA", "PETRA", "PIA", "RITA", "Bank"]

ROOT: Final = Path(__file__).parent.parent
CLUSTER: Final = "demo"
NAMESPACE: Final = "signoff-system"
PEOPLE_ISSUER: Final = "https://pki.bank.example"
SERVICE_ISSUER: Final = "https://kubernetes.demo.bank.example"

OIDC: Final = "oidc:"
TERMINAL: Final = "http://127.0.0.1/callback"

BUCKET: Final = "evidence"
INIT_TRIES: Final = 3

Way = Callable[[str, Literal["archive", "cluster"], str], str]
"""Given a process's name, what it wants to reach, and where that is: where the process is told that it is."""


class Bank:
    """signoff installed on a running control plane. Use it as a context manager.

    `operator` and `webhook` are changes to the processes' configuration; `clock` is a file by which webhooks and operators are ahead of
    time; with `four_eyes` Paula and Pia must agree to each policy; `way` may lead the processes past a proxy (to the API server by TLS,
    with a certificate of `ControlPlane.serving_certificate`; to the object store without). Without `start` the processes' configuration
    files are written (`<name>.yaml`), and the processes are left to the caller.

    With `portal` people decide in the browser as well: by this identity provider, whom the trust file then names. At the terminal they are
    then known as the same, too, if they are called by their name behind `OIDC`, as the API server would call them by the provider's tokens.

    With `shares` this one has another bank's archive: under the same cluster name it is that cluster made anew, with its keys and its trust
    file; under another name it has keys of its own, trusted for its `environment` (`trust` then is the version that names them).
    """

    def __init__(
        self,
        control_plane: ControlPlane,
        work: Path,
        *,
        operator: Mapping[str, Any] | None = None,
        webhook: Mapping[str, Any] | None = None,
        archive: Literal["file", "s3"] = "file",
        webhooks: int = 1,
        operators: int = 1,
        engine: bool = False,
        four_eyes: bool = False,
        start: bool = True,
        clock: Path | None = None,
        cluster: str = CLUSTER,
        environment: str = "production",
        shares: Bank | None = None,
        portal: Provider | None = None,
        way: Way = lambda _name, _what, url: url,
    ) -> None:
        self.control_plane = control_plane
        self.work = work
        self.archive_folder = shares.archive_folder if shares is not None else work / "archive"
        self.object_store = ObjectStore(work / "store") if archive == "s3" else None
        self.archive = self.object_store.address(BUCKET, "signoff") if self.object_store else f"file://{self.archive_folder}"
        self.cluster, self.environment = cluster, environment
        self._shares = shares
        self._provider = portal
        self.portals = ("portal",) if portal is not None else ()
        self._portal_port = free_ports(1)[0] if portal is not None else 0
        self._is_heir = shares is not None and shares.cluster == cluster
        self.keys = shares.keys if shares is not None and self._is_heir else work / "keys"
        self.trust = shares.trust if shares is not None else ""
        self.checker_id = ""
        self.webhooks = _names("webhook", webhooks)
        self.operators = _names("operator", operators)
        self.engines = ("engine",) if engine else ()
        self._four_eyes = four_eyes
        self._operator_changes = dict(operator or {})
        self._webhook_changes = dict(webhook or {})
        self._way = way
        self._start = start
        self._clock = clock
        self._ports = dict(zip(self.webhooks, _pairs(free_ports(2 * webhooks)), strict=True))
        healthy = (*self.operators, *self.engines)
        self._health = dict(zip(healthy, free_ports(len(healthy)), strict=True))
        self._front = _pairs(free_ports(2))[0] if webhooks > 1 else self._ports["webhook"]
        sides = (0, 1) if webhooks > 1 else ()
        self.balancers = [Balancer(self._front[side], {name: pair[side] for name, pair in self._ports.items()}) for side in sides]
        self._components: dict[str, Component] = {}
        self._exit = ExitStack()

    def __enter__(self) -> Self:
        try:
            self._install()
        except BaseException:
            self.stop()
            raise
        return self

    def __exit__(self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None) -> None:
        self.stop()

    @property
    def gate_url(self) -> str:
        """Where the gate listens."""
        return f"https://{LOOPBACK}:{self._front[0]}"

    @property
    def portal_url(self) -> str:
        """Where the portal is, where there is one."""
        return f"https://localhost:{self._portal_port}"  # by a name: browsers let nobody use a passkey at an IP address

    @property
    def door_url(self) -> str:
        """Where the seal's door listens."""
        return f"https://{LOOPBACK}:{self._front[1]}"

    def kubectl(self, who: str, *args: str, check: bool = True, stdin: str | None = None) -> subprocess.CompletedProcess[str]:
        """Run kubectl as a person; `ControlPlaneError` where ``check`` and it fails."""
        return self.control_plane.kubectl(*args, kubeconfig=self.kubeconfig(who), check=check, input=stdin)

    def kubeconfig(self, who: str) -> Path:
        """Return the kubeconfig of a person; behind `OIDC`, of the same one as the identity provider knows them."""
        return self.control_plane.kubeconfig_for(who, GROUPS[who.removeprefix(OIDC)])

    def signoff(
        self, *args: str, who: str | None = None, stdin: str | None = None, timeout: float = 90
    ) -> subprocess.CompletedProcess[str]:
        """Run the ``signoff`` command, as a person where one is named; never raises for its exit code."""
        environment = os.environ | self.settings() | ({"KUBECONFIG": str(self.kubeconfig(who))} if who else {})
        return self._run(environment, *args, stdin=stdin, timeout=timeout)

    def _run(
        self, environment: Mapping[str, str], *args: str, stdin: str | None = None, timeout: float = 90
    ) -> subprocess.CompletedProcess[str]:
        command = [sys.executable, "-m", "signoff", *args]
        return subprocess.run(command, env=environment, input=stdin, capture_output=True, text=True, timeout=timeout, check=False)

    def settings(self) -> dict[str, str]:
        """Return the environment in which ``signoff`` finds archive, trust file and cluster."""
        where = {"SIGNOFF_ARCHIVE": self.archive, "SIGNOFF_TRUST": self.trust, "SIGNOFF_CLUSTER": self.cluster}
        where |= {"SIGNOFF_PROVIDER_CA": str(self._provider.ca)} if self._provider is not None else {}
        return where | self.rights("reader")

    def rights(self, who: Literal["admin", "writer", "reader"]) -> dict[str, str]:
        """Return the environment in which a process holds these rights in the object store; empty where the archive is a folder."""
        if self.object_store is None:
            return {}
        nowhere = {"AWS_EC2_METADATA_DISABLED": "true", "AWS_SHARED_CREDENTIALS_FILE": os.devnull, "AWS_CONFIG_FILE": os.devnull}
        return nowhere | self.object_store.keys[who].environment

    def start(self, name: str) -> None:
        """Start a webhook or an operator, and wait until it is ready."""
        self._components[name].start()
        self._wait_ready(name)

    def end(self, name: str) -> None:
        """End a webhook or an operator as Kubernetes does: SIGTERM first."""
        self._components[name].stop()

    def kill(self, name: str) -> None:
        """End a webhook or an operator at once, as a crash would."""
        self._components[name].kill()

    def pid(self, name: str) -> int:
        """Return the process id of a webhook or an operator."""
        return self._components[name].pid

    def stop(self) -> None:
        """End the processes, and what stands behind and before them."""
        for component in self._components.values():
            component.stop()
        self._exit.close()

    def helm_values(self) -> dict[str, Any]:
        """Return the values that the chart is installed with."""
        ca = base64.b64encode(self.control_plane.serving_ca_path.read_bytes()).decode()
        return {
            "webhook": {"outside": {"enabled": True, "gateUrl": self.gate_url, "doorUrl": self.door_url, "caBundle": ca}},
            "engine": {"enabled": bool(self.engines)},
            "portal": {"enabled": bool(self.portals)},
            # What the operator is configured to do says which roles are bound.
            "operator": {"config": {key: value for key, value in self._operator_changes.items() if key == "audit"}},
            "rbac": {"explanationConfigMapNamespaces": ["credit"]},
            "guards": {"namespaceLabelAdministrators": {"groups": ["system:masters", "platform"]}},
        }

    def _install(self) -> None:
        self.work.mkdir(parents=True, exist_ok=True)
        plane = self.control_plane
        for namespace in ("credit", "batch"):
            plane.kubectl("create", "namespace", namespace)
        values = self._file("values.yaml", self.helm_values())
        plane.helm("install", "signoff", str(ROOT / "charts" / "signoff"), "-n", NAMESPACE, "--create-namespace", "--values", str(values))
        plane.kubectl("apply", "-f", "-", input=bindings())
        self._init_archive()
        for name in self.webhooks:
            self._prepare("webhook", name, self._webhook_config(name))
        for name in self.operators:
            self._prepare("operator", name, self._operator_config(name))
        for name in self.engines:
            self._prepare("engine", name, self._engine_config(name))
        for name in self.portals:
            self._prepare("portal", name, self._portal_config(name))
        for balancer in self.balancers:
            self._exit.enter_context(balancer)
        for name in (*self.webhooks, *self.operators, *self.engines, *self.portals) if self._start else ():
            self.start(name)
        self.kubectl(PETRA, "label", "namespace", "credit", "signoff.dev/gate=enforce", f"signoff.dev/environment={self.environment}")

    def _init_archive(self) -> None:
        if self._is_heir:
            if self._provider is not None:
                self._provider.allow(f"{self.portal_url}/callback")
            return
        if self._shares is not None:
            self._join()
            return
        if self.object_store is not None:
            (self.work / "store").mkdir(exist_ok=True)
            self._exit.enter_context(self.object_store)
            self.object_store.make_bucket(BUCKET)
        said = ("--keys", str(self.keys), "--cluster", self.cluster, "--environment", self.environment, "--publisher", PEOPLE_ISSUER, PAULA)
        said += ("--publisher", PEOPLE_ISSUER, PIA, "--four-eyes-for-policies") if self._four_eyes else ()
        said += ("--engine", SERVICE_ISSUER, f"{NAMESPACE}:signoff-engine") if self.engines else ()
        for _ in range(INIT_TRIES):
            made = self._run(os.environ | self.rights("admin"), "init", self.archive, *said, "-o", "json")
            # A store that has just started makes room when it is first written to, and on a busy machine that takes longer than init waits.
            if "the store cannot be reached" not in made.stderr:
                break
        if made.returncode:
            raise ControlPlaneError(f"signoff init failed: {made.stderr.strip()}")
        self.trust = str(yaml.safe_load(made.stdout)["trust"])
        if self.engines:
            self._trust_checker()
        if self._provider is not None:
            self._trust_provider(self._provider)

    def _trust_provider(self, provider: Provider) -> None:
        clients = ("--client", provider.client_id, "--client", provider.public_client_id)
        said = (*clients, "--subject-claim", "email", "--groups-claim", "groups")
        environment = os.environ | self.settings() | self.rights("writer")
        added = self._run(environment, "trust", "add-provider", provider.issuer, *said, "-o", "json")
        if added.returncode:
            raise ControlPlaneError(f"signoff trust add-provider failed: {added.stderr.strip()}")
        self.trust = str(yaml.safe_load(added.stdout)["trust"])
        provider.allow(f"{self.portal_url}/callback")
        provider.allow_public(TERMINAL)

    def _join(self) -> None:
        """Trust keys of this cluster's own, for its environment, in the archive that it shares; the others learn of them by `follow`."""
        self.keys.mkdir()
        for use in ("seal", "event"):
            self._trust_key(self.keys / f"{use}.key", use, f"{use} key of {self.cluster}")

    def _trust_checker(self) -> None:
        """Make the key of the bank's checker, and trust it (`checker_key`, ``checker_id``)."""
        self.checker_id = self._trust_key(self.checker_key, "check", "key of the weekly check")

    def _trust_key(self, path: Path, use: str, name: str) -> str:
        """Make a private key in a file, trust its public half from now on, and return its id."""
        key = ec.generate_private_key(ec.SECP256R1())
        path.write_bytes(key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))
        public = self.work / f"{use}.pub"
        public.write_bytes(key.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo))
        said = ("--use", use, "--cluster", self.cluster, "--environment", self.environment, "--name", name)
        environment = os.environ | self.settings() | self.rights("writer")
        added = self._run(environment, "trust", "add-key", str(public), *said, "-o", "json")
        if added.returncode:
            raise ControlPlaneError(f"signoff trust add-key failed: {added.stderr.strip()}")
        told = yaml.safe_load(added.stdout)
        self.trust = str(told["trust"])
        return str(told["key"])

    def follow(self, trust: str) -> None:
        """Have every process follow another version of the trust file, as whoever changes the configuration does."""
        self.trust = trust
        for name in (*self.webhooks, *self.operators, *self.engines, *self.portals):
            config = yaml.safe_load((self.work / f"{name}.yaml").read_text())
            self._file(f"{name}.yaml", {**config, "trust": trust})
            self.end(name)
            self.start(name)

    @property
    def checker_key(self) -> Path:
        """The private key of the bank's checker; trusted where there is an engine."""
        return self.work / "check.key"

    def _common(self, account: str, name: str) -> dict[str, Any]:
        server = self._way(name, "cluster", self.control_plane.server)
        archive = self.archive
        if self.object_store is not None:
            archive = archive.replace(self.object_store.endpoint, self._way(name, "archive", self.object_store.endpoint))
        return {
            "cluster": self.cluster,
            "archive": archive,
            "trust": self.trust,
            "kubeconfig": str(self.account_kubeconfig(account, name, server)),
        }

    def account_kubeconfig(self, account: str, name: str, server: str) -> Path:
        """Return a kubeconfig of a process's ServiceAccount, in a file named after `name`, for the API server or a proxy at `server`."""
        straight = self.control_plane.kubeconfig_for_service_account(NAMESPACE, f"signoff-{account}")
        if server == self.control_plane.server:
            return straight
        content = yaml.safe_load(straight.read_text())
        ca = base64.b64encode(self.control_plane.serving_ca_path.read_bytes()).decode()
        content["clusters"][0]["cluster"] = {"server": server, "certificate-authority-data": ca}
        return self._file(f"{name}.kubeconfig", content)

    def _webhook_config(self, name: str) -> dict[str, Any]:
        certificate, key = self.control_plane.serving_certificate([LOOPBACK, "localhost"])
        return {
            **self._common("webhook", name),
            "replicas": len(self.webhooks),
            "sealKey": str(self.keys / "seal.key"),
            "issuers": self._issuers(),
            "tls": {"certificate": str(certificate), "key": str(key)},
            "gateListener": {"host": LOOPBACK, "port": self._ports[name][0]},
            "drainSeconds": 0,
            "door": {
                "host": LOOPBACK,
                "port": self._ports[name][1],
                "clientCa": str(self.control_plane.webhook_client_ca),
                "clientNames": ["kube-apiserver"],
            },
            **self._identity(),
            **self._webhook_changes,
        }

    def _issuers(self) -> list[dict[str, str]]:
        """Return who vouches for whom at the API server."""
        people = {"credential": "X509SHA256", "kind": "person"}
        signed_in = [{"issuer": self._provider.issuer, "usernamePrefix": OIDC, **people}] if self._provider is not None else []
        services = {"issuer": SERVICE_ISSUER, "usernamePrefix": "system:serviceaccount:", "credential": "JTI", "kind": "service"}
        return [{"issuer": PEOPLE_ISSUER, **people}, *signed_in, services]

    def _identity(self) -> dict[str, Any]:
        """Return what the door is told of the provider and the portal."""
        provider = self._provider
        if provider is None:
            return {}
        keys = str(provider.discovery()["jwks_uri"])
        account = {"issuer": SERVICE_ISSUER, "subject": f"{NAMESPACE}:signoff-portal"}
        reached = {"issuer": provider.issuer, "jwks": keys, "ca": str(provider.ca)}
        return {"identityProviders": [reached], "portals": [account], "passkeyOrigins": [self.portal_url]}

    def _portal_config(self, name: str) -> dict[str, Any]:
        provider = self._provider
        assert provider is not None  # noqa: S101 - there is no portal without one
        certificate, key = self.control_plane.serving_certificate([LOOPBACK, "localhost"])
        secret = self.work / "client-secret"
        secret.write_text(provider.client_secret)
        return {
            **self._common("portal", name),
            "url": self.portal_url,
            "listener": {"host": LOOPBACK, "port": self._portal_port},
            "tls": {"certificate": str(certificate), "key": str(key)},
            "provider": {
                "issuer": provider.issuer,
                "clientId": provider.client_id,
                "clientSecret": str(secret),
                "ca": str(provider.ca),
            },
        }

    def _operator_config(self, name: str) -> dict[str, Any]:
        return {
            **self._common("operator", name),
            "eventKey": str(self.keys / "event.key"),
            "liveness": {"host": LOOPBACK, "port": self._health[name]},
            "resyncSeconds": 5,
            **self._operator_changes,
        }

    def _engine_config(self, name: str) -> dict[str, Any]:
        health = {"host": LOOPBACK, "port": self._health[name]}
        return {**self._common("engine", name), "liveness": health, "resyncSeconds": 5}

    def _prepare(self, what: str, name: str, config: Mapping[str, Any]) -> None:
        path = self._file(f"{name}.yaml", config)
        own = ["controlplane.clock", str(self._clock)] if self._clock is not None and what in CLOCKS else ["signoff"]
        command = [sys.executable, "-m", *own, "run", what, "--config", str(path)]
        self._components[name] = Component(
            name, command, self.work / f"{name}.log", self.rights("reader" if what in {"engine", "portal"} else "writer")
        )

    def _file(self, name: str, content: object) -> Path:
        path = self.work / name
        path.write_text(yaml.safe_dump(content, sort_keys=False))
        return path

    def _wait_ready(self, name: str) -> None:
        deadline = time.monotonic() + 30
        while not self.ready(name):
            if time.monotonic() > deadline or not self._components[name].running:
                log = (self.work / f"{name}.log").read_text()[-3000:]
                raise ControlPlaneError(f"the {name} did not come up; its log ends with:\n{log}")
            time.sleep(0.1)

    def ready(self, name: str) -> bool:
        """Whether a webhook or an operator says that it is."""
        try:
            if name in self._health:
                connection: http.client.HTTPConnection = http.client.HTTPConnection(LOOPBACK, self._health[name], timeout=2)
                connection.request("GET", "/healthz")
            else:
                context = ssl.create_default_context(cafile=str(self.control_plane.serving_ca_path))
                port = self._portal_port if name in self.portals else self._ports[name][0]
                connection = http.client.HTTPSConnection(LOOPBACK, port, timeout=2, context=context)
                connection.request("GET", "/readyz")
            return connection.getresponse().status == 200
        except OSError:
            return False


def _names(what: str, count: int) -> tuple[str, ...]:
    return (what, *(f"{what}-{number}" for number in range(2, count + 1)))


def _pairs(ports: Sequence[int]) -> list[tuple[int, int]]:
    return list(zip(ports[::2], ports[1::2], strict=True))
