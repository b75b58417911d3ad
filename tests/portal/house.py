"""A portal without a cluster: a real archive, a real identity provider, the real application; and the API server's part in a few lines.

What stands in for the API server (`Rooms`) knows which promotions there are and who may see which namespace, and keeps what is created.
"""

from __future__ import annotations

import re
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, cast
from urllib.parse import urlsplit

import uvicorn
from starlette.testclient import TestClient
from world import BEN, POLICY, SPEC, World

from controlplane.oidc import Provider
from controlplane.pki import Authority
from controlplane.ports import LOOPBACK, free_ports
from controlplane.signing_in import Forms
from signoff.archive import layout
from signoff.archive.write import create_or_same, write_blob
from signoff.config import Listener, PortalProvider, Tls
from signoff.decision.principals import Resolved
from signoff.desk.freezing import Frozen, Gathered, freeze_request
from signoff.policy.facts import History
from signoff.policy.routing import route
from signoff.portal.app import Portal, application
from signoff.portal.cluster import Cluster, NotThere, Object, Version, version_of
from signoff.portal.desks import Desks
from signoff.portal.looking import Looking
from signoff.portal.past import Past
from signoff.portal.serve import listening
from signoff.portal.sessions import Sessions
from signoff.portal.signing_in import SigningIn
from signoff.record.canonical import dumps
from signoff.record.freeze import LiveIncumbent
from signoff.record.request import read_spec
from signoff.record.trust import IdentityProvider
from signoff.record.values import parse, sha256
from signoff.verify.reader import Reader

HOME = "https://portal.bank.example"


class Rooms(Cluster):
    """Promotions, who may see which namespace, and the decisions that were created."""

    def __init__(self) -> None:
        self.held: dict[tuple[str, str], Object] = {}
        self.visitors: dict[str, set[str]] = {}
        self.auditors: set[str] = set()
        self.created: list[dict[str, Any]] = []
        self.keys: dict[str, Object] = {}
        self.fails: Exception | None = None

    def promotions(self) -> Iterator[Object]:
        self._fail()
        yield from map(_numbered, self.held.values())

    def check(self) -> None:
        self._fail()

    def promotion(self, namespace: str, name: str) -> Object:
        self._fail()
        if (namespace, name) not in self.held:
            raise NotThere("there is no such promotion, or you may not see it", where=f"{namespace}/{name}")
        return _numbered(self.held[namespace, name])

    def version(self, namespace: str, name: str) -> Version | None:
        return version_of(self.promotion(namespace, name))

    def may_see(self, who: Resolved, namespace: str) -> bool:
        return bool(self.visitors.get(namespace, set()) & set(who.groups))

    def may_audit(self, who: Resolved) -> bool:
        return bool(self.auditors & set(who.groups))

    def decide(self, namespace: str, decision: Object) -> None:
        self._fail()
        assert dict(decision["metadata"])["namespace"] == namespace  # type: ignore[call-overload]
        self.created.append(dict(decision))

    def passkeys(self) -> Iterator[Object]:
        self._fail()
        yield from self.keys.values()

    def register(self, passkey: Object) -> None:
        self._fail()
        self.created.append(dict(passkey))

    def withdraw(self, name: str) -> None:
        self._fail()
        self.keys.pop(name, None)

    def _fail(self) -> None:
        if self.fails is not None:
            raise self.fails


def _numbered(held: Object) -> Object:
    """Return an object as the API server would: with another version whenever its content is another."""
    metadata = dict(cast("Object", held["metadata"]))
    version = {"uid": str(metadata.get("name")), "resourceVersion": sha256(dumps(dict(held)))}
    return {**held, "metadata": {**metadata, **version}}


