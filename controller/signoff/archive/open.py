"""From an archive's address to its store.

1. An address is `file:///absolute/path` or `s3://bucket/prefix?endpoint=…&region=…`. A relative path is refused: a
   process's working folder is nobody's choice.
2. Opening proves that the archive is in reach and is one, unless whoever opens it asks for no proof (`store_at`).
   Only `initialise` makes one, in S3 after it proved the bucket.
3. No part of an address that may hold a credential enters a message.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import SplitResult, unquote, urlsplit

from signoff.archive.file import FileStore
from signoff.archive.s3_address import S3Address, parse_s3
from signoff.archive.s3_policies import policies
from signoff.archive.store import BadAddress, Store

if TYPE_CHECKING:
    from signoff.archive.s3 import S3Store

_MEND = "write file:///absolute/path"
_EITHER = f"{_MEND}, or s3://bucket/prefix?endpoint=https://host&region=name"
_LATER = {"postgresql": "ledger tables are not in this version"}


def open_store(url: str) -> Store:
    """The archive at `url`, looked at once.

    Raises `BadAddress`, and what `Store.check` raises: `Unavailable` where no archive is, with the way to make one.
    """
    store = store_at(url)
    store.check()
    return store


def store_at(url: str) -> Store:
    """The archive at `url`, not looked at: for whoever must begin while it is out of reach. Raises `BadAddress`."""
    place = _place(url)
    return _s3_store(place) if isinstance(place, S3Address) else FileStore(place)


def initialise(url: str) -> None:
    """Make an archive at `url`, a new or an empty place; an archive that is there already is left as it is.

    A bucket is proven first, with this process's administrator's rights; that takes some seconds.
    Raises `BadAddress`, `Refused` (other things are there, it may not be written, the bucket does not keep its word),
    `Unavailable`, `Damaged`.
    """
    place = _place(url)
    if isinstance(place, S3Address):
        _initialise_s3(place)
    else:
        FileStore(place).initialise()


def access_policies(url: str) -> Mapping[str, bytes]:
    """The policies of least rights for the archive at `url`, by file name; none for a folder. Raises `BadAddress`."""
    place = _place(url)
    return policies(place) if isinstance(place, S3Address) else {}


# The client of S3 is imported by those who use it: it takes a while, which a folder's users need not wait.


def _s3_store(address: S3Address) -> "S3Store":
    from signoff.archive.s3 import S3Store  # noqa: PLC0415
    from signoff.archive.s3_requests import Patience, connect  # noqa: PLC0415

    patience = Patience()
    return S3Store(address.bucket, address.prefix, connect(address, patience), patience)


def _initialise_s3(address: S3Address) -> None:
    from signoff.archive.s3_proof import prove_bucket  # noqa: PLC0415
    from signoff.archive.s3_requests import Patience, Requests, connect  # noqa: PLC0415

    patience = Patience()
    prove_bucket(Requests(address.bucket, connect(address, patience), patience), address.prefix, str(address))
    _s3_store(address).initialise()


def _place(url: str) -> Path | S3Address:
    try:
        parts = urlsplit(url)
    except ValueError as error:
        raise BadAddress("not an address", "archive", _EITHER) from error
    if parts.scheme in _LATER:
        raise BadAddress(_LATER[parts.scheme], "archive", _EITHER)
    if parts.scheme == "s3":
        return parse_s3(parts)
    if parts.scheme != "file":
        raise BadAddress("the address of an archive begins with file:// or s3://", "archive", _EITHER)
    return _folder(parts)


def _folder(parts: SplitResult) -> Path:
    path = unquote(parts.path)
    if parts.netloc or not path.startswith("/") or ".." in path.split("/"):
        raise BadAddress("the path to the archive is not absolute", "archive", _MEND)
    if parts.query or parts.fragment or "\0" in path:
        raise BadAddress("the address says more than a path", "archive", f"{_MEND}; write ? as %3F and # as %23")
    return Path(path)
