"""What was signed over one freeze: whether a decision decides on it, and whether admission witnessed who asked for it.

The verifier, the seal's door, the operator and the auditor's views ask this here, so that none of them believes what another does not.

1. A decision names the request, the freeze by its digest, and a rendition of that freeze.
2. Its consent is at least what the route asks for, and its proof bears that out (`consent`, `passkeys`).
3. The grant that it rests on, if any, lets them decide on this freeze (`delegations`).
4. Each submission that a freeze names is the statement that admission signed: of this request, by this principal, at this time.
"""

from __future__ import annotations

from datetime import datetime

from signoff.decision.consent import believe_consent, suffices
from signoff.decision.delegations import believe_grant
from signoff.decision.passkeys import believe_passkey
from signoff.decision.seals import Filed, NotBelieved, read_submission
from signoff.record.canonical import b64decode
from signoff.record.freeze import Freeze
from signoff.record.seal import Seal
from signoff.record.trust import Trust
from signoff.record.values import Digest


def believe_on(seal: Seal, filed: Filed, trust: Trust, freeze: Freeze, digest: Digest, where: str = "seal") -> None:
    """Raise unless a seal whose signature is believed decides on a freeze, given with its digest (rules 1 to 3).

    `NotBelieved`, or `CouldNotTell`.
    """
    if (seal.id, seal.freeze) != (freeze.id, digest):
        raise NotBelieved("is a decision on another freeze", where=where)
    if seal.rendition not in {one.digest for one in freeze.renditions}:
        raise NotBelieved("rests on a rendition that is not of this freeze", where=where)
    if not suffices(seal.decided.consent.assurance, freeze.route.requirement.assurance):
        raise NotBelieved("rests on a consent weaker than the route asks for", where=where)
    believe_consent(seal, trust, where)
    believe_passkey(seal, filed, trust, freeze, where)
    believe_grant(seal.decided, seal.cluster, filed, trust, freeze, where)


def believe_submissions(freeze: Freeze, trust: Trust, stored_at: datetime | None, where: str = "freeze") -> None:
    """Raise unless admission witnessed who asked, as a freeze says (rule 4); ``stored_at`` as in `Filed`. Raises as `believe_on`."""
    for index, one in enumerate(freeze.submissions):
        at = f"{where}.submissions[{index}]"
        said = read_submission(Filed(b64decode(one.bundle, at), stored_at), trust, freeze.request.spec.target, at)
        if said.id != freeze.id:
            raise NotBelieved("is the submission of another request", where=at)
        if (said.principal, said.time) != (one.principal, one.time):
            raise NotBelieved("says other than what admission signed", where=at)
