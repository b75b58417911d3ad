# ruff: noqa: A002 - `id` and `type` are the field's own words
"""Where everything lies: the one place that knows keys.

1. The layout is the archive's contract with the years to come: these keys are never built otherwise, and golden
   vectors hold them.
2. A key is built from checked parts alone: digests are `sha256:<64 lower-case hex>`, ids 64 lower-case hex,
   environments DNS labels (RFC 1123, section 2.1). Free text (names, issuers, repositories) enters as its sha256.
3. A pointer (`models/`, `subjects/`, `repositories/`) says where to look and nothing more.

Every function raises `BadKey` for a part that is not of its form.
"""

import re
from hashlib import sha256

from signoff.archive.store import BadKey

EVENTS_PREFIX = "events/"
CORRECTIONS_PREFIX = "corrections/"
_EVENT_SUFFIX = ".sigstore.json"

_HEX = re.compile(r"[0-9a-f]{64}")
_LABEL = re.compile(r"[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?")


def freeze(id: str, digest: str) -> str:
    """The exact payload that approvers see, of the request `id`, by the payload's digest."""
    return freezes_prefix(id) + _hex(digest)


def freezes_prefix(id: str) -> str:
    """The freezes of the request `id`."""
    return f"freezes/{_id(id)}/"


def blob(digest: str) -> str:
    """Explanations, renditions, policy texts, keys: bytes by their digest."""
    return f"blobs/sha256/{_hex(digest)}"


def seal(freeze: str, issuer: str, subject: str) -> str:
    """The one seal of a principal on the freeze with this digest."""
    return seals_prefix(freeze) + principal_key(issuer, subject)


def seals_prefix(freeze: str) -> str:
    """The seals on the freeze with this digest."""
    return f"seals/{_hex(freeze)}/"


def principal_key(issuer: str, subject: str) -> str:
    """The principal as a segment: hex sha256 of issuer, 0x00, subject, in UTF-8 and not normalised.

    Neither may be empty or hold 0x00, else two principals could share a key.
    """
    for what, text in (("issuer", issuer), ("subject", subject)):
        if "\0" in text:
            raise BadKey(f"the {what} of a principal holds 0x00", repr(text), "correct the identity's source")
    return sha256(_text("issuer", issuer) + b"\0" + _text("subject", subject)).hexdigest()


def statement(type: str, digest: str) -> str:
    """A signed statement by the digest of its payload; `type` is its short name, such as "policy" or "check"."""
    return statements_prefix(type) + _hex(digest)


def statements_prefix(type: str) -> str:
    """The statements of one type."""
    return f"statements/{_label('statement type', type)}/"


def model_pointer(name: str, environment: str, id: str) -> str:
    """From a model's name and an environment to the request `id`: the model's history there."""
    return models_prefix(name, environment) + _id(id)


def models_prefix(name: str, environment: str) -> str:
    """The pointers of one model in one environment."""
    return f"{model_prefix(name)}{_label('environment', environment)}/"


def model_prefix(name: str) -> str:
    """The pointers of one model in all environments."""
    return f"models/{_hashed('model name', name)}/"


def event(id: str) -> str:
    """The slot for the outcome of the request `id`. Creating it is the commit."""
    return f"{EVENTS_PREFIX}{_id(id)}{_EVENT_SUFFIX}"


def event_id(key: str) -> str:
    """The request's id out of an event's key."""
    if not (key.startswith(EVENTS_PREFIX) and key.endswith(_EVENT_SUFFIX)):
        raise BadKey("not the key of an event", repr(key), f"ask with {EVENTS_PREFIX}<id>{_EVENT_SUFFIX}")
    return _id(key.removeprefix(EVENTS_PREFIX).removesuffix(_EVENT_SUFFIX))


def subject_pointer(digest: str, environment: str, id: str) -> str:
    """From a digest that an event speaks of, and an environment, to the request `id`."""
    return subject_prefix(digest, environment) + _id(id)


def subject_prefix(digest: str, environment: str) -> str:
    """The pointers from one digest in one environment."""
    return f"subjects/sha256/{_hex(digest)}/{_label('environment', environment)}/"


def repository_pointer(repository: str, environment: str, id: str) -> str:
    """From an image repository and an environment to the request `id`: names the digest to pin in place of a tag."""
    return repository_prefix(repository, environment) + _id(id)


def repository_prefix(repository: str, environment: str) -> str:
    """The pointers of one image repository (registry and path; no tag, no digest) in one environment."""
    return f"repositories/{_hashed('repository', repository)}/{_label('environment', environment)}/"


def correction(event_digest: str, id: str) -> str:
    """The correction `id` of the event whose DSSE payload has this digest."""
    return corrections_prefix(event_digest) + _id(id)


def corrections_prefix(event_digest: str) -> str:
    """The corrections of one event."""
    return f"{CORRECTIONS_PREFIX}{_hex(event_digest)}/"


def pointed_id(key: str) -> str:
    """The request's id out of a pointer's key (`models/`, `subjects/` or `repositories/`)."""
    folder, _, rest = key.partition("/")
    if folder not in {"models", "subjects", "repositories"}:
        raise BadKey("not the key of a pointer", repr(key), "ask with a key under models/, subjects/ or repositories/")
    return _id(rest.rpartition("/")[2])


def _hex(digest: str) -> str:
    algorithm, _, hexadecimal = digest.partition(":")
    if algorithm != "sha256" or not _HEX.fullmatch(hexadecimal):
        raise BadKey("not a digest", repr(digest[:100]), "write sha256: and 64 lower-case hexadecimal digits")
    return hexadecimal


def _id(id: str) -> str:
    if not _HEX.fullmatch(id):
        raise BadKey("not an id", repr(id[:100]), "an id is 64 lower-case hexadecimal digits")
    return id


def _label(what: str, text: str) -> str:
    if not _LABEL.fullmatch(text):
        mend = "use a DNS label: 1 to 63 of a-z 0-9 -, with a letter or digit at both ends"
        raise BadKey(f"not a name for a {what}", repr(text[:100]), mend)
    return text


def _hashed(what: str, text: str) -> str:
    return sha256(_text(what, text)).hexdigest()


def _text(what: str, text: str) -> bytes:
    try:
        encoded = text.encode()
    except UnicodeEncodeError as error:
        raise BadKey(f"the {what} is not text", repr(text[:100]), "write it in UTF-8") from error
    if not encoded:
        raise BadKey(f"the {what} is empty", mend="name it")
    return encoded
