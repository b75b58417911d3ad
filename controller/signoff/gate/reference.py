"""Image references, read as the container runtimes read them, and stricter where a gate must be.

The grammar is that of github.com/distribution/reference v0.6.0 (`name[:tag][@digest]`), and so is its normalisation:

1. The first path component is a registry's domain only if it holds `.` or `:`, has upper case, or is `localhost`.
   Otherwise the registry is `docker.io`.
2. `index.docker.io` is `docker.io`, and a single name there gets `library/`. `registry-1.docker.io` is another registry.
3. With tag and digest the digest decides. A digest is sha256, sha384 or sha512 in lower-case hex of exact length.
4. A bare name of 64 hex digits is no repository: runtimes take it for an image's identifier.

Stricter than the library, never laxer:

5. What stands where a domain must stand is one, or the reference is refused. (The library reads `my_host.example/x` as
   a path with no domain at all.)
6. A host has at most 253 characters (RFC 1035, section 2.3.4), a port is 1 to 65535 without leading zeros.
7. Docker Hub's name is written in lower case: spelled otherwise, runtimes do not take it for Docker Hub.
8. A digest alone is no reference. (The library reads a repository `sha256` and its tag; runtimes, again, an identifier.)

For the gate:

9. A reference is *qualified* only if its domain is written out. The kubelet leaves short names to the runtime, and
   runtimes differ; containers/image counts a lone upper-case name as short as well.
10. An exemption names a repository with its domain written out, exactly or with `/*` (one further component) or `/**`
   (one or more) at its end. The domain is compared whole, without regard to case; there is no other wildcard.
"""

import json
import re
from dataclasses import dataclass
from typing import Final, Literal, NewType

from signoff.errors import SignoffError

Digest = NewType("Digest", str)
"""What pins an image: `<algorithm>:<lower-case hex>`, with sha256, sha384 or sha512; made by `parse_digest` alone.

Wider than the record's digests, which are sha256 alone: no promotion names an image that is pinned otherwise.
"""

Rule = Literal[
    "empty", "length", "characters", "scheme", "identifier", "domain", "port", "docker-hub", "path", "tag", "digest",
    "pattern",
]  # fmt: skip
"""The part of the grammar that a refused text breaks."""

MAX_TEXT: Final = 1024
"""Characters looked at in one reference. The longest that passes every other rule has fewer than 800."""
MAX_PATH: Final = 255
"""Characters of a repository's path (distribution/reference, `RepositoryNameTotalLengthMax`)."""
MAX_HOST: Final = 253
"""Characters of a host name (RFC 1035, section 2.3.4)."""

_HUB: Final = "docker.io"
_HUB_NAMES: Final = frozenset({_HUB, "index.docker.io"})
_MEND: Final = "write it as registry.example/repository@sha256:<64 hex digits>"
_HEX_DIGITS: Final = {"sha256": 64, "sha384": 96, "sha512": 128}

_LABEL = r"[A-Za-z0-9]+(?:-+[A-Za-z0-9]+)*"
_COMPONENT = r"[a-z0-9]+(?:(?:[._]|__|-+)[a-z0-9]+)*"
_DOMAIN = re.compile(rf"(?P<host>{_LABEL}(?:\.{_LABEL})*|\[[A-Fa-f0-9:]+\])(?::(?P<port>[0-9]+))?", re.ASCII)
_PATH = re.compile(rf"{_COMPONENT}(?:/{_COMPONENT})*", re.ASCII)
_TAG = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.-]{0,127}", re.ASCII)
_HEX = re.compile(r"[0-9a-f]+", re.ASCII)
_IDENTIFIER = re.compile(r"[0-9a-f]{64}|sha(?:256|384|512):[0-9a-f]+", re.ASCII)
_UNPRINTABLE = re.compile(r"[^!-~]", re.ASCII)


class BadReference(SignoffError):
    """A text that is no image reference, or no exemption's pattern. `where` is the text, quoted; `rule` what it breaks.

    The message is ASCII and short whatever the text was, so that it can go into a denial.
    """

    def __init__(self, text: str, rule: Rule, what: str, mend: str = _MEND) -> None:
        super().__init__(what, where=_quoted(text), mend=mend)
        self.rule: Final[Rule] = rule


@dataclass(frozen=True, slots=True)
class Reference:
    """One image reference, taken apart.

    `domain` is spelled as written but for Docker Hub's alias; `text` is the whole as it was given. `tag` and `digest`
    are None where the text has none: no default tag is put in. `qualified`: rule 9.
    """

    domain: str
    path: str
    tag: str | None
    digest: Digest | None
    qualified: bool
    text: str

    @property
    def repository(self) -> str:
        """`domain/path`, the domain in lower case: what exemptions are compared with."""
        return f"{self.domain.lower()}/{self.path}"


@dataclass(frozen=True, slots=True)
class RepositoryPattern:
    """An exemption's repositories (rule 10). `path` is whole for reach `exact`, else the part before the wildcard."""

    domain: str
    path: str
    reach: Literal["exact", "children", "descendants"]

    def covers(self, repository: str) -> bool:
        """Whether a normalised repository (`Reference.repository`) is one of these. What is no repository is not."""
        domain, _, path = repository.partition("/")
        # Beyond ASCII other letters fold into these: U+212A, the Kelvin sign, into k.
        if not domain.isascii() or domain.lower() != self.domain or not _PATH.fullmatch(path):
            return False
        if self.reach == "exact":
            return path == self.path
        stem = f"{self.path}/" if self.path else ""
        return path.startswith(stem) and (self.reach == "descendants" or "/" not in path[len(stem) :])


