"""Single requests to an S3 store: how long they may take, what is repeated, what each failure means.

1. A failure that may pass (5xx, 409, 429, a broken or silent connection, a body that arrived torn) is repeated, a
   bounded number of times within a bounded time; then it is `Unavailable`.
2. A refusal (403, credentials, a request that the store does not know) is `Refused`, at once.
3. A missing bucket is `Unavailable`: nothing is known about the archive. It never passes for a missing object.
4. An answer counts only if it is one: a listing that does not say what it lists is no empty listing.
5. Each write carries its SHA-256, which the store must find right. Each read asks for one version by its id; its length
   must be the listed one, and its SHA-256 the one stored, where the store gives one.

Silence is bounded by `Patience`; against a store that sends its listings byte by byte, each in time, nothing is.
"""

import base64
import random
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from hashlib import sha256
from typing import Any, Final, NamedTuple, NoReturn, TypeVar

from boto3.session import Session
from botocore.client import BaseClient
from botocore.config import Config
from botocore.exceptions import (
    BotoCoreError,
    ClientError,
    FlexibleChecksumError,
    NoCredentialsError,
    ParamValidationError,
    PartialCredentialsError,
)
from botocore.parsers import ResponseParserError
from urllib3.exceptions import HTTPError

from signoff.archive.s3_address import S3Address
from signoff.archive.store import ArchiveError, Damaged, Refused, Unavailable

Answer = TypeVar("Answer")

_PART: Final = 1024 * 1024
_CONNECTIONS: Final = 32
_DENIED: Final = "give this process the right, and see that its keys, its clock and the region are right"
_AGAIN: Final = "try again; if it stays, look at the store"
_PASSING_CODES: Final = {
    "BadDigest",
    "IncompleteBody",
    "InternalError",
    "RequestTimeout",
    "SlowDown",
    "Throttling",
    "XAmzContentChecksumMismatch",
}
_ABSENT_CODES: Final = {"NoSuchKey", "NoSuchVersion", "ObjectLockConfigurationNotFoundError"}
_FINAL_5XX: Final = {501, 507}
_PASSING_4XX: Final = {404, 408, 409, 425, 429}
"""404 without a code of S3: something between us and the store answered."""


class Taken(Exception):
    """The store refused a conditional write, for the key has a current version."""


class Absent(Exception):
    """The store has no such thing, and says so in its own words."""


@dataclass(frozen=True, slots=True)
class Patience:
    """How long one request may take, in seconds: `silence` between two bytes, `total` with its at most `attempts`."""

    connect: float = 2.0
    silence: float = 3.0
    total: float = 8.0
    attempts: int = 5
    pause: float = 0.1


class Version(NamedTuple):
    """One version of an object, by its whole key in the bucket; `stored_at` is the store's word, in UTC."""

    key: str
    id: str
    size: int
    stored_at: datetime


class Marker(NamedTuple):
    """A delete marker; `latest` where it hides the object."""

    key: str
    latest: bool


class Page(NamedTuple):
    """What one request lists of a folder, newest version of a key first; and the time at the store."""

    versions: list[Version]
    markers: list[Marker]
    folders: list[str]
    time: datetime


class Lock(NamedTuple):
    """The lock of a version: its mode, and until when."""

    mode: str
    until: datetime


class Default(NamedTuple):
    """The bucket's default lock: its mode, and for how many days at least."""

    mode: str
    days: int


def connect(address: S3Address, patience: Patience) -> BaseClient:
    """A client for this address; access keys come from the environment, as with every S3 client."""
    config = Config(
        connect_timeout=patience.connect,
        read_timeout=patience.silence,
        retries={"total_max_attempts": 1, "mode": "standard"},
        max_pool_connections=_CONNECTIONS,
        s3={"addressing_style": "path" if address.endpoint else "auto"},
        request_checksum_calculation="when_required",
        response_checksum_validation="when_required",
    )
    try:
        # A session of its own: the one that boto3 shares may not be used by threads that start at once.
        return Session().client("s3", endpoint_url=address.endpoint, region_name=address.region, config=config)
    except BotoCoreError as error:
        mend = "correct the AWS_ variables and files of this process"
        raise Refused(f"no client can be made of this environment ({type(error).__name__})", str(address), mend) from error


