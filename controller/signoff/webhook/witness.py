"""What the seal's door works with, and what its rooms share.

1. Who somebody is comes from the review's ``userInfo`` through the configured issuers, and from nowhere else.
2. A key that may not speak for a target signs nothing for it.
3. A dry run is signed nothing and writes nothing.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from signoff.archive import layout
from signoff.archive.store import ArchiveError, Missing, Store
from signoff.decision.principals import Issuer, Resolved, resolve
from signoff.decision.seals import NotBelieved
from signoff.errors import SignoffError
from signoff.record.bundle import MAX_BUNDLE, Signer
from signoff.record.canonical import dumps, text_at
from signoff.record.keys import CannotSign, KeyOutOfReach
from signoff.record.request import Target
from signoff.record.trust import Answer, speaks_for, valid_when_stored
from signoff.record.values import Digest, RequestId
from signoff.verify.reader import Reader
from signoff.webhook.cluster import Cluster
from signoff.webhook.consent import Providers, fetched
from signoff.webhook.review import Reply, Review

SAFE: Final = "it is safe to press again"
field: Final = text_at
"""As `webhook.decisions` calls it."""


class Refused(SignoffError):
    """Admission refuses what was sent; nothing was signed and nothing written."""


@dataclass(frozen=True)
class Witness:
    """The seal's door of one cluster."""

    cluster_name: str
    cluster: Cluster
    store: Store
    reader: Reader
    signer: Signer
    issuers: Sequence[Issuer]
    now: Callable[[], datetime]
    pending_per_namespace: int
    providers: Providers = dataclasses.field(default_factory=lambda: Providers((), (), fetched))
    """The identity providers whose ID tokens decisions may bring along."""
    revoked: Callable[[Digest, str], object] = lambda _event, _words: None
    """Told of an event that was revoked here, and in words by whom, when and why."""
    passkey_origins: Sequence[str] = ()
    """The addresses of portals at which passkeys are used; where there are none, nobody registers one."""

    def who(self, review: Review) -> Resolved:
        """Return who sent the review; `Nobody` where that leads to no principal."""
        return resolve(review.user, self.issuers)

    def has_outcome(self, request: RequestId) -> bool:
        """Whether the archive holds anything in the slot of this request."""
        try:
            self.store.read(layout.event(request), limit=MAX_BUNDLE)
        except Missing:
            return False
        return True

    def require_voice(self, target: Target) -> None:
        """Raise unless this door's key is trusted now and may speak for the target (rule 2)."""
        key = self.reader.trust.key(self.signer.key_id)
        if key is None or key.use != "seal" or key.cluster != self.cluster_name:
            raise NotBelieved(
                "this webhook's key is not the seal key of this cluster in the trust file", mend="ask whoever runs signoff to add it"
            )
        if valid_when_stored(key, self.now()) is not Answer.YES:
            raise NotBelieved("this webhook's key is not valid now", mend="ask whoever runs signoff to renew it")
        if not speaks_for(key, target.environment, target.clusters):
            raise NotBelieved(
                f"cluster {self.cluster_name} may not speak for {target.environment} in {', '.join(target.clusters)}",
                where="spec.target",
                mend="promote from a cluster whose key the trust file lets speak for this target",
            )


@contextmanager
def or_nothing(nothing: str) -> Iterator[None]:
    """Refuse a press, in words that begin with what did not happen, where archive or key fail before anything is written."""
    try:
        yield
    except ArchiveError as error:
        raise Refused(f"{nothing}, for the archive does not answer ({error})", mend=SAFE) from error
    except CannotSign as error:
        mend = SAFE if isinstance(error, KeyOutOfReach) else "call whoever runs signoff, then press again"
        raise Refused(f"{nothing}, for nothing can be signed ({error.where}: {error.what})", mend=mend) from error


def unchanged(review: Review, name: str) -> bool:
    """Whether a field of the object is what the old object has (both may lack it)."""
    old = review.old or {}
    if (name in review.obj) != (name in old):
        return False
    return name not in old or dumps(review.obj[name]) == dumps(old[name])


def kept(review: Review, name: str) -> Reply:
    """Answer an update that leaves the spec as it is: what admission wrote into this field stays, and nobody else writes it."""
    if unchanged(review, name):
        return Reply()
    if name in review.obj:
        raise Refused("only admission writes this field", where=name, mend="leave it as it is")
    # kubectl replace sends the manifest alone.
    return Reply(patch=({"op": "add", "path": f"/{name}", "value": (review.old or {})[name]},))