class House:
    """The portal and what is behind it."""

    def __init__(self, folder: Path, provider: Provider, home: str = HOME) -> None:
        self.world = World(folder / "archive")
        self.provider, self.home, self.rooms = provider, home, Rooms()
        self.rooms.visitors["credit"] = {"model-approvers", "model-risk"}
        provider.allow(f"{home}/callback")
        secret = provider.client_secret
        settings = PortalProvider(issuer=provider.issuer, clientId=provider.client_id, clientSecret="a-file", ca=str(provider.ca))
        named = {"issuer": provider.issuer, "clients": [provider.client_id], "subjectClaim": "email", "groupsClaim": "groups"}
        trusted = parse(IdentityProvider, dumps(named), "provider")
        self.world.trust = self.world.trust_with(identityProviders=[named])
        self.world.reader = Reader(self.world.store, self.world.trust)
        self.clock = time.monotonic
        self.sessions = Sessions(lambda: self.clock(), most=20)  # noqa: PLW0108 - tests set the clock
        desks = Desks(self.rooms, self.world.reader)
        self.looking = Looking({"archive": self.world.store.check, "API server": self.rooms.check}, lambda: self.clock())  # noqa: PLW0108
        past = Past("demo", self.rooms, self.world.reader)
        self.portal = Portal("demo", home, self.rooms, desks, past, SigningIn(settings, trusted, secret, home), self.sessions, self.looking)
        self.app = application(self.portal)
        self.asked: list[str] = []
        """The paths that were asked for with a cookie, where the house is served."""

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        if any(name == b"cookie" for name, _ in scope.get("headers", ())):
            self.asked.append(scope["path"])
        await self.app(scope, receive, send)

    def desk(
        self,
        name: str = "credit-scoring-2.4.0",
        explanation: bytes = b"<h1>Why</h1>",
        *,
        namespace: str = "credit",
        media_type: str = "text/html",
        tier: str = "tier-2",
        live: LiveIncumbent | None = None,
        **changes: Any,
    ) -> Frozen:
        """Freeze a promotion, and have the API server hold it. ``changes`` are to what the policy asks for in this tier; ``live`` is what
        it would take the place of.
        """
        asked = {**POLICY["tiers"]["tier-2"], **changes}
        policy = {**POLICY, "rules": [{"name": "named-individual", "tier": tier}], "tiers": {tier: asked}}
        published = self.world.publish("credit-models", policy)
        value = {**SPEC, "explanation": {**SPEC["explanation"], "mediaType": media_type, "digest": sha256(explanation)}}
        if live is not None:
            shown = {"version": live.version, "digest": live.digest}
            metrics = SPEC["comparison"]["candidate"]["metrics"]
            value["model"] = {**SPEC["model"], "incumbent": shown}
            value["comparison"] = {**SPEC["comparison"], "incumbent": {**shown, "metrics": metrics}}
        spec = read_spec(value)
        frozen = freeze_request(
            Gathered(
                namespace=namespace,
                name=name,
                spec_value=value,
                spec=spec,
                cluster="demo",
                submissions=(self.world.submit(value, BEN, name, namespace=namespace),),
                route=route(spec, (published,), History("", None)),
                live=live,
                explanation=explanation,
                origin="the test",
            )
        )
        for content in (explanation, *(one.content for one in frozen.renditions)):
            write_blob(self.world.store, content)
        create_or_same(self.world.store, layout.freeze(frozen.freeze.id, frozen.digest), frozen.payload)
        self.rooms.held[namespace, name] = {
            "metadata": {"namespace": namespace, "name": name},
            "spec": value,
            "status": {"freeze": frozen.digest, "conditions": [{"type": "Ready", "reason": "AwaitingDecision"}]},
        }
        return frozen

    def passkey(self, who: str, label: str = "blue key", host: str = "", **registration: str) -> str:
        """Have the API server hold a passkey of somebody's; return its name."""
        name, host = f"passkey-{len(self.rooms.keys) + 1}", host or urlsplit(self.home).hostname or ""
        named = {"issuer": self.provider.issuer, "subject": who, "time": "2026-03-02T09:00:00Z", "validUntil": "2999-01-01T00:00:00Z"}
        spec = {"label": label, "credential": f"AAA{len(self.rooms.keys)}", "relyingParty": host}
        self.rooms.keys[name] = {"metadata": {"name": name}, "spec": spec, "registration": named | registration}
        return name

    def visitor(self, who: str | None = None, then: str = "/") -> Visitor:
        """Return a browser, and sign somebody in with it where one is named."""
        visitor = Visitor(self)
        if who is not None:
            answer = visitor.sign_in(who, then)
            assert answer.status_code == 303, answer.text
        return visitor


@contextmanager
def served(folder: Path, provider: Provider, tls: Tls | None = None) -> Iterator[House]:
    """A house that a browser can visit, at an address on loopback, under a certificate of its own where none is named."""
    [port] = free_ports(1)
    house = House(folder, provider, f"https://{LOOPBACK}:{port}")
    if tls is None:
        serving = Authority("portal", folder / "pki").serving("portal", [LOOPBACK])
        tls = Tls(certificate=str(serving.certificate), key=str(serving.key))
    server = uvicorn.Server(listening(house, Listener(host=LOOPBACK, port=port), tls))
    thread = threading.Thread(target=server.run, daemon=True)
    thread.start()
    while not server.started:
        time.sleep(0.01)
    yield house
    server.should_exit = True
    thread.join(10)


class Visitor(TestClient):
    """A browser without scripts, as curl is one."""

    def __init__(self, house: House) -> None:
        super().__init__(house.app, base_url=house.home, follow_redirects=False)
        self.house = house

    def to_provider(self, then: str = "/") -> str:
        """Begin to sign in; return where the provider is."""
        return str(self.get("/sign-in", params={"next": then}).headers["location"])

    def led(self, address: str, who: str) -> str:
        """Sign in at the provider; return the portal's address to which it leads back."""
        with Forms(self.house.provider) as forms:
            back, _ = forms.lead(address, who, f"{self.house.home}/callback")
        parts = urlsplit(back)
        return f"{parts.path}?{parts.query}"

    def sign_in(self, who: str, then: str = "/") -> Any:
        return self.get(self.led(self.to_provider(then), who))

    def token(self, page: str) -> str:
        """The session's token, as a page has it."""
        found = re.search(r'name="csrf" value="([^"]+)"', self.get(page).text)
        assert found is not None, "the page has a form"
        return found[1]

    def form(self, desk: Frozen, verdict: str = "Approve", **changes: str) -> dict[str, str]:
        """The fields of the desk's form, filled in."""
        page = f"/desk/credit/{desk.freeze.request.name}"
        return {
            "csrf": self.token(page),
            "freeze": desk.digest,
            "rendition": desk.freeze.renditions[0].digest,
            "verdict": verdict,
            "comment": "",
        } | changes

    def press(self, desk: Frozen, verdict: str = "Approve", headers: dict[str, str] | None = None, **changes: str) -> Any:
        return self.post(f"/desk/credit/{desk.freeze.request.name}/decision", data=self.form(desk, verdict, **changes), headers=headers)
