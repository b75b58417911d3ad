"""The address of an archive in S3: `s3://bucket/prefix?endpoint=https://store.bank.example&region=eu-central-1`.

1. It names a bucket, and nothing that opens it: access keys come as every S3 client takes them (environment variables,
   a web identity, the shared files), never in an address. No part that may hold one enters a message.
2. The answers of S3 are not signed: who sits between could hide an object, or take a write that never arrives. So
   `endpoint` is https://, and http:// to this very machine alone.
3. `prefix`, `endpoint` and `region` may be left out: the whole bucket, Amazon's own S3, the environment's region.
"""

import re
from dataclasses import dataclass
from ipaddress import ip_address
from typing import Final
from urllib.parse import SplitResult, parse_qsl, urlsplit

from signoff.archive.store import BadAddress, is_segment

MEND: Final = "write s3://bucket/prefix?endpoint=https://host&region=name"
LONGEST_PREFIX: Final = 100
"""Characters of the longest prefix: with the longest key it stays below the 1024 bytes of S3."""

_BUCKET = re.compile(r"[a-z0-9][a-z0-9.-]{1,61}[a-z0-9]")
_REGION = re.compile(r"[a-z0-9-]{1,63}")
_ENDPOINT = re.compile(r"[!-~]{1,300}")


@dataclass(frozen=True, slots=True)
class S3Address:
    """A place in S3. `prefix` is empty or ends in "/"; `endpoint` and `region` are None where they are not named."""

    bucket: str
    prefix: str
    endpoint: str | None = None
    region: str | None = None

    def __str__(self) -> str:
        return f"s3://{self.bucket}/{self.prefix}".rstrip("/")


def parse_s3(parts: SplitResult) -> S3Address:
    """The place that a split address names. Raises `BadAddress`."""
    if "@" in parts.netloc:
        raise BadAddress("the address holds a user", "archive", "give access keys in the environment, never in an address")
    if not _BUCKET.fullmatch(parts.netloc):
        raise BadAddress("the address names no bucket", "archive", MEND)
    prefix = parts.path.strip("/")
    if len(prefix) > LONGEST_PREFIX or not all(is_segment(part) for part in prefix.split("/") if prefix):
        what = f"the prefix is not at most {LONGEST_PREFIX} of a-z 0-9 . _ - in segments that begin with a letter or digit"
        raise BadAddress(what, "archive", MEND)
    if parts.fragment:
        raise BadAddress("the address says more than a place", "archive", MEND)
    options = _options(parts.query)
    return S3Address(
        parts.netloc,
        f"{prefix}/" if prefix else "",
        _endpoint(options["endpoint"]) if "endpoint" in options else None,
        _region(options["region"]) if "region" in options else None,
    )


def _options(query: str) -> dict[str, str]:
    pairs = parse_qsl(query, keep_blank_values=True)
    options = dict(pairs)
    if len(options) < len(pairs) or not options.keys() <= {"endpoint", "region"}:
        raise BadAddress("the address has other options than one endpoint and one region", "archive", MEND)
    return options


def _endpoint(text: str) -> str:
    try:
        parts = urlsplit(text if _ENDPOINT.fullmatch(text) else "")
        host, _ = parts.hostname, parts.port
    except ValueError:
        host = None
    if host is None or "@" in parts.netloc or parts.path.strip("/") or parts.query or parts.fragment:
        raise BadAddress("the endpoint is not a host, or a host and a port", "archive", MEND)
    if parts.scheme != "https" and not (parts.scheme == "http" and _is_this_machine(host)):
        raise BadAddress("the endpoint does not begin with https://", "archive", "serve the store over TLS: its answers are not signed")
    return f"{parts.scheme}://{parts.netloc}"


def _is_this_machine(host: str) -> bool:
    try:
        return host == "localhost" or ip_address(host).is_loopback
    except ValueError:
        return False


def _region(text: str) -> str:
    if not _REGION.fullmatch(text):
        raise BadAddress("the region is not one", "archive", MEND)
    return text
