"""PromotionPasskeys at admission: whoever applies one registers a key by which they consent from then on.

1. It is created once and not changed; deleting it withdraws the key, which is asked at each press. What was registered stays in the
   archive, and what was decided by it stands.
2. Its relying party is the host of a portal that configuration names, and its origins are those that configuration names there. Where it
   names none, nobody registers a key.
3. Its owner is whoever's ID token is brought along: of a login for this very key, a few minutes ago (`decision.passkeys`, rule 1). A portal
   may bring one of others; whoever else sends it sends their own.
4. It ends by itself after a year and a day.
5. The registration is signed and in the archive before the review is answered. Nobody else writes ``registration``.
"""

from __future__ import annotations

from typing import Final
from urllib.parse import urlsplit

from signoff.archive import layout
from signoff.archive.store import ArchiveError, Missing
from signoff.decision.passkeys import MAX_REGISTRATION, believe_registration, public_key_of, require_registering
from signoff.decision.seals import Filed, passkey_bundle, read_passkey
from signoff.record.bundle import MAX_BUNDLE, read_bundle, read_statement
from signoff.record.canonical import Json, dumps, text_at
from signoff.record.promotion import as_json
from signoff.record.request import Target
from signoff.record.seal import PASSKEY_TYPE, Passkey, PasskeyKey, PasskeyStatement
from signoff.record.values import format_time, parse, parse_digest
from signoff.webhook.cluster import NotFound
from signoff.webhook.consent import AssertionSpec, TokenSpec, Used, whose
from signoff.webhook.delegations import LONGEST
from signoff.webhook.once import Once
from signoff.webhook.review import Reply, Review
from signoff.webhook.witness import Refused, Witness

_ONCE: Final = Once(
    "passkey",
    "registration",
    "registration",
    "a passkey is registered once and not changed; delete it to withdraw it, and register another",
)
_ANEW: Final = "register one in the portal, under “Your passkeys”"


class PasskeySpec(PasskeyKey):
    """``PromotionPasskey.spec``."""

    consent: TokenSpec


def seal(witness: Witness, review: Review) -> Reply:
    """Answer the mutating review."""
    if review.operation == "UPDATE":
        return _ONCE.update(review)
    _ONCE.refuse_written(review)
    passkey = _passkey(witness, review)
    if review.dry_run:
        return Reply()
    bundle = passkey_bundle(passkey, witness.signer)
    if len(bundle) > MAX_REGISTRATION:
        what = f"the registration, with the ID token of {passkey.principal.name}, has more than {MAX_REGISTRATION} bytes"
        raise Refused(what, mend="ask whoever runs the identity provider to put less into its ID tokens")
    digest = read_bundle(bundle, "passkey").digest
    try:
        _ONCE.archive(witness, digest, bundle)
    except ArchiveError as error:
        raise Refused(f"nothing was registered, for the archive does not answer ({error})", mend="it is safe to try again") from error
    value: Json = {"statement": digest, **_shown(passkey)}
    return Reply(patch=({"op": "add", "path": "/registration", "value": value},))


def check(witness: Witness, review: Review) -> Reply:
    """Answer the validating review: the registration is in the archive, of this key, by whoever's login was brought along."""
    if review.operation == "UPDATE":
        return _ONCE.check_update(review)
    wanted = _passkey(witness, review)
    if review.dry_run and "registration" not in review.obj:
        return Reply()
    bundle = _ONCE.signed(witness, review, "register it again")
    signed = read_statement(PasskeyStatement, bundle.payload, PASSKEY_TYPE, "registration").predicate
    if signed.model_copy(update={"time": wanted.time, "validUntil": wanted.validUntil}) != wanted:
        raise Refused("is another registration, or of somebody else", where="registration", mend="leave it out")
    if any(text_at(review.obj, "registration", name) != said for name, said in _shown(signed).items()):
        raise Refused("says other than what was signed", where="registration", mend="leave it out")
    return Reply()


def registered(witness: Witness, used: AssertionSpec, target: Target) -> Used:
    """Return a passkey that was used, with its registration, which stands now; `Refused`, `NotBelieved` or `CouldNotTell` says why not."""
    where = f"promotionpasskey {used.name}"
    try:
        resource = witness.cluster.passkey(used.name)
    except NotFound:
        raise Refused("is not registered, or was withdrawn; nothing was decided", where=where, mend=_ANEW) from None
    digest = parse_digest(text_at(resource, "registration", "statement"), f"{where}: registration.statement")
    try:
        stored = witness.store.read(layout.statement("passkey", digest), limit=MAX_BUNDLE)
    except Missing:
        raise Refused("is not in the archive, and so counts for nothing", where=where, mend=_ANEW) from None
    # As of now, and not of when it was registered: the event will be judged by its own time.
    passkey = read_passkey(Filed(stored.data, witness.now()), witness.reader.trust, target, where)
    if read_bundle(stored.data, where).digest != digest or (passkey.name, passkey.cluster) != (used.name, witness.cluster_name):
        raise Refused(f"is the passkey {passkey.name} of cluster {passkey.cluster}", where=where, mend="call whoever runs signoff")
    believe_registration(passkey, witness.reader.trust, where)
    return Used(passkey, stored.data, used.assertion)


def _passkey(witness: Witness, review: Review) -> Passkey:
    spec = parse(PasskeySpec, dumps(review.obj.get("spec")), "spec")
    origins = [one for one in witness.passkey_origins if urlsplit(one).hostname == spec.relyingParty]
    if not origins:
        mend = "register it in a portal; ask whoever runs signoff to name it in the webhook's passkeyOrigins"
        raise Refused(f"nobody uses passkeys at {spec.relyingParty}", where="spec.relyingParty", mend=mend)
    public_key_of(spec, "spec.publicKey")
    now = witness.now()
    signed_in = whose(witness.providers, witness.reader.trust, witness.who(review), spec.consent)
    require_registering(signed_in.login, spec, format_time(now), "spec.consent")
    value: Json = {
        "cluster": witness.cluster_name,
        "name": text_at(review.obj, "metadata", "name"),
        "principal": as_json(signed_in.who.principal),
        **{name: said for name, said in as_json(spec).items() if name in PasskeyKey.model_fields},
        "origins": origins,
        "attestation": "none",
        "proofs": list(signed_in.proofs),
        "method": signed_in.who.method,
        "time": format_time(now),
        "validUntil": format_time(now + LONGEST),
    }
    return parse(Passkey, dumps(value), "passkey")


def _shown(passkey: Passkey) -> dict[str, str]:
    owner = passkey.principal
    return {
        "issuer": owner.issuer,
        "subject": owner.subject,
        "name": owner.name,
        "time": passkey.time,
        "validUntil": passkey.validUntil,
    }
