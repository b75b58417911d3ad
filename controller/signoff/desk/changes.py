"""What changed since the last approved version: this desk beside the one on which the live version was approved.

1. What was approved then stands in the freeze, and at the door the archive says it again (`freezing`): it is what the live version's own
   event holds, and not what this request says of it.
2. A change of a figure is computed exactly, from the decimals as they are written; one that is too long to read is said as "about".
3. Figures measured on other data than then say little by their difference: the desk says so before it shows them.
4. What is the same is said too: nothing is left out because it did not change.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from decimal import Context, Decimal
from typing import Final

from signoff.desk.content import Block, Fact, Facts, Measures, Prose, Reading, Section
from signoff.desk.strips import strip_of
from signoff.record.freeze import ComparisonEntry, Document, LastApproved, Principal, Shown
from signoff.record.request import Artifact, Dataset, Spec
from signoff.record.values import Digest

_EXACT: Final = Context(prec=500, Emax=10_000, Emin=-10_000)  # figures have 64 digits and two of exponent: their difference fits
_ABOUT: Final = Context(prec=6, Emax=10_000, Emin=-10_000)
_LONGEST: Final = 24
_NAMED: Final = 20
_NOTHING: Final = "This is the first: the archive knew no approved version of this model here when the desk was frozen."
_UNKNOWN: Final = "What its own desk showed does not stand in this freeze; look at its event, which is named under “What is live now”."

Figures = Mapping[tuple[str, int], str]


def changes_section(shown: Shown) -> Section:
    """Return what differs from the desk of the last approved version, and what does not."""
    if shown.lastApproved is None:
        words = _NOTHING if shown.live is None else f"Version {shown.live.version} is the last approved one. {_UNKNOWN}"
        return Section("changed", "What changed since the last approved version", (Prose((words,)),))
    then = shown.lastApproved
    return Section("changed", f"What changed since the approved version {then.candidate.version}", tuple(_blocks(shown, then)))


def changes_sentence(shown: Shown) -> tuple[str, ...]:
    """Return in one sentence what changed and what did not; nothing where there is nothing to compare with."""
    then = shown.lastApproved
    if then is None:
        return ()
    before, now = _figures(then.candidate), _figures(shown.comparison.candidate)
    names = {**before, **now}
    changed = sum(_differ(before.get(name), now.get(name)) for name in names)
    aspects = _aspects(shown, then)
    told = [f"{changed} of {len(names)} figures", *(one.label.lower() for one in aspects if one.differs)]
    same = [one.label.lower() for one in aspects if not one.differs]
    unchanged = f" Not changed: {', '.join(same)}." if same else ""
    return (f"Since the approved version {then.candidate.version} these changed: {', '.join(told)}.{unchanged}",)


def change_of(then: str, now: str) -> str:
    """Return by how much a figure changed, with its sign (rule 2)."""
    difference = _EXACT.subtract(Decimal(now), Decimal(then))
    sign = "+" if difference > 0 else ""
    written = f"{difference:f}"
    return f"{sign}{written}" if len(written) <= _LONGEST else f"about {sign}{difference.normalize(_ABOUT):e}"


def _blocks(shown: Shown, then: LastApproved) -> Iterator[Block]:
    version, entry = then.candidate.version, shown.comparison.incumbent
    yield Prose((f"“Then” is what the desk of version {version} said at its approval, as its event has it.",))
    if _datasets(then.datasets) != _datasets(shown.datasets):
        yield Prose(("The figures of then and of now rest on different data (below): by their difference alone they say little.",))
    yield from _figures_changed(version, then.candidate, shown.comparison.candidate)
    if entry is not None and _changed(_figures(then.candidate), _figures(entry), common=True):
        yield Prose((f"This request gives other figures for version {version} than its own desk did then:",))
        yield _table(f"{version}, then and now", version, version, then.candidate, entry, common=True)
    yield Facts(tuple(Fact(one.label, one.values) for one in _aspects(shown, then)))
    approved = Fact("Approved then", (f"{then.candidate.name} {version}",))
    yield Facts((approved, Fact("By the desk", (then.freeze,), "the freeze that was decided on", exact=True)))


def _figures_changed(version: str, then: ComparisonEntry, now: ComparisonEntry) -> Iterator[Block]:
    before, after = _figures(then), _figures(now)
    if _changed(before, after):
        yield _table("Figures that changed", version, now.version, then, now)
    same = [name for (name, nth), value in after.items() if not _differ(before.get((name, nth)), value)]
    if same:
        more = f" and {len(same) - _NAMED} more" if len(same) > _NAMED else ""
        yield Prose((f"The same as then: {', '.join(same[:_NAMED])}{more}.",))


def _table(caption: str, was: str, is_: str, then: ComparisonEntry, now: ComparisonEntry, *, common: bool = False) -> Measures:
    before, after = _figures(then), _figures(now)
    rows = tuple(
        (name, _row(name, before.get((name, nth)), after.get((name, nth)))) for name, nth in _changed(before, after, common=common)
    )
    key = "Drawn on a scale of its own for each metric: a square is then, a disc is now."
    return Measures(caption, "Metric", (f"{was} then", f"{is_} now", "Change"), rows, key)


def _row(name: str, then: str | None, now: str | None) -> tuple[Reading | None, ...]:
    if then is None or now is None:
        came = Reading("new" if then is None else "gone")
        return (Reading(then) if then is not None else None, Reading(now) if now is not None else None, came)
    strip = strip_of(name, (("incumbent", then), ("candidate", now)))
    return (Reading(then), Reading(now), Reading(change_of(then, now), strip))


def _changed(then: Figures, now: Figures, *, common: bool = False) -> list[tuple[str, int]]:
    names = dict.fromkeys((*now, *then))
    return [one for one in names if _differ(then.get(one), now.get(one)) and not (common and (one not in then or one not in now))]


def _differ(then: str | None, now: str | None) -> bool:
    return then != now if then is None or now is None else Decimal(then).compare(Decimal(now)) != 0


def _figures(entry: ComparisonEntry) -> dict[tuple[str, int], str]:
    seen: Counter[str] = Counter()
    found: dict[tuple[str, int], str] = {}
    for figure in entry.metrics:
        found[figure.name, seen[figure.name]] = figure.value
        seen[figure.name] += 1
    return found


@dataclass(frozen=True)
class _Aspect:
    """A label, what there is to say of it, and whether it changed."""

    label: str
    values: tuple[str, ...]
    differs: bool


def _aspects(shown: Shown, then: LastApproved) -> tuple[_Aspect, ...]:
    spec, route = shown.request.spec, shown.route
    was, target = then.target, spec.target
    return (
        _one("Image", then.image.replace("@", " "), spec.model.image.replace("@", " ")),
        _many("Artefacts", _artifacts(then.artifacts), _artifacts(spec.model.artifacts)),
        _many("Datasets", _datasets(then.datasets), _datasets(shown.datasets)),
        _explanation(then.explanation, shown.explanation.digest),
        _many("Clusters", dict.fromkeys(was.clusters, ""), dict.fromkeys(target.clusters, "")),
        _many("Namespaces", dict.fromkeys(was.namespaces, ""), dict.fromkeys(target.namespaces, "")),
        _one("Validity", _validity(then), _validity(spec)),
        _one("Tier", then.tier, route.tier),
        _one("Policy", f"{then.policy}, rule {then.rule}", f"{route.policy}, rule {route.rule}"),
        _one("Author", then.author, spec.author),
        _many("Submitter", _people(then.submitters), _people(one.principal for one in shown.submissions)),
    )


def _one(label: str, then: str, now: str) -> _Aspect:
    if then == now:
        return _Aspect(label, (f"the same: {now}",), differs=False)
    return _Aspect(label, (f"then {then}", f"now {now}"), differs=True)


def _explanation(then: Document, now: Digest) -> _Aspect:
    if then.digest == now:
        return _Aspect("Explanation", ("the same document, to the byte",), differs=False)
    return _Aspect("Explanation", (f"another document; then {then.mediaType}, {then.size:,} bytes, {then.digest}",), differs=True)


def _many(label: str, then: Mapping[str, str], now: Mapping[str, str]) -> _Aspect:
    other = [f"another: {name}, then {then[name]}" for name in now if name in then and then[name] != now[name]]
    added = [f"new: {name}" for name in now if name not in then]
    gone = [f"gone: {name}{', ' if was else ''}{was}" for name, was in then.items() if name not in now]
    same = [name for name in now if then.get(name) == now[name]]
    told = (*other, *added, *gone, *((f"the same: {', '.join(same)}",) if same else ()))
    return _Aspect(label, told or ("none, as then",), differs=bool(other or added or gone))


def _artifacts(artifacts: Iterable[Artifact] | None) -> Mapping[str, str]:
    return _each((one.name, one.digest) for one in artifacts or ())


def _datasets(datasets: Iterable[Dataset]) -> Mapping[str, str]:
    return _each((f"{one.name}, {one.role.replace('-', ' ')}", f"{one.version}, {one.digest}") for one in datasets)


def _people(people: Iterable[Principal]) -> Mapping[str, str]:
    return _each((f"{one.name} ({one.subject}, as known to {one.issuer})", "") for one in people)


def _each(pairs: Iterable[tuple[str, str]]) -> Mapping[str, str]:
    """Return pairs as a map in which a name that comes again is kept, numbered: to drop one would hide it."""
    seen: Counter[str] = Counter()
    found: dict[str, str] = {}
    for name, value in pairs:
        seen[name] += 1
        found[name if seen[name] == 1 else f"{name} ({seen[name]})"] = value
    return found


def _validity(asked: LastApproved | Spec) -> str:
    if asked.validFor is None:
        return "without an end"
    return f"{int(asked.validFor.removesuffix('h')):,} hours, after that {asked.onExpiry or 'deny-all'}"
