"""A key service for tests: moto's server, on loopback over HTTP.

Nothing real exists here. moto differs from the service's documentation in three things, which are mended: it hashes a DIGEST once more, it
signs with disabled keys, and it names no KeySpec beside a public key.
"""

from __future__ import annotations

import json
import logging
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from boto3.session import Session
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.utils import Prehashed
from moto.core.exceptions import JsonRESTError
from moto.kms.models import KmsBackend
from moto.kms.responses import KmsResponse
from moto.server import ThreadedMotoServer

from controlplane.ports import LOOPBACK

REGION = "eu-central-1"
ENVIRONMENT = {
    "AWS_ACCESS_KEY_ID": "signoff",
    "AWS_SECRET_ACCESS_KEY": "of-the-tests",
    "AWS_EC2_METADATA_DISABLED": "true",
    "AWS_SHARED_CREDENTIALS_FILE": "/nonexistent",
    "AWS_CONFIG_FILE": "/nonexistent",
}
_OTHERS = ("AWS_PROFILE", "AWS_SESSION_TOKEN", "AWS_ENDPOINT_URL", "AWS_REGION", "AWS_DEFAULT_REGION", "AWS_CA_BUNDLE")


def hold_access_keys(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in _OTHERS:
        monkeypatch.delenv(name, raising=False)
    for name, value in ENVIRONMENT.items():
        monkeypatch.setenv(name, value)


class KeyService:
    """The service, and an administrator of its keys."""

    def __init__(self, port: int) -> None:
        self.port = port
        self.endpoint = f"http://{LOOPBACK}:{port}"
        session = Session(ENVIRONMENT["AWS_ACCESS_KEY_ID"], ENVIRONMENT["AWS_SECRET_ACCESS_KEY"])
        self.admin: Any = session.client("kms", endpoint_url=self.endpoint, region_name=REGION)

    def make(self, spec: str = "ECC_NIST_P256", usage: str = "SIGN_VERIFY") -> str:
        """Return the id of a new key."""
        return str(self.admin.create_key(KeySpec=spec, KeyUsage=usage)["KeyMetadata"]["KeyId"])

    def address(self, key: str | None = None, endpoint: str | None = None) -> str:
        """Return the address of a key, by default of a new one."""
        return f"awskms:///{key or self.make()}?region={REGION}&endpoint={endpoint or self.endpoint}"


@contextmanager
def serving() -> Iterator[KeyService]:
    logging.getLogger("werkzeug").setLevel(logging.ERROR)  # its thread would write into what other tests capture
    server = ThreadedMotoServer(LOOPBACK, port=0, verbose=False)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(KmsResponse, "sign", _sign(KmsResponse.sign))
        patch.setattr(KmsResponse, "get_public_key", _get_public_key(KmsResponse.get_public_key))
        patch.setattr(KmsBackend, "sign", _digest_or_raw)
        server.start()
        try:
            yield KeyService(server.get_host_and_port()[1])
        finally:
            server.stop()


class _Digest(bytes):
    """A message that is a digest already."""


def _sign(original: Any) -> Any:
    def sign(self: Any) -> str:
        _require_enabled(self)
        if self._get_param("MessageType") == "DIGEST":
            given = self._get_param

            def as_digest(name: str, *rest: Any) -> Any:
                value = given(name, *rest)
                return _Digest(value) if name == "Message" else value

            self._get_param = as_digest
        return str(original(self))

    return sign


def _digest_or_raw(self: Any, key_id: str, message: bytes, signing_algorithm: str) -> tuple[str, bytes, str]:
    key = self.describe_key(key_id)
    if len(message) > 4096:
        raise JsonRESTError("ValidationException", "Member must have length less than or equal to 4096")
    algorithm: Any = Prehashed(hashes.SHA256()) if isinstance(message, _Digest) else hashes.SHA256()
    return key.arn, key.private_key.private_key.sign(message, ec.ECDSA(algorithm)), signing_algorithm


def _get_public_key(original: Any) -> Any:
    def get_public_key(self: Any) -> str:
        _require_enabled(self)
        answer = json.loads(original(self))
        return json.dumps({**answer, "KeySpec": answer["CustomerMasterKeySpec"]})

    return get_public_key


def _require_enabled(response: Any) -> None:
    key_id = response._get_param("KeyId")
    response._validate_key_id(key_id)
    key = response.kms_backend.describe_key(key_id)
    if key.key_state == "PendingDeletion":
        raise JsonRESTError("KMSInvalidStateException", "pending deletion")
    if not key.enabled:
        raise JsonRESTError("DisabledException", "disabled")
