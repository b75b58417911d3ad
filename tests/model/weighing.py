"""What a check is worth, and how a grant reads: by plain values, and by other means than the product's."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from fnmatch import fnmatch

from tests.model import bank
from tests.model.reading import Frozen, Signed, Value, checks_of

RULE = "weekly-refresh"
COUNTS, NOT_BY = f"check of {RULE}", f"not by {RULE}"
GOOD = "counts"


def weighed(keyring: bank.Keyring, spec: Value, live: tuple[str, str] | None, at: datetime) -> tuple[str, str]:
    """What the weekly rule makes of a request, as the route's inputs say it: by which check it holds, or why it is passed over.

    ``live`` is the version and digest of what is live, ``at`` when the archive took what rests on the check.
    """
    theirs = [one for one in checks_of(spec) if one.key in bank.CHECKERS]
    if len(theirs) != 1:
        return NOT_BY, f"{'several checks' if theirs else 'no check'} by the checker weekly"
    [check] = theirs
    flaw = standing(keyring, check, spec, live, at)
    if flaw != GOOD:
        return NOT_BY, f"the check by weekly does not count: {flaw}"
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
        return "it is of another candidate"
    compared = (against["version"], against["digest"]) if against else None
    if compared == (measured["version"], measured["digest"]):
        return "it compares the candidate with itself"
    return "it compares with another version than is live" if compared != live else ""


def standing(keyring: bank.Keyring, check: Signed, spec: Value, live: tuple[str, str] | None, at: datetime) -> str:
    """Whether a check counts, as the route's inputs say it: that it does, or why not."""
    if not keyring.names(check.key) or check.key == bank.STRANGER.key_id:
        return "its signature is by no key that is trusted for checks here"
    if not keyring.is_good(check.key, at):
        return "its key was not valid then"
    shown = {(one["role"], one["digest"]) for one in spec["datasets"]}
    used = {(one["role"], one["digest"]) for one in check.predicate["datasets"]}
    return is_of(check, spec, live) or ("it used data that the request does not show" if used - shown else GOOD)


def standings(keyring: bank.Keyring, spec: Value, live: tuple[str, str] | None, at: datetime) -> dict[str, str]:
    """The inputs that say of each check that a request brings along whether it counts."""
    return {f"check {one.digest}": standing(keyring, one, spec, live, at) for one in checks_of(spec)}


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
