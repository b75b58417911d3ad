"""A small world for tests: keys, a trust file, an archive, people; and a way to make any outcome, right or wrong, by the real functions."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from builders import example, example_explanation

from signoff.archive import layout
from signoff.archive.file import FileStore
from signoff.archive.write import create_or_same, write_blob
from signoff.decision.checks import measured
from signoff.decision.corrections import correction_bundle
from signoff.decision.seals import Filed, delegation_bundle, policy_bundle, seal_bundle, submission_bundle
from signoff.desk.freezing import Frozen, Gathered, freeze_request
from signoff.policy.facts import History
from signoff.policy.routing import route
from signoff.policy.schema import Published, read_policy
from signoff.record.bundle import read_bundle, sign_bundle
from signoff.record.canonical import b64decode, b64encode, dumps
from signoff.record.correction import Correction, correction_id
from signoff.record.freeze import Freeze, LiveIncumbent, Principal, Tier, WitnessedSubmission
from signoff.record.keys import PemSigner, generate_pem
from signoff.record.promotion import PROMOTION_TYPE, OutcomeType, SealedDecision, as_json, outcome_bytes
from signoff.record.request import read_spec, request_id, request_value
from signoff.record.seal import Delegation, PublishedPolicy, Seal, Submission
from signoff.record.trust import Trust, read_trust
from signoff.record.values import Digest, parse, sha256
from signoff.verify.case import Outcome
from signoff.verify.reader import Reader
from signoff.verify.verifier import Verified

PEOPLE_ISSUER = "https://login.bank.example"
ASKED = "2026-03-02T09:14:07Z"
STORED = datetime(2026, 3, 3, 10, 0, tzinfo=UTC)
SPEC: dict[str, Any] = example("promotion.yaml")["spec"]  # type: ignore[assignment]
NAME: str = example("promotion.yaml")["metadata"]["name"]  # type: ignore[assignment,index,call-overload]
POLICY: dict[str, Any] = example("policy.yaml")["spec"]  # type: ignore[assignment]


def person(name: str) -> Principal:
    return Principal(issuer=PEOPLE_ISSUER, subject=f"{name}@bank.example", name=f"{name}@bank.example")


BEN, CARLA, DAVID, PAULA, PIA = person("ben"), person("carla"), person("david"), person("paula"), person("pia")


def trusted_key(signer: PemSigner, use: str, **changes: Any) -> dict[str, Any]:
    return {
        "id": signer.key_id,
        "name": f"{use} key of demo",
        "use": use,
        "algorithm": "ecdsa-p256-sha256",
        "publicKey": signer.public_pem,
        "cluster": "demo",
        "targets": {"environments": ["production"], "clusters": ["demo"]},
        "validFrom": "2026-01-01T00:00:00Z",
        **changes,
    }


@dataclass
class World:
    """A cluster named demo with its archive in a folder. Ben submits, Carla and David approve, Paula publishes policies."""

    folder: Path
    seal_key: PemSigner = field(default_factory=lambda: PemSigner(generate_pem()))
    event_key: PemSigner = field(default_factory=lambda: PemSigner(generate_pem()))
    stranger: PemSigner = field(default_factory=lambda: PemSigner(generate_pem()))

    def __post_init__(self) -> None:
        self.store = FileStore(self.folder)
        self.store.initialise()
        self.trust = self.trust_with()
        self.reader = Reader(self.store, self.trust)
        self.policies: dict[Digest, Filed] = {}
        self.published = self.publish("credit-models", POLICY)

    def ask_for_four_eyes(self) -> None:
        """From here on the trust file asks for two publishers, of Paula, Pia and Paul."""
        publishers = [{"issuer": one.issuer, "subject": one.subject} for one in (PAULA, PIA, person("paul"))]
        self.trust = self.trust_with(policies={"publishers": publishers, "fourEyes": True})
        self.reader = Reader(self.store, self.trust)

    def agreed(self, published: Published, by: Principal = PIA, signer: PemSigner | None = None) -> Published:
        """Return a published policy to which a second publisher has agreed."""
        first = json.loads(read_bundle(self.policies[published.statement].bundle, "policy").payload)["predicate"]
        text = json.loads(b64decode(first["content"], "content"))
        return replace(published, second=self.publish(published.name, text, by, signer).statement)

    def trust_with(
        self, *, keys: list[dict[str, Any]] | None = None, publishers: tuple[Principal, ...] = (PAULA,), **changes: Any
    ) -> Trust:
        value = {
            "format": "signoff.dev/trust/v1",
            "version": 1,
            "keys": keys or [trusted_key(self.seal_key, "seal"), trusted_key(self.event_key, "event")],
            "policies": {"publishers": [{"issuer": one.issuer, "subject": one.subject} for one in publishers], "fourEyes": False},
            **changes,
        }
        return read_trust(dumps(value))

    def publish(self, name: str, spec: Mapping[str, Any], by: Principal = PAULA, signer: PemSigner | None = None) -> Published:
        content = dumps(spec)
        value = {
            "name": name,
            "content": b64encode(content),
            "cluster": "demo",
            "publisher": as_json(by),
            "method": "client-certificate",
            "time": "2026-02-01T08:00:00Z",
        }
        bundle = policy_bundle(parse(PublishedPolicy, dumps(value), "policy"), content, signer or self.seal_key)
        digest = read_bundle(bundle, "policy").digest
        if signer is None and digest not in self.policies:
            create_or_same(self.store, layout.statement("policy", digest), bundle)
        self.policies[digest] = Filed(bundle, STORED)
        return Published(name, read_policy(json.loads(content)), digest)

    def submit(
        self, spec: Mapping[str, Any] = SPEC, by: Principal = BEN, name: str = NAME, at: str = ASKED, namespace: str = "credit"
    ) -> WitnessedSubmission:
        value = {
            "id": request_id(request_value(namespace, name, dict(spec))),
            "promotion": {"namespace": namespace, "name": name},
            "cluster": "demo",
            "principal": as_json(by),
            "method": "client-certificate",
            "time": at,
        }
        bundle = submission_bundle(parse(Submission, dumps(value), "submission"), self.seal_key)
        witnessed = {"principal": as_json(by), "time": at, "bundle": b64encode(bundle)}
        return parse(WitnessedSubmission, dumps(witnessed), "submission")

    def freeze(
        self,
        spec: Mapping[str, Any] = SPEC,
        *,
        name: str = NAME,
        by: Principal = BEN,
        policies: tuple[Published, ...] | None = None,
        live: LiveIncumbent | None = None,
        live_tier: Tier | None = None,
        at: str = ASKED,
        derived: bool = False,
    ) -> Frozen:
        """Freeze a request; ``derived``: with the history and the checks that the archive gives, as the operator does."""
        read = read_spec(dict(spec))
        history = self.reader.history_for(read.target, live) if derived else History(live.version if live is not None else "", live_tier)
        checks = measured(read, self.trust, datetime.now(UTC), history.live) if derived else ()
        frozen = freeze_request(
            Gathered(
                namespace="credit",
                name=name,
                spec_value=dict(spec),
                spec=read,
                cluster="demo",
                submissions=(self.submit(spec, by, name, at),),
                route=route(read, policies or (self.published,), history, checks),
                live=live,
                explanation=example_explanation(),
                origin="the example",
                approved=self.reader.last_approved(live) if derived else None,
            )
        )
        for content in (example_explanation(), *(one.content for one in frozen.renditions)):
            write_blob(self.store, content)
        create_or_same(self.store, layout.freeze(frozen.freeze.id, frozen.digest), frozen.payload)
        return frozen

    def grant(self, by: Principal = DAVID, to: Principal = CARLA, signer: PemSigner | None = None, **changes: Any) -> dict[str, str]:
        """Return a delegation as a seal carries it, by digest and bundle."""
        value = {
            "cluster": "demo",
            "name": "in-march",
            "grantor": as_json(by),
            "username": by.subject,
            "groups": ["model-approvers", "staff"],
            "grantee": {"issuer": to.issuer, "subject": to.subject},
            "models": ["credit-*"],
            "tiers": ["tier-2"],
            "validFrom": "2026-03-01T00:00:00Z",
            "validUntil": "2026-03-15T00:00:00Z",
            "reason": "Two weeks in the mountains.",
            "method": "client-certificate",
            "time": "2026-02-27T16:00:00Z",
            **changes,
        }
        bundle = delegation_bundle(parse(Delegation, dumps(value), "delegation"), signer or self.seal_key)
        return {"digest": read_bundle(bundle, "delegation").digest, "bundle": b64encode(bundle)}

    def seal(
        self,
        payload: bytes,
        freeze: Freeze,
        by: Principal = CARLA,
        verdict: str = "Approve",
        signer: PemSigner | None = None,
        change: Callable[[dict[str, Any]], None] = lambda _: None,
    ) -> SealedDecision:
        value: dict[str, Any] = {
            "id": freeze.id,
            "freeze": sha256(payload),
            "rendition": freeze.renditions[0].digest,
            "promotion": {"namespace": "credit", "name": freeze.request.name},
            "cluster": "demo",
            "decided": {
                "principal": as_json(by),
                "verdict": verdict,
                "meaning": "I approve this model version for the use described on this desk.",
                "method": "client-certificate",
                "roles": ["approver"],
                "groups": ["model-approvers"],
                "delegation": [],
                "consent": {"assurance": "api-server", "proofs": []},
                "time": "2026-03-02T10:02:51Z",
            },
        }
        change(value)
        seal = parse(Seal, dumps(value), "seal")
        return SealedDecision(seal, seal_bundle(seal, signer or self.seal_key))

    def correct(
        self, verified: Verified, verdict: str = "Revoke", by: Principal = CARLA, signer: PemSigner | None = None, **changes: Any
    ) -> str:
        """Correct an event in the archive, and return under which key; ``changes`` alter the predicate, ``key`` where it lies."""
        key, reason = changes.pop("key", None), changes.pop("reason", "The evaluation data were wrong.")
        spec = {"request": verified.id, "event": verified.digest, "verdict": verdict, "reason": reason}
        own = correction_id("credit", f"credit-{verdict.lower()}", spec)
        value = {
            **spec,
            "id": own,
            "cluster": "demo",
            "correction": {"namespace": "credit", "name": f"credit-{verdict.lower()}"},
            "principal": as_json(by),
            "method": "client-certificate",
            "time": "2026-03-04T08:00:00Z",
            **changes,
        }
        bundle = correction_bundle(parse(Correction, dumps(value), "correction"), signer or self.seal_key)
        key = key or layout.correction(verified.digest, own)
        self.store.create(key, bundle)
        return key

    def archive_seal(self, sealed: SealedDecision) -> None:
        principal = sealed.seal.decided.principal
        self.store.create(layout.seal(sealed.seal.freeze, principal.issuer, principal.subject), sealed.bundle)

    def bundle(
        self,
        payload: bytes,
        decisions: list[SealedDecision],
        *,
        kind: OutcomeType = PROMOTION_TYPE,
        signer: PemSigner | None = None,
        change: Callable[[dict[str, Any]], None] = lambda _: None,
    ) -> bytes:
        """Return the bundle of an outcome over a payload; ``change`` alters the statement before it is signed."""
        freeze = parse(Freeze, payload, "freeze", unknown_fields="ignore")
        statement = json.loads(outcome_bytes(kind, payload, freeze, decisions))
        change(statement)
        return sign_bundle(dumps(statement), signer or self.event_key)

    def outcome(self, bundle: bytes, slot: str | None = None, stored_at: datetime | None = STORED) -> Outcome:
        return Outcome(Filed(bundle, stored_at), slot)  # type: ignore[arg-type]
