"""Which of the checks that a request brings along count. What it merely claims is none of them.

A check counts when all of these hold:

1. Its one signature verifies under a key that the trust file names for use ``check``, that may speak for the target, and that was valid
   when the store took what rests on it. Whose key it must be is the policy's to say (`policy.schema`, rule 7).
2. It measured this candidate: the model, the version, the image's digest and the artefacts that are asked for.
3. It measured it against what the archive knows as live, or against nothing where nothing is; and not against itself.
4. It used data that the request shows: each of its datasets stands among the request's, with the same role and digest.

What does not count is not left out: the record says of each check that it counts, or why not, in a few fixed words that do not change
with a key's name or with when they are asked for. When a route is derived again years later, what was found of a check's *key* is
taken from the record, for trust files go on; everything else follows from the payload (`measured_then`). Tier 3 does not rest on that: rule
12 of the verifier asks of its check under the trust file of the day.
"""

from __future__ import annotations

from datetime import datetime
from typing import Final

from signoff.decision.seals import KeyNotValid, NotBelieved, require_key, signed_by
from signoff.policy.facts import Measured
from signoff.record.bundle import Bundle
from signoff.record.check import Check, Opened, candidate_of, opened, standing_input
from signoff.record.freeze import Freeze
from signoff.record.request import Incumbent, Spec
from signoff.record.trust import Trust

SIGNATURE: Final = "its signature is by no key that is trusted for checks here"
ENDED: Final = "its key was not valid then"
CANDIDATE: Final = "it is of another candidate"
ITSELF: Final = "it compares the candidate with itself"
LIVE: Final = "it compares with another version than is live"
DATA: Final = "it used data that the request does not show"


def measured(spec: Spec, trust: Trust, stored_at: datetime | None, live: Incumbent | None) -> tuple[Measured, ...]:
    """Return the checks of a request, each with what is wrong with it; what is no check is left out.

    ``stored_at`` (aware; None where unknown) is when the store took what rests on them, ``live`` what is live, None where nothing is.
    Raises `CouldNotTell` where a key has ended and when that was is not known.
    """
    return tuple(_measured(one, _key_flaw(one.bundle, spec, trust, stored_at) or _flaw(one.check, spec, live)) for one in opened(spec))


def measured_then(freeze: Freeze, trust: Trust) -> tuple[Measured, ...]:
    """Return the checks of a frozen request as they stood when it was frozen: what was wrong with a key is taken from the record."""
    spec, live = freeze.request.spec, freeze.live.shown if freeze.live is not None else None
    found: list[Measured] = []
    for one in opened(spec):
        said = freeze.route.inputs.get(standing_input(one.bundle.digest), "")
        flaw = said if said in {SIGNATURE, ENDED} else _known_flaw(one.bundle, trust) or _flaw(one.check, spec, live)
        found.append(_measured(one, flaw))
    return tuple(found)


def refuse_forged(spec: Spec, trust: Trust) -> None:
    """Raise `NotBelieved` where a check names a key that is trusted for checks, and does not verify under it."""
    for index, one in enumerate(opened(spec)):
        key = trust.key(one.bundle.key_id)
        if key is not None and key.use == "check":
            signed_by(one.bundle, trust, f"spec.checks[{index}].bundle")


def _measured(one: Opened, flaw: str) -> Measured:
    references = tuple(data.digest for data in one.check.datasets if data.role == "reference")
    figures = {figure.name: figure.value for figure in one.check.measured}
    return Measured(one.bundle.digest, one.bundle.key_id, figures, references, flaw)


def _key_flaw(bundle: Bundle, spec: Spec, trust: Trust, stored_at: datetime | None) -> str:
    try:
        key = signed_by(bundle, trust, "check")
        require_key(key, "check", key.cluster, spec.target, stored_at, "check")
    except KeyNotValid:
        return ENDED
    except NotBelieved:
        return SIGNATURE
    return ""


def _known_flaw(bundle: Bundle, trust: Trust) -> str:
    """Return what is wrong with a key whenever it is asked: that there is none, or that this is not its signature."""
    try:
        key = signed_by(bundle, trust, "check")
    except NotBelieved:
        return SIGNATURE
    return SIGNATURE if key.use != "check" else ""


def _flaw(check: Check, spec: Spec, live: Incumbent | None) -> str:
    if check.candidate != candidate_of(spec.model):
        return CANDIDATE
    if check.incumbent is not None and (check.incumbent.version, check.incumbent.digest) == (spec.model.version, spec.model.digest):
        return ITSELF
    if check.incumbent != live:
        return LIVE
    shown = {(one.role, one.digest) for one in spec.datasets}
    return "" if all((one.role, one.digest) in shown for one in check.datasets) else DATA
