"""A model's history as pages: what was decided, corrected or could not be believed, oldest first.

1. 200 entries stand on a page: a browser draws it at once, however long the history is.
2. A filter is a page of its own, reached by a link: by what happened, and by environment. There is no script that could hide an entry.
3. What is not believed or could not be told stands among the entries, and in how many cases, at the head.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Final

from signoff.replay.page import drawn, policy

PER_PAGE: Final = 200
KINDS: Final = ("promoted", "rejected", "revoked", "annotated", "undecided", "not believed", "could not tell")
GRAVE: Final = frozenset({"revoked", "not believed", "could not tell"})
FIRST: Final = "index.html"
_ALL: Final = "everything"


@dataclass(frozen=True)
class Entry:
    """Something that happened: when (RFC 3339 in UTC; empty where unknown), what to which version, and where its evidence lies (an address
    from the first page; empty where there is none).
    """

    at: str
    kind: str
    title: str
    environment: str
    id: str
    lines: tuple[str, ...]
    address: str

    @property
    def grave(self) -> bool:
        """Whether nobody may overlook it."""
        return self.kind in GRAVE


@dataclass(frozen=True)
class Link:
    """A link of a filter or to a page; ``count``: how many entries it leads to."""

    name: str
    address: str
    count: int
    chosen: bool


@dataclass(frozen=True)
class _Filters:
    title: str
    links: tuple[Link, ...]


@dataclass(frozen=True)
class _Page:
    title: str
    standing: tuple[str, ...]
    grave: bool
    heading: str
    filters: tuple[_Filters, ...]
    entries: tuple[Entry, ...]
    first: int
    pages: tuple[Link, ...]
    root: str


@dataclass(frozen=True)
class _Choice:
    group: str
    name: str
    takes: Callable[[Entry], bool]

    @property
    def stem(self) -> str:
        return f"{self.group}-{self.name.replace(' ', '-')}" if self.name != _ALL else "all"


def timeline_pages(title: str, told: str, entries: Sequence[Entry]) -> Iterator[tuple[str, bytes]]:
    """Yield path and bytes of each page, the first of all entries as ``index.html``; ``told`` says how the entries were read."""
    choices = _choices(entries)
    taken = {choice.stem: [one for one in entries if choice.takes(one)] for choice in choices}
    counts = {stem: len(found) for stem, found in taken.items()}
    wrong = sum(1 for one in entries if one.kind in {"not believed", "could not tell"})
    standing = (*((_wrong(wrong),) if wrong else ()), told)
    for choice in choices:
        found = taken[choice.stem]
        for number, start in enumerate(range(0, max(len(found), 1), PER_PAGE), 1):
            path = _path(choice.stem, number)
            root = "../" if "/" in path else ""
            page = _Page(
                title=title,
                standing=standing,
                grave=wrong > 0,
                heading=f"{choice.name.capitalize()}: {_range(start, len(found))}",
                filters=_filters(choices, choice, counts, root),
                entries=tuple(found[start : start + PER_PAGE]),
                first=start + 1,
                pages=_pages(choice.stem, number, len(found), root),
                root=root,
            )
            yield path, drawn("timeline.html.j2", policy=policy(), page=page)


def _choices(entries: Sequence[Entry]) -> tuple[_Choice, ...]:
    kinds, environments = {one.kind for one in entries}, sorted({one.environment for one in entries if one.environment})
    by_kind = [_Choice("kind", kind, lambda one, kind=kind: one.kind == kind) for kind in KINDS if kind in kinds]  # type: ignore[misc]
    by_place = [
        _Choice("environment", place, lambda one, place=place: one.environment == place)  # type: ignore[misc]
        for place in environments
    ]
    return (_Choice("kind", _ALL, lambda _: True), *by_kind, *(by_place if len(by_place) > 1 else ()))


def _filters(choices: Sequence[_Choice], chosen: _Choice, counts: dict[str, int], root: str) -> tuple[_Filters, ...]:
    found: list[_Filters] = []
    for group, title in (("kind", "What happened"), ("environment", "For which environment")):
        links = tuple(Link(one.name, root + _path(one.stem, 1), counts[one.stem], one is chosen) for one in choices if one.group == group)
        found += [_Filters(title, links)] if len(links) > 1 or group == "kind" else []
    return tuple(found)


def _pages(stem: str, number: int, entries: int, root: str) -> tuple[Link, ...]:
    last = (entries + PER_PAGE - 1) // PER_PAGE
    return tuple(Link(str(one), root + _path(stem, one), 0, one == number) for one in range(1, last + 1))


def _path(stem: str, number: int) -> str:
    return FIRST if (stem, number) == ("all", 1) else f"timeline/{stem}-{number}.html"


def _range(start: int, entries: int) -> str:
    return f"{start + 1:,} to {min(start + PER_PAGE, entries):,} of {entries:,}" if entries else "none"


def _wrong(count: int) -> str:
    return f"{count:,} of these cannot be believed, or told: they are listed, and nothing rests on them."
