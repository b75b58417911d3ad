"""An authenticator and the browser before it, as Web Authentication has them, right or wrong: for what is judged without a browser."""

from __future__ import annotations

import hashlib
import json
import secrets
from base64 import b64encode, urlsafe_b64encode
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, padding, rsa
from signing_in import Provider
from world import CARLA

from signoff.decision.consent import BY_PASSKEY, BY_TOKEN
from signoff.decision.passkeys import Assertion, pem_of, registration_nonce
from signoff.record.canonical import dumps
from signoff.record.freeze import Principal
from signoff.record.promotion import as_json
from signoff.record.seal import Passkey, PasskeyKey
from signoff.record.values import format_time, parse

PARTY = "signoff.bank.example"
ORIGIN = f"https://{PARTY}"
PRESENT, VERIFIED = 0x01, 0x04

PrivateKey = ec.EllipticCurvePrivateKey | ed25519.Ed25519PrivateKey | rsa.RSAPrivateKey


def p256() -> PrivateKey:
    return ec.generate_private_key(ec.SECP256R1())


def ed25519_key() -> PrivateKey:
    return ed25519.Ed25519PrivateKey.generate()


def rsa_key(bits: int = 2048) -> PrivateKey:
    return rsa.generate_private_key(65537, bits)


@dataclass
class Authenticator:
    """One credential, of one relying party."""

    key: PrivateKey = field(default_factory=p256)
    party: str = PARTY
    credential: str = field(default_factory=lambda: urlsafe_b64encode(secrets.token_bytes(32)).rstrip(b"=").decode())

    @property
    def spec(self) -> dict[str, str]:
        """What is registered of it."""
        public = pem_of(self.key.public_key())
        return {"label": "blue key", "relyingParty": self.party, "credential": self.credential, "publicKey": public}

    def client_data(self, challenge: str | None, origin: str | None = ORIGIN, **changes: Any) -> bytes:
        """What the browser has it sign for, as Chromium spells it; a field that is changed to None is left out."""
        said = {"type": "webauthn.get", "challenge": challenge, "origin": origin, "crossOrigin": False} | changes
        return json.dumps({name: value for name, value in said.items() if value is not None}, separators=(",", ":")).encode()

    def data(self, *, party: str | None = None, flags: int = PRESENT | VERIFIED, more: bytes = b"", count: int = 0) -> bytes:
        """What it says itself."""
        return hashlib.sha256((party or self.party).encode()).digest() + bytes([flags]) + count.to_bytes(4, "big") + more

    def sign(self, signed: bytes) -> bytes:
        if isinstance(self.key, ed25519.Ed25519PrivateKey):
            return self.key.sign(signed)
        if isinstance(self.key, rsa.RSAPrivateKey):
            return self.key.sign(signed, padding.PKCS1v15(), hashes.SHA256())
        return self.key.sign(signed, ec.ECDSA(hashes.SHA256()))

    def answer(self, client_data: bytes, data: bytes) -> Assertion:
        """Sign for these bytes, whatever they are."""
        return Assertion(client_data, data, self.sign(data + hashlib.sha256(client_data).digest()))

    def use(self, challenge: str) -> Assertion:
        """Sign for a challenge, as it should be."""
        return self.answer(self.client_data(challenge), self.data())


def registered(
    authenticator: Authenticator, provider: Provider, at: datetime, of: Principal = CARLA, *, token: str | None = None, **changes: Any
) -> Passkey:
    """Return the registration of a key by a login at this moment, as admission makes it; with another token, or with changes."""
    nonce = registration_nonce(parse(PasskeyKey, dumps(authenticator.spec), "passkey"))
    given = token or provider.token(of.subject.partition("@")[0], at, nonce=nonce)
    value = {
        "cluster": "demo",
        "name": "a-key",
        "principal": as_json(of),
        **authenticator.spec,
        "origins": [ORIGIN],
        "attestation": "none",
        "proofs": proofs(BY_TOKEN, (given.encode(), dumps(provider.public))),
        "method": "id-token",
        "time": format_time(at),
        "validUntil": format_time(at + timedelta(days=366)),
        **changes,
    }
    return parse(Passkey, dumps(value), "passkey")


def proofs(kinds: Sequence[str], documents: Iterable[bytes]) -> list[dict[str, str]]:
    """Return documents as a record keeps them."""
    return [{"mediaType": kind, "content": b64encode(data).decode()} for kind, data in zip(kinds, documents, strict=False)]


def consenting(
    token: str, provider: Provider, registration: bytes, assertion: Assertion, kinds: Sequence[str] = BY_PASSKEY
) -> dict[str, Any]:
    """Return what a seal says that it rests on, where that is a passkey."""
    answer = (assertion.client_data, assertion.authenticator_data, assertion.signature)
    return {"assurance": "passkey", "proofs": proofs(kinds, (token.encode(), dumps(provider.public), registration, *answer))}


def as_spec(name: str, assertion: Assertion) -> dict[str, str]:
    """What a decision brings along of it."""
    told = {
        "clientDataJSON": assertion.client_data,
        "authenticatorData": assertion.authenticator_data,
        "signature": assertion.signature,
    }
    return {"name": name, **{key: b64encode(data).decode() for key, data in told.items()}}
