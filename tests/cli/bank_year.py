"""An archive with a history: what a bank decided in 2026, each model for one of the auditors' questions, stored at times that are known."""

from __future__ import annotations

import os
from collections.abc import Callable
from copy import deepcopy
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from archive_fixture import Site
from builders import example_explanation
from checking import ENGINE_GROUP, bring, weekly
from world import BEN, CARLA, DAVID, POLICY, SPEC, World, trusted_key

from signoff.archive import layout
from signoff.archive.write import create_or_same, write_blob
from signoff.decision.checks import measured
from signoff.desk.freezing import Frozen, Gathered, freeze_request
from signoff.operator.commit import commit
from signoff.policy.routing import route
from signoff.policy.schema import Published
from signoff.record.freeze import Principal
from signoff.record.keys import PemSigner, generate_pem
from signoff.record.promotion import PROMOTION_TYPE, REJECTION_TYPE, SealedDecision, as_json
from signoff.record.request import read_spec
from signoff.record.values import Digest, RequestId, sha256
from signoff.verify.reader import Reader
from signoff.verify.verifier import Verified

ENGINE = Principal(
    issuer="https://kubernetes.demo.bank.example", subject="signoff-system:signoff-engine", name="signoff-system:signoff-engine"
)
Change = Callable[[dict[str, Any]], None]


def moment(text: str) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=UTC)


def model_of(name: str, version: str = "1.0.0", **spec: Any) -> Change:
    """Return the change of the example's spec into one of a model of its own."""

    def change(value: dict[str, Any]) -> None:
        digest = sha256(f"{name} {version}".encode())
        value["model"] |= {"name": name, "version": version, "image": f"registry.bank.example/models/{name}@{digest}"}
        value["comparison"]["candidate"] |= {"version": version, "digest": digest}
        value |= spec

    return change


class Year:
    """The bank's archive. Each thing that is done says when it was stored, and the archive bears it out."""

    def __init__(self, world: World, capfd: pytest.CaptureFixture[str]) -> None:
        self.checker = PemSigner(generate_pem())
        engines = [{"issuer": ENGINE.issuer, "subject": ENGINE.subject}]
        keys = [
            trusted_key(world.seal_key, "seal"),
            trusted_key(world.event_key, "event"),
            {**trusted_key(self.checker, "check"), "name": "checker"},
        ]
        world.trust = world.trust_with(keys=keys, policies=as_json(world.trust.policies) | {"engines": engines})
        world.reader = Reader(world.store, world.trust)
        self.world, self.site = world, Site(world, capfd)
        self.stored(layout.statement("policy", world.published.statement), "2026-02-01T08:00:00")

    def stored(self, key: str, at: str | datetime) -> None:
        """Have the store say that it took an object then."""
        when = moment(at) if isinstance(at, str) else at
        path: Path = self.world.folder / key
        os.utime(path, (when.timestamp(), when.timestamp()))

    def policy(self, at: str, **changes: Any) -> Published:
        published = self.world.publish("credit-models", {**POLICY, **changes})
        self.stored(layout.statement("policy", published.statement), at)
        return published

    def weekly(self, at: str) -> Published:
        return self.policy(at, **weekly(POLICY, self.checker.key_id))

    def frozen(
        self, at: str, change: Change, policy: Published | None = None, by: Principal = BEN, *, name: str, checked: bool = False
    ) -> Frozen:
        spec = deepcopy(SPEC)
        change(spec)
        live = self.world.reader.incumbent(spec["model"]["name"], spec["target"]["environment"], "demo")
        if live is not None:
            shown = spec["model"]["incumbent"] = {"version": live.version, "digest": live.digest}
            spec["comparison"]["incumbent"] = {**shown, "metrics": spec["comparison"]["candidate"]["metrics"]}
        if checked:
            bring(spec, self.checker)
        read = read_spec(spec)
        policies = (policy or self.world.published,)
        history = self.world.reader.history_for(read.target, live)
        checks = measured(read, self.world.trust, moment(at), live.shown if live is not None else None)
        frozen = freeze_request(
            Gathered(
                namespace="credit",
                name=name,
                spec_value=spec,
                spec=read,
                cluster="demo",
                submissions=(self.world.submit(spec, by, name),),
                route=route(read, policies, history, checks),
                live=live,
                explanation=example_explanation(),
                origin="the example",
                approved=self.world.reader.last_approved(live),
            )
        )
        for content in (example_explanation(), *(one.content for one in frozen.renditions)):
            write_blob(self.world.store, content)
        key = layout.freeze(frozen.freeze.id, frozen.digest)
        create_or_same(self.world.store, key, frozen.payload)
        self.stored(key, at)
        return frozen

    def sealed(self, frozen: Frozen, by: Principal, at: datetime, verdict: str = "Approve") -> SealedDecision:
        def change(value: dict[str, Any]) -> None:
            value["decided"]["time"] = f"{at:%Y-%m-%dT%H:%M:%SZ}"
            if by == ENGINE:
                value["decided"] |= {"method": "token", "roles": ["engine"], "groups": [ENGINE_GROUP]}

        sealed = self.world.seal(frozen.payload, frozen.freeze, by, verdict, change=change)
        self.world.archive_seal(sealed)
        self.stored(layout.seal(frozen.digest, by.issuer, by.subject), at)
        return sealed

    def decided(
        self, frozen: Frozen, at: str, *people: Principal, verdict: str = "Approve", apart: timedelta = timedelta(hours=2)
    ) -> Verified:
        """Decide one after the other, beginning then; the outcome is stored five seconds after the last."""
        times = [moment(at) + number * apart for number in range(len(people or (CARLA,)))]
        sealed = [self.sealed(frozen, by, when, verdict) for by, when in zip(people or (CARLA,), times, strict=True)]
        kind = PROMOTION_TYPE if verdict == "Approve" else REJECTION_TYPE
        event = commit(self.world.reader, self.world.event_key, frozen.freeze, kind, sealed, times[-1])
        self.stored(layout.event(event.id), times[-1] + timedelta(seconds=5))
        return event

    def promoted(self, model: str, day: str, *people: Principal, version: str = "1.0.0", **others: Any) -> Verified:
        """Freeze at ten in the morning, and promote at eleven."""
        policy, by, checked = others.pop("policy", None), others.pop("by", BEN), others.pop("checked", False)
        change = model_of(model, version, **others)
        name = f"{model}-{version}-{day}"
        frozen = self.frozen(f"{day}T10:00:00", change, policy, by, name=name, checked=checked)
        return self.decided(frozen, f"{day}T11:00:00", *people)


