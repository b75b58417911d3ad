"""Keys: ECDSA on P-256 with SHA-256, from PEM.

A key's id is the sha256 of its public half (SubjectPublicKeyInfo, DER; RFC 5280, section 4.1.2.7).
"""

from __future__ import annotations

from functools import lru_cache

from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
    load_pem_private_key,
    load_pem_public_key,
)

from signoff.errors import SignoffError
from signoff.record.values import Digest, RecordError, sha256

_MEND = "make one with: signoff init, or openssl ecparam -name prime256v1 -genkey -noout | openssl pkcs8 -topk8 -nocrypt"
_ALGORITHM = ec.ECDSA(hashes.SHA256())


class CannotSign(SignoffError):
    """The key gives no signature: nothing was signed, and somebody must look."""


class KeyOutOfReach(CannotSign):
    """The key's service does not answer: nothing was signed; safe to try again."""


class PemSigner:
    """A signer whose private key is in memory, read from PEM (PKCS #8 or SEC 1, not encrypted)."""

    def __init__(self, pem: bytes, where: str = "key") -> None:
        try:
            key = load_pem_private_key(pem, password=None)
        except (ValueError, TypeError, UnsupportedAlgorithm) as error:
            raise RecordError(f"no private key in PEM: {error}", where=where, mend=_MEND) from None
        if not isinstance(key, ec.EllipticCurvePrivateKey) or not isinstance(key.curve, ec.SECP256R1):
            raise RecordError("not an ECDSA key on P-256", where=where, mend=_MEND)
        self._key = key
        self._public = public_pem(key.public_key())

    @property
    def key_id(self) -> Digest:
        """The id of the public key."""
        return key_id(self._public)

    @property
    def public_pem(self) -> str:
        """The public key as PEM (SubjectPublicKeyInfo)."""
        return self._public

    def sign(self, data: bytes) -> bytes:
        """Return the DER signature over ``data``."""
        return self._key.sign(data, _ALGORITHM)


def generate_pem() -> bytes:
    """Return a new private key as PEM (PKCS #8, not encrypted)."""
    key = ec.generate_private_key(ec.SECP256R1())
    return key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())


def public_pem(key: ec.EllipticCurvePublicKey) -> str:
    """Return a public key as PEM (SubjectPublicKeyInfo)."""
    return key.public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo).decode("ascii")


def key_id(pem: str) -> Digest:
    """Return the id of a public key in PEM; `RecordError` where it is not ECDSA on P-256."""
    return sha256(_load(pem).public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo))


def verifies(pem: str, signature: bytes, data: bytes) -> bool:
    """Whether ``signature`` (DER) over ``data`` is by the key in ``pem``."""
    try:
        _load(pem).verify(signature, data, _ALGORITHM)
    except InvalidSignature:
        return False
    return True


@lru_cache(maxsize=256)
def _load(pem: str) -> ec.EllipticCurvePublicKey:
    try:
        key = load_pem_public_key(pem.encode("ascii"))
    except (ValueError, UnsupportedAlgorithm) as error:
        raise RecordError(f"no public key in PEM: {error}", mend=_MEND) from None
    if not isinstance(key, ec.EllipticCurvePublicKey) or not isinstance(key.curve, ec.SECP256R1):
        raise RecordError("not an ECDSA key on P-256", mend=_MEND)
    return key
