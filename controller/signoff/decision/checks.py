"""Which of the checks that a request brings along count. What it merely claims is none of them.

A check counts when all of these hold:

1. Its one signature verifies under a key that the trust file names for use ``check``, that may speak for the target, and that was valid
   when the store took what rests on it. Whose key it must be is the policy's to say (`policy.schema`, rule 7).
2. It measured this candidate: the model, the version, the image's digest and the artefacts that are asked for.
3. It measured it against what the archive knows as live, or against nothing where nothing is.
4. It used data that the request shows: each of its datasets stands among the request's, with the same role and digest.

What does not count is not left out: it is told with what is wrong with it, so that a desk can say why it asks for people.
"""

from __future__ import annotations

from datetime import datetime

from signoff.decision.seals import NotBelieved, require_key, signed_by
from signoff.policy.facts import Measured
from signoff.record.canonical import b64decode
from signoff.record.check import Check, candidate_of, open_check
from signoff.record.request import Incumbent, Spec
from signoff.record.trust import Trust
from signoff.record.values import RecordError


def measured(spec: Spec, trust: Trust, stored_at: datetime | None, live: Incumbent | None) -> tuple[Measured, ...]:
    """Return the checks of a request, each with what is wrong with it; what is no check is left out.

    ``stored_at`` (aware; None where unknown) is when the store took what rests on them, ``live`` what is live, None where nothing
    is. Raises `CouldNotTell` where a key has ended and when that was is not known.
    """
    found: list[Measured] = []
    for index, one in enumerate(spec.checks or ()):
        where = f"spec.checks[{index}]"
        try:
            bundle, check = open_check(b64decode(one.bundle, where), where)
        except RecordError:
            continue
        flaw = ""
        try:
            key = signed_by(bundle, trust, where)
            require_key(key, "check", key.cluster, spec.target, stored_at, where)
            _require_of(check, spec, live)
        except NotBelieved as error:
            flaw = error.what
        found.append(Measured(bundle.digest, bundle.key_id, {figure.name: figure.value for figure in check.measured}, flaw))
    return tuple(found)


def _require_of(check: Check, spec: Spec, live: Incumbent | None) -> None:
    if check.candidate != candidate_of(spec.model):
        raise NotBelieved(f"it is of {check.candidate.name} {check.candidate.version}, another candidate or other artefacts")
    if check.incumbent != live:
        raise NotBelieved(f"it compares with {_named(check.incumbent)}, and live is {_named(live)}")
    shown = {(one.role, one.digest) for one in spec.datasets}
    for one in check.datasets:
        if (one.role, one.digest) not in shown:
            raise NotBelieved(f"it used the {one.role} data {one.name} {one.version}, which the request does not show")


def _named(version: Incumbent | None) -> str:
    return f"{version.version} ({version.digest[:19]}…)" if version is not None else "nothing"