def whole_year(year: Year) -> dict[str, Any]:
    """Do all of it, and return what each is for: a verified outcome, or the request of an event that nobody believes."""
    done: dict[str, Any] = {"plain": year.promoted("credit-plain", "2026-03-02")}
    changed = year.policy("2026-05-10T09:00:00", rules=[{"name": "whoever-is-there", "tier": "tier-2"}])
    done["changed"] = year.promoted("credit-changed", "2026-05-12", policy=changed)
    done["mutual"] = year.promoted("credit-mutual", "2026-05-20", BEN, by=CARLA)
    refresh = year.weekly("2026-01-20T09:00:00")
    done["by policy"] = year.promoted("credit-refresh", "2026-04-06", ENGINE, policy=refresh, checked=True)
    done["by people"] = year.promoted("credit-refresh", "2026-04-20", version="1.1.0", policy=refresh)
    hasty = year.policy(
        "2026-01-21T09:00:00",
        rules=[{"name": "outage", "tier": "tier-2", "emergency": True}, {"name": "all", "tier": "tier-2"}],
    )
    done["hurried"] = year.promoted("credit-answered", "2026-06-01", policy=hasty, validFor="24h")
    done["in full"] = year.promoted("credit-answered", "2026-06-03", DAVID, policy=hasty, attempt=2)
    done["owed"] = year.promoted("credit-owed", "2026-06-08", policy=hasty, validFor="12h")
    done["between"] = year.promoted("credit-owed", "2026-06-09", version="1.1.0", policy=hasty)
    done["owed again"] = year.promoted("credit-owed", "2026-06-10", policy=hasty, validFor="12h", attempt=2)
    done["expired"] = year.promoted("credit-expired", "2026-07-01", validFor="48h")
    tried = year.frozen("2026-08-03T10:00:00", model_of("credit-again"), name="credit-again-first")
    done["refused"] = year.decided(tried, "2026-08-03T11:00:00", DAVID, verdict="Reject")
    done["approved then"] = year.promoted("credit-again", "2026-08-05", attempt=2, supersedes=done["refused"].id)
    done["report"] = year.promoted("credit-report", "2026-09-01")
    done["same report"] = year.promoted("credit-report", "2026-09-15", version="1.1.0", datasets=_other_data())
    quick = year.frozen("2026-10-01T10:00:00", model_of("credit-quick", datasets=_other_data()), name="credit-quick")
    done["quick"] = year.decided(quick, "2026-10-01T10:00:30", CARLA, DAVID, apart=timedelta(seconds=20))
    done["revoked"] = year.promoted("credit-wrong", "2026-10-12")
    for verdict, at in {"Annotate": "2026-10-12T15:00:00", "Revoke": "2026-10-13T23:00:05"}.items():
        year.stored(year.world.correct(done["revoked"], verdict, DAVID), at)
    altered = year.world.correct(done["plain"], signer=year.world.stranger)
    year.stored(altered, "2026-11-01T09:00:00")
    done["correction by nobody"] = altered
    done["forged"] = _unbelieved(year, "credit-forged", year.world.stranger, CARLA)
    done["self"] = _unbelieved(year, "credit-self", year.world.event_key, BEN)
    return done


def _other_data() -> list[dict[str, str]]:
    return [{**one, "digest": sha256(one["name"].encode())} for one in SPEC["datasets"]]


def _unbelieved(year: Year, model: str, signer: PemSigner, by: Principal) -> RequestId:
    """Put an event where a promotion would lie, and return its request: of Ben's, in November, by a key and decided by somebody."""
    frozen = year.frozen("2026-11-02T10:00:00", model_of(model), name=model)
    key = layout.event(frozen.freeze.id)
    sealed = year.world.seal(frozen.payload, frozen.freeze, by)
    year.world.store.create(key, year.world.bundle(frozen.payload, [sealed], signer=signer))
    year.stored(key, "2026-11-02T11:00:05")
    return frozen.freeze.id


def digest_of(model: str, version: str = "1.0.0") -> Digest:
    return sha256(f"{model} {version}".encode())
