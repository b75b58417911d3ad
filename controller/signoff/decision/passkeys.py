"""Consent by passkey: whose key it is, and that it signed this very decision (Web Authentication Level 3, W3C; cited by its sections).

1. A key is registered by its owner's fresh login: the nonce of its ID token is `registration_nonce`, of relying party, credential id and
   public key, so that the provider's own signature covers which key is whose. Admission signs the registration (`seals.read_passkey`).
   No attestation is taken: who made the authenticator, and whether the key can leave it, is not known.
2. A key is ECDSA on P-256 with SHA-256, Ed25519, or RSA of 2048 to 4096 bits with SHA-256 (ES256, EdDSA, RS256; section 5.8.5), spelled in
   the one way in which PEM spells it.
3. A registration counts for its own principal, in its own cluster, from when it was made until it ends. Whether it was withdrawn is asked
   at the press.
4. What the browser signed for (``clientDataJSON``, section 5.8.1) is strict JSON: it is an assertion, its challenge is that of this
   decision, it was made at a registered origin, and in no frame of another's.
5. What the authenticator says (``authenticatorData``, section 6.1): for this relying party, with the person present and verified. Behind
   it stands nothing but what its flags announce.
6. The signature over both verifies under the registered key (section 6.3.3).
7. The challenge is made of the nonce that a fresh login for this decision would carry, and of who decides: an assertion is for one freeze,
   rendition, verdict and person, though two people had registered one key.
8. The signature counter is not looked at: a passkey that its owner's devices share has none that grows. One assertion makes one decision
   all the same, for a person has one on a freeze.
9. Beside it stands the ID token of the sign-in, which says in which groups they are (`consent`).
"""

from __future__ import annotations

import hashlib
from base64 import urlsafe_b64encode
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, padding, rsa
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat, load_der_public_key, load_pem_public_key

from signoff.decision.consent import BY_PASSKEY, BY_TOKEN, Login, assurance_of, consent_nonce, issuer_of, login_of
from signoff.decision.seals import Filed, NotBelieved, credential_digest, read_passkey
from signoff.record.bundle import read_bundle, read_statement
from signoff.record.canonical import Json, b64decode, loads
from signoff.record.freeze import Freeze, Identity
from signoff.record.seal import PASSKEY_TYPE, Decided, Passkey, PasskeyKey, PasskeyStatement, Proof, Seal, Verdict
from signoff.record.trust import Trust
from signoff.record.values import Digest, RecordError, hex_of, parse_time

MAX_REGISTRATION: Final = 32 * 1024
MAX_CLIENT_DATA: Final = 4 * 1024
MAX_AUTHENTICATOR_DATA: Final = 4 * 1024
MAX_SIGNATURE: Final = 1024

_REGISTERS: Final = "signoff passkey/v1"
_CONSENTS: Final = "signoff passkey consent/v1"
_HEAD: Final = 37
_PRESENT, _VERIFIED, _MORE = 0x01, 0x04, 0xC0
"""Flags: user present, user verified; and those that announce that more follows (attested credential data, extensions)."""
_AGAIN: Final = "use the passkey again"
_ANEW: Final = "register the passkey anew"

PublicKey = ec.EllipticCurvePublicKey | ed25519.Ed25519PublicKey | rsa.RSAPublicKey


@dataclass(frozen=True)
class Assertion:
    """What an authenticator gave: the bytes that the browser signed for, its own, and its signature over both."""

    client_data: bytes
    authenticator_data: bytes
    signature: bytes


def registration_nonce(key: PasskeyKey) -> str:
    """Return the nonce of the login by which a key is registered (rule 1): base64url(sha256(domain, relying party, digest of id and key)),
    by 0x00.
    """
    return _hashed(_REGISTERS, key.relyingParty, hex_of(credential_digest(key)))


def challenge_of(freeze: Digest, rendition: Digest, verdict: Verdict, who: Identity) -> str:
    """Return the challenge of somebody's decision, as client data has it (rule 7): base64url(sha256(domain, nonce of a fresh login for the
    same, issuer, subject)), by 0x00.
    """
    return _hashed(_CONSENTS, consent_nonce(freeze, rendition, verdict), who.issuer, who.subject)


def public_key_of(key: PasskeyKey, where: str = "passkey") -> PublicKey:
    """Return the public key that is registered; `NotBelieved` where it is none that counts (rule 2)."""
    try:
        read = load_pem_public_key(key.publicKey.encode("ascii"))
    except (ValueError, UnsupportedAlgorithm):
        raise NotBelieved("is no public key", where=where, mend=_ANEW) from None
    found = _counting(read, where)
    if pem_of(found) != key.publicKey:
        raise NotBelieved("is not the one spelling of its public key", where=where, mend=_ANEW)
    return found


