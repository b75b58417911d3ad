"""From what somebody types to the requests that are meant: an id or its beginning, an event's digest, an image, a digest, a model."""

from __future__ import annotations

import re
from collections.abc import Iterator
from itertools import islice
from typing import Final

from signoff.archive import layout
from signoff.archive.store import BadKey, Missing, Store
from signoff.cli.progress import progress
from signoff.errors import SignoffError
from signoff.gate.reference import BadReference, parse_reference
from signoff.record.bundle import MAX_BUNDLE, open_bundle
from signoff.record.values import Digest, RecordError, RequestId, parse_digest

SHORTEST: Final = 8
_ID: Final = re.compile(r"[0-9a-f]{8,64}")
_ANYWHERE: Final = "x"
_MEND: Final = "give its id (or the first 8 of its digits or more), or the event's digest"


class NotFound(SignoffError):
    """The archive holds nothing of what was asked for."""


def request(store: Store, text: str) -> RequestId:
    """Return the request that an id, its unique beginning, or an event's digest means; `NotFound` where there is none."""
    if text.startswith("sha256:"):
        return _by_event(store, text)
    if not _ID.fullmatch(text):
        raise NotFound("is neither an id nor a digest", where=text[:80], mend=_MEND)
    found = by_beginning(store, text)
    if found is None:
        raise NotFound("the archive holds no request that begins so", where=text, mend=_MEND)
    return found


def by_beginning(store: Store, text: str) -> RequestId | None:
    """Return the one request, decided or frozen, whose id begins with ``text``; None where there is none, an error where several do."""
    if not _ID.fullmatch(text):
        return None
    events = {layout.event_id(key) for key in store.list(f"{layout.EVENTS_PREFIX}{text}", limit=2)}
    frozen = events or set(islice(_frozen(store, text), 2))
    if len(frozen) > 1:
        raise SignoffError("several requests begin so", where=text, mend="give more digits")
    return RequestId(frozen.pop()) if frozen else None


def requests(store: Store, text: str, environment: str | None) -> tuple[RequestId, ...]:
    """Return the requests that an id, an image, a digest or a model means; none where the archive knows none."""
    known = by_beginning(store, text)
    if known is not None:
        return (known,)
    found = {RequestId(layout.pointed_id(key)) for prefix in _prefixes(text, environment) for key in store.list(prefix)}
    if not found and text.startswith("sha256:"):
        try:
            return (_by_event(store, text),)
        except NotFound:
            return ()
    return tuple(sorted(found))


def of_model(store: Store, name: str, environment: str | None) -> tuple[RequestId, ...]:
    """Return the requests that the archive's pointers know of a model: those that were decided, and those of which a writer was stopped."""
    return _pointed(store, layout.models_prefix(name, environment or _ANYWHERE), environment)


def of_digest(store: Store, digest: Digest, environment: str | None) -> tuple[RequestId, ...]:
    """Return the requests that the archive's pointers know of an image or artefact: promotions, under whatever name."""
    return _pointed(store, layout.subject_prefix(digest, environment or _ANYWHERE), environment)


def _pointed(store: Store, prefix: str, environment: str | None) -> tuple[RequestId, ...]:
    wanted = prefix if environment else prefix.removesuffix(f"{_ANYWHERE}/")
    return tuple(sorted({RequestId(layout.pointed_id(key)) for key in store.list(wanted)}))


def tag_of(text: str) -> str | None:
    """Return the tag of an image that is named without a digest, None of anything else."""
    try:
        reference = parse_reference(text)
    except BadReference:
        return None
    return reference.tag if reference.qualified and reference.digest is None else None


def _prefixes(text: str, environment: str | None) -> tuple[str, ...]:
    where = environment or _ANYWHERE
    digest = text if text.startswith("sha256:") else text.partition("@")[2]
    if digest:
        prefixes = [layout.subject_prefix(parse_digest(digest, "IMAGE"), where)]
    else:
        prefixes = [layout.models_prefix(text, where), *_repository(text, where)]
    return tuple(prefixes) if environment else tuple(prefix.removesuffix(f"{_ANYWHERE}/") for prefix in prefixes)


def _repository(text: str, where: str) -> tuple[str, ...]:
    try:
        reference = parse_reference(text)
    except BadReference:
        return ()
    return (layout.repository_prefix(reference.repository, where),) if reference.qualified else ()


def _frozen(store: Store, text: str) -> Iterator[str]:
    found = ""
    for key in store.list(f"freezes/{text}"):
        if key.split("/")[1] != found:
            found = key.split("/")[1]
            yield found


def _by_event(store: Store, text: str) -> RequestId:
    digest = parse_digest(text, "EVENT")
    with progress("looking for the event") as shown:
        for number, key in enumerate(store.list(layout.EVENTS_PREFIX), 1):
            shown.step(f"{number:,} events")
            try:
                bundle = open_bundle(store.read(key, limit=MAX_BUNDLE).data, key)
                if bundle.digest == digest:
                    return RequestId(layout.event_id(key))
            except (RecordError, BadKey, Missing):
                continue  # whoever looks for one event is not told of others; verify tells of them
    raise NotFound("the archive holds no event of this digest", where=text, mend=_MEND)
