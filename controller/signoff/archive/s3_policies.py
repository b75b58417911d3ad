"""The least rights that a writer (webhook, operator) and a reader (gate, audit) need in an archive's bucket.

1. They are identity policies in the language of AWS IAM, version 2012-10-17; other stores take them, or a part.
2. A writer may create and read. Neither may delete, set or bypass retention, or change the bucket: what is not granted
   is denied, and nothing of the kind is named.
3. A writer's every write is conditional: one without `If-None-Match` is not granted.
"""

import json
from collections.abc import Mapping
from typing import Final

from signoff.archive.s3_address import S3Address

WRITER: Final = "s3-writer-policy.json"
READER: Final = "s3-reader-policy.json"

Statement = dict[str, object]


def policies(address: S3Address) -> Mapping[str, bytes]:
    """The policy documents for the archive at `address`, by the names of their files."""
    bucket = f"arn:{_partition(address.region)}:s3:::{address.bucket}"
    objects = f"{bucket}/{address.prefix}*"
    reading = [
        _statement("ReadVersions", ["s3:GetObjectVersion", "s3:GetObjectRetention"], objects),
        _statement("ListVersions", ["s3:ListBucketVersions"], bucket, _below(address.prefix)),
        _statement("SeeTheLock", ["s3:GetBucketObjectLockConfiguration"], bucket),
    ]
    creating = _statement("CreateIfAbsent", ["s3:PutObject"], objects, {"Null": {"s3:if-none-match": "false"}})
    return {WRITER: _document([creating, *reading]), READER: _document(reading)}


def _statement(sid: str, actions: list[str], resource: str, condition: Mapping[str, object] | None = None) -> Statement:
    statement: Statement = {"Sid": sid, "Effect": "Allow", "Action": actions, "Resource": resource}
    return statement | {"Condition": condition} if condition else statement


def _below(prefix: str) -> Mapping[str, object] | None:
    return {"StringLike": {"s3:prefix": f"{prefix}*"}} if prefix else None


def _document(statements: list[Statement]) -> bytes:
    return json.dumps({"Version": "2012-10-17", "Statement": statements}, indent=2).encode() + b"\n"


def _partition(region: str | None) -> str:
    for beginning, partition in (("cn-", "aws-cn"), ("us-gov-", "aws-us-gov")):
        if region is not None and region.startswith(beginning):
            return partition
    return "aws"