def pem_of_der(der: bytes, where: str = "passkey") -> str:
    """Return a public key in PEM, of its DER as browsers give it (``getPublicKey``, section 5.2.1); `NotBelieved` as `public_key_of`."""
    try:
        read = load_der_public_key(der)
    except (ValueError, UnsupportedAlgorithm):
        raise NotBelieved("is no public key", where=where, mend=_ANEW) from None
    return pem_of(_counting(read, where))


def pem_of(key: PublicKey) -> str:
    """Return a public key as a registration has it: SubjectPublicKeyInfo in PEM."""
    return key.public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo).decode("ascii")


def require_owner(passkey: Passkey, who: Identity, cluster: str, time: str, where: str = "passkey") -> None:
    """Raise `NotBelieved` unless a registration counts for this person, in this cluster, at this time (rule 3)."""
    if not passkey.principal.is_same(who):
        raise NotBelieved(f"is the passkey of {passkey.principal.subject}, not of {who.subject}", where=where, mend="use your own")
    if passkey.cluster != cluster:
        raise NotBelieved(f"was registered in cluster {passkey.cluster}, not in {cluster}", where=where, mend=_ANEW)
    if not parse_time(passkey.time) <= parse_time(time) < parse_time(passkey.validUntil):
        raise NotBelieved(f"is registered from {passkey.time} until {passkey.validUntil}, not at {time}", where=where, mend=_ANEW)


def require_assertion(assertion: Assertion, passkey: Passkey, challenge: str, where: str = "passkey") -> None:
    """Raise `NotBelieved` unless a registered key signed for this challenge (rules 4 to 6)."""
    _require_sizes(assertion, where)
    _require_client_data(assertion.client_data, passkey, challenge, where)
    _require_authenticator_data(assertion.authenticator_data, passkey, where)
    signed = assertion.authenticator_data + hashlib.sha256(assertion.client_data).digest()
    if not _verifies(public_key_of(passkey, where), assertion.signature, signed):
        raise NotBelieved("the signature is not by the registered key", where=where, mend=_AGAIN)


def believe_registration(passkey: Passkey, trust: Trust, where: str = "passkey") -> Login:
    """Return the login by which a key was registered; `NotBelieved` unless its owner's provider signed that (rules 1 and 2)."""
    public_key_of(passkey, where)
    if tuple(one.mediaType for one in passkey.proofs) != BY_TOKEN:
        raise NotBelieved("carries no proof of who registered it", where=where)
    token, key = (b64decode(one.content, where) for one in passkey.proofs)
    named = token.decode("ascii", "replace")
    provider = trust.provider(issuer_of(named))
    if provider is None:
        raise NotBelieved("was registered with an identity provider that the trust file does not name", where=where)
    login = login_of(named, key, provider, where)
    if not login.identity.is_same(passkey.principal):
        raise NotBelieved(f"was registered by {login.identity.subject}, as the passkey of {passkey.principal.subject}", where=where)
    require_registering(login, passkey, passkey.time, where)
    return login


def require_registering(login: Login, key: PasskeyKey, time: str, where: str = "passkey") -> None:
    """Raise `NotBelieved` unless somebody signed in to register this very key, shortly before this time (rule 1)."""
    if assurance_of(login, registration_nonce(key), parse_time(time)) != "fresh-login":
        raise NotBelieved("the login was not for this passkey", where=where, mend=_ANEW)


def believe_passkey(seal: Seal, filed: Filed, trust: Trust, freeze: Freeze, where: str) -> None:
    """Raise unless a seal that says that it rests on a passkey does (rules 1 to 7); ``filed`` is the seal."""
    decided = seal.decided
    if decided.consent.assurance != "passkey":
        return
    where = f"{where}.consent"
    bundle, assertion = _of_proofs(decided.consent.proofs, where)
    passkey = read_passkey(Filed(bundle, filed.stored_at), trust, freeze.request.spec.target, where)
    believe_registration(passkey, trust, where)
    require_owner(passkey, decided.principal, seal.cluster, decided.time, where)
    require_assertion(assertion, passkey, challenge_of(seal.freeze, seal.rendition, decided.verdict, decided.principal), where)


def registration_of(decided: Decided, where: str = "seal.consent") -> bytes | None:
    """Return the bundle of the registration that a decision says it rests on, None where it rests on none; as `passkey_of`."""
    return _of_proofs(decided.consent.proofs, where)[0] if decided.consent.assurance == "passkey" else None


