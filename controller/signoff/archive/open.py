"""From an archive's address to its store.

1. An address is `file:///absolute/path`. A relative path is refused: a process's working folder is nobody's choice.
2. Opening proves that the archive is in reach and is one. Only `initialise` makes one.
3. No part of an address that may hold a credential enters a message.
"""

from pathlib import Path
from urllib.parse import unquote, urlsplit

from signoff.archive.file import FileStore
from signoff.archive.store import BadAddress, Store

_MEND = "write file:///absolute/path"
_LATER = {"s3": "s3:// archives are not in this version", "postgresql": "ledger tables are not in this version"}


def open_store(url: str) -> Store:
    """The archive at `url`, looked at once.

    Raises `BadAddress`, and what `Store.check` raises: `Unavailable` where no archive is, with the way to make one.
    """
    store = FileStore(_folder(url))
    store.check()
    return store


def initialise(url: str) -> None:
    """Make an archive at `url`, a new or an empty folder; an archive that is there already is left as it is.

    Raises `BadAddress`, `Refused` (the folder holds other things, or may not be written), `Unavailable`, `Damaged`.
    """
    FileStore(_folder(url)).initialise()


def _folder(url: str) -> Path:
    try:
        parts = urlsplit(url)
    except ValueError as error:
        raise BadAddress("not an address", "archive", _MEND) from error
    if parts.scheme in _LATER:
        raise BadAddress(_LATER[parts.scheme], "archive", _MEND)
    if parts.scheme != "file":
        raise BadAddress("the address of an archive begins with file://", "archive", _MEND)
    path = unquote(parts.path)
    if parts.netloc or not path.startswith("/") or ".." in path.split("/"):
        raise BadAddress("the path to the archive is not absolute", "archive", _MEND)
    if parts.query or parts.fragment or "\0" in path:
        raise BadAddress("the address says more than a path", "archive", f"{_MEND}; write ? as %3F and # as %23")
    return Path(path)
