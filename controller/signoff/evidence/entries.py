"""What stands in a timeline: an outcome, and what was said of it afterwards."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime

from signoff.evidence.account import Account
from signoff.evidence.times import moment
from signoff.record.values import RequestId, format_time
from signoff.replay.timeline import Entry


def entries_of(told: Account, address: str) -> Iterator[Entry]:
    """Yield the outcome and its corrections, as the store took them; ``address`` is where the evidence lies."""
    verified = told.verified
    freeze = verified.freeze
    environment = freeze.request.spec.target.environment

    def entry(at: datetime | None, kind: str, *lines: str) -> Entry:
        return Entry(second(at), kind, told.title, environment, verified.id, lines, address)

    by = ", ".join(one.principal.name for one in verified.decisions)
    route = f"{freeze.route.tier} by policy {freeze.route.policy}, rule {freeze.route.rule}"
    until = f"; valid until {moment(verified.valid_until)}" if verified.promotes and verified.valid_until is not None else ""
    revoked = (f"revoked since, by {told.revoked.correction.principal.name}",) if told.revoked is not None else ()
    unsure = (f"whether it was revoked cannot be told: {told.unsure}",) if told.unsure else ()
    yield entry(verified.stored_at, told.verdict, f"{environment}, by {by}; {route}{until}", *revoked, *unsure)
    for one in told.corrections:
        said = one.correction
        yield entry(one.stored_at, "revoked" if one.revokes else "annotated", f"{environment}, by {said.principal.name}: {said.reason}")


def titled(request: RequestId) -> str:
    """Return what a request is called of which nothing is believed."""
    return f"request {request[:12]}…"


def second(time: datetime | None) -> str:
    """Return a time as an entry bears it; empty where it is unknown."""
    return format_time(time) if time is not None else ""