def parse_digest(text: str) -> Digest:
    """Take a digest such as `sha256:<64 lower-case hex>` (rule 3), or raise `BadReference`."""
    algorithm, _, encoded = text.partition(":")
    length = _HEX_DIGITS.get(algorithm)
    if length is None:
        raise BadReference(text, "digest", "the digest's algorithm is none of sha256, sha384, sha512")
    if len(encoded) != length or not _HEX.fullmatch(encoded):
        raise BadReference(text, "digest", f"a {algorithm} digest has {length} lower-case hex digits")
    return Digest(text)


def parse_reference(text: str) -> Reference:
    """Take an image reference apart and normalise it (rules 1 to 9), or raise `BadReference`."""
    _check_text(text)
    head, slash, rest = text.partition("/")
    if slash and _is_domain(head):
        domain, remainder, qualified = _checked_domain(text, head), rest, _names_registry(head)
    else:
        domain, remainder, qualified = _HUB, text, False
    name, at, digest = remainder.partition("@")
    path, colon, tag = name.partition(":")
    if colon and not _TAG.fullmatch(tag):
        raise BadReference(text, "tag", "its tag is not 1 to 128 of A-Z a-z 0-9 _ . - (nor may it begin with . or -)")
    return Reference(
        domain=domain,
        path=_checked_path(text, _official(domain, path)),
        tag=tag if colon else None,
        digest=_checked_digest(text, digest) if at else None,
        qualified=qualified,
        text=text,
    )


def is_unresolved(text: str) -> bool:
    """Whether an image is still to be filled in: nothing but white space, or Istio's `auto`.

    In a template the Pod check decides; on a Pod it is refused, as nothing may fill it in any more.
    """
    return not text.strip() or text == "auto"


def parse_repository_pattern(text: str) -> RepositoryPattern:
    """Take an exemption's pattern (rule 10), or raise `BadReference`."""
    mend = "write registry.example/repository, or end it with /* or /**"
    _check_text(text)
    stem, reach = _reach(text)
    if "*" in stem:
        raise BadReference(text, "pattern", "a wildcard stands only for whole components at the end", mend)
    head, slash, path = stem.partition("/")
    if not _names_registry(head) or (reach == "exact" and not slash):
        raise BadReference(text, "pattern", "an exemption begins with its registry's domain, written out", mend)
    domain = _checked_domain(text, head).lower()
    if reach == "exact":
        path = _official(domain, path)
    if "@" in path or ":" in path:
        raise BadReference(text, "pattern", "an exemption names a repository, without tag or digest", mend)
    if slash or reach == "exact":
        _checked_path(text, path)
    return RepositoryPattern(domain, path, reach)


def covers(exempt: str, repository: str) -> bool:
    """Whether the pattern `exempt` covers a normalised repository. Raises `BadReference` for a pattern that is none."""
    return parse_repository_pattern(exempt).covers(repository)


def _check_text(text: str) -> None:
    if not text:
        raise BadReference(text, "empty", "there is no image reference")
    if len(text) > MAX_TEXT:
        raise BadReference(text, "length", f"it has {len(text)} characters, of at most {MAX_TEXT}")
    if stray := _UNPRINTABLE.search(text):
        at = f"U+{ord(stray.group()):04X} at position {stray.start()}"
        raise BadReference(text, "characters", f"a reference has neither white space nor letters beyond ASCII ({at})")
    if "://" in text:
        raise BadReference(text, "scheme", "this is a URL and no image reference", "leave the scheme away")
    if _IDENTIFIER.fullmatch(text):
        raise BadReference(text, "identifier", "this names an image by its identifier, not a repository")


def _names_registry(component: str) -> bool:
    return "." in component or ":" in component or component == "localhost"


def _is_domain(component: str) -> bool:
    return _names_registry(component) or component.lower() != component


def _checked_domain(text: str, domain: str) -> str:
    match = _DOMAIN.fullmatch(domain)
    if match is None:
        raise BadReference(text, "domain", f"{_quoted(domain)} is not a registry's domain")
    if len(match["host"]) > MAX_HOST:
        raise BadReference(text, "length", f"its host has {len(match['host'])} characters, of at most {MAX_HOST}")
    port = match["port"]
    if port is not None and (port.startswith("0") or int(port) > 65535):
        raise BadReference(text, "port", "a port is 1 to 65535, without leading zeros")
    if domain.lower() in _HUB_NAMES:
        if domain not in _HUB_NAMES:
            raise BadReference(text, "docker-hub", "spelled so, it is not Docker Hub", f"write {_HUB} in lower case")
        return _HUB
    return domain


def _official(domain: str, path: str) -> str:
    return f"library/{path}" if domain == _HUB and "/" not in path else path


def _checked_path(text: str, path: str) -> str:
    if len(path) > MAX_PATH:
        raise BadReference(text, "length", f"its repository has {len(path)} characters, of at most {MAX_PATH}")
    if not _PATH.fullmatch(path):
        what = "a repository is lower-case letters and digits, with single . _ / or __ or dashes between them"
        raise BadReference(text, "path", what)
    return path


def _checked_digest(text: str, digest: str) -> Digest:
    try:
        return parse_digest(digest)
    except BadReference as bad:
        raise BadReference(text, "digest", bad.what) from bad


def _reach(text: str) -> tuple[str, Literal["exact", "children", "descendants"]]:
    if text.endswith("/**"):
        return text[:-3], "descendants"
    if text.endswith("/*"):
        return text[:-2], "children"
    return text, "exact"


def _quoted(text: str) -> str:
    return json.dumps(text if len(text) <= 160 else f"{text[:160]}...")
