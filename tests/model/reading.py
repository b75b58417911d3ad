"""The record read by other means than the product's: plain JSON, for a model that must not repeat the product's mistakes."""

from __future__ import annotations

import base64
import hashlib
import json
from dataclasses import dataclass
from datetime import datetime
from functools import lru_cache
from typing import Any

Value = dict[str, Any]


@dataclass(frozen=True)
class Signed:
    """A bundle taken apart."""

    key: str
    type: str
    predicate: Value
    digest: str


@dataclass(frozen=True)
class Routed:
    """A route taken apart: by which policy, tier and rule, whom it ``asks`` (how many people in which role), and what the rules saw."""

    policy: str
    tier: str
    rule: str
    asks: dict[str, int]
    inputs: dict[str, str]


@dataclass(frozen=True)
class Frozen:
    """A freeze taken apart. ``claimants`` is who submitted it or is its author."""

    digest: str
    id: str
    name: str
    model: str
    image: str
    cluster: str
    spec: Value
    live: str | None
    shown: tuple[str, str] | None
    """What was live: its version, and the image's digest."""
    routed: Routed
    statements: tuple[str, ...]
    roles: dict[str, frozenset[str]]
    claimants: frozenset[str]
    submissions: tuple[Signed, ...]
    checks: tuple[Signed, ...]
    named: tuple[str, ...]
    renditions: tuple[str, ...]

    @property
    def tier(self) -> str:
        return self.routed.tier

    @property
    def asks(self) -> dict[str, int]:
        return self.routed.asks


@dataclass(frozen=True)
class Event:
    """An outcome taken apart."""

    id: str
    digest: str
    promotes: bool
    key: str
    freeze: str
    payload: bytes
    seals: tuple[bytes, ...]
    decisions: tuple[tuple[str, str], ...]
    """Subject and verdict of each seal inside."""
    stored_at: datetime


def digest_of(data: bytes) -> str:
    return "sha256:" + hashlib.sha256(data).hexdigest()


@lru_cache(maxsize=10_000)
def signed(bundle: bytes) -> Signed:
    value = json.loads(bundle)
    payload = base64.b64decode(value["dsseEnvelope"]["payload"])
    statement = json.loads(payload)
    key = value["verificationMaterial"]["publicKey"]["hint"]
    return Signed(key, statement["predicateType"].split("/")[-2], statement["predicate"], digest_of(payload))


def checks_of(spec: Value) -> tuple[Signed, ...]:
    """What a request brings along as checks, not believed."""
    return tuple(signed(base64.b64decode(one["bundle"])) for one in spec.get("checks", ()))


def grant_in(seal: bytes) -> Signed | None:
    """The grant that a seal carries, if it does."""
    carried = signed(seal).predicate["decided"]["delegation"]
    return signed(base64.b64decode(carried[0]["bundle"])) if carried else None


def frozen(payload: bytes) -> Frozen:
    value = json.loads(payload)
    spec, route = value["request"]["spec"], value["route"]
    roles, live = route["requirement"]["roles"], value.get("live")
    checks = checks_of(spec)
    reports = (one.predicate["report"]["digest"] for one in checks)
    submissions = tuple(signed(base64.b64decode(one["bundle"])) for one in value["submissions"])
    return Frozen(
        digest=digest_of(payload),
        id=value["id"],
        name=value["request"]["name"],
        model=spec["model"]["name"],
        image=spec["model"]["image"].partition("@")[2],
        cluster=value["cluster"],
        spec=spec,
        live=live["event"] if live else None,
        shown=(live["version"], live["digest"]) if live else None,
        routed=Routed(route["policy"], route["tier"], route["rule"], {role["name"]: role["count"] for role in roles}, route["inputs"]),
        statements=tuple(one["statement"] for one in route["considered"]),
        roles={role["name"]: frozenset(role["groups"]) for role in roles},
        claimants=frozenset({spec["author"], *(one.predicate["principal"]["subject"] for one in submissions)}),
        submissions=submissions,
        checks=checks,
        named=(value["explanation"]["digest"], *reports, *(one["digest"] for one in value["renditions"])),
        renditions=tuple(one["digest"] for one in value["renditions"]),
    )


def event(bundle: bytes, stored_at: datetime) -> Event:
    outer = signed(bundle)
    asked = outer.predicate["approvalRequest"]
    seals = tuple(base64.b64decode(one["seal"]) for one in outer.predicate["approver"])
    inside = [signed(one).predicate for one in seals]
    return Event(
        id=asked["id"],
        digest=outer.digest,
        promotes=outer.type == "promotion",
        key=outer.key,
        freeze=asked["digest"],
        payload=base64.b64decode(asked["content"]),
        seals=seals,
        decisions=tuple((one["decided"]["principal"]["subject"], one["decided"]["verdict"]) for one in inside),
        stored_at=stored_at,
    )


def suffices(asks: dict[str, int], holders: list[frozenset[str]]) -> bool:
    """Whether these people, by the roles that each holds, fill every role with people of its own (tried out, one by one)."""
    if not any(asks.values()):
        return True
    if not holders:
        return False
    first, rest = holders[0], holders[1:]
    ways = [{**asks, role: asks[role] - 1} for role in first if asks.get(role, 0) > 0]
    return any(suffices(way, rest) for way in (*ways, asks))
