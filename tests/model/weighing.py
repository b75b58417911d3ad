"""What a check is worth, and how a grant reads: by plain values, and by other means than the product's."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from fnmatch import fnmatch

from tests.model import bank
from tests.model.reading import Frozen, Signed, Value, checks_of

RULE = "weekly-refresh"
COUNTS, NOT_BY = f"check of {RULE}", f"not by {RULE}"


def weighed(keyring: bank.Keyring, spec: Value, live: tuple[str, str] | None, at: datetime) -> tuple[str, str]:
    """What the weekly rule makes of a request, as the route's inputs say it: by which check it holds, or why it is passed over.

    ``live`` is the version and digest of what is live, ``at`` when the archive took what rests on the check.
    """
    theirs = [one for one in checks_of(spec) if one.key in bank.CHECKERS]
    if len(theirs) != 1:
        return NOT_BY, f"{'several checks' if theirs else 'no check'} by the checker weekly"
    [check] = theirs
    flaw = _flaw(keyring, check, spec, live, at)
    if flaw:
        return NOT_BY, f"the check by weekly does not count: {flaw}"[:256]
    if not is_quiet(check):
        said = figures(check)
        return NOT_BY, f"its condition does not hold: psi.max is {said['psi.max']}, auc.change is {said['auc.change']}"
    return COUNTS, check.digest


def figures(check: Signed) -> dict[str, str]:
    return {one["name"]: one["value"] for one in check.predicate["measured"]}


def is_quiet(check: Signed) -> bool:
    said = figures(check)
    return float(said["psi.max"]) < 0.1 and float(said["auc.change"]) > -0.005


def is_of(check: Signed, spec: Value, live: tuple[str, str] | None) -> str:
    """What is wrong with what a check compares, "" where nothing is."""
    measured, against = check.predicate["candidate"], check.predicate.get("incumbent")
    model = spec["model"]
    if measured != {"name": model["name"], "version": model["version"], "digest": model["image"].partition("@")[2]}:
        return f"it is of {measured['name']} {measured['version']}, another candidate or other artefacts"
    compared = (against["version"], against["digest"]) if against else None
    if compared != live:
        return f"it compares with {_told(compared)}, and live is {_told(live)}"
    return ""


def _flaw(keyring: bank.Keyring, check: Signed, spec: Value, live: tuple[str, str] | None, at: datetime) -> str:
    if not keyring.names(check.key):
        return f"signed under the key {check.key}, which the trust file does not name"
    if not keyring.is_good(check.key, at):
        return "the key check key of demo was not valid when this was stored"
    wrong = is_of(check, spec, live)
    shown = {(one["role"], one["digest"]) for one in spec["datasets"]}
    for one in () if wrong else check.predicate["datasets"]:
        if (one["role"], one["digest"]) not in shown:
            return f"it used the {one['role']} data {one['name']} {one['version']}, which the request does not show"
    return wrong


def _told(version: tuple[str, str] | None) -> str:
    return f"{version[0]} ({version[1][:19]}…)" if version else "nothing"


@dataclass(frozen=True)
class Grant:
    """What somebody granted: who may decide in whose name, on what, from when until when; and the statement that says so."""

    name: str
    grantor: str
    grantee: str
    models: str
    tiers: tuple[str, ...]
    begins: datetime
    ends: datetime
    statement: str

    def fits(self, who: str, frozen: Frozen, at: datetime) -> bool:
        """Whether it lets somebody decide on a freeze at a time, which counts in whole seconds."""
        scope = who == self.grantee and fnmatch(frozen.model, self.models) and frozen.tier in self.tiers
        return scope and self.begins <= at.replace(microsecond=0) < self.ends