class Requests:
    """The requests that the archive makes to one bucket, and no others. Safe to use from many threads."""

    def __init__(self, bucket: str, client: BaseClient, patience: Patience) -> None:
        self._bucket = bucket
        self._client = client
        self._patience = patience

    def put(self, key: str, data: bytes, *, until: datetime | None = None) -> str:
        """Write an object unless the key has a current version, and return the new version's id.

        `until` locks it that long in place of the bucket's default. Raises `Taken`, `Refused`, `Unavailable`.
        """
        lock = {"ObjectLockMode": "COMPLIANCE", "ObjectLockRetainUntilDate": until} if until else {}
        checksum = base64.b64encode(sha256(data).digest()).decode()

        def ask() -> Any:
            answer = self._client.put_object(Bucket=self._bucket, Key=key, Body=data, IfNoneMatch="*", ChecksumSHA256=checksum, **lock)
            return answer if "ETag" in answer else _torn()

        version = str(self._found(key, ask).get("VersionId") or "null")
        if version == "null":
            raise Refused("the bucket keeps no versions", self._bucket, "make a bucket with Object Lock, and `signoff init` it")
        return version

    def get(self, version: Version) -> bytes:
        """The bytes of a version. Raises `Damaged` where they are not those stored, `Refused`, `Unavailable`."""

        def ask() -> bytes:
            answer = self._client.get_object(Bucket=self._bucket, Key=version.key, VersionId=version.id, ChecksumMode="ENABLED")
            return self._body(answer["Body"], version)

        try:
            return self._asked(version.key, ask)
        except Absent:
            what = f"the store lists the version {version.id}, and does not hold it"
            raise Damaged(what, version.key, "restore the object from a copy of the archive") from None

    def pages(self, prefix: str, size: int) -> Iterator[Page]:
        """The listing of a folder, or of what begins with `prefix` in one, page by page of at most `size` versions."""
        more: dict[str, str] = {}
        while True:
            answer = self._listed(prefix, size, more)
            yield _page(answer)
            if not answer["IsTruncated"]:
                return
            further = {"KeyMarker": answer.get("NextKeyMarker"), "VersionIdMarker": answer.get("NextVersionIdMarker")}
            further = {name: value for name, value in further.items() if value}
            if not further or further == more:
                raise Unavailable("the store's listing does not go on", prefix, _AGAIN)
            more = further

    def lock(self, version: Version) -> Lock | None:
        """The lock of a version as the store has it; None where it has none, or this process may not see it."""

        def ask() -> Any:
            return self._client.head_object(Bucket=self._bucket, Key=version.key, VersionId=version.id)

        answer = self._found(version.key, ask)
        mode, until = answer.get("ObjectLockMode"), answer.get("ObjectLockRetainUntilDate")
        return Lock(str(mode), until.astimezone(UTC)) if mode and until else None

    def default(self) -> Default | None:
        """The bucket's default lock; None where it has none."""

        def ask() -> Any:
            return self._client.get_object_lock_configuration(Bucket=self._bucket)

        try:
            found = self._asked(self._bucket, ask).get("ObjectLockConfiguration", {})
        except Absent:
            return None
        rule = found.get("Rule", {}).get("DefaultRetention", {})
        if found.get("ObjectLockEnabled") != "Enabled" or "Mode" not in rule:
            return None
        return Default(str(rule["Mode"]), int(rule.get("Days", 0)) + 365 * int(rule.get("Years", 0)))

    def delete(self, key: str, version: str) -> None:
        """Ask to delete one version, always by its id: only to see it refused, or to remove a canary."""
        if not version:
            raise ValueError("a delete without a version's id would hide the object")
        self._found(key, lambda: self._client.delete_object(Bucket=self._bucket, Key=key, VersionId=version))

    def _listed(self, prefix: str, size: int, more: dict[str, str]) -> Any:
        def ask() -> Any:
            answer = self._client.list_object_versions(Bucket=self._bucket, Prefix=prefix, Delimiter="/", MaxKeys=size, **more)
            if "Name" not in answer or "IsTruncated" not in answer or "date" not in answer["ResponseMetadata"]["HTTPHeaders"]:
                return _torn()
            return answer

        return self._found(f"{self._bucket}/{prefix}", ask)

    def _body(self, body: Any, version: Version) -> bytes:
        allowed = self._patience.total + version.size / _PART
        end = time.monotonic() + allowed
        parts: list[bytes] = []
        size = 0
        while part := body.read(_PART):
            parts.append(part)
            size += len(part)
            if size > version.size:
                break
            if time.monotonic() > end:
                body.close()
                raise Unavailable(f"the object did not arrive within {allowed:.0f} s", version.key, _AGAIN)
        if size != version.size:
            body.close()
            _torn()
        return b"".join(parts)

    def _found(self, where: str, ask: Callable[[], Answer]) -> Answer:
        """Ask for what must be there."""
        try:
            return self._asked(where, ask)
        except Absent:
            raise Unavailable("the store does not find what it has", where, _AGAIN) from None

    def _asked(self, where: str, ask: Callable[[], Answer]) -> Answer:
        """Ask, and ask again while the failure may pass (rules 1 to 3)."""
        end = time.monotonic() + self._patience.total - self._patience.silence
        pause = self._patience.pause
        for attempt in range(1, self._patience.attempts + 1):
            try:
                return ask()
            except ArchiveError:
                raise
            except (ClientError, BotoCoreError, ResponseParserError, HTTPError, OSError, _Torn) as error:
                failure = _failure(error, where)
                if not failure.passing or attempt == self._patience.attempts or time.monotonic() + pause > end:
                    raise failure.error from error
            time.sleep(pause * random.uniform(0.5, 1))  # noqa: S311 - spreads writers in time; no secret
            pause = min(2 * pause, 1.0)
        raise AssertionError("the last attempt returns or raises")


