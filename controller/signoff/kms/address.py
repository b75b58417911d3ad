"""The address of a key in a key service: `awskms:///KEY?region=eu-central-1&endpoint=https://kms.bank.example`.

1. KEY is a key's id, its ARN, or `alias/NAME`, as the service itself takes them. It opens nothing: access keys come as with every client of
   the service (environment variables, a web identity, the shared files), never in an address.
2. `endpoint` is https://, and http:// to this very machine alone: who sits between could hold requests back.
3. `endpoint` and `region` may be left out: Amazon's own service, the ARN's region, or else the environment's.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from ipaddress import ip_address
from typing import Final
from urllib.parse import parse_qsl, unquote, urlsplit

from signoff.errors import SignoffError

SCHEME: Final = "awskms:"
MEND: Final = "write awskms:///KEY?region=NAME, where KEY is the key's id, its ARN or alias/NAME"

_KEY = re.compile(r"(arn:[a-z-]+:kms:(?P<region>[a-z0-9-]+):[0-9]{12}:)?((key/)?[A-Za-z0-9-]{1,256}|alias/[A-Za-z0-9/_-]{1,250})")
_REGION = re.compile(r"[a-z0-9-]{1,63}")
_ENDPOINT = re.compile(r"[!-~]{1,300}")


class BadKeyAddress(SignoffError):
    """The address names no key that this version knows."""


@dataclass(frozen=True, slots=True)
class KeyAddress:
    """A key in the service; `endpoint` and `region` are None where neither the address nor the ARN names them."""

    key: str
    endpoint: str | None = None
    region: str | None = None

    def __str__(self) -> str:
        return f"awskms:///{self.key}"


def is_address(place: str) -> bool:
    """Whether a configured key is meant to be one of a key service, and not a file."""
    return place.startswith(SCHEME)


def parse_address(text: str) -> KeyAddress:
    """Return the key that an address names; raises `BadKeyAddress`, whose message repeats no part that may hold a credential."""
    try:
        parts = urlsplit(text)
    except ValueError:
        raise BadKeyAddress("not an address", "key", MEND) from None
    if not text.startswith(f"{SCHEME}///") or parts.fragment:
        raise BadKeyAddress("the address of a key begins with awskms:/// and ends with its options", "key", MEND)
    key = unquote(parts.path.removeprefix("/"))
    found = _KEY.fullmatch(key)
    if found is None:
        raise BadKeyAddress("the address names no key", "key", MEND)
    options = _options(parts.query)
    region = options.get("region", found["region"])
    if region is not None and not _REGION.fullmatch(region):
        raise BadKeyAddress("the region is not one", "key", MEND)
    return KeyAddress(key, _endpoint(options["endpoint"]) if "endpoint" in options else None, region)


def _options(query: str) -> dict[str, str]:
    pairs = parse_qsl(query, keep_blank_values=True)
    options = dict(pairs)
    if len(options) < len(pairs) or not options.keys() <= {"endpoint", "region"}:
        raise BadKeyAddress("the address has other options than one endpoint and one region", "key", MEND)
    return options


def _endpoint(text: str) -> str:
    try:
        parts = urlsplit(text if _ENDPOINT.fullmatch(text) else "")
        host, _ = parts.hostname, parts.port
    except ValueError:
        host = None
    if host is None or "@" in parts.netloc or parts.path.strip("/") or parts.query or parts.fragment:
        raise BadKeyAddress("the endpoint is not a host, or a host and a port", "key", MEND)
    if parts.scheme != "https" and not (parts.scheme == "http" and _is_this_machine(host)):
        raise BadKeyAddress("the endpoint does not begin with https://", "key", "reach the key service over TLS")
    return f"{parts.scheme}://{parts.netloc}"


def _is_this_machine(host: str) -> bool:
    try:
        return host == "localhost" or ip_address(host).is_loopback
    except ValueError:
        return False
