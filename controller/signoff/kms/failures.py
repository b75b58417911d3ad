"""What each failure of a key service means, and whether it may pass.

1. A failure that may pass (5xx, throttling, a broken or silent connection, an answer that is none) is `KeyOutOfReach`.
2. A refusal (no such key, disabled, of another kind, no permission, no access keys) is `CannotSign`, and says what to do.
3. The service's code is told, its message is not: it may repeat what was sent.
"""

from __future__ import annotations

from typing import Final, NamedTuple

from botocore.exceptions import ClientError, NoCredentialsError, PartialCredentialsError

from signoff.record.keys import CannotSign, KeyOutOfReach

AGAIN: Final = "nothing was signed and nothing is lost; it is safe to try again"
_PASSING: Final = {
    "DependencyTimeoutException",
    "KMSInternalException",
    "KeyUnavailableException",
    "RequestTimeout",
    "RequestTimeoutException",
    "ServiceUnavailable",
    "SlowDown",
    "Throttling",
    "ThrottlingException",
    "TooManyRequestsException",
}
_PASSING_STATUS: Final = {404, 408, 425, 429}
"""404: something between us and the service answered; the service's own word for a missing key comes with 400."""
KIND: Final = "make an asymmetric key of key spec ECC_NIST_P256 for SIGN_VERIFY, and name that one"
_RIGHTS: Final = "allow this process kms:GetPublicKey and kms:Sign on this one key, in its own policy and in the key's"
_KEYS: Final = "see that this process's access keys, its clock and the region are right"
_REFUSED: Final = {
    "AccessDeniedException": ("this process may not use the key", _RIGHTS),
    "DisabledException": ("the key is disabled", "enable it, or end it in the trust file and name another"),
    "ExpiredTokenException": ("the key service does not take this process's access keys", _KEYS),
    "IncompleteSignature": ("the key service does not take this process's access keys", _KEYS),
    "InvalidArnException": ("this is no name of a key", "correct the address"),
    "InvalidClientTokenId": ("the key service does not take this process's access keys", _KEYS),
    "InvalidKeyUsageException": ("the key is not one for signatures", KIND),
    "InvalidSignatureException": ("the key service does not take this process's access keys", _KEYS),
    "KMSInvalidStateException": ("the key is in no state to sign", "cancel its deletion, or finish its import, or name another"),
    "MissingAuthenticationToken": ("the key service does not take this process's access keys", _KEYS),
    "NotFoundException": ("the key service has no such key", "correct the address; the region counts too"),
    "UnrecognizedClientException": ("the key service does not take this process's access keys", _KEYS),
    "UnsupportedOperationException": ("the key has no public half", KIND),
}


class Torn(Exception):
    """An answer that is no whole one."""


class Failure(NamedTuple):
    """An error to raise, and whether it is worth asking again first."""

    error: CannotSign
    passing: bool = False


def failure(error: Exception, where: str) -> Failure:
    """Return what an error of the client means (rules 1 to 3)."""
    if isinstance(error, ClientError):
        return _said(error, where)
    if isinstance(error, (NoCredentialsError, PartialCredentialsError)):
        return Failure(CannotSign("this process has no access keys for the key service", where, "give it access keys in its environment"))
    if isinstance(error, Torn):
        return Failure(KeyOutOfReach("what answered was no whole answer of a key service", where, AGAIN), passing=True)
    return Failure(KeyOutOfReach(f"the key service cannot be reached ({type(error).__name__})", where, AGAIN), passing=True)


def _said(error: ClientError, where: str) -> Failure:
    code = str(error.response.get("Error", {}).get("Code", "no code"))[:60]
    status = int(error.response.get("ResponseMetadata", {}).get("HTTPStatusCode", 0))
    if code in _REFUSED:
        what, mend = _REFUSED[code]
        return Failure(CannotSign(f"{what} ({code})", where, mend))
    if code in _PASSING or status in _PASSING_STATUS or status >= 500:
        return Failure(KeyOutOfReach(f"the key service failed ({status} {code})", where, AGAIN), passing=True)
    return Failure(CannotSign(f"the key service refuses it ({status} {code})", where, _RIGHTS))