class _Torn(Exception):
    """An answer that is no whole one."""


def _torn() -> NoReturn:
    raise _Torn


class _Failure(NamedTuple):
    error: Exception
    passing: bool = False


def _failure(error: Exception, where: str) -> _Failure:
    if isinstance(error, ClientError):
        return _said(error, where)
    if isinstance(error, (NoCredentialsError, PartialCredentialsError)):
        return _Failure(Refused("this process has no access keys for the store", where, "give it access keys in its environment"))
    if isinstance(error, ParamValidationError):
        return _Failure(error)
    if isinstance(error, FlexibleChecksumError):
        what = "the bytes do not have the SHA-256 that was stored with them"
        return _Failure(Damaged(what, where, "restore the object from a copy of the archive, and find out how it changed"), passing=True)
    if isinstance(error, (ResponseParserError, _Torn)):
        return _Failure(Unavailable("what answered was no whole answer of an S3 store", where, _AGAIN), passing=True)
    return _Failure(Unavailable(f"the store cannot be reached ({type(error).__name__})", where, _AGAIN), passing=True)


def _said(error: ClientError, where: str) -> _Failure:
    """What the store's own error means. Its code is told, its message is not: it may repeat what was sent."""
    code = str(error.response.get("Error", {}).get("Code", "no code"))[:60]
    status = int(error.response.get("ResponseMetadata", {}).get("HTTPStatusCode", 0))
    if code == "NoSuchBucket":
        mend = "correct the archive's address, or make the bucket and then the archive with `signoff init`"
        return _Failure(Unavailable("there is no such bucket", where, mend))
    if status == 412:
        return _Failure(Taken())
    if code in _ABSENT_CODES:
        return _Failure(Absent())
    if code in _PASSING_CODES or status in _PASSING_4XX or (status >= 500 and status not in _FINAL_5XX):
        return _Failure(Unavailable(f"the store failed ({status} {code})", where, _AGAIN), passing=True)
    if status == 507:
        return _Failure(Refused(f"the store is full ({status} {code})", where, "give it room, and try again"))
    return _Failure(Refused(f"the store refuses it ({status} {code})", where, _DENIED))


def _page(answer: Any) -> Page:
    return Page(
        [
            Version(one["Key"], one["VersionId"], int(one["Size"]), one["LastModified"].astimezone(UTC))
            for one in answer.get("Versions", ())
        ],
        [Marker(one["Key"], bool(one["IsLatest"])) for one in answer.get("DeleteMarkers", ())],
        [one["Prefix"] for one in answer.get("CommonPrefixes", ())],
        parsedate_to_datetime(answer["ResponseMetadata"]["HTTPHeaders"]["date"]),
    )
