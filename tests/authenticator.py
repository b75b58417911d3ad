"""An authenticator and the browser before it, as Web Authentication has them, right or wrong: for what is judged without a browser."""

from __future__ import annotations

import hashlib
import json
import secrets
from base64 import b64encode, urlsafe_b64encode
from dataclasses import dataclass, field
from typing import Any

from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, padding, rsa

from signoff.decision.passkeys import Assertion, pem_of

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


def as_spec(name: str, assertion: Assertion) -> dict[str, str]:
    """What a decision brings along of it."""
    told = {
        "clientDataJSON": assertion.client_data,
        "authenticatorData": assertion.authenticator_data,
        "signature": assertion.signature,
    }
    return {"name": name, **{key: b64encode(data).decode() for key, data in told.items()}}