def passkey_of(decided: Decided, where: str = "seal.consent") -> Passkey | None:
    """Return the registration that a decision says it rests on, None where it rests on none; nothing of it is believed by that."""
    data = registration_of(decided, where)
    if data is None:
        return None
    bundle = read_bundle(data, where)
    return read_statement(PasskeyStatement, bundle.payload, PASSKEY_TYPE, where).predicate


def _of_proofs(proofs: tuple[Proof, ...], where: str) -> tuple[bytes, Assertion]:
    if tuple(one.mediaType for one in proofs) != BY_PASSKEY:
        raise NotBelieved("carries other proofs than a passkey gives", where=where)
    bundle, *rest = (b64decode(one.content, where) for one in proofs[2:])
    if len(bundle) > MAX_REGISTRATION:
        raise NotBelieved("carries a larger registration than is read", where=where)
    return bundle, Assertion(*rest)


def _counting(key: object, where: str) -> PublicKey:
    counts = (
        (isinstance(key, ec.EllipticCurvePublicKey) and isinstance(key.curve, ec.SECP256R1))
        or isinstance(key, ed25519.Ed25519PublicKey)
        or (isinstance(key, rsa.RSAPublicKey) and 2048 <= key.key_size <= 4096)
    )
    if not counts:
        raise NotBelieved("is a key of a kind that is not taken", where=where, mend="use an authenticator for ES256, EdDSA or RS256")
    assert isinstance(key, PublicKey)  # noqa: S101 - one of the kinds above
    return key


def _require_sizes(assertion: Assertion, where: str) -> None:
    sizes = (
        (assertion.client_data, MAX_CLIENT_DATA),
        (assertion.authenticator_data, MAX_AUTHENTICATOR_DATA),
        (assertion.signature, MAX_SIGNATURE),
    )
    if any(len(data) > most for data, most in sizes):
        raise NotBelieved("is larger than is read", where=where, mend=_AGAIN)


def _require_client_data(data: bytes, passkey: Passkey, challenge: str, where: str) -> None:
    try:
        said = loads(data, where, limit=MAX_CLIENT_DATA)
    except RecordError:
        said = None
    if not isinstance(said, Mapping):
        raise NotBelieved("what the browser signed for cannot be read", where=where, mend=_AGAIN)
    if said.get("type") != "webauthn.get":
        raise NotBelieved("what the browser signed for is no use of a passkey", where=where, mend=_AGAIN)
    if said.get("challenge") != challenge:
        raise NotBelieved("the passkey was used for another desk, verdict or person", where=where, mend="look at the desk, and decide anew")
    if said.get("origin") not in passkey.origins:
        told = str(said.get("origin"))[:200]
        raise NotBelieved(f"the passkey was used at {told!r}, and is registered for {', '.join(passkey.origins)}", where=where, mend=_ANEW)
    if not _is_own_page(said):
        raise NotBelieved("the passkey was used within another site's page", where=where, mend="open the portal by itself")


def _is_own_page(said: Mapping[str, Json]) -> bool:
    """Whether the page was no frame in another site's: older browsers leave ``crossOrigin`` out, and mean that."""
    return said.get("crossOrigin", False) is False and "topOrigin" not in said


def _require_authenticator_data(data: bytes, passkey: Passkey, where: str) -> None:
    flags = data[32] if len(data) >= _HEAD else 0
    if len(data) < _HEAD or (len(data) > _HEAD and not flags & _MORE):
        raise NotBelieved("what the authenticator says cannot be read", where=where, mend=_AGAIN)
    if data[:32] != hashlib.sha256(passkey.relyingParty.encode()).digest():
        raise NotBelieved(f"the passkey was used for another place than {passkey.relyingParty}", where=where, mend=_ANEW)
    if not flags & _PRESENT:
        raise NotBelieved("nobody was there when the passkey was used", where=where, mend=_AGAIN)
    if not flags & _VERIFIED:
        mend = "use an authenticator that asks for your finger, your face or a PIN"
        raise NotBelieved("the authenticator did not verify who used the passkey", where=where, mend=mend)


def _verifies(key: PublicKey, signature: bytes, signed: bytes) -> bool:
    try:
        if isinstance(key, ed25519.Ed25519PublicKey):
            key.verify(signature, signed)
        elif isinstance(key, rsa.RSAPublicKey):
            key.verify(signature, signed, padding.PKCS1v15(), hashes.SHA256())
        else:
            key.verify(signature, signed, ec.ECDSA(hashes.SHA256()))
    except InvalidSignature:
        return False
    return True


def _hashed(*said: str) -> str:
    return urlsafe_b64encode(hashlib.sha256("\x00".join(said).encode()).digest()).rstrip(b"=").decode()
