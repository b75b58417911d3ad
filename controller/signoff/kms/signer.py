"""A signer whose private key never leaves a key service.

1. The public key is read once, when the process starts. What it is trusted for is the trust file's word, not the service's.
2. What is sent is a digest (SHA-256): an event is longer than the 4096 bytes that the service takes, and is none of its business.
3. No signature is used that does not verify under that public key. A service that signs with another key, because an alias was moved or a
   key replaced, is noticed at the first signature, and nothing is signed until somebody has looked.
4. Silence is bounded by `Patience`: a failure that may pass is asked again, a bounded number of times within a bounded time.
"""

from __future__ import annotations

import random
import time
from collections.abc import Callable
from dataclasses import dataclass
from hashlib import sha256
from typing import Any, Final, TypeVar

from boto3.session import Session
from botocore.client import BaseClient
from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError, ParamValidationError
from botocore.parsers import ResponseParserError
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import load_der_public_key
from urllib3.exceptions import HTTPError

from signoff.kms.address import KeyAddress, parse_address
from signoff.kms.failures import KIND, Torn, failure
from signoff.record.keys import CannotSign, key_id, public_pem, verifies
from signoff.record.values import Digest

Answer = TypeVar("Answer")

_ALGORITHM: Final = "ECDSA_SHA_256"
_CONNECTIONS: Final = 32


@dataclass(frozen=True, slots=True)
class Patience:
    """How long one request may take, in seconds: `silence` between two bytes, `total` with its at most `attempts`.

    Together they end before the API server gives the door up (5 s), so that whoever submits reads our words and not its.
    """

    connect: float = 2.0
    silence: float = 3.0
    total: float = 4.5
    attempts: int = 3
    pause: float = 0.1


class KmsSigner:
    """A signer over one key of the service. Safe to use from many threads; make one with `open_signer`."""

    def __init__(self, address: KeyAddress, client: BaseClient, patience: Patience) -> None:
        self._where = str(address)
        self._key = address.key
        self._client = client
        self._patience = patience
        self._public = self._read_public()

    @property
    def key_id(self) -> Digest:
        """The id of the public key that was read at the start (rule 1)."""
        return key_id(self._public)

    @property
    def public_pem(self) -> str:
        """The public key as PEM (SubjectPublicKeyInfo)."""
        return self._public

    def sign(self, data: bytes) -> bytes:
        """Return the DER signature over ``data``; `KeyOutOfReach` or `CannotSign` where there is none that verifies (rules 2 and 3)."""
        digest = sha256(data).digest()

        def ask() -> bytes:
            answer = self._client.sign(KeyId=self._key, Message=digest, MessageType="DIGEST", SigningAlgorithm=_ALGORITHM)
            return _bytes(answer.get("Signature"))

        signature = self._asked(ask)
        if not verifies(self._public, signature, data):
            raise self._wrong()
        return signature

    def _wrong(self) -> CannotSign:
        now = self._read_public()
        if now != self._public:
            return CannotSign(
                f"the key service holds another key here than when this process started: {key_id(now)}, then {self.key_id}",
                self._where,
                "nothing was signed; if it was replaced on purpose, add it to the trust file and restart with that, and end the old one",
            )
        return CannotSign(
            "the key service answered with a signature that does not verify under its own key",
            self._where,
            "nothing was signed; find out who answers there",
        )

    def _read_public(self) -> str:
        def ask() -> tuple[bytes, str, str]:
            answer = self._client.get_public_key(KeyId=self._key)
            return _bytes(answer.get("PublicKey")), str(answer.get("KeySpec"))[:60], str(answer.get("KeyUsage"))[:60]

        der, spec, usage = self._asked(ask)
        if (spec, usage) != ("ECC_NIST_P256", "SIGN_VERIFY"):
            raise CannotSign(f"the key is {spec} for {usage}, not ECC_NIST_P256 for SIGN_VERIFY", self._where, KIND)
        try:
            key = load_der_public_key(der)
        except (ValueError, UnsupportedAlgorithm):
            raise CannotSign("what the key service calls a public key is none", self._where, KIND) from None
        if not isinstance(key, ec.EllipticCurvePublicKey) or not isinstance(key.curve, ec.SECP256R1):
            raise CannotSign("the public key is not ECDSA on P-256", self._where, KIND)
        return public_pem(key)

    def _asked(self, ask: Callable[[], Answer]) -> Answer:
        """Ask, and ask again while the failure may pass (rule 4)."""
        end = time.monotonic() + self._patience.total - self._patience.silence
        pause = self._patience.pause
        for attempt in range(1, self._patience.attempts + 1):
            try:
                return ask()
            except ParamValidationError as error:
                raise CannotSign("this is no name of a key", self._where, "correct the address") from error
            except (ClientError, BotoCoreError, ResponseParserError, HTTPError, OSError, Torn) as error:
                failed = failure(error, self._where)
                if not failed.passing or attempt == self._patience.attempts or time.monotonic() + pause > end:
                    raise failed.error from error
            time.sleep(pause * random.uniform(0.5, 1))  # noqa: S311 - spreads processes in time; no secret
            pause *= 2
        raise AssertionError("the last attempt returns or raises")


def open_signer(place: str, patience: Patience | None = None) -> KmsSigner:
    """Return the signer of the key at an address, its public half read; `SignoffError` says why there is none."""
    address, waits = parse_address(place), patience or Patience()
    return KmsSigner(address, _connect(address, waits), waits)


def _bytes(value: object) -> bytes:
    if not isinstance(value, bytes) or not value:
        raise Torn
    return value


def _connect(address: KeyAddress, patience: Patience) -> Any:
    config = Config(
        connect_timeout=patience.connect,
        read_timeout=patience.silence,
        retries={"total_max_attempts": 1, "mode": "standard"},
        max_pool_connections=_CONNECTIONS,
    )
    try:
        # A session of its own: the one that boto3 shares may not be used by threads that start at once.
        return Session().client("kms", endpoint_url=address.endpoint, region_name=address.region, config=config)
    except BotoCoreError as error:
        mend = "name the region in the address, and correct the AWS_ variables and files of this process"
        raise CannotSign(f"no client can be made of this environment ({type(error).__name__})", str(address), mend) from error
